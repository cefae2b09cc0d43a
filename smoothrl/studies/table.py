"""A study on the screen: a table that is redrawn in place, or lines for a log."""

from __future__ import annotations

import sys
import time
from collections import Counter
from collections.abc import Sequence
from contextlib import suppress
from types import TracebackType
from typing import Protocol, Self

from rich.console import Console, Group
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from smoothrl.studies.driver import Snapshot
from smoothrl.studies.state import OVER, CellView, Status
from smoothrl.training.summary import clock

LATEST = 5
"""Failed and diverged runs that the table has room for, the latest."""
STATUSES: tuple[Status, ...] = ("running", "queued", "interrupted", "changed", "finished", "diverged", "failed")


class Display(Protocol):
    """Where a driver shows its study."""

    def __call__(self, snapshot: Snapshot) -> None:
        """The whole study at one moment."""

    def __enter__(self) -> Self: ...

    def __exit__(self, *_: type[BaseException] | BaseException | TracebackType | None) -> None: ...


def display(name: str, plain: bool) -> Display:
    """A live table on a terminal; lines elsewhere, or when asked for."""
    console = Console(stderr=True)
    interactive = console.is_terminal and not console.is_dumb_terminal and not plain
    return _LiveTable(name, console) if interactive else _Lines()


class _LiveTable:
    """Counts, the runs that go on, and the latest that went wrong."""

    def __init__(self, name: str, console: Console) -> None:
        self._name = name
        self._clock = _Clock()
        self._live = Live(console=console, auto_refresh=False, transient=True)

    def __call__(self, snapshot: Snapshot) -> None:
        table = Table.grid(padding=(0, 2))
        for view in snapshot.cells:
            if view.status == "running":
                progress = view.progress
                done, total = (progress.timesteps, progress.total) if progress else (0, 1)
                bar = ProgressBar(total=total, completed=done, width=20)
                table.add_row(Text(view.cell.name), bar, Text(str(progress) if progress else "starting"))
        wrong = [view for view in snapshot.cells if view.status in ("failed", "diverged")][-LATEST:]
        lines = [
            Text(f"{view.status}: {view.cell.name}: {view.reason}", overflow="ellipsis", no_wrap=True) for view in wrong
        ]
        head = Text(f"{self._name}: {counts(snapshot.cells)}{self._clock.left(snapshot.cells)}", style="bold")
        self._live.update(Group(head, table, *lines), refresh=True)

    def __enter__(self) -> Self:
        self._live.start()
        return self

    def __exit__(self, *_: type[BaseException] | BaseException | TracebackType | None) -> None:
        with suppress(OSError):  # the terminal may be gone
            self._live.stop()


class _Lines:
    """A line whenever a run changes its status, and now and then how far the running ones are."""

    interval = 30.0

    def __init__(self) -> None:
        self._clock = _Clock()
        self._statuses: dict[str, tuple[str, int]] = {}
        self._due = time.monotonic() + self.interval

    def __call__(self, snapshot: Snapshot) -> None:
        left = self._clock.left(snapshot.cells)
        for view in snapshot.cells:
            status = (view.status, view.attempt)
            before = self._statuses.get(view.cell.name)
            if status != before and (before is not None or view.status == "running"):
                reason = f": {view.reason}" if view.reason else ""
                attempt = f" (attempt {view.attempt})" if view.status == "running" and view.attempt > 1 else ""
                self._say(f"{view.status}{attempt}: {view.cell.name}{reason}")
            self._statuses[view.cell.name] = status
        if time.monotonic() >= self._due:
            self._due = time.monotonic() + self.interval
            self._say(f"{counts(snapshot.cells)}{left}")
            for view in snapshot.cells:
                if view.progress and view.status == "running":
                    self._say(f"  {view.cell.name}  {view.progress}")

    def _say(self, line: str) -> None:
        print(line, file=sys.stderr, flush=True)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: type[BaseException] | BaseException | TracebackType | None) -> None:
        """Lines stay as they are."""


class _Clock:
    """How long a study will still take, from the work that was done since this driver began."""

    def __init__(self) -> None:
        self._began = time.monotonic()
        self._before: float | None = None

    def left(self, views: Sequence[CellView]) -> str:
        """`, 12:34 left`, once there is something to tell it from."""
        done, total = sum(map(_done, views)), float(len(views))
        if self._before is None:
            self._before = done
        gained, elapsed = done - self._before, time.monotonic() - self._began
        return f", {clock((total - done) * elapsed / gained)} left" if gained > 0 else ""


def _done(view: CellView) -> float:
    """The share of a run that is done."""
    if view.status == "running":
        # An on-policy agent finishes its last rollout: it may take more steps than it was asked for.
        return min(view.progress.timesteps / view.progress.total, 1.0) if view.progress else 0.0
    return 1.0 if view.status in (*OVER, "failed") else 0.0


def counts(views: Sequence[CellView]) -> str:
    """`3 running, 20 queued, 12 finished`."""
    found = Counter(view.status for view in views)
    return ", ".join(f"{found[status]} {status}" for status in STATUSES if found[status])


def rows(views: Sequence[CellView]) -> str:
    """One line per run: its status, its name, how far it is or why."""
    width = max((len(view.cell.name) for view in views), default=0)
    lines = []
    for view in views:
        what = str(view.progress) if view.progress else view.reason or ""
        lines.append(f"{view.status:<11}  {view.cell.name:<{width}}  {what}".rstrip())
    return "\n".join(lines)
