"""What goes wrong when torch's `spectral_norm` is put into an SB3 critic, and what ours does: side by side.

SB3 moves a target critic by averaging parameters. The singular vectors of torch's `parametrizations.spectral_norm` are
buffers, and they move only in forward passes in training mode, which a target critic never makes. So its weights move,
its estimate of the spectral norm does not follow, and the layer that should have a spectral norm of 1 grows.

SAC learns Pendulum-v1 at learning rate 1e-3 with three critics: as it is, with torch's spectral norm on the penultimate
layer of every Q network, and with ours on the same layers. The spectral norms are of the weights that the forward pass
uses, by NumPy's SVD, the larger one of the two Q networks. The return is the mean of 10 deterministic episodes.
"""

from __future__ import annotations

import argparse
import platform
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import stable_baselines3 as sb3
import torch
from rich.console import Console
from rich.progress import Progress
from rich.table import Table
from stable_baselines3.common.callbacks import BaseCallback
from stable_baselines3.common.env_util import make_vec_env
from stable_baselines3.common.evaluation import evaluate_policy
from stable_baselines3.common.policies import ContinuousCritic
from stable_baselines3.sac.policies import SACPolicy
from torch import nn
from torch.nn.utils.parametrizations import spectral_norm

from smoothrl.agents import SAC
from smoothrl.critics import SpectralNorm

ENV = "Pendulum-v1"
PENULTIMATE = -2
EVALUATION_SEED = 42


class TorchSpectralPolicy(SACPolicy):
    """SAC's policy with torch's spectral norm where SB3 builds its critics, online and target alike."""

    def make_critic(self, *args: Any, **kwargs: Any) -> ContinuousCritic:
        critic = super().make_critic(*args, **kwargs)
        for layer in penultimate_layers(critic):
            spectral_norm(layer)
        return critic


def plain(seed: int) -> sb3.SAC:
    """Stock SB3."""
    return sb3.SAC("MlpPolicy", ENV, learning_rate=1e-3, seed=seed, device="cpu")


def with_torch(seed: int) -> sb3.SAC:
    """Stock SB3 with torch's spectral norm."""
    return sb3.SAC(TorchSpectralPolicy, ENV, learning_rate=1e-3, seed=seed, device="cpu")


def with_ours(seed: int) -> sb3.SAC:
    """Our SAC with our spectral norm."""
    regularizers = [SpectralNorm(layers=(PENULTIMATE,))]
    return SAC("MlpPolicy", ENV, learning_rate=1e-3, seed=seed, device="cpu", critic_regularizers=regularizers)


CRITICS: Mapping[str, Callable[[int], sb3.SAC]] = {
    "plain": plain,
    "torch": with_torch,
    "ours": with_ours,
}


class MeasureSigmas(BaseCallback):
    """Notes the spectral norms of online and target critic at given steps, and moves the progress bar."""

    def __init__(self, at: Sequence[int], advance: Callable[[], None]) -> None:
        super().__init__()
        self._at = at
        self._advance = advance
        self.sigmas: list[tuple[float, float]] = []

    def _on_step(self) -> bool:
        self._advance()
        if self.num_timesteps in self._at:
            assert isinstance(self.model, sb3.SAC)
            self.sigmas.append((largest_sigma(self.model.critic), largest_sigma(self.model.critic_target)))
        return True


def main() -> None:
    parser = argparse.ArgumentParser(description="Spectral norms of online and target critic while SAC learns.")
    parser.add_argument("--steps", type=int, nargs="+", default=[3000, 8000], help="when to measure; the last one ends")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0])
    args = parser.parse_args()
    steps = sorted(set(args.steps))
    torch.set_num_threads(1)

    columns = [f"{critic}\nstep {step}" for step in steps for critic in ("online", "target")]
    table = Table(
        title=f"SAC on {ENV}, learning rate 1e-3\nspectral norm of the critics' penultimate layer, and return"
    )
    table.add_column("critic")
    for column in ("seed", *columns, f"return\nstep {steps[-1]}"):
        table.add_column(column, justify="right")
    console = Console()
    with Progress(console=console, transient=True) as progress:
        task = progress.add_task("training", total=len(args.seeds) * len(CRITICS) * steps[-1])
        for seed in args.seeds:
            for name, build in CRITICS.items():
                progress.update(task, description=f"{name}, seed {seed}")
                measure = MeasureSigmas(steps, lambda: progress.advance(task))
                model = build(seed).learn(steps[-1], callback=measure)
                sigmas = [f"{sigma:.2f}" for pair in measure.sigmas for sigma in pair]
                table.add_row(name, str(seed), *sigmas, f"{mean_return(model):.0f}")
    console.print(table)
    versions = f"Python {platform.python_version()}, torch {torch.__version__}, stable-baselines3 {sb3.__version__}"
    console.print(f"one thread, {versions}")


def penultimate_layers(critic: ContinuousCritic) -> list[nn.Linear]:
    """The last hidden layer of every Q network."""
    return [[part for part in q_net if isinstance(part, nn.Linear)][PENULTIMATE] for q_net in critic.q_networks]


def largest_sigma(critic: ContinuousCritic) -> float:
    """The larger spectral norm of the penultimate layers, of the weight that the forward pass uses."""
    training = critic.training
    critic.eval()  # in training mode the mere look at torch's weight moves its singular vectors
    sigmas = [np.linalg.svd(used_weight(layer), compute_uv=False)[0] for layer in penultimate_layers(critic)]
    critic.train(training)
    return float(max(sigmas))


@torch.no_grad()
def used_weight(layer: nn.Linear) -> np.ndarray:
    """Read off what the layer does: its outputs for the unit vectors, less its bias."""
    return (layer(torch.eye(layer.in_features)) - layer.bias).t().double().numpy()


def mean_return(model: sb3.SAC) -> float:
    """Of 10 deterministic episodes, from the same initial states for every critic."""
    episodes, _ = evaluate_policy(model, make_vec_env(ENV, seed=EVALUATION_SEED), n_eval_episodes=10)
    assert isinstance(episodes, float)
    return episodes


if __name__ == "__main__":
    main()
