"""What a run does between two environment steps: heed signals, act at intervals, report progress."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass

from stable_baselines3.common.callbacks import BaseCallback

from smoothrl.config import RunConfig
from smoothrl.training.evaluation import Evaluator
from smoothrl.training.progress import ProgressReport
from smoothrl.training.signals import StopSignals


@dataclass
class Every:
    """Something to do whenever the training passes a multiple of `steps`."""

    steps: int
    action: Callable[[], object]
    due: int = 0

    def schedule(self, timestep: int) -> None:
        """The next multiple after this step, so that curves of different agents share their steps."""
        self.due = (timestep // self.steps + 1) * self.steps


class RunCallback(BaseCallback):
    """Stop, log, evaluate and report, in one SB3 callback: a list of four costs several microseconds at every step.

    Nothing is done at the run's last step: its last update is still to come, so the run acts once more after it.
    """

    def __init__(
        self, config: RunConfig, stop: StopSignals, progress: ProgressReport, evaluator: Evaluator | None
    ) -> None:
        super().__init__()
        self._config = config
        self._stop = stop
        self._progress = progress
        self._evaluator = evaluator

    def _init_callback(self) -> None:
        self._periodic = [Every(self._config.logging.every, self.model.dump_logs)]
        if self._evaluator is not None:
            self._periodic.append(Every(self._config.evaluation.every, self._evaluator))
        self._schedule()

    def _on_step(self) -> bool:
        if self._due <= self.num_timesteps < self._config.total_timesteps:
            for every in self._periodic:
                if every.due <= self.num_timesteps:
                    every.action()
            self._schedule()
        if time.perf_counter() >= self._progress.due:
            self._report()
        return self._stop.received is None

    def _on_training_end(self) -> None:
        self._report()

    def _report(self) -> None:
        episodes = self.model.ep_info_buffer
        evaluation = self._evaluator.latest if self._evaluator else None
        self._progress.show(
            self.num_timesteps,
            last_return=episodes[-1]["r"] if episodes else None,
            evaluation=evaluation.mean_return if evaluation else None,
        )

    def _schedule(self) -> None:
        for every in self._periodic:
            every.schedule(self.num_timesteps)
        self._due = min(every.due for every in self._periodic)
