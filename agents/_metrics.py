"""Means of what an update reports, over a logging interval, without waiting for the device inside the update."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Mapping
from itertools import islice

import torch
from stable_baselines3.common.logger import Logger
from torch import Tensor

READ_EVERY = 100
"""Updates between two reads from an accelerator; a diverged loss is noticed at most this many updates late."""


class Diverged(FloatingPointError):
    """A loss became NaN or infinite."""


class IntervalMeans:
    """Averages what the updates report until it is logged, waiting for the device as rarely as possible.

    SB3 logs the losses of the last `train()` call before a log line, one minibatch of many; these are means over all of
    them. Reading also is where a NaN or an infinity is noticed, with the exact update it first appeared in.
    """

    def __init__(self) -> None:
        self._updates = 0
        self._unread: list[tuple[int, dict[str, Tensor]]] = []
        self._sums: dict[str, float] = defaultdict(float)
        self._counts: dict[str, int] = defaultdict(int)

    def add(self, timestep: int, metrics: Mapping[str, Tensor]) -> None:
        """Take one update's metrics, tensors of one element each. To be called after the update.

        On the CPU they are read at once, which costs nothing; elsewhere many updates at a time.

        Raises:
            Diverged: a metric is not finite.
        """
        if next(iter(metrics.values())).device.type == "cpu":
            self._average(timestep, metrics, [value.item() for value in metrics.values()])
            return
        self._unread.append((timestep, {name: value.detach().reshape(1) for name, value in metrics.items()}))
        if len(self._unread) >= READ_EVERY:
            self.read()

    def read(self) -> None:
        """Move what is still on the device to the host, in one transfer.

        Raises:
            Diverged: a metric is not finite.
        """
        unread, self._unread = self._unread, []
        if unread:
            values = iter(torch.cat([value for _, metrics in unread for value in metrics.values()]).tolist())
            for timestep, metrics in unread:
                self._average(timestep, metrics, list(islice(values, len(metrics))))

    def _average(self, timestep: int, metrics: Mapping[str, Tensor], values: list[float]) -> None:
        self._updates += 1
        for name, value in zip(metrics, values, strict=True):
            if not math.isfinite(value):
                when = f"gradient step {self._updates}, environment step {timestep}"
                raise Diverged(f"{name} is {value} at {when}: the run diverged")
            self._sums[name] += value
            self._counts[name] += 1

    def record(self, logger: Logger) -> None:
        """Hand the means to SB3's logger and start a new interval."""
        self.read()
        for name, total in self._sums.items():
            logger.record(name, total / self._counts[name])
        self._sums.clear()
        self._counts.clear()
