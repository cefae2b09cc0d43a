"""Bands step by step against the interval of that step alone, and gaps."""

from __future__ import annotations

import numpy as np
import pytest

from smoothrl.compare.statistics.aggregates import mean
from smoothrl.compare.statistics.bands import band, profile_band
from smoothrl.compare.statistics.bootstrap import Bootstrap

BOOT = Bootstrap(resamples=2000)


def test_a_band_is_the_interval_of_the_mean_at_every_step() -> None:
    values = np.random.default_rng(0).normal(size=(8, 5)).cumsum(axis=1)
    middle, low, high = band(values, BOOT)
    for step in range(5):
        expected = BOOT.interval(mean, [values[:, step]])
        assert (middle[step], low[step], high[step]) == pytest.approx((expected.value, expected.low, expected.high))


def test_runs_are_drawn_whole() -> None:
    """Curves that differ by a constant. Mean and bounds then have their shape, which draws step by step would break."""
    shape = np.array([0.0, 5.0, -3.0, 2.0])
    levels = np.random.default_rng(0).normal(size=(6, 1))
    for edge in band(levels + shape, BOOT):
        np.testing.assert_allclose(edge - edge[0], shape, atol=1e-12)


def test_runs_without_a_value_are_left_out_where_they_have_none() -> None:
    values = np.random.default_rng(0).normal(size=(6, 4))
    values[4:, 2] = np.nan
    values[1:, 3] = np.nan
    middle, low, high = band(values, BOOT)
    for step, present in ((0, 6), (1, 6), (2, 4)):
        expected = BOOT.interval(mean, [values[:present, step]])
        assert (middle[step], low[step], high[step]) == pytest.approx((expected.value, expected.low, expected.high))
    assert middle[3] == values[0, 3]
    assert np.isnan([low[3], high[3]]).all()


def test_where_no_run_has_a_value_there_is_none() -> None:
    values = np.array([[1.0, np.nan], [2.0, np.nan]])
    assert all(np.isnan(edge[1]) for edge in band(values, BOOT))
    assert all(np.isnan(edge).all() for edge in band(np.full((3, 2), np.nan), BOOT))
    assert all(edge.shape == (0,) for edge in band(np.empty((3, 0)), BOOT))


def test_profile_band_is_the_interval_of_the_share_at_every_threshold() -> None:
    generator = np.random.default_rng(0)
    samples = [generator.normal(size=n) for n in (10, 6)]
    tau = np.linspace(-2, 2, 9)
    shares, low, high = profile_band(samples, tau, BOOT)
    for i, threshold in enumerate(tau):
        expected = BOOT.interval(lambda drawn, t=threshold: mean([(runs > t).astype(float) for runs in drawn]), samples)
        assert (shares[i], low[i], high[i]) == pytest.approx((expected.value, expected.low, expected.high))
    assert (np.diff(shares) <= 0).all()
    assert ((low <= shares) & (shares <= high)).all()
