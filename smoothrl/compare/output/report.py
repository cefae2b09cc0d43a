"""The report: one HTML file that opens offline, runs no script but its own, and asks nobody for anything."""

from __future__ import annotations

import base64
import hashlib
from importlib.resources import files
from pathlib import Path
from typing import Any

import jinja2
from markupsafe import Markup

from smoothrl.compare import wording
from smoothrl.compare.output import rows
from smoothrl.compare.output.chart_data import chart_data, script_json
from smoothrl.compare.output.palette import color
from smoothrl.compare.result import METRIC_NAMES, STATISTIC_NAMES, Comparison
from smoothrl.training.durable import commit_text

PAGE = files("smoothrl.compare.output") / "page"
LIGHT, DARK = "#ffffff", "#15181c"
"""What lines are drawn on: `--paper` in report.css."""
CONTRAST = {LIGHT: 2.2, DARK: 4.5}
"""Least contrast of a line with its paper (WCAG 2.1): on white what orange has."""


def write_report(comparison: Comparison, path: Path, refresh: int | None = None) -> None:
    """Write the report: a reader sees the whole old file or the whole new one.

    Args:
        comparison: what was found.
        path: the HTML file.
        refresh: seconds after which an open page loads itself again, for a study that still runs.
    """
    commit_text(path, render(comparison, refresh))


def render(comparison: Comparison, refresh: int | None = None) -> str:
    """The report as HTML.

    Text of runs is escaped by Jinja, in the JSON for charts by `script_json`, and made visible in both; should markup
    get through all the same, the content-security policy runs no script and applies no style but the two whose
    SHA-256 it names.
    """
    script = "\n".join((PAGE / name).read_text("utf-8") for name in ("charts.js", "report.js"))
    style = (PAGE / "report.css").read_text("utf-8") + _variant_colors(len(comparison.variants))
    policy = (
        f"default-src 'none'; script-src '{_hash(script)}'; style-src '{_hash(style)}'; "
        "base-uri 'none'; form-action 'none'"
    )
    return _environment().get_template("report.html.j2").render(
        comparison=comparison,
        task_choices=_task_choices(comparison),
        status_choices={"": "All"} | {status: status for status in sorted({run.status for run in comparison.runs})},
        metrics=METRIC_NAMES,
        statistics=STATISTIC_NAMES,
        rows=rows,
        places={row.name: i for i, row in enumerate(comparison.variants)},
        refresh=refresh,
        policy=policy,
        style=Markup(style),
        script=Markup(script),
        data=Markup(script_json(chart_data(comparison))),
    )  # fmt: skip


def _task_choices(comparison: Comparison) -> dict[int | str, str]:
    """Place -> name, as in `rows.Block.task`."""
    joined = {-1: "Over all tasks"} if any(one.task is None for one in comparison.estimates) else {}
    return {"": "All"} | joined | dict(enumerate(comparison.tasks))


def _environment() -> jinja2.Environment:
    environment = jinja2.Environment(
        loader=jinja2.FunctionLoader(lambda name: (PAGE / name).read_text("utf-8")),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        finalize=_finalize,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {
        "number": wording.number, "ends": wording.ends, "probability": wording.probability,
        "duration": wording.duration,
        "versions": wording.versions,
    }  # fmt: skip
    return environment


def _finalize(value: Any) -> Any:
    """Every text that the template prints is made visible; our own script, style and JSON are what they are."""
    return wording.visible(value) if isinstance(value, str) and not isinstance(value, Markup) else value


def _hash(text: str) -> str:
    return "sha256-" + base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()


def _variant_colors(count: int) -> str:
    """CSS colors of variants, for light and for dark paper."""
    lines = [
        f".v{i} {{ --series: light-dark({_readable(color(i), LIGHT)}, {_readable(color(i), DARK)}); }}"
        for i in range(count)
    ]
    return "\n".join(["", *lines, ""])


def _readable(color: str, paper: str) -> str:
    """The color, mixed with black or white just as far as it needs to stand out from the paper."""
    ink = 0 if paper == LIGHT else 255
    mixes = (
        "#" + "".join(f"{round(channel + (ink - channel) * part / 20):02x}" for channel in _channels(color))
        for part in range(21)
    )
    return next(mix for mix in mixes if _contrast(mix, paper) >= CONTRAST[paper])


def _channels(color: str) -> list[int]:
    return [int(color[i : i + 2], 16) for i in (1, 3, 5)]


def _contrast(one: str, other: str) -> float:
    low, high = sorted((_luminance(one), _luminance(other)))
    return (high + 0.05) / (low + 0.05)


def _luminance(color: str) -> float:
    """Relative luminance of an sRGB color. Source: WCAG 2.1."""
    rgb = [channel / 255 for channel in _channels(color)]
    linear = [channel / 12.92 if channel <= 0.04045 else ((channel + 0.055) / 1.055) ** 2.4 for channel in rgb]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]
