"""The agents' sections are SB3's constructors: the same names, the same defaults."""

from __future__ import annotations

import inspect
from typing import get_args

import gymnasium
import pytest
import stable_baselines3
import torch
from pydantic_core import PydanticUndefined
from stable_baselines3.common.buffers import ReplayBuffer
from stable_baselines3.her.her_replay_buffer import HerReplayBuffer

from smoothrl import registry
from smoothrl.config import agents, networks, replay
from smoothrl.training import build

ELSEWHERE = {"env", "seed", "device", "verbose", "tensorboard_log", "_init_setup_model"}
"""Constructor arguments that other parts of the config or the run decide."""
PICKED_BY_SB3 = {"rollout_buffer_class", "rollout_buffer_kwargs"}
"""SB3 picks the rollout buffer by the observations; it has no further settings."""
OURS = {"critic_learning_rate", "critic_optimizer_class", "critic_optimizer_kwargs"}
"""What our agents add: SB3 has one learning rate and one optimizer setting for actor and critic."""
CLASSES = {"observation_space", "action_space", "lr_schedule", "features_extractor_class", "self", "use_sde"}
"""Policy arguments that SB3 fills in itself; `use_sde` it takes from the agent's."""


@pytest.mark.parametrize("kind", agents.AGENTS)
def test_constructor(kind: str) -> None:
    sb3 = inspect.signature(getattr(stable_baselines3, kind.upper())).parameters
    section = agents.AGENTS[kind].model_fields
    assert set(section) - {"kind"} - OURS == set(sb3) - ELSEWHERE - PICKED_BY_SB3
    for name, field in section.items():
        if name not in {"kind", "policy"} | OURS:
            assert (field.default, type(field.default)) == (sb3[name].default, type(sb3[name].default)), name
    assert section["policy"].default == "MlpPolicy"
    assert section["kind"].default == kind


@pytest.mark.parametrize("kind", agents.AGENTS)
def test_policy_kwargs(kind: str) -> None:
    cls = getattr(stable_baselines3, kind.upper())
    taken = set(inspect.signature(cls.policy_aliases["MlpPolicy"].__init__).parameters) - CLASSES
    section = get_args(agents.AGENTS[kind].model_fields["policy_kwargs"].annotation)[0]
    assert set(section.model_fields) == taken
    assert all(field.default is None for field in section.model_fields.values())


@pytest.mark.parametrize(
    ("kind", "ours"),
    [("dqn", set()), ("ppo", OURS - {"critic_optimizer_class"}), ("a2c", OURS - {"critic_optimizer_class"})]
    + [(kind, OURS) for kind in ("sac", "td3", "ddpg")],
)
def test_the_critic_s_own_settings_stand_where_they_can_work(kind: str, ours: set[str]) -> None:
    fields = agents.AGENTS[kind].model_fields
    assert set(fields) & OURS == ours
    assert all(fields[name].default is None for name in ours)


@pytest.mark.parametrize("kind", agents.AGENTS)
def test_action_spaces(kind: str) -> None:
    cls = getattr(stable_baselines3, kind.upper())
    source = inspect.getsource((cls.__base__ if kind == "ddpg" else cls).__init__)  # DDPG leaves it to TD3
    for space in ("Box", "Discrete", "MultiDiscrete", "MultiBinary"):
        assert (f"spaces.{space}," in source) == (space in agents.AGENTS[kind].action_spaces)


def test_optimizer_kwargs_are_torch_s() -> None:
    classes = {cls.__name__.lower(): cls for cls in vars(torch.optim).values() if inspect.isclass(cls)}
    for name, options in networks.OPTIMIZER_KWARGS.items():
        assert options <= set(inspect.signature(classes[name]).parameters)
    assert set(networks.OptimizerKwargs.model_fields) == set().union(*networks.OPTIMIZER_KWARGS.values())
    assert set(get_args(networks.Optimizer)) == networks.OPTIMIZER_KWARGS.keys()


def test_replay_buffer_kwargs_are_sb3_s() -> None:
    plain, her = (set(inspect.signature(cls).parameters) for cls in (ReplayBuffer, HerReplayBuffer))
    section = set(replay.ReplayBufferKwargs.model_fields)
    assert section == (her - plain - {"env"}) | {"handle_timeout_termination"}


@pytest.mark.parametrize("kind", agents.AGENTS)
def test_every_field_has_a_default(kind: str) -> None:
    fields = agents.AGENTS[kind].model_fields
    assert [name for name, field in fields.items() if field.get_default() is PydanticUndefined] == []


@pytest.mark.parametrize(
    ("section", "optimizer"),
    [
        (agents.A2C(), "rmsprop"),
        (agents.A2C(use_rms_prop=False), "adam"),
        (agents.A2C(policy_kwargs={"optimizer_class": "sgd"}), "sgd"),
        (agents.PPO(), "adam"),
        (agents.TD3(critic_optimizer_class="sgd"), "sgd"),
        (agents.SAC(policy_kwargs={"optimizer_class": "adamw"}), "adamw"),
    ],
)
def test_the_critic_s_optimizer_is_the_one_that_sb3_builds(section: agents.ActorCritic, optimizer: str) -> None:
    assert section.critic_optimizer == optimizer
    cls = registry.load("agent", section.kind)
    agent = cls(env="Pendulum-v1", **build.agent_kwargs(section, gymnasium.make("Pendulum-v1").action_space))
    optimizers = agent._optimizers()
    assert type(optimizers.get("critic") or optimizers["policy"]).__name__.lower() == optimizer
