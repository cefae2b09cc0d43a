"""What is wrong with a config, said so that it can be repaired."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

Keys = tuple[str | int, ...]
"""Where a value stands in a config: the keys and list indices that lead to it."""

_NO_VALUE = object()


def dotted(keys: Keys) -> str:
    """`critic_regularizers[0].coef` of ("critic_regularizers", 0, "coef")."""
    return "".join(f"[{key}]" if isinstance(key, int) else f".{key}" for key in keys).removeprefix(".")


@dataclass(frozen=True)
class Problem:
    """One mistake: which rule is broken, by which value, and where it was written."""

    keys: Keys
    rule: str
    where: str = ""
    """`file:line` or the override, as far as it is known."""
    value: Any = _NO_VALUE
    """The offending value; left out where there is none, as for a missing key."""

    @property
    def path(self) -> str:
        """The keys as one dotted path."""
        return dotted(self.keys)

    def __str__(self) -> str:
        got = "" if self.value is _NO_VALUE else f" (got {_shortened(self.value)})"
        return ": ".join(part for part in (self.where, self.path, self.rule) if part) + got


class ConfigError(ValueError):
    """Everything wrong with one config, at once."""

    def __init__(self, problems: Sequence[Problem]) -> None:
        self.problems = list(problems)
        super().__init__("\n".join(map(str, self.problems)))


def _shortened(value: Any) -> str:
    text = json.dumps(value, ensure_ascii=False, default=str)
    return text if len(text) <= 80 else text[:77] + "..."
