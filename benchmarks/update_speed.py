"""How fast the agents are, side by side with stock SB3: `make bench`.

Speed: environment steps per second of `learn`, ours against stock SB3. Cost: time of one SAC update with a regularizer
against one without. The two or more that are compared take turns, in one process, on one thread, and what is reported
is the median of the ratios within a turn: a machine that slows down slows all of them. The spread of the same ratios,
from the first to the third quartile, is the noise of the measurement.
"""

from __future__ import annotations

import argparse
import platform
import statistics
import time
from collections.abc import Callable, Mapping

import stable_baselines3 as sb3
import torch
from rich.console import Console
from rich.progress import Progress
from rich.table import Table
from stable_baselines3.common.base_class import BaseAlgorithm

from smoothrl.agents import PPO, SAC, TD3
from smoothrl.critics import CriticRegularizer, GradientPenalty, SpectralNorm
from smoothrl.training.record import cpu_model

AGENTS: Mapping[str, tuple[type[BaseAlgorithm], type[BaseAlgorithm], int]] = {
    "SAC": (SAC, sb3.SAC, 200),
    "TD3": (TD3, sb3.TD3, 200),
    "PPO": (PPO, sb3.PPO, 2048),
}
REGULARIZERS: Mapping[str, tuple[CriticRegularizer, ...]] = {
    "none": (),
    "SpectralNorm, one layer, exact": (SpectralNorm(),),
    "SpectralNorm, one layer, relaxed": (SpectralNorm(mode="relaxed"),),
    "GradientPenalty on (s, a)": (GradientPenalty(coef=0.1, wrt="both"),),
    "both": (SpectralNorm(), GradientPenalty(coef=0.1, wrt="both")),
}
UPDATES = 40


def main() -> None:
    parser = argparse.ArgumentParser(description="Speed of the agents and cost of the regularizers.")
    parser.add_argument("--turns", type=int, default=9, help="how often each takes its turn (at least 5)")
    turns = max(5, parser.parse_args().turns)
    torch.set_num_threads(1)
    console = Console()
    with Progress(console=console, transient=True) as progress:
        task = progress.add_task("measuring", total=turns * (len(AGENTS) + 1))
        speeds = {name: speed(*agents, turns, lambda: progress.advance(task)) for name, agents in AGENTS.items()}
        costs = cost(turns, lambda: progress.advance(task))

    table = Table(title="Environment steps per second, Pendulum-v1, SB3's default arguments")
    for column in ("agent", "stock SB3", "ours", "ours / stock", "noise"):
        table.add_column(column, justify="right")
    for name, seconds in speeds.items():
        steps = AGENTS[name][2]
        rates = [steps / statistics.median(seconds[who]) for who in ("stock", "ours")]
        table.add_row(name, *(f"{rate:.0f}" for rate in rates), *ratio(seconds["stock"], seconds["ours"]))
    console.print(table)

    table = Table(title="Time of one SAC update, batch 256, [256, 256] networks")
    for column in ("critic regularizers", "ms", "over none", "noise"):
        table.add_column(column, justify="right")
    for name, seconds in costs.items():
        table.add_row(name, f"{statistics.median(seconds) * 1e3:.2f}", *ratio(seconds, costs["none"]))
    console.print(table)
    console.print(
        f"{turns} turns, one thread; {cpu_model()}, Python {platform.python_version()}, torch {torch.__version__}, "
        f"stable-baselines3 {sb3.__version__}"
    )


def speed(
    ours: type[BaseAlgorithm], stock: type[BaseAlgorithm], steps: int, turns: int, done: Callable[[], None]
) -> dict[str, list[float]]:
    """Seconds of `learn(steps)` after a warm-up, a list per contestant."""
    models = {
        name: cls("MlpPolicy", "Pendulum-v1", seed=0, device="cpu").learn(max(steps, 300))
        for name, cls in (("stock", stock), ("ours", ours))
    }

    def learn(model: BaseAlgorithm) -> None:
        model.learn(steps, reset_num_timesteps=False)

    return take_turns({name: (lambda m=model: learn(m)) for name, model in models.items()}, turns, done)


def cost(turns: int, done: Callable[[], None]) -> dict[str, list[float]]:
    """Seconds per SAC update, a list per regularizer."""
    models = {
        name: SAC("MlpPolicy", "Pendulum-v1", seed=0, device="cpu", critic_regularizers=regularizers).learn(300)
        for name, regularizers in REGULARIZERS.items()
    }
    seconds = take_turns(
        {name: (lambda m=m: m.train(UPDATES, m.batch_size)) for name, m in models.items()}, turns, done
    )
    return {name: [s / UPDATES for s in each] for name, each in seconds.items()}


def take_turns(
    contestants: Mapping[str, Callable[[], object]], turns: int, done: Callable[[], None]
) -> dict[str, list[float]]:
    """Time every contestant once a turn; every other turn in reverse order: no place in line is an advantage."""
    seconds: dict[str, list[float]] = {name: [] for name in contestants}
    for turn in range(turns):
        for name in list(contestants)[:: 1 if turn % 2 else -1]:
            start = time.perf_counter()
            contestants[name]()
            seconds[name].append(time.perf_counter() - start)
        done()
    return seconds


def ratio(numerator: list[float], denominator: list[float]) -> tuple[str, str]:
    """Median of the ratios turn by turn, and their quartiles."""
    ratios = [a / b for a, b in zip(numerator, denominator, strict=True)]
    low, middle, high = statistics.quantiles(ratios, n=4)
    return f"{middle:.2f}x", f"{low:.2f} to {high:.2f}"


if __name__ == "__main__":
    main()
