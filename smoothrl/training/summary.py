"""The last words of a run: how it went, where it lies, and what to do next."""

from __future__ import annotations

import shlex
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from smoothrl.config import RunConfig
from smoothrl.training.folder import CONFIG, RUNS
from smoothrl.training.record import Status

if TYPE_CHECKING:
    from smoothrl.training.evaluation import Evaluation


@dataclass(frozen=True)
class Outcome:
    """How a training ended."""

    status: Status
    timesteps: int
    wall_time_s: float
    checkpoint: Path
    final_evaluation: Evaluation | None
    error: str | None


def summary(outcome: Outcome, folder: Path, config: RunConfig) -> str:
    """Everything worth knowing at the end of a run, with commands that can be pasted."""
    steps, seconds = outcome.timesteps, outcome.wall_time_s
    lines = [f"{outcome.status.capitalize()}: {steps:,} steps in {clock(seconds)}, {steps / seconds:,.0f} steps/s"]
    if outcome.error:
        lines.append(f"  error       {outcome.error}")
    if final := outcome.final_evaluation:
        spread = f"{final.mean_return:,.1f} ± {final.std_return:,.1f}"
        lines.append(f"  evaluation  {spread} (mean ± std over {len(final.episodes)} episodes)")
    lines += [f"  agent       {outcome.checkpoint}", f"  run folder  {folder}"]

    copy = shlex.quote(str(folder / CONFIG))
    logs = RUNS if folder.is_relative_to(RUNS) else folder
    lines += [
        "Next:",
        f"  tensorboard --logdir {shlex.quote(str(logs))}",
        f"  smoothrl train {copy} seed={config.seed + 1}",
        f"  smoothrl show {copy}",
    ]
    return "\n".join(lines)


def clock(seconds: float) -> str:
    """`1:02:03`, or `2:03` below an hour."""
    minutes, s = divmod(max(0, round(seconds)), 60)
    hours, m = divmod(minutes, 60)
    return f"{hours}:{m:02}:{s:02}" if hours else f"{m}:{s:02}"
