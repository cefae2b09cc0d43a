"""Aggregates against numbers of the authors' library, frozen, and against SciPy; see data/README.md."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from scipy import stats

from smoothrl.compare.statistics import aggregates

FROZEN = json.loads((Path(__file__).parent / "data" / "aggregates.json").read_text())
NAMES = [f"{len(study['first'])} tasks x {len(study['first'][0])} runs" for study in FROZEN["studies"]]


@pytest.fixture(params=FROZEN["studies"], ids=NAMES)
def study(request: pytest.FixtureRequest) -> dict:
    arrays = {name: [np.array(runs) for runs in request.param[name]] for name in ("first", "second")}
    return request.param | arrays


@pytest.mark.parametrize("name", ["mean", "iqm", "optimality_gap"])
def test_aggregates_are_the_published_ones(study: dict, name: str) -> None:
    assert aggregates.STATISTICS[name](study["first"]) == pytest.approx(study[name], abs=1e-10)


def test_median_is_the_published_one_over_tasks_and_the_median_of_runs_on_one(study: dict) -> None:
    one_task = len(study["first"]) == 1
    expected = np.median(study["first"][0]) if one_task else study["median"]
    assert aggregates.median(study["first"]) == pytest.approx(expected, abs=1e-10)
    if one_task:
        assert study["median"] == pytest.approx(study["mean"])  # what is departed from


def test_profile_and_improvement_are_the_published_ones(study: dict) -> None:
    profile = aggregates.performance_profile(study["first"], np.array(FROZEN["tau"]))
    np.testing.assert_allclose(profile, study["profile"], atol=1e-10)
    improvement = aggregates.probability_of_improvement(study["first"], study["second"])
    assert improvement == pytest.approx(study["probability_of_improvement"], abs=1e-10)


@pytest.mark.parametrize("runs", range(1, 25))
def test_iqm_is_scipys_trimmed_mean_for_any_number_of_runs(runs: int) -> None:
    samples = np.random.default_rng(runs).normal(size=(3, runs))
    assert aggregates.iqm(list(samples)) == pytest.approx(stats.trim_mean(samples.ravel(), 0.25), abs=1e-12)


def test_tasks_weigh_the_same_with_different_numbers_of_runs() -> None:
    """Each run written down twice on one task says nothing new about it."""
    generator = np.random.default_rng(0)
    first, second = generator.normal(size=(2, 2, 8)).round(1)
    more = [np.repeat(first[0], 2), first[1]]
    for statistic in (aggregates.mean, aggregates.median, aggregates.optimality_gap, aggregates.iqm):
        assert statistic(more) == pytest.approx(statistic(list(first)), abs=1e-12)
    tau = np.linspace(-1, 1, 5)
    np.testing.assert_allclose(
        aggregates.performance_profile(more, tau), aggregates.performance_profile(list(first), tau), atol=1e-12
    )
    assert aggregates.probability_of_improvement(more, list(second)) == pytest.approx(
        aggregates.probability_of_improvement(list(first), list(second)), abs=1e-12
    )


def test_iqm_counts_runs_in_part_where_tasks_have_different_numbers() -> None:
    """By hand: N = 5 leaves out a fifth of the weight on either side. Weights 1/4, 1/4 | 1/6, 1/6, 1/6."""
    samples = [np.array([0.0, 4.0]), np.array([1.0, 2.0, 3.0])]
    kept = {0.0: 1 / 4 - 1 / 5, 1.0: 1 / 6, 2.0: 1 / 6, 3.0: 1 / 6, 4.0: 1 / 4 - 1 / 5}
    expected = sum(score * weight for score, weight in kept.items()) / sum(kept.values())
    assert aggregates.iqm(samples) == pytest.approx(expected, abs=1e-12)


def test_resamples_go_along_in_front() -> None:
    generator = np.random.default_rng(0)
    first, second = ([generator.normal(size=(4, n)) for n in (5, 7)] for _ in range(2))
    for statistic in aggregates.STATISTICS.values():
        one_by_one = [statistic([runs[i] for runs in first]) for i in range(4)]
        np.testing.assert_allclose(statistic(first), one_by_one, atol=1e-12)
    pairs = [
        aggregates.probability_of_improvement([x[i] for x in first], [y[i] for y in second]) for i in range(4)
    ]  # fmt: skip
    np.testing.assert_allclose(aggregates.probability_of_improvement(first, second), pairs, atol=1e-12)
