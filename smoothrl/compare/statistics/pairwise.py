"""One variant against another: how much better, how often, and how sure."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from scipy import stats  # type: ignore[import-untyped]

from smoothrl.compare.result import Interval
from smoothrl.compare.runs import Floats
from smoothrl.compare.statistics.aggregates import Samples, mean, probability_of_improvement, task_means
from smoothrl.compare.statistics.bootstrap import Bootstrap
from smoothrl.compare.statistics.variance import degrees_of_freedom, variances


def differences(first: Samples, second: Samples) -> list[Floats]:
    """first - second, run by run, of runs that are paired by their seeds.

    Raises:
        ValueError: the variants have different numbers of runs on a task.
    """
    if any(x.shape != y.shape for x, y in zip(first, second, strict=True)):
        raise ValueError("paired runs: each task needs the same seeds of both variants, in the same order")
    return [x - y for x, y in zip(first, second, strict=True)]


def difference(first: Samples, second: Samples, boot: Bootstrap, paired: bool) -> Interval:
    """Mean score of the first minus mean score of the second, mean over tasks.

    Args:
        first: the scores of the runs of each task.
        second: the same tasks in the same order; when paired, the same seeds in the same order.
        boot: draws runs of the two variants independently, or pairs of runs of the same seed.
        paired: whether runs at the same place have the same seed.
    """
    if paired:
        return boot.interval(mean, differences(first, second))
    tasks = len(first)
    return boot.interval(lambda both: mean(both[:tasks]) - mean(both[tasks:]), [*first, *second])


def improvement(first: Samples, second: Samples, boot: Bootstrap, paired: bool) -> Interval:
    """Probability that a run of the first scores above a run of the second, ties counted half, mean over tasks.

    Paired runs change the interval only: seeds are drawn, and with each the runs of both variants. Where all runs of
    one variant are above all of the other, every resample is so too, and the interval has no width.

    Args: as in `difference`.
    """
    tasks = len(first)
    if not paired:
        return boot.interval(lambda both: probability_of_improvement(both[:tasks], both[tasks:]), [*first, *second])
    strata = differences(first, second)
    chosen = boot.draws([runs.size for runs in strata])
    replicates = probability_of_improvement(
        [runs[drawn] for runs, drawn in zip(first, chosen, strict=True)],
        [runs[drawn] for runs, drawn in zip(second, chosen, strict=True)],
    )
    low, high = boot.bounds(replicates, strata)
    return Interval(float(probability_of_improvement(first, second)), float(low), float(high))


def p_value(first: Samples, second: Samples, paired: bool) -> float:
    """Two-sided p-value of no difference between the means over tasks; NaN if a variant has a single run on a task.

    The difference over its standard error, which is put together from the variances of all tasks, against Student's t
    with the degrees of freedom of Satterthwaite. For one task this is Welch's test; for pairs, the paired t-test.

    Scores without any spread have no such ratio. Then the p-value is that of the permutation test in which all tasks
    point the same way: two of all the ways to hand the scores to the variants, or to the members of pairs. If tasks
    contradict one another it is 1.

    Args: as in `difference`.
    """
    strata = differences(first, second) if paired else [*first, *second]
    sizes = [runs.size for runs in strata]
    if min(sizes) < 2:
        return float("nan")
    spread = variances(strata)
    gaps = task_means(first) - task_means(second)
    if not np.any(spread):
        return _permuted(gaps, first, second, paired)
    t = np.sum(gaps) / math.sqrt(np.sum(spread))
    return float(2 * stats.t.sf(abs(t), degrees_of_freedom(spread, sizes)))


def _permuted(gaps: Floats, first: Samples, second: Samples, paired: bool) -> float:
    """The permutation test of scores that are all equal within each variant and task."""
    if np.min(gaps) < 0 < np.max(gaps):
        return 1.0
    ways = 1
    for gap, x, y in zip(gaps, first, second, strict=True):
        if gap != 0:
            ways *= 2**x.size if paired else math.comb(x.size + y.size, x.size)
    return min(1.0, 2 / ways)


def holm(p_values: Sequence[float]) -> list[float]:
    """p-values corrected for having been asked together: at level a, one false claim or more has probability <= a.

    The i-th smallest of m is multiplied by m - i + 1, and none becomes smaller than one before it. NaN, where there was
    no test, stays NaN and is not counted.

    Source: Holm, A Simple Sequentially Rejective Multiple Test Procedure, Scandinavian Journal of Statistics 1979.
    """
    p = np.array(p_values, dtype=float)
    order = np.argsort(p)[: np.count_nonzero(~np.isnan(p))]
    factors = np.arange(order.size, 0, -1)
    p[order] = np.minimum(np.maximum.accumulate(p[order] * factors), 1.0)
    return p.tolist()
