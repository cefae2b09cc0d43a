from __future__ import annotations

import json
import os
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from smoothrl.studies import driver
from smoothrl.studies.driver import Snapshot
from smoothrl.studies.plan import Study
from smoothrl.studies.state import look
from smoothrl.training import RunError

MakeStudy = Callable[..., Study]


def test_a_study_runs_and_running_it_again_starts_nothing(make_study: MakeStudy) -> None:
    study = make_study({"a": {}, "b": {"pause": 1e-5}}, seeds=2)
    snapshots: list[Snapshot] = []
    summary = driver.run(study, workers=2, on_snapshot=snapshots.append)
    assert summary.exit_code == 0
    assert [view.status for view in summary.cells] == ["finished"] * 4
    assert str(summary) == "small: 4 finished"
    assert (study.root / "study.yaml").read_text() == "asked: for\n"
    for cell in study.cells:
        record = json.loads((cell.folder / "run.json").read_text())
        assert (record["status"], record["seed"], record["identity"]) == ("finished", cell.config.seed, cell.identity)
        assert look(study, cell).status == "finished"
    # In order, two at a time, and all four seen in every snapshot.
    started = [tuple(view.status for view in snapshot.cells) for snapshot in snapshots]
    assert started[0] == ("running", "running", "queued", "queued")
    assert max(statuses.count("running") for statuses in started) == 2

    before = {path: path.stat().st_mtime_ns for path in study.root.glob("fragile*/**/*")}
    assert driver.run(study, workers=2).exit_code == 0
    assert before == {path: path.stat().st_mtime_ns for path in study.root.glob("fragile*/**/*")}


@pytest.mark.slow
def test_the_ways_to_go_wrong_do_not_take_others_along(make_study: MakeStudy) -> None:
    variants: dict[str, dict[str, Any]] = {
        "good": {},
        "refused": {"config": {"device": "cuda:99"}},
        "unbuilt": {"at_start": 0},
        "raises": {"raises": 200},
        "hangs": {"hangs": 100},
        "dies": {"dies": 100},
        "poisoned": {"poisoned": 120},
        "other": {},
    }
    study = make_study(variants, retries=0, stalled_after=20)
    summary = driver.run(study, workers=2)
    views = {view.cell.config.variant: view for view in summary.cells}
    assert {name: view.status for name, view in views.items()} == {
        "good": "finished",
        "refused": "failed",
        "unbuilt": "failed",
        "raises": "failed",
        "hangs": "failed",
        "dies": "failed",
        "poisoned": "diverged",
        "other": "finished",
    }
    reasons = {name: str(view.reason) for name, view in views.items()}
    assert reasons["refused"].startswith("device: this machine has no `cuda:99`")
    assert reasons["unbuilt"] == "ValueError: no such leg"
    assert reasons["raises"] == "RuntimeError: the leg fell off"
    assert reasons["hangs"] == "no progress for 20 s, killed; given up, with 1 of 1 attempts lost"
    assert reasons["dies"] == "died (Segmentation fault); given up, with 1 of 1 attempts lost"
    assert "not finite" in reasons["poisoned"] or "is nan" in reasons["poisoned"]
    assert summary.exit_code == 1

    said = str(summary)
    assert said.splitlines()[0] == "small: 5 failed, 2 finished, 1 diverged"
    assert "  | RuntimeError: the leg fell off" in said
    crashed = views["dies"].log
    assert crashed is not None
    assert "Fatal Python error: Segmentation fault" in crashed.read_text()  # and where it was
    # What a later `status` tells, from files alone, is what this driver saw.
    assert [look(study, view.cell).status for view in summary.cells] == [view.status for view in summary.cells]
    assert [look(study, view.cell).reason for view in summary.cells] == [view.reason for view in summary.cells]


def test_failed_runs_are_started_again_on_request_alone(make_study: MakeStudy) -> None:
    study = make_study({"raises": {"raises": 100}})
    assert driver.run(study, workers=1).exit_code == 1
    assert driver.run(study, workers=1).cells[0].attempt == 1
    summary = driver.run(study, workers=1, retry=True)
    assert (summary.exit_code, summary.cells[0].attempt) == (1, 2)
    logs = sorted(path.name for path in (study.root / "logs/fragile_Walk-v0/raises").iterdir())
    assert logs == ["seed-0.attempt-1.log", "seed-0.attempt-2.log"]
    aside = study.root / "superseded/fragile_Walk-v0/raises/seed-0.attempt-1"
    assert json.loads((aside / "run.json").read_text())["status"] == "failed"
    assert not list(aside.glob("*tfevents*"))
    assert len(list(aside.glob("events.out.superseded.*"))) == 1
    assert len(list(study.root.rglob("*tfevents*"))) == 1


def test_a_changed_variant_is_run_anew_and_one_left_out_is_named(make_study: MakeStudy) -> None:
    study = make_study({"a": {}, "gone": {}})
    assert driver.run(study, workers=2).exit_code == 0
    changed = make_study({"a": {"pause": 1e-6}})
    assert look(changed, changed.cells[0]).status == "changed"
    summary = driver.run(changed, workers=2)
    assert summary.cells[0].status == "finished"
    assert summary.strays == (study.cells[1].folder,)
    assert f"No longer part of the study, left where they are:\n  {study.cells[1].folder}" in str(summary)
    assert (study.cells[1].folder / "run.json").exists()
    old = json.loads((study.root / "superseded/fragile_Walk-v0/a/seed-0.attempt-1/run.json").read_text())
    assert old["identity"] == study.cells[0].identity


def test_a_second_driver_is_refused_with_the_first_ones_name(
    make_study: MakeStudy, start_driver: Callable[..., Any], wait_until: Callable[..., None]
) -> None:
    study = make_study({"a": {"pause": 0.005}})
    first = start_driver(study)
    wait_until((study.root / "state/fragile_Walk-v0/a/seed-0.json").exists)
    with pytest.raises(RunError, match=f"being run right now by process {first.process.pid} on "):
        driver.run(study)
    assert first.end()[0] == 0
    assert len(list(study.root.glob("logs/*/*/*"))) == 1


@pytest.mark.matrix
@pytest.mark.slow
def test_two_drivers_at_once_run_every_run_once(make_study: MakeStudy, start_driver: Callable[..., Any]) -> None:
    for round_ in range(20):
        study = make_study({"a": {}, "b": {}}, total_timesteps=64)
        study = replace(
            study,
            root=study.root / str(round_),
            cells=tuple(
                replace(c, folder=study.root / str(round_) / c.folder.relative_to(study.root)) for c in study.cells
            ),
        )
        study.root.parent.mkdir(exist_ok=True)
        codes = sorted(d.end()[0] for d in [start_driver(study), start_driver(study)])
        assert codes in ([0, 2], [0, 0])  # [0, 0]: the second came when the first was done
        logs = sorted(path.name for path in study.root.glob("logs/*/*/*"))
        assert logs == ["seed-0.attempt-1.log"] * 2


def test_a_run_trained_by_hand_is_waited_for_and_counts(
    make_study: MakeStudy, start_driver: Callable[..., Any]
) -> None:
    """`smoothrl train` of one of the study's configs goes into the same folder."""
    from smoothrl.training import train

    study = make_study({"a": {}})
    assert train(study.cells[0].config, out=study.cells[0].folder, plain=True) == 0
    summary = driver.run(study, workers=1)
    assert (summary.cells[0].status, summary.cells[0].attempt) == ("finished", 0)


def test_an_error_of_the_display_stops_the_runs(make_study: MakeStudy, workers_of: Callable[[Path], list[int]]) -> None:
    study = make_study({"a": {"pause": 0.02}})

    def broken(_: Snapshot) -> None:
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        driver.run(study, workers=1, on_snapshot=broken)
    assert look(study, study.cells[0]).status == "interrupted"
    assert not workers_of(study.root)


def test_a_killed_move_is_finished_by_the_next_driver(make_study: MakeStudy) -> None:
    study = make_study({"a": {}})
    aside = study.root / "superseded/t/v/seed-0.attempt-1"
    aside.mkdir(parents=True)
    (aside / "events.out.tfevents.1").touch()
    assert driver.run(study, workers=1).exit_code == 0
    assert [path.name for path in aside.iterdir()] == ["events.out.superseded.1"]


def test_the_driver_leaves_its_own_processes_nothing_open(make_study: MakeStudy) -> None:
    """A long study must not run out of descriptors."""
    study = make_study({"a": {}, "raises": {"raises": 10}}, total_timesteps=64)
    before = set(os.listdir("/proc/self/fd"))  # noqa: PTH208
    driver.run(study, workers=2)
    assert set(os.listdir("/proc/self/fd")) <= before  # noqa: PTH208
