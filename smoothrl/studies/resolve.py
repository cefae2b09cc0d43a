"""From the parts of a study file to the config of each of its runs, checked, and every mistake said of its part."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from functools import cache, partial
from typing import Any

from smoothrl import suites
from smoothrl.config import ConfigError, Problem, RunConfig, json_schema
from smoothrl.config.explain import valid_paths
from smoothrl.config.loader import parts, validated
from smoothrl.config.reader import Document
from smoothrl.registry import did_you_mean
from smoothrl.studies.grid import Point, points
from smoothrl.studies.layers import Layers
from smoothrl.studies.schema import StudyKeys

Describe = Callable[[str, Mapping[str, Any]], suites.EnvFacts]


def configs_of(shared: dict[str, Any], keys: StudyKeys) -> tuple[list[tuple[RunConfig, Point]], list[Problem]]:
    """The config of every point of the grid on every task, and what is wrong with any, as the study file has it."""
    schema, check = cache(json_schema), partial(suites.check, describe=_remembering(suites.describe))
    configs: list[tuple[RunConfig, Point]] = []
    mistakes: dict[str, tuple[Problem, list[str]]] = {}
    grid = list(points(keys)) or [Point("", "", ())]
    for task in _tasks(shared, keys):
        for point in grid:
            plain = task.over(keys.variants.get(point.variant, {}), ("variants", point.variant))
            try:
                layers = _with_settings(plain, point)
            except ConfigError as error:
                found = error.problems
            else:
                try:
                    config = validated(Document("", layers.data), check, schema)
                    configs.append((config.model_copy(update={"variant": point.name}), point))
                    continue
                except ConfigError as error:
                    found = [_in_the_study(problem, layers, schema) for problem in error.problems]
            for problem in found:
                mistakes.setdefault(str(problem), (problem, []))[1].append(point.variant)
    return configs, [_said_once(problem, variants, keys) for problem, variants in mistakes.values()]


def _remembering(describe: Describe) -> Describe:
    """Builds every env once, which for some takes a good part of a second."""
    known: dict[str, suites.EnvFacts] = {}

    def described(env_id: str, kwargs: Mapping[str, Any]) -> suites.EnvFacts:
        env = json.dumps([env_id, kwargs])
        if env not in known:
            known[env] = describe(env_id, kwargs)
        return known[env]

    return described


def _tasks(shared: dict[str, Any], keys: StudyKeys) -> Iterator[Layers]:
    """What every variant shares, on each task."""
    layers = Layers(shared)
    if not keys.tasks:
        yield layers
    elif isinstance(keys.tasks, dict):
        for task, overrides in keys.tasks.items():
            yield layers.over({"env": {"id": task}}, ("tasks", task)).over(overrides, ("tasks", task))
    else:
        for i, task in enumerate(keys.tasks):
            yield layers.over({"env": {"id": task}}, ("tasks", i))


def _with_settings(layers: Layers, point: Point) -> Layers:
    for setting in point.settings:
        layers = layers.put(parts(setting.path), setting.value, ("grid", setting.path), setting.home)
    return layers


def _in_the_study(problem: Problem, layers: Layers, schema: Callable[[], dict[str, Any]]) -> Problem:
    """A mistake in the config of a run, said of the part of the study file that it comes from."""
    home = layers.home(problem.keys)
    if home[0] == "grid" and problem.rule.startswith("unknown key"):
        path = str(home[1])
        near = did_you_mean(path, set(valid_paths(layers.data, schema())) - {path})
        return Problem(home[:2], f"leads nowhere in a run config{near}")
    if home[0] == "tasks" and problem.keys == ("env", "id"):
        home = home[:2]
    return replace(problem, keys=home)


def _said_once(problem: Problem, variants: list[str], keys: StudyKeys) -> Problem:
    """A mistake that several runs share; in what all variants share, with those that it spoils, if not all."""
    sharing = keys.axes[str(problem.keys[1])][1] if problem.keys[0] == "grid" else keys.variants
    if problem.keys[0] == "variants" or all(name in variants for name in sharing if name in keys.variants):
        return problem
    spoiled = [f"`{name}`" for name in keys.variants if name in variants]
    return replace(
        problem, rule=f"{problem.rule} [{'variant' if len(spoiled) == 1 else 'variants'} {', '.join(spoiled)}]"
    )
