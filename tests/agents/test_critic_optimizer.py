"""Separate learning rate and optimizer settings for the critic."""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

import pytest
import torch
from stable_baselines3.common.utils import LinearSchedule
from torch import Tensor

from smoothrl.agents import A2C, DDPG, DQN, PPO, SAC, TD3
from smoothrl.views import IncompatibleSetting

OFF_POLICY = {"learning_starts": 10, "batch_size": 16, "policy_kwargs": {"net_arch": [8]}}
ON_POLICY = {"n_steps": 16, "policy_kwargs": {"net_arch": [8]}}
TWO_OPTIMIZERS = [SAC, TD3, DDPG]
ONE_OPTIMIZER = [PPO, A2C]


def build(cls: Any, **kwargs: Any) -> Any:
    arguments = OFF_POLICY if cls in TWO_OPTIMIZERS else ON_POLICY
    return cls("MlpPolicy", "Pendulum-v1", seed=0, device="cpu", **copy.deepcopy(arguments), **kwargs)


def rates(agent: Any) -> dict[str, set[float]]:
    """Player -> the rates of its parameters."""
    found: dict[str, set[float]] = {}
    for descent in agent._descents.values():
        for group in descent.optimizer.param_groups:
            found.setdefault(group["player"], set()).add(group["lr"])
    return found


def moved(agent: Any, steps: int) -> dict[str, float]:
    """Player -> how far its parameters went."""
    players = [player for descent in agent._descents.values() for player in descent.players]
    before = {player.name: [p.detach().clone() for p in player.parameters] for player in players}
    agent.learn(steps, reset_num_timesteps=False)
    return {
        player.name: max(
            (p - old).abs().max().item() for p, old in zip(player.parameters, before[player.name], strict=True)
        )
        for player in players
    }


@pytest.mark.parametrize("cls", TWO_OPTIMIZERS + ONE_OPTIMIZER)
def test_the_critic_learns_at_its_own_rate(cls: Any) -> None:
    agent = build(cls, learning_rate=1e-3, critic_learning_rate=0.0).learn(32)
    assert rates(agent) == {"critic": {0.0}, "actor": {1e-3}}
    distances = moved(agent, 32)
    assert distances["critic"] == 0
    assert distances["actor"] > 0


@pytest.mark.parametrize("cls", TWO_OPTIMIZERS + ONE_OPTIMIZER)
def test_its_rate_may_follow_a_schedule(cls: Any) -> None:
    agent = build(cls, learning_rate=1e-3, critic_learning_rate=LinearSchedule(1e-2, 0.0, 1.0))
    agent.learn(64)
    (rate,) = rates(agent)["critic"]
    assert rate == pytest.approx(1e-2 * agent._current_progress_remaining, abs=1e-12)
    assert 0 <= rate < 5e-3
    assert rates(agent)["actor"] == {1e-3}


@pytest.mark.parametrize("cls", TWO_OPTIMIZERS + ONE_OPTIMIZER)
def test_its_optimizer_has_its_own_settings(cls: Any, tmp_path: Path) -> None:
    agent = build(cls, critic_optimizer_kwargs={"eps": 3.125e-4}).learn(32)

    def epsilons(model: Any) -> dict[str, set[float]]:
        groups = [group for d in model._descents.values() for group in d.optimizer.param_groups]
        return {player: {g["eps"] for g in groups if g["player"] == player} for player in ("critic", "actor")}

    found = epsilons(agent)
    assert found["critic"] == {3.125e-4}
    assert found["actor"] != found["critic"]
    agent.save(tmp_path / "agent")
    loaded = cls.load(tmp_path / "agent", device="cpu")
    assert epsilons(loaded) == found
    mine, its = agent.get_parameters(), loaded.get_parameters()
    assert mine.keys() == its.keys()
    for name in mine:
        assert_equal(mine[name], its[name])


@pytest.mark.parametrize("cls", TWO_OPTIMIZERS)
def test_its_optimizer_may_be_another_one(cls: Any, tmp_path: Path) -> None:
    agent = build(
        cls, learning_rate=1e-3, critic_learning_rate=1e-2, critic_optimizer_class=torch.optim.SGD,
        critic_optimizer_kwargs={"momentum": 0.9},
    ).learn(32)  # fmt: skip
    assert type(agent.critic.optimizer) is torch.optim.SGD
    assert type(agent.actor.optimizer) is torch.optim.Adam
    assert {group["momentum"] for group in agent.critic.optimizer.param_groups} == {0.9}
    assert moved(agent, 16)["critic"] > 0
    agent.save(tmp_path / "agent")
    loaded = cls.load(tmp_path / "agent", device="cpu")
    assert_equal(loaded.critic.optimizer.state_dict(), agent.critic.optimizer.state_dict())


def test_settings_that_say_what_is_already_so_change_nothing() -> None:
    """The rebuilt optimizer keeps what the policy's arguments say."""
    plain = build(SAC, learning_rate=1e-3).learn(40)
    same = build(
        SAC, learning_rate=1e-3, critic_learning_rate=1e-3, critic_optimizer_kwargs={"betas": (0.9, 0.999)}
    ).learn(40)
    assert_equal(same.policy.state_dict(), plain.policy.state_dict())


@pytest.mark.parametrize(
    ("cls", "kwargs", "words"),
    [
        (
            PPO,
            {"critic_optimizer_class": torch.optim.SGD},
            ["one optimizer for actor and critic", "critic_learning_rate"],
        ),
        (A2C, {"critic_optimizer_kwargs": {"betas": (0.9, 0.9)}}, ["RMSprop has no option `betas`", "alpha"]),
        (DQN, {"critic_learning_rate": 1e-3}, ["critic_learning_rate", "learns a critic alone", "use learning_rate"]),
    ],
)
def test_what_cannot_be_is_refused(cls: Any, kwargs: dict[str, Any], words: list[str]) -> None:
    env = "CartPole-v1" if cls is DQN else "Pendulum-v1"
    with pytest.raises(IncompatibleSetting) as refusal:
        cls("MlpPolicy", env, device="cpu", **kwargs)
    assert refusal.value.door == "agent"
    for word in words:
        assert word in str(refusal.value)


def assert_equal(a: Any, b: Any) -> None:
    """Nested state dicts, tensors compared to the bit."""
    if isinstance(a, dict):
        assert a.keys() == b.keys()
        for key in a:
            assert_equal(a[key], b[key])
    elif isinstance(a, (list, tuple)):
        assert len(a) == len(b)
        for x, y in zip(a, b, strict=True):
            assert_equal(x, y)
    elif isinstance(a, Tensor):
        assert torch.equal(a, b)
    else:
        assert a == b
