"""The keys that make a study of a run config."""

from __future__ import annotations

import json
from functools import cache
from typing import Annotated, Any

from pydantic import Field, JsonValue, Tag, ValidationError

from smoothrl.config.errors import Problem
from smoothrl.config.explain import explain
from smoothrl.config.section import BY_SHAPE, FolderName, Positive, Section, Seed

Overrides = dict[str, JsonValue]
"""A part of a run config, merged over what is shared."""


class Axis(Section):
    """The values of one setting for some of the variants."""

    values: tuple[JsonValue, ...]
    variants: tuple[str, ...] | None = None


AnyTasks = Annotated[
    Annotated[tuple[str, ...], Tag("list")] | Annotated[dict[str, Overrides], Tag("mapping")], BY_SHAPE
]
Few = Annotated[int, Field(ge=1, le=1000)]
"""More is a seed that was meant: `seeds=[12345]`."""
AnySeeds = Annotated[Annotated[Few, Tag("number")] | Annotated[tuple[Seed, ...], Tag("list")], BY_SHAPE]
AnyAxis = Annotated[Annotated[tuple[JsonValue, ...], Tag("list")] | Annotated[Axis, Tag("mapping")], BY_SHAPE]


class StudyKeys(Section):
    """What a study file says beside the run config that all its runs share."""

    variants: dict[FolderName, Overrides]
    """Name -> what it changes; `{}` changes nothing."""
    tasks: AnyTasks | None = None
    """Gymnasium ids, or id -> what that task changes; the config's own `env.id` when left out."""
    seeds: AnySeeds
    """How many, from 0, or which; the same for every variant, so that runs of one seed can be paired."""
    grid: dict[str, AnyAxis] = Field(default={})
    """Dotted path -> values, for every variant; or -> {values, variants}, for those named."""
    retries: Annotated[int, Field(ge=0)] = 3
    """How often a run is started again whose process died or stalled."""
    stalled_after: Positive = 300.0
    """Seconds without progress after which a run counts as hanging."""
    gpu_share: Annotated[float, Field(gt=0, le=1)] = 1.0
    """Share of a GPU that one run takes."""

    @property
    def seed_list(self) -> tuple[int, ...]:
        return tuple(range(self.seeds)) if isinstance(self.seeds, int) else self.seeds

    @property
    def axes(self) -> dict[str, tuple[tuple[Any, ...], tuple[str, ...]]]:
        """Path -> the values and the variants they are for."""
        return {
            path: (axis.values, tuple(self.variants) if axis.variants is None else axis.variants)
            if isinstance(axis, Axis)
            else (axis, tuple(self.variants))
            for path, axis in self.grid.items()
        }


def read_keys(data: dict[str, Any]) -> tuple[StudyKeys, list[Problem]]:
    """The study keys of a file's data, and all that is wrong with them; then what is left without the mistakes."""
    try:
        return StudyKeys.model_validate_json(json.dumps(data)), []
    except ValidationError as error:
        problems = explain(error, data, _schema)
    return read_keys(_without(data, problems))[0], problems


def _without(data: dict[str, Any], problems: list[Problem]) -> dict[str, Any]:
    """What can be read of the study keys: so that one mistake in them hides none in the runs."""
    left = {key: dict(value) if isinstance(value, dict) else value for key, value in data.items()}
    for field, *inner in (problem.keys for problem in problems):
        name = str(field)
        if inner and isinstance(left.get(name), dict):
            left[name].pop(inner[0], None)
        else:
            left.pop(name, None)
    return {"variants": {}, "seeds": 1} | left


@cache
def _schema() -> dict[str, Any]:
    schema = StudyKeys.model_json_schema(ref_template="#/definitions/{model}")
    return {"definitions": schema.pop("$defs", {}), **schema}
