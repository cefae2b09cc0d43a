"""From made-up runs, whose truth is known, to a whole comparison."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from smoothrl.compare.analysis import Question, analyze
from smoothrl.compare.reading.read import Reading
from smoothrl.compare.result import Comparison
from smoothrl.compare.runs import CompareError, Curve, Run

TAG = "eval/mean_reward"
LIPSCHITZ = "smoothness/lipschitz_lower_obs"
STEPS = np.arange(100, 1001, 100)
PLAIN: dict[str, Any] = {"critic_regularizers": [], "optimizer_adaptations": []}
SMOOTH = PLAIN | {"critic_regularizers": [{"kind": "spectral_norm"}]}
ADAPTED = PLAIN | {"optimizer_adaptations": [{"kind": "div_grad"}]}
CONFIGS = {"plain": PLAIN, "spectral": SMOOTH, "div-grad": ADAPTED, "dal": ADAPTED}
QUICK = Question(resamples=2000)


def reading(*runs: Run, cautions: tuple[str, ...] = ()) -> Reading:
    return Reading(runs, "made up", (Path("runs"),), TAG, cautions)


def run(variant: str, seed: int, height: float, task: str = "CartPole-v1", **fields: Any) -> Run:
    """A curve that climbs to a height in a straight line, with a Lipschitz bound of the opposite rank."""
    curves = {TAG: Curve(STEPS, height * STEPS / 1000), LIPSCHITZ: Curve(STEPS[4:], np.full(6, -height))}
    fields = {"status": "finished", "config": CONFIGS.get(variant)} | fields
    return Run(Path(task) / variant / str(seed), task, variant, str(seed), curves, **fields)


def study(
    heights: Mapping[str, float], seeds: int = 10, tasks: tuple[str, ...] = ("CartPole-v1",), spread: float = 10.0
) -> Reading:
    noise = np.random.default_rng(1)
    return reading(*(
        run(variant, seed, height + noise.normal(0, spread), task)
        for task in tasks for variant, height in heights.items() for seed in range(seeds)
    ))  # fmt: skip


def recovered(comparison: Comparison, variant: str, metric: str = "final") -> Any:
    (found,) = [
        r for r in comparison.recoveries
        if (r.variant, r.metric, r.task) == (variant, metric, None if len(comparison.tasks) > 1 else "CartPole-v1")
    ]  # fmt: skip
    return found


@pytest.mark.parametrize("tasks", [("CartPole-v1",), ("CartPole-v1", "Pendulum-v1")])
def test_a_study_whose_answer_is_known(tasks: tuple[str, ...]) -> None:
    found = analyze(study({"plain": 100, "spectral": 200, "div-grad": 200, "dal": 100}, tasks=tasks), QUICK)
    assert (found.baseline, found.smooth) == ("plain", ("spectral",))
    for metric in ("final", "auc"):
        assert recovered(found, "div-grad", metric).verdict == "recovers"
        assert recovered(found, "dal", metric).verdict == "no"
    first, *rest = found.verdicts
    assert first.startswith("spectral is better than plain: final return +")
    assert any("div-grad recovers it" in said and "dal does not recover it" in said for said in rest)
    scopes = {None, *tasks} if len(tasks) > 1 else set(tasks)
    assert {e.task for e in found.estimates} == {d.task for d in found.differences} == scopes
    assert {p.task for p in found.profiles} == scopes


def test_no_benefit_is_said() -> None:
    found = analyze(study({"plain": 100, "spectral": 80, "div-grad": 200}), QUICK)
    assert recovered(found, "div-grad").recovered is None
    assert recovered(found, "div-grad").verdict == "no benefit to recover"
    assert any(said.startswith("No benefit of spectral to recover") for said in found.verdicts)


def test_scores_are_what_the_curve_says() -> None:
    found = analyze(reading(run("plain", 0, 100), run("plain", 1, 200), run("spectral", 0, 300)), QUICK)
    row = found.runs[1]
    # The points at 910 and later: 1,000 alone. The line from 20 at step 100 to 200 at step 1,000.
    assert row.scores == {"final": 200, "auc": pytest.approx(110), "best": 200}
    (mean,) = [e for e in found.estimates if (e.variant, e.metric, e.statistic) == ("plain", "final", "mean")]
    assert (mean.interval.value, mean.runs) == (150, 2)


def test_lipschitz_bounds_go_with_the_return() -> None:
    found = analyze(study({"plain": 100, "spectral": 200}), QUICK)
    (association,) = found.associations
    assert association.tag == LIPSCHITZ
    assert association.spearman.value == pytest.approx(-1)
    assert len(association.points) == 20
    assert {band.tag for band in found.bands} == {TAG, LIPSCHITZ}


def test_equal_seeds_give_equal_figures() -> None:
    """Not the clock, not the order of calls: the seed."""
    runs = study({"plain": 100, "spectral": 130})
    first, second, other = (
        analyze(runs, Question(resamples=500, seed=seed)).differences[0].difference for seed in (1, 1, 2)
    )
    assert first == second
    assert first != other


def test_runs_that_are_left_out_are_counted_and_said() -> None:
    runs = [run(v, s, 100 + s) for v in ("plain", "spectral") for s in range(3)]
    runs[1] = run("plain", 1, 0, status="failed", reason="a segmentation fault")
    runs[5] = run("spectral", 2, 0, status="diverged")
    found = analyze(reading(*runs, cautions=("a torn study",)), QUICK)
    assert found.runs[1].why_not == "failed: a segmentation fault"
    assert not found.runs[1].included
    assert found.runs[5].included
    plain, spectral = found.counts
    assert (plain.included, plain.failed, spectral.included, spectral.diverged) == (2, 1, 3, 1)
    assert found.cautions[0] == "a torn study"
    assert "1 of 6 runs diverged; they count at the worst return of their task from there on." in found.cautions
    assert "1 of 6 runs failed and are left out." in found.cautions
    assert any("below 5 seeds" in said for said in found.cautions)


def test_two_grids_are_held_against_each_other_point_by_point() -> None:
    """Spectral is good on all four rates, plain on one."""
    heights = {"plain": [400, 10, 10, 10], "spectral": [400, 390, 380, 400]}
    runs = [
        run(f"{group}_{rate}", seed, height + seed, group=group, settings={"agent.learning_rate": rate},
            config=CONFIGS[group])
        for group, of_rate in heights.items() for rate, height in zip((1e-4, 1e-3, 1e-2, 1e-1), of_rate, strict=True)
        for seed in range(3)
    ]  # fmt: skip
    found = analyze(reading(*runs), QUICK)
    shares = {t.group: t.share.value for t in found.tunability if t.metric == "final"}
    assert shares == {"plain": 0.25, "spectral": 1.0}
    assert found.verdicts[0].startswith("plain comes within 90 % of the best final return on 25 [25, 25] % of")
    maps = {m.group: m for m in found.heat_maps}
    assert maps["plain"].x_values == ("0.0001", "0.001", "0.01", "0.1")
    np.testing.assert_allclose(maps["plain"].scores, [[401, 11, 11, 11]])
    assert {v.role for v in found.variants if v.group == "plain"} == {"baseline"}


def test_many_variants_are_held_against_their_baseline_only() -> None:
    runs = [run(f"v{i}", seed, 100 + i + seed) for i in range(12) for seed in range(2)]
    found = analyze(reading(*runs), Question(baseline="v3", resamples=200))
    assert {d.second for d in found.differences} == {"v3"}
    assert len({d.first for d in found.differences}) == 11


@pytest.mark.parametrize("change", [lambda r: {"status": "running"}, lambda r: {"curves": {}}])
def test_nothing_to_compare_yet(change: Callable[[Run], dict[str, Any]]) -> None:
    started = run("plain", 0, 100)
    begun = Run(**(vars(started) | change(started)))
    with pytest.raises(CompareError, match="no run is finished and has eval/mean_reward"):
        analyze(reading(begun), QUICK)


def test_a_variant_without_a_run_on_one_task_is_said_to_have_none() -> None:
    runs = [run(v, s, 100 + s, task) for v in ("plain", "spectral") for s in range(3) for task in ("CartPole-v1", "B")]
    runs = [r for r in runs if (r.variant, r.task) != ("spectral", "B")]
    found = analyze(reading(*runs), QUICK)
    assert "spectral has no run on B that enters, and no figures there or over all tasks." in found.cautions
    assert {e.variant for e in found.estimates if e.task is None} == {"plain"}


def test_scores_that_cannot_be_normalized_are_said_to_be_raw() -> None:
    """A task no suite knows, on which the baseline ends where it began."""
    flat = [run("plain", seed, 0, "Mine-v0") for seed in range(3)] + [
        run("spectral", s, 5 + s, "Mine-v0") for s in range(3)
    ]
    found = analyze(reading(*flat), QUICK)
    assert any(said.startswith("No normalized scores of Mine-v0") for said in found.cautions)
    assert found.profiles == ()
    assert {e.statistic for e in found.estimates} == {"iqm", "mean", "median"}


def test_one_variant_alone() -> None:
    found = analyze(reading(run("plain", 0, 100), run("plain", 1, 110)), QUICK)
    assert (found.differences, found.recoveries) == ((), ())
    assert found.verdicts == ("There is one variant, plain: nothing to hold it against.",)
