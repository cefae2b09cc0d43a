"""How long a study takes and how much it writes, told from runs on this machine that did the same work before."""

from __future__ import annotations

import heapq
import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from statistics import median
from typing import Any

from smoothrl.config import ConfigError, RunConfig, load_run
from smoothrl.studies.plan import Cell, Study
from smoothrl.training.folder import CONFIG, RUNS
from smoothrl.training.record import RECORD, cpu_model, read_record

MOST_READ = 40
"""Variants whose configs are read, the newest: reading one takes a hundredth of a second."""


@dataclass(frozen=True)
class Estimate:
    """What a study will cost."""

    seconds: float | None
    """Until its last run ends; None where nothing tells."""
    bytes: int | None
    """That its run folders will take; None where nothing tells."""
    basis: str
    """What that is told from, or how to get to know it."""


@dataclass(frozen=True)
class _Past:
    """A run that finished."""

    config: RunConfig
    speed: float
    """Environment steps per second."""
    around: float
    """Seconds before and after training."""
    bytes: int


def estimate(study: Study, workers: int = 1, cells: Sequence[Cell] | None = None) -> Estimate:
    """Estimate the cost of a study.

    Args:
        study: the study.
        workers: how many runs go on at a time.
        cells: those still to be run; all of them when left out.
    """
    cells = study.cells if cells is None else cells
    if not cells:
        return Estimate(0.0, 0, "nothing is left to train")
    past = list(_past(study.root, {cell.config.env.id for cell in cells}))
    alike: dict[str, list[_Past]] = {}
    used, some_differ = set(), False
    durations, size = [], 0.0
    for cell in cells:
        same, agent = _work(cell.config), _agent_work(cell.config)
        if same not in alike:
            alike[same] = [run for run in past if _work(run.config) == same]
            if not alike[same]:
                alike[same] = [run for run in past if _agent_work(run.config) == agent]
                some_differ |= bool(alike[same])
        runs = alike[same]
        if not runs:
            variant = cell.name.rpartition("/")[0]
            rule = f"no finished run on this machine tells how long {variant} takes"
            return Estimate(None, None, f"{rule}: let a seed of it finish, such as with seeds=1, and ask again")
        used |= {id(run) for run in runs}
        training = cell.config.total_timesteps / median(run.speed for run in runs)
        durations.append(training + median(run.around for run in runs))
        size += median(run.bytes for run in runs)
    number = f"{len(used)} finished run{'s' * (len(used) != 1)}"
    but = ", some of them without the regularizers, adaptations, diagnostics or evaluations of these" * some_differ
    return Estimate(_makespan(durations, workers), round(size), f"told from {number} on this machine{but}")


def _makespan(durations: Sequence[float], workers: int) -> float:
    """When the last run ends, each starting where the first worker is free."""
    free = [0.0] * max(workers, 1)
    for duration in durations:
        heapq.heapreplace(free, free[0] + duration)
    return max(free)


def _past(root: Path, tasks: set[str]) -> Iterator[_Past]:
    """The finished runs of the study and of all others on this machine."""
    here = cpu_model()
    records = {*root.glob(f"*/*/seed-*/{RECORD}"), *RUNS.glob(f"*/*/*/seed-*/{RECORD}")}
    configs: dict[Path, RunConfig | None] = {}
    for path in sorted(records, key=lambda path: path.stat().st_mtime, reverse=True):
        folder, variant = path.parent, path.parent.parent
        try:
            record = read_record(folder)
            finished = record["status"] == "finished" and record["timesteps"] > 0
            if not finished or record["task"] not in tasks or record["machine"]["cpu"] != here:
                continue
            wall_time = float(record["wall_time_s"])
            whole = datetime.fromisoformat(record["ended"]) - datetime.fromisoformat(record["started"])
        except (OSError, ValueError, KeyError, TypeError):  # no record of ours: nothing can be told from it
            continue
        if variant not in configs:
            if len(configs) == MOST_READ:
                return
            configs[variant] = _config(folder)
        if (config := configs[variant]) is not None:
            size = sum(file.stat().st_size for file in folder.rglob("*") if file.is_file())
            yield _Past(config, record["timesteps"] / wall_time, max(whole.total_seconds() - wall_time, 0.0), size)


def _config(folder: Path) -> RunConfig | None:
    try:
        return load_run(folder / CONFIG)
    except ConfigError:  # of another version
        return None


def _work(config: RunConfig) -> str:
    """What decides the time of a step: all but the names, the seed, the length, the rates and the coefficients."""
    fields = config.model_dump(mode="json", by_alias=True, exclude={"study", "variant", "seed", "total_timesteps"})
    return json.dumps(_without_floats(fields), sort_keys=True)


def _agent_work(config: RunConfig) -> str:
    """What decides it most: the task, the agent, and what they are computed with."""
    fields = config.model_dump(mode="json", by_alias=True, include={"env", "agent", "device", "threads"})
    return json.dumps(_without_floats(fields), sort_keys=True)


def _without_floats(value: Any) -> Any:
    match value:
        case float():
            return None
        case dict():
            return {key: _without_floats(inner) for key, inner in value.items()}
        case list():
            return [_without_floats(inner) for inner in value]
        case _:
            return value
