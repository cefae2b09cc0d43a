"""What enters the statistics, and up to which step."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest

from smoothrl.compare.inclusion import counts, field
from smoothrl.compare.runs import Curve, Run

TAG = "eval/mean_reward"


def run(variant: str, seed: str, values: Sequence[float], status: str = "finished", every: int = 100) -> Run:
    steps = every * np.arange(1, len(values) + 1)
    curves = {TAG: Curve(steps, np.array(values, float))} if len(values) else {}
    return Run(Path(variant) / seed, "task", variant, seed, curves, status=status)


def test_every_status() -> None:
    runs = [
        run("a", "0", [0, 5, 10]), run("a", "1", [-3, 5], "running"), run("a", "2", [], "queued"),
        run("b", "0", [0, 5, 10]), run("b", "1", [0, 4, np.nan], "diverged"), run("b", "2", [1], "failed"),
    ]  # fmt: skip
    found = field("task", runs, TAG)
    assert (found.start, found.end) == (100, 300)
    included = {entry.run.name: entry.scores.get("final") for entry in found.entries}
    assert included == {
        "task/a/seed-0": 10, "task/a/seed-1": None, "task/a/seed-2": None,
        "task/b/seed-0": 10, "task/b/seed-1": -3, "task/b/seed-2": None,
    }  # fmt: skip
    a, b = counts([found], ["a", "b"])
    assert (a.expected, a.included, a.diverged, a.failed, a.unfinished, a.missing) == (3, 1, 0, 0, 1, 1)
    assert (b.expected, b.included, b.diverged, b.failed, b.unfinished, b.missing) == (3, 2, 1, 1, 0, 0)


def test_a_diverged_run_counts_at_the_worst_return_of_the_task() -> None:
    runs = [run("a", "0", [-50, 5, 10]), run("b", "0", [0, 8, 10]), run("b", "1", [0, 8, np.inf], "diverged")]
    diverged = field("task", runs, TAG).entries[2]
    assert diverged.curve is not None
    # The line falls right after the last finite point: from 8 at step 200 to -50 at 201, and on to the end.
    assert diverged.scores["auc"] == pytest.approx((100 * 4 + (8 - 50) / 2 + 99 * -50) / 200)
    assert diverged.scores["final"] == -50
    assert diverged.why == "diverged: counts at the task's worst return after step 200"


def test_a_foreign_run_that_ends_in_nan_has_diverged() -> None:
    runs = [run("a", "0", [1, 2, 3], "unknown"), run("a", "1", [1, np.nan, np.nan], "unknown")]
    ok, lost = field("task", runs, TAG).entries
    assert (ok.scores["final"], lost.scores["final"]) == (3, 1)
    assert lost.why == "eval/mean_reward is not finite at the end: counts at the task's worst return after step 100"


def test_a_gap_in_the_middle_is_no_divergence() -> None:
    runs = [run("a", "0", [1, np.nan, 3])]
    (entry,) = field("task", runs, TAG).entries
    assert entry.why == ""
    assert entry.scores["final"] == 3
    assert entry.scores["auc"] == pytest.approx(2)


def test_variants_are_compared_where_all_have_been() -> None:
    runs = [run("long", "0", range(10)), run("long", "1", range(10)), run("short", "0", range(5))]
    found = field("task", runs, TAG)
    assert found.end == 500
    assert [entry.scores["final"] for entry in found.entries] == [4, 4, 4]
    assert found.notes == ("task is compared up to step 500, where short ends; long goes on to 1,000.",)


def test_a_foreign_run_that_is_much_shorter_than_its_variant_is_unfinished() -> None:
    runs = [run("a", "0", range(10), "unknown"), run("a", "1", range(10), "unknown"), run("a", "2", [1], "unknown")]
    entry = field("task", runs, TAG).entries[2]
    assert entry.curve is None
    assert entry.why == "ends at step 100 of 1,000"


def test_a_task_on_which_nothing_is_finished() -> None:
    found = field("task", [run("a", "0", [1, 2], "running"), run("b", "0", [1], "diverged")], TAG)
    assert [entry.curve for entry in found.entries] == [None, None]
    assert [entry.why for entry in found.entries] == ["running", "diverged"]
