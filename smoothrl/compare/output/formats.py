"""The files of a comparison: each format and what writes it."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from smoothrl.compare.result import Comparison
from smoothrl.compare.runs import CompareError
from smoothrl.registry import did_you_mean
from smoothrl.training.durable import commit_text

FIGURES = ("png", "svg", "pdf")
FORMATS = ("html", "csv", "markdown", "latex", "tensorboard", *FIGURES)
DEFAULT = ("html", "csv", "markdown", "tensorboard")
PAGE = "report.html"
MARKER = ".smoothrl-comparison"
"""In a folder that a comparison wrote: no run is looked for in it."""


def known(names: Sequence[str]) -> tuple[str, ...]:
    """The formats that were asked for, `png,svg` or one by one; the default ones for none.

    Raises:
        CompareError: one that there is not.
    """
    asked = [name.strip() for given in names for name in given.split(",") if name.strip()]
    for name in asked:
        if name not in FORMATS:
            raise CompareError(f"--format {name}: no such format{did_you_mean(name, FORMATS)}")
    return tuple(dict.fromkeys(asked)) or DEFAULT


def write(comparison: Comparison, folder: Path, formats: Sequence[str], refresh: int | None = None) -> list[Path]:
    """Write a comparison into its folder, and give what a reader would open.

    Args:
        comparison: what was found.
        folder: made if it is not there; files of an earlier comparison in it are replaced.
        formats: of `FORMATS`.
        refresh: seconds after which the page loads itself again, while runs go on.

    Raises:
        CompareError: the folder cannot be written, or a format needs a package that is not installed.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        commit_text(folder / MARKER, f"{comparison.made}\n")
        return [path for name in formats for path in _write(comparison, folder, name, refresh)]
    except OSError as error:
        raise CompareError(f"cannot write the comparison into {folder}: {error.strerror or error}") from error


def _write(comparison: Comparison, folder: Path, name: str, refresh: int | None) -> list[Path]:
    # Imported when asked for: each brings a library that the others do without.
    if name == "html":
        from smoothrl.compare.output.report import write_report

        write_report(comparison, folder / PAGE, refresh)
        return [folder / PAGE]
    if name == "tensorboard":
        from smoothrl.compare.output.tensorboard import write_summaries

        return [write_summaries(comparison, folder)]
    if name in FIGURES:
        from smoothrl.compare.output.figures import write_figures

        write_figures(comparison, folder / "figures", [name])
        return [folder / "figures"]
    from smoothrl.compare.output import tables

    if name == "csv":
        tables.write_csv(comparison, folder / "csv")
        return [folder / "csv"]
    if name == "markdown":
        tables.write_markdown(comparison, folder / "report.md")
        return [folder / "report.md"]
    tables.write_latex(comparison, folder / "tables.tex")
    return [folder / "tables.tex"]
