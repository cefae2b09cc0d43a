"""Recovery: how much of the smooth critic's gain an optimizer adaptation gives.

    R = (J_adapted - J_plain) / (J_smooth - J_plain),

with J the mean over runs, mean over tasks. A ratio means something only where its denominator is not zero, so it is
named only where the gain is above zero with confidence. Its interval is Fieller's: all r for which
J_adapted - J_plain - r (J_smooth - J_plain) cannot be told from zero. That set is bounded exactly where the gain is
told from zero, so that one and the same t decides on both.

Source: Fieller, Some Problems in Interval Estimation, Journal of the Royal Statistical Society B 1954.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from scipy import special  # type: ignore[import-untyped]

from smoothrl.compare.result import Interval, Verdict
from smoothrl.compare.runs import Floats
from smoothrl.compare.statistics.aggregates import Samples, mean
from smoothrl.compare.statistics.pairwise import differences
from smoothrl.compare.statistics.variance import degrees_of_freedom, variances


@dataclass(frozen=True)
class RecoveryFigures:
    """What is known of one adaptation; as in `result.Recovery`."""

    gain: Interval
    own_gain: Interval
    recovered: Interval | None
    verdict: Verdict


def recovery(plain: Samples, smooth: Samples, adapted: Samples, paired: bool, confidence: float) -> RecoveryFigures:
    """How much of the gain of `smooth` over `plain` the variant `adapted` has.

    Args:
        plain: the scores of the runs of each task, with a plain critic.
        smooth: the same tasks in the same order, with the smooth critic.
        adapted: the same for the adaptation.
        paired: whether runs at the same place have the same seed.
        confidence: of all three intervals. Those of the gains are Student's, so that a gain is told from zero exactly
            where `pairwise.p_value` is below 1 - confidence.

    With a single run of a variant on a task no bounds are known, and the verdict is "unclear".
    """
    gain, own_gain = float(mean(smooth) - mean(plain)), float(mean(adapted) - mean(plain))
    if min(runs.size for runs in [*plain, *smooth, *adapted]) < 2:
        return RecoveryFigures(_around(gain, math.nan), _around(own_gain, math.nan), None, "unclear")
    covariance = _covariance(plain, smooth, adapted, paired)
    t = _t(_strata(smooth, plain, paired), confidence)
    t_own = _t(_strata(adapted, plain, paired), confidence)
    gains = _around(gain, t * math.sqrt(covariance[0, 0]))
    own_gains = _around(own_gain, t_own * math.sqrt(covariance[1, 1]))
    if gains.low <= 0:
        return RecoveryFigures(gains, own_gains, None, "no benefit to recover")
    recovered = fieller(own_gain, gain, covariance[::-1, ::-1], t)
    return RecoveryFigures(gains, own_gains, recovered, verdict(recovered))


def fieller(numerator: float, denominator: float, covariance: Floats, t: float) -> Interval:
    """The ratio of two estimates: all r with (a - r b)^2 <= t^2 Var(a - r b), between the roots of a quadratic in r.

    Args:
        numerator: a.
        denominator: b, told from zero: |b| > t sd(b).
        covariance: (2, 2) of a and b.
        t: how many standard errors the interval reaches.
    """
    a, b = numerator, denominator
    v_aa, v_ab, _, v_bb = (t**2 * covariance).ravel().tolist()
    reach = math.sqrt(v_bb)
    square, half, constant = (b - reach) * (b + reach), a * b - v_ab, a**2 - v_aa
    root = math.sqrt(max(half**2 - square * constant, 0.0))
    return Interval(a / b, (half - root) / square, (half + root) / square)


def verdict(recovered: Interval) -> Verdict:
    """What an interval of the recovery says about it."""
    if recovered.low > 0:
        return "recovers" if recovered.high >= 1 else "partly"
    return "no" if recovered.high < 1 else "unclear"


def _around(value: float, reach: float) -> Interval:
    return Interval(value, value - reach, value + reach)


def _strata(first: Samples, second: Samples, paired: bool) -> list[Floats]:
    return differences(first, second) if paired else [*first, *second]


def _t(strata: list[Floats], confidence: float) -> float:
    return float(special.stdtrit(degrees_of_freedom(variances(strata), [s.size for s in strata]), (1 + confidence) / 2))


def _covariance(plain: Samples, smooth: Samples, adapted: Samples, paired: bool) -> Floats:
    """(2, 2): of the smooth critic's gain and the adaptation's."""
    tasks = len(plain)
    if paired:
        gains = zip(differences(smooth, plain), differences(adapted, plain), strict=True)
        return np.sum([np.cov(both) / both[0].size for both in gains], axis=0) / tasks**2
    of_plain, of_smooth, of_adapted = (np.sum(variances(samples)) / tasks**2 for samples in (plain, smooth, adapted))
    return np.array([[of_plain + of_smooth, of_plain], [of_plain, of_plain + of_adapted]])
