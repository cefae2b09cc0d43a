"""Making an environment, and what it is found to be."""

from __future__ import annotations

import inspect
import logging
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import gymnasium
from gymnasium.envs.registration import EnvSpec, load_env_creator

from smoothrl.config import ConfigError, Problem
from smoothrl.registry import did_you_mean
from smoothrl.suites import box2d, classic, mujoco
from smoothrl.suites._task import Task

SUITES = (classic.SUITE, box2d.SUITE, mujoco.SUITE)


@dataclass(frozen=True)
class EnvFacts:
    """What an agent must fit."""

    action_space: gymnasium.Space[Any]
    observation_space: gymnasium.Space[Any]


def tasks() -> list[Task]:
    """The tasks of all suites, in the order of the suites."""
    return [task for suite in SUITES for task in suite.tasks()]


def make(spec: EnvSpec, kwargs: Mapping[str, Any]) -> gymnasium.Env[Any, Any]:
    """`gymnasium.make`, with MuJoCo's warnings sent to Python's log.

    MuJoCo on its own prints them and drops a MUJOCO_LOG.TXT into the working directory.
    """
    _creator(spec)
    if "mujoco" in sys.modules:
        sys.modules["mujoco"].set_mju_user_warning(_log_mujoco)
    return gymnasium.make(spec, **kwargs)


def describe(env_id: str, kwargs: Mapping[str, Any]) -> EnvFacts:
    """Build a throw-away env to see its spaces.

    Raises:
        ConfigError: it needs an extra that is not installed, does not know a keyword argument, or cannot be built.
    """
    missing = [task for task in tasks() if task.id == env_id and not task.installed]
    if missing:
        rule = f"needs a package that is not installed: {missing[0].install}"
        raise ConfigError([Problem(("env", "id"), rule, value=env_id)])
    spec = gymnasium.spec(env_id)
    try:
        if unknown := _unknown_kwargs(spec, kwargs):
            raise ConfigError(unknown)
        env = make(spec, kwargs)
    except ConfigError:
        raise
    except Exception as error:  # whatever another package's env raises, the user needs to see which env it was
        rule = f"cannot be built: {type(error).__name__}: {error}"
        raise ConfigError([Problem(("env",), rule, value={"id": env_id, "kwargs": dict(kwargs)})]) from error
    env.close()
    return EnvFacts(env.action_space, env.observation_space)


def _unknown_kwargs(spec: EnvSpec, kwargs: Mapping[str, Any]) -> list[Problem]:
    parameters = inspect.signature(_creator(spec)).parameters.values()
    if any(parameter.kind is parameter.VAR_KEYWORD for parameter in parameters):
        return []
    of_make = set(inspect.signature(gymnasium.make).parameters) - {"id", "kwargs"}
    valid = of_make.union(parameter.name for parameter in parameters)
    return [
        Problem(("env", "kwargs", name), f"{spec.id} has no such argument{did_you_mean(name, valid)}", value=value)
        for name, value in kwargs.items()
        if name not in valid
    ]


def _creator(spec: EnvSpec) -> Any:
    """The class or function behind an id; imports its module."""
    return load_env_creator(spec.entry_point) if isinstance(spec.entry_point, str) else spec.entry_point


def _log_mujoco(message: str) -> None:
    # Deprecations in the models are gymnasium's to repair; what MuJoCo says about the simulation is the user's to know.
    level = logging.DEBUG if "deprecated" in message else logging.WARNING
    logging.getLogger("mujoco").log(level, message)
