"""From the curve of a run to numbers.

A curve is read as the straight lines between its points. Values that are not finite are left out, so that the line
goes from the point before to the point after; what a diverged run is worth is said by `with_floor`.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from smoothrl.compare.result import Metric
from smoothrl.compare.runs import Curve, Floats, Ints

WINDOW = 0.1
"""Width of the windows for the final and the best return, as a share of the range of steps."""


def finite(curve: Curve) -> Curve:
    """The points whose value is a number."""
    kept = np.isfinite(curve.values)
    return Curve(curve.steps[kept], curve.values[kept].astype(float))


def score(curve: Curve, start: float, end: float) -> Mapping[Metric, float]:
    """The scores of a run over the steps from start to end; NaN for a curve without a finite point up to end.

    - final: mean over the points in the last 10 % of the range, or the last point before if there is none;
    - auc: the area under the curve divided by the width of the range. Before its first point and after its last a
      curve counts at that point's value;
    - best: the highest mean over the points of a window of 10 % of the range. Windows end at each point, and at the
      end, so that the best is never below the final return.
    """
    curve = finite(curve)
    within = curve.steps <= end
    if not within.any():
        return {"final": float("nan"), "auc": float("nan"), "best": float("nan")}
    width = WINDOW * (end - start)
    ends = np.append(curve.steps[within & (curve.steps >= start + width)], end)
    means = _window_means(Curve(curve.steps[within], curve.values[within]), ends, width)
    return {"final": float(means[-1]), "auc": _area(curve, start, end), "best": float(np.max(means))}


def _window_means(curve: Curve, ends: Floats, width: float) -> Floats:
    """Mean over the points in [end - width, end], or the last point before."""
    after = np.searchsorted(curve.steps, ends, side="right")
    first = np.minimum(np.searchsorted(curve.steps, ends - width, side="left"), after - 1)
    return np.add.reduceat(np.append(curve.values, 0.0), np.stack([first, after], axis=-1).ravel())[::2] / (
        after - first
    )


def _area(curve: Curve, start: float, end: float) -> float:
    """Mean height of the curve between start and end."""
    if end <= start:
        return float(np.interp(end, curve.steps, curve.values))
    inner = curve.steps[(curve.steps > start) & (curve.steps < end)]
    steps = np.concatenate([[start], inner, [end]])
    return float(np.trapezoid(np.interp(steps, curve.steps, curve.values), steps) / (end - start))


def steps_to(curve: Curve, threshold: float) -> float:
    """The step at which the curve, drawn as lines, first reaches the threshold; infinite when it never does."""
    curve = finite(curve)
    reached = np.flatnonzero(curve.values >= threshold)
    if reached.size == 0:
        return float("inf")
    i = reached[0]
    if i == 0:
        return float(curve.steps[0])
    (before, at), (low, high) = curve.steps[i - 1 : i + 1], curve.values[i - 1 : i + 1]
    return float(before + (at - before) * ((threshold - low) / (high - low)))


def on_grid(curve: Curve, steps: Ints) -> Floats:
    """(steps,): the height of the curve at these steps; NaN outside its points."""
    curve = finite(curve)
    if curve.steps.size == 0:
        return np.full(len(steps), np.nan)
    return np.interp(steps, curve.steps, curve.values, left=np.nan, right=np.nan)


def with_floor(curve: Curve, end: int, floor: float) -> Curve:
    """The curve of a diverged run: after its last finite point it counts at the floor until the end.

    Args:
        curve: as the run wrote it.
        end: the step at which the other runs end.
        floor: the return that a diverged agent is held to have, such as the worst that was seen on the task.
    """
    kept = finite(curve)
    if kept.steps.size == 0:
        fallen = np.unique([0, end])
    else:
        last = kept.steps[-1]
        fallen = np.unique([last + 1, end]) if last < end else np.array([], dtype=kept.steps.dtype)
    floors = np.full(fallen.size, float(floor))
    return Curve(np.append(kept.steps, fallen), np.append(kept.values, floors))
