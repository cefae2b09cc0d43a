"""The agents' sections are SB3's constructors: the same names, the same defaults."""

from __future__ import annotations

import inspect

import pytest
import stable_baselines3
import torch
from pydantic_core import PydanticUndefined
from stable_baselines3.common.buffers import ReplayBuffer
from stable_baselines3.her.her_replay_buffer import HerReplayBuffer

from smoothrl.config import agents

ELSEWHERE = {"env", "seed", "device", "verbose", "tensorboard_log", "_init_setup_model"}
"""Constructor arguments that other parts of the config or the run decide."""
PICKED_BY_SB3 = {"rollout_buffer_class", "rollout_buffer_kwargs"}
"""SB3 picks the rollout buffer by the observations; it has no further settings."""
CLASSES = {"observation_space", "action_space", "lr_schedule", "features_extractor_class", "self", "use_sde"}
"""Policy arguments that SB3 fills in itself; `use_sde` it takes from the agent's."""


@pytest.mark.parametrize("kind", agents.AGENTS)
def test_constructor(kind: str) -> None:
    sb3 = inspect.signature(getattr(stable_baselines3, kind.upper())).parameters
    section = agents.AGENTS[kind].model_fields
    assert set(section) - {"kind"} == set(sb3) - ELSEWHERE - PICKED_BY_SB3
    for name, field in section.items():
        if name not in {"kind", "policy"}:
            assert (field.default, type(field.default)) == (sb3[name].default, type(sb3[name].default)), name
    assert section["policy"].default == "MlpPolicy"
    assert section["kind"].default == kind


@pytest.mark.parametrize("kind", agents.AGENTS)
def test_policy_kwargs(kind: str) -> None:
    cls = getattr(stable_baselines3, kind.upper())
    taken = set(inspect.signature(cls.policy_aliases["MlpPolicy"].__init__).parameters) - CLASSES
    section = inspect.get_annotations(agents.AGENTS[kind], eval_str=True)["policy_kwargs"].__args__[0]
    assert set(section.model_fields) == taken
    assert all(field.default is None for field in section.model_fields.values())


@pytest.mark.parametrize("kind", agents.AGENTS)
def test_action_spaces(kind: str) -> None:
    source = inspect.getsource(getattr(stable_baselines3, kind.upper()).__init__)
    for space in ("Box", "Discrete", "MultiDiscrete", "MultiBinary"):
        assert (f"spaces.{space}," in source) == (space in agents.AGENTS[kind].action_spaces)


def test_optimizer_kwargs_are_torch_s() -> None:
    classes = {cls.__name__.lower(): cls for cls in vars(torch.optim).values() if inspect.isclass(cls)}
    for name, options in agents.OPTIMIZER_KWARGS.items():
        assert options <= set(inspect.signature(classes[name]).parameters)
    assert set(agents.OptimizerKwargs.model_fields) == set().union(*agents.OPTIMIZER_KWARGS.values())


def test_replay_buffer_kwargs_are_sb3_s() -> None:
    plain, her = (set(inspect.signature(cls).parameters) for cls in (ReplayBuffer, HerReplayBuffer))
    section = set(agents.ReplayBufferKwargs.model_fields)
    assert section == (her - plain - {"env"}) | {"handle_timeout_termination"}


def test_every_field_but_the_required_has_a_default() -> None:
    required = [name for name, field in agents.SAC.model_fields.items() if field.get_default() is PydanticUndefined]
    assert required == []
