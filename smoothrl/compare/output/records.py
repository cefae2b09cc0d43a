"""A comparison as records, one kind per CSV file: every digit, one row per result or per point of a curve."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import Field, dataclass, fields
from typing import Any

from smoothrl.compare.output.sheets import OVER_TASKS
from smoothrl.compare.result import (
    METRICS,
    Association,
    Band,
    Comparison,
    Difference,
    Efficiency,
    Estimate,
    Interval,
    Profile,
    Recovery,
    Tunability,
)

UNKNOWN = Interval(float("nan"), float("nan"), float("nan"))


@dataclass(frozen=True)
class Records:
    """The content of one file."""

    columns: tuple[str, ...]
    rows: tuple[tuple[Any, ...], ...]


def records(comparison: Comparison) -> dict[str, Records]:
    """What each kind of result is called -> its records; those without any keep their columns."""
    return {
        "runs": _runs(comparison),
        "scores": _flat(Estimate, comparison.estimates),
        "comparisons": _flat(Difference, comparison.differences),
        "recovery": _flat(Recovery, comparison.recoveries),
        "efficiency": _flat(Efficiency, comparison.efficiency),
        "tunability": _flat(Tunability, comparison.tunability),
        "profiles": _points(Profile, comparison.profiles, ("tau", "share", "low", "high")),
        "curves": _points(Band, comparison.bands, ("steps", "mean", "low", "high")),
        "associations": _associations(comparison),
    }


def _runs(comparison: Comparison) -> Records:
    columns = (
        "task", "variant", "seed", "status", "steps", "included", "why_not", *METRICS, "wall_time_s", "folder",
        "versions", "notices",
    )  # fmt: skip
    rows = tuple(
        (
            run.task, run.variant, run.seed, run.status, run.steps, run.included, run.why_not,
            *(run.scores.get(metric) for metric in METRICS), run.wall_time_s, run.folder,
            "; ".join(f"{package} {version}" for package, version in run.versions.items()), "; ".join(run.notices),
        )
        for run in comparison.runs
    )  # fmt: skip
    return Records(columns, rows)


def _associations(comparison: Comparison) -> Records:
    """One row per run in a scatter; the correlation of the whole scatter is repeated."""
    columns = (*_columns(Association, without=("points",)), "variant", "seed", "x", "y")
    rows = tuple(
        (*_cells(found, without=("points",)), point.variant, point.seed, point.x, point.y)
        for found in comparison.associations
        for point in found.points
    )
    return Records(columns, rows)


def _flat(kind: type, rows: Iterable[Any]) -> Records:
    return Records(_columns(kind), tuple(_cells(row) for row in rows))


def _points(kind: type, rows: Iterable[Any], arrays: Sequence[str]) -> Records:
    """One row per point of curves that are arrays of one length."""
    without = (*arrays, "seeds")
    expanded = []
    for row in rows:
        start = _cells(row, without)
        expanded += [(*start, *point) for point in zip(*(getattr(row, name).tolist() for name in arrays), strict=True)]
    return Records((*_columns(kind, without), *arrays), tuple(expanded))


def _columns(kind: type, without: Sequence[str] = ()) -> tuple[str, ...]:
    """The names of a result's fields; an interval is three columns, the first of which is called like the field."""
    names: list[str] = []
    for field in fields(kind):
        if field.name in without:
            continue
        name = "value" if field.name == "interval" else field.name
        names += [name, f"{name}_low", f"{name}_high"] if _is_interval(field) else [name]
    return tuple(names)


def _cells(row: Any, without: Sequence[str] = ()) -> tuple[Any, ...]:
    """The values that belong below `_columns`."""
    values: list[Any] = []
    for field in fields(row):
        if field.name in without:
            continue
        value = getattr(row, field.name)
        if _is_interval(field):
            interval = value or UNKNOWN
            values += [interval.value, interval.low, interval.high]
        else:
            values.append(OVER_TASKS if field.name == "task" and value is None else value)
    return tuple(values)


def _is_interval(field: Field[Any]) -> bool:
    return field.type in ("Interval", "Interval | None")  # annotations are text
