"""Drift and the implicit regularizer on quadratics, where gradient descent and its flow have closed forms."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from smoothrl.diagnostics import Drift


class Quadratic:
    """1/2 theta^T A theta, the parameters in two tensors."""

    def __init__(self, rate: float, at_minimum: bool = False) -> None:
        rng = np.random.default_rng(0)
        a = rng.normal(size=(6, 6))
        self.matrix = a + a.T
        self.theta = np.zeros(6) if at_minimum else rng.normal(size=6)
        self.critic_parameters = [nn.Parameter(torch.tensor(x)) for x in (self.theta[:4].reshape(2, 2), self.theta[4:])]
        self.critic_learning_rate = rate

    def critic_loss(self) -> Tensor:
        x = torch.cat([p.flatten() for p in self.critic_parameters])
        return 0.5 * x @ torch.tensor(self.matrix) @ x


def measure(quadratic: Any) -> dict[str, float]:
    return {tag: value.item() for tag, value in Drift().measure(quadratic).items()}


def test_all_values_in_closed_form() -> None:
    quadratic = Quadratic(rate=0.03)
    g = quadratic.matrix @ quadratic.theta
    ratio = np.linalg.norm(quadratic.matrix @ g) / np.linalg.norm(g)
    assert measure(quadratic) == pytest.approx(
        {
            "drift/relative": 0.03 * ratio,
            "drift/hessian_gradient_ratio": ratio,
            "drift/igr_penalty": 0.03 / 4 * g @ g,
            "drift/igr_value": g @ g / 6,
            "drift/igr_rate": 0.03 * 6 / 4,
        },
        rel=1e-10,
    )


@pytest.mark.parametrize("rate", [4e-3, 2e-3, 1e-3])
def test_half_the_relative_drift_is_the_distance_to_the_flow(rate: float) -> None:
    """||theta_GD(h) - theta_flow(h)|| / (h ||g||) against 1/2 h ||Hg|| / ||g||; the flow is a matrix exponential."""
    quadratic = Quadratic(rate)
    values, vectors = np.linalg.eigh(quadratic.matrix)
    flow = vectors @ (np.exp(-rate * values) * (vectors.T @ quadratic.theta))
    g = quadratic.matrix @ quadratic.theta
    distance = np.linalg.norm(quadratic.theta - rate * g - flow) / (rate * np.linalg.norm(g))
    assert measure(quadratic)["drift/relative"] / 2 == pytest.approx(distance, rel=5 * rate)


@pytest.mark.parametrize("rate", [4e-3, 1e-3])
def test_gradient_descent_follows_the_flow_with_the_penalty(rate: float) -> None:
    """Field of E + igr_penalty on a quadratic: -(A + h/2 A^2) theta. The distance over one step falls from O(h^2) to
    O(h^3); a penalty with another factor than 1/4 would not do that."""
    quadratic = Quadratic(rate)
    values, vectors = np.linalg.eigh(quadratic.matrix)
    step = quadratic.theta - rate * quadratic.matrix @ quadratic.theta
    penalty = measure(quadratic)["drift/igr_penalty"] / (
        quadratic.theta @ quadratic.matrix @ quadratic.matrix @ quadratic.theta
    )
    modified = values + 2 * penalty * values**2
    flow = vectors @ (np.exp(-rate * modified) * (vectors.T @ quadratic.theta))
    assert np.linalg.norm(step - flow) < np.abs(rate * values).max() ** 3 * np.linalg.norm(quadratic.theta)


def test_at_a_stationary_point_the_ratios_are_zero() -> None:
    found = measure(Quadratic(rate=0.1, at_minimum=True))
    assert found["drift/relative"] == found["drift/hessian_gradient_ratio"] == found["drift/igr_penalty"] == 0
    assert found["drift/igr_rate"] == pytest.approx(0.15)


def test_ratio_of_a_critic_is_the_difference_of_its_gradients(build: Any) -> None:
    """Hg as a central difference of the gradient along g: no second derivative of torch's."""
    probe = build()

    def gradient() -> list[Tensor]:
        return list(torch.autograd.grad(probe.critic_loss(), probe.critic_parameters))

    g, e = gradient(), 1e-5
    ends = []
    for sign in (1, -2):
        for p, x in zip(probe.critic_parameters, g, strict=True):
            p.data += sign * e * x
        ends.append(torch.cat([x.flatten() for x in gradient()]))
    for p, x in zip(probe.critic_parameters, g, strict=True):
        p.data += e * x
    hg = (ends[0] - ends[1]) / (2 * e)
    ratio = hg.norm() / torch.cat([x.flatten() for x in g]).norm()
    assert measure(probe)["drift/hessian_gradient_ratio"] == pytest.approx(ratio.item(), rel=1e-6)
