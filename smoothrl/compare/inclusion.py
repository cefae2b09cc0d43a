"""Which runs enter the statistics, up to which step, and what is said of the others."""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from dataclasses import field as default

import numpy as np

from smoothrl.compare.result import Count, Metric
from smoothrl.compare.runs import Curve, Run
from smoothrl.compare.statistics.scores import finite, score, with_floor

SHORT = 0.9
"""A run that says nothing of its status is unfinished when it ends before this share of the others' way."""


@dataclass(frozen=True, eq=False)
class Entry:
    """One run as the statistics see it."""

    run: Run
    curve: Curve | None
    """The score's points up to the horizon; None when the run does not enter."""
    why: str
    """Why it does not, or how a diverged one does; "" for an ordinary one."""
    scores: Mapping[Metric, float] = default(default_factory=dict)
    """Empty when it does not enter."""


@dataclass(frozen=True, eq=False)
class Field:
    """All runs of one task, over the steps that their finished ones share."""

    task: str
    start: int
    """The last of the first steps."""
    end: int
    """The horizon: the last step of the variant that ends first."""
    entries: tuple[Entry, ...]
    notes: tuple[str, ...]


def field(task: str, runs: Sequence[Run], tag: str) -> Field:
    """Choose the horizon of a task, and score what enters.

    Runs that finished enter, and foreign ones, which say nothing. So does a diverged run: it counts at the worst return
    that any run of the task ever had from its last finite point on, since leaving it out would reward divergence. A run
    that failed or is not finished stays out.

    Args:
        task: its name.
        runs: all runs of this task.
        tag: the curve that scores are taken from.
    """
    whole = [run for run in runs if run.status in ("finished", "unknown") and _finite(run, tag).steps.size]
    ends: dict[str, int] = {}
    for run in whole:
        ends[run.variant] = max(ends.get(run.variant, 0), int(run.curves[tag].steps[-1]))
    if not ends:
        return Field(task, 0, 0, tuple(Entry(run, None, _why_not(run, tag)) for run in runs), ())
    end = min(ends.values())
    whole = [run for run in whole if run.curves[tag].steps[-1] >= SHORT * end]
    firsts = [int(run.curves[tag].steps[0]) for run in whole]
    start = max(firsts) if max(firsts) < end else min(firsts)
    floor = min(float(values.min()) for run in runs if (values := _finite(run, tag).values).size)

    entries = []
    for run in runs:
        curve, why = _entering(run, tag, run in whole, end, floor)
        entries.append(Entry(run, curve, why, score(curve, start, end) if curve is not None else {}))
    longest, shortest = max(ends, key=ends.__getitem__), min(ends, key=ends.__getitem__)
    notes: tuple[str, ...] = ()
    if ends[longest] > end / SHORT:
        rest = f"{longest} goes on to {ends[longest]:,}"
        notes = (f"{task} is compared up to step {end:,}, where {shortest} ends; {rest}.",)
    return Field(task, start, end, tuple(entries), notes)


def counts(fields: Sequence[Field], variants: Sequence[str]) -> tuple[Count, ...]:
    """What became of the runs of every variant on every task, those that are missing included."""
    found = []
    for field_, variant in itertools.product(fields, variants):
        seeds = {entry.run.seed for entry in field_.entries}
        entries = [entry for entry in field_.entries if entry.run.variant == variant]
        left_out = [entry.run.status for entry in entries if entry.curve is None]
        queued = left_out.count("queued")  # a study asked for it: there is no run yet
        failed = left_out.count("failed")
        found.append(
            Count(
                task=field_.task,
                variant=variant,
                expected=len(seeds),
                included=len(entries) - len(left_out),
                diverged=sum(entry.curve is not None and bool(entry.why) for entry in entries),
                failed=failed,
                unfinished=len(left_out) - queued - failed,
                missing=len(seeds) - len(entries) + queued,
            )
        )
    return tuple(found)


def _entering(run: Run, tag: str, is_whole: bool, end: int, floor: float) -> tuple[Curve | None, str]:
    """The curve that a run enters with, and what is to be said of it."""
    values = _finite(run, tag)
    is_lost = has(run, tag) and (not values.steps.size or values.steps[-1] < run.curves[tag].steps[-1])
    if run.status == "diverged" or (is_lost and run.status in ("finished", "unknown")):
        after = f"after step {values.steps[-1]:,}" if values.steps.size else "throughout"
        cause = "diverged" if run.status == "diverged" else f"{tag} is not finite at the end"
        return with_floor(values, end, floor), f"{cause}: counts at the task's worst return {after}"
    if is_whole:
        return run.curves[tag], ""
    if run.status == "unknown" and has(run, tag):
        return None, f"ends at step {run.curves[tag].steps[-1]:,} of {end:,}"
    return None, _why_not(run, tag)


def _why_not(run: Run, tag: str) -> str:
    if run.status in ("finished", "unknown"):
        return f"has no {tag}"
    return f"{run.status}: {run.reason}" if run.reason else run.status


def has(run: Run, tag: str) -> bool:
    """Whether the run has a point of this curve."""
    return tag in run.curves and run.curves[tag].steps.size > 0


def _finite(run: Run, tag: str) -> Curve:
    """The points of a curve whose value is a number; none where the run has no such curve."""
    return finite(run.curves[tag]) if tag in run.curves else Curve(np.array([], np.int64), np.array([]))
