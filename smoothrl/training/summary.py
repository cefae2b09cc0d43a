"""The first and the last words of a run: where it lies, how it went, and what to do next."""

from __future__ import annotations

import shlex
import shutil
import sys
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


def opening(folder: Path, config: RunConfig) -> str:
    """What begins now, and how to watch it."""
    what = f"Training {config.agent.kind} on {config.env.id} for {config.total_timesteps:,} steps, into {folder}"
    return f"{what}\nWatch it: {_tensorboard(folder)}"


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
    smoothrl = command("smoothrl")
    lines += [
        "Next:",
        f"  {_tensorboard(folder)}",
        *([f"  {smoothrl} train {copy} seed={config.seed + 1}"] if outcome.status == "finished" else []),
        f"  {smoothrl} show {copy}",
    ]
    return "\n".join(lines)


def _tensorboard(folder: Path) -> str:
    logs = RUNS if folder.is_relative_to(RUNS) else folder
    return f"{command('tensorboard')} --logdir {shlex.quote(str(logs))}"


def command(name: str) -> str:
    """How to call a command of this environment from here: by its path unless the environment is activated."""
    if shutil.which(name):
        return name
    # Not resolved: in a virtual environment the interpreter is a link out of it.
    path = Path(sys.executable).parent / name
    return shlex.quote(str(path.relative_to(Path.cwd()) if path.is_relative_to(Path.cwd()) else path))


def clock(seconds: float) -> str:
    """`1:02:03`, or `2:03` below an hour."""
    minutes, s = divmod(max(0, round(seconds)), 60)
    hours, m = divmod(minutes, 60)
    return f"{hours}:{m:02}:{s:02}" if hours else f"{m}:{s:02}"
