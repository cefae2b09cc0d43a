"""The tables that are read in a terminal, in Markdown and in a paper: the same cells, each as text."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from smoothrl.compare.result import STATISTIC_NAMES, STATISTICS, Comparison, Estimate, Interval, Metric
from smoothrl.compare.wording import MISSING, interval_text, number, probability, typed, visible

OVER_TASKS = "all tasks"
SCORE: Metric = "final"
"""The metric that tables show in full."""
SHORT: Mapping[Metric, str] = {"final": "final", "auc": "AUC", "best": "best"}
LEGEND = (
    "final and AUC: mean over runs of the return at the end, and over the whole training; div.: runs that diverged, "
    "included at the worst return of the task; P(better): probability that a run scores above one of the baseline"
)
"""What the short heads mean."""


@dataclass(frozen=True)
class Column:
    """The head of a column."""

    name: str
    is_number: bool = True
    """Its cells are ours, numbers and signs; those of the others hold names of anyone, to be escaped."""
    rank: int = 0
    """Where there is no room, the column with the highest rank goes first; 0 stays."""


@dataclass(frozen=True)
class Sheet:
    """A table of text."""

    title: str
    columns: tuple[Column, ...]
    rows: tuple[tuple[str, ...], ...]


def cell(text: str) -> str:
    """Text of anyone, in one line, with nothing hidden in it."""
    return visible(text).replace("\n", "\\n").replace("\t", "\\t")


def score_sheets(comparison: Comparison) -> list[Sheet]:
    """How every variant scores: over all tasks where there are several, then task by task."""
    over = [_over_tasks(comparison)] if any(one.task is None for one in comparison.estimates) else []
    return over + [_of_task(comparison, task) for task in comparison.tasks]


def _of_task(comparison: Comparison, task: str) -> Sheet:
    means = _intervals(one for one in comparison.estimates if one.statistic == "mean" and one.task == task)
    counts = {count.variant: count for count in comparison.counts if count.task == task}
    diverged = any(count.diverged for count in counts.values())
    against = _Against(comparison, task)
    rows = []
    for variant in comparison.variants:
        count = counts.get(variant.name)
        runs = f"{count.included}/{count.expected}" if count else MISSING
        rows.append((
            cell(variant.name), variant.role, runs, *([str(count.diverged) if count else MISSING] if diverged else []),
            interval_text(means.get((variant.name, SCORE, "mean"))),
            interval_text(means.get((variant.name, "auc", "mean"))),
            *against.cells(variant.name),
        ))  # fmt: skip
    columns = (
        Column("variant", is_number=False), Column("role", is_number=False, rank=2), Column("runs"),
        *([Column("div.")] if diverged else []),
        Column("final return"), Column("AUC", rank=3), *_Against.columns,
    )  # fmt: skip
    return Sheet(cell(task), columns, tuple(rows))


def _over_tasks(comparison: Comparison) -> Sheet:
    found = _intervals(one for one in comparison.estimates if one.task is None)
    against = _Against(comparison, None)
    rows = tuple(
        (
            cell(variant.name), variant.role,
            *(interval_text(found.get((variant.name, SCORE, statistic))) for statistic in STATISTICS),
            *against.cells(variant.name),
        )
        for variant in comparison.variants
    )  # fmt: skip
    ranks = {"iqm": 0, "mean": 5, "median": 7, "optimality_gap": 6}
    statistics = (Column(STATISTIC_NAMES[name], rank=ranks[name]) for name in STATISTICS)
    columns = (
        Column("variant", is_number=False), Column("role", is_number=False, rank=2), *statistics, *_Against.columns,
    )  # fmt: skip
    return Sheet("All tasks: normalized final return", columns, rows)


class _Against:
    """The cells that hold a variant against the baseline."""

    columns = (Column("minus baseline"), Column("p (Holm)", rank=1), Column("P(better)", rank=4))

    def __init__(self, comparison: Comparison, task: str | None) -> None:
        pairs = comparison.against_baseline
        self._pairs = {pair.first: pair for pair in pairs if pair.task == task and pair.metric == SCORE}

    def cells(self, variant: str) -> tuple[str, str, str]:
        """None for the baseline itself."""
        pair = self._pairs.get(variant)
        if pair is None:
            return MISSING, MISSING, MISSING
        return interval_text(pair.difference), probability(pair.p_holm), interval_text(pair.improvement)


def recovery_sheet(comparison: Comparison) -> Sheet:
    """How much of each smooth critic's gain every variant gives."""
    rows = tuple(
        (
            cell(one.variant), cell(one.smooth), _task(one.task), SHORT[one.metric],
            interval_text(one.gain), interval_text(one.own_gain), interval_text(one.recovered), one.verdict,
        )
        for one in comparison.recoveries
    )  # fmt: skip
    columns = (
        Column("variant", is_number=False), Column("gain of", is_number=False), Column("task", is_number=False),
        Column("score", is_number=False), Column("gain", rank=1), Column("own gain", rank=2), Column("recovered"),
        Column("verdict", is_number=False),
    )  # fmt: skip
    return Sheet("Recovery of the smooth critic's gain", columns, rows)


def tunability_sheet(comparison: Comparison) -> Sheet:
    """How wide the usable region of hyper-parameters is."""
    rows = tuple(
        (
            cell(one.group), _task(one.task), SHORT[one.metric], str(one.cells),
            interval_text(one.share), interval_text(one.own_share),
        )
        for one in comparison.tunability
    )  # fmt: skip
    columns = (
        Column("variant", is_number=False), Column("task", is_number=False), Column("score", is_number=False),
        Column("grid points"), Column("within 90 % of the best"), Column("of its own best", rank=1),
    )  # fmt: skip
    return Sheet("Tunability: share of the grid that works", columns, rows)


def efficiency_sheet(comparison: Comparison) -> Sheet:
    """Steps until a curve first reaches the threshold."""
    rows = tuple(
        (
            cell(one.task), cell(one.variant), typed(number(one.threshold)), f"{one.reached}/{one.runs}",
            interval_text(one.median),
        )
        for one in comparison.efficiency
    )  # fmt: skip
    columns = (
        Column("task", is_number=False), Column("variant", is_number=False), Column("threshold"), Column("reached"),
        Column("median steps"),
    )  # fmt: skip
    return Sheet("Sample efficiency", columns, rows)


def _task(task: str | None) -> str:
    return OVER_TASKS if task is None else cell(task)


def _intervals(estimates: Iterable[Estimate]) -> dict[tuple[str, Metric, str], Interval]:
    return {(one.variant, one.metric, one.statistic): one.interval for one in estimates}


def variant_sheet(comparison: Comparison) -> Sheet:
    """What each variant is: how its config differs from the baseline's."""
    rows = tuple(
        (
            cell(one.name), one.role,
            "; ".join(
                f"{cell(path)}: {cell(before) or MISSING} → {cell(after) or MISSING}"
                for path, (before, after) in one.differences.items()
            ),
        )
        for one in comparison.variants
    )  # fmt: skip
    names = ("variant", "role", "differences from the baseline")
    return Sheet("Variants", tuple(Column(name, is_number=False) for name in names), rows)
