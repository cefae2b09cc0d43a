"""DivGrad and MulEps: their equations on real optimizer steps, and when they are the same thing."""

from __future__ import annotations

import copy
import math
import warnings
from functools import partial
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from smoothrl.optim import DivGrad, IncompatibleSetting, IneffectiveSetting, MulEps

EPS = 1e-3
adam = partial(torch.optim.Adam, lr=0.02, eps=EPS)
rmsprop = partial(torch.optim.RMSprop, lr=0.02, eps=EPS)
sgd = partial(torch.optim.SGD, lr=0.02)
ADAPTIVE = pytest.mark.parametrize("optimizer", [adam, rmsprop])


def trained(optim: Any, adaptations: list[Any], optimizer: Any, frozen: bool, steps: int = 20) -> np.ndarray:
    """The learned parameters. Large tracked weights, so that rho is far from 1; frozen, so that it is constant."""
    critic = optim.critic()
    for net in critic.networks.values():
        net[2].weight.data.mul_(2)
        net[2].weight.requires_grad_(not frozen)
    player = optim.player(critic, optimizer)
    step, batch = optim.descent(player, *adaptations), optim.batch()
    for _ in range(steps):
        step(optim.loss(critic, batch))
    return optim.flat(player.parameters)


@ADAPTIVE
def test_they_are_the_same_for_a_constant_rho(optim: Any, optimizer: Any) -> None:
    divided, multiplied, plain = (trained(optim, a, optimizer, frozen=True) for a in ([DivGrad()], [MulEps()], []))
    assert np.abs(divided - multiplied).max() < 1e-12
    assert np.abs(divided - plain).max() > 1e-4


@ADAPTIVE
def test_they_differ_for_a_varying_rho(optim: Any, optimizer: Any) -> None:
    divided, multiplied = (trained(optim, a, optimizer, frozen=False) for a in ([DivGrad()], [MulEps()]))
    assert np.abs(divided - multiplied).max() > 1e-6


class Recorded:
    """Steps on a loss that is linear in the parameters: its gradient is known and the same at each of them."""

    def __init__(self, optim: Any, adaptation: Any, optimizer: Any, steps: int) -> None:
        critic = optim.critic(n=1)
        self.player, tracked = optim.player(critic, optimizer), critic.networks["qf0"][2]
        self.g = [torch.linspace(-1, 2, p.numel(), dtype=p.dtype).view_as(p) for p in self.player.parameters]
        if steps > 1:  # the tracked weight only shrinks, so that sigma = u^T W v is exact at every step
            tracked.weight.data = 3 * torch.eye(*tracked.weight.shape, dtype=torch.float64)
            self.g[2] = torch.eye(*tracked.weight.shape, dtype=torch.float64)
        step, self.before, self.rhos = optim.descent(self.player, adaptation), [], []
        for _ in range(steps):
            self.rhos.append(optim.sigma(tracked))
            self.before.append([p.detach().clone() for p in self.player.parameters])
            step(self.loss())

    def loss(self) -> Tensor:
        return torch.stack([(c * p).sum() for c, p in zip(self.g, self.player.parameters, strict=True)]).sum()

    def state(self, name: str) -> list[Tensor]:
        return [self.player.optimizer.state[p][name] for p in self.player.parameters]


@pytest.mark.parametrize("divides", [True, False])
def test_the_moments_hold_the_divided_or_the_undivided_history(optim: Any, divides: bool) -> None:
    """Why they differ: m and v average g_t / rho_t for DivGrad, and g_t for MulEps."""
    optimizer = partial(torch.optim.Adam, lr=0.3, eps=EPS)
    run = Recorded(optim, DivGrad() if divides else MulEps(), optimizer, steps=3)
    rhos = run.rhos if divides else [1.0, 1.0, 1.0]
    assert max(run.rhos) / min(run.rhos) > 1.05
    m = v = 0.0
    for rho in rhos:
        m, v = 0.9 * m + 0.1 / rho, 0.999 * v + 0.001 / rho**2
    for g, exp_avg, exp_avg_sq in zip(run.g, run.state("exp_avg"), run.state("exp_avg_sq"), strict=True):
        torch.testing.assert_close(exp_avg, m * g, rtol=1e-9, atol=0)
        torch.testing.assert_close(exp_avg_sq, v * g**2, rtol=1e-9, atol=0)


def test_mul_eps_is_adam_with_a_larger_epsilon(optim: Any) -> None:
    """One step in closed form: the first, in which rho is exact."""
    run = Recorded(optim, MulEps(), adam, steps=1)
    for p, before, g in zip(run.player.parameters, run.before[0], run.g, strict=True):
        expected = before - 0.02 * g / (g.abs() + run.rhos[0] * EPS)
        torch.testing.assert_close(p.detach(), expected, rtol=1e-13, atol=1e-14)


def test_div_grad_is_gradient_descent_at_a_smaller_rate(optim: Any) -> None:
    run = Recorded(optim, DivGrad(), sgd, steps=1)
    for p, before, g in zip(run.player.parameters, run.before[0], run.g, strict=True):
        torch.testing.assert_close(p.detach(), before - 0.02 / run.rhos[0] * g, rtol=1e-13, atol=1e-14)


def test_each_layer_by_its_own_norm(optim: Any) -> None:
    """`per_layer`: tracked weights only, no biases."""
    critic, batch = optim.critic(), optim.batch()
    player = optim.player(critic, sgd)
    plain = dict(zip(player.parameters, torch.autograd.grad(optim.loss(critic, batch), player.parameters), strict=True))
    before = {p: p.detach().clone() for p in player.parameters}
    divisors = {layer.weight: optim.sigma(layer) for layer in critic.select((-2, -3)).values()}
    optim.descent(player, DivGrad(layers=(-2, -3), scope="per_layer"))(optim.loss(critic, batch))
    for p in player.parameters:
        expected = before[p] - 0.02 * plain[p] / divisors.get(p, 1.0)
        torch.testing.assert_close(p.detach(), expected, rtol=1e-12, atol=1e-14)


@pytest.mark.parametrize("adaptation", [DivGrad(), MulEps()])
def test_networks_do_not_touch_each_other(optim: Any, adaptation: Any) -> None:
    """Making the second network's norm 100 times larger leaves the first one's steps alone, to the bit."""
    ends = []
    for scale in (1.0, 100.0):
        critic, batch = optim.critic(), optim.batch()
        critic.networks["qf1"][2].weight.data.mul_(scale)
        step = optim.descent(optim.player(critic, adam), adaptation)
        for _ in range(5):
            step(optim.loss(critic, batch))
        ends.append(optim.flat(critic.networks["qf0"].parameters()))
    assert (ends[0] == ends[1]).all()


def test_the_division_comes_after_clipping(optim: Any) -> None:
    """A clip after it would cancel it: the step is clip / rho long, whatever the gradient."""
    critic, batch = optim.critic(n=1), optim.batch()
    player, rho = optim.player(critic, sgd), optim.sigma(critic.networks["qf0"][2])
    before = optim.flat(player.parameters)
    optim.descent(player, DivGrad(), max_grad_norm=0.01)(optim.loss(critic, batch))
    length = np.linalg.norm(optim.flat(player.parameters) - before)
    assert length == pytest.approx(0.02 * 0.01 / rho, rel=1e-4)  # torch adds 1e-6 to the norm when clipping


@pytest.mark.parametrize("adaptation", [DivGrad(), DivGrad(scope="per_layer"), MulEps()])
def test_the_optimizer_keeps_its_settings_and_the_log_has_rho(optim: Any, adaptation: Any) -> None:
    critic = optim.critic()
    player = optim.player(critic, adam)
    before = copy.deepcopy(player.optimizer.state_dict()["param_groups"])
    logged = optim.descent(player, adaptation)(optim.loss(critic, optim.batch()))
    assert player.optimizer.state_dict()["param_groups"] == before
    assert {tag: value.item() for tag, value in logged.items()} == pytest.approx(
        {f"optim/rho/{name}": 1.0 * sigma for name, sigma in zip(critic.networks, initial_sigmas(optim), strict=True)}
    )


def initial_sigmas(optim: Any) -> list[float]:
    return [optim.sigma(net[2]) for net in optim.critic().networks.values()]


def test_clip_never_enlarges_a_gradient(optim: Any) -> None:
    critic, batch = optim.critic(n=1), optim.batch()
    nn.init.eye_(critic.networks["qf0"][2].weight).data.mul_(0.5)  # sigma = 0.5
    ends = {}
    for name, adaptations in {"plain": [], "clip": [DivGrad(clip=True)], "free": [DivGrad()]}.items():
        twin = copy.deepcopy(critic)
        optim.descent(optim.player(twin, sgd), *adaptations)(optim.loss(twin, batch))
        ends[name] = optim.flat(twin.networks["qf0"].parameters())
    start = optim.flat(critic.networks["qf0"].parameters())
    np.testing.assert_allclose(ends["clip"], ends["plain"], rtol=1e-14)
    np.testing.assert_allclose(ends["free"] - start, 2 * (ends["plain"] - start), rtol=1e-9)


@pytest.mark.parametrize("adaptation", [DivGrad(), DivGrad(scope="per_layer"), MulEps()])
def test_a_tiny_epsilon_is_warned_about(optim: Any, adaptation: Any) -> None:
    """With the reason and the remedy; a large enough epsilon is not."""
    with pytest.warns(IneffectiveSetting) as warned:
        adaptation.check(optim.player(optim.critic(), partial(torch.optim.Adam, lr=1e-3)))
    for words in (adaptation.kind, "next to nothing", "Adam", "epsilon = 1e-08", "sqrt(v)",
                  "critic_optimizer_kwargs: {eps: 3.125e-4}"):  # fmt: skip
        assert words in str(warned[0].message)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        adaptation.check(optim.player(optim.critic(), partial(torch.optim.Adam, eps=3.125e-4)))
        adaptation.check(optim.player(optim.critic(), partial(torch.optim.RMSprop, eps=1e-5)))


def test_with_a_tiny_epsilon_they_do_next_to_nothing(optim: Any) -> None:
    """What the warning says, for rho well above 1, beside what they do at the epsilon that it recommends."""
    effects = []
    for eps in (1e-8, 3.125e-4):
        optimizer = partial(torch.optim.Adam, lr=0.02, eps=eps)
        plain = trained(optim, [], optimizer, frozen=True)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", IneffectiveSetting)
            adapted = [trained(optim, [a], optimizer, frozen=True) for a in (DivGrad(), MulEps())]
        effects.append([np.linalg.norm(parameters - plain) for parameters in adapted])
    assert 0 < max(effects[0]) < 1e-2 * min(effects[1])


def test_an_optimizer_without_epsilon(optim: Any) -> None:
    """DivGrad divides the rate, in effect; MulEps has nothing to multiply."""
    player = optim.player(optim.critic(), sgd)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        DivGrad().check(player)
    with pytest.raises(IncompatibleSetting, match="SGD has none; use div_grad"):
        MulEps().check(player)


def test_rho_of_the_equations_is_the_product(optim: Any) -> None:
    """Two tracked layers, through a real step."""
    critic, batch = optim.critic(n=1), optim.batch()
    player = optim.player(critic, sgd)
    rho = math.prod(optim.sigma(critic.networks["qf0"][i]) for i in (2, 4))
    gradients = torch.autograd.grad(optim.loss(critic, batch), player.parameters)
    before = optim.flat(player.parameters)
    optim.descent(player, DivGrad(layers=(-1, -2)))(optim.loss(critic, batch))
    np.testing.assert_allclose(optim.flat(player.parameters), before - 0.02 / rho * optim.flat(gradients), rtol=1e-12)
