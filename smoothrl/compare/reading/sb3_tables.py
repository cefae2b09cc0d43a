"""What SB3 writes beside event files: `evaluations.npz` of its EvalCallback, and `monitor.csv` of its Monitor."""

from __future__ import annotations

import csv
import json
import zipfile
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from smoothrl.compare.reading.joining import curve
from smoothrl.compare.runs import Curve

EVALUATIONS = "evaluations.npz"
MONITOR = "monitor.csv"
"""The end of the name: with several environments there are `0.monitor.csv`, `1.monitor.csv`, ..."""


def evaluations(path: Path) -> dict[str, Curve]:
    """`eval/mean_reward` and `eval/mean_ep_length`: means over the episodes of each evaluation.

    Raises:
        ValueError: the file is damaged, or not of EvalCallback.
        OSError: it cannot be read.
    """
    try:
        with path.open("rb") as file, np.load(file, allow_pickle=False) as arrays:
            steps, returns, lengths = (arrays[name] for name in ("timesteps", "results", "ep_lengths"))
    except (KeyError, EOFError, zipfile.BadZipFile) as error:
        raise ValueError(str(error)) from error
    if steps.ndim != 1 or any(found.ndim != 2 or len(found) != len(steps) for found in (returns, lengths)):
        raise ValueError("its arrays are not (evaluations,) and (evaluations, episodes)")
    steps = steps.astype(np.int64)
    return {
        tag: curve(tag, steps, found.mean(axis=1, dtype=np.float64))
        for tag, found in (("eval/mean_reward", returns), ("eval/mean_ep_length", lengths))
    }


def episodes(paths: Sequence[Path]) -> tuple[dict[str, Curve], tuple[str, ...]]:
    """`rollout/episodic_return` and `rollout/episodic_length` from the monitors of one run's environments.

    A monitor knows nothing of the others' steps: episodes are put in the order in which they ended, and the step of one
    is the sum of all lengths up to it.

    Returns:
        The curves, and what was odd.

    Raises:
        ValueError: a file is not of Monitor.
        OSError: one cannot be read.
    """
    rows: list[tuple[float, float, int]] = []
    notices: list[str] = []
    for path in paths:
        found, torn = _monitor(path)
        rows += found
        if torn:
            notices.append(f"{path.name} has {torn} lines that are no episode, such as a torn last one")
    if not rows:
        return {}, tuple(notices)
    rows.sort(key=lambda row: row[0])
    _, returns, lengths = (np.array(column) for column in zip(*rows, strict=True))
    steps = np.cumsum(lengths, dtype=np.int64)
    columns = {"rollout/episodic_return": returns, "rollout/episodic_length": lengths.astype(np.float64)}
    return {tag: curve(tag, steps, values) for tag, values in columns.items()}, tuple(notices)


def _monitor(path: Path) -> tuple[list[tuple[float, float, int]], int]:
    """(when it ended, return, length) of each episode, and how many lines are none."""
    rows, torn = [], 0
    with path.open(newline="", encoding="utf-8", errors="replace") as file:
        first = file.readline()
        if not first.startswith("#"):
            raise ValueError("it does not begin with Monitor's line of JSON")
        try:
            started = float(json.loads(first[1:])["t_start"])
        except (KeyError, TypeError) as error:
            raise ValueError(f"its first line has no {error}") from error
        latest = 0.0
        for row in csv.DictReader(file):
            try:
                seconds, ret, length = float(row["t"]), float(row["r"]), int(row["l"])
            except (KeyError, TypeError, ValueError):
                torn += 1
                continue
            if seconds < latest:  # a second process goes on in the same file, with a clock of its own
                started += latest
            latest = seconds
            rows.append((started + seconds, ret, length))
    return rows, torn
