"""Runs to read, and short words for what was read."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from torch.utils.tensorboard import SummaryWriter

from smoothrl.compare.reading.read import read_runs
from smoothrl.compare.runs import Run


def scalars(folder: Path, tag: str = "eval/mean_reward", steps: range = range(0, 50, 10), scale: float = 1.0) -> Path:
    """A run as torch's writer leaves it."""
    with SummaryWriter(str(folder)) as writer:
        for step in steps:
            writer.add_scalar(tag, scale * step, step)
    return folder


def only(path: Path, **options: Any) -> Run:
    (run,) = read_runs([path], **options).runs
    return run


def names(path: Path, **options: Any) -> list[str]:
    return [run.name for run in read_runs([path], **options).runs]
