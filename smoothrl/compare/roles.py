"""What each variant is to the question, and how its config differs from the baseline's."""

from __future__ import annotations

import json
from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import Any

from smoothrl.compare.result import Role, VariantRow
from smoothrl.compare.runs import CompareError, Run
from smoothrl.registry import did_you_mean

BASELINE_NAMES = ("plain", "baseline", "default", "vanilla")
"""Names that say so by themselves, in this order."""
OF_THE_RUN = ("study", "variant", "seed", "env", "device", "threads")
"""Keys of a config that say which run it is or where it was computed, not what the variant is."""


def rows(runs: Sequence[Run], baseline: str | None = None, smooth: Sequence[str] = ()) -> tuple[VariantRow, ...]:
    """Every variant of these runs, the baseline first, the others in the order in which they come.

    A variant with a critic regularizer is smooth, one with an optimizer adaptation adapted, by its config. Where no
    config says it, those named `smooth` are, and the others are adapted.

    In a study with a grid a name may be that of all its points: then all points of the baseline are baselines, each
    for the variants with its settings.

    Args:
        runs: all of them.
        baseline: its name; found by name and config when left out.
        smooth: the smooth variants, instead of those whose config says so.

    Raises:
        CompareError: a name that no variant has, or the same one for both.
    """
    first = {run.variant: run for run in reversed(runs)}  # the first run of each variant
    names = list(dict.fromkeys(run.variant for run in runs))
    points = {name: [name] for name in names}
    for name in names:
        if (group := first[name].group) is not None and group not in first:
            points.setdefault(group, []).append(name)
    for name in filter(None, [baseline, *smooth]):
        if name not in points:
            option = "--baseline" if name == baseline else "--smooth"
            raise CompareError(f"{option} {name}: no such variant{did_you_mean(name, points)}")
    if baseline in smooth:
        raise CompareError(f"--smooth {baseline}: is the baseline; name another variant")
    named_smooth = {point for name in smooth for point in points[name]}
    roles = {name: _role(first[name].config, bool(smooth)) for name in names}
    chosen = points[baseline][0] if baseline else _baseline(names, roles, named_smooth)
    group = first[chosen].group if baseline is None or first[chosen].group == baseline else None
    roles |= dict.fromkeys(named_smooth, "smooth")
    roles |= {name: "baseline" for name in names if name == chosen or (group and first[name].group == group)}
    ordered = [chosen, *(name for name in names if name != chosen)]
    return tuple(
        VariantRow(
            name, roles[name], _differences(first[chosen], first[name]), first[name].group, dict(first[name].settings)
        )
        for name in ordered
    )


def counterpart(variant: VariantRow, of: str, variants: Sequence[VariantRow]) -> str | None:
    """The variant to hold this one against: `of` itself, or the point of its grid with the same settings.

    None where the grid has no such point, or several because one of the two has an axis that the other has not.
    """
    named = {row.name: row for row in variants}[of]
    if named.group is None or variant.group is None:
        return of
    shared = variant.settings.keys() & named.settings.keys()
    found = [
        row.name
        for row in variants
        if row.group == named.group and all(row.settings[path] == variant.settings[path] for path in shared)
    ]
    return found[0] if len(found) == 1 else None


def one_line(value: Any) -> str:
    """A value of a config as a table can show it."""
    return value if isinstance(value, str) else json.dumps(value, default=str)


def _role(config: Mapping[str, Any] | None, smooth_are_named: bool) -> Role:
    if config is None or "critic_regularizers" not in config:
        return "adapted" if smooth_are_named else "control"
    regularized, adapted = bool(config["critic_regularizers"]), bool(config.get("optimizer_adaptations"))
    if regularized:
        return "both" if adapted else "smooth"
    return "adapted" if adapted else "control"


def _baseline(names: Sequence[str], roles: Mapping[str, Role], smooth: Collection[str]) -> str:
    """A variant with an obvious name, or else the first one with neither regularizer nor adaptation."""
    for known in BASELINE_NAMES:
        for name in names:
            if (name == known or name.startswith(f"{known}_")) and name not in smooth:
                return name
    plain = [name for name in names if roles[name] == "control" and name not in smooth]
    return next(iter([*plain, *(name for name in names if name not in smooth)]), names[0])


def _differences(baseline: Run, variant: Run) -> dict[str, tuple[str, str]]:
    theirs, ours = dict(_leaves(baseline.config or {})), dict(_leaves(variant.config or {}))
    return {
        path: (theirs.get(path, ""), ours.get(path, ""))
        for path in {**theirs, **ours}
        if theirs.get(path) != ours.get(path)
    }


def _leaves(value: Any, path: str = "") -> Iterator[tuple[str, str]]:
    """Every plain value of a config with its dotted path."""
    if isinstance(value, Mapping) and value:
        for key, inner in value.items():
            if path or key not in OF_THE_RUN:
                yield from _leaves(inner, f"{path}.{key}" if path else str(key))
    elif isinstance(value, Sequence) and not isinstance(value, str) and value:
        for i, inner in enumerate(value):
            yield from _leaves(inner, f"{path}[{i}]")
    elif value not in ([], {}):
        yield path, one_line(value)
