"""The tables of the battery: what an agent, regularizer, adaptation or diagnostic needs to be put through all of it.

Every registered agent meets every other registered thing in each of its settings. To add one is to add one entry here.
"""

from __future__ import annotations

import copy
import functools
from collections.abc import Callable
from dataclasses import dataclass, field
from itertools import product
from typing import Any

import gymnasium
import numpy as np
import pytest
import torch
from gymnasium import spaces
from stable_baselines3.common.base_class import BaseAlgorithm
from torch import nn

from smoothrl import registry
from smoothrl.critics import CriticRegularizer, GradientPenalty, LayerNorm, NoiseConsistency, SpectralNorm
from smoothrl.diagnostics import Curvature, Diagnostic, Drift, Gradients, Lipschitz, Network, Policy
from smoothrl.optim import (
    DivGrad,
    DivLr,
    DivOut,
    DriftAdjustedLR,
    GradientRegularization,
    MulEps,
    OptimizerAdaptation,
)
from smoothrl.registry import Door

SEED = 3
Piece = CriticRegularizer | OptimizerAdaptation | Diagnostic


@dataclass(frozen=True)
class AgentCase:
    """How to train an agent in a fraction of a second."""

    kwargs: dict[str, Any]
    """The smallest constructor that still has three layers per critic sub-network."""
    steps: int
    """Environment steps that make a few dozen updates."""
    critic: str
    """`Q` for Q(s, a), `V` for V(s), `D` for Q(s, .) of discrete actions."""
    actor: Callable[[Any], list[nn.Module]]
    """The modules that compute its action, if they are not the critic."""
    on_policy: bool = False
    env: str = "conformance/Point-v0"


OFF_POLICY = {
    "learning_rate": 1e-2,
    "buffer_size": 500,
    "learning_starts": 10,
    "batch_size": 16,
    "tau": 0.05,
    "policy_kwargs": {"net_arch": [12, 12]},
}
ON_POLICY = {"learning_rate": 1e-2, "policy_kwargs": {"net_arch": [12, 12]}}


def _actor_branch(agent: Any) -> list[nn.Module]:
    policy = agent.policy
    return [policy.pi_features_extractor, policy.mlp_extractor.policy_net, policy.action_net]


def _actor_and_target(agent: Any) -> list[nn.Module]:
    return [agent.actor, agent.actor_target]


AGENTS: dict[str, AgentCase] = {
    "sac": AgentCase(OFF_POLICY, 40, "Q", lambda agent: [agent.actor]),
    "td3": AgentCase(OFF_POLICY, 40, "Q", _actor_and_target),
    "ddpg": AgentCase(OFF_POLICY, 40, "Q", _actor_and_target),
    "ppo": AgentCase(ON_POLICY | {"n_steps": 16, "batch_size": 8, "n_epochs": 6}, 32, "V", _actor_branch, True),
    "a2c": AgentCase(ON_POLICY | {"n_steps": 3}, 90, "V", _actor_branch, True),
    "dqn": AgentCase(
        OFF_POLICY | {"train_freq": 1, "target_update_interval": 1, "exploration_fraction": 0.5}, 40, "D",
        lambda agent: [], env="conformance/DiscretePoint-v0",
    ),
}  # fmt: skip


@dataclass(frozen=True)
class Setting:
    """One way to set a regularizer, an adaptation or a diagnostic."""

    name: str
    piece: Piece
    critics: str = "QVD"
    """The critics it is tried on."""
    without: tuple[str, ...] = ()
    """Agents it is not for."""
    kwargs: dict[str, Any] = field(default_factory=dict)
    """What the agent needs for it."""


def _gradient_penalties() -> list[Setting]:
    """For Q(s, a) every two options meet, as in a Latin square; for the others all that fit them are tried."""
    sides: tuple[Any, ...] = ("two", "one", "zero")
    wrts: tuple[Any, ...] = ("obs", "action", "both")
    points: tuple[Any, ...] = ("replay", "policy", "interpolate")
    settings = []
    for (i, side), (j, wrt), (k, point) in product(enumerate(sides), enumerate(wrts), enumerate(points)):
        critics = "Q" * ((i + j + k) % 3 == 0) + "VD" * (wrt == "obs" and point != "policy")
        if critics:
            target = {} if side == "zero" else {"target": 0.1}  # low, so that `one` has something to do
            regularizer = GradientPenalty(coef=1.0, side=side, wrt=wrt, points=point, **target)
            settings.append(Setting(f"gradient_penalty {side} {wrt} {point}", regularizer, critics))
    return settings


EPS = {"policy_kwargs": {"optimizer_class": torch.optim.Adam, "optimizer_kwargs": {"eps": 1e-3}}}
SETTINGS: dict[Door, dict[str, list[Setting]]] = {
    "critic_regularizer": {
        "spectral_norm": [
            Setting("spectral_norm exact", SpectralNorm()),
            Setting("spectral_norm relaxed", SpectralNorm(mode="relaxed", lipschitz_k=0.3)),
            Setting("spectral_norm svd", SpectralNorm(estimator="svd", lipschitz_k=2.0)),
            Setting("spectral_norm three layers", SpectralNorm(layers=(-1, -2, -3), n_power_iterations=2)),
            Setting("spectral_norm relaxed svd", SpectralNorm(layers=(-3, -2), mode="relaxed", estimator="svd")),
        ],
        "gradient_penalty": _gradient_penalties(),
        "layer_norm": [
            Setting("layer_norm", LayerNorm()),
            Setting("layer_norm fixed", LayerNorm(layers=(-2,), affine=False)),
        ],
        "noise_consistency": [
            Setting("noise_consistency obs", NoiseConsistency(coef=10.0, sigma=0.1)),
            Setting("noise_consistency both", NoiseConsistency(coef=10.0, sigma=0.1, wrt="both"), "Q"),
            Setting(
                "noise_consistency uniform", NoiseConsistency(coef=10.0, wrt="action", distribution="uniform"), "Q"
            ),
        ],
    },
    "optimizer_adaptation": {
        "div_grad": [
            Setting("div_grad global", DivGrad(layers=(-1, -2)), kwargs=EPS),
            Setting("div_grad per layer", DivGrad(layers=(-1, -2, -3), scope="per_layer", clip=True), kwargs=EPS),
        ],
        "mul_eps": [Setting("mul_eps", MulEps(layers=(-2, -3)), kwargs=EPS)],
        "div_out": [
            Setting("div_out", DivOut(), kwargs={"policy_kwargs": {"activation_fn": nn.ReLU}}),
            Setting(
                "div_out differentiated",
                DivOut(layers=(-1, -2), flow_through_norm=True),
                kwargs={"policy_kwargs": {"activation_fn": nn.ReLU}},
            ),
        ],
        "div_lr": [Setting("div_lr", DivLr(layers=(-1, -2, -3), clip=False))],
        "drift_adjusted_lr": [
            Setting("drift_adjusted_lr", DriftAdjustedLR()),
            Setting("drift_adjusted_lr both players", DriftAdjustedLR(power=0.5, players="both")),
        ],
        "gradient_regularization": [
            Setting("gradient_regularization exact", GradientRegularization(mu=0.01)),
            Setting("gradient_regularization both players", GradientRegularization(mu=0.01, players="both")),
            Setting(
                "gradient_regularization finite_difference",
                GradientRegularization(mu=0.01, estimator="finite_difference", safeguard=False),
            ),
        ],
    },
    "diagnostic": {
        "lipschitz": [Setting("lipschitz", Lipschitz(every=1))],
        "curvature": [Setting("curvature", Curvature(every=1))],
        "drift": [Setting("drift", Drift(every=1))],
        "network": [Setting("network", Network(every=1))],
        "gradients": [Setting("gradients", Gradients(every=1))],
        "policy": [Setting("policy", Policy(every=1))],
    },
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


class DiscretePoint(Point):
    """The point pushed left, right, down or up."""

    action_space = spaces.Discrete(4)  # type: ignore[assignment]

    def step(self, action: Any) -> tuple[Any, float, bool, bool, dict[str, Any]]:
        return super().step(2 * np.array([[-1, 0], [1, 0], [0, -1], [0, 1]])[action])


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


class DiscreteDictPoint(DictPoint, DiscretePoint):
    """The point seen by axis, pushed in four directions."""


class DiscreteImagePoint(ImagePoint, DiscretePoint):
    """The point drawn, pushed in four directions."""


for env in (Point, DictPoint, ImagePoint, DiscretePoint, DiscreteDictPoint, DiscreteImagePoint):
    gymnasium.register(f"conformance/{env.__name__}-v0", entry_point=env)  # type: ignore[arg-type]


Build = Callable[..., Any]


def build(name: str, *pieces: Piece, env: Any = None, **kwargs: Any) -> Any:
    """An agent of the table, untrained; `policy_kwargs` are merged into the table's, the rest replaces it.

    `env` may be the name of an observation (`Dict`, `Image`) instead of an environment.
    """
    cls, case = registry.load("agent", name), AGENTS[name]
    merged = {"policy": "MlpPolicy", "seed": SEED, "device": "cpu", **case.kwargs, **kwargs}
    merged["policy_kwargs"] = case.kwargs["policy_kwargs"] | kwargs.get("policy_kwargs", {})
    if env in ("Dict", "Image"):
        env = case.env.replace("Point", f"{env}Point")
    return cls(
        env=case.env if env is None else env,
        critic_regularizers=[piece for piece in pieces if isinstance(piece, CriticRegularizer)],
        optimizer_adaptations=[piece for piece in pieces if isinstance(piece, OptimizerAdaptation)],
        diagnostics=[piece for piece in pieces if isinstance(piece, Diagnostic)],
        **copy.deepcopy(merged),
    )


@dataclass(frozen=True)
class Case:
    """One agent with one regularizer, adaptation or diagnostic."""

    agent: str
    setting: Setting

    @property
    def steps(self) -> int:
        return AGENTS[self.agent].steps

    @property
    def env(self) -> str:
        return AGENTS[self.agent].env

    def build(self) -> Any:
        return build(self.agent, self.setting.piece, **self.setting.kwargs)

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
def trained_agent(name: str, setting: str | None, like: str | None = None) -> tuple[Any, list[dict[str, float]]]:
    """Trained with the setting of this name, or without it but with the same arguments as with the one of `like`."""
    chosen, same = (next((s for s in all_settings() if s.name == n), None) for n in (setting, like or setting))
    agent = build(name, *([] if chosen is None else [chosen.piece]), **({} if same is None else same.kwargs))
    updates = watch(agent)
    agent.learn(AGENTS[name].steps)
    del agent.update
    return agent, updates


def all_settings() -> list[Setting]:
    return [setting for kinds in SETTINGS.values() for settings in kinds.values() for setting in settings]


@pytest.fixture(name="build")
def _build() -> Build:
    return build


@pytest.fixture(name="watch")
def _watch() -> Callable[[Any], list[dict[str, float]]]:
    return watch


@pytest.fixture
def on_policy(agent_name: str) -> bool:
    """Whether it learns from rollouts instead of a replay buffer."""
    return AGENTS[agent_name].on_policy


@pytest.fixture
def env_id(agent_name: str) -> str:
    """The environment of the table."""
    return AGENTS[agent_name].env


@pytest.fixture
def trained(case: Case) -> Any:
    """The case's agent after a few dozen updates. Shared between tests: look at it, do not change it."""
    return trained_agent(case.agent, case.setting.name)[0]


@pytest.fixture
def updates(case: Case) -> list[dict[str, float]]:
    """What each of its updates returned."""
    return trained_agent(case.agent, case.setting.name)[1]


@pytest.fixture
def plain(case: Case) -> Any:
    """The same agent with the same arguments trained without it, shared too."""
    return trained_agent(case.agent, None, like=case.setting.name)[0]


@pytest.fixture
def spectral(case: Case) -> SpectralNorm:
    """The case's spectral normalization; a test that asks for it gets only such cases."""
    assert isinstance(case.setting.piece, SpectralNorm)
    return case.setting.piece


@pytest.fixture
def diagnostics() -> list[Diagnostic]:
    """All of them at once."""
    found = [setting.piece for settings in SETTINGS["diagnostic"].values() for setting in settings]
    return [piece for piece in found if isinstance(piece, Diagnostic)]


@pytest.fixture
def missing() -> dict[str, set[str]]:
    """Registered names that the tables do not know."""
    settings = {f"SETTINGS[{door!r}]": set(registry.names(door)) - kinds.keys() for door, kinds in SETTINGS.items()}
    return {"AGENTS": set(registry.names("agent")) - AGENTS.keys(), **settings}


def marks(case: Case) -> list[pytest.MarkDecorator]:
    """Two agents meet every setting; the others meet the first of each kind, and all of them in the whole matrix."""
    first = any(case.setting is settings[0] for kinds in SETTINGS.values() for settings in kinds.values())
    return [] if first or case.agent in ("sac", "ppo") else [pytest.mark.matrix]


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """`case`: every agent with every setting that fits it; only those that change what is learned if the test takes
    `plain`, only spectral normalization if it takes `spectral`. `agent_name`: every agent."""
    names = [name for name in registry.names("agent") if name in AGENTS]
    if "case" in metafunc.fixturenames:
        cases = [
            Case(name, setting)
            for name, setting in product(names, all_settings())
            if AGENTS[name].critic in setting.critics and name not in setting.without
            if "spectral" not in metafunc.fixturenames or isinstance(setting.piece, SpectralNorm)
            if "plain" not in metafunc.fixturenames or not isinstance(setting.piece, Diagnostic)
        ]
        metafunc.parametrize(
            "case", [pytest.param(case, id=f"{case.agent} {case.setting.name}", marks=marks(case)) for case in cases]
        )
    elif "agent_name" in metafunc.fixturenames:
        metafunc.parametrize("agent_name", names)
