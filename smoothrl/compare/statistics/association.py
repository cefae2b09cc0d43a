"""How a measured quantity goes with the return, run by run: rank correlation."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from scipy import stats  # type: ignore[import-untyped]

from smoothrl.compare.result import Interval
from smoothrl.compare.runs import Floats
from smoothrl.compare.statistics.bootstrap import Bootstrap

FEWEST = 5
"""Points below which a rank correlation says nothing."""


def spearman(x: Sequence[Floats], y: Sequence[Floats], boot: Bootstrap) -> Interval:
    """Spearman's rank correlation over all runs, ties at their mean rank; runs are drawn again within their variant.

    Args:
        x: the measured quantity of the runs of each variant.
        y: the return of the same runs.
        boot: for the interval.

    NaN for fewer than 5 points, or if all x or all y are equal. Resamples of equal x or y have no correlation, and the
    interval is that of the others.
    """
    all_x, all_y = np.concatenate([*x, []]), np.concatenate([*y, []])
    value = float(_rank_correlation(all_x, all_y)) if all_x.size >= FEWEST else float("nan")
    if np.isnan(value):
        return Interval(value, value, value)
    chosen = boot.draws([runs.size for runs in x])
    replicates = _rank_correlation(
        np.concatenate([runs[drawn] for runs, drawn in zip(x, chosen, strict=True)], axis=-1),
        np.concatenate([runs[drawn] for runs, drawn in zip(y, chosen, strict=True)], axis=-1),
    )
    low, high = boot.bounds(replicates[~np.isnan(replicates)], y)
    return Interval(value, float(low), float(high))


def _rank_correlation(x: Floats, y: Floats) -> Floats:
    """(...,): Pearson's correlation of the ranks along the last axis; NaN where one of the two does not vary."""
    x, y = (
        ranks - np.mean(ranks, axis=-1, keepdims=True)
        for ranks in (stats.rankdata(x, axis=-1), stats.rankdata(y, axis=-1))
    )
    size = np.sqrt(np.sum(x**2, axis=-1) * np.sum(y**2, axis=-1))
    return np.divide(np.sum(x * y, axis=-1), size, out=np.full(size.shape, np.nan), where=size > 0)
