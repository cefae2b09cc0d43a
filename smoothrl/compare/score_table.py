"""The scores of all runs, looked up by variant and task."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from smoothrl.compare.result import Normalization
from smoothrl.compare.runs import Floats


@dataclass(frozen=True, eq=False)
class ScoreTable:
    """The scores of one metric, one per run that entered."""

    raw: Mapping[str, Mapping[str, Mapping[str, float]]]
    """Task -> variant -> seed -> score, in the unit of the return."""
    bounds: Mapping[str, Normalization]
    """Task -> what counts as 0 and 1."""

    def samples(self, variant: str, scope: str | None, normalized: bool = False) -> list[Floats]:
        """The scores of a variant, one array per task, in the order of seeds; empty if a task has none, or no bounds.

        Args:
            variant: its name.
            scope: one task; None for all, which are normalized always.
            normalized: whether a single task is normalized too.
        """
        found = [self._of_task(variant, task, normalized or scope is None) for task in self._tasks(scope)]
        return found if all(runs.size and np.isfinite(runs).all() for runs in found) else []

    def seeds_match(self, first: str, second: str, scope: str | None) -> bool:
        """Whether two variants have the same seeds on every task: then their runs are pairs."""
        return all(
            self.raw[task].get(first, {}).keys() == self.raw[task].get(second, {}).keys() for task in self._tasks(scope)
        )

    def _tasks(self, scope: str | None) -> Sequence[str]:
        return list(self.raw) if scope is None else [scope]

    def _of_task(self, variant: str, task: str, normalized: bool) -> Floats:
        by_seed = self.raw[task].get(variant, {})
        values = np.array([by_seed[seed] for seed in sorted(by_seed)])
        bounds = self.bounds[task]
        return (values - bounds.low) / (bounds.high - bounds.low) if normalized else values
