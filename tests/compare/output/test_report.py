"""The report as a file: numbers and names as they should read, data that no parser mistakes, hashes that fit."""

from __future__ import annotations

import base64
import dataclasses
import hashlib
import json
import math
import re
from collections.abc import Callable
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from smoothrl.compare import wording
from smoothrl.compare.output import report, rows
from smoothrl.compare.output.chart_data import POINTS, chart_data, script_json
from smoothrl.compare.output.palette import COLORS
from smoothrl.compare.output.report import render, write_report
from smoothrl.compare.result import Comparison, HeatMap, Interval, VariantRow

NAN, INF = math.nan, math.inf


class Parsed(HTMLParser):
    """Text of each script and style, and attributes of each tag, as a parser sees them."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.raw: dict[str, list[str]] = {"script": [], "style": []}
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_data(self, data: str) -> None:
        if self.tags and self.tags[-1][0] in self.raw and self.get_starttag_text() and data.strip():
            self.raw[self.tags[-1][0]].append(data)


@pytest.mark.parametrize(
    ("value", "shown"),
    [(0.0, "0"), (-0.0, "0"), (1234567.8, "1\u202f234\u202f568"), (-152.345, "−152.3"), (0.01234567, "0.01235"),
     (2000.0, "2\u202f000"), (7.0, "7"), (0.00001234, "1.23e−05"), (NAN, "–"), (None, "–"), (INF, "∞"), (-INF, "−∞"),
     (99999.99, "100\u202f000")],
)  # fmt: skip
def test_number(value: float | None, shown: str) -> None:
    assert wording.number(value) == shown


@pytest.mark.parametrize(
    ("interval", "shown"),
    [((0.8312, 0.5619, 1.1234), ("0.83", "0.56", "1.12")), ((-152.34, -160.1, -145.0), ("−152", "−160", "−145")),
     ((12345.6, 12000.4, 12700.2), ("12\u202f346", "12\u202f000", "12\u202f700")),
     ((0.5, 0.5, 0.5), ("0.5000", "0.5000", "0.5000")), ((8000, 7000, INF), ("8\u202f000", "7\u202f000", "∞")),
     ((NAN, -1, 1), ("–", "−1.0", "1.0")), ((NAN, NAN, NAN), ("–", "–", "–")),
     ((-0.001, -1, 1), ("0.0", "−1.0", "1.0"))],
)  # fmt: skip
def test_ends_of_an_interval_are_rounded_alike(
    interval: tuple[float, float, float], shown: tuple[str, str, str]
) -> None:
    assert wording.ends(Interval(*interval)) == shown


def test_a_p_value_is_never_zero() -> None:
    assert [wording.probability(p) for p in (0.0, 0.00099, 0.0234, 1.0, NAN)] == [
        "< 0.001", "< 0.001", "0.023", "1.000", "–",
    ]  # fmt: skip


@given(st.text(st.characters(codec=None), max_size=50))
def test_visible_text_can_be_written_and_hides_nothing(text: str) -> None:
    shown = wording.visible(text)
    shown.encode()  # no unpaired surrogate is left
    assert not set(shown) & set("\u202a\u202b\u202d\u202e\u2066\u2067\u2068\u2069\u200b\u2028\u2029\0\x1b")
    if text.isascii() and text.isprintable():
        assert shown == text


texts = st.text(st.characters(codec=None), max_size=20)


@given(st.recursive(texts | st.integers() | st.none() | st.booleans(), lambda inner: st.lists(inner, max_size=4)))
def test_json_in_a_script_is_the_same_data_without_markup(data: Any) -> None:
    def visible(data: Any) -> Any:
        if isinstance(data, list):
            return [visible(one) for one in data]
        return wording.visible(data) if isinstance(data, str) else data

    text = script_json(data)
    assert text.isascii()
    assert not set(text) & set("<>&")
    assert json.loads(text) == visible(data)


def test_the_policy_names_exactly_our_script_and_style(comparison: Comparison) -> None:
    parsed = Parsed(render(comparison))
    policy = next(a["content"] for _, a in parsed.tags if a.get("http-equiv") == "Content-Security-Policy")
    assert policy is not None
    data, script = parsed.raw["script"]
    (style,) = parsed.raw["style"]
    for directive, text in (("script-src", script), ("style-src", style)):
        digest = base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()
        assert f"{directive} 'sha256-{digest}';" in policy
    assert policy.startswith("default-src 'none'; ")
    assert policy.endswith("base-uri 'none'; form-action 'none'")
    assert json.loads(data)["variants"] == [row.name for row in comparison.variants]
    assert not any(name == "style" or name.startswith("on") for _, attrs in parsed.tags for name in attrs)


def test_the_script_has_no_way_to_make_markup_or_to_reach_out() -> None:
    script = Parsed(render(EMPTY)).raw["script"][-1]
    forbidden = (
        r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|eval|Function\(|fetch|XMLHttp|WebSocket|import\("
    )
    assert re.findall(forbidden, script) == []
    assert re.findall("localStorage|sessionStorage|cookie|indexedDB", script) == []


EMPTY = Comparison(
    title="nothing yet", sources=("runs/x",), tag="eval/mean_reward", tasks=(), baseline="plain", smooth=(),
    variants=(VariantRow("plain", "baseline", {}, None, {}),),
    runs=(), counts=(), estimates=(), differences=(), efficiency=(), bands=(), profiles=(), recoveries=(),
    tunability=(), heat_maps=(), associations=(), normalization=(), verdicts=(), cautions=(), methods="",
    confidence=0.95, resamples=1000, seed=0, command="smoothrl compare runs/x", made="2026-01-01T00:00:00+00:00",
)  # fmt: skip


def test_sections_without_data_are_absent() -> None:
    page = render(EMPTY)
    assert re.findall(r'<section id="(\w+)"', page) == ["answer", "variants", "runs", "methods"]
    assert "No verdict: there are too few finished runs to compare." in page


def test_every_interval_of_a_table_is_there(comparison: Comparison) -> None:
    page = render(comparison)
    for found in comparison.estimates:
        value, low, high = wording.ends(found.interval)
        assert f'data-value="{found.interval.value}">{value} <span class="ci">[{low}, {high}]</span>' in page


def test_refresh_is_asked_for_only_when_watching(comparison: Comparison, tmp_path: Path) -> None:
    assert 'http-equiv="refresh"' not in render(comparison)
    assert '<meta http-equiv="refresh" content="30">' in render(comparison, refresh=30)
    write_report(comparison, tmp_path / "report.html", refresh=30)
    assert (tmp_path / "report.html").read_text("utf-8") == render(comparison, refresh=30)
    assert [path.name for path in tmp_path.iterdir()] == ["report.html"]


def test_pairs_with_the_baseline_are_told_from_the_others(comparison: Comparison) -> None:
    against, others = comparison.against_baseline, comparison.other_pairs
    assert {pair.second for pair in against} == {comparison.baseline}
    assert {pair.first for pair in against} == {row.name for row in comparison.variants[1:]}
    assert len(against) + len(others) == len(comparison.differences)


def test_heat_maps_of_a_task_share_one_scale() -> None:
    def heat(task: str, scores: list[list[float]]) -> HeatMap:
        return HeatMap(task, "final", "g", "", "x", ("1", "2"), "", ("",), np.array(scores))

    levels = [one.levels for one in rows.shaded([heat("a", [[0, 5]]), heat("a", [[10, NAN]]), heat("b", [[3, 3]])])]
    assert levels == [[[0, 4]], [[8, -1]], [[8, 8]]]


def test_versions_are_said_once_where_all_runs_share_them(comparison: Comparison) -> None:
    run = comparison.runs[0]
    runs = tuple(dataclasses.replace(run, versions=each) for each in (
        {"python": "3.11", "torch": "2.13"}, {"python": "3.11", "torch": "2.12"}, {}))  # fmt: skip
    shared = rows.shared_versions(dataclasses.replace(comparison, runs=runs))
    assert shared == {"python": "3.11"}
    assert rows.without(runs[1].versions, shared) == {"torch": "2.12"}


def test_long_curves_are_thinned_to_points_of_their_own(comparison: Comparison) -> None:
    rng = np.random.default_rng(0)
    steps = np.arange(5000)
    values = rng.normal(size=5000)
    band = dataclasses.replace(
        comparison.bands[0], steps=steps, mean=values, low=values - 1, high=values + 1, seeds={"0": values}
    )
    (drawn,) = chart_data(dataclasses.replace(comparison, bands=(band,)))["bands"]
    assert drawn["x"][0] == 0
    assert drawn["x"][-1] == 4999
    assert len(drawn["x"]) == POINTS[1]
    np.testing.assert_allclose(drawn["y"], values[drawn["x"]], rtol=5e-5)
    np.testing.assert_allclose(drawn["seeds"]["0"], values[drawn["x"]], rtol=5e-5)


def test_what_cannot_be_drawn_is_null(comparison: Comparison) -> None:
    band = comparison.bands[0]
    mean = band.mean.copy()
    mean[:2] = NAN, INF
    drawn = chart_data(dataclasses.replace(comparison, bands=(dataclasses.replace(band, mean=mean),)))["bands"][0]
    assert drawn["y"][:2] == [None, None]
    assert None not in drawn["y"][2:]


def test_a_large_study_stays_below_a_megabyte(make_comparison: Callable[..., Comparison]) -> None:
    """8 variants, 1 task, 10 seeds, 2,000 evaluations each, and as many points of 20 other tags."""
    comparison = make_comparison(tasks=1, seeds=10)
    rng = np.random.default_rng(0)
    steps = np.arange(1, 2001) * 500

    def curve() -> Any:
        return rng.normal(-1234.5, 100.0, steps.size)

    bands = []
    for row in comparison.variants:
        for tag in [comparison.tag, *(f"smoothness/quantity_{i}" for i in range(20))]:
            seeds = {str(k): curve() for k in range(10)} if tag == comparison.tag else {}
            one = dataclasses.replace(comparison.bands[0], variant=row.name, tag=tag, steps=steps, mean=curve(),
                                      low=curve(), high=curve(), seeds=seeds)  # fmt: skip
            bands.append(one)
    assert len(render(dataclasses.replace(comparison, bands=tuple(bands))).encode()) < 1_000_000


def test_contrast_is_that_of_wcag() -> None:
    """Known values of the contrast ratio, then what we promise for our colors on both papers."""
    assert report._contrast("#000000", "#ffffff") == pytest.approx(21.0)
    assert report._contrast("#767676", "#ffffff") == pytest.approx(4.54, abs=0.005)
    assert report._contrast("#ff0000", "#ffffff") == pytest.approx(4.0, abs=0.005)
    for paper, least in report.CONTRAST.items():
        assert all(report._contrast(report._readable(color, paper), paper) >= least for color in COLORS)
    assert report._readable("#F0E442", report.LIGHT) != "#f0e442"
    assert all(report._readable(color, report.LIGHT) == color.lower() for color in COLORS)  # as in the figures
