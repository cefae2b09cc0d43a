"""What a config can name, as tables: agents, critic regularizers, optimizer adaptations, diagnostics, tasks."""

from __future__ import annotations

import inspect
from collections.abc import Sequence

from smoothrl import registry, suites
from smoothrl.config.agents import AGENTS
from smoothrl.config.plugin_agents import kinds


def agents() -> str:
    """The agents by their `kind`, those of installed plug-ins included."""
    return table([(kind, _first_line(AGENTS.get(kind) or registry.load("agent", kind))) for kind in kinds()])


def regularizers() -> str:
    """The critic regularizers by their `kind`, those of installed plug-ins included."""
    return _behind("critic_regularizer")


def adaptations() -> str:
    """The optimizer adaptations by their `kind`, those of installed plug-ins included."""
    return _behind("optimizer_adaptation")


def diagnostics() -> str:
    """The diagnostics by their `kind`, those of installed plug-ins included."""
    return _behind("diagnostic")


def tasks() -> str:
    """The tasks by their id, with what to install for those that are not."""
    return table([(task.id, task.suite, "installed" if task.installed else task.install) for task in suites.tasks()])


def table(rows: Sequence[Sequence[str]]) -> str:
    """Rows as lines, in columns as wide as they need to be."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return "\n".join("  ".join(map(str.ljust, row, widths)).rstrip() for row in rows)


def _behind(door: registry.Door) -> str:
    return table([(name, _first_line(registry.load(door, name))) for name in registry.names(door)])


def _first_line(cls: type) -> str:
    return (inspect.getdoc(cls) or "").partition("\n")[0]
