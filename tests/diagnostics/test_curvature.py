"""Largest eigenvalues against NumPy's decomposition of a dense Hessian, and the optimizers' own steps."""

from __future__ import annotations

from functools import partial
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from smoothrl.diagnostics import Curvature
from smoothrl.diagnostics._preconditioner import preconditioner

ADAPTIVE: dict[str, Any] = {
    "adam": partial(torch.optim.Adam, eps=1e-4),
    "adam, amsgrad": partial(torch.optim.Adam, eps=1e-4, amsgrad=True),
    "adamw": partial(torch.optim.AdamW, weight_decay=0.0),
    "nadam": torch.optim.NAdam,
    "radam": partial(torch.optim.RAdam, betas=(0.9, 0.99)),
    "rmsprop": partial(torch.optim.RMSprop, eps=1e-2),
    "rmsprop, centered": partial(torch.optim.RMSprop, centered=True),
}


def dense_hessian(probe: Any) -> np.ndarray:
    """By central differences of the gradient: no second derivative of torch's is trusted."""
    parameters = probe.critic_parameters

    def gradient() -> np.ndarray:
        found = torch.autograd.grad(probe.critic_loss(), parameters)
        return torch.cat([g.flatten() for g in found]).numpy().copy()

    columns = []
    for p in parameters:
        flat = p.data.view(-1)
        for i in range(p.numel()):
            old, e = flat[i].item(), 1e-5
            flat[i] = old + e
            ahead = gradient()
            flat[i] = old - e
            behind = gradient()
            flat[i] = old
            columns.append((ahead - behind) / (2 * e))
    hessian = np.array(columns)
    return (hessian + hessian.T) / 2


def train(probe: Any, optimizer: torch.optim.Optimizer, steps: int) -> None:
    probe.critic_optimizer = optimizer
    for _ in range(steps):
        optimizer.zero_grad()
        probe.critic_loss().backward()
        optimizer.step()


def diagonal_of(probe: Any, make: Any, steps: int) -> np.ndarray:
    """P read off the optimizer's own last step: with no momentum it is h g / (theta - theta')."""
    options = {"betas": (0.0, 0.99)} if "betas" in make(probe.critic_parameters).param_groups[0] else {}
    optimizer = make(probe.critic_parameters, lr=1e-3, **options)
    train(probe, optimizer, steps - 1)
    before = [p.detach().clone() for p in probe.critic_parameters]
    train(probe, optimizer, 1)
    found = zip(probe.critic_parameters, before, strict=True)
    return torch.cat([(1e-3 * p.grad / (old - p.detach())).flatten() for p, old in found]).numpy()


@pytest.mark.parametrize("seed", range(3))
def test_largest_eigenvalue_of_a_small_critic(build: Any, seed: int) -> None:
    probe = build(hidden=[6, 5])
    torch.manual_seed(seed)
    for p in probe.critic_parameters:
        nn.init.normal_(p, std=0.5)
    found = Curvature().measure(probe)
    exact = np.linalg.eigvalsh(dense_hessian(probe))
    assert exact[0] < 0  # the Hessian is indefinite
    assert found["curvature/lambda_max_converged"].item() == 1
    assert found["curvature/lambda_max"].item() == pytest.approx(exact[-1], rel=1e-3)
    assert np.abs(exact - found["curvature/lambda_max"].item()).min() <= found["curvature/lambda_max_residual"].item()


def test_what_has_not_converged_says_so(build: Any) -> None:
    probe = build()
    found = Curvature(max_iterations=2).measure(probe)
    exact = np.linalg.eigvalsh(dense_hessian(probe))[-1]
    assert found["curvature/lambda_max_converged"].item() == 0
    assert found["curvature/lambda_max"].item() < exact
    residual = found["curvature/lambda_max_residual"].item()
    assert residual > 1e-3 * found["curvature/lambda_max"].item()


class Quadratic:
    """1/2 theta^T diag(spectrum) theta in one parameter, at a given rate."""

    def __init__(self, spectrum: list[float], rate: float) -> None:
        self.spectrum = torch.tensor(spectrum, dtype=torch.float64)
        self.theta = nn.Parameter(torch.ones(len(spectrum), dtype=torch.float64))
        self.critic_parameters, self.critic_learning_rate = [self.theta], rate
        self.critic_optimizer: torch.optim.Optimizer = torch.optim.SGD([self.theta], lr=rate)

    def critic_loss(self) -> Tensor:
        return 0.5 * (self.spectrum * self.theta.square()).sum()


def test_largest_is_upward_not_in_size() -> None:
    found = Curvature().measure(Quadratic([-50.0, -3.0, 0.25, 0.5], rate=0.1))  # type: ignore[arg-type]
    assert found["curvature/lambda_max"].item() == pytest.approx(0.5, rel=1e-3)
    assert found["curvature/threshold"].item() == pytest.approx(20)


@pytest.mark.parametrize(("rate", "stable"), [(0.199, True), (0.201, False)])
def test_gradient_descent_diverges_above_the_threshold(rate: float, stable: bool) -> None:
    quadratic: Any = Quadratic([10.0, 1.0], rate)
    found = Curvature().measure(quadratic)
    assert (found["curvature/lambda_max"] < found["curvature/threshold"]).item() == stable
    train(quadratic, torch.optim.SGD([quadratic.theta], lr=rate), 1000)
    assert (quadratic.critic_loss().item() < 5.5) == stable


@pytest.mark.parametrize(("rate", "stable"), [(0.0398, True), (0.0402, False)])
def test_the_preconditioned_threshold_is_that_of_a_step_with_this_diagonal(rate: float, stable: bool) -> None:
    """P^-1 H is diag(10, 1) / diag(0.2, 0.1): the largest eigenvalue is 50, the loss alone says 10."""
    quadratic: Any = Quadratic([10.0, 1.0], rate)
    diagonal = torch.tensor([0.2, 0.1], dtype=torch.float64)
    quadratic.critic_optimizer = torch.optim.RMSprop([quadratic.theta], lr=rate, eps=0.0)
    quadratic.critic_optimizer.state[quadratic.theta] = {"step": torch.tensor(9.0), "square_avg": diagonal.square()}
    found = Curvature().measure(quadratic)
    assert found["curvature/lambda_max_preconditioned"].item() == pytest.approx(50, rel=1e-3)
    assert (found["curvature/lambda_max_preconditioned"] < found["curvature/threshold"]).item() == stable
    theta = quadratic.theta.detach().clone()
    for _ in range(2000):
        theta -= rate * quadratic.spectrum * theta / diagonal
    assert (theta.norm().item() < 1.5) == stable


def test_a_rate_of_zero_has_no_threshold() -> None:
    found = Curvature().measure(Quadratic([1.0], rate=0.0))  # type: ignore[arg-type]
    assert found["curvature/threshold"].item() == np.inf


@pytest.mark.parametrize("steps", [1, 3, 5, 6, 40])
@pytest.mark.parametrize("name", ADAPTIVE)
def test_the_diagonal_is_what_the_step_was_divided_by(build: Any, name: str, steps: int) -> None:
    """Catches a missing bias correction, an epsilon in the wrong place, RAdam's first steps."""
    probe = build(hidden=[4])
    exact = diagonal_of(probe, ADAPTIVE[name], steps)
    found = preconditioner(probe.critic_optimizer, probe.critic_parameters)
    assert found is not None
    assert [d.shape for d in found] == [p.shape for p in probe.critic_parameters]
    np.testing.assert_allclose(torch.cat([d.flatten() for d in found]), exact, rtol=1e-6)


@pytest.mark.parametrize("name", ADAPTIVE)
def test_preconditioned_eigenvalue_is_that_of_the_dense_product(build: Any, name: str) -> None:
    """P^-1 H is not symmetric; NumPy finds its eigenvalues all the same."""
    probe = build(hidden=[4])
    diagonal = diagonal_of(probe, ADAPTIVE[name], 20)
    found = Curvature(max_iterations=60).measure(probe)
    eigenvalues = np.linalg.eigvals(dense_hessian(probe) / diagonal[:, None])
    assert np.abs(eigenvalues.imag).max() < 1e-4 * np.abs(eigenvalues).max()
    assert found["curvature/lambda_max_preconditioned_converged"].item() == 1
    largest = eigenvalues.real.max()
    assert found["curvature/lambda_max_preconditioned"].item() == pytest.approx(largest, rel=2e-3)
    assert found["curvature/lambda_max_preconditioned"].item() != pytest.approx(
        found["curvature/lambda_max"].item(), rel=0.1
    )


def test_no_preconditioned_one_before_the_first_step_or_without_second_moments(build: Any) -> None:
    plain = {f"curvature/{tag}" for tag in ("lambda_max", "lambda_max_residual", "lambda_max_converged", "threshold")}
    probe = build()
    probe.critic_optimizer = torch.optim.Adam(probe.critic_parameters)
    assert set(Curvature().measure(probe)) == plain
    train(probe, torch.optim.SGD(probe.critic_parameters, lr=0.01, momentum=0.9), 2)
    assert set(Curvature().measure(probe)) == plain
    train(probe, torch.optim.Adam(probe.critic_parameters), 1)
    assert set(Curvature().measure(probe)) - plain == {
        f"curvature/lambda_max_preconditioned{end}" for end in ("", "_residual", "_converged")
    }
