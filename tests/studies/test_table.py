"""What a driver shows: counts, changes, time left."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from smoothrl.config import RunConfig
from smoothrl.studies import table
from smoothrl.studies.driver import Snapshot
from smoothrl.studies.plan import Cell
from smoothrl.studies.state import CellView, Status
from smoothrl.training.progress import Progress

CONFIG = RunConfig.model_validate({"total_timesteps": 100, "env": {"id": "CartPole-v1"}, "agent": {"kind": "ppo"}})


class Clock:
    def __init__(self) -> None:
        self.now = 1000.0

    def monotonic(self) -> float:
        return self.now


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr(table, "time", clock)
    return clock


def view(name: str, status: Status, **known: Any) -> CellView:
    return CellView(Cell(CONFIG, Path("runs/s/CartPole-v1") / name / "seed-0", name), status, **known)


def running(name: str, timesteps: int, attempt: int = 1) -> CellView:
    return view(name, "running", attempt=attempt, progress=Progress(timesteps, 100, 10.0, -1.0, None))


def test_lines_tell_every_change_once(clock: Clock, capsys: pytest.CaptureFixture[str]) -> None:
    show = table._Lines()
    failed = view("c", "failed", attempt=1, reason="ValueError: no")
    for cells in (
        [view("a", "queued"), view("b", "finished"), view("c", "queued")],
        [running("a", 0), view("b", "finished"), view("c", "queued")],
        [running("a", 50), view("b", "finished"), view("c", "queued")],
        [view("a", "interrupted", attempt=1, reason="died (SIGSEGV)"), view("b", "finished"), failed],
        [running("a", 0, attempt=2), view("b", "finished"), failed],
        [view("a", "finished", attempt=2), view("b", "finished"), failed],
    ):
        clock.now += 1
        show(Snapshot(tuple(cells)))
    assert capsys.readouterr().err.splitlines() == [
        "running: CartPole-v1/a/seed-0",
        "interrupted: CartPole-v1/a/seed-0: died (SIGSEGV)",
        "failed: CartPole-v1/c/seed-0: ValueError: no",
        "running (attempt 2): CartPole-v1/a/seed-0",
        "finished: CartPole-v1/a/seed-0",
    ]


def test_lines_now_and_then_tell_how_far_it_is(clock: Clock, capsys: pytest.CaptureFixture[str]) -> None:
    show = table._Lines()
    show(Snapshot((running("a", 0), view("b", "queued"))))
    capsys.readouterr()
    clock.now += 60
    show(Snapshot((running("a", 50), view("b", "queued"))))
    assert capsys.readouterr().err.splitlines() == [
        "1 running, 1 queued, 3:00 left",  # half a run in a minute, one and a half to go
        "  CartPole-v1/a/seed-0  50/100  10 steps/s  0:05 left  return -1.0",
    ]


def test_what_was_done_before_does_not_make_it_look_fast(clock: Clock) -> None:
    """The speed is that of this driver: nine runs of ten were finished when it began."""
    told = table._Clock()
    before = [view(str(i), "finished") for i in range(9)]
    assert told.left([*before, running("last", 0)]) == ""
    clock.now += 30
    assert told.left([*before, running("last", 25)]) == ", 1:30 left"


def test_the_live_table_shows_what_runs_and_what_went_wrong() -> None:
    console = Console(width=100, force_terminal=True, color_system=None)
    with console.capture() as capture, table._LiveTable("try", console) as show:
        show(
            Snapshot(
                (
                    running("a", 50),
                    view("b", "running"),
                    view("c", "queued"),
                    view("d", "diverged", reason="train/loss is nan"),
                    *[view(f"f{i}", "failed", reason="no memory") for i in range(7)],
                )
            )
        )
    shown = capture.get()
    assert "try: 2 running, 1 queued, 1 diverged, 7 failed" in shown
    assert "CartPole-v1/a/seed-0" in shown
    assert "50/100  10 steps/s" in shown
    assert "starting" in shown
    assert [f"f{i}/seed-0" in shown for i in range(7)] == [False] * 2 + [True] * table.LATEST


def test_rows_are_aligned() -> None:
    views = [running("a", 50), view("longer", "failed", reason="ValueError: no"), view("c", "queued")]
    assert table.rows(views).splitlines() == [
        "running      CartPole-v1/a/seed-0       50/100  10 steps/s  0:05 left  return -1.0",
        "failed       CartPole-v1/longer/seed-0  ValueError: no",
        "queued       CartPole-v1/c/seed-0",
    ]
