"""From a config to the objects of SB3: names become classes, sections become schedules, wrappers and agents."""

from __future__ import annotations

import os
import sys
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any

import gymnasium
import numpy as np
import torch
from gymnasium.envs.registration import EnvSpec
from stable_baselines3 import HerReplayBuffer
from stable_baselines3.common.base_class import BaseAlgorithm
from stable_baselines3.common.monitor import Monitor
from stable_baselines3.common.noise import ActionNoise, NormalActionNoise, OrnsteinUhlenbeckActionNoise
from stable_baselines3.common.utils import ConstantSchedule, LinearSchedule, set_random_seed
from stable_baselines3.common.vec_env import DummyVecEnv, SubprocVecEnv, VecEnv, VecFrameStack, VecNormalize
from torch import nn

from smoothrl import registry, suites
from smoothrl.config import RunConfig
from smoothrl.config.agents import Agent
from smoothrl.config.replay import NormalNoise, OrnsteinUhlenbeckNoise
from smoothrl.config.schedules import ConstantSchedule as ConstantSection
from smoothrl.config.schedules import LinearSchedule as LinearSection
from smoothrl.training.folder import RunError
from smoothrl.views import IncompatibleSetting, IneffectiveSetting

ACTIVATIONS: dict[str, type[nn.Module]] = {
    "relu": nn.ReLU,
    "tanh": nn.Tanh,
    "elu": nn.ELU,
    "silu": nn.SiLU,
    "gelu": nn.GELU,
    "leaky_relu": nn.LeakyReLU,
    "selu": nn.SELU,
    "softplus": nn.Softplus,
}
OPTIMIZERS: dict[str, type[torch.optim.Optimizer]] = {
    "adam": torch.optim.Adam,
    "adamw": torch.optim.AdamW,
    "nadam": torch.optim.NAdam,
    "radam": torch.optim.RAdam,
    "rmsprop": torch.optim.RMSprop,
    "sgd": torch.optim.SGD,
}
REPLAY_BUFFERS = {"her": HerReplayBuffer}


def prepare(config: RunConfig) -> None:
    """Set this process's threads and random streams, and refuse a device this machine does not have.

    Raises:
        RunError: the config asks for CUDA where there is none.
    """
    if config.device.startswith("cuda"):
        wanted, present = torch.device(config.device).index or 0, torch.cuda.device_count()
        if wanted >= present:
            raise RunError(
                f"device: this machine has no `{config.device}` (CUDA devices: {present}); use `cpu` or `auto`"
            )
    torch.set_num_threads(config.threads)
    set_random_seed(config.seed)  # the agent does it again; this is for environments that draw while they are built


def vec_env(config: RunConfig, n_envs: int | None = None, statistics_of: VecNormalize | None = None) -> VecEnv:
    """The environments of a run, wrapped as the config says.

    The order matters to off-policy agents: they store what `VecNormalize` got from below, so stacking and transposing
    come before it.

    Args:
        n_envs: for evaluation, how many; they then live in this process.
        statistics_of: for evaluation, the wrapper whose running statistics to use; they are read and never changed.

    Raises:
        RunError: a wrapper refuses the task.
    """
    section = config.env
    in_workers = n_envs is None and section.vectorization == "subprocess"
    make = partial(_make, gymnasium.spec(section.id), section.kwargs, in_workers)
    makers: list[Callable[[], gymnasium.Env]] = [make] * (n_envs or section.n_envs)
    env: VecEnv = SubprocVecEnv(makers) if in_workers else DummyVecEnv(makers)
    with _refusal("env"):
        if section.frame_stack > 1:
            env = VecFrameStack(env, section.frame_stack)
        env = BaseAlgorithm._wrap_env(env)  # SB3's rule for images: channels first
        if section.normalize_observation or section.normalize_reward:
            env = VecNormalize(
                env,
                training=n_envs is None,
                norm_obs=section.normalize_observation,
                norm_reward=section.normalize_reward,
                clip_obs=section.clip_observation,
                clip_reward=section.clip_reward,
                gamma=config.agent.gamma,
            )
            if statistics_of is not None and section.normalize_observation:
                env.obs_rms = statistics_of.obs_rms
    return env


def agent(config: RunConfig, env: VecEnv) -> BaseAlgorithm:
    """The agent of a run, built and seeded, not trained. Says on stderr which settings will do nothing.

    Raises:
        RunError: the agent refuses its arguments.
    """
    section = config.agent
    cls = registry.load("agent", section.kind)
    kwargs = agent_kwargs(section, env.action_space)
    with _refusal("agent"), _ineffective_settings():
        built = cls(
            env=env,
            critic_regularizers=config.critic_regularizers,
            optimizer_adaptations=config.optimizer_adaptations,
            diagnostics=config.diagnostics,
            diagnostics_budget=config.logging.diagnostics_budget,
            seed=config.seed,
            device=config.device,
            **kwargs,
        )
    assert isinstance(built, BaseAlgorithm)
    return built


def agent_kwargs(section: Agent, action_space: gymnasium.Space[Any]) -> dict[str, Any]:
    """What the SB3 constructor gets. What is None in the config is left to SB3's own default."""
    kwargs = section.model_dump(exclude={"kind"}, exclude_none=True)
    for name, value in section:
        match value:
            case LinearSection():
                kwargs[name] = LinearSchedule(value.from_, value.to, value.end_fraction)
            case ConstantSection():
                kwargs[name] = ConstantSchedule(value.value)
            case NormalNoise() | OrnsteinUhlenbeckNoise():
                kwargs[name] = _action_noise(value, action_space)
    if "replay_buffer_class" in kwargs:
        kwargs["replay_buffer_class"] = REPLAY_BUFFERS[kwargs["replay_buffer_class"]]
    if "critic_optimizer_class" in kwargs:
        kwargs["critic_optimizer_class"] = OPTIMIZERS[kwargs["critic_optimizer_class"]]
    for name, classes in (("activation_fn", ACTIVATIONS), ("optimizer_class", OPTIMIZERS)):
        policy_kwargs = kwargs.get("policy_kwargs", {})
        if name in policy_kwargs:
            policy_kwargs[name] = classes[policy_kwargs[name]]
    return kwargs


def _make(spec: EnvSpec, kwargs: dict[str, Any], in_worker: bool) -> gymnasium.Env:
    """One environment. The whole spec, so that workers know environments that a script of the user registered."""
    if in_worker:
        # A process group of its own: Ctrl-C in a terminal reaches the run alone, which saves and closes its workers.
        os.setpgid(0, 0)
    return Monitor(suites.make(spec, kwargs))


@contextmanager
def _refusal(section: str) -> Iterator[None]:
    """What SB3 refuses, as a mistake in a section of the config: it asserts much of what a user can get wrong."""
    try:
        yield
    except IncompatibleSetting as error:
        raise RunError(f"{error.door or section}: {error}") from error
    except (AssertionError, ValueError) as error:
        raise RunError(f"{section}: cannot be built from this config: {error}") from error


@contextmanager
def _ineffective_settings() -> Iterator[None]:
    """Warnings about settings as lines of ours, each once; other warnings as ever."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always", IneffectiveSetting)
        yield
    said = [w.message for w in caught if isinstance(w.message, IneffectiveSetting)]
    for line in dict.fromkeys(f"warning: {message.door or 'agent'}: {message}" for message in said):
        print(line, file=sys.stderr)
    for w in caught:
        if not isinstance(w.message, IneffectiveSetting):
            warnings.warn_explicit(w.message, w.category, w.filename, w.lineno, source=w.source)


def _action_noise(noise: NormalNoise | OrnsteinUhlenbeckNoise, space: gymnasium.Space[Any]) -> ActionNoise:
    mean, sigma = np.full(space.shape or (), noise.mean), np.full(space.shape or (), noise.sigma)
    if isinstance(noise, NormalNoise):
        return NormalActionNoise(mean, sigma)
    return OrnsteinUhlenbeckActionNoise(mean, sigma, noise.theta, noise.dt)
