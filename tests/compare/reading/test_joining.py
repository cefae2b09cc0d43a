"""Several event files of one run: what a later one replaces, and how points become one value per step."""

from __future__ import annotations

import math

import numpy as np
import pytest

from smoothrl.compare.reading.events import Events
from smoothrl.compare.reading.joining import curve, joined


def file(began: float, restarts_at: int | None = None, **tags: list[int]) -> Events:
    """Every point has the time its file began as its value."""
    steps = np.array([step for points in tags.values() for step in points], dtype=np.int64)
    bounds = (0, *np.cumsum([len(points) for points in tags.values()], dtype=int).tolist())
    times = np.full(len(steps), began)
    return Events(tuple(tags), bounds, steps, times, times, began, restarts_at, "", ())


def points(*files: Events) -> dict[str, list[tuple[int, float]]]:
    curves, _ = joined([(f"events.{i}", found) for i, found in enumerate(files)])
    return {tag: list(zip(c.steps.tolist(), c.values.tolist(), strict=True)) for tag, c in curves.items()}


def test_a_run_that_went_on_keeps_everything() -> None:
    first, second = file(1, a=[1, 2, 3]), file(2, a=[4, 5])
    assert points(first, second) == {"a": [(1, 1), (2, 1), (3, 1), (4, 2), (5, 2)]}
    assert joined([("x", first), ("y", second)])[1] == ()


def test_a_run_that_was_rewound_loses_what_came_after() -> None:
    """Its other tags are left alone: an evaluation that a second program logs at step 0 costs no training curve."""
    first, second = file(1, a=[100, 200, 300], b=[100, 200, 300]), file(2, a=[200, 250])
    assert points(first, second) == {"a": [(100, 1), (200, 2), (250, 2)], "b": [(100, 1), (200, 1), (300, 1)]}
    _, notices = joined([("x", first), ("y", second)])
    assert notices == (
        "2 event files, and y starts again at step 200: 2 points that earlier ones have from there on are left out",
    )


def test_the_order_is_that_of_the_first_events() -> None:
    assert points(file(2, a=[2]), file(1, a=[1, 2, 3])) == {"a": [(1, 1), (2, 2)]}


def test_a_run_that_began_anew_loses_everything_before() -> None:
    assert points(file(1, a=[500, 1000]), file(2, a=[500])) == {"a": [(500, 2)]}


def test_a_marked_restart_cuts_all_tags_of_all_files_before() -> None:
    files = file(1, a=[1, 5, 9], b=[1, 5, 9]), file(2, a=[10, 11]), file(3, restarts_at=5, a=[7])
    assert points(*files) == {"a": [(1, 1), (7, 3)], "b": [(1, 1)]}


def test_a_marked_restart_with_nothing_after_it() -> None:
    assert points(file(1, a=[1, 5]), file(2, restarts_at=0)) == {}


def test_a_restart_is_told_with_its_lowest_step_and_the_lower_of_two_counts() -> None:
    first = file(1, a=list(range(0, 100, 10)))
    assert points(first, file(2, restarts_at=50, a=[30]))["a"] == [(0, 1), (10, 1), (20, 1), (30, 2)]
    _, notices = joined([("x", first), ("y", file(2, restarts_at=30, a=[50]))])
    assert "y starts again at step 30: 7 points" in notices[0]


def test_no_files() -> None:
    assert joined([]) == ({}, ())


def test_of_points_at_one_step_the_last_counts() -> None:
    found = curve("eval/mean_reward", np.array([3, 1, 3, 2, 1]), np.array([1.0, 2.0, 3.0, 4.0, 5.0]))
    assert (found.steps.tolist(), found.values.tolist()) == ([1, 2, 3], [5, 4, 3])


def test_of_episodes_that_end_at_one_step_the_mean_counts() -> None:
    """Against a plain loop."""
    rng = np.random.default_rng(0)
    steps, values = rng.integers(0, 50, 300), rng.normal(size=300)
    found = curve("charts/episodic_return", steps, values)
    assert found.steps.tolist() == sorted(set(steps.tolist()))
    expected = [math.fsum(values[steps == step]) / np.count_nonzero(steps == step) for step in found.steps]
    np.testing.assert_allclose(found.values, expected, rtol=1e-12)


@pytest.mark.parametrize("tag", ["eval/mean_reward", "charts/episodic_return"])
def test_steps_that_rise_are_taken_as_they_are(tag: str) -> None:
    steps, values = np.array([-5, 0, 7]), np.array([np.nan, np.inf, 1])
    found = curve(tag, steps, values)
    assert found.steps is steps
    assert found.values is values
    assert len(curve(tag, steps[:0], values[:0]).steps) == 0
