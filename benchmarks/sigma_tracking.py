"""How well estimates of the spectral norm follow a critic while it is trained: why `SpectralNorm` moves a block.

Trains SAC on Pendulum-v1 with spectral normalization. Beside it, several estimators watch the raw weights of the
normalized layers, moved at every gradient step as they would be in training; every 17 steps their sigma = u^T W v is
compared with the singular value decomposition. Printed is the relative error over the whole run.
"""

from __future__ import annotations

import argparse

import numpy as np
import torch
from rich.console import Console
from rich.progress import Progress
from rich.table import Table
from stable_baselines3.common.callbacks import BaseCallback
from torch import Tensor

from smoothrl.agents import SAC
from smoothrl.critics import SpectralNorm
from smoothrl.critics._spectral import SpectralWeight
from smoothrl.linalg.operators import BLOCK, MatrixMap

COMPARE_EVERY = 17


class Estimator:
    """Power iteration on a block of directions, some iterations per gradient step."""

    def __init__(self, weight: Tensor, block: int, iterations: int = 1) -> None:
        self.spectral = SpectralWeight(MatrixMap(), weight, k=1.0, relaxed=False, estimator="power")
        self.spectral.block = torch.linalg.svd(weight).Vh[:block].contiguous()
        self.iterations = iterations

    def move(self, weight: Tensor) -> None:
        self.spectral.advance(weight, self.iterations)

    def error(self, weight: Tensor, sigma: float) -> float:
        return 1 - self.spectral.linear_map.inner(self.spectral.u, weight, self.spectral.v).item() / sigma


SETTINGS = {
    "one direction": {"block": 1},
    "one direction, 3 iterations": {"block": 1, "iterations": 3},
    "one direction, 10 iterations": {"block": 1, "iterations": 10},
    "block of 2": {"block": 2},
    "block of 4": {"block": 4},
    "block of 6": {"block": 6},
    f"block of {BLOCK}, as in SpectralNorm": {"block": BLOCK},
}


class Watch(BaseCallback):
    """Moves the estimators after every update and compares them now and then. With one update per environment step, the
    next environment step is the place."""

    def __init__(self, agent: SAC, progress: Progress, total: int) -> None:
        super().__init__()
        self._weights = [q_net[2].weight.detach() for q_net in agent.critic.q_networks]
        self._watchers = [{n: Estimator(w, **setting) for n, setting in SETTINGS.items()} for w in self._weights]
        self.errors: dict[str, list[float]] = {name: [] for name in SETTINGS}
        self._progress, self._task = progress, progress.add_task("training", total=total)

    def _on_step(self) -> bool:
        if self.num_timesteps > self.model.learning_starts:
            for weight, watchers in zip(self._weights, self._watchers, strict=True):
                for estimator in watchers.values():
                    estimator.move(weight)
                if self.num_timesteps % COMPARE_EVERY == 0:
                    sigma = torch.linalg.matrix_norm(weight, 2).item()
                    for name, estimator in watchers.items():
                        self.errors[name].append(estimator.error(weight, sigma))
        self._progress.advance(self._task)
        return True


def main() -> None:
    parser = argparse.ArgumentParser(description="Error of sigma while a critic is trained, by estimator.")
    parser.add_argument("--steps", type=int, default=8000)
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args()
    torch.set_num_threads(1)
    console = Console()
    agent = SAC(
        "MlpPolicy", "Pendulum-v1", learning_rate=1e-3, seed=args.seed, device="cpu",
        critic_regularizers=[SpectralNorm()],
    )  # fmt: skip
    with Progress(console=console, transient=True) as progress:
        watch = Watch(agent, progress, args.steps)
        agent.learn(args.steps, callback=watch)

    table = Table(title=f"Relative error of sigma, SAC on Pendulum-v1, layer -2, {args.steps} steps, seed {args.seed}")
    for column in ("estimate", "mean", "90 %", "99 %", "largest"):
        table.add_column(column, justify="left" if column == "estimate" else "right")
    for name, errors in watch.errors.items():
        figures = [float(np.mean(errors)), *np.quantile(errors, [0.9, 0.99]), max(errors)]
        table.add_row(name, *(f"{100 * figure:.3f} %" for figure in figures))
    console.print(table)


if __name__ == "__main__":
    main()
