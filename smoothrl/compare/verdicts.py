"""The answer in sentences."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence

from smoothrl.compare.result import (
    METRIC_NAMES,
    Count,
    Difference,
    Interval,
    Metric,
    Normalization,
    Recovery,
    RunRow,
    Tunability,
    VariantRow,
    Verdict,
)
from smoothrl.compare.wording import interval_text, probability

FEW_SEEDS = 5
HEADLINES: tuple[Metric, ...] = ("final", "auc")
CLAIM = 0.05
"""Corrected p-value below which two variants are said to differ."""
NO_BENEFIT: Verdict = "no benefit to recover"
"""Of the smooth variant, and so of all that are held against it."""
MOST = 12
"""Sentences about single variants; the tables have all."""


def verdicts(
    scope: str | None,
    variants: Sequence[VariantRow],
    smooth: Sequence[str],
    differences: Sequence[Difference],
    recoveries: Sequence[Recovery],
    tunability: Sequence[Tunability],
) -> tuple[str, ...]:
    """What was found, the most important first.

    Args:
        scope: the task that is spoken of; None for all together.
        variants: the baseline first.
        smooth: the smooth variants.
        differences: of variants to their baseline, among others.
        recoveries: all.
        tunability: all.
    """
    differences = [found for found in differences if found.task == scope and found.metric in HEADLINES]
    recoveries = [found for found in recoveries if found.task == scope]
    baselines = {row.name for row in variants if row.role == "baseline"}
    if len(variants) == 1:
        return (f"There is one variant, {variants[0].name}: nothing to hold it against.",)
    if len(baselines) > 1:  # in a grid every point has a baseline of its own: the grid as a whole is the answer
        return tuple(_tunable(found) for found in tunability if found.task == scope and found.metric == "final")
    against = {
        row.name: found
        for row in variants
        if (found := [d for d in differences if d.first == row.name and d.second in baselines])
    }
    others = [name for name in against if name not in smooth]
    telling = [name for name in others if any(_is_told(found) for found in against[name])]
    silent = [name for name in others if name not in telling]
    spoken = [_against(against[name]) for name in smooth if name in against]
    spoken += [said for name in smooth for said in _recovered(name, recoveries)]
    spoken += [_against(against[name]) for name in telling[:MOST]]
    if silent:
        spoken.append(f"Not to be told from {variants[0].name}: {', '.join(silent)}.")
    return tuple(spoken)


def cautions(counts: Sequence[Count], runs: Sequence[RunRow]) -> Iterator[str]:
    """What weakens the figures."""
    fewest = min((count.included for count in counts), default=0)
    if fewest < FEW_SEEDS:
        yield (
            f"The smallest group has {fewest} run{'s' * (fewest != 1)}: below {FEW_SEEDS} seeds an interval is a rough "
            "guess, and single runs can turn the answer around."
        )
    for what, total in (
        ("diverged; they count at the worst return of their task from there on", sum(c.diverged for c in counts)),
        ("failed and are left out", sum(c.failed for c in counts)),
        ("are not finished and are left out", sum(c.unfinished for c in counts)),
        ("are missing", sum(c.missing for c in counts)),
    ):
        if total:
            yield f"{total} of {sum(c.expected for c in counts)} runs {what}."
    for count in [count for count in counts if not count.included][:MOST]:
        yield f"{count.variant} has no run on {count.task} that enters, and no figures there or over all tasks."
    noticed = [run for run in runs if run.notices]
    for run in noticed[:3]:
        yield f"{run.task}/{run.variant}/seed-{run.seed}: {'; '.join(run.notices)}."
    if len(noticed) > 3:
        yield f"{len(noticed) - 3} more runs have notices; see the list of runs."


def not_normalized(bounds: Sequence[Normalization]) -> Iterator[str]:
    """Tasks whose scores stay raw."""
    tasks = [found.task for found in bounds if math.isnan(found.low)]
    if tasks:
        yield (
            f"No normalized scores of {', '.join(tasks)}, and so no profiles, gaps or figures over all tasks: the "
            "suite has no bounds, and the baseline did not improve."
        )


def _against(found: Sequence[Difference]) -> str:
    """One variant and its baseline, on each metric."""
    words = {_direction(d) for d in found}
    word = words.pop() if len(words) == 1 else "differs in part from"
    figures = "; ".join(
        f"{METRIC_NAMES[d.metric]} {_signed(d.difference)}, p {_equals(probability(d.p_holm))}" for d in found
    )
    return f"{found[0].first} {word} {found[0].second}: {figures}."


def _is_told(found: Difference) -> bool:
    """With all other pairs in mind: one interval in twenty lies beside zero by chance alone."""
    return found.p_holm < CLAIM


def _direction(found: Difference) -> str:
    if not _is_told(found):
        return "cannot be told from"
    return "is better than" if found.difference.value > 0 else "is worse than"


def _signed(found: Interval) -> str:
    return f"+{interval_text(found)}" if found.value > 0 else interval_text(found)


def _equals(text: str) -> str:
    return text if text.startswith("<") else f"= {text}"


def _recovered(smooth: str, recoveries: Sequence[Recovery]) -> Iterator[str]:
    """How much of one smooth variant's gain the others give, on each metric; first where there is none to give."""
    by_metric = {metric: [r for r in recoveries if r.smooth == smooth and r.metric == metric] for metric in HEADLINES}
    nothing = [found[0] for found in by_metric.values() if found and found[0].verdict == NO_BENEFIT]
    if nothing:
        gains = " and ".join(f"{_signed(r.gain)} in {METRIC_NAMES[r.metric]}" for r in nothing)
        yield f"No benefit of {smooth} to recover: its gain is {gains}."
    for metric, found in by_metric.items():
        if found and found[0].verdict != NO_BENEFIT:
            said = "; ".join(f"{r.variant} {_share(r)}" for r in found)
            yield f"Of the gain of {smooth} in {METRIC_NAMES[metric]}, {_signed(found[0].gain)}: {said}."


def _share(recovery: Recovery) -> str:
    words = {
        "recovers": "recovers it",
        "partly": "recovers a part",
        "no": "does not recover it",
        "unclear": "is unclear",
    }
    return f"{words.get(recovery.verdict, recovery.verdict)} ({interval_text(recovery.recovered)})"


def _tunable(found: Tunability) -> str:
    percent = Interval(*(100 * value for value in (found.share.value, found.share.low, found.share.high)))
    return (
        f"{found.group} comes within 90 % of the best final return on {interval_text(percent)} % of its {found.cells} "
        "settings."
    )
