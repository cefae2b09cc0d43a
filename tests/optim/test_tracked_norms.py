"""The norms that DivGrad, MulEps, DivLr and DivOut divide by, against NumPy's SVD."""

from __future__ import annotations

import copy
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from smoothrl.critics import SpectralNorm
from smoothrl.optim import IncompatibleSetting
from smoothrl.optim._tracked import TrackedNorms, track


def adam(parameters: Any) -> torch.optim.Optimizer:
    return torch.optim.Adam(parameters, lr=0.03)


def learn(optim: Any, critic: Any, tracked: TrackedNorms, steps: int) -> list[dict[str, tuple[float, float]]]:
    """Per step and network: (rho, product of sigmas by SVD), at weights that move by percents each step."""
    batch, optimizer = optim.batch(), adam([p for net in critic.networks.values() for p in net.parameters()])
    seen = []
    for _ in range(steps):
        tracked.advance()
        exact = {
            network: float(np.prod([optim.sigma(layer) for _, layer in critic.select_from(network, (-1, -2))]))
            for network in critic.branches
        }
        seen.append(
            {name: (rho.item(), exact[name]) for name, rho in tracked.rhos(tracked.sigmas(), critic.branches).items()}
        )
        optimizer.zero_grad()
        optim.loss(critic, batch).backward()
        optimizer.step()
    return seen


def test_each_network_has_the_product_of_its_own_norms_while_it_learns(optim: Any) -> None:
    critic = optim.critic(sizes=(3, 20, 15, 4))
    tracked = track(optim.player(critic, adam), (-2, -1), clip=False)
    batch = torch.randn(8, 4, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    optim.batch = staticmethod(lambda: (batch[:, :3], batch))
    seen = learn(optim, critic, tracked, steps=50)
    for rhos in seen:
        for rho, exact in rhos.values():
            assert rho == pytest.approx(exact, rel=5e-3)
    assert abs(seen[0]["qf0"][1] / seen[-1]["qf0"][1] - 1) > 0.05  # the weights did move
    assert seen[-1]["qf0"][1] != pytest.approx(seen[-1]["qf1"][1], rel=0.01)


def test_clip_is_layer_by_layer(optim: Any) -> None:
    """max(3, 1) * max(0.5, 1) = 3, not max(3 * 0.5, 1)."""
    net = nn.Sequential(nn.Linear(2, 2), nn.Linear(2, 2), nn.Linear(2, 1)).double()
    net[0].weight.data = torch.diag(torch.tensor([3.0, 1.0])).double()
    net[1].weight.data = torch.diag(torch.tensor([0.5, 0.1])).double()
    player = optim.player(optim.View({"q": net}), adam)
    for clip, rho, sigmas in ((False, 1.5, [0.5, 3.0]), (True, 3.0, [1.0, 3.0])):
        tracked = track(player, (-2, -3), clip)
        assert tracked.rhos(tracked.sigmas(), ["q"])["q"].item() == pytest.approx(rho)
        assert [s.item() for s in tracked.sigmas().values()] == pytest.approx(sigmas)


def test_shared_parameters_take_the_mean(optim: Any) -> None:
    """Two networks on one extractor: a layer of it counts in both products and is followed once."""
    extractor, heads = optim.mlp((3, 4)), [optim.mlp((4, 5, 1), seed=i) for i in (1, 2)]
    critic = optim.View({f"qf{i}": nn.Sequential(extractor, nn.Tanh(), head) for i, head in enumerate(heads)})
    critic.branches = {
        f"qf{i}": (("extractor", extractor[0]), *((f"{i}.{j}", head[j]) for j in (0, 2)))
        for i, head in enumerate(heads)
    }
    player = optim.player(critic, adam)
    assert list(player.networks) == ["qf0", "qf1", "shared"]
    tracked = track(player, (-2, -3), clip=False)
    assert len(tracked.estimates) == 3
    first, second = (optim.sigma(extractor[0]) * optim.sigma(head[0]) for head in heads)
    rhos = {name: rho.item() for name, rho in tracked.rhos(tracked.sigmas(), player.networks).items()}
    assert rhos == pytest.approx({"qf0": first, "qf1": second, "shared": (first + second) / 2})


def test_a_convolution_counts_by_its_operator(optim: Any) -> None:
    torch.manual_seed(0)
    conv = nn.Conv2d(2, 3, 3, stride=2, padding=1).double()
    net = nn.Sequential(conv, nn.ReLU(), nn.Flatten(), nn.Linear(27, 1).double())
    tracked = track(optim.player(optim.View({"q": net}), adam), (-2,), clip=False)
    basis = torch.eye(72, dtype=torch.float64).reshape(72, 2, 6, 6)
    with torch.no_grad():
        matrix = (conv(basis) - conv(torch.zeros_like(basis[:1]))).flatten(1).T.numpy()
    assert tracked.rhos(tracked.sigmas(), ["q"])["q"].item() == pytest.approx(
        np.linalg.svd(matrix, compute_uv=False)[0], rel=1e-3
    )


def test_the_critic_stays_out_of_the_state_and_is_followed_into_a_deep_copy(optim: Any) -> None:
    critic = optim.critic()
    tracked = track(optim.player(critic, adam), (-2,), clip=False)
    assert not list(tracked.parameters())
    assert set(tracked.state_dict()) == {
        "_extra_state", *(f"estimates.{i}.{name}" for i in (0, 1) for name in ("u", "v", "block"))
    }  # fmt: skip
    twin, copied = copy.deepcopy((critic, tracked))
    with torch.no_grad():
        twin.networks["qf0"][2].weight.mul_(2)
    before, after = tracked.rhos(tracked.sigmas(), ["qf0"])["qf0"], copied.rhos(copied.sigmas(), ["qf0"])["qf0"]
    assert after.item() == pytest.approx(2 * before.item())


def test_a_restored_state_goes_on_as_if_it_had_never_stopped(optim: Any) -> None:
    """Also between two iterations: 7 steps are an odd number."""
    critic = optim.critic(sizes=(3, 20, 15, 1))
    tracked = track(optim.player(critic, adam), (-2, -1), clip=False)
    learn(optim, critic, tracked, steps=7)
    resumed_critic = copy.deepcopy(critic)
    resumed = track(optim.player(resumed_critic, adam), (-2, -1), clip=False)
    resumed.load_state_dict(tracked.state_dict())
    assert learn(optim, critic, tracked, steps=5) == learn(optim, resumed_critic, resumed, steps=5)


def test_what_cannot_be_tracked_is_refused(optim: Any) -> None:
    normalized, empty = optim.critic(), optim.critic()
    SpectralNorm(layers=(-2,)).apply(normalized)
    nn.init.zeros_(empty.networks["qf1"][2].weight)
    for critic, indices, words in (
        (normalized, (-2,), "qf0.1 cannot be tracked: spectral_norm normalizes it"),
        (empty, (-2,), "qf1.1 cannot be tracked: it starts at zero"),
        (empty, (-4,), "layer -4 does not exist in the critic"),
    ):
        with pytest.raises(IncompatibleSetting, match=words):
            track(optim.player(critic, adam), indices, clip=False)
    track(optim.player(normalized, adam), (-1, -3), clip=False)
