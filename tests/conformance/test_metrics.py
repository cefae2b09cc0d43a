"""What is logged: means over the interval; and what is said when a loss is no longer a number."""

from __future__ import annotations

import math
import re
from collections import defaultdict
from typing import Any

import gymnasium
import numpy as np
import pytest
import stable_baselines3
from stable_baselines3.common.logger import KVWriter, Logger

from smoothrl.critics import GradientPenalty, SpectralNorm

REGULARIZERS = (SpectralNorm(layers=(-2, -3)), GradientPenalty(coef=1.0, side="zero"))


class Memory(KVWriter):
    """Keeps every log line."""

    def __init__(self) -> None:
        self.lines: list[dict[str, Any]] = []

    def write(self, key_values: dict[str, Any], key_excluded: dict[str, tuple[str, ...]], step: int = 0) -> None:
        self.lines.append(dict(key_values))


def test_losses_are_means_over_the_interval(agent_name: str, build: Any, watch: Any) -> None:
    agent, memory = build(agent_name, *REGULARIZERS), Memory()
    agent.set_logger(Logger(None, [memory]))
    updates = watch(agent)
    seen = 0
    for _ in range(3):
        agent.learn(64, log_interval=None, reset_num_timesteps=False)
        agent.dump_logs()
        interval, seen = updates[seen:], len(updates)
        assert len(interval) >= 20
        values = defaultdict(list)
        for metrics in interval:
            for name, value in metrics.items():
                values[name].append(value)
        assert "smoothness/gradient_penalty" in values
        for name, found in values.items():
            assert memory.lines[-1][name] == pytest.approx(np.mean(found), rel=1e-6, abs=1e-9), name
    names = [set(line) for line in memory.lines]
    sigmas = {name for name in names[-1] if name.startswith("smoothness/sigma/critic")}
    assert names[0] == names[1] == names[2]
    assert {name.split("/")[2] for name in sigmas} == {view.name for view in views(agent)}
    assert len(sigmas) == 2 * sum(len(view.branches) for view in views(agent))
    assert all(memory.lines[-1][name] == pytest.approx(1, rel=0.03) for name in sigmas)


def views(agent: Any) -> list[Any]:
    return [view for view in (agent._online_critic, agent._target_critic) if view is not None]


def test_the_tags_are_those_of_sb3(agent_name: str, env_id: str, build: Any) -> None:
    """Whoever has dashboards for SB3 finds every one of its curves, under its name, and no other."""
    kwargs = {"ppo": {"n_steps": 32, "batch_size": 16}, "a2c": {}}.get(agent_name, {"learning_starts": 10})
    ours = build(agent_name)
    stock = getattr(stable_baselines3, type(ours).__name__)("MlpPolicy", env_id, device="cpu", **kwargs)
    lines = []
    for agent in (ours, stock):
        memory = Memory()
        agent.set_logger(Logger(None, [memory]))
        agent.learn(64, log_interval=None)
        agent.dump_logs()
        lines.append(set(memory.lines[-1]))
    assert lines[0] == lines[1]


@pytest.mark.parametrize("regularized", [False, True], ids=["plain", "regularized"])
@pytest.mark.parametrize("poisoned_at", [5, 55])
def test_a_nan_is_named_with_its_steps(
    agent_name: str, env_id: str, regularized: bool, poisoned_at: int, build: Any, watch: Any
) -> None:
    """The tensor, the gradient step it first appeared in, the environment step; whatever else broke because of it."""
    env = gymnasium.make(env_id, poisoned_at=poisoned_at)
    agent = build(agent_name, *(REGULARIZERS if regularized else ()), env=env)
    updates = watch(agent)
    with pytest.raises(FloatingPointError) as error:
        agent.learn(500)
    first = next(i for i, metrics in enumerate(updates) if not all(map(math.isfinite, metrics.values())))
    names = [name for name, value in updates[first].items() if not math.isfinite(value)]
    match = re.fullmatch(
        r"(\S+) is nan at gradient step (\d+), environment step (\d+): the run diverged", str(error.value)
    )
    assert match, error.value
    assert match[1] in names
    assert match[1].endswith(("_loss", "/loss"))
    assert (int(match[2]), int(match[3])) == (first + 1, agent.num_timesteps)
    assert agent.num_timesteps < 500


def test_a_nan_is_named_on_an_accelerator_too(agent_name: str, env_id: str, build: Any) -> None:
    """There losses wait to be read; in PPO the NaN weights break a distribution before that."""
    agent = build(agent_name, env=gymnasium.make(env_id, poisoned_at=5))
    agent.metrics.add = lambda timestep, metrics: agent.metrics._unread.append(
        (timestep, {name: value.detach().reshape(1) for name, value in metrics.items()})
    )
    with pytest.raises(
        FloatingPointError, match=r"train/(\w+_)?loss is nan at gradient step \d+, environment step \d+:"
    ):
        agent.learn(64)


def test_another_error_stays_itself(agent_name: str, build: Any) -> None:
    agent = build(agent_name)
    agent.update = lambda batch: 1 / 0
    with pytest.raises(ZeroDivisionError):
        agent.learn(64)
