"""Which runs lie below the folders that were named: whose they are, not yet what they did."""

from __future__ import annotations

import os
import re
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from smoothrl.compare.output.formats import MARKER
from smoothrl.compare.reading.layouts import Layout, compiled, identify, proposed
from smoothrl.compare.reading.own_runs import cell_run, is_own, own_run
from smoothrl.compare.reading.sb3_tables import EVALUATIONS, MONITOR
from smoothrl.compare.runs import CompareError, Run
from smoothrl.config import ConfigError
from smoothrl.studies.attempts import EVENTS, LOGS, STATE, SUPERSEDED
from smoothrl.studies.plan import ASKED, load_study
from smoothrl.studies.state import strays

_ASIDE = re.compile(r".*\.old-\d+")
"""What `--fresh` calls the run that it moves out of the way."""


@dataclass
class Found:
    """What the folders hold so far."""

    runs: dict[Path, Run] = field(default_factory=dict)
    """Resolved folder -> run, without its curves."""
    studies: dict[Path, str] = field(default_factory=dict)
    """Resolved folder of a run of ours -> the study that it belongs to."""
    titles: list[str] = field(default_factory=list)
    """The names of the studies that were found whole."""
    unknown: list[Path] = field(default_factory=list)
    """Folders with curves that no layout knows."""
    cautions: list[str] = field(default_factory=list)


def find(roots: Sequence[Path], pattern: str | None = None) -> Found:
    """Look for runs in the folders and all below, each folder once, links followed.

    Args:
        roots: a run, a study, or anything above them.
        pattern: tells task, variant and seed of every run by its path, instead of what else is known.

    Raises:
        CompareError: a root is no folder; the pattern is wrong; nothing was found; two runs are the same one's.
    """
    layout = None if pattern is None else compiled(pattern)
    found, seen = Found(), set[tuple[int, int]]()
    for root in roots:
        if not root.is_dir():
            raise CompareError(f"{root}: {'is a file' if root.exists() else 'no such folder'}")
        _visit(root, layout, found, seen)
    if not found.runs:
        raise CompareError(_nothing(roots, pattern, found))
    if found.unknown:
        path = found.unknown[0]
        remedy = f"{pattern} does not match" if pattern else f"'{proposed(path)}' could tell"
        found.cautions.append(
            f"{len(found.unknown)} folders with curves are left out: nothing tells whose they are. One is {path}: "
            f"--pattern {remedy}"
        )
    _name(found, by_pattern=layout is not None)
    _refuse_twins(found.runs.values())
    return found


def _visit(folder: Path, layout: Layout | None, found: Found, seen: set[tuple[int, int]]) -> None:
    """One folder, and unless it is a run or a study, those in it."""
    try:
        stat = folder.stat()
        entries = sorted(os.scandir(folder), key=lambda entry: _natural(entry.name))
        names = {entry.name for entry in entries}
        below = [folder / entry.name for entry in entries if entry.is_dir() and not entry.name.startswith(".")]
    except OSError as error:
        found.cautions.append(f"{folder} cannot be read: {error.strerror}")
        return
    if (stat.st_dev, stat.st_ino) in seen or MARKER in names:
        return
    seen.add((stat.st_dev, stat.st_ino))
    if ASKED in names:
        below = [path for path in below if path.name not in (STATE, LOGS, SUPERSEDED)]
        if layout is None and _add_study(folder, found):
            return
    if _add_run(folder, names, layout, found):
        return
    for path in below:
        _visit(path, layout, found, seen)


def _add_study(folder: Path, found: Found) -> bool:
    """All runs of a study, those that were never begun included; False when its file no longer loads."""
    try:
        study = load_study(folder)
    except ConfigError as error:
        first = str(error).splitlines()[0]
        found.cautions.append(f"{folder / ASKED} does not load, so runs that were never begun are not known: {first}")
        return False
    for cell in study.cells:
        run = cell_run(study, cell)
        found.runs[run.folder.resolve()] = run
        found.studies[run.folder.resolve()] = study.name
    if left := list(strays(study)):
        found.cautions.append(
            f"{len(left)} runs in {folder} no longer belong to the study and are left out, such as {left[0]}"
        )
    found.titles.append(study.name)
    return True


def _add_run(folder: Path, names: set[str], layout: Layout | None, found: Found) -> bool:
    """The run that a folder is; False when it is none, or nobody's."""
    if _ASIDE.fullmatch(folder.name) and is_own(folder):
        return True
    events = event_files(folder)
    own = is_own(folder)
    if not (own or events or EVALUATIONS in names or any(name.endswith(MONITOR) for name in names)):
        return False
    run = None
    if own:
        try:
            run = own_run(folder)
        except (OSError, ValueError) as error:
            found.cautions.append(f"{folder} is left out: {error}")
            return True
    if run is None or layout is not None:
        identity = (layout or identify)(folder.absolute(), events)
        if identity is None:
            found.unknown.append(folder)
            return own
        named = run or Run(folder, "", "", "", {})
        run = replace(named, task=identity.task, variant=identity.variant, seed=identity.seed or "")
    elif run.record is not None and run.record.get("study"):
        found.studies.setdefault(folder.resolve(), str(run.record["study"]))
    found.runs.setdefault(folder.resolve(), run)
    return True


def event_files(folder: Path) -> list[Path]:
    """The files that TensorBoard would read as the curves of this folder."""
    found = (path for path in folder.iterdir() if EVENTS in path.name and not path.name.endswith(".profile-empty"))
    return sorted(path for path in found if path.is_file())


def _name(found: Found, by_pattern: bool) -> None:
    """Count the seeds that are not said, and keep the variants of several studies apart."""
    counted: Counter[tuple[str, str]] = Counter()
    for folder, run in found.runs.items():
        if by_pattern and not run.seed:
            found.runs[folder] = replace(run, seed=str(counted[run.task, run.variant]))
            counted[run.task, run.variant] += 1
    studies = sorted(set(found.studies.values()))
    if by_pattern or len(studies) < 2:
        return
    for folder, study in found.studies.items():
        run = found.runs[folder]
        group = run.group and f"{study}/{run.group}"
        found.runs[folder] = replace(run, variant=f"{study}/{run.variant}", group=group)
    found.cautions.append(
        f"Variants are called by study and name, since there are several studies: {', '.join(studies)}"
    )


def _refuse_twins(runs: Iterable[Run]) -> None:
    """No two folders may be the same run: which one would count?"""
    known: dict[str, Run] = {}
    for run in runs:
        twin = known.setdefault(run.name, run)
        if twin is not run:
            raise CompareError(
                f"{twin.folder} and {run.folder} are both {run.name}: leave one out, or tell them apart by --pattern"
            )


def _natural(name: str) -> list[tuple[int, str]]:
    """A key that sorts `run_10` after `run_9`."""
    return [(int(part), "") if part.isdecimal() else (-1, part) for part in re.split(r"(\d+)", name)]


def _nothing(roots: Sequence[Path], pattern: str | None, found: Found) -> str:
    """Why there is no run, and what to do."""
    where = ", ".join(str(root) for root in roots)
    if not found.unknown:
        return "\n".join([f"{where}: no run below, and no event file, {EVALUATIONS} or {MONITOR}", *found.cautions])
    path = found.unknown[0]
    if pattern is not None:
        return f"--pattern {pattern} matches none of the {len(found.unknown)} folders with curves, such as {path}"
    return (
        f"{path}: nothing tells task, variant and seed of this run. Say how its path does, with "
        f"--pattern '{proposed(path)}', for example; {{_}} stands for text that says nothing"
    )
