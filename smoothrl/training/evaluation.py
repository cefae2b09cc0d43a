"""Evaluation: the deterministic policy on environments of its own, always from the same initial states.

Every episode has its own seed, the same at every evaluation and for every variant of a study, so that two points of a
curve, and two curves, differ by the policy alone. Episodes are played side by side: one forward pass serves all.
"""

from __future__ import annotations

import math
import random
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from stable_baselines3.common.base_class import BaseAlgorithm
from stable_baselines3.common.logger import Logger
from stable_baselines3.common.vec_env import VecEnv

from smoothrl.config import RunConfig
from smoothrl.training.build import vec_env
from smoothrl.training.durable import commit_text
from smoothrl.training.signals import StopSignals

EVALUATIONS = "evaluations.csv"
MAX_ENVS = 16
"""Episodes played at once; more are played in turns."""


@dataclass(frozen=True)
class Episode:
    """One evaluation episode, in the rewards of the task: neither normalized nor clipped."""

    ret: float
    length: int


@dataclass(frozen=True)
class Evaluation:
    """The episodes of one evaluation."""

    timesteps: int
    seed: int
    episodes: tuple[Episode, ...]

    @property
    def mean_return(self) -> float:
        return float(np.mean([episode.ret for episode in self.episodes]))

    @property
    def std_return(self) -> float:
        return float(np.std([episode.ret for episode in self.episodes]))

    @property
    def mean_length(self) -> float:
        return float(np.mean([episode.length for episode in self.episodes]))

    def as_record(self) -> dict[str, float | None]:
        """For `run.json`; what is not finite becomes None, which JSON can say."""
        means = {"mean_return": self.mean_return, "std_return": self.std_return, "mean_length": self.mean_length}
        return {"timesteps": self.timesteps, "episodes": len(self.episodes), "seed": self.seed} | {
            name: value if math.isfinite(value) else None for name, value in means.items()
        }


class Evaluator:
    """Evaluates an agent while it is trained, and writes what it finds to `evaluations.csv` and TensorBoard."""

    def __init__(
        self, config: RunConfig, agent: BaseAlgorithm, folder: Path, logger: Logger, stop: StopSignals
    ) -> None:
        self.latest: Evaluation | None = None
        self._seed = evaluation_seed(config)
        self._episodes = config.evaluation.episodes
        self._agent = agent
        self._path = folder / EVALUATIONS
        self._rows = ["timesteps,episode,return,length"]
        self._logger = logger
        self._stop = stop
        with undisturbed_rng():
            self._env = vec_env(
                config, n_envs=min(self._episodes, MAX_ENVS), statistics_of=agent.get_vec_normalize_env()
            )

    def __call__(self) -> Evaluation | None:
        """Evaluate now. None when a signal asks the run to stop before the last episode ended."""
        with undisturbed_rng():
            episodes = self._play()
        if self._stop.received:
            return None
        self.latest = Evaluation(self._agent.num_timesteps, self._seed, tuple(episodes))
        self._write(self.latest)
        return self.latest

    def close(self) -> None:
        self._env.close()

    def _play(self) -> list[Episode]:
        episodes: list[Episode] = []
        while len(episodes) < self._episodes and not self._stop.received:
            episodes += play(self._agent, self._env, self._seed + len(episodes), self._stop)
        return episodes[: self._episodes]

    def _write(self, evaluation: Evaluation) -> None:
        steps = evaluation.timesteps
        self._rows += [f"{steps},{i},{episode.ret},{episode.length}" for i, episode in enumerate(evaluation.episodes)]
        commit_text(self._path, "\n".join(self._rows) + "\n")
        self._logger.record("eval/mean_reward", evaluation.mean_return)
        self._logger.record("eval/std_reward", evaluation.std_return)
        self._logger.record("eval/mean_ep_length", evaluation.mean_length)
        self._logger.dump(steps)


def play(agent: BaseAlgorithm, env: VecEnv, seed: int, stop: StopSignals) -> list[Episode]:
    """One deterministic episode in each environment, the i-th from seed + i. Empty when a signal asks to stop."""
    env.seed(seed)
    observations: Any = env.reset()
    finished: dict[int, Episode] = {}
    while len(finished) < env.num_envs:
        if stop.received:
            return []
        actions, _ = agent.predict(observations, deterministic=True)
        observations, _, _, infos = env.step(actions)
        for i, info in enumerate(infos):
            # Monitor's own account, of unwrapped rewards. An environment that is done goes on with an episode nobody
            # looks at, until the last one is.
            if "episode" in info and i not in finished:
                finished[i] = Episode(float(info["episode"]["r"]), int(info["episode"]["l"]))
    return [finished[i] for i in range(env.num_envs)]


def evaluation_seed(config: RunConfig) -> int:
    """The configured seed; without one, a seed of its own for every run seed, far from those the training uses."""
    if config.evaluation.seed is not None:
        return config.evaluation.seed
    return int(np.random.SeedSequence([config.seed, 1]).generate_state(1)[0]) // 2  # below 2^31: seed + i must fit


@contextmanager
def undisturbed_rng() -> Iterator[None]:
    """Whatever happens inside draws nothing from the random streams of the training."""
    python, numpy = random.getstate(), np.random.get_state()
    try:
        with torch.random.fork_rng(devices=[]):
            yield
    finally:
        random.setstate(python)
        np.random.set_state(numpy)
