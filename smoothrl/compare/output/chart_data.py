"""What the charts of the report draw, as JSON: small enough to be mailed, safe inside a `<script>`."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from smoothrl.compare.result import METRIC_NAMES, STATISTIC_NAMES, Comparison, Interval
from smoothrl.compare.wording import visible

MOST_NUMBERS = 80_000
"""In all curves of a page: about half a megabyte. Longer curves are drawn from every k-th point."""
POINTS = (40, 250)
"""Fewest and most points of a curve: below, its shape is lost; above, it is finer than the screen."""
DIGITS = 5


def chart_data(comparison: Comparison) -> dict[str, Any]:
    """Everything that is drawn; a task or a variant is its place in `tasks` or `variants`, -1 is "over all tasks"."""
    task: dict[str | None, int] = {None: -1} | {name: i for i, name in enumerate(comparison.tasks)}
    variant = {row.name: i for i, row in enumerate(comparison.variants)}
    columns = sum(4 + len(band.seeds) for band in comparison.bands)
    points = int(np.clip(MOST_NUMBERS // max(columns, 1), *POINTS))

    bands = []
    for band in comparison.bands:
        kept = _evenly(len(band.steps), points)
        bands.append(
            {
                "task": task[band.task], "variant": variant[band.variant], "tag": band.tag,
                "x": [int(step) for step in band.steps[kept]],
                "y": _rounded(band.mean[kept]), "low": _rounded(band.low[kept]), "high": _rounded(band.high[kept]),
                "seeds": {seed: _rounded(values[kept]) for seed, values in band.seeds.items()},
            }
        )  # fmt: skip
    return {
        "tasks": comparison.tasks,
        "variants": [row.name for row in comparison.variants],
        "metrics": METRIC_NAMES,
        "statistics": STATISTIC_NAMES,
        "bands": bands,
        "profiles": [
            {
                "task": task[profile.task], "variant": variant[profile.variant], "x": _rounded(profile.tau),
                "y": _rounded(profile.share), "low": _rounded(profile.low), "high": _rounded(profile.high),
            }
            for profile in comparison.profiles
        ],
        "recoveries": [
            {
                "task": task[found.task], "metric": found.metric, "variant": variant[found.variant],
                "of": found.smooth, "note": found.verdict, **_interval(found.recovered),
            }
            for found in comparison.recoveries
        ],
        "estimates": [
            {
                "task": task[found.task], "metric": found.metric, "variant": variant[found.variant],
                "statistic": found.statistic, "normalized": found.normalized, **_interval(found.interval),
            }
            for found in comparison.estimates
        ],
        "improvements": [
            {
                "task": task[found.task], "metric": found.metric, "variant": variant[found.first],
                **_interval(found.improvement),
            }
            for found in comparison.against_baseline
        ],
        "associations": [
            {
                "task": task[found.task], "metric": found.metric, "tag": found.tag,
                "spearman": _interval(found.spearman),
                "points": [
                    {"variant": variant[point.variant], "seed": point.seed, "x": _round(point.x), "y": _round(point.y)}
                    for point in found.points
                ],
            }
            for found in comparison.associations
        ],
    }  # fmt: skip


def script_json(data: Any) -> str:
    """JSON that no HTML parser takes for markup: `<`, `>`, `&` and all beyond ASCII are escaped."""
    text = json.dumps(_visible(data), separators=(",", ":"), allow_nan=False)
    return text.replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026")


def _evenly(length: int, most: int) -> npt.NDArray[np.int64]:
    """At most so many places of a curve, evenly spread, the first and the last always."""
    return np.unique(np.linspace(0, length - 1, min(length, most)).round().astype(np.int64))


def _round(value: float) -> float | None:
    """To significant digits; JSON has no NaN and no infinity, and neither can be drawn."""
    if not np.isfinite(value):
        return None
    rounded = float(f"{value:.{DIGITS}g}")
    return int(rounded) if rounded.is_integer() else rounded


def _rounded(values: npt.NDArray[np.float64]) -> list[float | None]:
    return [_round(value) for value in values.tolist()]


def _interval(interval: Interval | None) -> dict[str, float | None]:
    if interval is None:
        return {"value": None, "low": None, "high": None}
    return {"value": _round(interval.value), "low": _round(interval.low), "high": _round(interval.high)}


def _visible(data: Any) -> Any:
    """The same data with `visible` applied to every string, keys included."""
    if isinstance(data, str):
        return visible(data)
    if isinstance(data, Mapping):
        return {visible(key): _visible(value) for key, value in data.items()}
    if isinstance(data, Sequence):
        return [_visible(value) for value in data]
    return data
