"""From runs to a comparison: every figure computed once, for all that show it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib.metadata import version

import numpy as np

from smoothrl.compare import contrasts, curves, grids, inclusion, measured, verdicts
from smoothrl.compare.inclusion import Entry, Field
from smoothrl.compare.methods import methods
from smoothrl.compare.normalization import normalizations
from smoothrl.compare.reading.read import Reading
from smoothrl.compare.result import METRICS, Comparison, Metric, Normalization, RunRow, VariantRow
from smoothrl.compare.roles import rows
from smoothrl.compare.runs import NothingYet, Run
from smoothrl.compare.score_table import ScoreTable
from smoothrl.compare.statistics.bootstrap import Bootstrap


@dataclass(frozen=True)
class Question:
    """What to compare, and how sure to be."""

    tag: str | None = None
    baseline: str | None = None
    smooth: tuple[str, ...] = ()
    confidence: float = 0.95
    resamples: int = 10_000
    seed: int = 0
    command: str = ""


def analyze(reading: Reading, question: Question) -> Comparison:
    """Compute every figure of a comparison.

    Args:
        reading: all runs, those without a curve included.
        question: the curve to score by, who is held against whom, and the bootstrap's settings.

    Raises:
        CompareError: a variant that was named does not exist.
        NothingYet: no run that could enter has the curve.
    """
    runs, tag = reading.runs, question.tag or reading.tag
    variants = rows(runs, question.baseline, question.smooth)
    names = [row.name for row in variants]
    boot = Bootstrap(question.resamples, question.confidence, question.seed)
    fields = _fields(runs, tag)
    tasks = [field.task for field in fields]
    baseline = names[0]
    smooth = tuple(row.name for row in variants if row.role == "smooth")
    if question.smooth:
        smooth = tuple(name for name in smooth if _is_named(name, question.smooth, variants))

    starts = {field.task: _ends_of(baseline, field) for field in fields}
    bounds = {found.task: found for found in normalizations(tag, tasks, starts)}
    tables = {metric: _table(metric, fields, bounds) for metric in METRICS}
    scopes: list[str | None] = [None, *tasks] if len(tasks) > 1 else list(tasks)

    differences = tuple(contrasts.differences(variants, tables, scopes, boot))
    recoveries = tuple(contrasts.recoveries(variants, smooth, tables, scopes, question.confidence))
    tunability = tuple(grids.tunabilities(variants, tables, scopes, boot))
    tags = measured.tags(runs)
    run_rows = tuple(_run_row(field.task, entry, tag) for field in fields for entry in field.entries)
    counted = inclusion.counts(fields, names)
    return Comparison(
        title=reading.title,
        sources=tuple(str(source) for source in reading.sources),
        tag=tag,
        tasks=tuple(tasks),
        variants=variants,
        baseline=baseline,
        smooth=smooth,
        runs=run_rows,
        counts=counted,
        estimates=tuple(contrasts.estimates(names, tables, scopes, boot)),
        differences=differences,
        efficiency=tuple(curves.efficiency(names, fields, starts, boot)),
        bands=(*curves.bands(names, fields, tag, boot), *curves.measured_bands(names, fields, tags, boot)),
        profiles=tuple(curves.profiles(names, tables["final"], scopes, boot)),
        recoveries=recoveries,
        tunability=tunability,
        heat_maps=tuple(grids.heat_maps(variants, tables["final"], tasks)),
        associations=tuple(measured.associations(names, fields, tags, tables["final"], boot)),
        normalization=tuple(bounds.values()),
        verdicts=verdicts.verdicts(scopes[0], variants, smooth, differences, recoveries, tunability),
        cautions=(
            *reading.cautions,
            *verdicts.cautions(counted, run_rows),
            *verdicts.not_normalized(tuple(bounds.values())),
            *(note for field in fields for note in field.notes),
        ),
        methods=methods(question.confidence, question.resamples, question.seed, tag, tuple(bounds.values())),
        confidence=question.confidence,
        resamples=question.resamples,
        seed=question.seed,
        command=question.command,
        made=f"{datetime.now(UTC).isoformat(timespec='seconds')}, smoothrl {version('smoothrl')}",
    )


def _fields(runs: Sequence[Run], tag: str) -> list[Field]:
    by_task: dict[str, list[Run]] = {}
    for run in runs:
        by_task.setdefault(run.task, []).append(run)
    fields = [inclusion.field(task, found, tag) for task, found in by_task.items()]
    if not any(entry.curve for field in fields for entry in field.entries):
        raise NothingYet(f"no run is finished and has {tag}: there is nothing to compare yet")
    return fields


def _is_named(name: str, named: Sequence[str], variants: Sequence[VariantRow]) -> bool:
    row = next(row for row in variants if row.name == name)
    return name in named or row.group in named


def _ends_of(baseline: str, field: Field) -> tuple[float, float]:
    """The baseline's mean at its first point, and its mean score at the end."""
    entries = [entry for entry in field.entries if entry.run.variant == baseline]
    firsts = [entry.curve.values[0] for entry in entries if entry.curve is not None]
    finals = [entry.scores["final"] for entry in entries if entry.curve is not None]
    return (float(np.mean(firsts)), float(np.mean(finals))) if finals else (np.nan, np.nan)


def _table(metric: Metric, fields: Sequence[Field], bounds: Mapping[str, Normalization]) -> ScoreTable:
    raw: dict[str, dict[str, dict[str, float]]] = {}
    for field in fields:
        of_task = raw.setdefault(field.task, {})
        for entry in field.entries:
            if entry.curve is not None:
                of_task.setdefault(entry.run.variant, {})[entry.run.seed] = entry.scores[metric]
    return ScoreTable(raw, bounds)


def _run_row(task: str, entry: Entry, tag: str) -> RunRow:
    run, record = entry.run, entry.run.record or {}
    versions = {name: str(found) for name, found in (record.get("versions") or {}).items()}
    if record.get("python"):
        versions["python"] = str(record["python"])
    if git := record.get("git"):
        versions["git"] = f"{git['commit'][:10]}{' (changed)' if git['dirty'] else ''}"
    if cpu := (record.get("machine") or {}).get("cpu"):
        versions["cpu"] = str(cpu)
    curve = run.curves.get(tag)
    return RunRow(
        task=task,
        variant=run.variant,
        seed=run.seed,
        folder=str(run.folder),
        status=run.status,
        steps=int(curve.steps[-1]) if curve is not None and curve.steps.size else 0,
        included=entry.curve is not None,
        why_not=entry.why,
        scores=entry.scores,
        wall_time_s=record.get("wall_time_s"),
        versions=versions,
        notices=run.notices,
    )
