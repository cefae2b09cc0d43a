"""What a study with a grid of settings shows: how much of the grid is good, and a map of it."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping, Sequence

import numpy as np

from smoothrl.compare.contrasts import COMPARED, Tables
from smoothrl.compare.result import HeatMap, Tunability, VariantRow
from smoothrl.compare.roles import one_line
from smoothrl.compare.score_table import ScoreTable
from smoothrl.compare.statistics.bootstrap import Bootstrap
from smoothrl.compare.statistics.tunability import tunability


def tunabilities(
    variants: Sequence[VariantRow], tables: Tables, scopes: Sequence[str | None], boot: Bootstrap
) -> Iterator[Tunability]:
    """The share of every group's grid that is good, on each metric and scope. A cell without a run is not counted."""
    groups = _groups(variants)
    for scope, metric in itertools.product(scopes, COMPARED):
        samples = {
            group: [found for row in rows if (found := tables[metric].samples(row.name, scope, normalized=True))]
            for group, rows in groups.items()
        }
        samples = {group: cells for group, cells in samples.items() if cells}
        for group, shares in tunability(samples, boot).items() if samples else ():
            yield Tunability(scope, metric, group, len(samples[group]), shares.share, shares.own_share)


def heat_maps(variants: Sequence[VariantRow], table: ScoreTable, tasks: Sequence[str]) -> Iterator[HeatMap]:
    """The mean final return in every cell: one map per task, group, and combination of what is beyond two axes."""
    for task, (group, rows) in itertools.product(tasks, _groups(variants).items()):
        x_axis, y_axis, *others = [*dict.fromkeys(path for row in rows for path in row.settings), "", ""]
        others = [path for path in others if path]
        of_rest: dict[str, list[VariantRow]] = {}
        for row in rows:
            rest = ", ".join(f"{path} {_value(row.settings, path)}" for path in others)
            of_rest.setdefault(rest, []).append(row)
        for rest, cells in of_rest.items():
            x_values, y_values = _values(cells, x_axis), _values(cells, y_axis)
            scores = np.full((len(y_values), len(x_values)), np.nan)
            for row in cells:
                if samples := table.samples(row.name, task):
                    place = y_values.index(_value(row.settings, y_axis)), x_values.index(_value(row.settings, x_axis))
                    scores[place] = np.mean(samples[0])
            yield HeatMap(task, "final", group, rest, x_axis, x_values, y_axis, y_values, scores)


def _groups(variants: Sequence[VariantRow]) -> Mapping[str, list[VariantRow]]:
    """Group -> its points, for groups that have more than one."""
    groups: dict[str, list[VariantRow]] = {}
    for row in variants:
        if row.group is not None and row.settings:
            groups.setdefault(row.group, []).append(row)
    return {group: rows for group, rows in groups.items() if len(rows) > 1}


def _values(rows: Sequence[VariantRow], axis: str) -> tuple[str, ...]:
    """The values of an axis, in the order of the study."""
    return tuple(dict.fromkeys(_value(row.settings, axis) for row in rows))


def _value(settings: Mapping[str, object], path: str) -> str:
    return one_line(settings[path]) if path in settings else ""
