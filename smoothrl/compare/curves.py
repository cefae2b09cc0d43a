"""What is drawn over steps or thresholds: curves, sample efficiency, performance profiles."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace

import numpy as np

from smoothrl.compare.inclusion import Field, has
from smoothrl.compare.result import Band, Efficiency, Profile
from smoothrl.compare.runs import Curve, Ints
from smoothrl.compare.score_table import ScoreTable
from smoothrl.compare.statistics.bands import band, profile_band
from smoothrl.compare.statistics.bootstrap import Bootstrap
from smoothrl.compare.statistics.efficiency import median_steps
from smoothrl.compare.statistics.scores import on_grid, steps_to

POINTS = 200
"""Most points of a curve."""
NEARLY = 0.95
"""A run has learned what the baseline learns at this share of its way from its first to its final return."""
PROFILE_POINTS = 101


def grid(curves: Sequence[Curve], end: int) -> Ints:
    """Steps to draw curves at, up to the end: all steps that any of them has, or as many as can be seen."""
    steps = np.unique(np.concatenate([curve.steps[curve.steps <= end] for curve in curves]))
    return steps if steps.size <= POINTS else np.unique(np.linspace(steps[0], steps[-1], POINTS).astype(np.int64))


def bands(names: Sequence[str], fields: Sequence[Field], tag: str, boot: Bootstrap) -> Iterator[Band]:
    """The curve of every variant that scores are taken from, with those of its seeds."""
    for field in fields:
        curves = {
            name: {e.run.seed: e.curve for e in field.entries if e.run.variant == name and e.curve is not None}
            for name in names
        }
        yield from _bands_of(field, tag, curves, boot)


def measured_bands(
    names: Sequence[str], fields: Sequence[Field], tags: Sequence[str], boot: Bootstrap
) -> Iterator[Band]:
    """The curves of what was measured beside the score, without those of single seeds."""
    for field, tag in itertools.product(fields, tags):
        curves = {
            name: {
                e.run.seed: e.run.curves[tag]
                for e in field.entries
                if e.run.variant == name and e.curve is not None and has(e.run, tag)
            }
            for name in names
        }
        for found in _bands_of(field, tag, curves, boot):
            yield replace(found, seeds={})


def _bands_of(field: Field, tag: str, curves: Mapping[str, Mapping[str, Curve]], boot: Bootstrap) -> Iterator[Band]:
    all_curves = [curve for by_seed in curves.values() for curve in by_seed.values()]
    if all_curves:
        steps = grid(all_curves, field.end)
        for name, by_seed in curves.items():
            if by_seed:
                seeds = {seed: on_grid(curve, steps) for seed, curve in by_seed.items()}
                yield Band(field.task, name, tag, steps, *band(np.array(list(seeds.values())), boot), seeds)


def efficiency(
    names: Sequence[str], fields: Sequence[Field], ends: Mapping[str, tuple[float, float]], boot: Bootstrap
) -> Iterator[Efficiency]:
    """Steps until every variant has learned nearly all that the baseline learns, on tasks where it learns anything.

    Args:
        names: of the variants.
        fields: the tasks.
        ends: task -> the baseline's mean at its first point, and its mean score at the end.
        boot: for the interval of the median.
    """
    for field, name in itertools.product(fields, names):
        low, high = ends[field.task]
        curves = [e.curve for e in field.entries if e.run.variant == name and e.curve is not None]
        if curves and high > low:
            threshold = low + NEARLY * (high - low)
            steps = np.array([steps_to(curve, threshold) for curve in curves])
            steps[steps > field.end] = np.inf
            reached = int(np.isfinite(steps).sum())
            yield Efficiency(field.task, name, threshold, reached, len(curves), median_steps(steps, boot))


def profiles(
    names: Sequence[str], table: ScoreTable, scopes: Sequence[str | None], boot: Bootstrap
) -> Iterator[Profile]:
    """Performance profiles, over thresholds from the lowest normalized score, or 0, to the highest, or 1."""
    for scope in scopes:
        samples = {name: found for name in names if (found := table.samples(name, scope, normalized=True))}
        if samples:
            values = np.concatenate([runs for found in samples.values() for runs in found])
            tau = np.linspace(min(0.0, values.min()), max(1.0, values.max()), PROFILE_POINTS)
            for name, found in samples.items():
                yield Profile(scope, name, tau, *profile_band(found, tau, boot))
