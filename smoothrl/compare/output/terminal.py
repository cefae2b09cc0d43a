"""A comparison in a terminal: the answer in sentences, tables as wide as the window, and what to be careful of."""

from __future__ import annotations

from rich import box
from rich.cells import cell_len
from rich.console import Console
from rich.table import Table
from rich.text import Text

from smoothrl.compare.output.sheets import LEGEND, Sheet, cell, recovery_sheet, score_sheets, tunability_sheet
from smoothrl.compare.result import Comparison

GAP = 2
"""Between two columns: rich puts one space there, and padding is the rest."""


def show(comparison: Comparison, console: Console) -> None:
    """Print what was found. Names may hold anything: they are printed as they are read, markup and controls included.

    Args:
        comparison: what was found.
        console: where; columns that its width has no room for are left out, and named.
    """
    console.print(Text(cell(comparison.title), style="bold"))
    _sentences(comparison.verdicts, console)
    for sheet in [*score_sheets(comparison), recovery_sheet(comparison), tunability_sheet(comparison)]:
        if sheet.rows:
            console.print()
            _print(sheet, console)
    share = f"{100 * comparison.confidence:g} %"
    notes = (
        f"Scores are of {cell(comparison.tag)}; baseline: {cell(comparison.held_against)}; brackets: {share} intervals"
    )
    console.print()
    console.print(Text(f"{notes}; {LEGEND}.", style="dim"))
    if comparison.cautions:
        console.print()
        console.print(Text("Mind:", style="bold"))
        _sentences(comparison.cautions, console)


def _sentences(sentences: tuple[str, ...], console: Console) -> None:
    for sentence in sentences:
        item = Table.grid(padding=(0, 1))
        item.add_row(Text("-"), Text(cell(sentence), overflow="fold"))
        console.print(item)


def _print(sheet: Sheet, console: Console) -> None:
    kept = _fitting(sheet, console.width)
    console.print(Text(sheet.title, style="bold"))
    table = Table(box=box.SIMPLE_HEAD, padding=(0, GAP - 1, 0, 0), pad_edge=False, show_edge=False)
    for index in kept:
        column = sheet.columns[index]
        table.add_column(
            Text(column.name), justify="right" if column.is_number else "left", no_wrap=column.is_number,
            overflow="fold",
        )  # fmt: skip
    for row in sheet.rows:
        table.add_row(*(Text(row[index]) for index in kept))
    console.print(table)
    hidden = [column.name for index, column in enumerate(sheet.columns) if index not in kept]
    if hidden:
        console.print(Text(f"no room for: {', '.join(hidden)}", style="dim"))


def _fitting(sheet: Sheet, width: int) -> list[int]:
    """The places of the columns that fit, those of the highest rank left out first."""
    needed = []
    for index, column in enumerate(sheet.columns):
        cells = [column.name, *(row[index] for row in sheet.rows)]
        parts = cells if column.is_number else [word for text in cells for word in text.split()]  # text can be wrapped
        needed.append(GAP + max(map(cell_len, parts), default=0))
    kept = list(range(len(needed)))
    while sum(needed[index] for index in kept) - GAP > width:
        last = max(kept, key=lambda index: sheet.columns[index].rank)
        if sheet.columns[last].rank == 0:
            break
        kept.remove(last)
    return kept
