"""What a person sees while a run goes on: one bar in a terminal, otherwise one line every few seconds."""

from __future__ import annotations

import sys
import time
from collections import deque
from types import TracebackType
from typing import Protocol

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn

from smoothrl.training.summary import clock

WINDOW = 30.0
"""Seconds that the speed is an average over: long enough for an on-policy agent, that steps and updates by turns."""


class Display(Protocol):
    """Where progress is shown."""

    interval: float
    """Seconds between two calls of `show`."""

    def show(self, steps: int, text: str) -> None:
        """The step reached, and everything else in words."""

    def close(self) -> None:
        """Leave the terminal as it was found."""


class Bar:
    """A bar that moves in place."""

    interval = 0.25

    def __init__(self, total: int, console: Console) -> None:
        columns = (BarColumn(bar_width=None), TextColumn("{task.description}"))
        # Without rich's refresh thread, which would compete with the training.
        self._progress = Progress(*columns, console=console, auto_refresh=False, expand=True)
        self._task = self._progress.add_task("", total=total)
        self._progress.start()

    def show(self, steps: int, text: str) -> None:
        self._progress.update(self._task, completed=steps, description=text, refresh=True)

    def close(self) -> None:
        self._progress.stop()


class Lines:
    """A line now and then, for log files."""

    interval = 5.0

    def show(self, steps: int, text: str) -> None:
        del steps  # the text has it
        print(text, file=sys.stderr, flush=True)

    def close(self) -> None:
        pass


class ProgressReport:
    """Turns steps and returns into speed, time left and one line of text.

    `due` is when to be called next, on the clock of `time.perf_counter`.
    """

    def __init__(self, total: int, plain: bool) -> None:
        console = Console(stderr=True)
        interactive = console.is_terminal and not console.is_dumb_terminal and not plain
        self._total = total
        self._display: Display = Bar(total, console) if interactive else Lines()
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
        self._display.show(steps, self._line(steps, last_return, evaluation))
        self.due = now + self._display.interval

    def __enter__(self) -> ProgressReport:
        return self

    def __exit__(self, *_: type[BaseException] | BaseException | TracebackType | None) -> None:
        self._display.close()

    def _line(self, steps: int, last_return: float | None, evaluation: float | None) -> str:
        (then, before), (now, _) = self._trace[0], self._trace[-1]
        speed = (steps - before) / (now - then)
        parts = [f"{steps:,}/{self._total:,}", f"{speed:,.0f} steps/s"]
        if speed > 0:
            parts.append(f"{clock((self._total - steps) / speed)} left")
        if last_return is not None:
            parts.append(f"return {last_return:,.1f}")
        if evaluation is not None:
            parts.append(f"eval {evaluation:,.1f}")
        return "  ".join(parts)
