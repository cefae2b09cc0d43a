"""A comparison in a terminal: every width, every name, and nothing that a reader would have to guess."""

from __future__ import annotations

import io
import math
from collections.abc import Callable
from dataclasses import replace

import pytest
from rich.cells import cell_len
from rich.console import Console

from smoothrl.compare.output.sheets import cell, interval_text, score_sheets
from smoothrl.compare.output.terminal import show
from smoothrl.compare.result import Comparison, Interval


def shown(comparison: Comparison, width: int = 120, **options: bool) -> str:
    stream = io.StringIO()
    show(comparison, Console(file=stream, width=width, **options))
    return stream.getvalue()


@pytest.mark.parametrize(
    ("interval", "text"),
    [
        (Interval(-147.2, -160.1, -139.0), "-147 [-160, -139]"),
        (Interval(0.834, 0.612, 1.118), "0.83 [0.61, 1.12]"),
        (Interval(12345.0, 11000.0, 13000.0), "12345 [11000, 13000]"),
        (Interval(900.0, 700.0, math.inf), "900 [700, ∞]"),
        (Interval(0.5, math.nan, math.nan), "0.5000 [–, –]"),
        (Interval(math.nan, math.nan, math.nan), "–"),
        (None, "–"),
    ],
)
def test_intervals_have_the_digits_that_are_known(interval: Interval | None, text: str) -> None:
    assert interval_text(interval) == text


def test_the_answer_comes_first_and_cautions_last(comparison: Comparison) -> None:
    text = shown(comparison)
    places = [text.index(part) for part in (
        comparison.verdicts[0], "All tasks", "Pendulum-v1\n", "Recovery of", "Tunability", comparison.cautions[0],
    )]  # fmt: skip
    assert places == sorted(places)


@pytest.mark.parametrize("width", [60, 80, 100, 120, 200])
def test_no_line_is_wider_than_the_window(comparison: Comparison, width: int) -> None:
    assert max(cell_len(line) for line in shown(comparison, width).splitlines()) <= width


def test_columns_without_room_are_named_and_the_important_stay(comparison: Comparison) -> None:
    narrow, wide = shown(comparison, 80), shown(comparison, 250)
    assert "no room for: role, AUC, P(better)" in narrow
    assert "no room" not in wide
    row = next(line for line in narrow.splitlines() if line.startswith("gradient-penalty") and "5/5" in line)
    estimate = next(
        one for one in comparison.estimates
        if (one.task, one.variant, one.metric, one.statistic) == ("Pendulum-v1", "gradient-penalty", "final", "mean")
    )  # fmt: skip
    assert interval_text(estimate.interval) in row


def test_numbers_are_right_aligned(comparison: Comparison) -> None:
    lines = shown(comparison, 250).splitlines()
    start = lines.index("Pendulum-v1")
    header, rows = lines[start + 1], lines[start + 3 : start + 3 + len(comparison.variants)]
    end = header.index("final return") + len("final return")
    assert all(row[end - 1] == "]" and row[end] == " " for row in rows)


def test_diverged_and_missing_runs_are_counted(comparison: Comparison) -> None:
    sheet = next(sheet for sheet in score_sheets(comparison) if sheet.title == "Hopper-v5")
    names = [column.name for column in sheet.columns]
    rows = {row[0]: dict(zip(names, row, strict=True)) for row in sheet.rows}
    assert rows["div-out"]["div."] == "1"
    assert rows["dal"]["runs"] == "4/5"
    healthy = replace(comparison, counts=tuple(replace(count, diverged=0) for count in comparison.counts))
    assert all("div." not in [column.name for column in sheet.columns] for sheet in score_sheets(healthy))


def test_names_cannot_color_move_or_break_anything(make_comparison: Callable[..., Comparison]) -> None:
    bad = "[red]x[/red]\x1b[31m\x07\r\n\u202e\udc80"
    text = shown(make_comparison(text=lambda name: name + bad), 250, force_terminal=True, color_system=None)
    for character in "\x1b\x07\r\u202e\udc80":
        assert character not in text
    assert "plain[red]x[/red]\\x1b[31m\\x07\\r\\n\\u202e\\udc80 " in text


def test_a_file_gets_plain_text(comparison: Comparison) -> None:
    assert "\x1b" not in shown(comparison)


def test_one_task_and_no_grid_show_no_empty_tables(make_comparison: Callable[..., Comparison]) -> None:
    text = shown(make_comparison(tasks=1, grid=False))
    assert "All tasks" not in text
    assert "Tunability" not in text


def test_what_is_unknown_is_a_dash(comparison: Comparison) -> None:
    empty = replace(comparison, estimates=(), differences=(), counts=())
    sheet = score_sheets(empty)[0]
    assert set(sheet.rows[0][2:]) == {"–"}


def test_a_cell_is_one_line() -> None:
    assert cell("a\nb\tc\u2028d") == "a\\nb\\tc\\u2028d"
