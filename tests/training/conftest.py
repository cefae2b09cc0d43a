"""Tiny tasks and a way to write configs in one line."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import gymnasium
import numpy as np
import pytest
import torch
from gymnasium import spaces

from smoothrl.config import RunConfig

OFF_POLICY = {"buffer_size": 5000, "learning_starts": 50, "batch_size": 32, "policy_kwargs": {"net_arch": [16]}}
AGENTS: dict[str, dict[str, Any]] = {
    "sac": OFF_POLICY,
    "td3": OFF_POLICY,
    "ddpg": OFF_POLICY,
    "dqn": OFF_POLICY | {"train_freq": 1},
    "ppo": {"n_steps": 64, "batch_size": 32, "n_epochs": 2, "policy_kwargs": {"net_arch": [16]}},
    "a2c": {"n_steps": 8, "policy_kwargs": {"net_arch": [16]}},
}
RUN: dict[str, Any] = {
    "variant": "plain",
    "total_timesteps": 200,
    "env": {"id": "test/Walk-v0"},
    "diagnostics": (),
    "evaluation": {"every": 100, "episodes": 3},
    "logging": {"every": 50},
    "device": "cpu",
}


class Walk(gymnasium.Env[Any, Any]):
    """A noisy walk on a line: the noise, and so the length, comes from the env's own generator."""

    action_space = spaces.Box(-1, 1, (1,), np.float32)
    observation_space: spaces.Space[Any] = spaces.Box(-np.inf, np.inf, (2,), np.float32)

    def __init__(self, poisoned_at: int | None = None, broken_at: int | None = None) -> None:
        self._poisoned_at, self._broken_at = poisoned_at, broken_at
        self._total = 0

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> tuple[Any, dict[str, Any]]:
        super().reset(seed=seed, options=options)
        self._x, self._steps = self.np_random.normal(), 0
        return self._observe(), {}

    def step(self, action: Any) -> tuple[Any, float, bool, bool, dict[str, Any]]:
        self._total += 1
        if self._total == self._broken_at:
            raise RuntimeError("the leg fell off")
        self._steps += 1
        self._x += 0.3 * float(np.asarray(action).sum()) + 0.1 * self.np_random.normal()
        reward = -(self._x**2) if self._total != self._poisoned_at else float("nan")
        return self._observe(), reward, bool(self.np_random.random() < 0.05), self._steps >= 30, {}

    def _observe(self) -> Any:
        return np.array([self._x, self._steps / 30], dtype=np.float32)


class DictWalk(Walk):
    """The walk with a dict observation."""

    observation_space = spaces.Dict({"x": spaces.Box(-np.inf, np.inf, (1,)), "time": spaces.Box(0, 1, (1,))})

    def _observe(self) -> Any:
        x, time = super()._observe()
        return {"x": np.array([x]), "time": np.array([time])}


class ImageWalk(Walk):
    """The walk as a picture, channels last."""

    observation_space = spaces.Box(0, 255, (36, 36, 1), np.uint8)

    def _observe(self) -> Any:
        image = np.zeros((36, 36, 1), np.uint8)
        image[int(np.clip(self._x * 5 + 18, 0, 35))] = 255
        return image


class CarelessWalk(Walk):
    """The walk of somebody who draws from the global generator, while building and while stepping."""

    def __init__(self) -> None:
        super().__init__()
        self._offset = np.random.normal()

    def step(self, action: Any) -> tuple[Any, float, bool, bool, dict[str, Any]]:
        self._x += 0.01 * (self._offset + np.random.normal() + torch.randn(()).item())
        return super().step(action)


for env in (Walk, DictWalk, ImageWalk, CarelessWalk):
    gymnasium.register(f"test/{env.__name__}-v0", entry_point=env)


@pytest.fixture
def make_config() -> Callable[..., RunConfig]:
    """Writes the config of a short run in one line: sections are merged into those of `RUN` and `AGENTS`."""

    def make(agent: str | dict[str, Any] = "sac", **changes: Any) -> RunConfig:
        section = {"kind": agent} if isinstance(agent, str) else agent
        fields = RUN | {"agent": AGENTS[section["kind"]] | section}
        for name, value in changes.items():
            fields[name] = fields[name] | value if isinstance(fields.get(name), dict) else value
        return RunConfig.model_validate(fields)

    return make


@pytest.fixture(autouse=True)
def _in_a_folder_of_its_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """No test writes to the checkout, or leaves torch with other threads than it found."""
    monkeypatch.chdir(tmp_path)
    threads = torch.get_num_threads()
    yield
    torch.set_num_threads(threads)
