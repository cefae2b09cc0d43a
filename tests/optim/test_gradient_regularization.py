"""GradientRegularization on quadratics in closed form, against the dense Hessian, and against the penalized loss."""

from __future__ import annotations

import math
from functools import partial
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from smoothrl.linalg.hessian import difference_product, gradient, hessian_product
from smoothrl.optim import GradientRegularization, IncompatibleSetting

H = 0.01
sgd = partial(torch.optim.SGD, lr=H)
EXACT, DIFFERENCE = "exact", "finite_difference"


def direction(optim: Any, critic: Any, adaptation: Any, batch: Any, **kwargs: Any) -> np.ndarray:
    """What gradient descent subtracts in one step, per unit of the rate."""
    player = optim.player(critic, sgd)
    before = optim.flat(player.parameters)
    optim.descent(player, adaptation, **kwargs)(optim.loss(critic, batch), lambda: optim.loss(critic, batch))
    return (before - optim.flat(player.parameters)) / H


@pytest.mark.parametrize("activation", [nn.Tanh, nn.SiLU])
def test_the_products_behind_it(optim: Any, activation: type[nn.Module]) -> None:
    """H g, exact and by differences at the default radius, against the dense Hessian."""
    critic, batch = optim.critic(activation=activation), optim.batch()
    parameters = [p for own in critic.parameters().values() for p in own]
    g, hessian = optim.dense(critic, batch)
    ours = gradient(optim.loss(critic, batch), parameters, create_graph=True)
    vectors = [x.detach() for x in ours]
    exact = optim.flat(hessian_product(ours, parameters, vectors))
    radius = GradientRegularization(mu=1.0).radius
    near = optim.flat(difference_product(lambda: optim.loss(critic, batch), parameters, vectors, vectors, radius))
    size = np.linalg.norm(hessian @ g)
    assert np.linalg.norm(optim.flat(ours) - g) < 1e-12 * np.linalg.norm(g)
    assert np.linalg.norm(exact - hessian @ g) < 1e-8 * size
    assert 1e-8 * size < np.linalg.norm(near - hessian @ g) < 1e-3 * size


@pytest.mark.parametrize(("estimator", "tolerance"), [(EXACT, 1e-8), (DIFFERENCE, 1e-3)])
def test_gradient_on_a_critic(optim: Any, estimator: Any, tolerance: float) -> None:
    critic, batch, mu = optim.critic(), optim.batch(), 0.01
    g, hessian = optim.dense(critic, batch)
    wanted = g + 2 * mu * hessian @ g
    assert g @ wanted > 0
    assert np.linalg.norm(wanted - g) > 0.1 * np.linalg.norm(g)
    ours = direction(optim, critic, GradientRegularization(mu=mu, estimator=estimator), batch)
    assert np.linalg.norm(ours - wanted) < tolerance * np.linalg.norm(wanted - g)


def test_it_is_the_gradient_of_the_penalized_loss(optim: Any) -> None:
    """Of E + mu |g|^2, by central differences of its value; no Hessian anywhere."""
    critic, batch, mu = optim.critic(n=1), optim.batch(), 0.02

    def penalized() -> float:
        g = torch.autograd.grad(optim.loss(critic, batch), parameters)
        return optim.loss(critic, batch).item() + mu * sum(x.square().sum().item() for x in g)

    parameters = list(critic.networks["qf0"].parameters())
    numeric = []
    for p in parameters:
        flat = p.data.view(-1)
        for i in range(len(flat)):
            value, sides = flat[i].item(), []
            for step in (1e-5, -1e-5):
                flat[i] = value + step
                sides.append(penalized())
            flat[i] = value
            numeric.append((sides[0] - sides[1]) / 2e-5)
    ours = direction(optim, critic, GradientRegularization(mu=mu, safeguard=False), batch)
    np.testing.assert_allclose(ours, numeric, rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize("estimator", [EXACT, DIFFERENCE])
def test_on_a_quadratic(optim: Any, estimator: Any) -> None:
    """(1 + 2 mu a) a theta in closed form; a difference of gradients is exact here."""
    a, start, mu = np.array([4.0, 1.0, -0.5]), np.array([1.0, -2.0, 3.0]), 0.3
    theta, curvature = nn.Parameter(torch.tensor(start)), torch.tensor(a)
    player = optim.player(None, sgd, networks={"qf0": [theta]})
    step = optim.descent(player, GradientRegularization(mu=mu, estimator=estimator))
    logged = step(loss := 0.5 * (curvature * theta.square()).sum(), lambda: 0.5 * (curvature * theta.square()).sum())
    assert loss.item() == pytest.approx(0.5 * (a * start**2).sum())
    np.testing.assert_allclose(theta.detach(), start - H * (1 + 2 * mu * a) * a * start, rtol=1e-8)
    ratio = np.linalg.norm(2 * mu * a**2 * start) / np.linalg.norm(a * start)
    assert logged["optim/egr_ratio/critic"].item() == pytest.approx(ratio, rel=1e-8)
    assert logged["optim/egr_fallback/critic"].item() == 0


@pytest.mark.parametrize("factor", [0.99, 1.01])
def test_safeguard_where_the_sum_would_not_descend(optim: Any, factor: float) -> None:
    """Curvature -1: g^T (g + 2 mu H g) = |g|^2 (1 - 2 mu), negative from mu = 1/2 on."""
    theta = nn.Parameter(torch.tensor([3.0, 4.0]).double())
    player = optim.player(None, sgd, networks={"qf0": [theta]})
    mu = 0.5 * factor
    logged = optim.descent(player, GradientRegularization(mu=mu))(-0.5 * theta.square().sum())
    fell_back = factor > 1
    assert logged["optim/egr_fallback/critic"].item() == fell_back
    expected = np.array([3.0, 4.0]) * (1 + H * (1 if fell_back else 1 - 2 * mu))
    np.testing.assert_allclose(theta.detach(), expected, rtol=1e-12)


def test_without_the_safeguard_a_maximum_can_attract(optim: Any) -> None:
    """The pitfall that it guards against."""
    theta = nn.Parameter(torch.tensor([3.0]).double())
    player = optim.player(None, sgd, networks={"qf0": [theta]})
    logged = optim.descent(player, GradientRegularization(mu=2.0, safeguard=False))(-0.5 * theta.square().sum())
    assert abs(theta.item()) < 3.0  # climbs to the maximum of E at 0
    assert "optim/egr_fallback/critic" not in logged


@pytest.mark.parametrize("estimator", [EXACT, DIFFERENCE])
def test_clipping_shortens_the_sum_and_keeps_its_direction(optim: Any, estimator: Any) -> None:
    critic, batch, mu = optim.critic(), optim.batch(), 0.01
    g, hessian = optim.dense(critic, batch)
    adaptation = GradientRegularization(mu=mu, estimator=estimator)
    ours = direction(optim, critic, adaptation, batch, max_grad_norm=0.1)
    wanted = 0.1 / np.linalg.norm(g) * (g + 2 * mu * hessian @ g)
    assert np.linalg.norm(ours - wanted) < 1e-3 * np.linalg.norm(wanted)


def test_no_gradient_stays_none(optim: Any) -> None:
    theta = nn.Parameter(torch.zeros(2, dtype=torch.float64))
    player = optim.player(None, sgd, networks={"qf0": [theta]})
    logged = optim.descent(player, GradientRegularization(mu=1.0))(0.5 * theta.square().sum())
    assert (theta == 0).all()
    assert all(math.isfinite(value.item()) for value in logged.values())


def test_one_large_step_of_gradient_descent_is_two_small_regularized_ones(optim: Any) -> None:
    """The theory's pair: rate h against h / k, k times the steps and mu = h / 4 (1 - 1/k). The regularized steps come
    closer to the large one, by an order of h: error O(h^3) against O(h^2)."""

    def end(rate: float, steps: int, mu: float) -> np.ndarray:
        critic, batch = optim.critic(n=1), optim.batch()
        player = optim.player(critic, partial(torch.optim.SGD, lr=rate))
        step = optim.descent(player, GradientRegularization(mu=mu, safeguard=False))
        for _ in range(steps):
            step(optim.loss(critic, batch))
        return np.asarray(optim.flat(player.parameters))

    errors = []
    for h in (4e-4, 2e-4):
        large, mu = end(h, 1, 0.0), h / 4 * (1 - 1 / 2)
        errors.append([np.linalg.norm(end(h / 2, 2, m) - large) for m in (0.0, mu)])
    plain, regularized = (math.log2(errors[0][i] / errors[1][i]) for i in (0, 1))
    assert plain == pytest.approx(2, abs=0.2)
    assert regularized == pytest.approx(3, abs=0.2)


def test_mu_0_is_off() -> None:
    assert GradientRegularization(mu=0.0).is_off
    assert not GradientRegularization(mu=1e-9).is_off


def test_differences_of_a_loss_that_draws_are_refused(optim: Any) -> None:
    player = optim.player(optim.critic(), sgd, repeatable=False)
    GradientRegularization(mu=1.0).check(player)
    with pytest.raises(IncompatibleSetting, match="for the critic here: its loss draws random numbers"):
        GradientRegularization(mu=1.0, estimator=DIFFERENCE).check(player)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({}, "mu"),
        ({"mu": -1.0}, "greater than or equal to 0"),
        ({"mu": 1.0, "estimator": "central"}, "'exact' or 'finite_difference'"),
        ({"mu": 1.0, "radius": 0.1}, "does nothing with estimator `exact`"),
        ({"mu": 1.0, "estimator": DIFFERENCE, "radius": 0.0}, "greater than 0"),
    ],
)
def test_wrong_settings_are_refused(options: dict[str, Any], words: str) -> None:
    with pytest.raises(ValueError, match=words):
        GradientRegularization(**options)
