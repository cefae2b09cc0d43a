"""How well a mean over tasks of means over runs is known: its variance, and the degrees of freedom behind that.

The runs of one variant on one task are a stratum: an independent sample with a spread of its own. A sum of stratum
means, each with the same weight, has the variance sum of v_k = s_k^2 / n_k. That this is itself an estimate from few
runs is what Student's t is for, with the degrees of freedom of Welch and Satterthwaite.

Source: Satterthwaite, An Approximate Distribution of Estimates of Variance Components, Biometrics Bulletin 1946.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from smoothrl.compare.runs import Floats, Ints

ROUNDING = 1e-12
"""Spread below this share of the scores' size is rounding, not spread."""


def variances(strata: Sequence[Floats]) -> Floats:
    """(strata,): the variance of each stratum's mean, s^2 / n; NaN for one run or infinite scores, 0 for equal ones."""
    return np.array([_variance(runs) for runs in strata])


def _variance(runs: Floats) -> float:
    if runs.size < 2 or not np.isfinite(runs).all():
        return float("nan")
    if np.ptp(runs) <= ROUNDING * np.max(np.abs(runs)):
        return 0.0
    return float(np.var(runs, ddof=1)) / runs.size


def degrees_of_freedom(variances: Floats, sizes: Sequence[int] | Ints) -> float:
    """Degrees of freedom of a sum of variances: (sum of v_k)^2 / sum of v_k^2 / (n_k - 1).

    Args:
        variances: (strata,) of the strata's means.
        sizes: runs per stratum.
    """
    free = np.array(sizes) - 1.0
    largest = np.max(variances, initial=0.0)
    if largest == 0:
        return float(np.sum(free))
    share = variances / largest  # squares of tiny variances would vanish
    return float(np.sum(share) ** 2 / np.sum(share**2 / free))
