"""What a config can name, as tables: agents, critic regularizers, tasks."""

from __future__ import annotations

import inspect
from collections.abc import Sequence

from smoothrl import registry, suites
from smoothrl.config.agents import AGENTS


def agents() -> str:
    """The agents by their `kind`."""
    return table([(name, _first_line(section)) for name, section in AGENTS.items()])


def regularizers() -> str:
    """The critic regularizers by their `kind`, those of installed plug-ins included."""
    names = registry.names("critic_regularizer")
    return table([(name, _first_line(registry.load("critic_regularizer", name))) for name in names])


def tasks() -> str:
    """The tasks by their id, with what to install for those that are not."""
    return table([(task.id, task.suite, "installed" if task.installed else task.install) for task in suites.tasks()])


def table(rows: Sequence[Sequence[str]]) -> str:
    """Rows as lines, in columns as wide as they need to be."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return "\n".join("  ".join(map(str.ljust, row, widths)).rstrip() for row in rows)


def _first_line(cls: type) -> str:
    return (inspect.getdoc(cls) or "").partition("\n")[0]
