"""What is seen while a run goes on: one bar in a terminal, otherwise a line now and then, or a file for a study."""

from __future__ import annotations

import json
import math
import sys
import time
from collections import deque
from dataclasses import asdict, dataclass
from pathlib import Path
from types import TracebackType
from typing import Protocol

from rich.console import Console
from rich.progress import BarColumn, TextColumn
from rich.progress import Progress as RichProgress

from smoothrl.training.summary import clock

WINDOW = 30.0
"""Seconds that the speed is an average over: long enough for an on-policy agent, that steps and updates by turns."""


@dataclass(frozen=True)
class Progress:
    """Where a run is."""

    timesteps: int
    total: int
    speed: float
    """Environment steps per second, lately."""
    last_return: float | None
    """Of the last training episode, once one has ended."""
    evaluation: float | None
    """Mean return of the last evaluation, once there is one."""

    def __str__(self) -> str:
        parts = [f"{self.timesteps:,}/{self.total:,}", f"{self.speed:,.0f} steps/s"]
        if self.speed > 0:
            parts.append(f"{clock((self.total - self.timesteps) / self.speed)} left")
        if self.last_return is not None:
            parts.append(f"return {self.last_return:,.1f}")
        if self.evaluation is not None:
            parts.append(f"eval {self.evaluation:,.1f}")
        return "  ".join(parts)


class Display(Protocol):
    """Where progress is shown."""

    interval: float
    """Seconds between two calls of `show`."""

    def show(self, progress: Progress) -> None:
        """Tell where the run is."""

    def close(self) -> None:
        """Leave the terminal as it was found."""


class Bar:
    """A bar that moves in place."""

    interval = 0.25

    def __init__(self, total: int, console: Console) -> None:
        columns = (BarColumn(bar_width=None), TextColumn("{task.description}"))
        # Without rich's refresh thread, which would compete with the training.
        self._progress = RichProgress(*columns, console=console, auto_refresh=False, expand=True)
        self._task = self._progress.add_task("", total=total)
        self._progress.start()

    def show(self, progress: Progress) -> None:
        self._progress.update(self._task, completed=progress.timesteps, description=str(progress), refresh=True)

    def close(self) -> None:
        self._progress.stop()


class Lines:
    """A line now and then, for log files."""

    interval = 5.0

    def show(self, progress: Progress) -> None:
        print(progress, file=sys.stderr, flush=True)

    def close(self) -> None:
        """Lines stay as they are."""


class ProgressFile:
    """A file for another process. Readers always find a whole one; a crash may lose it, so it costs no fsync."""

    interval = 1.0

    def __init__(self, path: Path) -> None:
        self._path = path
        self._temporary = path.with_name(f".{path.name}.tmp")

    def show(self, progress: Progress) -> None:
        fields = {name: _finite(value) for name, value in asdict(progress).items()}
        self._temporary.write_text(json.dumps(fields) + "\n")
        self._temporary.replace(self._path)

    def close(self) -> None:
        """The file stays: it says how far the run came."""


def read_progress(path: Path) -> Progress | None:
    """What a `ProgressFile` says; None while there is none."""
    try:
        return Progress(**json.loads(path.read_text()))
    except FileNotFoundError:
        return None


def _finite(value: float | None) -> float | None:
    """What is not finite becomes None, which JSON can say."""
    return value if value is not None and math.isfinite(value) else None


class ProgressReport:
    """Turns steps into speed and shows it all, in a terminal or, for another process, in a file.

    `due` is when to be called next, on the clock of `time.perf_counter`.
    """

    def __init__(self, total: int, plain: bool, file: Path | None = None) -> None:
        self._total = total
        self._display = _terminal(total, plain) if file is None else ProgressFile(file)
        now = time.perf_counter()
        self._trace = deque([(now, 0)])
        self.due = now + self._display.interval

    def show(self, steps: int, last_return: float | None, evaluation: float | None) -> None:
        """Tell where the run is, and set the next time to.

        Args:
            steps: environment steps taken.
            last_return: of the last training episode, once one has ended.
            evaluation: mean return of the last evaluation, once there is one.
        """
        now = time.perf_counter()
        self._trace.append((now, steps))
        while now - self._trace[0][0] > WINDOW and len(self._trace) > 2:
            self._trace.popleft()
        (then, before), (now, _) = self._trace[0], self._trace[-1]
        speed = (steps - before) / (now - then)
        self._display.show(Progress(steps, self._total, speed, last_return, evaluation))
        self.due = now + self._display.interval

    def __enter__(self) -> ProgressReport:
        return self

    def __exit__(self, *_: type[BaseException] | BaseException | TracebackType | None) -> None:
        self._display.close()


def _terminal(total: int, plain: bool) -> Display:
    console = Console(stderr=True)
    interactive = console.is_terminal and not console.is_dumb_terminal and not plain
    return Bar(total, console) if interactive else Lines()
