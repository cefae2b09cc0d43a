"""For all tests: signals as a terminal has them; a made-up comparison, whose figures are drawn from a seed."""

from __future__ import annotations

import signal
from collections.abc import Callable

import numpy as np
import pytest

from smoothrl.compare.result import (
    METRICS,
    STATISTICS,
    Association,
    Band,
    Comparison,
    Count,
    Difference,
    Efficiency,
    Estimate,
    HeatMap,
    Interval,
    Normalization,
    Point,
    Profile,
    Recovery,
    Role,
    RunRow,
    Tunability,
    VariantRow,
    Verdict,
)

# Under nohup, or behind a shell's `&`, signals are ignored, and children inherit that, those that tests signal too.
signal.signal(signal.SIGHUP, signal.SIG_DFL)
signal.signal(signal.SIGINT, signal.default_int_handler)

MakeComparison = Callable[..., Comparison]

VARIANTS: dict[str, tuple[Role, float]] = {
    "plain": ("baseline", 0.5), "spectral": ("smooth", 0.8), "gradient-penalty": ("smooth", 0.6),
    "plain-eps": ("control", 0.52), "div-grad": ("adapted", 0.75), "mul-eps": ("adapted", 0.78),
    "div-out": ("adapted", 0.3), "dal": ("adapted", 0.66),
}  # fmt: skip
TASKS = {"Pendulum-v1": (-1234.0, 0.0), "Hopper-v5": (18.0, 3800.0)}
TAGS = ("eval/mean_reward", "smoothness/lipschitz_lower_obs", "drift/relative")


@pytest.fixture(scope="session")
def make_comparison() -> MakeComparison:
    """`make_comparison(text=..., tasks=2, seeds=5, grid=True)`; `text` is applied to every name and sentence."""
    return _comparison


@pytest.fixture(scope="session")
def comparison() -> Comparison:
    """Two tasks, eight variants, five seeds, a grid, a diverged and a missing run."""
    return _comparison()


def _comparison(
    text: Callable[[str], str] = lambda name: name, tasks: int = 2, seeds: int = 5, grid: bool = True
) -> Comparison:
    rng = np.random.default_rng(0)
    bounds = {text(task): TASKS[task] for task in list(TASKS)[:tasks]}
    level = {text(variant): mean for variant, (_, mean) in VARIANTS.items()}
    roles = {text(variant): role for variant, (role, _) in VARIANTS.items()}
    plain, spectral = text("plain"), text("spectral")
    steps = np.arange(250, 2001, 250)
    seed_names = [str(seed) for seed in range(seeds)]

    def interval(value: float, width: float) -> Interval:
        low, high = np.sort(rng.uniform(0.5, 1.5, 2)) * width
        return Interval(float(value), float(value - low), float(value + high))

    def raw(task: str, normalized: float) -> float:
        low, high = bounds[task]
        return float(low + normalized * (high - low))

    verdicts: dict[str, Verdict] = dict(
        zip(level, ["no", "recovers", "partly", "no", "recovers", "unclear", "no", "partly"], strict=True)
    )
    runs, counts, bands, efficiency, associations, heat_maps = [], [], [], [], [], []
    for task in bounds:
        for i, variant in enumerate(level):
            missing, diverged = (variant == text("dal")), (variant == text("div-out"))
            counts.append(Count(task, variant, seeds, seeds - missing, int(diverged), 0, 0, int(missing)))
            curves = {
                seed: np.array([raw(task, level[variant] * s / 2000 + rng.normal(0, 0.05)) for s in steps])
                for seed in seed_names
            }
            for tag in TAGS:
                middle = np.mean(list(curves.values()), axis=0) if tag == TAGS[0] else np.exp(-steps / 900) * (i + 1)
                width = np.abs(middle) * 0.1 + 0.01
                seed_curves = curves if tag == TAGS[0] else {}
                bands.append(Band(task, variant, text(tag), steps, middle, middle - width, middle + width, seed_curves))
            for seed in seed_names:
                gone, broken = missing and seed == "1", diverged and seed == "2"
                status = "queued" if gone else "diverged" if broken else "finished"
                why = "no run" if gone else "counts at the task's worst return from step 750 on" if broken else ""
                scores = {} if gone else {metric: float(curves[seed][-1]) for metric in METRICS}
                folder = text(f"runs/study/{task}/{variant}/seed-{seed}")
                versions = {"python": "3.11.7", "torch": "2.13.0", "smoothrl": "0.1.0", "git": "190b3d3"}
                notices = (text("the last record of the event file is torn"),) if broken else ()
                last = 0 if gone else 2000
                runs.append(
                    RunRow(
                        task, variant, seed, folder, status, last, not gone, text(why), scores, 60.5, versions, notices
                    )
                )
            efficiency.append(
                Efficiency(task, variant, raw(task, 0.5), seeds - i % 3, seeds, Interval(900.0 + i, 700.0, np.inf))
            )
        for tag in TAGS[1:]:
            points = [
                Point(variant, seed, float(rng.lognormal()), raw(task, level[variant] + rng.normal(0, 0.1)))
                for variant in level
                for seed in seed_names
            ]
            associations.append(Association(task, text(tag), "final", interval(-0.3, 0.2), tuple(points)))
        for group in (plain, spectral):
            heat_maps.append(
                HeatMap(task, "final", group, "", text("agent.learning_rate"), ("0.0001", "0.001", "0.01"),
                        text("agent.gamma"), ("0.9", "0.99"), np.array([[raw(task, v) for v in rng.random(3)]] * 2))
            )  # fmt: skip

    scopes: list[str | None] = [None, *bounds] if tasks > 1 else list(bounds)
    estimates = [
        Estimate(task, variant, metric, statistic, interval(
            level[variant] if task is None or statistic == "optimality_gap" else raw(task, level[variant]),
            0.05 if task is None or statistic == "optimality_gap" else 0.05 * (bounds[task][1] - bounds[task][0]),
        ), seeds, task is None or statistic == "optimality_gap")
        for task in scopes for variant in level for metric in METRICS for statistic in STATISTICS
    ]  # fmt: skip
    names = list(level)
    differences = [
        Difference(task, metric, first, second, interval(level[first] - level[second], 0.1), interval(0.6, 0.1),
                   float(rng.random() / 10), float(min(1.0, rng.random())), paired=True)
        for task in scopes for metric in METRICS for i, second in enumerate(names) for first in names[i + 1 :]
    ]  # fmt: skip
    tau = np.linspace(0, 1.2, 41)
    profiles = [
        Profile(task, variant, tau, share, np.clip(share - 0.1, 0, 1), np.clip(share + 0.1, 0, 1))
        for task in scopes for variant in level for share in [1 / (1 + np.exp(12 * (tau - level[variant])))]
    ]  # fmt: skip
    recoveries = [
        Recovery(task, metric, plain, spectral, variant, interval(0.3, 0.1), interval(level[variant] - 0.5, 0.1),
                 interval((level[variant] - 0.5) / 0.3, 0.3), verdicts[variant])
        for task in scopes for metric in ("final", "auc")
        for variant in names if roles[variant] in ("adapted", "control")
    ]  # fmt: skip
    if scopes[-1] != scopes[0]:
        recoveries += [
            Recovery(scopes[-1], metric, plain, text("gradient-penalty"), variant, Interval(0.1, -0.1, 0.3),
                     interval(level[variant] - 0.5, 0.1), None, "no benefit to recover")
            for metric in ("final", "auc") for variant in names if roles[variant] in ("adapted", "control")
        ]  # fmt: skip
    return Comparison(
        title=text("recover-pendulum"),
        sources=(text("runs/recover-pendulum"),),
        tag=text(TAGS[0]),
        tasks=tuple(bounds),
        variants=tuple(
            VariantRow(name, roles[name], {} if name == plain else {
                text("optimizer_adaptations[0].kind"): ("", text(name)),
                text("agent.critic_optimizer_kwargs.eps"): (text("1e-08"), text("0.0003125")),
            }, None, {}) for name in level
        ),
        baseline=plain,
        smooth=(spectral, text("gradient-penalty")),
        runs=tuple(runs),
        counts=tuple(counts),
        estimates=tuple(estimates),
        differences=tuple(differences),
        efficiency=tuple(efficiency),
        bands=tuple(bands),
        profiles=tuple(profiles),
        recoveries=tuple(recoveries),
        tunability=tuple(
            Tunability(task, "final", group, 6, interval(0.5, 0.2), interval(0.6, 0.2))
            for task in scopes for group in (plain, spectral)
        ) if grid else (),
        heat_maps=tuple(heat_maps) if grid else (),
        associations=tuple(associations),
        normalization=tuple(
            Normalization(task, low, high, text("a random policy, and the suite's upper bound"))
            for task, (low, high) in bounds.items()
        ),
        verdicts=(
            text("spectral has a benefit over plain: its final return is 0.30 [0.21, 0.41] higher (normalized)."),
            text("div-grad recovers the gain of spectral: 0.83 [0.61, 1.12]."),
            text("div-out does not: -0.67 [-0.93, -0.41]."),
        ),
        cautions=(text("4 seeds: intervals from so few runs are rough."), text("1 of 80 runs diverged.")),
        methods=text("Scores are means over the last 10 % of steps. Intervals are 95 % bootstrap intervals."),
        confidence=0.95,
        resamples=10_000,
        seed=0,
        command=text("smoothrl compare runs/recover-pendulum"),
        made="2026-01-02T03:04:05+00:00, smoothrl 0.1.0",
    )  # fmt: skip
