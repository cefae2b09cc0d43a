"""Whether a config's agent and its task go together: what only the built env can tell."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

import numpy as np
from gymnasium import spaces

from smoothrl.config import ConfigError, Problem, RunConfig
from smoothrl.config.agents import AGENTS, OffPolicyAgent
from smoothrl.suites._envs import EnvFacts, describe

_GOAL_KEYS = {"observation", "achieved_goal", "desired_goal"}


def check(config: RunConfig, describe: Callable[[str, Mapping[str, Any]], EnvFacts] = describe) -> None:
    """Check an agent against its env, before anything is built to be kept.

    Args:
        config: the run.
        describe: what gives the facts of an env; for many runs, one that remembers them.

    Raises:
        ConfigError: the env cannot be built, or the agent, its policy or a wrapper does not fit its spaces.
    """
    problems = list(_mismatches(config, describe(config.env.id, config.env.kwargs)))
    if problems:
        raise ConfigError(problems)


def _mismatches(config: RunConfig, facts: EnvFacts) -> Iterator[Problem]:
    env, agent, observation = config.env, config.agent, facts.observation_space
    actions = type(facts.action_space).__name__
    if actions not in agent.action_spaces:
        fitting = [name for name, section in AGENTS.items() if actions in section.action_spaces]
        rule = (
            f"cannot act in {env.id}. This is because {agent.kind} needs {_or(agent.action_spaces)} actions, and "
            f"{env.id} takes {facts.action_space}; agents for it: {', '.join(fitting) or 'none'}"
        )
        yield Problem(("agent", "kind"), rule, value=agent.kind)
    images_normalized = agent.policy_kwargs is None or agent.policy_kwargs.normalize_images is not False
    if agent.policy not in (policies := _policies(observation, images_normalized)):
        fit = f"use {_or(policies)}" if policies else "no policy does"
        rule = f"does not fit the observations of {env.id}, {_short(observation)}: {fit}"
        yield Problem(("agent", "policy"), rule, value=agent.policy)
    if isinstance(agent, OffPolicyAgent) and agent.replay_buffer_class == "her":
        keys = set(observation) if isinstance(observation, spaces.Dict) else set()
        if not keys >= _GOAL_KEYS:
            rule = f"needs observations with {', '.join(sorted(_GOAL_KEYS))}, which {env.id} does not have"
            yield Problem(("agent", "replay_buffer_class"), rule, value="her")
    if not isinstance(observation, spaces.Box | spaces.Dict):
        rule = f"needs Box or Dict observations, and {env.id} has {_short(observation)}"
        if env.normalize_observation:
            yield Problem(("env", "normalize_observation"), rule, value=True)
        if env.frame_stack > 1:
            yield Problem(("env", "frame_stack"), rule, value=env.frame_stack)


def _policies(observation: spaces.Space, images_normalized: bool) -> set[str]:
    """SB3's policies for these observations."""
    if isinstance(observation, spaces.Dict):
        return {"MultiInputPolicy"}
    if not isinstance(observation, spaces.Box | spaces.Discrete | spaces.MultiDiscrete | spaces.MultiBinary):
        return set()
    if isinstance(observation, spaces.Box) and len(observation.shape) == 3:
        pixels = observation.dtype == np.uint8 and np.all(observation.low == 0) and np.all(observation.high == 255)
        if pixels or not images_normalized:
            return {"CnnPolicy"}
    return {"MlpPolicy"}


def _or(names: set[str] | frozenset[str]) -> str:
    return " or ".join(sorted(names))


def _short(space: spaces.Space) -> str:
    return f"a Box of shape {space.shape}" if isinstance(space, spaces.Box) else str(space)
