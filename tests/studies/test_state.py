from __future__ import annotations

import fcntl
import json
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from smoothrl.studies.attempts import is_taken, next_attempt, state_file, supersede, take
from smoothrl.studies.plan import Study
from smoothrl.studies.state import Note, look, read_note, strays, write_note
from smoothrl.training.durable import commit_text

MakeStudy = Callable[..., Study]

NOTE = Note("", 2, 0, "running", None, "2026-11-21T05:00:00+00:00", None, None, "logs/t/a/seed-0.attempt-2.log")


@pytest.fixture
def study(make_study: MakeStudy) -> Study:
    return make_study({"a": {}})


def write_run(study: Study, status: str, **fields: Any) -> None:
    cell = study.cells[0]
    cell.folder.mkdir(parents=True, exist_ok=True)
    record = {"status": status, "identity": cell.identity, "timesteps": 1200, "error": None} | fields
    (cell.folder / "run.json").write_text(json.dumps(record))


def note(study: Study, **fields: Any) -> None:
    cell = study.cells[0]
    state_file(study, cell, ".json").parent.mkdir(parents=True, exist_ok=True)
    write_note(study, cell, replace(NOTE, **({"identity": cell.identity} | fields)))


@contextmanager
def held(path: Path) -> Iterator[None]:
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def told(study: Study) -> tuple[str, str | None]:
    seen = look(study, study.cells[0])
    return seen.status, seen.reason


def test_nothing_yet(study: Study) -> None:
    assert told(study) == ("queued", None)
    assert not study.root.exists()  # looking leaves no trace


@pytest.mark.parametrize("status", ["finished", "diverged", "failed"])
@pytest.mark.parametrize("noted", [None, "running", "interrupted", "failed"])
def test_what_the_run_says_of_its_end_decides(study: Study, status: str, noted: str | None) -> None:
    write_run(study, status, error="x")
    if noted:
        note(study, status=noted, reason="the driver's reason")
    assert told(study) == (status, "x")


def test_a_run_that_did_not_end_was_killed_unless_somebody_holds_it(study: Study) -> None:
    write_run(study, "running", timesteps=0)
    assert told(study) == ("interrupted", "killed")
    with held(study.cells[0].folder / ".lock"):  # by hand
        assert told(study) == ("running", None)
    assert told(study) == ("interrupted", "killed")
    note(study)
    with held(state_file(study, study.cells[0], ".lock")):
        assert told(study) == ("running", None)


def test_an_attempt_is_running_before_it_has_a_folder(study: Study) -> None:
    note(study)
    assert told(study) == ("interrupted", "killed")
    with held(state_file(study, study.cells[0], ".lock")):
        assert told(study) == ("running", None)


def test_what_only_the_driver_knows(study: Study) -> None:
    note(study, status="failed", reason="device: no GPU")
    assert told(study) == ("failed", "device: no GPU")
    write_run(study, "running")
    note(study, status="failed", reason="no progress for 300 s")
    assert told(study) == ("failed", "no progress for 300 s")
    write_run(study, "interrupted")
    note(study)
    assert told(study) == ("interrupted", "stopped after 1,200 steps")


def test_another_config_is_another_run(study: Study) -> None:
    note(study, status="failed", identity="old")
    assert told(study) == ("queued", None)
    write_run(study, "finished", identity="old")
    assert told(study)[0] == "changed"


def test_a_record_that_cannot_be_read_is_none(study: Study) -> None:
    study.cells[0].folder.mkdir(parents=True)
    (study.cells[0].folder / "run.json").write_text("{")
    assert told(study) == ("queued", None)


def test_notes_and_progress_are_read_as_written(study: Study) -> None:
    assert read_note(study, study.cells[0]) is None
    note(study, status="failed", exit_code=-9)
    seen = read_note(study, study.cells[0])
    assert seen == replace(NOTE, identity=study.cells[0].identity, status="failed", exit_code=-9)
    write_run(study, "running")
    progress = {"timesteps": 1, "total": 2, "speed": 3.0, "last_return": None, "evaluation": -1.5}
    commit_text(study.cells[0].folder / "progress.json", json.dumps(progress))
    with held(study.cells[0].folder / ".lock"):
        shown = look(study, study.cells[0]).progress
    assert str(shown) == "1/2  3 steps/s  0:00 left  eval -1.5"


def test_a_lock_is_held_by_one_and_ends_with_it(study: Study) -> None:
    cell = study.cells[0]
    assert not is_taken(study, cell)
    lock = take(study, cell)
    assert lock is not None
    assert take(study, cell) is None
    assert is_taken(study, cell)
    inherited = os.dup(lock)  # as by a process
    os.close(lock)
    assert is_taken(study, cell)
    os.close(inherited)
    assert not is_taken(study, cell)


def test_attempts_are_numbered_by_their_logs_and_make_room_for_each_other(study: Study) -> None:
    cell = study.cells[0]
    lock = take(study, cell)
    assert lock is not None
    first = next_attempt(study, cell, lock)
    assert first.number == 1
    assert not (study.root / "superseded").exists()
    (cell.folder / "checkpoints").mkdir(parents=True)
    (cell.folder / ".run.json.0a1b.tmp").touch()  # killed at its first word
    (cell.folder / "events.out.tfevents.7.host").touch()
    second = next_attempt(study, cell, lock)
    assert second.number == 2
    assert not cell.folder.exists()
    aside = study.root / "superseded/fragile_Walk-v0/a/seed-0.attempt-1"
    assert {path.name for path in aside.iterdir()} == {
        "checkpoints",
        ".run.json.0a1b.tmp",
        "events.out.superseded.7.host",
    }
    assert [path.name for path in sorted(first.log.parent.iterdir())] == [first.log.name, second.log.name]
    os.close(lock)


def test_nothing_that_was_moved_away_is_overwritten(study: Study) -> None:
    for content in ("one", "two"):
        study.cells[0].folder.mkdir(parents=True)
        (study.cells[0].folder / "note.txt").write_text(content)
        supersede(study, study.cells[0], 1)
    place = study.root / "superseded/fragile_Walk-v0/a"
    assert (place / "seed-0.attempt-1/note.txt").read_text() == "one"
    assert (place / "seed-0.attempt-1.2/note.txt").read_text() == "two"


def test_strays_are_run_folders_that_no_run_goes_into(study: Study) -> None:
    write_run(study, "finished")
    for stray in ("fragile_Walk-v0/b/seed-0", "Other-v1/a/seed-0", "superseded/t/a", "superseded/t/v/seed-0"):
        (study.root / stray).mkdir(parents=True)
        (study.root / stray / "run.json").write_text("{}")
    assert [str(path.relative_to(study.root)) for path in strays(study)] == [
        "Other-v1/a/seed-0",
        "fragile_Walk-v0/b/seed-0",
    ]
