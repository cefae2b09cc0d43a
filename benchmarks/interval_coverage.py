"""How often intervals hold the truth: studies simulated from known populations, with the code that compares real ones.

A population is a list of equally likely scores per task, so that its mean and IQM are known exactly, and a run is a
draw. Tasks differ in level and spread. Printed as Markdown: coverage of the intervals of a variant's mean and IQM; of a
difference and of a probability of improvement, and how often the test errs; of the recovery, and how often it is named.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import cache

import numpy as np
from rich.console import Console
from rich.progress import track
from scipy import stats

from smoothrl.compare.runs import Floats
from smoothrl.compare.statistics.aggregates import Samples, iqm, mean
from smoothrl.compare.statistics.bootstrap import Bootstrap
from smoothrl.compare.statistics.pairwise import difference, improvement, p_value
from smoothrl.compare.statistics.recovery import recovery

SHARES = (np.arange(100_000) + 0.5) / 100_000
SHAPES: Mapping[str, Floats] = {
    "normal": stats.norm.ppf(SHARES),
    "skewed": -stats.gamma.ppf(SHARES, 2),  # a tail of bad runs; skewness -1.4
    "bimodal": np.append(-3 + stats.norm.ppf(SHARES[:30_000] / 0.3) / 2, stats.norm.ppf(SHARES[:70_000] / 0.7) / 2),
    "heavy tail": -stats.lognorm.ppf(SHARES, 0.75),  # skewness -3.2
}
"""Score distributions. Bimodal: three runs of ten fail."""

SEEDS = (5, 10, 20)
TASKS = (1, 6)
STATISTICS: Mapping[str, Callable[[Samples], Floats]] = {"mean": mean, "IQM": iqm}
RECOVERIES: Mapping[str, tuple[float, float]] = {
    "no benefit": (0.0, 0.0), "0": (2.0, 0.0), "0.5": (2.0, 0.5), "1": (2.0, 1.0), "1 of half the gain": (1.0, 1.0),
}  # fmt: skip
"""What is simulated -> the smooth critic's gain in standard deviations of a plain run, and the true recovery."""


@cache
def population(shape: str, tasks: int) -> list[Floats]:
    """The scores of all runs there are, task by task. The standard deviation is one, mean over tasks."""
    scores = SHAPES[shape] / np.std(SHAPES[shape])
    spreads = np.linspace(0.5, 1.5, tasks) if tasks > 1 else [1.0]
    return [level + spread * scores for level, spread in enumerate(spreads)]


@cache
def truth(shape: str, tasks: int, name: str) -> float:
    return float(STATISTICS[name](population(shape, tasks)))


def draw(generator: np.random.Generator, everyone: Sequence[Floats], seeds: int) -> list[Floats]:
    """The runs of one variant of one study."""
    return [generator.choice(scores, seeds) for scores in everyone]


def variants(
    generator: np.random.Generator, everyone: Sequence[Floats], seeds: int, paired: bool, spreads: Sequence[float]
) -> list[list[Floats]]:
    """The runs of several variants with the population's means, and their spreads beside the population's. Of paired
    runs, half of the variance is the seed's and half their own."""
    shared = draw(generator, everyone, seeds)
    found = []
    for spread in spreads:
        study = []
        for own, common, scores in zip(draw(generator, everyone, seeds), shared, everyone, strict=True):
            center = np.mean(scores)
            away = (own + common - 2 * center) / np.sqrt(2) if paired else own - center
            study.append(center + spread * away)
        found.append(study)
    return found


def aggregates(shape: str, tasks: int, seeds: int, boots: Iterable[Bootstrap]) -> Iterator[list[bool]]:
    """Per study and statistic, whether the interval holds the population's, and whether the plain percentile's does."""
    generator = np.random.default_rng([list(SHAPES).index(shape), tasks, seeds])
    for boot in boots:
        samples = draw(generator, population(shape, tasks), seeds)
        tails = [(1 - boot.confidence) / 2, (1 + boot.confidence) / 2]
        held = []
        for name, statistic in STATISTICS.items():
            low, high = np.quantile(statistic(boot.resample(samples)), tails)
            held += [
                not boot.interval(statistic, samples).excludes(truth(shape, tasks, name)),
                bool(low <= truth(shape, tasks, name) <= high),
            ]
        yield held


def pairs(shape: str, tasks: int, seeds: int, boots: Iterable[Bootstrap], paired: bool) -> Iterator[list[bool]]:
    """Two variants of the same population: whether the intervals hold 0 and 1/2, and whether the test errs."""
    generator = np.random.default_rng([list(SHAPES).index(shape), tasks, seeds])
    for boot in boots:
        first, second = variants(generator, population(shape, tasks), seeds, paired, spreads=(1, 1))
        yield [
            not difference(first, second, boot, paired).excludes(0),
            not improvement(first, second, boot, paired).excludes(0.5),
            p_value(first, second, paired) < 1 - boot.confidence,
        ]


def recovered(
    shape: str, tasks: int, seeds: int, boots: Iterable[Bootstrap], paired: bool, gain: float, share: float
) -> Iterator[bool | None]:
    """Whether the interval holds the true share; None where there is said to be no benefit to recover. The smooth
    critic's runs spread half as much as plain ones, the adaptation's half as much again."""
    generator = np.random.default_rng([list(SHAPES).index(shape), tasks, seeds])
    for boot in boots:
        plain, smooth, adapted = variants(generator, population(shape, tasks), seeds, paired, spreads=(1, 0.5, 1.5))
        smooth = [runs + gain for runs in smooth]
        adapted = [runs + share * gain for runs in adapted]
        interval = recovery(plain, smooth, adapted, paired, boot.confidence).recovered
        yield None if interval is None else not interval.excludes(share)


def recovery_cells(shape: str, tasks: int, seeds: int, boots: Sequence[Bootstrap], paired: bool) -> Iterator[str]:
    for gain, share in RECOVERIES.values():
        held = list(recovered(shape, tasks, seeds, boots, paired, gain, share))
        named = [each for each in held if each is not None]
        if gain == 0:
            yield percent(1 - len(named) / len(held))
        else:
            yield f"{percent(np.mean(named))} of {len(named)}" if named else "never named"


def percent(share: float | np.floating) -> str:
    return f"{100 * share:.1f} %"


def main() -> None:
    parser = argparse.ArgumentParser(description="Coverage of intervals on simulated studies.")
    parser.add_argument("--studies", type=int, default=1000, help="simulated per cell")
    parser.add_argument("--resamples", type=int, default=1000, help="of each bootstrap")
    parser.add_argument("--confidence", type=float, default=0.95)
    parser.add_argument("--shapes", nargs="+", choices=SHAPES, default=list(SHAPES))
    args = parser.parse_args()
    boots = [Bootstrap(args.resamples, args.confidence, seed) for seed in range(args.studies)]
    cells = [(shape, tasks, seeds) for shape in args.shapes for tasks in TASKS for seeds in SEEDS]
    both = [(*cell, paired) for cell in cells for paired in (False, True)]
    print(f"Coverage of {percent(args.confidence)} intervals; {args.studies} studies, {args.resamples} resamples.\n")
    console = Console(stderr=True)

    rows = []
    for cell in track(cells, "aggregates", console=console, transient=True):
        rows.append([*cell, *map(percent, np.mean(list(aggregates(*cell, boots)), axis=0))])
    columns = [f"{name}{kind}" for name in STATISTICS for kind in ("", ", plain percentile")]
    table(["scores", "tasks", "seeds", *columns], rows)

    rows = []
    for *cell, paired in track(both, "pairs", console=console, transient=True):
        shares = np.mean(list(pairs(*cell, boots, paired)), axis=0)
        rows.append([*cell, "yes" if paired else "no", *map(percent, shares)])
    table(["scores", "tasks", "seeds", "paired", "difference", "improvement", "test errs"], rows)

    rows = []
    for *cell, paired in track(both, "recovery", console=console, transient=True):
        rows.append([*cell, "yes" if paired else "no", *recovery_cells(*cell, boots, paired)])
    names = [f"true recovery {name}" if gain else f"{name}, said so" for name, (gain, _) in RECOVERIES.items()]
    table(["scores", "tasks", "seeds", "paired", *names], rows)


def table(columns: Sequence[str], rows: Iterable[Sequence[object]]) -> None:
    for cells in (columns, ["---"] * len(columns), *rows):
        print(f"| {' | '.join(map(str, cells))} |")
    print(flush=True)


if __name__ == "__main__":
    main()
