"""What a comparison found: plain values that tables, figures, pages and TensorBoard only have to draw.

Everywhere `task=None` means: over all tasks, from normalized scores. NaN means that a value cannot be known.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from smoothrl.compare.runs import Floats, Ints

Metric = Literal["final", "auc", "best"]
"""One number of a run: its return at the end, its mean return over the training (the area under the curve divided by
its width), or the best of its windows."""
METRICS: tuple[Metric, ...] = ("final", "auc", "best")
METRIC_NAMES: Mapping[Metric, str] = {"final": "final return", "auc": "area under the curve", "best": "best window"}

Statistic = Literal["iqm", "mean", "median", "optimality_gap"]
STATISTICS: tuple[Statistic, ...] = ("iqm", "mean", "median", "optimality_gap")
STATISTIC_NAMES: Mapping[Statistic, str] = {
    "iqm": "IQM", "mean": "mean", "median": "median", "optimality_gap": "optimality gap",
}  # fmt: skip

Role = Literal["baseline", "smooth", "adapted", "both", "control"]
"""What a variant is to the question: the plain critic that all are measured against; a critic regularizer; an optimizer
adaptation; both; or another plain critic, such as the twin of an adaptation that changes one setting by hand."""

Verdict = Literal["recovers", "partly", "no", "unclear", "no benefit to recover"]


@dataclass(frozen=True)
class Interval:
    """An estimate and its interval."""

    value: float
    low: float
    high: float

    def excludes(self, value: float) -> bool:
        """Whether the interval, known on both sides, lies beside the value."""
        return value < self.low or value > self.high


@dataclass(frozen=True)
class RunRow:
    """One run, whether it entered the statistics or not."""

    task: str
    variant: str
    seed: str
    folder: str
    status: str
    steps: int
    """Its last step with a point; 0 without any."""
    included: bool
    why_not: str
    """Why it is left out, or how a diverged one is counted; "" for an ordinary one."""
    scores: Mapping[Metric, float]
    """Raw, in the unit of the return; empty unless included."""
    wall_time_s: float | None
    versions: Mapping[str, str]
    """Package -> version, and `python`, `git`, `cpu` where known."""
    notices: tuple[str, ...]


@dataclass(frozen=True)
class VariantRow:
    """One variant and how its config differs from the baseline's."""

    name: str
    role: Role
    differences: Mapping[str, tuple[str, str]]
    """Dotted path -> (the baseline's value, this variant's value) as YAML in one line; "" where one has none."""
    group: str | None
    settings: Mapping[str, Any]


@dataclass(frozen=True)
class Count:
    """What became of the runs of one variant on one task."""

    task: str
    variant: str
    expected: int
    included: int
    diverged: int
    """Included too, from the divergence on at the worst return of the task."""
    failed: int
    unfinished: int
    """Running, interrupted, changed, queued, or shorter than the others."""
    missing: int
    """Seeds that other variants of the task have, or that the study asks for, without a run."""


@dataclass(frozen=True)
class Estimate:
    """One statistic of one metric of one variant."""

    task: str | None
    variant: str
    metric: Metric
    statistic: Statistic
    interval: Interval
    runs: int
    normalized: bool
    """Always for `task=None`; the optimality gap of a task too."""


@dataclass(frozen=True)
class Difference:
    """How much more one variant scores than another: difference of means, raw for a task, normalized over tasks."""

    task: str | None
    metric: Metric
    first: str
    second: str
    difference: Interval
    """first - second; where one of them is the baseline, that is the second."""
    improvement: Interval
    """Probability that a run of `first` scores above one of `second`, ties counted half, mean over tasks."""
    p: float
    p_holm: float
    """Corrected for all pairs of the same task and metric."""
    paired: bool
    """Whether runs of the same seed were held against each other."""


@dataclass(frozen=True)
class Efficiency:
    """Steps until a run's curve reaches a threshold for the first time."""

    task: str
    variant: str
    threshold: float
    """In the unit of the return."""
    reached: int
    runs: int
    median: Interval
    """Median of steps over runs; infinite where half of them never reach it."""


@dataclass(frozen=True, eq=False)
class Band:
    """A curve of one variant: mean over seeds and its pointwise interval, whole runs resampled."""

    task: str
    variant: str
    tag: str
    steps: Ints
    mean: Floats
    low: Floats
    high: Floats
    seeds: Mapping[str, Floats]
    """Seed -> its own curve on the same steps, NaN where it has none. Empty for tags other than the score's."""


@dataclass(frozen=True, eq=False)
class Profile:
    """Performance profile: share of runs whose normalized final score is above tau."""

    task: str | None
    variant: str
    tau: Floats
    share: Floats
    low: Floats
    high: Floats


@dataclass(frozen=True)
class Recovery:
    """How much of the smooth critic's gain a variant gives: (J_variant - J_plain) / (J_smooth - J_plain)."""

    task: str | None
    metric: Metric
    baseline: str
    smooth: str
    variant: str
    gain: Interval
    """J_smooth - J_plain: what there is to recover."""
    own_gain: Interval
    """J_variant - J_plain."""
    recovered: Interval | None
    """None where the gain cannot be told from zero, or is a loss."""
    verdict: Verdict


@dataclass(frozen=True)
class Tunability:
    """Share of a hyper-parameter grid whose score is within 90 % of the best."""

    task: str | None
    metric: Metric
    group: str
    cells: int
    share: Interval
    """Of cells at 0.9 of the best cell of all groups or above, on normalized scores."""
    own_share: Interval
    """The same against the best cell of its own group."""


@dataclass(frozen=True, eq=False)
class HeatMap:
    """Mean raw score over a grid's cells, for two of its axes."""

    task: str
    metric: Metric
    group: str
    rest: str
    """The values of all other axes, in words; "" without any."""
    x_axis: str
    x_values: tuple[str, ...]
    y_axis: str
    y_values: tuple[str, ...]
    """("",) and y_axis "" for a grid of one axis."""
    scores: Floats
    """(len(y_values), len(x_values)); NaN for cells without a run."""


@dataclass(frozen=True)
class Point:
    """One run in a scatter."""

    variant: str
    seed: str
    x: float
    y: float


@dataclass(frozen=True)
class Association:
    """A measured quantity against the return, run by run."""

    task: str
    tag: str
    """Its value at the end of the run is x."""
    metric: Metric
    """y, raw."""
    spearman: Interval
    """Rank correlation, runs resampled within their variant."""
    points: tuple[Point, ...]


@dataclass(frozen=True)
class Normalization:
    """How scores of a task become comparable between tasks: (score - low) / (high - low)."""

    task: str
    low: float
    high: float
    source: str
    """In words: where the bounds come from."""


@dataclass(frozen=True, eq=False)
class Comparison:
    """Everything that a comparison found."""

    title: str
    """The study's name, or the folders."""
    sources: tuple[str, ...]
    """The folders that were read."""
    tag: str
    """The curve that scores are taken from."""
    tasks: tuple[str, ...]
    variants: tuple[VariantRow, ...]
    """The baseline first."""
    baseline: str
    smooth: tuple[str, ...]
    runs: tuple[RunRow, ...]
    counts: tuple[Count, ...]
    estimates: tuple[Estimate, ...]
    differences: tuple[Difference, ...]
    efficiency: tuple[Efficiency, ...]
    bands: tuple[Band, ...]
    profiles: tuple[Profile, ...]
    recoveries: tuple[Recovery, ...]
    tunability: tuple[Tunability, ...]
    heat_maps: tuple[HeatMap, ...]
    associations: tuple[Association, ...]
    normalization: tuple[Normalization, ...]
    verdicts: tuple[str, ...]
    """The answer in sentences, the most important first."""
    cautions: tuple[str, ...]
    """What a reader must know to trust the figures: few seeds, runs left out, a fallback tag, torn files."""
    methods: str
    """A paragraph for a paper: what was computed, and how."""
    confidence: float
    resamples: int
    seed: int
    """Of the bootstrap."""
    command: str
    """What made this comparison, ready to be pasted."""
    made: str
    """When, ISO 8601, and the version of smoothrl."""

    @property
    def baselines(self) -> frozenset[str]:
        """The baseline; in a grid all its points, each for the variants with its settings."""
        return frozenset(row.name for row in self.variants if row.role == "baseline")

    @property
    def against_baseline(self) -> list[Difference]:
        """Every variant and its baseline."""
        return [pair for pair in self.differences if pair.second in self.baselines]

    @property
    def other_pairs(self) -> list[Difference]:
        """The pairs without a baseline."""
        return [pair for pair in self.differences if pair.second not in self.baselines]

    @property
    def held_against(self) -> str:
        """The baseline in words."""
        first = self.variants[0]
        return self.baseline if first.group is None else f"{first.group}, setting by setting"
