"""The stratified bootstrap: what is drawn, how far out it is read, and how often its intervals hold the truth."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from scipy import stats

from smoothrl.compare.result import Interval
from smoothrl.compare.statistics.aggregates import STATISTICS, iqm, mean
from smoothrl.compare.statistics.bootstrap import Bootstrap
from smoothrl.compare.statistics.efficiency import median_steps
from smoothrl.compare.statistics.variance import degrees_of_freedom, variances

BOOT = Bootstrap(resamples=2000)


def runs(*sizes: int, seed: int = 0) -> list[np.ndarray]:
    generator = np.random.default_rng(seed)
    return [generator.normal(size=size) for size in sizes]


@pytest.mark.parametrize("n", [10, 20, 40])
@pytest.mark.parametrize("confidence", [0.9, 0.95])
def test_interval_of_a_mean_is_students(n: int, confidence: float) -> None:
    """As wide, and around the same middle, over many samples, so that the grain of single ones averages out."""
    ours, students = [], []
    for seed in range(60):
        sample = runs(n, seed=seed)
        interval = Bootstrap(4000, confidence, seed).interval(mean, sample)
        t = stats.ttest_1samp(sample[0], 0).confidence_interval(confidence)
        ours.append((interval.low, interval.high))
        students.append((t.low, t.high))
    assert np.diff(ours).mean() == pytest.approx(np.diff(students).mean(), rel=0.04)
    assert np.mean(ours) == pytest.approx(np.mean(students), abs=0.02)


def test_interval_of_few_runs_reaches_no_further_than_they_do() -> None:
    """What is left of the narrowness of percentiles: Student's interval of three runs leaves their range."""
    (sample,) = runs(3)
    interval = BOOT.interval(mean, [sample])
    assert (interval.low, interval.high) == pytest.approx((sample.min(), sample.max()))
    assert stats.ttest_1samp(sample, 0).confidence_interval().low < sample.min()


def test_width_over_tasks_is_that_of_welch_and_satterthwaite() -> None:
    """Tasks of different sizes and spreads, by hand; many runs, so that the replicates are all but normal."""
    sizes, spreads = (30, 50, 80), np.array([1.0, 5.0, 0.5])
    sample = [spread * x for spread, x in zip(spreads, runs(*sizes), strict=True)]
    v = np.array([x.var(ddof=1) / x.size for x in sample])
    df = v.sum() ** 2 / sum(v**2 / (np.array(sizes) - 1))
    reach = stats.t.ppf(0.975, df) * np.sqrt(v.sum()) / 3
    interval = Bootstrap(20_000).interval(mean, sample)
    assert interval.high - interval.low == pytest.approx(2 * reach, rel=0.03)


def test_degrees_of_freedom_of_two_samples_are_scipys() -> None:
    first, second = runs(7)[0], 4 * runs(12, seed=1)[0]
    expected = stats.ttest_ind(first, second, equal_var=False).df
    assert degrees_of_freedom(variances([first, second]), [7, 12]) == pytest.approx(expected, rel=1e-12)
    assert degrees_of_freedom(variances([first, np.ones(12)]), [7, 12]) == pytest.approx(6)
    assert degrees_of_freedom(np.zeros(2), [7, 12]) == 6 + 11
    assert degrees_of_freedom(np.array([1e-300, 1e-300]), [7, 7]) == pytest.approx(12)


def test_variances_know_rounding_from_spread() -> None:
    found = variances([np.full(3, 0.1), np.array([1e6, 1e6 + 1e-7]), np.array([1.0]), np.array([1.0, np.inf])])
    np.testing.assert_array_equal(found, [0, 0, np.nan, np.nan])
    assert variances([np.array([1.0, 3.0])])[0] == 1.0


def test_whole_runs_are_drawn_within_their_task() -> None:
    drawn = BOOT.resample([np.array([1.0, 2.0, 3.0]), np.array([10.0, 20.0, 30.0])])
    assert [sample.shape for sample in drawn] == [(2000, 3), (2000, 3)]
    assert set(np.unique(drawn[0])) == {1, 2, 3}
    assert set(np.unique(drawn[1])) == {10, 20, 30}
    both = np.corrcoef(drawn[0][:, 0], drawn[1][:, 0])[0, 1]
    assert abs(both) < 0.1  # tasks are drawn independently
    first = np.bincount(drawn[0].ravel().astype(int), minlength=4)[1:] / drawn[0].size
    np.testing.assert_allclose(first, 1 / 3, atol=0.02)  # every run as often as the others


def test_counts_are_those_of_the_draws() -> None:
    sizes = [4, 7]
    for drawn, counts in zip(BOOT.draws(sizes), BOOT.counts(sizes), strict=True):
        expected = [np.bincount(row, minlength=drawn.shape[1]) for row in drawn]
        np.testing.assert_array_equal(counts, expected)


def test_intervals_depend_on_the_seed_and_on_nothing_before() -> None:
    sample = runs(10, 10)
    first = BOOT.interval(iqm, sample)
    BOOT.interval(mean, runs(5))
    assert BOOT.interval(iqm, sample) == first
    assert Bootstrap(2000, seed=1).interval(iqm, sample) != first


@pytest.mark.parametrize("name", STATISTICS)
def test_equal_scores_give_an_interval_without_width(name: str) -> None:
    interval = BOOT.interval(STATISTICS[name], [np.full(5, 0.1), np.full(7, 0.1)])
    assert interval.low == interval.high == pytest.approx(interval.value, abs=1e-12)


@pytest.mark.parametrize("name", STATISTICS)
def test_one_run_has_no_bounds(name: str) -> None:
    for sample in (runs(1), runs(10, 1)):
        interval = BOOT.interval(STATISTICS[name], sample)
        assert np.isfinite(interval.value)
        assert np.isnan([interval.low, interval.high]).all()


def test_what_has_no_value_on_a_resample_has_no_bounds() -> None:
    low, high = BOOT.bounds(np.append(np.ones(1999), np.nan), runs(5))
    assert np.isnan([low, high]).all()


@pytest.mark.slow
def test_the_benchmark_prints_its_three_tables() -> None:
    benchmark = Path(__file__).parents[3] / "benchmarks" / "interval_coverage.py"
    few = ["--studies", "2", "--resamples", "50", "--shapes", "normal", "bimodal"]
    printed = subprocess.run([sys.executable, benchmark, *few], capture_output=True, text=True, check=True).stdout
    rows = [line for line in printed.splitlines() if line.startswith(("| normal", "| bimodal"))]
    assert len(rows) == 2 * (6 + 12 + 12)
    assert all("%" in row or "never named" in row for row in rows)


@pytest.mark.slow
@pytest.mark.parametrize("shape", ["normal", "skewed", "bimodal"])
@pytest.mark.parametrize("tasks", [1, 6])
def test_intervals_of_ten_seeds_hold_the_truth(shape: str, tasks: int) -> None:
    """A small version of benchmarks/interval_coverage.py. With 300 studies the standard error of 94 % is 1.4."""
    ranks = (np.arange(20_000) + 0.5) / 20_000
    failed = np.append(stats.norm.ppf(ranks[:6000] / 0.3) - 6, stats.norm.ppf(ranks[:14_000] / 0.7))
    everyone = {"normal": stats.norm.ppf(ranks), "skewed": -stats.gamma.ppf(ranks, 2), "bimodal": failed}[shape]
    truths = {mean: np.mean(everyone), iqm: stats.trim_mean(everyone, 0.25)}
    generator = np.random.default_rng(tasks)
    for statistic, truth in truths.items():
        held = [
            not Bootstrap(1000, seed=i)
            .interval(statistic, list(generator.choice(everyone, (tasks, 10))))
            .excludes(truth)
            for i in range(300)
        ]
        assert 0.88 <= np.mean(held) <= 0.99


def test_median_of_steps_is_infinite_only_where_half_never_arrive() -> None:
    few = median_steps(np.array([100.0, 200.0, 300.0, 400.0, np.inf]), BOOT)
    assert few.value == 300.0
    assert 100.0 <= few.low <= 300.0
    assert few.high == np.inf
    most = median_steps(np.array([100.0, 200.0, np.inf, np.inf, np.inf]), BOOT)
    assert most.value == most.high == np.inf
    assert most.low < np.inf
    none = median_steps(np.full(5, np.inf), BOOT)
    assert none == Interval(np.inf, np.inf, np.inf)


def test_median_of_steps_that_all_runs_reach_is_that_of_any_numbers() -> None:
    steps = np.array([100.0, 200.0, 250.0, 400.0, 800.0, 900.0])
    assert median_steps(steps, BOOT) == BOOT.interval(STATISTICS["median"], [steps])
