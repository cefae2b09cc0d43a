"""What the driver needs of whatever starts runs: this machine now, a cluster some day."""

from __future__ import annotations

from typing import Protocol

from smoothrl.config import RunConfig
from smoothrl.studies.attempts import Attempt


class Job(Protocol):
    """One attempt at a run, started."""

    def poll(self) -> int | None:
        """The exit code, or minus the number of the signal that ended it; None while it lives."""

    def stop(self) -> None:
        """Ask it to save and stop."""

    def kill(self) -> None:
        """End it at once, with all that it started."""


class Engine(Protocol):
    """Starts attempts. It keeps no books: what became of a run stands in its folder."""

    def slots(self, config: RunConfig) -> int:
        """How many runs like this one can be started now."""

    def start(self, attempt: Attempt) -> Job:
        """Start a process for it, or raise OSError."""
