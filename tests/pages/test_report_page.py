"""The report in a real browser: it shows what was found, its switches work, and it talks to nobody."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from playwright.sync_api import Page, expect

from smoothrl.compare.output.report import write_report
from smoothrl.compare.result import Comparison

SECTIONS = ["answer", "curves", "recovery", "estimates", "differences", "profiles", "tunability", "efficiency",
            "smoothness", "variants", "runs", "methods"]  # fmt: skip
NOTHING = ["estimates", "differences", "efficiency", "bands", "profiles", "recoveries", "tunability", "heat_maps",
           "associations", "normalization"]  # fmt: skip
"""Parts of a comparison that are empty before there is a score."""
CHARTS = ["curve-charts", "recovery-charts", "estimate-charts", "improvement-charts", "profile-charts",
          "smoothness-charts"]  # fmt: skip


@pytest.fixture(scope="module")
def report(comparison: Comparison, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The report of the made-up comparison: two tasks, eight variants."""
    path = tmp_path_factory.mktemp("report") / "report.html"
    write_report(comparison, path)
    return path


def read(text: str) -> float:
    """A number as the page writes it."""
    return float(re.sub(r"[\s\u202f]", "", text).replace("−", "-"))


def captions(page: Page, charts: str) -> list[str]:
    return page.locator(f"#{charts} figcaption").all_inner_texts()


def points(page: Page, chart: str, variant: int) -> np.ndarray[Any, Any]:
    """Corners of a variant's line, in pixels."""
    d = page.locator(f"#{chart} figure >> nth=0").locator(f"[data-variant='{variant}'] .line").get_attribute("d")
    return np.array([[float(number) for number in pair.split()] for pair in re.split("[ML]", d or "")[1:]])


def test_opens_offline_and_asks_nobody(report: Path, visit: Callable[..., Any]) -> None:
    opened = visit(report, offline=True)
    assert opened.page.locator("main > section").evaluate_all("all => all.map(one => one.id)") == SECTIONS
    for charts in CHARTS:
        assert opened.page.locator(f"#{charts} svg").count() > 0, charts
    assert opened.requests == [report.as_uri()]
    assert opened.complaints == []
    assert opened.violations() == []


def test_verdicts_come_first_and_cautions_right_below(
    report: Path, comparison: Comparison, visit: Callable[..., Any]
) -> None:
    answer = visit(report).page.locator("#answer")
    assert answer.locator("ol li").all_inner_texts() == list(comparison.verdicts)
    assert answer.locator("[role=note] li").all_inner_texts() == list(comparison.cautions)


def test_lines_lie_where_their_values_and_the_axes_say(
    report: Path, comparison: Comparison, visit: Callable[..., Any]
) -> None:
    page = visit(report).page
    figure = page.locator("#curve-charts figure >> nth=0")
    labels = figure.locator("svg > text").evaluate_all(
        "all => all.map(one => [one.textContent, +one.getAttribute('x'), +one.getAttribute('y'), "
        "one.getAttribute('text-anchor')])"
    )
    across = np.array([[read(text), x] for text, x, _, anchor in labels if anchor == "middle" and text != "step"])
    up = np.array([[read(text), y] for text, _, y, anchor in labels if anchor == "end"])
    to_x = np.polynomial.Polynomial.fit(across[:, 0], across[:, 1], 1)
    to_y = np.polynomial.Polynomial.fit(up[:, 0], up[:, 1], 1)
    assert len(across) >= 3
    assert len(up) >= 2
    for variant, row in enumerate(comparison.variants):
        band = next(b for b in comparison.bands if (b.task, b.variant, b.tag) == (
            comparison.tasks[0], row.name, comparison.tag))  # fmt: skip
        expected = np.stack([to_x(band.steps), to_y(band.mean)], axis=1)
        np.testing.assert_allclose(points(page, "curve-charts", variant), expected, atol=0.2)


@pytest.mark.parametrize("by", ["mouse", "keyboard"])
def test_exploring_a_curve_shows_its_values(
    by: str, report: Path, comparison: Comparison, visit: Callable[..., Any]
) -> None:
    page = visit(report).page
    picture = page.locator("#curve-charts svg >> nth=1")
    picture.scroll_into_view_if_needed()
    if by == "mouse":
        picture.hover()
    else:
        picture.focus()
        for _ in range(3):
            page.keyboard.press("ArrowRight")
    tip = page.locator("#tip")
    expect(tip).to_be_visible()
    step = read(tip.locator("strong").inner_text().removeprefix("step"))
    shown = tip.locator("tr").evaluate_all("rows => rows.map(row => [...row.cells].map(cell => cell.textContent))")
    assert [name for name, *_ in shown] == [row.name for row in comparison.variants]
    for name, value, interval in shown:
        band = next(b for b in comparison.bands if (b.task, b.variant, b.tag) == (
            comparison.tasks[1], name, comparison.tag))  # fmt: skip
        at = band.steps.tolist().index(step)
        numbers = [read(value), *map(read, interval.strip("[]").split(","))]
        np.testing.assert_allclose(numbers, [band.mean[at], band.low[at], band.high[at]], rtol=6e-5)
    if by == "keyboard":
        assert step == 750
        page.keyboard.press("Escape")
    else:
        page.mouse.move(2, 2)
    expect(tip).to_be_hidden()


def test_legend_hides_a_variant_in_every_chart_and_brings_it_back(report: Path, visit: Callable[..., Any]) -> None:
    page = visit(report).page
    button = page.get_by_role("button", name="div-grad", exact=True)

    def drawn() -> dict[str, int]:
        return {charts: page.locator(f"#{charts} [data-variant='4']").count() for charts in CHARTS}

    before = drawn()
    assert all(before.values())
    button.click()
    assert not any(drawn().values())
    assert button.get_attribute("aria-pressed") == "false"
    assert page.locator("#curve-charts [data-variant='3']").count() == 2
    button.press("Enter")
    assert drawn() == before
    assert button.get_attribute("aria-pressed") == "true"


def test_picking_a_task_leaves_only_it(report: Path, visit: Callable[..., Any]) -> None:
    page = visit(report).page
    assert captions(page, "curve-charts") == ["Pendulum-v1 · eval/mean_reward", "Hopper-v5 · eval/mean_reward"]
    page.get_by_label("Task", exact=True).select_option("Hopper-v5")
    for charts in CHARTS:
        assert captions(page, charts), charts
        assert all(caption.startswith("Hopper-v5") for caption in captions(page, charts)), charts
    headings = page.locator("main .group:visible").all_inner_texts()
    assert headings
    assert all(heading.startswith("Hopper-v5") for heading in headings)
    page.get_by_label("Task", exact=True).select_option("Over all tasks")
    assert captions(page, "estimate-charts") == ["Over all tasks, normalized · IQM of final return"]
    assert page.locator("#curve-charts").inner_text() == "Nothing for this choice."


def test_picking_a_score_changes_forest_and_tables(
    report: Path, comparison: Comparison, visit: Callable[..., Any]
) -> None:
    page = visit(report).page
    page.get_by_label("Score", exact=True).select_option("area under the curve")
    assert all("area under the curve" in caption for caption in captions(page, "recovery-charts"))
    found = [
        one for one in comparison.recoveries
        if one.metric == "auc" and one.task is None and one.recovered is not None
    ]  # fmt: skip
    rows = page.locator("#recovery tbody:visible >> nth=0").locator("tr:not(.group)")
    assert rows.count() == len(found)
    for row, expected in zip(rows.all(), found, strict=True):
        cells = row.locator("th, td").all_inner_texts()
        assert (cells[0], cells[1], cells[5]) == (expected.variant, expected.smooth, expected.verdict)
        assert expected.recovered is not None
        assert read(cells[4].split("[")[0]) == pytest.approx(expected.recovered.value, abs=0.006)


def test_forest_has_lines_at_none_and_all_of_the_gain_and_the_verdicts(
    report: Path, comparison: Comparison, visit: Callable[..., Any]
) -> None:
    page = visit(report).page
    figure = page.locator("#recovery-charts figure >> nth=0")
    ends = [float(x) for x in figure.locator(".mark").evaluate_all("all => all.map(one => one.getAttribute('x1'))")]
    to_x = np.polynomial.Polynomial.fit([0, 1], ends, 1)
    found = [one for one in comparison.recoveries if one.metric == "final" and one.task is None]
    nothing = page.locator("#recovery-charts figure").filter(has_text="gain of gradient-penalty")
    assert nothing.locator("p").inner_text() == "no benefit to recover"
    assert nothing.locator("svg").count() == 0
    assert figure.locator(".note").all_text_contents() == [one.verdict for one in found]
    for variant, one in zip(figure.locator("[data-variant]").all(), found, strict=True):
        assert one.recovered is not None
        assert float(variant.locator("circle").get_attribute("cx") or "nan") == pytest.approx(
            to_x(one.recovered.value), abs=0.1
        )
        for end, value in (("x1", one.recovered.low), ("x2", one.recovered.high)):
            place = float(variant.locator(".whisker").get_attribute(end) or "nan")
            assert place == pytest.approx(to_x(value), abs=0.1)


def test_tags_seeds_and_the_logarithm_can_be_switched(
    report: Path, comparison: Comparison, visit: Callable[..., Any]
) -> None:
    page = visit(report).page
    tags = list(dict.fromkeys(band.tag for band in comparison.bands))
    assert page.get_by_label("Tag").locator("option").all_inner_texts() == tags
    assert tags[0] == comparison.tag
    assert page.locator("#curve-charts .seed").count() == sum(len(b.seeds) for b in comparison.bands)
    page.get_by_label("Single seeds").uncheck()
    assert page.locator("#curve-charts .seed").count() == 0
    assert page.get_by_label("Logarithmic").is_disabled()  # returns are negative

    page.get_by_label("Tag").select_option(tags[1])
    line = points(page, "curve-charts", 0)[:, 1]
    assert np.ptp(np.diff(line)) > 5  # an exponential decay ...
    page.get_by_label("Logarithmic").check()
    line = points(page, "curve-charts", 0)[:, 1]
    assert np.ptp(np.diff(line)) < 0.3  # ... is a straight line


def test_runs_are_sorted_by_any_column_and_missing_values_stay_last(
    report: Path, comparison: Comparison, visit: Callable[..., Any]
) -> None:
    page = visit(report).page
    scores = sorted(run.scores["final"] for run in comparison.runs if run.scores)
    missing = len(comparison.runs) - len(scores)
    assert missing > 0

    def column() -> list[str]:
        return page.locator(".runs tbody tr td:nth-child(6)").all_inner_texts()

    header = page.locator(".runs th").filter(has_text="Final return")
    for order, expected in (("ascending", scores), ("descending", scores[::-1])):
        header.get_by_role("button").click()
        assert header.get_attribute("aria-sort") == order
        assert column()[-missing:] == ["–"] * missing
        np.testing.assert_allclose([read(text) for text in column()[:-missing]], expected, rtol=1e-3)

    page.locator(".runs th").filter(has_text="Variant").get_by_role("button").press("Enter")
    names = page.locator(".runs tbody th").all_inner_texts()
    assert names == sorted(names)
    assert page.locator(".runs th[aria-sort]").count() == 1


def test_sorting_keeps_rows_below_their_task(report: Path, visit: Callable[..., Any]) -> None:
    page = visit(report).page
    table = page.locator("#estimates table")
    headings = table.locator(".group:visible").all_inner_texts()
    table.get_by_role("button", name="IQM").click()
    assert table.locator(".group:visible").all_inner_texts() == headings
    for body in table.locator("tbody:visible").all():
        assert body.locator("tr").first.get_attribute("class") == "group"
        values = [float(v) for v in body.locator("td:nth-child(2)").evaluate_all("a => a.map(c => c.dataset.value)")]
        assert values == sorted(values)


def test_runs_are_filtered_by_status(report: Path, comparison: Comparison, visit: Callable[..., Any]) -> None:
    page = visit(report).page
    page.get_by_label("Status").select_option("diverged")
    diverged = [run for run in comparison.runs if run.status == "diverged"]
    assert diverged
    assert page.locator(".runs tbody tr:visible").count() == len(diverged)
    assert page.locator("#shown").inner_text() == f"{len(diverged)} of {len(comparison.runs)} runs"


def test_every_run_is_there_with_why_it_is_left_out(
    report: Path, comparison: Comparison, visit: Callable[..., Any]
) -> None:
    rows = visit(report).page.locator(".runs tbody tr").all_inner_texts()
    assert len(rows) == len(comparison.runs)
    for text, run in zip(rows, comparison.runs, strict=True):
        for part in (run.task, run.variant, run.seed, run.status, run.why_not, run.folder, *run.notices):
            assert part in text


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_theme_follows_the_system_and_the_switch(scheme: str, report: Path, visit: Callable[..., Any]) -> None:
    page = visit(report, color_scheme=scheme).page
    paper = {"light": "rgb(255, 255, 255)", "dark": "rgb(21, 24, 28)"}
    other = {"light": "dark", "dark": "light"}[scheme]

    def background() -> str:
        return str(page.evaluate("getComputedStyle(document.body).backgroundColor"))

    assert background() == paper[scheme]
    page.get_by_role("button", name=f"Switch to the {other} theme").click()
    assert background() == paper[other]
    page.emulate_media(media="print")
    assert background() == paper["light"]


def test_prints_everything_without_controls(report: Path, visit: Callable[..., Any]) -> None:
    opened = visit(report)
    page = opened.page
    page.get_by_label("Task", exact=True).select_option("Hopper-v5")
    page.get_by_label("Status").select_option("diverged")
    page.emulate_media(media="print")
    page.evaluate("dispatchEvent(new Event('beforeprint'))")
    assert len(captions(page, "curve-charts")) == 2
    assert page.locator("main > section:visible").count() == len(SECTIONS)
    assert page.locator("details:not([open])").count() == 0
    assert page.locator(".runs tbody tr:visible").count() == page.locator(".runs tbody tr").count()
    assert page.locator("select:visible, input:visible, #legend:visible, #theme:visible").count() == 0
    page.evaluate("dispatchEvent(new Event('afterprint'))")
    assert len(captions(page, "curve-charts")) == 1
    assert page.locator("details[open]").count() == 0
    assert page.pdf(format="A4").startswith(b"%PDF")
    assert opened.complaints == []


@pytest.mark.parametrize("width", [360, 768, 1600])
def test_no_width_scrolls_sideways(width: int, report: Path, visit: Callable[..., Any]) -> None:
    page = visit(report, width=width).page
    assert page.evaluate("document.documentElement.scrollWidth") <= width


def test_nothing_moves_when_a_switch_is_pressed(report: Path, visit: Callable[..., Any]) -> None:
    page = visit(report).page
    place = "document.getElementById('runs').getBoundingClientRect().top + scrollY"
    before = page.evaluate(place)
    page.get_by_label("Single seeds").uncheck()
    page.get_by_label("Tag").select_option(index=1)
    assert page.evaluate(place) == before


def test_controls_and_charts_have_names(report: Path, visit: Callable[..., Any]) -> None:
    page = visit(report).page
    unnamed = page.evaluate(
        """() => [...document.querySelectorAll("button, select, input, figure svg, table, section, [role=region]")]
            .filter(one => !(one.getAttribute("aria-label") || one.labels?.length || one.caption?.textContent ||
                             one.textContent.trim() && one.matches("button") ||
                             document.getElementById(one.getAttribute("aria-labelledby"))))
            .filter(one => !one.closest("#tip")).map(one => one.outerHTML.slice(0, 80))"""
    )
    assert unnamed == []
    ids = page.evaluate("[...document.querySelectorAll('[id]')].map(one => one.id)")
    assert len(ids) == len(set(ids))


def test_methods_can_be_copied(report: Path, comparison: Comparison, visit: Callable[..., Any]) -> None:
    page = visit(report, permissions=["clipboard-read", "clipboard-write"]).page
    page.locator("#methods").get_by_role("button", name="Copy").first.click()
    expect(page.locator("#methods .copy").first).to_have_text("Copied")
    assert page.evaluate("navigator.clipboard.readText()") == comparison.methods
    assert page.evaluate("getSelection().toString()") == comparison.methods


def test_a_watched_page_comes_back_as_it_was(comparison: Comparison, tmp_path: Path, visit: Callable[..., Any]) -> None:
    path = tmp_path / "report.html"
    write_report(comparison, path, refresh=2)
    opened = visit(path)
    page = opened.page
    page.get_by_label("Task", exact=True).select_option("Hopper-v5")
    page.get_by_label("Single seeds").uncheck()
    page.get_by_role("button", name="spectral", exact=True).click()
    page.get_by_role("button", name="Switch to the dark theme").click()
    write_report(dataclasses.replace(comparison, title="later"), path)
    expect(page.locator("h1")).to_have_text("later")
    expect(page.locator("#curve-charts figcaption")).to_have_text(["Hopper-v5 · eval/mean_reward"])
    expect(page.get_by_label("Single seeds")).not_to_be_checked()
    expect(page.get_by_role("button", name="spectral", exact=True)).to_have_attribute("aria-pressed", "false")
    expect(page.get_by_role("button", name="Switch to the light theme")).to_be_visible()
    assert set(opened.requests) == {path.as_uri()}


def test_tables_need_no_script(report: Path, comparison: Comparison, visit: Callable[..., Any]) -> None:
    page = visit(report, java_script_enabled=False).page
    assert page.locator(".runs tbody tr:visible").count() == len(comparison.runs)
    assert page.locator("#recovery tbody tr:not(.group):visible").count() == len(comparison.recoveries)
    assert page.locator("select:visible, input:visible, .copy:visible").count() == 0
    assert page.locator("noscript p").is_visible()


def test_a_study_that_has_not_begun_opens(comparison: Comparison, tmp_path: Path, visit: Callable[..., Any]) -> None:
    begun: list[str] = ["tasks", "runs", "counts", "verdicts", *NOTHING]
    write_report(dataclasses.replace(comparison, **dict.fromkeys(begun, ())), tmp_path / "empty.html")
    opened = visit(tmp_path / "empty.html")
    assert opened.page.locator("#shown").inner_text() == "0 of 0 runs"
    assert opened.page.locator("figure").count() == 0
    assert opened.complaints == []


def test_more_variants_than_colors_differ_by_dashes(
    comparison: Comparison, tmp_path: Path, visit: Callable[..., Any]
) -> None:
    many = [dataclasses.replace(comparison.variants[1], name=f"variant {i}") for i in range(20)]
    bands = [dataclasses.replace(comparison.bands[0], variant=row.name) for row in many]
    nothing: dict[str, Any] = dict.fromkeys(["runs", "counts", *NOTHING], ()) | {"bands": tuple(bands)}
    many_variants = dataclasses.replace(comparison, variants=tuple(many), baseline="variant 0", **nothing)
    write_report(many_variants, tmp_path / "many.html")
    page = visit(tmp_path / "many.html").page
    looks = page.locator("#curve-charts .line").evaluate_all(
        "all => all.map(one => getComputedStyle(one).stroke + one.getAttribute('stroke-dasharray'))"
    )
    assert len(looks) == len(set(looks)) == 20
