"""A comparison as files: CSV with every digit for those who go on computing, Markdown and LaTeX for those who write."""

from __future__ import annotations

import csv
import io
import math
import re
from functools import partial
from io import BufferedWriter
from pathlib import Path
from typing import Any

from smoothrl.compare.output.records import records
from smoothrl.compare.output.sheets import (
    LEGEND,
    Sheet,
    cell,
    efficiency_sheet,
    recovery_sheet,
    score_sheets,
    tunability_sheet,
    variant_sheet,
)
from smoothrl.compare.result import Comparison
from smoothrl.compare.wording import MISSING
from smoothrl.training.durable import commit, commit_text

_FORMULA = ("=", "+", "-", "@", "\t", "\r", "\n", "＝", "＋", "－", "＠")
"""What makes a spreadsheet take text for a formula. Source: OWASP, CSV Injection."""
_MARKDOWN = re.compile(r"[\\`*_{}\[\]|~$#]|^[-+=]|^\d+(?=[.)])")
_LATEX = str.maketrans({
    "\\": r"\textbackslash{}", "{": r"\{", "}": r"\}", "#": r"\#", "$": r"\$", "%": r"\%", "&": r"\&", "_": r"\_",
    "~": r"\textasciitilde{}", "^": r"\textasciicircum{}", "<": r"\textless{}", ">": r"\textgreater{}",
    "|": r"\textbar{}", '"': r"\textquotedbl{}", "'": r"\textquotesingle{}", "`": r"\textasciigrave{}", "-": "{-}",
    "[": "{[}", "]": "{]}",
})  # fmt: skip


def write_csv(comparison: Comparison, folder: Path) -> list[Path]:
    """Write one CSV file per kind of result, as RFC 4180 has it, in UTF-8.

    Numbers have all their digits; what cannot be known is empty, and `task` is `all tasks` for results over them. Text
    that a spreadsheet would take for a formula has an apostrophe before it.

    Args:
        comparison: what was found.
        folder: made if it is not there; files of the same names are replaced.
    """
    folder.mkdir(parents=True, exist_ok=True)
    written = []
    for name, content in records(comparison).items():
        text = io.StringIO(newline="")
        writer = csv.writer(text)
        writer.writerow(content.columns)
        writer.writerows([_csv_cell(value) for value in row] for row in content.rows)
        data = text.getvalue().encode("utf-8", "backslashreplace")  # folders may have names that are not UTF-8
        path = folder / f"{name}.csv"
        commit(path, partial(_put, data))
        written.append(path)
    return written


def _put(data: bytes, file: BufferedWriter) -> None:
    file.write(data)


def _csv_cell(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, float):
        return "" if math.isnan(value) else repr(value)
    return f"'{value}" if isinstance(value, str) and value.startswith(_FORMULA) else str(value)


def write_markdown(comparison: Comparison, path: Path) -> None:
    """Write the answer, what to be careful of, and the tables as one Markdown file (GitHub's tables).

    Args:
        comparison: what was found.
        path: the file, made or replaced.
    """
    parts = [f"# {_markdown(comparison.title)}", _list(comparison.verdicts)]
    if comparison.cautions:
        parts += ["## Mind", _list(comparison.cautions)]
    sheets = [*score_sheets(comparison), recovery_sheet(comparison), tunability_sheet(comparison)]
    for sheet in [*sheets, efficiency_sheet(comparison), variant_sheet(comparison)]:
        if sheet.rows:
            parts += [f"## {_markdown(sheet.title)}", _markdown_table(sheet)]
    share = f"{100 * comparison.confidence:g} %"
    parts += [
        "## Methods",
        f"Scores are of {_markdown(comparison.tag)}; the baseline is {_markdown(comparison.held_against)}; "
        f"brackets are {share} intervals; {LEGEND}.",
        _markdown(comparison.methods),
        f"Made {_markdown(comparison.made)} by {_markdown(comparison.command)}",
    ]
    commit_text(path, "\n\n".join(part for part in parts if part) + "\n")


def _list(sentences: tuple[str, ...]) -> str:
    return "\n".join(f"- {_markdown(sentence)}" for sentence in sentences)


def _markdown(text: str) -> str:
    """Text of anyone that stays text: no markup, no HTML, no end of a table's cell."""
    html = cell(text).strip().replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    return _MARKDOWN.sub(lambda found: f"{found[0]}\\" if found[0].isdigit() else f"\\{found[0]}", html)


def _markdown_table(sheet: Sheet) -> str:
    lines = [
        [_markdown(column.name) for column in sheet.columns],
        ["---:" if column.is_number else "---" for column in sheet.columns],
        *(
            [text if column.is_number else _markdown(text) for column, text in zip(sheet.columns, row, strict=True)]
            for row in sheet.rows
        ),
    ]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def write_latex(comparison: Comparison, path: Path) -> None:
    r"""Write the tables of scores and of recovery, to be read by `\input`, for `\usepackage{booktabs}`.

    Args:
        comparison: what was found.
        path: the file, made or replaced.
    """
    sheets = [*score_sheets(comparison), recovery_sheet(comparison)]
    head = "% Needs \\usepackage{booktabs,textcomp} and \\usepackage[T1]{fontenc}, or LuaLaTeX or XeLaTeX.\n"
    commit_text(path, head + "\n".join(_latex_table(sheet) for sheet in sheets if sheet.rows))


def _latex_table(sheet: Sheet) -> str:
    def line(cells: list[str]) -> str:
        return "    " + " & ".join(cells) + r" \\"

    rows = (
        [_latex_number(text) if column.is_number else _latex(text)
         for column, text in zip(sheet.columns, row, strict=True)]
        for row in sheet.rows
    )  # fmt: skip
    return "\n".join([
        r"\begin{table}", r"  \centering", rf"  \caption{{{_latex(sheet.title)}}}",
        rf"  \begin{{tabular}}{{{''.join('r' if column.is_number else 'l' for column in sheet.columns)}}}",
        r"    \toprule", line([_latex(column.name) for column in sheet.columns]), r"    \midrule",
        *(line(row) for row in rows), r"    \bottomrule", r"  \end{tabular}", r"\end{table}", "",
    ])  # fmt: skip


def _latex(text: str) -> str:
    """Text of anyone that LaTeX prints as it is."""
    return text.translate(_LATEX)


def _latex_number(text: str) -> str:
    """Numbers in math, so that a minus is a minus."""
    signs: dict[str, str | int | None] = {" ": "~", "∞": r"\infty ", MISSING: r"\mbox{--}", "%": r"\%"}
    return "--" if text == MISSING else f"${text.translate(str.maketrans(signs))}$"
