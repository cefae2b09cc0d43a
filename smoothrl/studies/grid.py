"""The grid of a study: every variant with every combination of values that the file names for it, each with a name."""

from __future__ import annotations

import itertools
import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from smoothrl.config.errors import Keys
from smoothrl.config.loader import parts
from smoothrl.studies.schema import StudyKeys


@dataclass(frozen=True)
class Setting:
    """One value of one axis."""

    path: str
    """Where it goes in the run config."""
    value: Any
    home: Keys
    """Where the study file says it."""


@dataclass(frozen=True)
class Point:
    """A variant with one value of each of its axes."""

    variant: str
    name: str
    """The variant's folder: `plain_learning_rate-0.001`."""
    settings: tuple[Setting, ...]


def points(keys: StudyKeys) -> Iterator[Point]:
    """Every variant of the study, in the order of the file."""
    for variant in keys.variants:
        axes = [_settings(keys, path) for path, (_, variants) in keys.axes.items() if variant in variants]
        labels = _labels([settings[0].path for settings in axes if settings])
        for settings in itertools.product(*axes):
            names = [f"{labels[setting.path]}-{in_a_name(setting.value)}" for setting in settings]
            yield Point(variant, "_".join([variant, *names]), settings)


def in_a_name(value: Any) -> str:
    """A value as a folder's name can hold it: `0.001`, `true`, `relu`, `-2_-1` of [-2, -1]."""
    text = value if isinstance(value, str) else json.dumps(value)
    return re.sub(r"\.{2,}|[^A-Za-z0-9._-]+", "_", text).strip("_")


def _settings(keys: StudyKeys, path: str) -> list[Setting]:
    inner: Keys = () if isinstance(keys.grid[path], tuple) else ("values",)
    return [Setting(path, value, ("grid", path, *inner, i)) for i, value in enumerate(keys.axes[path][0])]


def _labels(paths: list[str]) -> Mapping[str, str]:
    """Path -> its last part, or all of it where the last part is an index or another path's too."""
    last = [parts(path)[-1] for path in paths]
    return {
        path: ".".join(parts(path)) if name.isdecimal() or last.count(name) > 1 else name
        for path, name in zip(paths, last, strict=True)
    }
