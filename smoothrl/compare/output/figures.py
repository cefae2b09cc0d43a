"""Figures for papers: curves, recovery, profiles, probability of improvement, tunability, smoothness against return."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import TypeVar

import numpy as np

from smoothrl.compare.output.figure_frame import Axes, Figure, Look, matplotlib, panels, save, short, style, ticker
from smoothrl.compare.output.sheets import SCORE
from smoothrl.compare.result import METRIC_NAMES, Comparison, HeatMap, Interval, Metric
from smoothrl.compare.wording import interval_text, number

OVER_TASKS = "all tasks, normalized"
RECOVERY_LIMITS = (-2.0, 3.0)
"""Recoveries beyond are drawn as an arrow at the edge: the ratio of two small gains can be of any size."""
ORDERS = 1.5
"""Orders of magnitude from which on an axis is logarithmic."""
_MISSING = "0.85"

T = TypeVar("T")


def write_figures(comparison: Comparison, folder: Path, formats: Sequence[str]) -> list[Path]:
    """Write every figure that the comparison has something for.

    Args:
        comparison: what was found.
        folder: made if it is not there; files of the same names are replaced.
        formats: of each figure: png, svg, pdf.

    Returns:
        The files.
    """
    drawings: dict[str, Callable[[Comparison, Look], Figure | None]] = {
        "curves": _curves,
        "recovery": _recovery,
        "profiles": _profiles,
        "improvement": _improvement,
        "tunability": _tunability,
        "smoothness": _smoothness,
    }
    look, written = Look(comparison), []
    with style():
        for name, draw in drawings.items():
            figure = draw(comparison, look)
            if figure is not None:
                written += save(figure, folder, name, formats)
    return written


def _curves(comparison: Comparison, look: Look) -> Figure | None:
    groups = _grouped((band for band in comparison.bands if band.tag == comparison.tag), lambda band: band.task)
    if not groups:
        return None
    figure, axes = panels(len(groups), height=2.1)
    for ax, (task, bands) in zip(axes, groups.items(), strict=True):
        for band in bands:
            line = look.line(band.variant)
            ax.plot(band.steps, band.mean, **line)
            ax.fill_between(band.steps, band.low, band.high, color=line["color"], alpha=0.15, linewidth=0)
        ax.set(title=short(task), xlabel="environment steps")
        ax.xaxis.set_major_formatter(ticker.EngFormatter(sep=""))
    axes[0].set_ylabel(short(comparison.tag))
    look.legend(figure, {band.variant for bands in groups.values() for band in bands})
    return figure


def _profiles(comparison: Comparison, look: Look) -> Figure | None:
    groups = _grouped(comparison.profiles, lambda profile: profile.task)
    if not groups:
        return None
    figure, axes = panels(len(groups), height=2.1)
    for ax, (task, profiles) in zip(axes, groups.items(), strict=True):
        for profile in profiles:
            line = look.line(profile.variant)
            ax.plot(profile.tau, profile.share, **line)
            ax.fill_between(profile.tau, profile.low, profile.high, color=line["color"], alpha=0.12, linewidth=0)
        ax.set(title=_scope(task), xlabel="normalized final return τ", ylim=(-0.02, 1.02))
    axes[0].set_ylabel("share of runs above τ")
    look.legend(figure, {profile.variant for profiles in groups.values() for profile in profiles})
    return figure


def _improvement(comparison: Comparison, look: Look) -> Figure | None:
    pairs = (pair for pair in comparison.against_baseline if pair.metric == SCORE)
    groups = _grouped(pairs, lambda pair: pair.task)
    if not groups:
        return None
    figure, axes = panels(len(groups), height=0.7 + 0.17 * max(map(len, groups.values())))
    for ax, (task, found) in zip(axes, groups.items(), strict=True):
        ax.axvline(0.5, color="0.4", linewidth=0.8)
        for row, pair in enumerate(found):
            _whisker(ax, pair.improvement, row, look.line(pair.first)["color"], (0, 1))
        _names(ax, [pair.first for pair in found])
        ax.set(title=_scope(task), xlim=(0, 1))
    figure.supxlabel(f"probability of a higher final return than {short(comparison.baseline)}", fontsize=8)
    return figure


def _recovery(comparison: Comparison, look: Look) -> Figure | None:
    groups = _grouped(comparison.recoveries, lambda one: (one.task, one.smooth))
    if not groups:
        return None
    metrics = list(dict.fromkeys(one.metric for one in comparison.recoveries))
    known = [one.recovered for one in comparison.recoveries if one.recovered is not None]
    ends = [end for found in known for end in (found.low, found.high) if math.isfinite(end)]
    low, high = max(RECOVERY_LIMITS[0], min([-0.2, *ends]) - 0.1), min(RECOVERY_LIMITS[1], max([1.2, *ends]) + 0.1)
    most = max(len({one.variant for one in found}) for found in groups.values())
    figure, axes = panels(len(groups), height=0.7 + 0.14 * len(metrics) * most)
    for ax, ((task, smooth), found) in zip(axes, groups.items(), strict=True):
        variants = list(dict.fromkeys(one.variant for one in found))
        for mark in (0, 1):
            ax.axvline(mark, color="0.4", linewidth=0.8, linestyle="-" if mark == 0 else "--")
        for one in found:
            shift = (metrics.index(one.metric) - (len(metrics) - 1) / 2) * 0.36
            row, hue = variants.index(one.variant) + shift, look.line(one.variant)["color"]
            if one.recovered is None:
                text = ax.text((low + high) / 2, row, one.verdict, color="0.4", fontsize=6, ha="center", va="center")
                text.set_bbox({"facecolor": "white", "edgecolor": "none", "pad": 0.5})
            else:
                _whisker(ax, one.recovered, row, hue, (low, high), filled=one.metric == metrics[0])
        _names(ax, variants)
        ax.set(title=f"{_scope(task)}\ngain of {short(smooth)}", xlim=(low, high))
    marks = " ".join(f"{sign} {METRIC_NAMES[metric]}" for sign, metric in zip("●○", metrics, strict=False))
    figure.supxlabel(f"recovered share of the gain   ({marks})", fontsize=8)
    return figure


def _tunability(comparison: Comparison, look: Look) -> Figure | None:
    del look  # cells have the color of their score
    if not comparison.heat_maps:
        return None
    limits = _limits(comparison.heat_maps)
    figure, axes = panels(len(comparison.heat_maps), height=2.2, most_columns=2)
    colors = matplotlib.colormaps["cividis"].with_extremes(bad=_MISSING)
    for ax, found in zip(axes, comparison.heat_maps, strict=True):
        low, high = limits[found.task, found.metric]
        ax.imshow(found.scores, cmap=colors, vmin=low, vmax=high, aspect="auto")
        for (row, column), score in np.ndenumerate(found.scores):
            dark = math.isnan(score) or score > (low + high) / 2
            ax.text(column, row, number(score, 3), ha="center", va="center", color="black" if dark else "white")
        ax.set_xticks(range(len(found.x_values)), [short(value) for value in found.x_values])
        ax.set_yticks(range(len(found.y_values)), [short(value) for value in found.y_values])
        rest = f" ({short(found.rest)})" if found.rest else ""
        ax.set(
            title=f"{short(found.task)} · {short(found.group)}{rest}\n{METRIC_NAMES[found.metric]}",
            xlabel=short(found.x_axis), ylabel=short(found.y_axis),
        )  # fmt: skip
        ax.grid(visible=False)
    return figure


def _smoothness(comparison: Comparison, look: Look) -> Figure | None:
    if not comparison.associations:
        return None
    figure, axes = panels(len(comparison.associations), height=2.2, most_columns=2)
    for ax, found in zip(axes, comparison.associations, strict=True):
        for variant, points in _grouped(found.points, lambda point: point.variant).items():
            x, y = [point.x for point in points], [point.y for point in points]
            ax.scatter(x, y, s=12, alpha=0.8, linewidths=0, **look.marker(variant))
        known = [point.x for point in found.points if math.isfinite(point.x)]
        if known and min(known) > 0 and math.log10(max(known) / min(known)) > ORDERS:
            ax.set_xscale("log")
            ax.xaxis.set_major_formatter(ticker.FuncFormatter(lambda value, _: f"{value:g}"))
            ax.xaxis.set_minor_formatter(ticker.NullFormatter())
        ax.set(
            title=f"{short(found.task)}\nrank correlation {interval_text(found.spearman)}",
            xlabel=short(found.tag), ylabel=METRIC_NAMES[found.metric],
        )  # fmt: skip
    shown = {point.variant for found in comparison.associations for point in found.points}
    look.legend(figure, shown, points=True)
    return figure


def _whisker(
    ax: Axes, interval: Interval, row: float, hue: str, limits: tuple[float, float], filled: bool = True
) -> None:
    """A dot and its interval; an arrow at the edge where one goes on beyond it."""
    low, high = limits
    ends = np.clip([interval.low, interval.high], low, high)
    ax.plot(ends, [row, row], color=hue, linewidth=1.2, solid_capstyle="butt")
    if low <= interval.value <= high:
        ax.plot(interval.value, row, "o", color=hue, markersize=3.5, markerfacecolor=hue if filled else "white")
    for beyond, edge, arrow in ((interval.low < low, low, "<"), (interval.high > high, high, ">")):
        if beyond:
            ax.plot(edge, row, arrow, color=hue, markersize=3.5, clip_on=False)


def _names(ax: Axes, variants: Sequence[str]) -> None:
    """Variants from top to bottom, one per row."""
    ax.set_yticks(range(len(variants)), [short(name) for name in variants])
    ax.set_ylim(len(variants) - 0.4, -0.6)
    ax.grid(visible=False, axis="y")


def _scope(task: str | None) -> str:
    return OVER_TASKS if task is None else short(task)


def _limits(heat_maps: Iterable[HeatMap]) -> dict[tuple[str, Metric], tuple[float, float]]:
    """One scale of color for all groups of the same task and metric."""
    groups = _grouped(heat_maps, lambda found: (found.task, found.metric))
    scores = {key: np.concatenate([found.scores.ravel() for found in group]) for key, group in groups.items()}
    return {
        key: (float(np.nanmin(values)), float(np.nanmax(values))) if np.isfinite(values).any() else (0.0, 1.0)
        for key, values in scores.items()
    }


K = TypeVar("K")


def _grouped(items: Iterable[T], key: Callable[[T], K]) -> dict[K, list[T]]:
    """Items by key, keys in the order in which they come."""
    groups: dict[K, list[T]] = {}
    for item in items:
        groups.setdefault(key(item), []).append(item)
    return groups
