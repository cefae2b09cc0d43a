"""Attempts at a run: whose turn it is, where their files lie, and how an earlier one makes room. Nothing is deleted."""

from __future__ import annotations

import itertools
import os
import time
from dataclasses import dataclass
from pathlib import Path

from smoothrl.config import to_yaml
from smoothrl.studies.plan import Cell, Study
from smoothrl.training.durable import commit_text
from smoothrl.training.folder import acquire, is_empty

STATE, LOGS, SUPERSEDED = "state", "logs", "superseded"
EVENTS = "tfevents"
"""What TensorBoard looks for in a file's name."""


@dataclass(frozen=True)
class Attempt:
    """One start of a run. Its files lie beside those of the run's other attempts."""

    cell: Cell
    number: int
    config: Path
    log: Path
    lock: int
    """A descriptor for its process to inherit: the run is taken for as long as anything of the attempt lives."""


def state_file(study: Study, cell: Cell, suffix: str) -> Path:
    """Where the driver keeps something of a run: what it knows, its config, its lock."""
    return _below(study.root / STATE, study, cell).with_suffix(suffix)


def take(study: Study, cell: Cell) -> int | None:
    """The descriptor of the run's lock, held; None while an earlier attempt lives.

    The lock is the operating system's: it passes on to a process that inherits the descriptor, and ends with it.
    """
    path = state_file(study, cell, ".lock")
    path.parent.mkdir(parents=True, exist_ok=True)
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o666)
    for pause in (0.01, 0.05, 0):  # `is_taken` of another process holds it for an instant
        if acquire(descriptor):
            return descriptor
        time.sleep(pause)
    os.close(descriptor)
    return None


def is_taken(study: Study, cell: Cell) -> bool:
    """Whether an attempt lives, of this driver or of an earlier one."""
    try:
        descriptor = os.open(state_file(study, cell, ".lock"), os.O_RDWR)
    except FileNotFoundError:
        return False
    try:
        return not acquire(descriptor)
    finally:
        os.close(descriptor)


def next_attempt(study: Study, cell: Cell, lock: int) -> Attempt:
    """Make ready for another attempt, whose lock is held: its number is taken by creating its log.

    What lies in the run's folder is moved away first, as the attempt it was.
    """
    logs = _below(study.root / LOGS, study, cell)
    logs.parent.mkdir(parents=True, exist_ok=True)
    # From the logs, which are never removed, and not from what a driver knew: that may have been lost.
    last = max((int(log.stem.rpartition("-")[2]) for log in logs.parent.glob(f"{logs.name}.attempt-*.log")), default=0)
    if not is_empty(cell.folder):
        supersede(study, cell, last)
    config = state_file(study, cell, ".yaml")
    commit_text(config, to_yaml(cell.config))
    log = logs.with_name(f"{logs.name}.attempt-{last + 1}.log")
    log.touch(exist_ok=False)
    return Attempt(cell, last + 1, config, log, lock)


def supersede(study: Study, cell: Cell, number: int) -> Path:
    """Move a run's folder out of the way, and out of TensorBoard's sight; gives where it lies now."""
    place = _below(study.root / SUPERSEDED, study, cell)
    place.parent.mkdir(parents=True, exist_ok=True)
    first = place.with_name(f"{place.name}.attempt-{number}")
    names = itertools.chain([first], (first.with_name(f"{first.name}.{n}") for n in itertools.count(2)))
    aside = next(name for name in names if not name.exists())
    cell.folder.rename(aside)
    _conceal(aside)
    return aside


def conceal_superseded(study: Study) -> None:
    """Finish what a driver that was killed between a move and the renaming of the event files left undone."""
    _conceal(study.root / SUPERSEDED)


def _conceal(folder: Path) -> None:
    """Event files get a name that TensorBoard and comparisons pass over."""
    for path in list(folder.rglob(f"*{EVENTS}*")):
        path.rename(path.with_name(path.name.replace(EVENTS, SUPERSEDED)))


def _below(folder: Path, study: Study, cell: Cell) -> Path:
    return folder / cell.folder.relative_to(study.root)
