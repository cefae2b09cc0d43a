"""A run config put together from the parts of a study file, which knows of each value the part that it came from."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from typing import Any

from smoothrl.config.errors import ConfigError, Keys
from smoothrl.config.loader import merged, put
from smoothrl.config.reader import holds


@dataclass(frozen=True)
class Layers:
    """Data, and where it stands in the study file: there `variants.td3.agent.gamma`, in the run `agent.gamma`."""

    data: dict[str, Any]
    _homes: dict[Keys, Keys] = field(default_factory=dict)
    """The place in the study file of a value that a layer brought; what has none stands where its parent does."""

    def over(self, data: dict[str, Any], home: Keys) -> Layers:
        """With a part of the study file merged over it."""
        brought = {keys: (*home, *keys) for keys in _brought(self.data, data)}
        return Layers(merged(self.data, data), self._homes | brought)

    def put(self, path: list[str], value: Any, axis: Keys, home: Keys) -> Layers:
        """With one value set.

        Args:
            path: where, in the run config.
            value: what.
            axis: where the study file names the path.
            home: where the study file names the value.

        Raises:
            ConfigError: the path leads through something that is neither a mapping nor a list, or past a list's end;
                said of the axis.
        """
        data = copy.deepcopy(self.data)
        try:
            keys = put(data, path, value)
        except ConfigError as error:
            raise ConfigError([replace(problem, keys=axis) for problem in error.problems]) from error
        known, there = self.data, 0
        while there < len(keys) and holds(known, keys[there]):
            known, there = known[keys[there]], there + 1  # type: ignore[index]
        made = {keys[:i]: axis for i in range(there + 1, len(keys))}
        return Layers(data, self._homes | made | {keys: home})

    def home(self, keys: Keys) -> Keys:
        """Where the study file says what the run config says at these keys, or should say it."""
        place: Keys = ()
        for i, key in enumerate(keys, start=1):
            place = self._homes.get(keys[:i], (*place, key))
        return place


def _brought(base: dict[str, Any], over: dict[str, Any]) -> Iterator[Keys]:
    """The keys at which the values of `over` stand in for those of `base`, or beside them."""
    for key, value in over.items():
        if isinstance(value, dict) and isinstance(base.get(key), dict):
            yield from ((key, *inner) for inner in _brought(base[key], value))
        else:
            yield (key,)
