from __future__ import annotations

from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import pytest

from smoothrl.config import RunConfig
from smoothrl.training.loop import Every, RunCallback
from smoothrl.training.progress import ProgressReport
from smoothrl.training.signals import StopSignals

Make = Callable[..., RunConfig]


class Model:
    """What the callback needs of an agent, noting when it is asked to log."""

    def __init__(self) -> None:
        self.num_timesteps = 0
        self.ep_info_buffer = [{"r": -5.0}]
        self.logged: list[int] = []

    def dump_logs(self) -> None:
        self.logged.append(self.num_timesteps)


class Evaluations:
    """An evaluator that notes when it is called."""

    latest = SimpleNamespace(mean_return=-3.0)

    def __init__(self, model: Model) -> None:
        self.model = model
        self.at: list[int] = []

    def __call__(self) -> None:
        self.at.append(self.model.num_timesteps)


def run(config: RunConfig, n_envs: int, overshoot: int = 0) -> tuple[list[int], list[int]]:
    """Steps at which the callback logs and evaluates."""
    model: Any = Model()
    evaluator: Any = Evaluations(model)
    callback = RunCallback(config, StopSignals(), ProgressReport(config.total_timesteps, plain=True), evaluator)
    callback.init_callback(model)
    while model.num_timesteps < config.total_timesteps + overshoot:
        model.num_timesteps += n_envs
        assert callback.on_step()
    return model.logged, evaluator.at


@pytest.mark.parametrize("overshoot", [0, 64])
def test_acts_at_every_multiple_but_the_last_step(make_config: Make, overshoot: int) -> None:
    logged, evaluated = run(make_config(), n_envs=1, overshoot=overshoot)
    assert logged == [50, 100, 150]
    assert evaluated == [100]


def test_many_envs_act_at_the_first_step_past_a_multiple_and_do_not_drift(make_config: Make) -> None:
    logged, evaluated = run(make_config(), n_envs=7)
    assert logged == [56, 105, 154]
    assert evaluated == [105]


def test_a_step_over_several_multiples_acts_once() -> None:
    every = Every(10, lambda: None)
    every.schedule(35)
    assert every.due == 40


def test_a_signal_stops_the_training(make_config: Make) -> None:
    stop = StopSignals()
    config = make_config()
    model: Any = Model()
    callback = RunCallback(config, stop, ProgressReport(200, plain=True), None)
    callback.init_callback(model)
    assert callback.on_step()
    stop.received = 15  # type: ignore[assignment]
    assert not callback.on_step()


def test_progress_is_shown_when_due_and_at_the_end(make_config: Make, capsys: pytest.CaptureFixture[str]) -> None:
    model: Any = Model()
    evaluator: Any = Evaluations(model)
    progress = ProgressReport(200, plain=True)
    callback = RunCallback(make_config(), StopSignals(), progress, evaluator)
    callback.init_callback(model)
    model.num_timesteps = 10
    callback.on_step()
    assert capsys.readouterr().err == ""
    progress.due = 0
    callback.on_step()
    assert "10/200  " in capsys.readouterr().err
    model.num_timesteps = callback.num_timesteps = 200
    callback.on_training_end()
    last = capsys.readouterr().err
    assert "200/200  " in last
    assert "return -5.0" in last
    assert "eval -3.0" in last
