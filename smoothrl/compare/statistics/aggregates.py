"""Many run scores as one number, by the published definitions.

Familiar instances: the mean; the interquartile mean, which one lucky run cannot move; the optimality gap, which no
task won by far can hide. All take the runs of each task as one array and work along its last axis, so that arrays of
shape (resamples, runs) give the numbers of all resamples at once.

With the same number of runs on every task these are the definitions of Agarwal et al. With different numbers, tasks
keep equal weight: a run of a task with n runs weighs 1/n.

Source: Agarwal, Schwarzer, Castro, Courville, Bellemare, Deep Reinforcement Learning at the Edge of the Statistical
Precipice, NeurIPS 2021.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import numpy as np

from smoothrl.compare.result import Statistic
from smoothrl.compare.runs import Floats

Samples = Sequence[Floats]
"""The scores of the runs of each task, (..., runs): one array per task, in the same order for every variant."""

TRIM = 0.25
"""The share of runs that the interquartile mean leaves out on either side."""


def task_means(samples: Samples) -> Floats:
    """(..., tasks): the mean over the runs of each task; of equal scores exactly that score, however many they are."""
    # Summed up, three scores of 0.1 have another mean than five, and two variants would differ by rounding alone.
    return np.stack([runs[..., 0] + np.mean(runs - runs[..., :1], axis=-1) for runs in samples], axis=-1)


def mean(samples: Samples) -> Floats:
    """Mean over tasks of the mean over runs."""
    return np.mean(task_means(samples), axis=-1)


def median(samples: Samples) -> Floats:
    """Median over tasks of the mean over runs; of one task, where that would be its mean, the median of its runs."""
    if len(samples) == 1:
        return np.median(samples[0], axis=-1)
    return np.median(task_means(samples), axis=-1)


def iqm(samples: Samples) -> Floats:
    """Interquartile mean: the mean of the middle half of all runs of all tasks, taken together.

    Of N runs, floor(N/4) are left out on either side, as in the published definition. With different numbers of runs
    per task, the same share of weight is left out, and the runs at the borders count in part.
    """
    scores = np.concatenate(samples, axis=-1)
    order = np.argsort(scores, axis=-1)
    weights = np.concatenate([np.full(runs.shape[-1], 1 / runs.shape[-1]) for runs in samples]) / len(samples)
    below = np.cumsum(weights[order], axis=-1)
    left_out = int(TRIM * weights.size) / weights.size
    kept = np.diff(np.clip(below, left_out, 1 - left_out), axis=-1, prepend=left_out)
    return np.sum(kept * np.take_along_axis(scores, order, axis=-1), axis=-1) / (1 - 2 * left_out)


def optimality_gap(samples: Samples, gamma: float = 1.0) -> Floats:
    """How far runs stay below gamma, at which better no longer counts: gamma - mean of min(score, gamma)."""
    return gamma - mean([np.minimum(runs, gamma) for runs in samples])


def performance_profile(samples: Samples, tau: Floats) -> Floats:
    """(..., thresholds): the share of runs that score above each threshold, mean over tasks."""
    return np.mean([np.mean(runs[..., None] > tau, axis=-2) for runs in samples], axis=0)


def probability_of_improvement(first: Samples, second: Samples) -> Floats:
    """P(X > Y) + P(X = Y) / 2 for a run X of the first and Y of the second on the same task, mean over tasks."""
    shares = []
    for x, y in zip(first, second, strict=True):
        x, y = x[..., :, None], y[..., None, :]
        shares.append(np.mean(x > y, axis=(-2, -1)) + np.mean(x == y, axis=(-2, -1)) / 2)
    return np.mean(shares, axis=0)


STATISTICS: Mapping[Statistic, Callable[[Samples], Floats]] = {
    "iqm": iqm, "mean": mean, "median": median, "optimality_gap": optimality_gap,
}  # fmt: skip
"""What each name of `result.Statistic` computes."""
