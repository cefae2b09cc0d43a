"""What a comparison reads: runs and their curves."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class Curve:
    """All points of one tag of one run, one point per step, in the order of steps."""

    steps: Ints
    """(points,) environment steps, strictly increasing."""
    values: Floats
    """(points,); may hold NaN or infinity, as the run wrote them."""


@dataclass(frozen=True, eq=False)
class Run:
    """One run: one variant on one task with one seed."""

    folder: Path
    task: str
    variant: str
    seed: str
    """As the folder or the record says it; a number in every layout we know."""
    curves: Mapping[str, Curve]
    """Tag -> points."""
    status: str = "unknown"
    """A run of ours: queued, running, finished, diverged, interrupted, changed or failed. Foreign runs do not say."""
    reason: str | None = None
    """Why, in words, where the status alone does not say."""
    config: Mapping[str, Any] | None = None
    """The resolved config of a run of ours; the hyper-parameters of a foreign one where it wrote them in plain text."""
    record: Mapping[str, Any] | None = None
    """`run.json` of a run of ours."""
    group: str | None = None
    """In a study with a grid: the variant that this one is a grid point of."""
    settings: Mapping[str, Any] = field(default_factory=dict)
    """In a study with a grid: dotted path -> value at this grid point."""
    notices: tuple[str, ...] = ()
    """What was odd in its files, in words: a torn last record, a bad checksum, points that a resumed run purged."""

    @property
    def name(self) -> str:
        """`Pendulum-v1/spectral/seed-0`."""
        return f"{self.task}/{self.variant}/seed-{self.seed}"


class CompareError(Exception):
    """A comparison that is refused, with the reason and the ways out; the command line prints it and exits with 2."""


class NothingYet(CompareError):
    """Runs that have been asked for, but nothing of theirs that could be compared: a watcher waits."""
