from __future__ import annotations

import json
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from stable_baselines3.common.vec_env import VecNormalize

from smoothrl.config import RunConfig
from smoothrl.training import build
from smoothrl.training.normalization import load_normalization, save_normalization

Make = Callable[..., RunConfig]


def wrapped(config: RunConfig, steps: int = 0) -> VecNormalize:
    env = build.vec_env(config)
    assert isinstance(env, VecNormalize)
    env.seed(0)
    env.reset()
    for _ in range(steps):
        env.step(np.full((env.num_envs, 1), 0.1))
    return env


@pytest.mark.parametrize("task", ["test/Walk-v0", "test/DictWalk-v0"])
@pytest.mark.parametrize("observation", [True, False])
def test_statistics_come_back_bit_for_bit(make_config: Make, tmp_path: Path, task: str, observation: bool) -> None:
    config = make_config(env={"id": task, "normalize_observation": observation, "normalize_reward": True})
    path = tmp_path / "statistics.json"
    with closing(wrapped(config, steps=50)) as env, closing(wrapped(config)) as restored:
        save_normalization(env, path)
        load_normalization(restored, path)
        raw: Any = env.venv.reset()
        for a, b in zip(leaves(env.normalize_obs(raw)), leaves(restored.normalize_obs(raw)), strict=True):
            np.testing.assert_array_equal(a, b)
        np.testing.assert_array_equal(env.normalize_reward(np.ones(1)), restored.normalize_reward(np.ones(1)))
        assert env.ret_rms.count == restored.ret_rms.count
    json.loads(path.read_text())


def test_statistics_of_another_env_are_refused(make_config: Make, tmp_path: Path) -> None:
    path = tmp_path / "statistics.json"
    normalize = {"normalize_observation": True}
    with closing(wrapped(make_config(env=normalize))) as env:
        save_normalization(env, path)
    with (
        closing(wrapped(make_config(env=normalize | {"frame_stack": 2}))) as stacked,
        pytest.raises(ValueError, match=r"observation has shape \(2,\), this environment's \(4,\)"),
    ):
        load_normalization(stacked, path)
    with (
        closing(wrapped(make_config(env=normalize | {"id": "test/DictWalk-v0"}))) as other,
        pytest.raises(ValueError, match=r"observation\.time"),
    ):
        load_normalization(other, path)


def leaves(observation: Any) -> list[Any]:
    return list(observation.values()) if isinstance(observation, dict) else [observation]
