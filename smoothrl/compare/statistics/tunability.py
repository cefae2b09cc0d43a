"""Tunability: how large a part of a hyper-parameter grid is good.

A cell of the grid is good when its mean normalized score is at least 90 % of the best cell's: of all groups, which
asks how many settings reach what can be reached; or of its own group, which asks how carefully a variant must be tuned
to give its own best.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from smoothrl.compare.result import Interval
from smoothrl.compare.runs import Floats
from smoothrl.compare.statistics.aggregates import Samples, mean
from smoothrl.compare.statistics.bootstrap import Bootstrap

GOOD = 0.9
"""The share of the best cell's score from which on a cell is good."""


@dataclass(frozen=True)
class Shares:
    """Shares of good cells of one group; as in `result.Tunability`."""

    share: Interval
    own_share: Interval


def tunability(groups: Mapping[str, Sequence[Samples]], boot: Bootstrap) -> Mapping[str, Shares]:
    """The share of good cells of every group.

    Args:
        groups: group -> its cells; a cell holds the normalized scores of its runs, one array per task.
        boot: draws runs within their cell, so that every resample has a best cell of its own.

    Nothing is within 90 % of a best score that is not above zero: the share is then NaN, and so are the bounds if this
    happens on a resample. With a single run in a cell there are no bounds.
    """
    strata = [runs for group in groups.values() for cell in group for runs in cell]
    scores, replicates = _cell_scores(groups, strata), _cell_scores(groups, boot.resample(strata))

    def interval(name: str, rivals: Iterable[str]) -> Interval:
        value, shares = (
            _good(of[name], np.concatenate([of[r] for r in rivals], axis=-1)) for of in (scores, replicates)
        )
        low, high = boot.bounds(shares, strata)
        return Interval(float(value), float(low), float(high))

    return {name: Shares(interval(name, rivals=groups), interval(name, rivals=[name])) for name in groups}


def _cell_scores(groups: Mapping[str, Sequence[Samples]], strata: Samples) -> dict[str, Floats]:
    """Group -> (..., cells): the mean score of each cell, with the strata handed out in the order of the cells."""
    rest = iter(strata)
    return {
        name: np.stack([mean([next(rest) for _ in cell]) for cell in cells], axis=-1) for name, cells in groups.items()
    }


def _good(cells: Floats, rivals: Floats) -> Floats:
    """(...,): share of cells (..., cells) that come within 90 % of the best of the rivals."""
    best = np.max(rivals, axis=-1, keepdims=True)
    return np.where(best[..., 0] > 0, np.mean(cells >= GOOD * best, axis=-1), np.nan)
