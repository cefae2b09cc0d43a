"""Estimates of every variant, and every variant held against others."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping, Sequence

from smoothrl.compare.result import METRICS, STATISTICS, Difference, Estimate, Metric, Recovery, VariantRow
from smoothrl.compare.roles import counterpart
from smoothrl.compare.score_table import ScoreTable
from smoothrl.compare.statistics import aggregates
from smoothrl.compare.statistics.bootstrap import Bootstrap
from smoothrl.compare.statistics.pairwise import difference, holm, improvement, p_value
from smoothrl.compare.statistics.recovery import recovery

COMPARED: tuple[Metric, ...] = ("final", "auc")
"""What variants are tested on: fewer questions, fewer false answers."""
ALL_PAIRS = 10
"""Up to so many variants all pairs are tested; of more, and in a grid, each against its baseline."""
Tables = Mapping[Metric, ScoreTable]


def estimates(
    names: Sequence[str], tables: Tables, scopes: Sequence[str | None], boot: Bootstrap
) -> Iterator[Estimate]:
    """Every statistic of every metric of every variant, for each scope: a task, or None for all."""
    for scope, name, metric in itertools.product(scopes, names, METRICS):
        for statistic in STATISTICS:
            normalized = scope is None or statistic == "optimality_gap"
            if samples := tables[metric].samples(name, scope, normalized):
                found = boot.interval(aggregates.STATISTICS[statistic], samples)
                yield Estimate(scope, name, metric, statistic, found, sum(s.size for s in samples), normalized)


def differences(
    variants: Sequence[VariantRow], tables: Tables, scopes: Sequence[str | None], boot: Bootstrap
) -> Iterator[Difference]:
    """Pairs of variants, on each metric that variants are tested on; p-values are corrected within scope and metric."""
    pairs = _pairs(variants)
    for scope, metric in itertools.product(scopes, COMPARED):
        found = []
        for first, second in pairs:
            x, y = tables[metric].samples(first, scope), tables[metric].samples(second, scope)
            if x and y:
                paired = tables[metric].seeds_match(first, second, scope)
                found.append((first, second, x, y, paired))
        p_values = [p_value(x, y, paired) for _, _, x, y, paired in found]
        for (first, second, x, y, paired), p, corrected in zip(found, p_values, holm(p_values), strict=True):
            yield Difference(
                scope, metric, first, second,
                difference(x, y, boot, paired), improvement(x, y, boot, paired), p, float(corrected), paired,
            )  # fmt: skip


def _pairs(variants: Sequence[VariantRow]) -> list[tuple[str, str]]:
    """(first, second): later against earlier, so that the baseline is always second."""
    if len(variants) <= ALL_PAIRS and variants[0].group is None:
        return [(first.name, second.name) for second, first in itertools.combinations(variants, 2)]
    others = [(row.name, counterpart(row, variants[0].name, variants)) for row in variants[1:]]
    return [(first, second) for first, second in others if second is not None and second != first]


def recoveries(
    variants: Sequence[VariantRow],
    smooth: Sequence[str],
    tables: Tables,
    scopes: Sequence[str | None],
    confidence: float,
) -> Iterator[Recovery]:
    """How much of the gain of each smooth variant every adaptation, and every other plain critic, gives."""
    candidates = [row for row in variants if row.role in ("adapted", "control")]
    for scope, metric, of, row in itertools.product(scopes, COMPARED, _smooth_groups(variants, smooth), candidates):
        plain, target = counterpart(row, variants[0].name, variants), counterpart(row, of, variants)
        if plain is None or target is None:
            continue
        of_plain, of_smooth, adapted = (tables[metric].samples(name, scope) for name in (plain, target, row.name))
        if of_plain and of_smooth and adapted:
            paired = all(tables[metric].seeds_match(name, row.name, scope) for name in (plain, target))
            x = recovery(of_plain, of_smooth, adapted, paired, confidence)
            yield Recovery(scope, metric, plain, target, row.name, x.gain, x.own_gain, x.recovered, x.verdict)


def _smooth_groups(variants: Sequence[VariantRow], smooth: Sequence[str]) -> list[str]:
    """One smooth variant of every group: its counterparts are found from any of its points."""
    groups = {row.group or row.name: row.name for row in reversed(variants) if row.name in smooth}
    return list(reversed(groups.values()))
