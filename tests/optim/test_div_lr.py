"""DivLr: tracked layers take a step that is shorter by their norm, under any optimizer."""

from __future__ import annotations

import copy
from functools import partial
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from smoothrl.optim import DivLr

OPTIMIZERS = [partial(torch.optim.SGD, lr=0.02), partial(torch.optim.Adam, lr=0.02)]


def moved(optim: Any, critic: Any, optimizer: Any, *adaptations: Any) -> list[np.ndarray]:
    """By how much each parameter moves in one step, on a copy."""
    twin = copy.deepcopy(critic)
    player = optim.player(twin, optimizer)
    optim.descent(player, *adaptations)(optim.loss(twin, optim.batch()))
    before = [p.detach() for parameters in critic.parameters().values() for p in parameters]
    return [(p.detach() - old).numpy() for p, old in zip(player.parameters, before, strict=True)]


@pytest.mark.parametrize("optimizer", OPTIMIZERS)
@pytest.mark.parametrize("clip", [True, False])
def test_weight_and_bias_of_a_tracked_layer(optim: Any, optimizer: Any, clip: bool) -> None:
    """The first layer's norm is above 1, the second one's below; all others move as without it, to the bit."""
    critic = optim.critic(n=1)
    net = critic.networks["qf0"]
    net[2].weight.data.mul_(0.5 / optim.sigma(net[2]))
    plain, adapted = moved(optim, critic, optimizer), moved(optim, critic, optimizer, DivLr((-2, -3), clip))
    first, second = optim.sigma(net[0]), 1.0 if clip else 0.5
    assert first > 1.5
    for divisor, ours, theirs in zip([first, first, second, second], adapted[:4], plain[:4], strict=True):
        np.testing.assert_allclose(ours, theirs / divisor, rtol=1e-10, atol=1e-15)
    for ours, theirs in zip(adapted[4:], plain[4:], strict=True):
        assert (ours == theirs).all()


def test_a_layer_without_bias(optim: Any) -> None:
    torch.manual_seed(0)
    net = nn.Sequential(nn.Linear(3, 4, bias=False), nn.ReLU(), nn.Linear(4, 1)).double()
    net[0].weight.data.mul_(4 / optim.sigma(net[0]))
    critic = optim.View({"q": net})
    (plain, *_), (adapted, *_) = (moved(optim, critic, OPTIMIZERS[0], *a) for a in ([], [DivLr()]))
    np.testing.assert_allclose(adapted, plain / 4, rtol=1e-10, atol=1e-15)


def test_the_rate_of_the_optimizer_stays_and_the_log_has_rho(optim: Any) -> None:
    critic = optim.critic()
    player = optim.player(critic, OPTIMIZERS[1])
    before = copy.deepcopy(player.optimizer.state_dict()["param_groups"])
    sigmas = {f"optim/rho/{name}": optim.sigma(net[2]) for name, net in critic.networks.items()}
    logged = optim.descent(player, DivLr(clip=False))(optim.loss(critic, optim.batch()))
    assert player.optimizer.state_dict()["param_groups"] == before
    assert {tag: value.item() for tag, value in logged.items()} == pytest.approx(sigmas)
