"""Real signals, sent to real drivers and workers while they train."""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from smoothrl.studies import driver
from smoothrl.studies.plan import Study
from smoothrl.studies.state import look

MakeStudy = Callable[..., Study]
StartDriver = Callable[..., Any]
WorkersOf = Callable[[Path], list[int]]
WaitUntil = Callable[..., None]

ENDLESS = {"pause": 0.005, "config": {"total_timesteps": 10_000_000}}


def statuses(study: Study) -> list[str]:
    return [look(study, cell).status for cell in study.cells]


def both_train(study: Study) -> bool:
    return all((cell.folder / "progress.json").exists() for cell in study.cells[:2])


@pytest.mark.parametrize(
    ("numbers", "code", "saves"),
    [
        ((signal.SIGINT,), 130, True),
        ((signal.SIGTERM,), 143, True),
        ((signal.SIGHUP, signal.SIGHUP), 129, True),
        ((signal.SIGINT, signal.SIGINT), 130, False),
    ],
)
@pytest.mark.slow
def test_a_signal_stops_all_and_a_second_one_kills(
    make_study: MakeStudy,
    start_driver: StartDriver,
    workers_of: WorkersOf,
    wait_until: WaitUntil,
    numbers: tuple[signal.Signals, ...],
    code: int,
    saves: bool,
) -> None:
    study = make_study({"a": ENDLESS, "b": ENDLESS, "c": ENDLESS})
    running = start_driver(study)
    wait_until(lambda: both_train(study))
    workers = workers_of(study.root)
    assert len(workers) == 2
    if not saves:  # they cannot save at once
        for pid in workers:
            os.kill(pid, signal.SIGSTOP)
    for number in numbers:
        running.process.send_signal(number)
        time.sleep(0.5)
    ended, said = running.end()
    assert (ended, said) == (code, "small: 2 interrupted, 1 queued\n")
    assert not workers_of(study.root)
    assert statuses(study) == ["interrupted", "interrupted", "queued"]
    for cell in study.cells[:2]:
        assert (cell.folder / "checkpoints/interrupted.zip").exists() == saves
        record = json.loads((cell.folder / "run.json").read_text())
        assert record["status"] == ("interrupted" if saves else "running")


@pytest.mark.slow
def test_no_worker_outlives_a_killed_driver(
    make_study: MakeStudy, start_driver: StartDriver, workers_of: WorkersOf, wait_until: WaitUntil
) -> None:
    """One that trains saves; one that hangs is killed after a while; and the next driver goes on by itself."""
    study = make_study({"a": {"pause": 0.01}, "b": {"hangs": 80}}, stalled_after=15, retries=0, total_timesteps=512)
    running = start_driver(study)
    wait_until(lambda: (study.cells[0].folder / "progress.json").exists() and study.cells[1].folder.exists())
    running.process.kill()
    wait_until(lambda: statuses(study) == ["interrupted", "interrupted"])
    assert not workers_of(study.root)
    assert (study.cells[0].folder / "checkpoints/interrupted.zip").exists()

    study = make_study({"a": {"pause": 0.01}}, total_timesteps=512)
    summary = driver.run(study)
    assert (summary.cells[0].status, summary.cells[0].attempt) == ("finished", 2)
    assert len(list(study.cells[0].folder.glob("*tfevents*"))) == 1


@pytest.mark.slow
def test_environments_in_processes_of_their_own_end_with_their_run(
    make_study: MakeStudy, start_driver: StartDriver, workers_of: WorkersOf, wait_until: WaitUntil
) -> None:
    env = {"id": "fragile/Walk-v0", "kwargs": {"hangs": 100}, "n_envs": 2, "vectorization": "subprocess"}
    study = make_study({"a": {"config": {"env": env}}}, stalled_after=20, retries=0)
    running = start_driver(study)
    sessions: set[int] = set()

    def hangs() -> bool:
        for pid in workers_of(study.root):  # its forked children have its command line until they have their own
            with suppress(ProcessLookupError):
                sessions.add(os.getsid(pid))
        return (study.cells[0].folder / "run.json").exists()

    wait_until(hangs)
    (session,) = sessions
    assert len(members(session)) > 2
    assert running.end()[0] == 1
    wait_until(lambda: not members(session), seconds=10)  # init buries them
    assert look(study, study.cells[0]).reason == "no progress for 20 s, killed; given up, with 1 of 1 attempts lost"


def members(session: int) -> list[int]:
    found = []
    for entry in Path("/proc").glob("[0-9]*"):
        with suppress(ProcessLookupError):
            if os.getsid(int(entry.name)) == session:
                found.append(int(entry.name))
    return found


@pytest.mark.slow
def test_the_terminal_is_closed(
    make_study: MakeStudy, start_driver: StartDriver, workers_of: WorkersOf, wait_until: WaitUntil
) -> None:
    """A driver in a terminal of its own, whose other end goes away: the kernel hangs up, and writing fails."""
    study = make_study({"a": ENDLESS, "b": ENDLESS})
    template = start_driver(study)
    command = template.process.args
    template.process.kill()
    wait_until(lambda: not workers_of(study.root))
    master, slave = os.openpty()
    process = subprocess.Popen(
        [sys.executable, "-c", "import fcntl, os, sys, termios\n"
         "os.setsid(); fcntl.ioctl(0, termios.TIOCSCTTY, 0); os.execv(sys.argv[1], sys.argv[1:])", *command],
        stdin=slave, stdout=slave, stderr=slave,
    )  # fmt: skip
    os.close(slave)
    wait_until(lambda: both_train(study))
    assert len(workers_of(study.root)) == 2
    os.close(master)
    process.wait(timeout=60)
    assert not workers_of(study.root)
    assert statuses(study) == ["interrupted", "interrupted"]
    for cell in study.cells:
        assert (cell.folder / "checkpoints/interrupted.zip").exists()


@pytest.mark.slow
@pytest.mark.parametrize("kills", [10, pytest.param(50, marks=pytest.mark.matrix)])
def test_kills_at_random_moments_change_nothing_of_the_result(
    make_study: MakeStudy, start_driver: StartDriver, workers_of: WorkersOf, kills: int
) -> None:
    """SIGKILL to the driver or to a worker; the same command again, and no other step by hand."""
    study = make_study({"a": {"pause": 0.01}, "b": {"pause": 0.011}}, seeds=2, retries=1000)
    assert driver.run(study, workers=2).exit_code == 0
    curves = {cell.name: (cell.folder / "evaluations.csv").read_bytes() for cell in study.cells}
    study.root.rename(study.root.with_name("calm"))

    draw = random.Random(kills)
    running = start_driver(study)
    killed = 0
    while killed < kills:
        time.sleep(draw.uniform(0.2, 5))
        workers = workers_of(study.root)
        if workers and draw.random() < 0.5:
            with suppress(ProcessLookupError):
                os.kill(draw.choice(workers), signal.SIGKILL)
                killed += 1
        elif running.process.poll() is None:
            running.process.kill()
            running.process.communicate()
            killed += 1
            running = start_driver(study)
        else:  # all done before the kills are: what was made is put aside, and the study begins again
            assert running.end() == (0, "small: 4 finished\n")
            check(study, curves)
            study.root.rename(study.root.with_name(f"done-{killed}"))
            running = start_driver(study)
    code, said = running.end(timeout=300)
    assert (code, said) == (0, "small: 4 finished\n")
    check(study, curves)


def check(study: Study, curves: dict[str, bytes]) -> None:
    """Every run is there once, and learned what it learned in peace."""
    assert {cell.name: (cell.folder / "evaluations.csv").read_bytes() for cell in study.cells} == curves
    assert statuses(study) == ["finished"] * len(study.cells)
    for cell in study.cells:
        assert json.loads((cell.folder / "run.json").read_text())["status"] == "finished"
    # What TensorBoard sees: one event file for every run.
    events = [path.parent for path in study.root.rglob("*tfevents*")]
    assert sorted(events) == sorted(cell.folder for cell in study.cells)
    # Nothing was finished twice: no earlier attempt is.
    for record in study.root.glob("superseded/*/*/*/run.json"):
        assert json.loads(record.read_text())["status"] != "finished"
