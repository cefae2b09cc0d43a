"""What all figures share: a style for papers, a grid of panels as wide as a page, one legend, files that repeat."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

from smoothrl.compare.output.palette import COLORS, color
from smoothrl.compare.output.sheets import cell
from smoothrl.compare.result import Comparison
from smoothrl.compare.runs import CompareError
from smoothrl.training.durable import commit

try:
    import matplotlib
    from matplotlib import ticker
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from matplotlib.lines import Line2D
except ModuleNotFoundError as error:
    raise CompareError(f"figures need {error.name}: pip install 'smoothrl[figures]'") from error

__all__ = ["Axes", "Figure", "Look", "matplotlib", "panels", "save", "short", "style", "ticker"]

WIDTH = 6.75
"""Inches: the text of a conference paper."""
MOST_COLUMNS = 3
LONGEST = 30
"""Characters of a name; what is longer loses its middle."""
MARKERS = ("o", "s", "^", "D", "v", "P", "X", "*")
LINES = ("-", "--", "-.", ":")
STYLE: dict[str, Any] = {
    "font.family": "DejaVu Sans", "font.size": 8, "axes.titlesize": 8, "axes.labelsize": 8, "legend.fontsize": 7.5,
    "xtick.labelsize": 7, "ytick.labelsize": 7, "axes.linewidth": 0.6, "lines.linewidth": 1.3, "lines.markersize": 4,
    "axes.grid": True, "grid.alpha": 0.3, "grid.linewidth": 0.5, "axes.axisbelow": True,
    "axes.spines.top": False, "axes.spines.right": False, "legend.frameon": False, "figure.dpi": 100,
    "text.parse_math": False,  # a `$` in a name is a dollar
    "text.usetex": False,
    "pdf.fonttype": 42, "svg.fonttype": "none",  # text stays text
    "svg.hashsalt": "smoothrl",
}  # fmt: skip
_UNDATED: dict[str, dict[str, None]] = {
    "png": {"Software": None},
    "svg": {"Date": None, "Creator": None},
    "pdf": {"CreationDate": None, "Creator": None, "Producer": None},
}
"""The same comparison gives the same bytes."""


@contextmanager
def style() -> Iterator[None]:
    """Our style while drawing and saving; that of the user's own figures stays as it is."""
    with matplotlib.rc_context():
        matplotlib.rcdefaults()
        matplotlib.rcParams.update(STYLE)  # type: ignore[arg-type]  # its keys are literals
        yield


def panels(number: int, height: float, most_columns: int = MOST_COLUMNS) -> tuple[Figure, list[Axes]]:
    """A figure with so many panels, in rows.

    Args:
        number: of panels, at least 1.
        height: of a row, in inches.
        most_columns: panels in a row.
    """
    columns = min(number, most_columns)
    rows = -(-number // columns)
    figure = Figure(figsize=(WIDTH, rows * height + 0.4), layout="constrained")
    axes = figure.subplots(rows, columns, squeeze=False).ravel().tolist()
    for spare in axes[number:]:
        spare.remove()
    return figure, axes[:number]


def save(figure: Figure, folder: Path, name: str, formats: Sequence[str]) -> list[Path]:
    """Write one figure in every format; a reader sees the whole old file or the whole new one."""
    folder.mkdir(parents=True, exist_ok=True)
    paths = []
    for kind in formats:
        path = folder / f"{name}.{kind}"
        commit(path, partial(figure.savefig, format=kind, metadata=_UNDATED[kind], dpi=300))
        paths.append(path)
    return paths


class Look:
    """How each variant looks, the same in every figure: its color, then its line, for more of them than colors."""

    def __init__(self, comparison: Comparison) -> None:
        self._places = {variant.name: place for place, variant in enumerate(comparison.variants)}

    def line(self, variant: str) -> dict[str, Any]:
        """Keywords of `plot`."""
        place = self._places[variant]
        return {"color": color(place), "linestyle": LINES[place // len(COLORS) % len(LINES)]}

    def marker(self, variant: str) -> dict[str, Any]:
        """Keywords of `scatter`."""
        place = self._places[variant]
        return {"color": color(place), "marker": MARKERS[place % len(MARKERS)]}

    def legend(self, figure: Figure, shown: set[str], points: bool = False) -> None:
        """Below all panels, the variants that are in them."""
        names = [name for name in self._places if name in shown]
        handles = [
            Line2D([], [], linestyle="none", **self.marker(name)) if points else Line2D([], [], **self.line(name))
            for name in names
        ]
        figure.legend(handles, [short(name) for name in names], loc="outside lower center", ncols=4)


def short(name: str) -> str:
    """A name that has room in a figure."""
    text = cell(name)
    half = (LONGEST - 1) // 2
    return text if len(text) <= LONGEST else f"{text[:half]}…{text[-half:]}"
