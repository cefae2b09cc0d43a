"""Differences, improvements and tests against SciPy, frozen numbers of statsmodels, and enumeration."""

from __future__ import annotations

import itertools
import json
import math
from pathlib import Path

import numpy as np
import pytest
from scipy import stats

from smoothrl.compare.statistics.bootstrap import Bootstrap
from smoothrl.compare.statistics.pairwise import difference, holm, improvement, p_value

BOOT = Bootstrap(resamples=2000)
FAMILIES = json.loads((Path(__file__).parent / "data" / "holm.json").read_text())["families"]


def two(n: int, m: int, tasks: int = 1, seed: int = 0) -> tuple[list[np.ndarray], list[np.ndarray]]:
    generator = np.random.default_rng(seed)
    first = [generator.normal(size=n) for _ in range(tasks)]
    return first, [generator.normal(0.5, 2.0, size=m) for _ in range(tasks)]


@pytest.mark.parametrize("sizes", [(5, 5), (10, 7), (3, 20)])
def test_p_value_on_one_task_is_welchs(sizes: tuple[int, int]) -> None:
    (x,), (y,) = two(*sizes)
    expected = stats.ttest_ind(x, y, equal_var=False).pvalue
    assert p_value([x], [y], paired=False) == pytest.approx(expected, rel=1e-10)
    assert p_value([y], [x], paired=False) == pytest.approx(expected, rel=1e-10)


def test_p_value_of_pairs_on_one_task_is_that_of_the_paired_test() -> None:
    (x,), (y,) = two(8, 8)
    assert p_value([x], [y], paired=True) == pytest.approx(stats.ttest_rel(x, y).pvalue, rel=1e-10)


def test_tasks_that_cancel_out_are_no_difference() -> None:
    x, y = two(8, 8)
    assert p_value([x[0], y[0]], [y[0], x[0]], paired=False) == pytest.approx(1)
    assert difference([x[0], y[0]], [y[0], x[0]], BOOT, paired=False).value == pytest.approx(0)


@pytest.mark.parametrize("paired", [False, True])
def test_over_tasks_the_test_errs_as_often_as_it_says(paired: bool) -> None:
    """2,000 studies without a difference, tasks of very different spreads: 5 %, with a standard error of 0.5."""
    generator = np.random.default_rng(0)
    found = []
    for _ in range(2000):
        shared = [generator.normal(size=6) for _ in range(3)]
        first, second = (
            [scale * (generator.normal(size=6) + common) for scale, common in zip((0.2, 1, 5), shared, strict=True)]
            if paired
            else [scale * generator.normal(size=6) for scale in (0.2, 1, 5)]
            for _ in range(2)
        )
        found.append(p_value(first, second, paired) < 0.05)
    assert np.mean(found) == pytest.approx(0.05, abs=0.017)


def test_scores_without_spread_are_tested_by_permutation() -> None:
    """Against all ways to hand the scores out, counted one by one."""
    x, y = np.full(4, 1.0), np.full(5, 2.0)
    together = np.concatenate([x, y])
    ways = [together[list(chosen)].mean() for chosen in itertools.combinations(range(9), 4)]
    as_far = sum(abs(each - together.mean()) >= abs(1.0 - together.mean()) - 1e-9 for each in ways)
    assert as_far == 1
    assert p_value([x], [y], paired=False) == 2 * as_far / len(ways)  # two-sided: as far, the other way round
    assert p_value([x], [x + 1], paired=True) == 2 / 2**4
    assert p_value([x, x], [x + 1, x + 2], paired=True) == 2 / 2**8
    assert p_value([x, x], [x + 1, x - 2], paired=True) == 1
    assert p_value([x, x], [x + 1, x], paired=False) == 2 / math.comb(8, 4)
    assert p_value([x], [x.copy()], paired=False) == 1


def test_equal_scores_do_not_differ_by_rounding() -> None:
    """The mean of three times 0.1 is not 0.1, summed up as it is written."""
    x, y = np.full(3, 0.1), np.full(5, 0.1)
    assert np.mean(x) != np.mean(y)
    assert p_value([x], [y], paired=False) == 1
    assert not difference([x], [y], BOOT, paired=False).excludes(0)


def test_a_variant_without_spread_is_held_against_one_with() -> None:
    x, y = np.full(5, 1.0), np.array([0.5, 0.7, 0.2, 0.6, 0.4])
    expected = stats.ttest_1samp(y, 1.0).pvalue
    assert p_value([x], [y], paired=False) == pytest.approx(expected, rel=1e-10)


def test_a_single_run_cannot_be_tested() -> None:
    assert math.isnan(p_value([np.ones(1)], [np.ones(5)], paired=False))
    assert math.isnan(p_value([np.ones(1)], [np.zeros(1)], paired=True))


def test_pairs_of_different_seeds_are_refused() -> None:
    for compute in (
        lambda x, y: p_value(x, y, paired=True),
        lambda x, y: difference(x, y, BOOT, paired=True),
        lambda x, y: improvement(x, y, BOOT, paired=True),
    ):
        with pytest.raises(ValueError, match="same seeds of both"):
            compute(*two(5, 6))


def test_pairs_take_the_spread_of_seeds_out_of_the_difference() -> None:
    generator = np.random.default_rng(0)
    seeds = 10 * generator.normal(size=10)
    x, y = seeds + generator.normal(size=10), seeds + generator.normal(size=10) - 3
    apart, pairs = (difference([x], [y], BOOT, paired) for paired in (False, True))
    assert apart.value == pytest.approx(pairs.value) == pytest.approx(x.mean() - y.mean())
    assert pairs.excludes(0)
    assert not apart.excludes(0)
    expected = stats.ttest_rel(x, y).confidence_interval()
    assert (pairs.low, pairs.high) == pytest.approx((expected.low, expected.high), abs=0.15)


def test_interval_of_a_difference_is_welchs() -> None:
    (x,), (y,) = two(30, 40)
    expected = stats.ttest_ind(x, y, equal_var=False).confidence_interval()
    interval = difference([x], [y], Bootstrap(20_000), paired=False)
    assert (interval.low, interval.high) == pytest.approx((expected.low, expected.high), abs=0.05)


def test_improvement_is_mann_whitneys_share() -> None:
    x, y = np.array([1.0, 2.0, 2.0, 5.0]), np.array([2.0, 0.0, 2.0])
    expected = stats.mannwhitneyu(x, y).statistic / (x.size * y.size)
    interval = improvement([x], [y], BOOT, paired=False)
    assert interval.value == pytest.approx(expected)
    assert 0 <= interval.low <= interval.value <= interval.high <= 1


def test_improvement_of_pairs_draws_the_same_seeds_of_both() -> None:
    """The same runs twice: however seeds are drawn, as many are above as below. Independent draws do differ."""
    x = np.arange(8.0)
    assert improvement([x], [x], BOOT, paired=False).low < 0.4
    pairs = improvement([x], [x], BOOT, paired=True)
    assert (pairs.low, pairs.value, pairs.high) == (0.5, 0.5, 0.5)


@pytest.mark.parametrize("family", FAMILIES, ids=str)
def test_holm_is_the_frozen_one(family: dict) -> None:
    assert holm(family["p"]) == pytest.approx(family["holm"], abs=1e-12)


def test_holm_by_hand() -> None:
    assert holm([0.01, 0.04, 0.03]) == pytest.approx([0.03, 0.06, 0.06])
    assert holm([]) == []


def test_holm_does_not_count_what_was_not_tested() -> None:
    corrected = holm([0.01, math.nan, 0.04])
    assert corrected[::2] == pytest.approx([0.02, 0.04])
    assert math.isnan(corrected[1])
