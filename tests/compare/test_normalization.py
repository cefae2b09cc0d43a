"""Score bounds: the suites' where all tasks have some, else the baseline's own."""

from __future__ import annotations

import math

import pytest

from smoothrl import suites
from smoothrl.compare.normalization import normalizations

BASELINE = {"CartPole-v1": (20.0, 400.0), "Mine-v0": (-10.0, 5.0)}


def test_the_suites_bounds() -> None:
    (found,) = normalizations("eval/mean_reward", ["CartPole-v1"], BASELINE)
    bounds = {task.id: task.bounds for task in suites.tasks()}
    assert (found.low, found.high) == bounds["CartPole-v1"]


@pytest.mark.parametrize(
    ("tag", "tasks"),
    [("eval/mean_reward", ["CartPole-v1", "Mine-v0"]), ("train/critic_loss", ["CartPole-v1"])],
)
def test_a_task_without_bounds_or_another_quantity(tag: str, tasks: list[str]) -> None:
    """All tasks are normalized alike, or their scores could not be put together."""
    found = normalizations(tag, tasks, BASELINE)
    assert [(each.low, each.high) for each in found] == [BASELINE[task] for task in tasks]


def test_a_baseline_that_did_not_improve_normalizes_nothing() -> None:
    (found,) = normalizations("eval/mean_reward", ["Mine-v0"], {"Mine-v0": (5.0, 5.0)})
    assert math.isnan(found.low)
    assert "did not improve" in found.source
