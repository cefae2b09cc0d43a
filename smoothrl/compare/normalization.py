"""Score bounds: what counts as 0 and as 1 on each task, so that tasks can be put together."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

from smoothrl import suites
from smoothrl.compare.result import Normalization

RETURNS = ("eval/mean_reward", "rollout/ep_rew_mean", "rollout/episodic_return", "charts/episodic_return")
"""Tags whose unit is the task's return, which is what a suite's bounds are in."""


def normalizations(
    tag: str, tasks: Sequence[str], baseline: Mapping[str, tuple[float, float]]
) -> tuple[Normalization, ...]:
    """One for each task: the suites' bounds if all tasks have some and the tag is a return, else the baseline's own.

    Args:
        tag: what the scores are taken from.
        tasks: their ids.
        baseline: task -> the baseline's mean at its first point and its mean score at the end.
    """
    known = {task.id: task.bounds for task in suites.tasks() if task.bounds}
    if tag in RETURNS and all(task in known for task in tasks):
        return tuple(
            Normalization(task, *known[task], source="random actions, and the return that counts as solved")
            for task in tasks
        )
    return tuple(_by_baseline(task, *baseline.get(task, (math.nan, math.nan))) for task in tasks)


def _by_baseline(task: str, low: float, high: float) -> Normalization:
    if high > low:
        return Normalization(task, low, high, "the baseline's first points, and its mean at the end")
    return Normalization(task, math.nan, math.nan, "none: the suite has no bounds, and the baseline did not improve")
