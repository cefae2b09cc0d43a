"""CSV that can be computed with, Markdown and LaTeX that print what they were given."""

from __future__ import annotations

import csv
import math
import re
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from markdown_it import MarkdownIt

from smoothrl.compare.output.sheets import cell, interval_text
from smoothrl.compare.output.tables import write_csv, write_latex, write_markdown
from smoothrl.compare.result import Comparison

HOSTILE = 'a|b`c`<script>*d*_e_ & [x](y) \\ $f$ #g ~h^ {i} %\n1. - \x1b\u202e\udc80"'


def table(path: Path) -> list[dict[str, str]]:
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file, strict=True))


def test_every_kind_of_result_has_a_file(comparison: Comparison, tmp_path: Path) -> None:
    names = {path.name for path in write_csv(comparison, tmp_path / "new" / "csv")}
    assert names == {
        "runs.csv", "scores.csv", "comparisons.csv", "recovery.csv", "efficiency.csv", "tunability.csv",
        "profiles.csv", "curves.csv", "associations.csv",
    }  # fmt: skip
    assert names == {path.name for path in (tmp_path / "new" / "csv").iterdir()}


def test_numbers_keep_all_their_digits(comparison: Comparison, tmp_path: Path) -> None:
    write_csv(comparison, tmp_path)
    scores = table(tmp_path / "scores.csv")
    assert len(scores) == len(comparison.estimates)
    for row, one in zip(scores, comparison.estimates, strict=True):
        assert (float(row["value"]), float(row["value_low"]), float(row["value_high"])) == (
            one.interval.value, one.interval.low, one.interval.high,
        )  # fmt: skip
        assert row["task"] == (one.task or "all tasks")
        assert row["normalized"] == str(one.normalized).lower()
    pairs = table(tmp_path / "comparisons.csv")
    assert [float(row["improvement_low"]) for row in pairs] == [one.improvement.low for one in comparison.differences]
    assert [float(row["p_holm"]) for row in pairs] == [one.p_holm for one in comparison.differences]


def test_curves_are_one_row_per_point(comparison: Comparison, tmp_path: Path) -> None:
    write_csv(comparison, tmp_path)
    rows = table(tmp_path / "curves.csv")
    band = comparison.bands[-1]
    mine = [row for row in rows if (row["task"], row["variant"], row["tag"]) == (band.task, band.variant, band.tag)]
    np.testing.assert_array_equal([int(row["steps"]) for row in mine], band.steps)
    np.testing.assert_array_equal([float(row["high"]) for row in mine], band.high)
    assert len(rows) == sum(len(band.steps) for band in comparison.bands)


def test_what_is_unknown_is_empty_and_infinity_is_a_number(comparison: Comparison, tmp_path: Path) -> None:
    write_csv(comparison, tmp_path)
    unknown = [row for row in table(tmp_path / "recovery.csv") if row["verdict"] == "no benefit to recover"]
    assert len(unknown) == 10
    assert {(row["recovered"], row["recovered_low"], row["recovered_high"]) for row in unknown} == {("", "", "")}
    assert {float(row["median_high"]) for row in table(tmp_path / "efficiency.csv")} == {math.inf}


def test_runs_that_are_left_out_are_in_the_file(comparison: Comparison, tmp_path: Path) -> None:
    write_csv(comparison, tmp_path)
    rows = table(tmp_path / "runs.csv")
    assert len(rows) == len(comparison.runs)
    out = [row for row in rows if row["included"] == "false"]
    assert [(row["variant"], row["why_not"], row["final"]) for row in out] == [("dal", "no run", "")] * 2


def test_without_results_the_columns_are_there(make_comparison: Callable[..., Comparison], tmp_path: Path) -> None:
    write_csv(make_comparison(grid=False), tmp_path)
    lines = (tmp_path / "tunability.csv").read_bytes()
    assert lines == b"task,metric,group,cells,share,share_low,share_high,own_share,own_share_low,own_share_high\r\n"


@pytest.mark.parametrize("start", ["=", "+", "-", "@", "\t", "\r", "\n", "＝"])
def test_a_spreadsheet_runs_no_formula(start: str, make_comparison: Callable[..., Comparison], tmp_path: Path) -> None:
    write_csv(make_comparison(text=lambda name: start + name), tmp_path)
    for path in tmp_path.iterdir():
        for row in table(path):
            for value in row.values():
                assert not value.startswith(start) or re.fullmatch(r"-?\d.*|-inf", value), (path.name, value)
    assert table(tmp_path / "scores.csv")[-1]["variant"] == f"'{start}dal"


def test_quotes_commas_and_lines_come_back(make_comparison: Callable[..., Comparison], tmp_path: Path) -> None:
    odd = 'a "b", c\r\nd é'
    write_csv(make_comparison(text=lambda name: name + odd), tmp_path)
    assert {row["variant"] for row in table(tmp_path / "curves.csv")} >= {f"plain{odd}"}


def test_folders_that_are_not_unicode_are_written(make_comparison: Callable[..., Comparison], tmp_path: Path) -> None:
    write_csv(make_comparison(text=lambda name: name + "\udc80"), tmp_path)
    assert table(tmp_path / "runs.csv")[0]["variant"] == "plain\\udc80"


def texts(markdown: str) -> tuple[list[str], set[str]]:
    """The text of every paragraph, heading and cell as a reader sees it, and the kinds of tokens."""
    tokens = MarkdownIt("gfm-like", {"html": True, "linkify": False}).parse(markdown)
    inline = [token for token in tokens if token.type == "inline"]
    seen = ["".join(part.content for part in token.children or ()) for token in inline]
    kinds = {token.type for token in tokens} | {part.type for token in inline for part in token.children or ()}
    return seen, kinds


def test_markdown_shows_the_answer_and_every_variant(comparison: Comparison, tmp_path: Path) -> None:
    write_markdown(comparison, tmp_path / "report.md")
    seen, kinds = texts((tmp_path / "report.md").read_text())
    assert seen[0] == comparison.title
    assert "table_open" in kinds
    for sentence in [*comparison.verdicts, *comparison.cautions, comparison.methods]:
        assert sentence in seen
    assert {row.name for row in comparison.variants} <= set(seen)
    assert interval_text(comparison.recoveries[0].recovered) in seen


def test_markdown_of_hostile_names_is_text(make_comparison: Callable[..., Comparison], tmp_path: Path) -> None:
    write_markdown(make_comparison(text=lambda name: f"{HOSTILE}{name}{HOSTILE}"), tmp_path / "report.md")
    write_markdown(make_comparison(), tmp_path / "harmless.md")
    seen, kinds = texts((tmp_path / "report.md").read_text(encoding="utf-8"))
    harmless, ordinary = texts((tmp_path / "harmless.md").read_text(encoding="utf-8"))
    assert cell(f"{HOSTILE}plain{HOSTILE}") in seen
    assert kinds - {"text_special"} == ordinary - {"text_special"}
    assert len(seen) == len(harmless)


@pytest.mark.parametrize("start", ["# ", "- ", "+ ", "1. ", "1) ", "> ", "=== ", "--- ", "```", "    "])
def test_no_sentence_begins_a_block(start: str, make_comparison: Callable[..., Comparison], tmp_path: Path) -> None:
    write_markdown(make_comparison(text=lambda name: start + name), tmp_path / "report.md")
    write_markdown(make_comparison(), tmp_path / "harmless.md")
    seen, kinds = texts((tmp_path / "report.md").read_text())
    harmless, ordinary = texts((tmp_path / "harmless.md").read_text())
    assert kinds - {"text_special"} == ordinary - {"text_special"}
    assert len(seen) == len(harmless)


def test_latex_has_one_booktabs_table_per_sheet(comparison: Comparison, tmp_path: Path) -> None:
    write_latex(comparison, tmp_path / "tables.tex")
    text = (tmp_path / "tables.tex").read_text()
    for part in (r"\begin{table}", r"\toprule", r"\midrule", r"\bottomrule", r"\end{tabular}"):
        assert text.count(part) == 4
    assert r"gradient{-}penalty & smooth & $5/5$ & $0$ & $" in text
    for head, body in re.findall(r"\\begin\{tabular\}\{([rl]+)\}(.*?)\\end\{tabular\}", text, flags=re.DOTALL):
        rows = [line for line in body.splitlines() if line.endswith(r"\\")]
        assert {line.count(" & ") for line in rows} == {len(head) - 1}


@pytest.mark.parametrize(
    ("name", "printed"),
    [
        ("a_b", r"a\_b"), ("50%", r"50\%"), ("a&b", r"a\&b"), ("#1", r"\#1"), ("$x$", r"\$x\$"), ("{}", r"\{\}"),
        ("\\input{x}", r"\textbackslash{}input\{x\}"), ("^^M", r"\textasciicircum{}\textasciicircum{}M"),
        ("~", r"\textasciitilde{}"), ("<|>", r"\textless{}\textbar{}\textgreater{}"), ("--", "{-}{-}"),
        ('"', r"\textquotedbl{}"), ("`'", r"\textasciigrave{}\textquotesingle{}"), ("[a]", "{[}a{]}"),
    ],
)  # fmt: skip
def test_latex_prints_names_as_they_are(
    name: str, printed: str, make_comparison: Callable[..., Comparison], tmp_path: Path
) -> None:
    write_latex(make_comparison(text=lambda text: text + name), tmp_path / "tables.tex")
    text = (tmp_path / "tables.tex").read_text()
    assert f"plain{printed} & baseline" in text
    assert rf"\caption{{Pendulum{{-}}v1{printed}}}" in text
