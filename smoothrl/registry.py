"""Names to classes: how a config finds the piece it names, without importing the pieces it does not.

A *door* is a kind of thing users add: an agent, a critic regularizer, an optimizer adaptation, a diagnostic. Every door
has a package of ours, whose public modules are its built-in names (`smoothrl/critics/spectral_norm.py` is
`spectral_norm`), and an entry-point group, through which any installed package adds more. Listing names imports
nothing; `load` imports the one module it needs.
Data never names code: a name that is neither a file of ours nor a registered entry point is an error.
"""

from __future__ import annotations

import difflib
import importlib
import importlib.util
import pkgutil
from collections.abc import Callable, Iterable
from functools import cache
from importlib.metadata import EntryPoint, entry_points
from typing import Literal, TypeVar

Door = Literal["agent", "critic_regularizer", "optimizer_adaptation", "diagnostic"]

_PACKAGES: dict[Door, str] = {
    "agent": "smoothrl.agents",
    "critic_regularizer": "smoothrl.critics",
    "optimizer_adaptation": "smoothrl.optim",
    "diagnostic": "smoothrl.diagnostics",
}
_GROUPS: dict[Door, str] = {
    "agent": "smoothrl.agents",
    "critic_regularizer": "smoothrl.critic_regularizers",
    "optimizer_adaptation": "smoothrl.optimizer_adaptations",
    "diagnostic": "smoothrl.diagnostics",
}
_classes: dict[Door, dict[str, type]] = {door: {} for door in _PACKAGES}

C = TypeVar("C", bound=type)


class UnknownName(ValueError):
    """A name that no module of ours and no installed package registers."""


def register(door: Door, name: str) -> Callable[[C], C]:
    """Class decorator: make the class known under `name`, the name configs use."""

    def add(cls: C) -> C:
        known = _classes[door].get(name)
        if known is not None and (known.__module__, known.__qualname__) != (cls.__module__, cls.__qualname__):
            raise ValueError(f"{door} `{name}` is already registered by {known.__module__}.{known.__qualname__}")
        _classes[door][name] = cls
        return cls

    return add


def names(door: Door) -> list[str]:
    """Every name behind a door, sorted, without importing what they name."""
    return sorted({*builtin(door), *_plugins(door), *_classes[door]})


def builtin(door: Door) -> list[str]:
    """The names that are modules of ours, sorted, without importing them or their package."""
    package = importlib.util.find_spec(_PACKAGES[door])
    assert package is not None
    modules = pkgutil.iter_modules(package.submodule_search_locations)
    return sorted(module.name for module in modules if not module.name.startswith("_"))


def load(door: Door, name: str) -> type:
    """The class registered as `name`; imports its module.

    Raises:
        UnknownName: nothing has this name; the message holds the nearest valid one.
    """
    if name not in _classes[door]:
        if name in builtin(door):
            importlib.import_module(f"{_PACKAGES[door]}.{name}")
        elif name in (plugins := _plugins(door)):
            _classes[door][name] = plugins[name].load()
        else:
            kind = door.replace("_", " ")
            raise UnknownName(f"unknown {kind} `{name}`{did_you_mean(name, names(door))}")
    return _classes[door][name]


def did_you_mean(name: str, valid: Iterable[str]) -> str:
    """The tail of an error message: the nearest valid name, if one is near, and all of them if they are few."""
    options = sorted(valid)
    near = difflib.get_close_matches(name, options, n=1, cutoff=0.6)
    hint = f", did you mean `{near[0]}`?" if near else "."
    return f"{hint} Valid names: {', '.join(options)}" if 0 < len(options) <= 12 else hint


@cache
def _plugins(door: Door) -> dict[str, EntryPoint]:
    """Read once: what is installed stays so while a process lives, and reading takes milliseconds."""
    return {point.name: point for point in entry_points(group=_GROUPS[door])}
