"""From folders to runs with all their curves."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path

from rich.console import Console
from rich.progress import Progress

from smoothrl.compare.reading.cache import cached_events
from smoothrl.compare.reading.events import Events
from smoothrl.compare.reading.finding import event_files, find
from smoothrl.compare.reading.foreign_config import cleanrl_config
from smoothrl.compare.reading.joining import joined
from smoothrl.compare.reading.sb3_tables import EVALUATIONS, MONITOR, episodes, evaluations
from smoothrl.compare.runs import CompareError, Curve, NothingYet, Run
from smoothrl.registry import did_you_mean

SCORES = (
    "eval/mean_reward", "charts/episodic_return", "rollout/ep_rew_mean", "rollout/episodic_return",
    "eval/episode_reward", "eval/average_return", "episode_reward",
)  # fmt: skip
"""Tags that are a return, the most telling first."""
UNREAD = ("queued", "changed")
"""Runs whose folder holds nothing, or what a run of another config left."""
PATIENCE = 1.0
"""Seconds of reading before a bar is shown."""


@dataclass(frozen=True, eq=False)
class Reading:
    """All runs that were found, and what must be known of how they were."""

    runs: tuple[Run, ...]
    title: str
    """The study's name, or the folders'."""
    sources: tuple[Path, ...]
    """The folders that were named."""
    tag: str
    """The curve to score by."""
    cautions: tuple[str, ...]


def read_runs(paths: Sequence[Path], pattern: str | None = None, tag: str | None = None) -> Reading:
    """Read every run below some folders.

    Args:
        paths: run folders, studies, or anything above them.
        pattern: how a run's path tells its task, variant and seed, such as `{task}/{variant}/seed-{seed}`.
        tag: the curve to score by; chosen by `default_tag` when left out.

    Raises:
        CompareError: there is no run, nothing tells whose it is, two are the same one's, or no run has the tag.
    """
    found = find(paths, pattern)
    runs = tuple(_with_progress(list(found.runs.values())))
    tag, cautions = _checked(tag, runs) if tag is not None else default_tag(runs)
    title = ", ".join(dict.fromkeys(found.titles or (path.absolute().name for path in paths)))
    return Reading(runs, title, tuple(paths), tag, (*found.cautions, *cautions))


def default_tag(runs: Sequence[Run]) -> tuple[str, tuple[str, ...]]:
    """The first of SCORES that all runs with any curve have, else the one that most have; and what to say of it.

    Raises:
        CompareError: no run has any of them.
    """
    begun = _begun(runs)
    having = Counter(tag for run in begun for tag in SCORES if tag in run.curves)
    if not having:
        tags = sorted({tag for run in begun for tag in run.curves})
        raise CompareError(
            f"no run has a curve known to be a return: choose one with --tag. There are {', '.join(tags)}"
        )
    tag = max(SCORES, key=lambda tag: having[tag])  # the first of those that most have
    return _checked(tag, runs)


def _checked(tag: str, runs: Sequence[Run]) -> tuple[str, tuple[str, ...]]:
    """The tag, and who lacks it."""
    begun = _begun(runs)
    lacking = [run.name for run in begun if tag not in run.curves]
    if len(lacking) == len(begun):
        tags = {tag for run in begun for tag in run.curves}
        raise CompareError(f"--tag {tag}: no run has this curve{did_you_mean(tag, tags)}")
    if not lacking:
        return tag, ()
    return tag, (f"{len(lacking)} of {len(begun)} runs have no curve `{tag}`, such as {lacking[0]}",)


def _begun(runs: Sequence[Run]) -> list[Run]:
    """Those with any curve."""
    begun = [run for run in runs if run.curves]
    if not begun:
        raise NothingYet(f"none of the {len(runs)} runs has a point yet")
    return begun


def _read(run: Run) -> Run:
    """With its curves, and what was odd in its files."""
    if run.status in UNREAD or not run.folder.is_dir():
        return run
    notices: list[str] = []
    events: list[tuple[str, Events]] = []
    for path in event_files(run.folder):
        try:
            events.append((path.name, cached_events(path)))
        except OSError as error:
            notices.append(f"{path.name} cannot be read: {error.strerror or error}")
    curves, odd = joined(events)
    config = next((config for _, file in events if (config := cleanrl_config(file.hyperparameters))), None)
    tables = _tables(run.folder, notices)
    return replace(
        run,
        curves=tables | curves,  # an event file has the word
        config=config if run.config is None else run.config,
        notices=(*run.notices, *odd, *notices),
    )


def _tables(folder: Path, notices: list[str]) -> dict[str, Curve]:
    """What SB3 writes beside event files."""
    curves: dict[str, Curve] = {}
    path = folder / EVALUATIONS
    if path.is_file():
        try:
            curves |= evaluations(path)
        except (OSError, ValueError) as error:
            notices.append(f"{path.name} cannot be read: {error}")
    monitors = sorted(path for path in folder.glob(f"*{MONITOR}") if path.is_file())
    try:
        found, odd = episodes(monitors)
    except (OSError, ValueError) as error:
        notices.append(f"{MONITOR} cannot be read: {error}")
        return curves
    notices += odd
    return curves | found


def _with_progress(runs: Sequence[Run]) -> Iterator[Run]:
    """Read one run after the other; in a terminal a bar is shown once that takes long."""
    console = Console(stderr=True)
    started, shown = time.perf_counter(), False
    with ExitStack() as stack:
        bar = Progress(console=console, transient=True)
        task = bar.add_task("Reading", total=len(runs))
        for run in runs:
            yield _read(run)
            bar.advance(task)
            if not shown and console.is_terminal and time.perf_counter() - started > PATIENCE:
                shown = True
                stack.enter_context(bar)
