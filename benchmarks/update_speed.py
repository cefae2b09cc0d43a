"""How fast the agents are, side by side with stock SB3: `make bench`.

Speed: environment steps per second of `learn`, ours against stock SB3. Cost: time of one SAC update with a regularizer
or an adaptation against one without. Diagnostics: time of `learn` with all of them against without. The two or more
that are compared take turns, in one process, on one thread; what is reported is the median of the ratios within a turn:
a machine that slows down slows all of them. The spread of the same ratios, from the first to the third quartile, is the
noise of the measurement.
"""

from __future__ import annotations

import argparse
import platform
import statistics
import time
from collections.abc import Callable, Mapping
from typing import Any, TypeVar

import stable_baselines3 as sb3
import torch
from rich.console import Console
from rich.progress import Progress
from rich.table import Table
from stable_baselines3.common.base_class import BaseAlgorithm
from stable_baselines3.common.callbacks import BaseCallback, EveryNTimesteps

from smoothrl import registry
from smoothrl.agents import A2C, DDPG, DQN, PPO, SAC, TD3
from smoothrl.critics import GradientPenalty, LayerNorm, NoiseConsistency, SpectralNorm
from smoothrl.optim import DivGrad, DivLr, DivOut, DriftAdjustedLR, GradientRegularization, MulEps
from smoothrl.training.record import cpu_model

AGENTS: Mapping[str, tuple[type[BaseAlgorithm], type[BaseAlgorithm], str, int]] = {
    "SAC": (SAC, sb3.SAC, "Pendulum-v1", 200),
    "TD3": (TD3, sb3.TD3, "Pendulum-v1", 200),
    "DDPG": (DDPG, sb3.DDPG, "Pendulum-v1", 200),
    "PPO": (PPO, sb3.PPO, "Pendulum-v1", 2048),
    "A2C": (A2C, sb3.A2C, "Pendulum-v1", 2000),
    "DQN": (DQN, sb3.DQN, "CartPole-v1", 2000),
}
EPS = {"critic_optimizer_kwargs": {"eps": 3.125e-4}}  # with Adam's default the first two do nothing, at the same cost
COSTS: Mapping[str, dict[str, Any]] = {
    "none": {},
    "SpectralNorm, one layer, exact": {"critic_regularizers": [SpectralNorm()]},
    "SpectralNorm, one layer, relaxed": {"critic_regularizers": [SpectralNorm(mode="relaxed")]},
    "GradientPenalty on (s, a)": {"critic_regularizers": [GradientPenalty(coef=0.1, wrt="both")]},
    "LayerNorm": {"critic_regularizers": [LayerNorm()]},
    "NoiseConsistency": {"critic_regularizers": [NoiseConsistency(coef=1.0)]},
    "SpectralNorm and GradientPenalty": {
        "critic_regularizers": [SpectralNorm(), GradientPenalty(coef=0.1, wrt="both")]
    },
    "DivGrad, one layer": {"optimizer_adaptations": [DivGrad()], **EPS},
    "MulEps, one layer": {"optimizer_adaptations": [MulEps()], **EPS},
    "DivOut, one layer": {"optimizer_adaptations": [DivOut()]},
    "DivLr, one layer": {"optimizer_adaptations": [DivLr()]},
    "DriftAdjustedLR on the critic": {"optimizer_adaptations": [DriftAdjustedLR()]},
    "GradientRegularization on the critic, exact": {"optimizer_adaptations": [GradientRegularization(mu=1e-3)]},
    "GradientRegularization on the critic, finite difference": {
        "optimizer_adaptations": [GradientRegularization(mu=1e-3, estimator="finite_difference")]
    },
}
UPDATES = 40
DIAGNOSED_STEPS = 1000

K = TypeVar("K")


def main() -> None:
    parser = argparse.ArgumentParser(description="Speed of the agents and cost of the regularizers.")
    parser.add_argument("--turns", type=int, default=9, help="how often each takes its turn (at least 5)")
    turns = max(5, parser.parse_args().turns)
    torch.set_num_threads(1)
    console = Console()
    with Progress(console=console, transient=True) as progress:
        task = progress.add_task("measuring", total=turns * (len(AGENTS) + 2))
        speeds = {name: speed(*agents, turns, lambda: progress.advance(task)) for name, agents in AGENTS.items()}
        costs = cost(turns, lambda: progress.advance(task))
        diagnosed = diagnose(turns, lambda: progress.advance(task))

    table = Table(title="Environment steps per second, SB3's default arguments")
    for column in ("agent", "task", "stock SB3", "ours", "ours / stock", "noise"):
        table.add_column(column, justify="right")
    for name, seconds in speeds.items():
        _, _, env, steps = AGENTS[name]
        rates = [steps / statistics.median(seconds[who]) for who in ("stock", "ours")]
        table.add_row(name, env, *(f"{rate:.0f}" for rate in rates), *ratio(seconds["stock"], seconds["ours"]))
    console.print(table)

    table = Table(title="Time of one SAC update, batch 256, [256, 256] networks")
    for column in ("option", "ms", "over none", "noise"):
        table.add_column(column, justify="right")
    for name, seconds in costs.items():
        table.add_row(name, f"{statistics.median(seconds) * 1e3:.2f}", *ratio(seconds, costs["none"]))
    console.print(table)

    table = Table(title=f"All diagnostics at their defaults, {DIAGNOSED_STEPS} steps a turn, log line every 500")
    for column in ("agent", "time over that without", "noise"):
        table.add_column(column, justify="right")
    for name, seconds in diagnosed.items():
        table.add_row(name, *ratio(seconds["with"], seconds["without"]))
    console.print(table)
    console.print(
        f"{turns} turns, one thread; {cpu_model()}, Python {platform.python_version()}, torch {torch.__version__}, "
        f"stable-baselines3 {sb3.__version__}"
    )


def speed(
    ours: type[BaseAlgorithm], stock: type[BaseAlgorithm], env: str, steps: int, turns: int, done: Callable[[], None]
) -> dict[str, list[float]]:
    """Seconds of `learn(steps)` after a warm-up, a list per contestant."""
    models = {
        name: cls("MlpPolicy", env, seed=0, device="cpu").learn(max(steps, 300))
        for name, cls in (("stock", stock), ("ours", ours))
    }

    def learn(model: BaseAlgorithm) -> None:
        model.learn(steps, reset_num_timesteps=False)

    return take_turns({name: (lambda m=model: learn(m)) for name, model in models.items()}, turns, done)


def cost(turns: int, done: Callable[[], None]) -> dict[str, list[float]]:
    """Seconds per SAC update, a list per option."""
    models = {
        name: SAC("MlpPolicy", "Pendulum-v1", seed=0, device="cpu", **options).learn(300)
        for name, options in COSTS.items()
    }
    seconds = take_turns(
        {name: (lambda m=m: m.train(UPDATES, m.batch_size)) for name, m in models.items()}, turns, done
    )
    return {name: [s / UPDATES for s in each] for name, each in seconds.items()}


def diagnose(turns: int, done: Callable[[], None]) -> dict[str, dict[str, list[float]]]:
    """Seconds of `learn` with and without diagnostics, by agent."""
    diagnostics = [registry.load("diagnostic", name)() for name in registry.names("diagnostic")]
    agents = {"SAC": SAC, "PPO": PPO}
    models: dict[str, dict[str, Any]] = {
        name: {
            who: cls("MlpPolicy", "Pendulum-v1", seed=0, device="cpu", diagnostics=chosen)
            for who, chosen in (("with", diagnostics), ("without", []))
        }
        for name, cls in agents.items()
    }
    contestants = {
        (name, who): (lambda m=model: learn_with_logs(m))
        for name, pair in models.items()
        for who, model in pair.items()
    }
    seconds = take_turns(contestants, turns, done)
    return {name: {who: seconds[name, who] for who in ("with", "without")} for name in agents}


def learn_with_logs(model: Any) -> None:
    """`DIAGNOSED_STEPS` steps with a log line every 500, as a run writes them."""
    model.learn(
        DIAGNOSED_STEPS, callback=EveryNTimesteps(500, DumpLogs()), log_interval=None, reset_num_timesteps=False
    )


class DumpLogs(BaseCallback):
    """Writes a log line whenever it is called."""

    def _on_step(self) -> bool:
        self.model.dump_logs()
        return True


def take_turns(
    contestants: Mapping[K, Callable[[], object]], turns: int, done: Callable[[], None]
) -> dict[K, list[float]]:
    """Time every contestant once a turn; every other turn in reverse order: no place in line is an advantage."""
    seconds: dict[K, list[float]] = {name: [] for name in contestants}
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
