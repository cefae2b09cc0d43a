"""Means of what an update reports, over a logging interval, without waiting for the device inside the update."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Mapping

import torch
from stable_baselines3.common.logger import Logger
from torch import Tensor

READ_EVERY = 100
"""Updates between two reads from an accelerator; a diverged loss is noticed at most this many updates late."""


class Diverged(FloatingPointError):
    """A loss became NaN or infinite."""


class IntervalMeans:
    """Collects the 0-dim tensors of every update, reads them in bulk, and averages them until they are logged.

    SB3 logs the losses of the last `train()` call before a log line, one minibatch of many; these are means over all of
    them. Reading also is where a NaN or an infinity is noticed, with the exact update it first appeared in.
    """

    def __init__(self) -> None:
        self._updates = 0
        self._unread: list[Mapping[str, Tensor]] = []
        self._sums: dict[str, float] = defaultdict(float)
        self._counts: dict[str, int] = defaultdict(int)

    def add(self, metrics: Mapping[str, Tensor]) -> None:
        """Keep one update's metrics, detached and still on their device. No synchronization."""
        self._unread.append(metrics)

    def read(self, timestep: int, at_least: int = 1) -> None:
        """Move what was collected to the host, if it is `at_least` that many updates.

        Raises:
            Diverged: names the first metric that is not finite, its update, and the environment step of this call.
        """
        if len(self._unread) < at_least:
            return
        unread, self._unread = self._unread, []
        values = iter(torch.stack([value.reshape(()) for metrics in unread for value in metrics.values()]).tolist())
        for metrics in unread:
            self._updates += 1
            for name in metrics:
                value = next(values)
                if not math.isfinite(value):
                    when = f"gradient step {self._updates}, environment step {timestep}"
                    raise Diverged(f"{name} is {value} at {when}: the run diverged")
                self._sums[name] += value
                self._counts[name] += 1

    def record(self, logger: Logger) -> None:
        """Hand the means to SB3's logger and start a new interval."""
        for name, total in self._sums.items():
            logger.record(name, total / self._counts[name])
        self._sums.clear()
        self._counts.clear()
