"""The run folder: where a run goes, and that it belongs to one process and to one run."""

from __future__ import annotations

import fcntl
import itertools
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from smoothrl.config import RunConfig
from smoothrl.training.record import RECORD, read_record

RUNS = Path("runs")
CONFIG = "config.yaml"
CHECKPOINTS = "checkpoints"
PROGRESS = "progress.json"
LOCK = ".lock"


class RunError(Exception):
    """A run that is refused, with the reason and the ways out; the command line prints it and exits with code 2."""


def default_folder(config: RunConfig) -> Path:
    """`runs/<study>/<task>/<variant>/seed-<k>`: TensorBoard shows a study as this tree."""
    task = config.env.id.replace("/", "_")
    return RUNS / config.study / task / (config.variant or config.agent.kind) / f"seed-{config.seed}"


def require_free(path: Path, fresh: bool) -> None:
    """Refuse a folder that cannot become this run's.

    Raises:
        RunError: the folder holds a run and `fresh` is not set, or a run that goes on now, or other files.
    """
    if path.exists() and not path.is_dir():
        raise RunError(f"{path} is a file; a run needs a folder: pass another --out")
    if is_empty(path):
        return
    if not (path / RECORD).exists():
        raise RunError(f"{path} is not empty and holds no run ({RECORD} is missing): pass another --out")
    try:
        record = read_record(path)
    except ValueError as error:
        raise RunError(f"{path / RECORD} cannot be read ({error}): pass another --out") from error
    if is_locked(path):
        owner = f"process {record['pid']} on {record['machine']['host']}"
        raise RunError(f"{path} is being trained right now by {owner}: stop it first, or pass another --out")
    if not fresh:
        raise RunError(
            f"{path} already holds a run: {_history(record)}\n"
            f"  --fresh     moves it aside to {_aside(path)} and trains again\n"
            f"  --out DIR   trains into another folder\n"
            f"  variant=X   names a changed setting, and its folder"
        )


@contextmanager
def claim(path: Path, fresh: bool) -> Iterator[None]:
    """Make the folder this process's own while the context lasts; a killed process holds nothing.

    Raises:
        RunError: as `require_free`, or the folder cannot be made.
    """
    require_free(path, fresh)
    try:
        if not is_empty(path):
            path.rename(_aside(path))
        path.mkdir(parents=True, exist_ok=True)
        lock = (path / LOCK).open("w")
    except OSError as error:
        raise RunError(f"cannot make the run folder {path}: {error.strerror}") from error
    with lock:
        if not acquire(lock.fileno()):
            raise RunError(f"{path} was taken by another process just now: pass another --out")
        yield


def is_empty(path: Path) -> bool:
    """Nothing is there but, at most, the lock of a process that was killed before it began."""
    return not path.exists() or all(entry.name == LOCK for entry in path.iterdir())


def is_locked(path: Path) -> bool:
    """Whether a process trains in this run folder now."""
    lock = path / LOCK
    if not lock.exists():
        return False
    with lock.open("a") as file:
        return not acquire(file.fileno())


def acquire(descriptor: int) -> bool:
    """A lock of the operating system: it ends with the process that holds it, however that ends."""
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _aside(path: Path) -> Path:
    candidates = (path.with_name(f"{path.name}.old-{n}") for n in itertools.count(1))
    return next(candidate for candidate in candidates if not candidate.exists())


def _history(record: dict[str, Any]) -> str:
    """One old run in words."""
    if record["status"] == "running":
        return f"started {record['started']}, then killed before it could finish."
    return f"{record['status']} after {record['timesteps']:,} steps, started {record['started']}."
