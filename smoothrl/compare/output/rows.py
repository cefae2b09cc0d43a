"""The tables of the report: what a comparison found, in the order and the grouping in which it is read."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from smoothrl.compare.result import (
    METRIC_NAMES,
    Comparison,
    HeatMap,
    Interval,
    Metric,
    Recovery,
    Statistic,
)

HEAT_LEVELS = 9
"""Shades of a heat map, `heat-0` to `heat-8` in report.css."""


@dataclass(frozen=True)
class Block:
    """Rows of a table that belong to one task and one metric: shown together, sorted among themselves."""

    task: int
    """Its place in `Comparison.tasks`, -1 for over all tasks: hostile names stay out of attributes."""
    metric: Metric | None
    heading: str
    rows: list[Any]


def blocks(comparison: Comparison, rows: Iterable[Any]) -> list[Block]:
    """Anything with a `task`, and perhaps a `metric`, grouped by them; over all tasks first, then in their order."""
    places: dict[str | None, int] = {None: -1} | {task: i for i, task in enumerate(comparison.tasks)}
    found: dict[tuple[int, Metric | None], list[Any]] = {}
    for row in rows:
        found.setdefault((places[row.task], getattr(row, "metric", None)), []).append(row)
    return [
        Block(place, metric, _heading(comparison, place, metric), group)
        for (place, metric), group in sorted(found.items(), key=lambda item: item[0][0])
    ]


def _heading(comparison: Comparison, place: int, metric: Metric | None) -> str:
    task = "Over all tasks, normalized" if place < 0 else comparison.tasks[place]
    return task if metric is None else f"{task} · {METRIC_NAMES[metric]}"


@dataclass(frozen=True)
class EstimateRow:
    """All statistics of one variant."""

    task: str | None
    variant: str
    metric: Metric
    runs: int
    intervals: Mapping[Statistic, Interval]


def estimate_rows(comparison: Comparison) -> list[EstimateRow]:
    """One row per task, metric and variant."""
    found: dict[tuple[str | None, Metric, str], dict[Statistic, Interval]] = {}
    runs: dict[tuple[str | None, Metric, str], int] = {}
    for one in comparison.estimates:
        key = (one.task, one.metric, one.variant)
        found.setdefault(key, {})[one.statistic] = one.interval
        runs[key] = one.runs
    return [
        EstimateRow(task, variant, metric, runs[task, metric, variant], intervals)
        for (task, metric, variant), intervals in found.items()
    ]


@dataclass(frozen=True)
class Shaded:
    """A heat map and the shade of each of its cells."""

    map: HeatMap
    task: str
    metric: Metric
    levels: Sequence[Sequence[int]]
    """-1 for a cell without a run."""


def shaded(heat_maps: Sequence[HeatMap]) -> list[Shaded]:
    """Shades on one scale for all maps of the same task and metric, so that groups can be compared."""
    known: dict[tuple[str, Metric], list[float]] = {}
    for each in heat_maps:
        known.setdefault((each.task, each.metric), []).extend(each.scores[np.isfinite(each.scores)].tolist())
    rows = []
    for each in heat_maps:
        scores = known[each.task, each.metric] or [0.0]
        low, high = min(scores), max(scores)
        share = (each.scores - low) / (high - low) if high > low else each.scores * 0 + 1
        levels = np.where(np.isfinite(share), np.nan_to_num(share) * (HEAT_LEVELS - 1), -1).round().astype(int)
        rows.append(Shaded(each, each.task, each.metric, levels.tolist()))
    return rows


def shared_versions(comparison: Comparison) -> dict[str, str]:
    """The versions that all runs with any have in common: said once."""
    recorded = [run.versions.items() for run in comparison.runs if run.versions]
    return dict(item for item in recorded[0] if all(item in other for other in recorded)) if recorded else {}


def without(versions: Mapping[str, str], shared: Mapping[str, str]) -> dict[str, str]:
    """The versions of one run that others do not share."""
    return {name: version for name, version in versions.items() if shared.get(name) != version}


def verdict_class(recovery: Recovery) -> str:
    """The CSS class of a verdict: how it is colored."""
    return {"recovers": "good", "partly": "partly", "no": "bad"}.get(recovery.verdict, "open")
