"""What `smoothrl study` does: run, status, retry."""

from __future__ import annotations

import shlex
import signal
import sys

from smoothrl.studies import driver
from smoothrl.studies.estimate import estimate
from smoothrl.studies.local import LocalEngine
from smoothrl.studies.plan import Study
from smoothrl.studies.state import OVER, look, strays
from smoothrl.studies.summary import log_tail
from smoothrl.studies.table import counts, display, rows
from smoothrl.training.folder import RUNS
from smoothrl.training.summary import clock, command


def run(study: Study, workers: int | None, plain: bool, retry: bool = False) -> int:
    """Train what is missing; print how it went and what to do next.

    Returns:
        The exit code: 0 every run has a result; 1 some failed; 129, 130 or 143 stopped by a signal.

    Raises:
        RunError: another driver runs this study now.
    """
    print(f"{_what(study)}\nWatch it: {command('tensorboard')} --logdir {_root(study)}", file=sys.stderr)
    with display(study.name, plain) as show:
        summary = driver.run(study, workers, show, retry)
    if summary.stopped_by == signal.SIGHUP:  # the terminal is gone
        return summary.exit_code
    print(summary)
    print("Next:")
    if summary.stopped_by is not None:
        print(f"  {_verb('run', study)}  # goes on where it stopped")
    if summary.failed:
        print(f"  {_verb('retry', study)}  # trains the failed runs again")
    print(f"  {_verb('status', study)}")
    print(f"  {command('smoothrl')} compare {_root(study)}")
    return summary.exit_code


def dry_run(study: Study, workers: int | None) -> int:
    """Print the runs of a study, and what they will cost; start nothing."""
    views = [look(study, cell) for cell in study.cells]
    print(rows(views))
    print(f"{_what(study)}: {counts(views)}")
    to_train = [view.cell for view in views if view.status not in (*OVER, "failed")]
    number = LocalEngine(workers, study.gpu_share).slots(study.cells[0].config)
    cost = estimate(study, number, to_train)
    if cost.seconds is not None and cost.bytes is not None:
        size = f"{cost.bytes / 1e6:,.1f} MB"
        print(f"{len(to_train)} to train: about {clock(cost.seconds)} with {number} at a time, about {size}")
    print(f"  {cost.basis}")
    print(f"Next:\n  {_verb('run', study)}")
    return 0


def status(study: Study) -> int:
    """Print what every run of a study is now; for those that failed, the end of their log."""
    views = [look(study, cell) for cell in study.cells]
    print(rows(views))
    for view in views:
        if view.status == "failed" and view.log is not None and view.log.exists():
            print("\n".join([str(view.log), *(f"  | {line}" for line in log_tail(view.log))]))
    for folder in strays(study):
        print(f"no longer part of the study: {folder}")
    print(f"{_what(study)}: {counts(views)}")
    verb = "retry" if all(view.status in (*OVER, "failed") for view in views) else "run"
    if any(view.status not in OVER for view in views):
        print(f"Next:\n  {_verb(verb, study)}")
    else:
        print(f"Next:\n  {command('smoothrl')} compare {_root(study)}")
    return 0


def _what(study: Study) -> str:
    tasks = {cell.config.env.id for cell in study.cells}
    variants = {cell.config.variant for cell in study.cells}
    seeds = {cell.config.seed for cell in study.cells}
    parts = ((variants, "variant"), (tasks, "task"), (seeds, "seed"))
    product = " x ".join(f"{len(found)} {name}{'s' * (len(found) != 1)}" for found, name in parts)
    return f"Study {study.name}, {len(study.cells)} runs ({product}), in {study.root}"


def _root(study: Study) -> str:
    return shlex.quote(str(study.root))


def _verb(verb: str, study: Study) -> str:
    """The command that does it, out of the study's folder unless it is the default one."""
    source = shlex.quote(str(study.source))
    out = "" if study.root == RUNS / study.name else f" --out {_root(study)}"
    return f"{command('smoothrl')} study {verb} {source}{out}"
