"""What a suite is: a family of tasks and the packages it needs."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
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
    bounds: tuple[float, float] | None = None
    """Returns that scores are normalized by, if there are any: see `Suite.bounds`."""

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
    bounds: Mapping[str, tuple[float, float]] = field(default_factory=dict)
    """Task -> what counts as 0 and as 1 when returns of several tasks are put together: the mean return of uniformly
    random actions (`python benchmarks/random_returns.py`), and gymnasium's `reward_threshold` of the task, where it
    has one. Scores may lie outside."""

    def tasks(self) -> Iterator[Task]:
        """Its tasks; looks for the modules without importing them."""
        installed = all(find_spec(module) for module in self.modules)
        return (Task(env_id, self.name, self.extra, installed, self.bounds.get(env_id)) for env_id in self.ids)
