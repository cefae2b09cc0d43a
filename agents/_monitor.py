"""When diagnostics are measured: at their cadence, within a share of the run's time, without touching the run."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING

import numpy as np
import torch

from smoothrl.agents._probe import AgentProbe, Held
from smoothrl.diagnostics import Diagnostic

if TYPE_CHECKING:
    from smoothrl.agents._smooth_agent import SmoothAgent


class Monitor:
    """Measures an agent's diagnostics at its log lines.

    One that is due is put off to a later log line as long as it would bring the time of all diagnostics above its share
    of the time since training began; what it costs is taken from its last measurement.
    """

    def __init__(self, diagnostics: Sequence[Diagnostic], budget: float) -> None:
        # The frequent ones first: they are the cheap ones, and shall not wait for the budget of a dear one.
        self._diagnostics = sorted(diagnostics, key=lambda diagnostic: diagnostic.every)
        self._budget = budget
        self._due = [0] * len(diagnostics)
        self._costs = [0.0] * len(diagnostics)
        self._spent = 0.0
        self._put_off = 0
        self._started: float | None = None
        self._held: Held | None = None

    def start(self) -> None:
        """The clock of the budget: from the first `learn` on."""
        if self._started is None:
            self._started = time.perf_counter()

    @property
    def share(self) -> float:
        """Time of all measurements over the time since training began."""
        return self._spent / self._elapsed() if self._spent else 0.0

    @property
    def waits_for_points(self) -> bool:
        """Whether there is something to measure, and nothing yet to measure it on."""
        return bool(self._diagnostics) and self._held is None

    def record(self, agent: SmoothAgent) -> None:
        """Measure what is due and record it, with the share of time that all measurements took."""
        if not self._diagnostics:
            return
        self.start()
        for i, diagnostic in enumerate(self._diagnostics):
            if agent.num_timesteps < self._due[i]:
                continue
            if self._held is None:
                with _unchanged(agent):
                    self._held = agent._held()
            if self._held is None:
                return
            if self._spent + self._costs[i] >= self._budget * self._elapsed():
                self._put_off += 1
                continue
            begun = time.perf_counter()
            self._measure(agent, diagnostic, self._held)
            self._costs[i] = time.perf_counter() - begun
            self._spent += self._costs[i]
            self._due[i] = (agent.num_timesteps // diagnostic.every + 1) * diagnostic.every
        agent.logger.record("time/diagnostics_share", self.share)
        agent.logger.record("time/diagnostics_put_off", self._put_off)

    def _measure(self, agent: SmoothAgent, diagnostic: Diagnostic, held: Held) -> None:
        with _unchanged(agent):
            values = diagnostic.measure(AgentProbe(agent, held))
        if values:
            numbers = torch.stack([value.detach().double().reshape(()) for value in values.values()]).tolist()
            for tag, number in zip(values, numbers, strict=True):
                agent.logger.record(tag, number)

    def _elapsed(self) -> float:
        assert self._started is not None
        return time.perf_counter() - self._started


@contextmanager
def _unchanged(agent: SmoothAgent) -> Iterator[None]:
    """Random streams and training mode as they were: a run with diagnostics learns what one without them learns."""
    devices = [agent.device] if agent.device.type == "cuda" else []
    numpy_state = np.random.get_state()
    training = agent.policy.training
    with torch.random.fork_rng(devices=devices):
        agent.policy.set_training_mode(False)
        try:
            yield
        finally:
            agent.policy.set_training_mode(training)
            np.random.set_state(numpy_state)
