"""After thousands of updates every normalized layer has the norm its mode defines, by NumPy's SVD, target included.

This is where torch's own spectral normalization fails: the target's singular vectors stay those of the first step, and
its spectral norm grows to 14 (docs/methods/spectral_norm.md).
"""

from __future__ import annotations

from itertools import product
from typing import Any

import gymnasium
import numpy as np
import pytest
import torch
from gymnasium import spaces

from smoothrl.agents import DDPG, DQN, SAC, TD3
from smoothrl.critics import SpectralNorm

AGENTS: dict[str, tuple[Any, str, int, dict[str, Any]]] = {
    "sac": (SAC, "Pendulum-v1", 1500, {}),
    "td3": (TD3, "Pendulum-v1", 1500, {}),
    "ddpg": (DDPG, "Pendulum-v1", 1500, {}),
    "dqn": (DQN, "CartPole-v1", 6000, {"train_freq": 2, "target_update_interval": 50, "batch_size": 128}),
}
CHOICES: dict[str, SpectralNorm] = {
    "penultimate": SpectralNorm(),
    "output": SpectralNorm(layers=(-1,), lipschitz_k=4.0),
    "first": SpectralNorm(layers=(-3,)),
    "all": SpectralNorm(layers=(-1, -2, -3), lipschitz_k=2.0),
    "relaxed": SpectralNorm(layers=(-2, -3), mode="relaxed", lipschitz_k=1.5),
}
IN_EVERY_RUN = {
    ("sac", "penultimate"),
    ("td3", "penultimate"),
    ("sac", "all"),
    ("sac", "relaxed"),
    ("dqn", "penultimate"),
}


def cases() -> list[Any]:
    return [
        pytest.param(
            agent, choice, id=f"{agent}, {choice}",
            marks=[pytest.mark.slow, *([] if (agent, choice) in IN_EVERY_RUN else [pytest.mark.matrix])],
        )
        for agent, choice in product(AGENTS, CHOICES)
    ]  # fmt: skip


def views(model: Any) -> list[Any]:
    return [model._online_critic, model._target_critic]


@pytest.mark.parametrize(("agent", "choice"), cases())
def test_linear_layers_after_thousands_of_steps(agent: str, choice: str) -> None:
    (cls, env, steps, kwargs), regularizer = AGENTS[agent], CHOICES[choice]
    model = cls(
        "MlpPolicy", env, learning_rate=1e-3, seed=0, device="cpu", critic_regularizers=[regularizer], **kwargs
    ).learn(steps)
    k = regularizer.lipschitz_k
    moved = False
    for view in views(model):
        for name, layer in view.select(regularizer.layers).items():
            with torch.no_grad():  # the matrix as it acts, not as the layer claims to scale it
                matrix = layer(torch.eye(layer.in_features)) - layer(torch.zeros(1, layer.in_features))
            sigma, raw = (np.linalg.svd(m.numpy(), compute_uv=False)[0] for m in (matrix, layer.weight.detach()))
            moved = moved or abs(raw / k - 1) > 0.5
            wanted = k if regularizer.mode == "exact" else min(k, raw)
            assert sigma == pytest.approx(wanted, rel=0.01), f"{view.name}.{name}"
    assert moved, "no raw weight left its bound: nothing was tested"


class Spot(gymnasium.Env[Any, Any]):
    """A bright spot that should be kept in the middle of an image."""

    observation_space = spaces.Box(0, 255, (1, 36, 36), np.uint8)

    def __init__(self, discrete: bool) -> None:
        self.action_space = spaces.Discrete(4) if discrete else spaces.Box(-1, 1, (2,), np.float32)

    def reset(self, *, seed: int | None = None, options: Any = None) -> tuple[Any, dict[str, Any]]:
        super().reset(seed=seed)
        self._x, self._steps = self.np_random.uniform(4, 28, 2), 0
        return self._image(), {}

    def step(self, action: Any) -> tuple[Any, float, bool, bool, dict[str, Any]]:
        moves = [[-1, 0], [1, 0], [0, -1], [0, 1]]
        self._steps += 1
        self._x = np.clip(self._x + 2 * np.asarray(action if np.ndim(action) else moves[int(action)]), 0, 32)
        return self._image(), -float(np.abs(self._x - 16).sum()) / 16, False, self._steps >= 30, {}

    def _image(self) -> np.ndarray:
        image = np.zeros((1, 36, 36), np.uint8)
        i, j = self._x.astype(int)
        image[0, i : i + 4, j : j + 4] = 255
        return image


@pytest.mark.slow
@pytest.mark.parametrize("convolution", ["operator", "reshaped"])
@pytest.mark.parametrize("agent", [pytest.param(name, marks=[pytest.mark.matrix] * (name != "sac")) for name in AGENTS])
def test_convolutions_after_hundreds_of_updates(agent: str, convolution: Any) -> None:
    """Every convolution of the critic's features extractor, by the dense matrix of its operator or by its kernel."""
    depth = 3 if agent == "dqn" else 4  # DQN's CnnPolicy has no hidden layer behind the extractor
    cls = AGENTS[agent][0]
    extractor = {"features_dim": 32}
    policy_kwargs = {"features_extractor_kwargs": extractor, **({} if agent == "dqn" else {"net_arch": [32]})}
    schedule = {"train_freq": 1, "target_update_interval": 1, "tau": 0.005} if agent == "dqn" else {}
    model = cls(
        "CnnPolicy", Spot(discrete=agent == "dqn"), learning_rate=3e-4, learning_starts=50, batch_size=32,
        buffer_size=1000, seed=0, device="cpu", policy_kwargs=policy_kwargs, **schedule,
        critic_regularizers=[SpectralNorm(layers=tuple(-depth - i for i in range(3)), convolution=convolution)],
    ).learn(500)  # fmt: skip
    checked = 0
    for view in views(model):
        (*convolutions, _), *_ = [layers[:4] for layers in view.branches.values()]  # the networks share them
        for name, layer in convolutions:
            assert isinstance(layer, torch.nn.Conv2d)
            with torch.no_grad():
                if convolution == "reshaped":
                    matrix = layer.effective_weight().flatten(1)
                else:
                    basis = torch.eye(layer.spectral.v.numel()).reshape(-1, *layer.spectral.v.shape)
                    matrix = (layer(basis) - layer(torch.zeros_like(basis[:1]))).flatten(1)
            sigma = np.linalg.svd(matrix.numpy(), compute_uv=False)[0]
            assert sigma == pytest.approx(1, rel=0.01), f"{view.name}.{name}"
            checked += 1
    assert checked == 2 * 3
