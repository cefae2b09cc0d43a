"""With all options off an agent is SB3's, bit for bit: same parameters after the same number of gradient steps."""

from __future__ import annotations

from typing import Any

import pytest
import stable_baselines3 as sb3
import torch
from stable_baselines3.common.base_class import BaseAlgorithm

from smoothrl.agents import A2C, DDPG, DQN, PPO, SAC, TD3
from smoothrl.critics import GradientPenalty

OFF_POLICY = {"learning_rate": 1e-3, "learning_starts": 100, "batch_size": 64}
ON_POLICY = {"n_steps": 256, "batch_size": 32, "n_epochs": 5}
CASES: list[tuple[str, type[BaseAlgorithm], type[BaseAlgorithm], str, int, dict[str, Any]]] = [
    ("sac", SAC, sb3.SAC, "Pendulum-v1", 450, OFF_POLICY),
    ("sac, fixed entropy", SAC, sb3.SAC, "Pendulum-v1", 450, {**OFF_POLICY, "ent_coef": 0.1}),
    ("sac, gSDE", SAC, sb3.SAC, "Pendulum-v1", 450, {**OFF_POLICY, "use_sde": True}),
    ("sac, slow target", SAC, sb3.SAC, "Pendulum-v1", 250,
     {**OFF_POLICY, "gradient_steps": 3, "target_update_interval": 2, "policy_kwargs": {"n_critics": 3}}),
    ("sac, n-step", SAC, sb3.SAC, "Pendulum-v1", 450, {**OFF_POLICY, "n_steps": 3}),
    ("td3", TD3, sb3.TD3, "Pendulum-v1", 450, OFF_POLICY),
    ("td3, one critic", TD3, sb3.TD3, "Pendulum-v1", 450, {**OFF_POLICY, "policy_kwargs": {"n_critics": 1}}),
    ("ddpg", DDPG, sb3.DDPG, "Pendulum-v1", 450, OFF_POLICY),
    ("dqn", DQN, sb3.DQN, "CartPole-v1", 1500, {**OFF_POLICY, "target_update_interval": 100}),
    ("dqn, slow target, n-step", DQN, sb3.DQN, "CartPole-v1", 1500,
     {**OFF_POLICY, "target_update_interval": 10, "tau": 0.1, "n_steps": 3, "max_grad_norm": 0.1}),
    ("a2c", A2C, sb3.A2C, "Pendulum-v1", 1600, {}),
    ("a2c, discrete", A2C, sb3.A2C, "CartPole-v1", 1600, {"ent_coef": 0.01, "normalize_advantage": True}),
    ("a2c, gSDE, Adam", A2C, sb3.A2C, "Pendulum-v1", 1600, {"use_sde": True, "use_rms_prop": False}),
    ("ppo", PPO, sb3.PPO, "Pendulum-v1", 2048, ON_POLICY),
    ("ppo, discrete", PPO, sb3.PPO, "CartPole-v1", 2048, ON_POLICY),
    ("ppo, value clip", PPO, sb3.PPO, "Pendulum-v1", 2048, {**ON_POLICY, "clip_range_vf": 0.2, "ent_coef": 0.01}),
    ("ppo, early stop", PPO, sb3.PPO, "CartPole-v1", 2048,
     {**ON_POLICY, "n_epochs": 10, "target_kl": 1e-3, "learning_rate": 3e-3}),
]  # fmt: skip


@pytest.mark.parametrize(("ours", "stock", "env", "steps", "kwargs"), [c[1:] for c in CASES], ids=[c[0] for c in CASES])
def test_parameters_equal_stock_sb3(
    ours: type[BaseAlgorithm], stock: type[BaseAlgorithm], env: str, steps: int, kwargs: dict[str, Any]
) -> None:
    """At least 300 gradient steps; optimizer moments and every later random draw are covered by equal parameters."""
    models = [cls("MlpPolicy", env, seed=7, device="cpu", **kwargs).learn(steps) for cls in (ours, stock)]
    assert models[0]._n_updates == models[1]._n_updates
    assert_equal(models[0].policy.state_dict(), models[1].policy.state_dict())


def test_zero_coefficient_changes_nothing() -> None:
    """A gradient penalty with coefficient 0 draws no random number and adds nothing."""
    off = GradientPenalty(coef=0.0, points="interpolate")
    ours = SAC("MlpPolicy", "Pendulum-v1", seed=7, device="cpu", critic_regularizers=[off], **OFF_POLICY).learn(450)
    stock = sb3.SAC("MlpPolicy", "Pendulum-v1", seed=7, device="cpu", **OFF_POLICY).learn(450)
    assert_equal(ours.policy.state_dict(), stock.policy.state_dict())


def assert_equal(a: dict[str, torch.Tensor], b: dict[str, torch.Tensor]) -> None:
    assert a.keys() == b.keys()
    different = [name for name in a if not torch.equal(a[name], b[name])]
    assert not different
