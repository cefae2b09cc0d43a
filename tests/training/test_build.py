from __future__ import annotations

import warnings
from collections.abc import Callable
from contextlib import closing
from typing import Any, get_args

import gymnasium
import numpy as np
import pytest
import torch
from gymnasium import spaces
from stable_baselines3 import HerReplayBuffer
from stable_baselines3.common.noise import NormalActionNoise, OrnsteinUhlenbeckActionNoise
from stable_baselines3.common.utils import ConstantSchedule, LinearSchedule
from stable_baselines3.common.vec_env import DummyVecEnv, SubprocVecEnv, VecFrameStack, VecNormalize, VecTransposeImage

from smoothrl import registry
from smoothrl.config import RunConfig
from smoothrl.config.agents import OffPolicyAgent, QCriticAgent
from smoothrl.config.networks import PolicyKwargs
from smoothrl.config.section import Section
from smoothrl.critics import SpectralNorm
from smoothrl.optim import DivLr, DriftAdjustedLR
from smoothrl.training import RunError, build

from .conftest import AGENTS

Make = Callable[..., RunConfig]
BOX = spaces.Box(-1, 1, (3,))


def choices(section: type[Section], field: str) -> set[str]:
    """The names a field of the schema allows."""
    alternatives = get_args(section.model_fields[field].annotation)
    return {name for alternative in alternatives for name in get_args(alternative)}


def test_every_name_of_the_schema_has_a_class() -> None:
    assert choices(PolicyKwargs, "activation_fn") == build.ACTIVATIONS.keys()
    assert choices(PolicyKwargs, "optimizer_class") == build.OPTIMIZERS.keys()
    assert choices(QCriticAgent, "critic_optimizer_class") == build.OPTIMIZERS.keys()
    assert choices(OffPolicyAgent, "replay_buffer_class") == build.REPLAY_BUFFERS.keys()


def test_schedules_become_those_of_sb3(make_config: Make) -> None:
    linear = {"kind": "linear", "from": 1e-3, "to": 1e-4, "end_fraction": 0.5}
    config = make_config(
        {"kind": "ppo", "learning_rate": linear, "clip_range": {"kind": "constant", "value": 0.1}, "clip_range_vf": 0.3}
    )
    kwargs = build.agent_kwargs(config.agent, BOX)
    assert isinstance(kwargs["learning_rate"], LinearSchedule)
    assert [kwargs["learning_rate"](remaining) for remaining in (1.0, 0.75, 0.2)] == pytest.approx([1e-3, 5.5e-4, 1e-4])
    assert isinstance(kwargs["clip_range"], ConstantSchedule)
    assert kwargs["clip_range"](0.5) == 0.1
    assert kwargs["clip_range_vf"] == 0.3


def test_networks_and_optimizers_are_found_by_name(make_config: Make) -> None:
    policy_kwargs = {
        "net_arch": {"pi": [8], "qf": [12, 4]},
        "activation_fn": "elu",
        "optimizer_class": "rmsprop",
        "optimizer_kwargs": {"alpha": 0.9},
    }
    config = make_config({"kind": "sac", "policy_kwargs": policy_kwargs})
    with closing(build.vec_env(config)) as env:
        agent: Any = build.agent(config, env)
    layers = [module for module in agent.critic.qf0 if isinstance(module, torch.nn.Linear)]
    assert [layer.out_features for layer in layers] == [12, 4, 1]
    assert any(isinstance(module, torch.nn.ELU) for module in agent.critic.qf0)
    assert isinstance(agent.critic.optimizer, torch.optim.RMSprop)
    assert agent.critic.optimizer.defaults["alpha"] == 0.9


def test_the_critic_s_own_settings_reach_its_optimizer(make_config: Make) -> None:
    section = {
        "critic_learning_rate": {"kind": "constant", "value": 0.0005},
        "critic_optimizer_class": "sgd",
        "critic_optimizer_kwargs": {"momentum": 0.25},
    }
    config = make_config({"kind": "td3", **section})
    with closing(build.vec_env(config)) as env:
        agent: Any = build.agent(config, env)
        agent.learn(60)
    assert isinstance(agent.critic.optimizer, torch.optim.SGD)
    assert [(group["lr"], group["momentum"]) for group in agent.critic.optimizer.param_groups] == [(5e-4, 0.25)] * 2
    assert isinstance(agent.actor.optimizer, torch.optim.Adam)
    assert agent.actor.optimizer.param_groups[0]["lr"] == 1e-3


@pytest.mark.parametrize("kind", AGENTS)
def test_every_door_reaches_every_agent(make_config: Make, kind: str) -> None:
    config = make_config(
        kind,
        env={"id": "CartPole-v1" if kind == "dqn" else "test/Walk-v0"},
        critic_regularizers=({"kind": "spectral_norm", "layers": [-1]},),
        optimizer_adaptations=({"kind": "div_lr", "layers": [-2]}, {"kind": "drift_adjusted_lr", "cap": 3.0}),
        diagnostics=({"kind": "drift", "every": 7},),
        logging={"diagnostics_budget": 0.25},
    )
    with closing(build.vec_env(config)) as env:
        agent: Any = build.agent(config, env)
    assert agent.critic_regularizers == config.critic_regularizers == (SpectralNorm(layers=(-1,)),)
    assert agent.optimizer_adaptations == config.optimizer_adaptations
    assert agent.optimizer_adaptations == (DivLr(layers=(-2,)), DriftAdjustedLR(cap=3.0))
    assert [(diagnostic.kind, diagnostic.every) for diagnostic in agent.diagnostics] == [("drift", 7)]
    assert agent.diagnostics_budget == 0.25


def test_what_is_left_out_is_left_to_sb3(make_config: Make) -> None:
    kwargs = build.agent_kwargs(make_config({"kind": "td3", "policy_kwargs": None}).agent, BOX)
    assert "policy_kwargs" not in kwargs
    assert "action_noise" not in kwargs
    assert "kind" not in kwargs


@pytest.mark.parametrize(
    ("noise", "cls"),
    [
        ({"kind": "normal", "sigma": 0.2, "mean": 0.5}, NormalActionNoise),
        (
            {"kind": "ornstein_uhlenbeck", "sigma": 0.2, "mean": 0.5, "theta": 0.3, "dt": 0.1},
            OrnsteinUhlenbeckActionNoise,
        ),
    ],
)
def test_action_noise_fits_the_action_space(make_config: Make, noise: dict[str, Any], cls: type) -> None:
    built = build.agent_kwargs(make_config({"kind": "td3", "action_noise": noise}).agent, BOX)["action_noise"]
    expected = cls(np.full(3, 0.5), np.full(3, 0.2), *([0.3, 0.1] if "theta" in noise else []))
    assert str(vars(built)) == str(vars(expected))
    assert built().shape == (3,)


def test_her_is_found_by_name(make_config: Make) -> None:
    section = make_config({"kind": "sac", "replay_buffer_class": "her", "replay_buffer_kwargs": {"n_sampled_goal": 2}})
    kwargs = build.agent_kwargs(section.agent, BOX)
    assert kwargs["replay_buffer_class"] is HerReplayBuffer
    assert kwargs["replay_buffer_kwargs"] == {"n_sampled_goal": 2}


def test_train_freq_of_episodes_reaches_the_agent(make_config: Make) -> None:
    config = make_config({"kind": "td3", "train_freq": (2, "episode"), "gradient_steps": -1})
    assert build.agent_kwargs(config.agent, BOX)["train_freq"] == (2, "episode")


def test_wrappers_are_ordered_so_that_off_policy_agents_store_what_the_policy_sees(make_config: Make) -> None:
    config = make_config(env={"id": "test/ImageWalk-v0", "n_envs": 2, "frame_stack": 3, "normalize_reward": True})
    with closing(build.vec_env(config)) as env:
        kinds = []
        wrapper: Any = env
        while not isinstance(wrapper, DummyVecEnv):
            kinds.append(type(wrapper))
            wrapper = wrapper.venv
        assert kinds == [VecNormalize, VecTransposeImage, VecFrameStack]
        assert env.observation_space.shape == (3, 36, 36)
        assert env.num_envs == 2


def test_normalization_gets_its_bounds_and_the_discount_of_the_agent(make_config: Make) -> None:
    section = {"normalize_observation": True, "clip_observation": 3.0, "clip_reward": 2.0}
    config = make_config({"kind": "sac", "gamma": 0.9}, env=section)
    with closing(build.vec_env(config)) as env:
        assert isinstance(env, VecNormalize)
        assert (env.norm_obs, env.norm_reward, env.clip_obs, env.clip_reward) == (True, False, 3.0, 2.0)
        assert env.gamma == 0.9
        assert env.training


def test_evaluation_envs_read_the_statistics_of_training_and_do_not_change_them(make_config: Make) -> None:
    config = make_config(env={"normalize_observation": True, "normalize_reward": True, "vectorization": "subprocess"})
    dummy = make_config(env={"normalize_observation": True, "normalize_reward": True})
    with closing(build.vec_env(dummy)) as training:
        assert isinstance(training, VecNormalize)
        with closing(build.vec_env(config, n_envs=4, statistics_of=training)) as evaluation:
            assert isinstance(evaluation, VecNormalize)
            assert isinstance(evaluation.venv, DummyVecEnv)
            training.reset()
            for _ in range(20):
                training.step(np.ones((1, 1)))
            mean = training.obs_rms.mean.copy()
            evaluation.reset()
            evaluation.step(np.ones((4, 1)))
            np.testing.assert_array_equal(evaluation.obs_rms.mean, mean)
            np.testing.assert_array_equal(training.obs_rms.mean, mean)
            assert evaluation.num_envs == 4


def test_workers_step_in_processes_of_their_own(make_config: Make) -> None:
    env = {"id": "CartPole-v1", "kwargs": {"sutton_barto_reward": True}, "n_envs": 2, "vectorization": "subprocess"}
    with closing(build.vec_env(make_config("ppo", env=env))) as workers:
        assert isinstance(workers, SubprocVecEnv)
        workers.seed(7)
        first = gymnasium.make("CartPole-v1").reset(seed=8)[0]
        np.testing.assert_array_equal(workers.reset()[1], first)  # type: ignore[index]
        assert workers.step(np.zeros(2, int))[1].tolist() == [0.0, 0.0]  # Sutton and Barto's reward, from the kwargs


def test_a_device_that_is_not_there_is_refused(make_config: Make) -> None:
    with pytest.raises(RunError, match=r"device: this machine has no `cuda:64`"):
        build.prepare(make_config(device="cuda:64"))


def test_threads_and_seeds_are_set(make_config: Make) -> None:
    build.prepare(make_config(threads=2, seed=5))
    drawn = np.random.normal()
    build.prepare(make_config(threads=1, seed=5))
    assert np.random.normal() == drawn
    assert torch.get_num_threads() == 1


def test_an_agent_that_refuses_its_arguments_says_why(make_config: Make) -> None:
    config = make_config({"kind": "sac", "policy": "CnnPolicy"})
    with (
        closing(build.vec_env(config)) as env,
        pytest.raises(RunError, match=r"(?s)agent: cannot be built from this config: .*CnnPolicy"),
    ):
        build.agent(config, env)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (
            {"critic_regularizers": ({"kind": "spectral_norm", "layers": [-5]},)},
            "critic_regularizers: layer -5 does",
        ),
        (
            {"optimizer_adaptations": ({"kind": "div_grad", "layers": [-5]},)},
            "optimizer_adaptations: layer -5 does",
        ),
    ],
)
def test_what_does_not_fit_the_agent_is_refused_in_its_section(
    make_config: Make, changes: dict[str, Any], message: str
) -> None:
    config = make_config("sac", **changes)
    with closing(build.vec_env(config)) as env, pytest.raises(RunError, match=f"^{message}"):
        build.agent(config, env)


def test_settings_without_effect_are_warned_about_once_each_and_in_one_line(
    make_config: Make, capsys: pytest.CaptureFixture[str]
) -> None:
    idle = {"kind": "div_grad", "layers": [-2]}  # Adam's epsilon is 1e-8
    config = make_config("sac", optimizer_adaptations=(idle, idle, {"kind": "mul_eps", "layers": [-2]}))
    with closing(build.vec_env(config)) as env:
        build.agent(config, env)
    lines = capsys.readouterr().err.splitlines()
    assert [line.split(" will ")[0] for line in lines] == [
        "warning: optimizer_adaptations: div_grad",
        "warning: optimizer_adaptations: mul_eps",
    ]
    assert all("set critic_optimizer_kwargs: {eps: 3.125e-4}" in line for line in lines)
    assert "Warning" not in "".join(lines)


def test_other_warnings_stay_warnings(make_config: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    class Warning_(registry.load("agent", "sac")):  # type: ignore[misc]
        def _setup_model(self) -> None:
            super()._setup_model()
            warnings.warn("something else", DeprecationWarning, stacklevel=1)

    monkeypatch.setitem(registry._classes["agent"], "sac", Warning_)
    config = make_config("sac")
    with closing(build.vec_env(config)) as env, pytest.warns(DeprecationWarning, match="something else"):
        build.agent(config, env)


@pytest.mark.parametrize("wrapper", [{"normalize_observation": True}, {"frame_stack": 2}])
def test_a_wrapper_that_refuses_the_task_says_why(make_config: Make, wrapper: dict[str, Any]) -> None:
    with pytest.raises(RunError, match=r"env: cannot be built from this config: .* only .*Box"):
        build.vec_env(make_config("ppo", env={"id": "FrozenLake-v1"} | wrapper))
