"""What was measured beside the return: smoothness, curvature, drift."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence

import numpy as np

from smoothrl.compare.inclusion import Entry, Field, has
from smoothrl.compare.result import Association, Point
from smoothrl.compare.runs import Run
from smoothrl.compare.score_table import ScoreTable
from smoothrl.compare.statistics.association import spearman
from smoothrl.compare.statistics.bootstrap import Bootstrap
from smoothrl.compare.statistics.scores import finite

PREFIXES = ("smoothness/lipschitz", "smoothness/slope", "smoothness/geometric_complexity", "curvature/", "drift/")
"""Tags of docs/metrics.md that say how smooth a critic is and how far its optimizer is from the flow. The spectral norm
of every single layer is left to TensorBoard."""


def tags(runs: Sequence[Run]) -> tuple[str, ...]:
    """Those that any of these runs measured, in the order of the prefixes."""
    found = sorted({tag for run in runs for tag in run.curves if tag.startswith(PREFIXES)})
    return tuple(tag for prefix in PREFIXES for tag in found if tag.startswith(prefix))


def associations(
    names: Sequence[str], fields: Sequence[Field], measured: Sequence[str], table: ScoreTable, boot: Bootstrap
) -> Iterator[Association]:
    """Each measured quantity at the end of a run against its final return, run by run."""
    for field, tag in itertools.product(fields, measured):
        points = [
            Point(entry.run.variant, entry.run.seed, last, table.raw[field.task][entry.run.variant][entry.run.seed])
            for entry in field.entries
            if entry.curve is not None and has(entry.run, tag) and np.isfinite(last := _last(entry, tag, field.end))
        ]
        by_variant = [found for name in names if (found := [point for point in points if point.variant == name])]
        if len({point.x for point in points}) > 1:  # what never varies goes with nothing
            x = [np.array([point.x for point in found]) for found in by_variant]
            y = [np.array([point.y for point in found]) for found in by_variant]
            yield Association(field.task, tag, "final", spearman(x, y, boot), tuple(points))


def _last(entry: Entry, tag: str, end: int) -> float:
    """The last value up to the horizon; of a diverged run the last one that is a number."""
    curve = finite(entry.run.curves[tag])
    values = curve.values[curve.steps <= end]
    return float(values[-1]) if values.size else float("nan")
