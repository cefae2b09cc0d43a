"""What a study file may not say although every value in it is of the right form."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from itertools import combinations
from typing import Any

from smoothrl.config.errors import Keys, Problem, dotted
from smoothrl.config.loader import parts
from smoothrl.registry import did_you_mean
from smoothrl.studies.grid import points
from smoothrl.studies.schema import StudyKeys

MAX_NAME = 100
"""Characters of a folder's name, as `FolderName` has it."""

OWNED: dict[Keys, str] = {
    ("study",): "is the name of the whole study: set it beside `variants`",
    ("variant",): "is the name that a variant stands under",
    ("seed",): "belongs to the study: `seeds` are the same for every variant, so that runs can be paired",
    ("env", "id"): "belongs to the study: list it under `tasks`",
    **{(key,): "holds for the whole study: set it beside `variants`" for key in StudyKeys.model_fields},
}
"""What the study says of a run, so that no part of it may."""


def rules(keys: StudyKeys) -> Iterator[Problem]:
    """Every mistake in the study keys that their form does not show."""
    yield from _variants(keys)
    yield from _tasks(keys)
    if not keys.seed_list:
        yield Problem(("seeds",), "must name at least one")
    yield from _repeated(("seeds",), keys.seed_list)
    yield from _grid(keys)


def names(keys: StudyKeys) -> Iterator[Problem]:
    """Every mistake in the names that the grid makes, of keys that keep all other rules."""
    made: set[str] = set()
    for point in points(keys):
        where: Keys = ("grid",) if point.settings else ("variants", point.variant)
        if point.name in made:
            yield Problem(where, f"gives two variants the name `{point.name}`: rename one, or write the values apart")
        elif len(point.name) > MAX_NAME:
            yield Problem(where, f"makes a name of more than {MAX_NAME} characters, `{point.name}`: shorten the values")
        made.add(point.name)


def _variants(keys: StudyKeys) -> Iterator[Problem]:
    if not keys.variants:
        yield Problem(("variants",), "must name at least one; `plain: {}` changes nothing")
    for name, overrides in keys.variants.items():
        if "seed" in name.lower():
            rule = "a variant's name says nothing of seeds: it is compared over all of them, which `seeds` lists"
            yield Problem(("variants", name), rule)
        yield from _owned(("variants", name), overrides)


def _tasks(keys: StudyKeys) -> Iterator[Problem]:
    if keys.tasks is not None and not keys.tasks:
        yield Problem(("tasks",), "must name at least one, or be left out for the config's own `env.id`")
    if isinstance(keys.tasks, dict):
        for task, overrides in keys.tasks.items():
            yield from _owned(("tasks", task), overrides)
    else:
        yield from _repeated(("tasks",), keys.tasks or ())


def _grid(keys: StudyKeys) -> Iterator[Problem]:
    for path, (values, variants) in keys.axes.items():
        place: Keys = ("grid", path)
        inner: Keys = place if isinstance(keys.grid[path], tuple) else (*place, "values")
        if not parts(path):
            yield Problem(place, "must be a dotted path such as agent.gamma or critic_regularizers[0].coef")
            continue
        if not values:
            yield Problem(inner, "must list at least one value")
        yield from _repeated(inner, values)
        for rule in {p.rule: None for value in values for p in _owned((), _nested(parts(path), value))}:
            yield Problem(place, rule)
        if not variants and keys.variants:
            yield Problem((*place, "variants"), "must name at least one, or be left out for all")
        for i, name in enumerate(variants):
            if name not in keys.variants:
                rule = f"no such variant{did_you_mean(name, keys.variants)}"
                yield Problem((*place, "variants", i), rule, value=name)
    for one, other in combinations(keys.grid, 2):
        shorter, longer = sorted((parts(one), parts(other)), key=len)
        if shorter and longer[: len(shorter)] == shorter and set(keys.axes[one][1]) & set(keys.axes[other][1]):
            yield Problem(("grid", other), f"sets what `{one}` sets too: one of them would have no effect")


def _owned(place: Keys, overrides: dict[str, Any]) -> Iterator[Problem]:
    for owned, rule in OWNED.items():
        value: Any = overrides
        for key in owned:
            value = value.get(key, _NOTHING) if isinstance(value, dict) else _NOTHING
        if value is not _NOTHING:
            yield Problem((*place, *owned), rule, value=value)


def _repeated(place: Keys, values: Sequence[Any]) -> Iterator[Problem]:
    seen: dict[str, int] = {}
    for i, value in enumerate(values):
        first = seen.setdefault(json.dumps(value), i)
        if first != i:
            yield Problem((*place, i), f"is {dotted((*place, first))} once more", value=value)


def _nested(path: list[str], value: Any) -> dict[str, Any]:
    for key in reversed(path):
        value = {key: value}
    return value


_NOTHING = object()
