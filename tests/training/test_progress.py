from __future__ import annotations

import io
import json
import sys
import time
from pathlib import Path

import pytest

from smoothrl.training import progress
from smoothrl.training.progress import Progress, ProgressReport, read_progress
from smoothrl.training.summary import clock


class Clock:
    """A clock the test moves."""

    now = 100.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock_(monkeypatch: pytest.MonkeyPatch) -> Clock:
    moved = Clock()
    monkeypatch.setattr(time, "perf_counter", moved)
    return moved


def test_without_a_terminal_there_is_a_line_every_few_seconds(
    clock_: Clock, capsys: pytest.CaptureFixture[str]
) -> None:
    with ProgressReport(8000, plain=False) as report:
        assert report.due == 105.0
        clock_.now = 110.0
        report.show(1000, last_return=None, evaluation=None)
        assert report.due == 115.0
        clock_.now = 120.0
        report.show(3000, last_return=-1234.56, evaluation=-900.0)
    first, second = capsys.readouterr().err.splitlines()
    assert first == "1,000/8,000  100 steps/s  1:10 left"
    assert second == "3,000/8,000  150 steps/s  0:33 left  return -1,234.6  eval -900.0"


def test_speed_is_that_of_the_last_half_minute(clock_: Clock, capsys: pytest.CaptureFixture[str]) -> None:
    report = ProgressReport(10_000, plain=True)
    for now, steps in ((110.0, 5000), (120.0, 5010), (130.0, 5020), (140.0, 5030), (150.0, 5040)):
        clock_.now = now
        report.show(steps, None, None)
    assert "  1 steps/s  1:22:40 left" in capsys.readouterr().err.splitlines()[-1]


def test_a_terminal_gets_one_bar(clock_: Clock, monkeypatch: pytest.MonkeyPatch) -> None:
    terminal = io.StringIO()
    terminal.isatty = lambda: True  # type: ignore[method-assign]
    monkeypatch.setattr(sys, "stderr", terminal)
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("COLUMNS", "80")
    with ProgressReport(8000, plain=False) as report:
        clock_.now = 110.0
        report.show(2000, last_return=-7.0, evaluation=None)
    shown = terminal.getvalue()
    assert "━" in shown
    assert "2,000/8,000  200 steps/s  0:30 left  return -7.0" in shown


def test_plain_wins_over_the_terminal(clock_: Clock, monkeypatch: pytest.MonkeyPatch) -> None:
    terminal = io.StringIO()
    terminal.isatty = lambda: True  # type: ignore[method-assign]
    monkeypatch.setattr(sys, "stderr", terminal)
    with ProgressReport(8000, plain=True) as report:
        clock_.now = 110.0
        report.show(2000, None, None)
    assert terminal.getvalue() == "2,000/8,000  200 steps/s  0:30 left\n"


def test_a_study_gets_a_file_that_is_always_whole(clock_: Clock, tmp_path: Path) -> None:
    path = tmp_path / "progress.json"
    assert read_progress(path) is None
    with ProgressReport(8000, plain=True, file=path) as report:
        assert report.due == 101.0
        clock_.now = 110.0
        report.show(1000, last_return=-7.0, evaluation=float("nan"))
        assert json.loads(path.read_text())["evaluation"] is None  # JSON has no NaN
        first = path.open()  # a reader that is slow
        report.show(2000, last_return=None, evaluation=None)
    assert json.load(first)["timesteps"] == 1000
    assert read_progress(path) == Progress(2000, 8000, 200.0, None, None)
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize(("seconds", "text"), [(0.2, "0:00"), (83, "1:23"), (3723, "1:02:03"), (-1, "0:00")])
def test_clock(seconds: float, text: str) -> None:
    assert clock(seconds) == text


def test_the_window_is_longer_than_the_interval() -> None:
    assert progress.Lines.interval < progress.WINDOW
