"""Scores of curves against sums done by hand and areas in closed form."""

from __future__ import annotations

import numpy as np
import pytest

from smoothrl.compare.runs import Curve
from smoothrl.compare.statistics.scores import on_grid, score, steps_to, with_floor

NAN, INF = float("nan"), float("inf")


def curve(steps: list[int], values: list[float]) -> Curve:
    return Curve(np.array(steps, dtype=np.int64), np.array(values, dtype=float))


def test_final_is_the_mean_of_the_last_tenth() -> None:
    ramp = curve(list(range(0, 101, 5)), [float(i) for i in range(21)])
    assert score(ramp, 0, 100)["final"] == pytest.approx((18 + 19 + 20) / 3)
    assert score(ramp, 0, 50)["final"] == pytest.approx((9 + 10) / 2)  # 45 and 50: the range, not the curve, ends there


def test_final_is_the_last_point_where_the_last_tenth_has_none() -> None:
    sparse = curve([10, 40, 70, 200], [1.0, 2.0, 3.0, 9.0])
    assert score(sparse, 0, 100)["final"] == 3.0


def test_auc_of_lines_is_exact_and_cut_at_the_range() -> None:
    """The mean height of x over [a, b] is (a + b) / 2 wherever the points lie."""
    line = curve([0, 3, 50, 90, 120], [0.0, 3.0, 50.0, 90.0, 120.0])
    assert score(line, 0, 120)["auc"] == pytest.approx(60.0, rel=1e-12)
    assert score(line, 10, 100)["auc"] == pytest.approx(55.0, rel=1e-12)
    assert score(line, 60, 60)["auc"] == pytest.approx(60.0, rel=1e-12)


def test_auc_of_a_parabola_nears_the_integral() -> None:
    steps = np.arange(0, 10_001, 10)
    parabola = Curve(steps, (steps / 10_000.0) ** 2)
    assert score(parabola, 0, 10_000)["auc"] == pytest.approx(1 / 3, abs=1e-6)


def test_auc_keeps_the_first_value_before_it_and_the_last_after_it() -> None:
    assert score(curve([50, 100], [1.0, 3.0]), 0, 200)["auc"] == pytest.approx((50 * 1 + 50 * 2 + 100 * 3) / 200)


def test_best_is_the_highest_full_window() -> None:
    values = [9.0, 0.0, 0.0, 5.0, 6.0, 1.0, 0.0, 0.0, 0.0, 0.0, 0.0]
    hill = curve(list(range(0, 101, 10)), values)
    assert score(hill, 0, 100)["best"] == pytest.approx((5 + 6) / 2)
    assert score(hill, 0, 100)["final"] == 0.0


@pytest.mark.parametrize("seed", range(20))
def test_best_is_never_below_final(seed: int) -> None:
    generator = np.random.default_rng(seed)
    steps = np.unique(generator.integers(0, 1000, size=30))
    scores = score(Curve(steps, generator.normal(size=steps.size)), 50, 900)
    assert scores["best"] >= scores["final"]


def test_values_that_are_not_finite_are_left_out() -> None:
    clean = curve([0, 20, 40, 60, 80, 100], [0.0, 2.0, 4.0, 6.0, 8.0, 10.0])
    torn = curve([0, 10, 20, 40, 50, 60, 80, 95, 100], [0.0, NAN, 2.0, 4.0, INF, 6.0, 8.0, -INF, 10.0])
    assert score(torn, 0, 100) == score(clean, 0, 100)
    assert steps_to(torn, 9.0) == steps_to(clean, 9.0) == 90.0
    np.testing.assert_array_equal(on_grid(torn, np.array([10, 50, 95])), [1.0, 5.0, 9.5])


def test_a_curve_without_a_point_in_time_has_no_score() -> None:
    for nothing in (curve([], []), curve([0, 10], [NAN, INF]), curve([200], [1.0])):
        assert all(np.isnan(value) for value in score(nothing, 0, 100).values())


def test_steps_to_follows_the_line() -> None:
    rising = curve([100, 200, 300, 400], [0.0, 4.0, 2.0, 8.0])
    assert steps_to(rising, 3.0) == 175.0
    assert steps_to(rising, 4.0) == 200.0
    assert steps_to(rising, 5.0) == 350.0
    assert steps_to(rising, -1.0) == 100.0
    assert steps_to(rising, 8.1) == INF
    assert steps_to(curve([], []), 0.0) == INF


def test_on_grid_is_a_line_inside_and_nan_outside() -> None:
    heights = on_grid(curve([10, 20], [1.0, 3.0]), np.array([0, 10, 15, 20, 21]))
    np.testing.assert_array_equal(heights, [NAN, 1.0, 2.0, 3.0, NAN])
    assert np.isnan(on_grid(curve([], []), np.array([1, 2]))).all()


def test_a_diverged_run_counts_at_the_floor_from_its_last_finite_point_on() -> None:
    fallen = with_floor(curve([0, 50, 60, 70], [10.0, 10.0, NAN, NAN]), 100, -5.0)
    scores = score(fallen, 0, 100)
    assert scores["final"] == -5.0
    assert scores["best"] == 10.0
    assert scores["auc"] == pytest.approx((50 * 10 + 50 * -5) / 100, abs=0.2)  # one step of a line between the two
    assert (fallen.steps[0], fallen.steps[-1]) == (0, 100)


def test_a_run_that_diverged_before_its_first_point_counts_at_the_floor_all_along() -> None:
    for nothing in (curve([], []), curve([10, 20], [NAN, NAN])):
        scores = score(with_floor(nothing, 100, -5.0), 0, 100)
        assert set(scores.values()) == {-5.0}


@pytest.mark.parametrize("last", [99, 100, 120])
def test_a_run_that_diverged_at_the_end_keeps_its_points(last: int) -> None:
    fallen = with_floor(curve([0, last], [1.0, 2.0]), 100, -5.0)
    assert (np.diff(fallen.steps) > 0).all()
    assert (-5.0 in fallen.values) == (last < 100)
