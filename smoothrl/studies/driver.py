"""The driver of a study: starts its runs in order, watches them, and starts those anew that died.

It may be killed at any moment. What it needs to know stands in files, and the next driver reads it there.
"""

from __future__ import annotations

import os
import platform
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path

from smoothrl.studies.attempts import Attempt, conceal_superseded, next_attempt, take
from smoothrl.studies.engine import Engine, Job
from smoothrl.studies.local import LocalEngine
from smoothrl.studies.plan import ASKED, Cell, Study
from smoothrl.studies.state import OVER, CellView, Note, Status, look, read_note, read_run, strays, view, write_note
from smoothrl.studies.stopping import StopRequests
from smoothrl.studies.summary import Summary, last_line
from smoothrl.training import RunError
from smoothrl.training.durable import commit_text
from smoothrl.training.folder import PROGRESS, acquire, is_locked
from smoothrl.training.progress import read_progress

LOCK = ".driver.lock"
TICK = 0.1
"""Seconds between two looks at the processes."""
SNAPSHOT = 0.5
"""Seconds between two looks at their progress."""


@dataclass(frozen=True)
class Snapshot:
    """The whole study at one moment, its runs in their order."""

    cells: tuple[CellView, ...]


def run(
    study: Study,
    workers: int | None = None,
    on_snapshot: Callable[[Snapshot], object] = lambda _: None,
    retry: bool = False,
    engine: Engine | None = None,
) -> Summary:
    """Run what is left of a study. A signal stops the runs, which save; a second one ends them at once.

    Args:
        study: what to run.
        workers: runs at a time; as many as cores when left out.
        on_snapshot: called about twice a second, and at the end; not once the terminal is gone.
        retry: start failed runs again too.
        engine: what starts them; this machine when left out.

    Raises:
        RunError: another driver runs this study now.
    """
    engine = engine or LocalEngine(workers, study.gpu_share, grace=study.stalled_after)
    with _only_driver(study), StopRequests() as stop:
        commit_text(study.root / ASKED, study.asked)
        conceal_superseded(study)
        driver = _Driver(study, engine, stop, on_snapshot, retry)
        try:
            driver.drive()
        except BaseException:
            driver.abandon()
            raise
        return Summary(study, driver.views, tuple(strays(study)), stop.received)


@dataclass
class _Running:
    """An attempt while it lives."""

    attempt: Attempt
    note: Note
    job: Job
    timesteps: int | None = None
    moved: float = 0.0
    """When the run was last seen to have taken a step, on this process's own clock."""
    stalled: bool = False


class _Driver:
    def __init__(
        self, study: Study, engine: Engine, stop: StopRequests, on_snapshot: Callable[[Snapshot], object], retry: bool
    ) -> None:
        self._study = study
        self._engine = engine
        self._stop = stop
        self._on_snapshot = on_snapshot
        self._views = {cell.folder: look(study, cell) for cell in study.cells}
        done = OVER if retry else (*OVER, "failed")
        self._waiting = [seen.cell for seen in self.views if seen.status not in done]
        """Runs to start, in order."""
        self._retried = {seen.cell.folder for seen in self.views if seen.status == "failed"} if retry else set()
        """Those to start although they failed."""
        self._running: dict[Path, _Running] = {}
        self._stopping = False
        self._told = 0.0

    @property
    def views(self) -> tuple[CellView, ...]:
        return tuple(self._views[cell.folder] for cell in self._study.cells)

    def drive(self) -> None:
        """Until nothing is left to do, or all has stopped."""
        while True:
            self._watch_all()
            if self._stop.received and not self._stopping:
                self._stop_all()
            if not self._stopping:
                self._start()
            over = not self._running and (self._stopping or not self._waiting)
            if over or time.monotonic() - self._told >= SNAPSHOT:
                self._tell()
            if over:
                return
            time.sleep(TICK)

    def abandon(self) -> None:
        """Let what still runs save and stop, because the driver itself fails."""
        self._stop_all()
        while self._running:
            self._watch_all()
            time.sleep(TICK)

    def _stop_all(self) -> None:
        self._stopping = True
        for running in self._running.values():
            running.job.stop()

    def _start(self) -> None:
        """Start as many as there are slots."""
        for cell in list(self._waiting):
            if self._engine.slots(cell.config) < 1:
                return
            lock = take(self._study, cell)
            if lock is None:  # a process of a driver that was killed still saves
                continue
            if is_locked(cell.folder):  # somebody trains it by hand
                os.close(lock)
                continue
            self._waiting.remove(cell)
            note = read_note(self._study, cell)
            seen = view(self._study, cell, note, read_run(cell), alive=False)
            done = OVER if cell.folder in self._retried else (*OVER, "failed")
            if seen.status in done:  # by whoever had it until now
                self._views[cell.folder] = seen
                os.close(lock)
                continue
            goes_on = seen.status == "interrupted" and note is not None and note.identity == cell.identity
            self._begin(cell, lock, losses=note.losses if note is not None and goes_on else 0)

    def _begin(self, cell: Cell, lock: int, losses: int) -> None:
        attempt = next_attempt(self._study, cell, lock)
        note = Note(
            cell.identity,
            attempt.number,
            losses=losses,
            status="running",
            reason=None,
            started=_now(),
            ended=None,
            exit_code=None,
            log=str(attempt.log.relative_to(self._study.root)),
        )
        write_note(self._study, cell, note)
        try:
            job = self._engine.start(attempt)
        except OSError as error:
            self._end(attempt, note, "failed", f"cannot be started: {error.strerror}", None)
            return
        self._running[cell.folder] = _Running(attempt, note, job, moved=time.monotonic())
        self._views[cell.folder] = CellView(cell, "running", attempt=attempt.number, log=attempt.log)

    def _watch_all(self) -> None:
        for running in list(self._running.values()):
            if self._stop.urgent:
                running.job.kill()
            self._watch(running)

    def _watch(self, running: _Running) -> None:
        """Notice that a run has ended, or that it does not move."""
        code = running.job.poll()
        if code is not None:
            del self._running[running.attempt.cell.folder]
            self._settle(running, code)
        elif self._idle(running) > self._study.stalled_after and not running.stalled:
            self._look_at_progress(running)  # this process may have been suspended, the run not
            if self._idle(running) > self._study.stalled_after:
                running.stalled = True
                running.job.kill()

    def _idle(self, running: _Running) -> float:
        return time.monotonic() - running.moved

    def _look_at_progress(self, running: _Running) -> None:
        folder = running.attempt.cell.folder
        progress = read_progress(folder / PROGRESS)
        if progress is not None and progress.timesteps != running.timesteps:
            running.timesteps, running.moved = progress.timesteps, time.monotonic()
        self._views[folder] = replace(self._views[folder], progress=progress)

    def _settle(self, running: _Running, code: int) -> None:
        """Decide what has become of an attempt that is over."""
        attempt, record = running.attempt, read_run(running.attempt.cell)
        status = record["status"] if record else None
        if record is not None and status in (*OVER, "failed"):
            self._end(attempt, running.note, record["status"], record["error"], code)
        elif self._stopping:
            reason = f"stopped after {record['timesteps']:,} steps" if record and status == "interrupted" else "killed"
            self._end(attempt, running.note, "interrupted", reason, code)
        elif record is None and code >= 0 and not running.stalled:
            self._end(attempt, running.note, "failed", last_line(attempt.log) or f"exit code {code}", code)
        else:
            self._lose(running, code, stopped=status == "interrupted")

    def _lose(self, running: _Running, code: int, stopped: bool) -> None:
        """An attempt that died, was stopped by somebody else, or hung: another one follows, unless there were many."""
        if running.stalled:
            reason = f"no progress for {self._study.stalled_after:g} s, killed"
        elif stopped:
            reason = "stopped by a signal that the driver did not send"
        elif code == -signal.SIGKILL:
            reason = "killed (SIGKILL), as the system does when memory runs out"
        elif code < 0:
            reason = f"died ({signal.strsignal(-code)})"
        else:
            reason = f"ended without a word (exit code {code})"
        note = replace(running.note, losses=running.note.losses + 1)
        if note.losses > self._study.retries:
            self._end(
                running.attempt,
                note,
                "failed",
                f"{reason}; given up, with {note.losses} of {self._study.retries + 1} attempts lost",
                code,
            )
        else:
            self._end(running.attempt, note, "interrupted", reason, code)
            self._waiting.insert(0, running.attempt.cell)

    def _end(self, attempt: Attempt, note: Note, status: Status, reason: str | None, code: int | None) -> None:
        note = replace(note, status=status, reason=reason, ended=_now(), exit_code=code)
        write_note(self._study, attempt.cell, note)
        os.close(attempt.lock)  # only now may anybody else start this run
        self._views[attempt.cell.folder] = CellView(attempt.cell, status, reason, attempt.number, log=attempt.log)

    def _tell(self) -> None:
        """Look at the progress of all that runs, and pass the whole on."""
        for running in self._running.values():
            self._look_at_progress(running)
        for cell in self._waiting:
            if self._views[cell.folder].status == "running":  # by an earlier driver's process, or by hand
                self._views[cell.folder] = look(self._study, cell)
        if not self._stop.terminal_is_gone:
            self._on_snapshot(Snapshot(self.views))
        self._told = time.monotonic()


@contextmanager
def _only_driver(study: Study) -> Iterator[None]:
    """Hold the study's lock; the operating system gives it back however this process ends."""
    study.root.mkdir(parents=True, exist_ok=True)
    with (study.root / LOCK).open("a+") as lock:
        if not acquire(lock.fileno()):
            lock.seek(0)
            owner = lock.read().strip() or "another process"
            raise RunError(f"{study.root} is being run right now by {owner}: stop it first, or let it run")
        lock.truncate(0)
        lock.write(f"process {os.getpid()} on {platform.node()}\n")
        lock.flush()
        yield


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")
