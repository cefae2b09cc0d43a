"""What became of a run, told from files alone: its own `run.json`, and what the driver noted of its latest attempt.

The run's own account decides. The driver adds what a run cannot tell: that it was refused, died, or did not move.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

from smoothrl.studies.attempts import LOGS, STATE, SUPERSEDED, is_taken, state_file
from smoothrl.studies.plan import Cell, Study
from smoothrl.training.durable import commit_text
from smoothrl.training.folder import PROGRESS, is_locked
from smoothrl.training.progress import Progress, read_progress
from smoothrl.training.record import RECORD, read_record

Status = Literal["queued", "running", "finished", "diverged", "interrupted", "changed", "failed"]
OVER = ("finished", "diverged")
"""Results: such a run is never started again."""


@dataclass(frozen=True)
class Note:
    """What the driver knows of a run's latest attempt."""

    identity: str
    attempt: int
    losses: int
    """How many attempts at this config died or did not move."""
    status: Status
    reason: str | None
    started: str
    ended: str | None
    exit_code: int | None
    log: str
    """Its path below the study's folder."""


@dataclass(frozen=True)
class CellView:
    """A run as seen from outside."""

    cell: Cell
    status: Status
    reason: str | None = None
    """Why, in words, where the status alone does not say."""
    attempt: int = 0
    progress: Progress | None = None
    """Of a running one, once it has taken its first steps."""
    log: Path | None = None
    """The output of the latest attempt."""


def look(study: Study, cell: Cell) -> CellView:
    """What a run is now, whoever runs it."""
    note, record = read_note(study, cell), read_run(cell)
    says_running = (note is not None and note.status == "running") or (record or {}).get("status") == "running"
    # Locks are looked at only where somebody may hold them: looking takes them for an instant.
    alive = says_running and (is_taken(study, cell) or is_locked(cell.folder))
    return view(study, cell, note, record, alive)


def view(study: Study, cell: Cell, note: Note | None, record: dict[str, Any] | None, alive: bool) -> CellView:
    """Judge by what was found."""
    status, reason = _judge(cell, note, record, alive)
    return CellView(
        cell,
        status,
        reason,
        attempt=note.attempt if note else 0,
        progress=read_progress(cell.folder / PROGRESS) if status == "running" else None,
        log=study.root / note.log if note else None,
    )


def _judge(cell: Cell, note: Note | None, record: dict[str, Any] | None, alive: bool) -> tuple[Status, str | None]:
    if alive:
        return "running", None
    if note is not None and note.identity != cell.identity:
        note = None  # of another config
    if record is None:  # never begun, refused, or ended before it could write a word
        if note is None:
            return "queued", None
        return ("failed", note.reason) if note.status == "failed" else ("interrupted", note.reason or "killed")
    if record.get("identity") != cell.identity:
        return "changed", "the folder holds a run of another config"
    match record["status"]:
        case "finished" | "diverged" | "failed" as status:
            return status, record["error"]
        case _ if note is not None and note.status in ("failed", "interrupted"):
            return note.status, note.reason
        case "interrupted":
            return "interrupted", f"stopped after {record['timesteps']:,} steps"
        case _:
            return "interrupted", "killed"


def read_note(study: Study, cell: Cell) -> Note | None:
    """The driver's note on a run; None before its first attempt."""
    try:
        return Note(**json.loads(state_file(study, cell, ".json").read_text()))
    except FileNotFoundError:
        return None


def write_note(study: Study, cell: Cell, note: Note) -> None:
    """Durably."""
    commit_text(state_file(study, cell, ".json"), json.dumps(asdict(note), indent=2) + "\n")


def read_run(cell: Cell) -> dict[str, Any] | None:
    """The `run.json` of a run; None where there is none, or none that can be read."""
    try:
        return read_record(cell.folder)
    except (FileNotFoundError, NotADirectoryError, ValueError):
        return None


def strays(study: Study) -> Iterator[Path]:
    """Run folders of the study that none of its runs goes into: a variant, task or seed that it had once."""
    folders = {cell.folder for cell in study.cells}
    for record in sorted(study.root.glob(f"*/*/*/{RECORD}")):
        below = record.relative_to(study.root).parts[0]
        if below not in (STATE, LOGS, SUPERSEDED) and record.parent not in folders:
            yield record.parent
