"""Figures: what is drawn is what was found, the same bytes each time, and names are only names."""

from __future__ import annotations

import re
import subprocess
import sys
import zlib
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from xml.etree import ElementTree

import matplotlib as mpl
import numpy as np
import pytest

from smoothrl.compare.output import figures
from smoothrl.compare.output.figure_frame import Look, panels, style
from smoothrl.compare.output.figures import write_figures
from smoothrl.compare.output.palette import COLORS, color
from smoothrl.compare.result import Comparison, Interval

NAMES = ["curves", "recovery", "profiles", "improvement", "tunability", "smoothness"]


@pytest.fixture(scope="module")
def small(make_comparison: Callable[..., Comparison]) -> Comparison:
    """One task: quick to draw."""
    return make_comparison(tasks=1, seeds=2)


@pytest.fixture(scope="module")
def drawn(small: Comparison, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """All figures of it, in all formats."""
    folder = tmp_path_factory.mktemp("figures") / "made"
    paths = write_figures(small, folder, ["png", "svg", "pdf"])
    assert paths == [folder / f"{name}.{kind}" for name in NAMES for kind in ("png", "svg", "pdf")]
    assert sorted(paths) == sorted(folder.iterdir())
    return folder


def svg_text(path: Path) -> list[str]:
    """All text of a figure: it is text, not outlines."""
    return ["".join(element.itertext()).strip() for element in ElementTree.parse(path).iterfind(".//{*}text")]


def test_text_can_be_searched_and_edited(drawn: Path, small: Comparison) -> None:
    assert {row.name for row in small.variants} <= set(svg_text(drawn / "curves.svg"))
    assert "Pendulum-v1" in svg_text(drawn / "curves.svg")
    pdf = (drawn / "curves.pdf").read_bytes()
    streams = re.findall(rb"stream\r?\n(.*?)\r?\nendstream", pdf, flags=re.DOTALL)
    assert b"/Subtype /Type3" not in pdf
    assert b"/FontFile2" in pdf
    assert any(b"Tf" in zlib.decompress(stream) for stream in streams if stream.startswith(b"x"))


def test_a_figure_fits_a_paper(drawn: Path) -> None:
    width, height = np.frombuffer((drawn / "curves.png").read_bytes()[16:24], dtype=">u4")
    assert width == round(6.75 * 300)
    assert height < width


def test_the_same_comparison_gives_the_same_bytes(small: Comparison, drawn: Path, tmp_path: Path) -> None:
    only = replace(small, profiles=(), heat_maps=(), associations=(), differences=(), recoveries=())
    for path in write_figures(only, tmp_path, ["png", "svg", "pdf"]):
        assert path.read_bytes() == (drawn / path.name).read_bytes()
        assert b"202" not in path.read_bytes()[:400] or path.suffix == ".png"


def test_lines_are_the_bands(small: Comparison) -> None:
    with style():
        figure = figures._curves(small, Look(small))
    assert figure is not None
    (ax,) = figure.axes
    bands = [band for band in small.bands if band.tag == small.tag]
    for line, filled, band in zip(ax.lines, ax.collections, bands, strict=True):
        np.testing.assert_array_equal(line.get_xydata(), np.column_stack([band.steps, band.mean]))
        ys = filled.get_paths()[0].vertices[:, 1]
        assert (ys.min(), ys.max()) == (band.low.min(), band.high.max())
        place = [row.name for row in small.variants].index(band.variant)
        assert line.get_color() == color(place)


def test_recoveries_beyond_the_edge_are_arrows(small: Comparison) -> None:
    first, *others = small.recoveries
    wild = replace(first, recovered=Interval(40.0, -50.0, 90.0))
    with style():
        figure = figures._recovery(replace(small, recoveries=(wild, *others)), Look(small))
    assert figure is not None
    low, high = figure.axes[0].get_xlim()
    assert (low, high) == figures.RECOVERY_LIMITS
    arrows = {line.get_marker(): line.get_xdata()[0] for line in figure.axes[0].lines if line.get_marker() in "<>"}
    assert arrows == {"<": low, ">": high}


def test_what_cannot_be_recovered_is_said(small: Comparison) -> None:
    nothing = tuple(replace(one, recovered=None, verdict="no benefit to recover") for one in small.recoveries)
    with style():
        figure = figures._recovery(replace(small, recoveries=nothing), Look(small))
    assert figure is not None
    assert [text.get_text() for text in figure.axes[0].texts] == ["no benefit to recover"] * len(nothing)


def test_heat_maps_of_one_task_share_a_scale_and_show_holes(small: Comparison) -> None:
    first, second = small.heat_maps
    scores = first.scores.copy()
    scores[0, 0] = np.nan
    with style():
        figure = figures._tunability(replace(small, heat_maps=(replace(first, scores=scores), second)), Look(small))
    assert figure is not None
    limits = {ax.images[0].get_clim() for ax in figure.axes}
    everything = np.concatenate([scores.ravel(), second.scores.ravel()])
    assert limits == {(np.nanmin(everything), np.nanmax(everything))}
    assert figure.axes[0].texts[0].get_text() == "–"


def test_nothing_found_draws_nothing(small: Comparison, tmp_path: Path) -> None:
    empty = replace(
        small, bands=(), profiles=(), differences=(), recoveries=(), heat_maps=(), associations=()
    )  # fmt: skip
    assert write_figures(empty, tmp_path, ["svg"]) == []


def test_what_is_unknown_leaves_a_gap(small: Comparison, tmp_path: Path) -> None:
    unknown = Interval(np.nan, np.nan, np.nan)
    holes = replace(
        small,
        bands=tuple(replace(band, mean=band.mean * np.nan) for band in small.bands),
        differences=tuple(replace(pair, improvement=unknown) for pair in small.differences),
        associations=tuple(
            replace(one, spearman=unknown, points=tuple(replace(point, x=np.nan) for point in one.points))
            for one in small.associations
        ),
        heat_maps=tuple(replace(one, scores=one.scores * np.nan) for one in small.heat_maps),
    )
    assert len(write_figures(holes, tmp_path, ["svg"])) == len(NAMES)


def test_names_are_not_markup(make_comparison: Callable[..., Comparison], tmp_path: Path) -> None:
    bad = "$\\frac{1}$<script>&\x1b"
    hostile = make_comparison(text=lambda name: bad + name[-8:], tasks=1, seeds=2)
    write_figures(hostile, tmp_path, ["svg"])
    for name in NAMES:
        tags = {element.tag for element in ElementTree.parse(tmp_path / f"{name}.svg").iter()}
        assert not any("script" in tag for tag in tags)
    assert "$\\frac{1}$<script>&\\x1bplain" in svg_text(tmp_path / "curves.svg")


def test_the_style_of_the_user_stays(small: Comparison, tmp_path: Path) -> None:
    with mpl.rc_context({"font.size": 31, "text.usetex": True}):
        before = dict(mpl.rcParams)
        write_figures(replace(small, heat_maps=(), associations=()), tmp_path, ["svg"])
        assert dict(mpl.rcParams) == before


def test_spare_panels_are_gone() -> None:
    with style():
        figure, axes = panels(4, height=2.0)
    assert len(axes) == len(figure.axes) == 4


def test_more_variants_than_colors_have_other_lines(small: Comparison) -> None:
    rows = tuple(replace(small.variants[0], name=str(place)) for place in range(3 * len(COLORS)))
    look = Look(replace(small, variants=rows))
    looks = {(line["color"], line["linestyle"]) for line in (look.line(row.name) for row in rows)}
    assert len(looks) == len(rows)
    assert len(set(COLORS)) == len(COLORS)


def test_no_window_and_no_pyplot_is_needed() -> None:
    code = (
        "import smoothrl.compare.output.figures, sys; print('matplotlib.pyplot' in sys.modules, 'torch' in sys.modules)"
    )
    assert subprocess.check_output([sys.executable, "-c", code], text=True).split() == ["False", "False"]


def test_without_matplotlib_the_extra_is_named() -> None:
    code = (
        "import sys; sys.modules['matplotlib'] = None\n"
        "from smoothrl.compare.runs import CompareError\n"
        "try:\n    import smoothrl.compare.output.figures\n"
        "except CompareError as error:\n    print(error)"
    )
    said = subprocess.check_output([sys.executable, "-c", code], text=True)
    assert said.strip() == "figures need matplotlib: pip install 'smoothrl[figures]'"
