"""What diagnostics see of an agent."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from gymnasium import spaces
from stable_baselines3.common.buffers import ReplayBuffer, RolloutBuffer
from stable_baselines3.common.vec_env import VecNormalize
from torch import Tensor, nn

from smoothrl.diagnostics import Probe
from smoothrl.optim._descent import group_of

if TYPE_CHECKING:
    from smoothrl.agents._smooth_agent import SmoothAgent

HELD = 512
"""Transitions held for diagnostics."""
ENOUGH = 64
"""Transitions that a replay buffer must have before some of them are held."""
TRAJECTORY = 256
"""Observations at most of the held trajectory."""

Observations = Tensor | dict[str, Tensor]


@dataclass(frozen=True)
class Held:
    """Points that are held fixed for the whole run."""

    samples: Any
    """Of the agent's buffer, as its updates get them."""
    trajectory: Observations
    """Consecutive observations of one episode."""


class AgentProbe(Probe):
    """An agent at one moment, on the points that are held."""

    def __init__(self, agent: SmoothAgent, held: Held) -> None:
        descent = next(d for d in agent._descents.values() if any(p.name == "critic" for p in d.players))
        player = next(player for player in descent.players if player.name == "critic")
        self._agent = agent
        self.critic = agent._online_critic
        self.batch, self.trajectory = agent._critic_batch(held.samples), held.trajectory
        self.critic_parameters: Sequence[nn.Parameter] = player.parameters
        self.critic_optimizer = descent.optimizer
        self.critic_learning_rate: float = group_of(descent.optimizer, player.parameters[0])["lr"]
        self.actor = agent._actor_network()
        self.norms = {tag: norm for d in agent._descents.values() for tag, norm in d.norms.items()}
        self._objective: Callable[[], Tensor] | None = None
        self._samples = held.samples

    def critic_loss(self) -> Tensor:
        if self._objective is None:
            self._objective = self._agent.critic_objective(self._samples)
        torch.manual_seed(0)  # a penalty at random points: the same ones in every call
        return self._objective()

    def policy(self, observations: Observations) -> Tensor:
        return self._agent._deterministic_actions(observations)

    @property
    def has_continuous_actions(self) -> bool:
        return isinstance(self._agent.action_space, spaces.Box)


def from_replay(buffer: ReplayBuffer, env: VecNormalize | None) -> Held | None:
    """Samples and a trajectory of a replay buffer. Draws from numpy's global stream: the caller restores it."""
    stored = buffer.buffer_size if buffer.full else buffer.pos
    if stored * buffer.n_envs < ENOUGH:
        return None
    np.random.seed(0)
    samples = buffer.sample(min(HELD, stored * buffer.n_envs), env=env)
    steps = _longest_episode(buffer.dones[:stored, 0])

    def normalized(observations: Any) -> Any:
        return buffer._normalize_obs(observations, env)

    if isinstance(buffer.observations, dict):
        path: Any = normalized({key: x[steps, 0] for key, x in buffer.observations.items()})
        return Held(samples, {key: buffer.to_torch(x) for key, x in path.items()})
    return Held(samples, buffer.to_torch(normalized(buffer.observations[steps, 0])))


class Rollouts:
    """Joins consecutive rollouts until they are enough to hold: those of A2C are a few steps long."""

    def __init__(self) -> None:
        self._samples: list[Any] = []
        self._paths: list[Any] = []
        self._starts: list[np.ndarray] = []

    @property
    def are_enough(self) -> bool:
        """Whether there is a whole batch to draw."""
        return sum(len(samples[1]) for samples in self._samples) >= HELD

    def add(self, buffer: RolloutBuffer) -> None:
        """Take a rollout that has been trained on, and so is flattened, one environment after another."""
        steps = buffer.buffer_size  # those of the first environment come first
        self._samples.append(buffer._get_samples(np.arange(steps * buffer.n_envs)))
        self._paths.append(_rows(self._samples[-1].observations, slice(0, steps)))
        self._starts.append(buffer.episode_starts[:steps].flatten())

    def draw(self) -> Held:
        """Samples and a trajectory of what was taken, which is then forgotten."""
        joined = [_joined(parts) for parts in zip(*self._samples, strict=True)]
        chosen = np.random.default_rng(0).permutation(len(joined[1]))[:HELD]
        ends = np.append(np.concatenate(self._starts)[1:], 1.0)
        samples = type(self._samples[0])(*(_rows(part, chosen) for part in joined))
        trajectory = _rows(_joined(self._paths), _longest_episode(ends))
        for taken in (self._samples, self._paths, self._starts):
            taken.clear()
        return Held(samples, trajectory)


def _joined(parts: Sequence[Any]) -> Any:
    """Batches end to end; of dict observations, entry by entry."""
    if isinstance(parts[0], dict):
        return {key: torch.cat([part[key] for part in parts]) for key in parts[0]}
    return torch.cat(list(parts))


def _rows(batch: Any, rows: Any) -> Any:
    """Some rows of a batch; of dict observations, of every entry."""
    return {key: x[rows] for key, x in batch.items()} if isinstance(batch, dict) else batch[rows]


def _longest_episode(ends: np.ndarray) -> slice:
    """The longest stretch without an end inside it, cut to `TRAJECTORY` steps; `ends[t]`: step t ended an episode."""
    bounds = [0, *(np.flatnonzero(ends) + 1), len(ends)]
    start, stop = max(pairwise(bounds), key=lambda bound: bound[1] - bound[0])
    return slice(int(start), int(min(stop, start + TRAJECTORY)))
