"""Means over a logging interval, read at once on the CPU and many updates at a time elsewhere."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest
import torch
from stable_baselines3.common.logger import Logger

from smoothrl.agents import _metrics
from smoothrl.agents._metrics import Diverged, IntervalMeans


class Elsewhere:
    """A tensor that says it lives on an accelerator."""

    device = SimpleNamespace(type="cuda")

    def __init__(self, value: float) -> None:
        self.value = torch.tensor(value)

    def detach(self) -> torch.Tensor:
        return self.value


@pytest.fixture(params=[torch.tensor, Elsewhere], ids=["cpu", "accelerator"])
def tensor(request: pytest.FixtureRequest) -> Any:
    return request.param


def test_what_is_logged_is_the_mean_over_the_interval(tensor: Any) -> None:
    means, logger = IntervalMeans(), Logger(None, [])
    for i in range(250):
        means.add(i, {"a": tensor(float(i)), "b": tensor(2.0)} if i % 2 else {"a": tensor(float(i))})
    means.record(logger)
    assert logger.name_to_value == {"a": pytest.approx(124.5), "b": pytest.approx(2.0)}
    means.add(250, {"a": tensor(7.0)})
    means.record(logger)
    assert logger.name_to_value["a"] == 7.0


@pytest.mark.parametrize("bad", [float("nan"), float("inf"), float("-inf")])
def test_divergence_names_tensor_and_steps(tensor: Any, bad: float) -> None:
    means = IntervalMeans()

    def updates() -> None:
        for i in range(_metrics.READ_EVERY + 1):
            means.add(100 + i, {"other": tensor(1.0), "train/loss": tensor(bad if i == 7 else 0.5)})

    with pytest.raises(Diverged, match=rf"train/loss is {bad} at gradient step 8, environment step 107"):
        updates()


def test_an_accelerator_is_read_rarely() -> None:
    means = IntervalMeans()
    for i in range(_metrics.READ_EVERY - 1):
        means.add(i, {"a": Elsewhere(1.0)})  # type: ignore[dict-item]
    assert not means._sums
    means.add(0, {"a": Elsewhere(1.0)})  # type: ignore[dict-item]
    assert means._counts["a"] == _metrics.READ_EVERY


def test_metrics_keep_no_graph_alive() -> None:
    means = IntervalMeans()
    loss = (torch.ones(3, requires_grad=True) * 2).sum()
    means.add(0, {"loss": loss})
    assert means._sums == {"loss": 6.0}
