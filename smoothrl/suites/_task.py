"""What a suite is: a family of tasks and the packages it needs."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from importlib.util import find_spec


@dataclass(frozen=True)
class Task:
    """One environment that smoothrl knows."""

    id: str
    """Its gymnasium id, as in a config's `env.id`."""
    suite: str
    extra: str | None
    """The optional extra of smoothrl that it needs, if any."""
    installed: bool
    """Whether everything it needs is installed."""

    @property
    def install(self) -> str:
        """The command that installs what it needs."""
        return f"pip install 'smoothrl[{self.extra}]'"


@dataclass(frozen=True)
class Suite:
    """A family of tasks."""

    name: str
    ids: tuple[str, ...]
    extra: str | None = None
    modules: tuple[str, ...] = ()
    """The modules that the extra brings and the tasks import."""

    def tasks(self) -> Iterator[Task]:
        """Its tasks; looks for the modules without importing them."""
        installed = all(find_spec(module) for module in self.modules)
        return (Task(env_id, self.name, self.extra, installed) for env_id in self.ids)
