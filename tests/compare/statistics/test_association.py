"""Rank correlation against SciPy's."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from smoothrl.compare.statistics.association import spearman
from smoothrl.compare.statistics.bootstrap import Bootstrap

BOOT = Bootstrap(resamples=2000)


def test_value_is_scipys_with_and_without_ties() -> None:
    generator = np.random.default_rng(0)
    for decimals in (0, 8):
        x = [generator.normal(size=6).round(decimals) for _ in range(3)]
        y = [(runs + generator.normal(size=6)).round(decimals) for runs in x]
        expected = stats.spearmanr(np.concatenate(x), np.concatenate(y)).statistic
        assert spearman(x, y, BOOT).value == pytest.approx(expected, abs=1e-12)


def test_interval_holds_the_truth_of_normal_scores_as_often_as_it_says() -> None:
    """Of normal pairs with correlation r, Spearman's is 6 / pi * arcsin(r / 2)."""
    generator, r, held = np.random.default_rng(1), 0.6, []
    truth = 6 / np.pi * np.arcsin(r / 2)
    for seed in range(200):
        x, z = generator.normal(size=(2, 30))
        y = r * x + np.sqrt(1 - r**2) * z
        interval = spearman([x], [y], Bootstrap(1000, seed=seed))
        held.append(not interval.excludes(truth))
    assert 0.9 <= np.mean(held) <= 0.99


def test_any_rising_function_is_a_perfect_association() -> None:
    x = np.arange(1.0, 11.0)
    interval = spearman([x[:5], x[5:]], [np.exp(x[:5]), np.exp(x[5:])], BOOT)
    assert (interval.value, interval.low, interval.high) == pytest.approx((1, 1, 1))


def test_runs_are_drawn_with_both_their_numbers_and_within_their_variant() -> None:
    """Two variants far apart in both, without any association inside: drawn from one pot, some resamples would hold one
    variant alone, and their correlation would be anything."""
    generator = np.random.default_rng(2)
    x = [generator.normal(size=5), 100 + generator.normal(size=5)]
    y = [generator.normal(size=5), 100 + generator.normal(size=5)]
    assert spearman(x, y, BOOT).low > 0.4
    assert spearman([np.concatenate(x)], [np.concatenate(y)], BOOT).low < spearman(x, y, BOOT).low


def test_what_has_no_rank_correlation_is_not_given_one() -> None:
    x = np.arange(6.0)
    for nothing in (
        spearman([x[:4]], [x[:4]], BOOT),
        spearman([np.ones(6)], [x], BOOT),
        spearman([x], [np.ones(6)], BOOT),
        spearman([], [], BOOT),
    ):
        assert np.isnan([nothing.value, nothing.low, nothing.high]).all()


def test_resamples_without_spread_are_left_out() -> None:
    x, y = np.array([0.0, 0.0, 0.0, 0.0, 1.0]), np.arange(5.0)
    interval = spearman([x], [y], BOOT)  # a third of the resamples miss the last run
    assert interval.value == pytest.approx(stats.spearmanr(x, y).statistic)
    assert np.isfinite([interval.low, interval.high]).all()


def test_one_run_per_variant_has_no_bounds() -> None:
    runs = [np.array([float(i)]) for i in range(6)]
    interval = spearman(runs, runs, BOOT)
    assert interval.value == 1
    assert np.isnan([interval.low, interval.high]).all()
