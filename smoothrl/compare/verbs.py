"""What `smoothrl compare` and `smoothrl tensorboard` do."""

from __future__ import annotations

import shlex
import time
from collections.abc import Sequence
from pathlib import Path

from rich.console import Console

from smoothrl.compare.analysis import Question, analyze
from smoothrl.compare.output.formats import PAGE, known, write
from smoothrl.compare.output.terminal import show
from smoothrl.compare.reading.read import Reading, read_runs
from smoothrl.compare.runs import NothingYet
from smoothrl.studies.stopping import StopRequests
from smoothrl.training.summary import command

OUT = "compare"
"""The folder of a comparison: below the runs if they lie in one folder, else here."""
REFRESH = 15
"""Seconds between two looks of `--watch`."""
POLL = 0.1
"""Seconds between two looks for a signal."""
GOES_ON = ("queued", "running", "interrupted", "unknown")
"""Statuses that may still change."""


def compare(
    runs: Sequence[Path],
    question: Question,
    pattern: str | None = None,
    out: Path | None = None,
    formats: Sequence[str] = (),
    watch: bool = False,
) -> int:
    """Read, compute, print, write, and name what to open.

    Returns:
        The exit code: 0; 129, 130 or 143 when a signal ended `--watch`.

    Raises:
        CompareError: there is nothing to compare, or a name is unknown.
    """
    folder, asked, console = out_folder(runs, out), known(formats), Console()
    if watch:
        return _watch(runs, question, pattern, folder, asked, console)
    comparison = analyze(read_runs(runs, pattern, question.tag), question)
    written = write(comparison, folder, asked)  # first: what is shown may be piped into `head`
    show(comparison, console)
    _next(written, runs, console)
    return 0


def tensorboard(runs: Sequence[Path], question: Question, pattern: str | None = None, port: int | None = None) -> int:
    """Start TensorBoard on runs and on their averages, until it is stopped.

    Returns:
        The exit code: TensorBoard's, or 130 when Ctrl-C ended it.

    Raises:
        CompareError: there is nothing to show, or the port is taken.
    """
    from smoothrl.compare.output.tensorboard import serve

    comparison = analyze(read_runs(runs, pattern, question.tag), question)
    (summaries,) = write(comparison, out_folder(runs, None), ["tensorboard"])
    return serve(runs, summaries, port)


def out_folder(runs: Sequence[Path], out: Path | None) -> Path:
    """Where a comparison goes when nothing is said."""
    if out is not None:
        return out
    return runs[0] / OUT if len(runs) == 1 and runs[0].is_dir() else Path(OUT)


def _watch(
    runs: Sequence[Path],
    question: Question,
    pattern: str | None,
    folder: Path,
    formats: Sequence[str],
    console: Console,
) -> int:
    """Look again and again, until every run is over or a signal asks to stop."""
    before, opened = "", False
    with StopRequests() as stop:
        while stop.received is None:
            goes_on = True
            try:
                reading = read_runs(runs, pattern, question.tag)
                goes_on = any(run.status in GOES_ON for run in reading.runs)
                if (now := _fingerprint(reading)) != before:
                    comparison = analyze(reading, question)
                    if console.is_terminal:
                        console.clear()
                    show(comparison, console)
                    write(comparison, folder, formats, refresh=REFRESH if goes_on else None)
                    if "html" in formats and not opened:
                        console.print(f"Open it, it keeps itself up to date: {folder / PAGE}", markup=False)
                        opened = not console.is_terminal  # there the line has just been cleared
                    before = now
            except NothingYet as error:
                if str(error) != before:
                    before = str(error)
                    console.print(f"waiting: {error}", markup=False)
            if not goes_on:
                console.print("Every run is over.")
                return 0
            due = time.monotonic() + REFRESH
            while stop.received is None and time.monotonic() < due:
                time.sleep(POLL)
    return stop.exit_code


def _fingerprint(reading: Reading) -> str:
    """Changes whenever a figure of the comparison can."""
    found = [
        f"{run.name} {run.status} {[curve.steps.size for curve in run.curves.values()]}"
        f"{[int(curve.steps[-1]) for curve in run.curves.values() if curve.steps.size]}"
        for run in reading.runs
    ]
    return "\n".join(found)


def _next(written: Sequence[Path], runs: Sequence[Path], console: Console) -> None:
    folders = " ".join(shlex.quote(str(path)) for path in runs)
    lines = [f"Written: {path}" for path in written]
    console.print("\n".join([*lines, "Next:", f"  {command('smoothrl')} tensorboard {folders}"]), markup=False)
