"""Pointwise intervals along a curve. A run is drawn as a whole: at every step it is in the same resamples."""

from __future__ import annotations

import numpy as np

from smoothrl.compare.runs import Floats
from smoothrl.compare.statistics.aggregates import Samples, performance_profile
from smoothrl.compare.statistics.bootstrap import Bootstrap


def band(values: Floats, boot: Bootstrap) -> tuple[Floats, Floats, Floats]:
    """Mean over runs at every step, and its interval.

    Args:
        values: (runs, steps) curves on the same steps; NaN where a run has none.
        boot: for the interval.

    Returns:
        Mean, low and high, each (steps,), over the runs that have a value at the step. Where one run does there are no
        bounds, where none does no mean; both are NaN.
    """
    here = ~np.isnan(values)
    mean, low, high = np.full((3, values.shape[1]), np.nan)
    for present in np.unique(here[:, here.any(axis=0)], axis=1).T:
        steps = np.flatnonzero((here == present[:, None]).all(axis=0))
        runs = values[np.ix_(present, steps)]
        mean[steps] = np.mean(runs, axis=0)
        (counts,) = boot.counts([len(runs)])
        replicates = (counts / len(runs)) @ runs
        # Of one stratum only the number of runs decides how far out the bounds lie, so any step's scores will do.
        low[steps], high[steps] = boot.bounds(replicates, [runs[:, 0]])
    return mean, low, high


def profile_band(samples: Samples, tau: Floats, boot: Bootstrap) -> tuple[Floats, Floats, Floats]:
    """Performance profile: share of runs above each threshold, mean over tasks, and its interval.

    Args:
        samples: the normalized scores of the runs of each task.
        tau: (thresholds,).
        boot: for the interval.

    Returns:
        Share, low and high, each (thresholds,).
    """
    counts = boot.counts([runs.size for runs in samples])
    above = [(runs[:, None] > tau).astype(float) for runs in samples]
    shares = [drawn @ here / len(here) for here, drawn in zip(above, counts, strict=True)]
    low, high = boot.bounds(np.mean(shares, axis=0), samples)
    return performance_profile(samples, tau), low, high
