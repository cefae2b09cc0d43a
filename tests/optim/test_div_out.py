"""DivOut: division by the network's own norms, and when it is spectral normalization."""

from __future__ import annotations

import copy
import warnings
from functools import partial
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from smoothrl.critics import LayerNorm, SpectralNorm
from smoothrl.optim import DivOut, IncompatibleSetting, IneffectiveSetting

ALL = (-1, -2, -3)


def relu_critic(optim: Any, name: str = "critic") -> Any:
    critic = optim.critic(activation=nn.ReLU)
    critic.name = name
    return critic


def outputs(optim: Any, critic: Any) -> np.ndarray:
    x, _ = optim.batch()
    with torch.no_grad():
        return np.concatenate([value.numpy() for value in critic.values({"": x}, None)], axis=1)


@pytest.mark.parametrize("layers", [(-2,), (-2, -3), ALL])
def test_is_spectral_normalization_of_a_relu_critic_if_and_only_if_biases_are_rescaled(
    optim: Any, layers: tuple[int, ...]
) -> None:
    """b_l / prod_{i <= l} sigma_i, over the tracked layers i up to and including l."""
    divided, normalized, rescaled = (relu_critic(optim) for _ in range(3))
    for net in rescaled.networks.values():
        product = 1.0
        for i, layer in enumerate(m for m in net if isinstance(m, nn.Linear)):
            product *= optim.sigma(layer) if i - 3 in layers else 1.0
            layer.bias.data.div_(product)
    DivOut(layers=layers).apply(divided)
    for critic in (normalized, rescaled):
        SpectralNorm(layers=layers).apply(critic)
    ours = outputs(optim, divided)
    np.testing.assert_allclose(ours, outputs(optim, rescaled), rtol=1e-6)
    assert np.abs(ours - outputs(optim, normalized)).max() > 0.05


def test_is_not_spectral_normalization_of_a_tanh_critic(optim: Any) -> None:
    """Without any bias in the way: only the activation makes the difference."""
    critics = {activation: [optim.critic(activation=activation) for _ in range(2)] for activation in (nn.ReLU, nn.Tanh)}
    for divided, normalized in critics.values():
        for critic in (divided, normalized):
            for _, layer in (pair for branch in critic.branches.values() for pair in branch):
                layer.bias.data.zero_()
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", IneffectiveSetting)
            DivOut(layers=ALL).apply(divided)
        SpectralNorm(layers=ALL).apply(normalized)
    gaps = {a: np.abs(outputs(optim, d) - outputs(optim, n)).max() for a, (d, n) in critics.items()}
    assert gaps[nn.ReLU] < 1e-12
    assert gaps[nn.Tanh] > 0.01


def test_each_output_is_divided_by_its_own_rho(optim: Any) -> None:
    critic = relu_critic(optim)
    before = outputs(optim, critic)
    rhos = [optim.sigma(net[2]) * optim.sigma(net[4]) for net in critic.networks.values()]
    DivOut(layers=(-1, -2)).apply(critic)
    np.testing.assert_allclose(outputs(optim, critic), before / np.array(rhos), rtol=1e-12)
    factors = [net[4].div_out.lipschitz_factor().item() for net in critic.networks.values()]
    assert factors == pytest.approx([1 / rho for rho in rhos])
    readings = {tag: value.item() for tag, value in DivOut(layers=(-1, -2)).readings(critic).items()}
    assert readings == pytest.approx({f"optim/rho/critic.qf{i}": rho for i, rho in enumerate(rhos)})


def test_clip_leaves_a_small_norm_alone(optim: Any) -> None:
    critic = relu_critic(optim)
    for net in critic.networks.values():
        net[2].weight.data.mul_(0.5 / optim.sigma(net[2]))
    before = outputs(optim, critic)
    free = copy.deepcopy(critic)
    DivOut(clip=True).apply(critic)
    DivOut().apply(free)
    assert (outputs(optim, critic) == before).all()
    np.testing.assert_allclose(outputs(optim, free), 2 * before, rtol=1e-12)


@pytest.mark.parametrize("flow", [False, True])
def test_gradient_with_rho_constant_or_flowing(optim: Any, flow: bool) -> None:
    """By finite differences of f / rho, where rho is NumPy's: at the start, or at the moved weight."""
    critic = relu_critic(optim)
    weight, (x, _) = critic.networks["qf0"][2].weight, optim.batch()
    plain, rho = copy.deepcopy(critic).networks["qf0"], optim.sigma(critic.networks["qf0"][2])

    def value(matrix: np.ndarray) -> float:
        plain[2].weight.data = torch.from_numpy(matrix)
        divisor = float(np.linalg.svd(matrix, compute_uv=False)[0]) if flow else rho
        with torch.no_grad():
            return float(plain(x).square().sum()) / divisor**2

    DivOut(flow_through_norm=flow).apply(critic)
    (ours,) = torch.autograd.grad(critic.networks["qf0"](x).square().sum(), weight)
    numeric, start = np.zeros(weight.shape), weight.detach().numpy()
    for i in np.ndindex(weight.shape):
        step = np.zeros(weight.shape)
        step[i] = 1e-6
        numeric[i] = (value(start + step) - value(start - step)) / 2e-6
    np.testing.assert_allclose(ours, numeric, rtol=1e-5, atol=1e-6)


def learn(optim: Any, adaptation: DivOut, online: Any, target: Any, tau: float, steps: int) -> None:
    """Gradient steps of the online critic and updates of the target, as an agent does them."""
    adam = torch.optim.Adam([p for net in online.networks.values() for p in net.parameters()], lr=0.01)
    for step in range(1, steps + 1):
        adam.zero_grad()
        optim.loss(online, optim.batch()).backward()
        adam.step()
        adaptation.advance(online)
        with torch.no_grad():
            for name, net in online.networks.items():
                for ours, theirs in zip(target.networks[name].parameters(), net.parameters(), strict=True):
                    ours.lerp_(theirs, tau)
        adaptation.sync(online, target, tau, step)


@pytest.mark.parametrize("tau", [0.005, 0.1, 1.0])
def test_online_and_target_each_follow_their_own_weights(optim: Any, tau: float) -> None:
    adaptation = DivOut(layers=(-2, -3))
    online, target = relu_critic(optim), relu_critic(optim, "critic_target")
    for critic in (online, target):
        adaptation.apply(critic)
    learn(optim, adaptation, online, target, tau, steps=100)
    exact = {
        f"optim/rho/{critic.name}.{name}": optim.sigma(net[0]) * optim.sigma(net[2])
        for critic in (online, target)
        for name, net in critic.networks.items()
    }
    ours = {tag: rho.item() for critic in (online, target) for tag, rho in adaptation.readings(critic).items()}
    assert ours == pytest.approx(exact, rel=1e-3)
    if tau < 1:
        assert exact["optim/rho/critic.qf0"] != pytest.approx(exact["optim/rho/critic_target.qf0"], rel=5e-3)


def test_a_deep_copy_divides_by_its_own_norms(optim: Any) -> None:
    critic = relu_critic(optim)
    DivOut().apply(critic)
    twin = copy.deepcopy(critic)
    before = outputs(optim, critic)
    with torch.no_grad():  # a ReLU layer twice as large: its output doubles, and so does rho
        for name in ("weight", "bias"):
            for net in twin.networks.values():
                getattr(net[2], name).mul_(2)
                net[4].bias.mul_(2 if name == "bias" else 1)
    np.testing.assert_allclose(outputs(optim, twin), before, rtol=1e-12)
    assert (outputs(optim, critic) == before).all()


def test_state_is_saved_with_the_network_and_no_parameter_is_added(optim: Any) -> None:
    critic = relu_critic(optim)
    net = critic.networks["qf0"]
    parameters = {name: id(p) for name, p in net.named_parameters()}
    DivOut().apply(critic)
    assert {name: id(p) for name, p in net.named_parameters()} == parameters
    saved = {name for name in net.state_dict() if "div_out" in name}
    assert saved == {"4.div_out._extra_state", *(f"4.div_out.estimates.0.{name}" for name in ("u", "v", "block"))}
    learn(optim, DivOut(), critic, copy.deepcopy(critic), tau=0.005, steps=5)
    fresh = relu_critic(optim)
    DivOut().apply(fresh)
    for name, trained in critic.networks.items():
        fresh.networks[name].load_state_dict(trained.state_dict())
    assert (outputs(optim, fresh) == outputs(optim, critic)).all()


def test_other_activations_are_warned_about_once(optim: Any) -> None:
    """For the online critic; LayerNorm is no better than tanh. ReLU, LeakyReLU and Identity pass."""
    with pytest.warns(IneffectiveSetting) as warned:
        DivOut().apply(optim.critic(activation=nn.Tanh))
    for words in ("not equivalent to spectral normalization", "has Tanh;", "positively homogeneous",
                  "policy_kwargs: {activation_fn: relu}"):  # fmt: skip
        assert words in str(warned[0].message)
    assert len(warned) == 1
    normalized = relu_critic(optim)
    LayerNorm().apply(normalized)
    with pytest.warns(IneffectiveSetting, match="has LayerNorm;"):
        DivOut().apply(normalized)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for activation in (nn.ReLU, partial(nn.LeakyReLU, 0.3), nn.Identity):
            DivOut().apply(optim.critic(activation=activation))
        target = optim.critic(activation=nn.Tanh)
        target.name = "critic_target"
        DivOut().apply(target)


def test_what_cannot_work_is_refused(optim: Any) -> None:
    twice, normalized = relu_critic(optim), relu_critic(optim)
    DivOut().apply(twice)
    with pytest.raises(IncompatibleSetting, match="list it once"):
        DivOut(layers=(-3,)).apply(twice)
    SpectralNorm().apply(normalized)
    with pytest.raises(IncompatibleSetting, match="spectral_norm normalizes it"):
        DivOut().apply(normalized)
    DivOut(layers=(-3,)).apply(normalized)


def test_it_changes_no_step(optim: Any) -> None:
    player = optim.player(relu_critic(optim), torch.optim.Adam)
    assert not DivOut().adapts(player)
    assert not optim.descent(player, DivOut()).state.state_dict()
