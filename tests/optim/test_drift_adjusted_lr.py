"""DriftAdjustedLR on quadratics in closed form, and against the dense Hessian of a small critic."""

from __future__ import annotations

import copy
from functools import partial
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from smoothrl.optim import DriftAdjustedLR
from smoothrl.optim._descent import Descent, split_groups

H = 0.01
sgd = partial(torch.optim.SGD, lr=H)
adam = partial(torch.optim.Adam, lr=H)
HUGE = 1e9


def quadratic(optim: Any, eigenvalues: list[float], start: list[float], optimizer: Any = sgd) -> Any:
    """(player, loss, parameter) of 1/2 theta^T diag(eigenvalues) theta."""
    theta, curvature = (torch.tensor(x, dtype=torch.float64) for x in (start, eigenvalues))
    theta = nn.Parameter(theta)
    player = optim.player(None, optimizer, networks={"qf0": [theta]})
    return player, lambda: 0.5 * (curvature * theta.square()).sum(), theta


@pytest.mark.parametrize("power", [0.5, 1.0, 2.0])
def test_rate_on_a_quadratic(optim: Any, power: float) -> None:
    """v = |A^2 theta| / |A theta|, in closed form; the step is 2 / v^p long in units of g."""
    a, start = np.array([4.0, 1.0, 0.25]), np.array([1.0, -2.0, 3.0])
    player, loss, theta = quadratic(optim, a.tolist(), start.tolist())
    v = np.linalg.norm(a**2 * start) / np.linalg.norm(a * start)
    logged = optim.descent(player, DriftAdjustedLR(power=power, cap=HUGE))(loss())
    np.testing.assert_allclose(theta.detach(), start - 2 / v**power * a * start, rtol=1e-8)
    assert logged["optim/hessian_gradient_ratio/critic"].item() == pytest.approx(v, rel=1e-8)
    assert logged["optim/lr_scale/critic"].item() == pytest.approx(2 / v**power / H, rel=1e-8)


def test_along_an_eigenvector_it_is_the_edge_of_stability(optim: Any) -> None:
    """h lambda = 2: gradient descent jumps to the point opposite."""
    player, loss, theta = quadratic(optim, [7.0, 1.0], [3.0, 0.0])
    optim.descent(player, DriftAdjustedLR(cap=HUGE))(loss())
    np.testing.assert_allclose(theta.detach(), [-3.0, 0.0], atol=1e-9)


@pytest.mark.parametrize("power", [0.5, 1.0])
def test_rate_on_a_critic(optim: Any, power: float) -> None:
    critic, batch = optim.critic(), optim.batch()
    g, hessian = optim.dense(critic, batch)
    v = np.linalg.norm(hessian @ g) / np.linalg.norm(g)
    player = optim.player(critic, sgd)
    before = optim.flat(player.parameters)
    logged = optim.descent(player, DriftAdjustedLR(power=power, cap=HUGE))(optim.loss(critic, batch))
    step = before - optim.flat(player.parameters)
    assert np.linalg.norm(step - 2 / v**power * g) < 1e-8 * np.linalg.norm(step)
    assert logged["optim/hessian_gradient_ratio/critic"].item() == pytest.approx(v, rel=1e-8)


def test_adam_keeps_its_direction_and_its_memory(optim: Any) -> None:
    """The rate is scaled and not the gradient, which Adam would scale back."""
    critic, batch = optim.critic(), optim.batch()
    g, hessian = optim.dense(critic, batch)
    factor = min(2 / (np.linalg.norm(hessian @ g) / np.linalg.norm(g)) / H, 5.0)
    plain, adapted = optim.player(critic, adam), optim.player(twin := copy.deepcopy(critic), adam)
    before = optim.flat(plain.parameters)
    optim.descent(plain)(optim.loss(critic, batch))
    optim.descent(adapted, DriftAdjustedLR())(optim.loss(twin, batch))
    theirs, ours = optim.flat(plain.parameters) - before, optim.flat(adapted.parameters) - before
    np.testing.assert_allclose(ours, factor * theirs, rtol=1e-8, atol=1e-14)
    for name in ("exp_avg", "exp_avg_sq"):
        m, n = (optim.flat(p.optimizer.state[q][name] for q in p.parameters) for p in (plain, adapted))
        assert (m == n).all()
    assert [group["lr"] for group in adapted.optimizer.param_groups] == [H, H]


def test_cap_is_relative_to_the_tuned_rate(optim: Any) -> None:
    player, loss, theta = quadratic(optim, [0.1, 0.1], [1.0, 2.0])  # 2 / v = 20
    logged = optim.descent(player, DriftAdjustedLR(cap=3.0))(loss())
    assert logged["optim/lr_scale/critic"].item() == pytest.approx(3.0)
    np.testing.assert_allclose(theta.detach(), (1 - 3 * H * 0.1) * np.array([1.0, 2.0]), rtol=1e-12)


@pytest.mark.parametrize("optimizer", [sgd, adam])
def test_power_0_only_measures(optim: Any, optimizer: Any) -> None:
    """Steps as without it, to the bit."""
    ends = []
    for adaptations in ([], [DriftAdjustedLR(power=0.0)]):
        critic = optim.critic()
        player = optim.player(critic, optimizer)
        step = optim.descent(player, *adaptations)
        for seed in range(5):
            logged = step(optim.loss(critic, optim.batch(seed=seed)))
        ends.append(optim.flat(player.parameters))
    assert (ends[0] == ends[1]).all()
    assert set(logged) == {"optim/hessian_gradient_ratio/critic"}


def test_no_gradient_and_no_curvature(optim: Any) -> None:
    """At g = 0 the rate stays; where only H g = 0 it is the cap's. Nothing becomes NaN."""
    flat, loss, theta = quadratic(optim, [1.0, 2.0], [0.0, 0.0])
    logged = optim.descent(flat, DriftAdjustedLR())(loss())
    assert logged["optim/lr_scale/critic"].item() == 1.0
    assert (theta == 0).all()

    line = nn.Parameter(torch.tensor([1.0, 1.0]).double())
    slope = torch.tensor([3.0, -4.0]).double()
    player = optim.player(None, sgd, networks={"qf0": [line]})
    logged = optim.descent(player, DriftAdjustedLR(cap=4.0))((slope * line).sum())
    assert logged["optim/lr_scale/critic"].item() == pytest.approx(4.0)
    np.testing.assert_allclose(line.detach(), 1 - 4 * H * slope.numpy(), rtol=1e-12)


def test_the_rate_is_that_of_the_gradient_before_clipping(optim: Any) -> None:
    """v does not depend on the length of g; the clipped gradient is then stepped at the adjusted rate."""
    a, start = np.array([4.0, 1.0]), np.array([1.0, -2.0])
    player, loss, theta = quadratic(optim, a.tolist(), start.tolist())
    g = a * start
    v = np.linalg.norm(a * g) / np.linalg.norm(g)
    optim.descent(player, DriftAdjustedLR(cap=HUGE), max_grad_norm=0.1)(loss())
    np.testing.assert_allclose(theta.detach(), start - 2 / v * 0.1 * g / np.linalg.norm(g), rtol=1e-6)


def test_players_are_adjusted_one_by_one(optim: Any) -> None:
    """Two players of one optimizer, with curvatures 4 and 1: each sees its own block of the Hessian."""
    critic, actor = (nn.Parameter(torch.ones(2, dtype=torch.float64)) for _ in range(2))
    optimizer = torch.optim.SGD([critic, actor], lr=H)
    players = [
        optim.Player("critic", optimizer, {"vf": [critic]}, None, True),
        optim.Player("actor", optimizer, {"actor": [actor]}, None, True),
    ]

    def loss() -> Tensor:
        return 2 * critic.square().sum() + 0.5 * actor.square().sum()

    split_groups(optimizer, players)
    for chosen, rates in (("both", (0.5, 2.0)), ("critic", (0.5, H)), ("actor", (H, 2.0))):
        nn.init.ones_(critic)
        nn.init.ones_(actor)
        logged = Descent(optimizer, players, [DriftAdjustedLR(cap=HUGE, players=chosen)])(loss())  # type: ignore[arg-type]
        np.testing.assert_allclose(critic.detach(), 1 - rates[0] * 4, rtol=1e-9)
        np.testing.assert_allclose(actor.detach(), 1 - rates[1] * 1, rtol=1e-9)
        assert len(logged) == (4 if chosen == "both" else 2)


@pytest.mark.parametrize("options", [{"power": -1.0}, {"cap": 0.0}, {"players": "all"}, {"powr": 1.0}])
def test_wrong_settings_are_refused(options: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=next(iter(options))):
        DriftAdjustedLR(**options)
