"""The tables of the battery: what an agent or a regularizer needs to be put through all of it.

Every registered agent meets every registered regularizer in each of its settings. To add one is to add one entry here.
"""

from __future__ import annotations

import copy
import functools
from collections.abc import Callable
from dataclasses import dataclass
from itertools import product
from typing import Any

import gymnasium
import numpy as np
import pytest
from gymnasium import spaces
from stable_baselines3.common.base_class import BaseAlgorithm
from torch import nn

from smoothrl import registry
from smoothrl.critics import CriticRegularizer, GradientPenalty, SpectralNorm

SEED = 3


@dataclass(frozen=True)
class AgentCase:
    """How to train an agent in a fraction of a second."""

    kwargs: dict[str, Any]
    """The smallest constructor that still has three layers per critic sub-network."""
    steps: int
    """Environment steps that make a few dozen updates."""
    critic: str
    """`Q` for Q(s, a), `V` for V(s)."""
    actor: Callable[[Any], list[nn.Module]]
    """The modules that compute its action."""


OFF_POLICY = {
    "learning_rate": 1e-2,
    "buffer_size": 500,
    "learning_starts": 10,
    "batch_size": 16,
    "tau": 0.05,
    "policy_kwargs": {"net_arch": [12, 12]},
}
AGENTS: dict[str, AgentCase] = {
    "sac": AgentCase(OFF_POLICY, 40, "Q", lambda agent: [agent.actor]),
    "td3": AgentCase(OFF_POLICY, 40, "Q", lambda agent: [agent.actor, agent.actor_target]),
    "ppo": AgentCase(
        {"learning_rate": 1e-2, "n_steps": 16, "batch_size": 8, "n_epochs": 6,
         "policy_kwargs": {"net_arch": [12, 12]}},
        32,
        "V",
        lambda agent: [agent.policy.pi_features_extractor, agent.policy.mlp_extractor.policy_net,
                       agent.policy.action_net],
    ),
}  # fmt: skip


@dataclass(frozen=True)
class Setting:
    """One way to set a regularizer."""

    name: str
    regularizer: CriticRegularizer
    critics: str = "QV"
    """The critics it is tried on: Q(s, a), V(s) or both."""


def _gradient_penalties() -> list[Setting]:
    """For Q(s, a) every two options meet, as in a Latin square; for V(s) all that fit it are tried."""
    sides: tuple[Any, ...] = ("two", "one", "zero")
    wrts: tuple[Any, ...] = ("obs", "action", "both")
    points: tuple[Any, ...] = ("replay", "policy", "interpolate")
    settings = []
    for (i, side), (j, wrt), (k, point) in product(enumerate(sides), enumerate(wrts), enumerate(points)):
        critics = "Q" * ((i + j + k) % 3 == 0) + "V" * (wrt == "obs" and point != "policy")
        if critics:
            target = {} if side == "zero" else {"target": 0.1}  # low, so that `one` has something to do
            regularizer = GradientPenalty(coef=1.0, side=side, wrt=wrt, points=point, **target)
            settings.append(Setting(f"gradient_penalty {side} {wrt} {point}", regularizer, critics))
    return settings


REGULARIZERS: dict[str, list[Setting]] = {
    "spectral_norm": [
        Setting("spectral_norm exact", SpectralNorm()),
        Setting("spectral_norm relaxed", SpectralNorm(mode="relaxed", lipschitz_k=0.3)),
        Setting("spectral_norm svd", SpectralNorm(estimator="svd", lipschitz_k=2.0)),
        Setting("spectral_norm three layers", SpectralNorm(layers=(-1, -2, -3), n_power_iterations=2)),
        Setting("spectral_norm relaxed svd", SpectralNorm(layers=(-3, -2), mode="relaxed", estimator="svd")),
    ],
    "gradient_penalty": _gradient_penalties(),
}


class Point(gymnasium.Env[Any, Any]):
    """A point in a plane that should go to the origin; actions are forces, larger than 1 on purpose."""

    metadata: dict[str, Any] = {"render_modes": ["rgb_array"]}  # noqa: RUF012
    observation_space: spaces.Space[Any] = spaces.Box(-5, 5, (2,), np.float32)
    action_space = spaces.Box(-2, 2, (2,), np.float32)

    def __init__(self, poisoned_at: int | None = None) -> None:
        self._poisoned_at, self._total = poisoned_at, 0

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> tuple[Any, dict[str, Any]]:
        super().reset(seed=seed, options=options)
        self._x, self._steps = self.np_random.uniform(-1, 1, 2), 0
        return self._observe(), {}

    def step(self, action: Any) -> tuple[Any, float, bool, bool, dict[str, Any]]:
        self._steps, self._total = self._steps + 1, self._total + 1
        self._x = np.clip(self._x + 0.1 * np.asarray(action), -5, 5)
        reward = float("nan") if self._total == self._poisoned_at else -float(np.linalg.norm(self._x))
        return self._observe(), reward, False, self._steps >= 20, {}

    def _observe(self) -> Any:
        return self._x.astype(np.float32)


class DictPoint(Point):
    """The point seen as one entry per axis."""

    observation_space = spaces.Dict({"x": spaces.Box(-5, 5, (1,)), "y": spaces.Box(-5, 5, (1,))})

    def _observe(self) -> Any:
        x, y = super()._observe()
        return {"x": np.array([x]), "y": np.array([y])}


class ImagePoint(Point):
    """The point drawn as a bright square, channels last."""

    observation_space = spaces.Box(0, 255, (36, 36, 1), np.uint8)

    def _observe(self) -> Any:
        image = np.zeros((36, 36, 1), np.uint8)
        i, j = ((self._x + 5) * 3.2).astype(int)
        image[i : i + 4, j : j + 4] = 255
        return image


for env in (Point, DictPoint, ImagePoint):
    gymnasium.register(f"conformance/{env.__name__}-v0", entry_point=env)  # type: ignore[arg-type]


Build = Callable[..., Any]


def build(name: str, *regularizers: CriticRegularizer, env: Any = "conformance/Point-v0", **kwargs: Any) -> Any:
    """An agent of the table, untrained; `policy_kwargs` are merged into the table's, the rest replaces it."""
    cls = registry.load("agent", name)
    merged = {"policy": "MlpPolicy", "seed": SEED, "device": "cpu", **AGENTS[name].kwargs, **kwargs}
    merged["policy_kwargs"] = AGENTS[name].kwargs["policy_kwargs"] | kwargs.get("policy_kwargs", {})
    return cls(env=env, critic_regularizers=regularizers, **copy.deepcopy(merged))


@dataclass(frozen=True)
class Case:
    """One agent with one regularizer."""

    agent: str
    setting: Setting

    @property
    def steps(self) -> int:
        return AGENTS[self.agent].steps

    def build(self) -> Any:
        return build(self.agent, self.setting.regularizer)

    def actor(self, agent: BaseAlgorithm) -> list[nn.Module]:
        return AGENTS[self.agent].actor(agent)


def watch(agent: Any) -> list[dict[str, float]]:
    """What every later update of this agent returns, as numbers."""
    seen: list[dict[str, float]] = []
    update = agent.update

    def watched(batch: Any) -> Any:
        result = update(batch)
        metrics = result[0] if isinstance(result, tuple) else result
        seen.append({name: value.item() for name, value in metrics.items()})
        return result

    agent.update = watched
    return seen


@functools.cache
def trained_agent(agent_name: str, setting: Setting | None) -> tuple[Any, list[dict[str, float]]]:
    agent = build(agent_name, *([] if setting is None else [setting.regularizer]))
    updates = watch(agent)
    agent.learn(AGENTS[agent_name].steps)
    del agent.update
    return agent, updates


@pytest.fixture(name="build")
def _build() -> Build:
    return build


@pytest.fixture(name="watch")
def _watch() -> Callable[[Any], list[dict[str, float]]]:
    return watch


@pytest.fixture
def trained(case: Case) -> Any:
    """The case's agent after a few dozen updates. Shared between tests: look at it, do not change it."""
    return trained_agent(case.agent, case.setting)[0]


@pytest.fixture
def updates(case: Case) -> list[dict[str, float]]:
    """What each of its updates returned."""
    return trained_agent(case.agent, case.setting)[1]


@pytest.fixture
def plain(case: Case) -> Any:
    """The same agent trained without a regularizer, shared too."""
    return trained_agent(case.agent, None)[0]


@pytest.fixture
def spectral(case: Case) -> SpectralNorm:
    """The case's spectral normalization; a test that asks for it gets only such cases."""
    assert isinstance(case.setting.regularizer, SpectralNorm)
    return case.setting.regularizer


@pytest.fixture
def missing() -> dict[str, set[str]]:
    """Registered names that the tables do not know."""
    return {
        "AGENTS": set(registry.names("agent")) - AGENTS.keys(),
        "REGULARIZERS": set(registry.names("critic_regularizer")) - REGULARIZERS.keys(),
    }


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """`case`: every agent with every setting that fits it. `agent_name`: every agent."""
    names = [name for name in registry.names("agent") if name in AGENTS]
    kinds = [kind for kind in registry.names("critic_regularizer") if kind in REGULARIZERS]
    if "case" in metafunc.fixturenames:
        cases = [
            Case(name, setting)
            for name, kind in product(names, kinds)
            for setting in REGULARIZERS[kind]
            if AGENTS[name].critic in setting.critics
            if "spectral" not in metafunc.fixturenames or isinstance(setting.regularizer, SpectralNorm)
        ]
        metafunc.parametrize("case", cases, ids=[f"{case.agent} {case.setting.name}" for case in cases])
    elif "agent_name" in metafunc.fixturenames:
        metafunc.parametrize("agent_name", names)
