from __future__ import annotations

import csv
import random
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import gymnasium
import numpy as np
import pytest
import torch
from stable_baselines3.common.logger import KVWriter, Logger

from smoothrl.config import RunConfig
from smoothrl.training import build
from smoothrl.training.evaluation import Episode, Evaluation, Evaluator, evaluation_seed, undisturbed_rng
from smoothrl.training.signals import StopSignals

Make = Callable[..., RunConfig]


class Kept(KVWriter):
    """Keeps what is logged."""

    def __init__(self) -> None:
        self.points: list[tuple[int, dict[str, Any]]] = []

    def write(self, key_values: dict[str, Any], key_excluded: dict[str, tuple[str, ...]], step: int = 0) -> None:
        self.points.append((step, dict(key_values)))


@contextmanager
def evaluating(config: RunConfig, folder: Path, kept: Kept | None = None) -> Iterator[tuple[Any, Evaluator]]:
    """An agent built from the config, with its evaluator."""
    logger = Logger(None, [kept] if kept else [])
    with closing(build.vec_env(config)) as env:
        agent = build.agent(config, env)
        with closing(Evaluator(config, agent, folder, logger, StopSignals())) as evaluator:
            yield agent, evaluator


def played_one_by_one(agent: Any, task: str, seeds: range) -> list[Episode]:
    """The independent truth: the task itself, unwrapped, one episode after the other."""
    episodes = []
    for seed in seeds:
        env = gymnasium.make(task)
        observation, _ = env.reset(seed=seed)
        total, length, done = 0.0, 0, False
        while not done:
            action, _ = agent.predict(observation, deterministic=True)
            observation, reward, terminated, truncated, _ = env.step(action)
            total, length, done = total + float(reward), length + 1, terminated or truncated
        episodes.append(Episode(total, length))
    return episodes


@pytest.mark.parametrize("count", [3, 20])
def test_every_episode_is_that_of_the_bare_task_from_its_own_seed(
    make_config: Make, tmp_path: Path, count: int
) -> None:
    config = make_config(env={"normalize_reward": True}, evaluation={"episodes": count, "seed": 40})
    with evaluating(config, tmp_path) as (agent, evaluator):
        evaluation = evaluator()
        assert evaluation is not None
        truth = played_one_by_one(agent, "test/Walk-v0", range(40, 40 + count))
    assert [episode.length for episode in evaluation.episodes] == [episode.length for episode in truth]
    returns = [episode.ret for episode in truth]
    assert [episode.ret for episode in evaluation.episodes] == pytest.approx(returns, abs=1e-4)
    assert evaluation.mean_return == pytest.approx(np.mean(returns), abs=1e-4)
    assert len(set(returns)) == count


def test_the_same_policy_gets_the_same_evaluation_again(make_config: Make, tmp_path: Path) -> None:
    kept = Kept()
    with evaluating(make_config(), tmp_path, kept) as (agent, evaluator):
        first = evaluator()
        agent.num_timesteps = 100
        second = evaluator()
        assert first is not None
        assert second is evaluator.latest
        assert second is not None
        assert first.episodes == second.episodes
    rows = list(csv.DictReader((tmp_path / "evaluations.csv").open()))
    assert [(row["timesteps"], row["episode"]) for row in rows] == [(t, e) for t in ("0", "100") for e in "012"]
    assert [float(row["return"]) for row in rows[:3]] == [episode.ret for episode in first.episodes]
    assert [int(row["length"]) for row in rows[3:]] == [episode.length for episode in first.episodes]
    expected = {
        "eval/mean_reward": np.mean([episode.ret for episode in first.episodes]),
        "eval/std_reward": np.std([episode.ret for episode in first.episodes]),
        "eval/mean_ep_length": np.mean([episode.length for episode in first.episodes]),
    }
    assert kept.points == [(0, expected), (100, expected)]


def test_a_signal_ends_an_evaluation_without_a_trace(make_config: Make, tmp_path: Path) -> None:
    with evaluating(make_config(), tmp_path) as (_, evaluator):
        evaluator._stop.received = 2  # type: ignore[assignment]
        assert evaluator() is None
        assert evaluator.latest is None
    assert not (tmp_path / "evaluations.csv").exists()


def test_the_seed_is_the_configured_one_or_derived_from_the_run(make_config: Make) -> None:
    assert evaluation_seed(make_config(evaluation={"seed": 7})) == 7
    derived = [evaluation_seed(make_config(seed=seed)) for seed in range(20)]
    assert len(set(derived)) == 20
    assert derived == [evaluation_seed(make_config(seed=seed, variant="other")) for seed in range(20)]
    assert all(1000 < seed < 2**31 for seed in derived)


def test_random_streams_go_on_as_if_nothing_had_been_drawn() -> None:
    def draw() -> tuple[float, float, float]:
        return random.random(), np.random.normal(), torch.randn(()).item()

    def seed() -> None:
        random.seed(0)
        np.random.seed(0)
        torch.manual_seed(0)

    seed()
    expected = draw()
    seed()
    with undisturbed_rng():
        draw()
    assert draw() == expected
    seed()
    with pytest.raises(ZeroDivisionError), undisturbed_rng():
        raise ZeroDivisionError(draw())
    assert draw() == expected


def test_a_return_that_is_not_finite_is_null_in_the_record() -> None:
    record = Evaluation(10, 3, (Episode(float("nan"), 4), Episode(1.0, 6))).as_record()
    assert record == {
        "timesteps": 10,
        "episodes": 2,
        "seed": 3,
        "mean_return": None,
        "std_return": None,
        "mean_length": 5.0,
    }
