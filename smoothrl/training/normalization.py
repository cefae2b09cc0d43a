"""The running statistics of `VecNormalize` as data, where SB3 would pickle the wrapper."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
from stable_baselines3.common.running_mean_std import RunningMeanStd
from stable_baselines3.common.vec_env import VecNormalize

from smoothrl.training.durable import commit_text


def save_normalization(env: VecNormalize, path: Path) -> None:
    """Write the statistics as JSON; every float comes back bit for bit."""
    fields = {name: _dump(statistics) for name, statistics in _statistics(env).items()}
    commit_text(path, json.dumps(fields) + "\n")


def load_normalization(env: VecNormalize, path: Path) -> None:
    """Put saved statistics into a wrapper built from the same config.

    Raises:
        ValueError: the statistics are of other observations than the wrapper's.
    """
    fields = json.loads(path.read_text())
    statistics = _statistics(env)
    if fields.keys() != statistics.keys():
        raise ValueError(f"{path} has statistics of {sorted(fields)}, this environment of {sorted(statistics)}")
    for name, target in statistics.items():
        mean, var = (np.array(fields[name][key], dtype=np.float64) for key in ("mean", "var"))
        if mean.shape != np.shape(target.mean):
            raise ValueError(f"{path}: {name} has shape {mean.shape}, this environment's {np.shape(target.mean)}")
        target.mean, target.var, target.count = mean, var, fields[name]["count"]


def _statistics(env: VecNormalize) -> dict[str, RunningMeanStd]:
    """`reward`, and `observation` or `observation.<key>` for each key of a dict observation."""
    found = {"reward": env.ret_rms}
    if env.norm_obs and isinstance(env.obs_rms, dict):
        found |= {f"observation.{key}": rms for key, rms in env.obs_rms.items()}
    elif env.norm_obs:
        found["observation"] = env.obs_rms
    return found


def _dump(statistics: RunningMeanStd) -> dict[str, Any]:
    mean, var = np.asarray(statistics.mean), np.asarray(statistics.var)
    return {"mean": mean.tolist(), "var": var.tolist(), "count": float(statistics.count)}
