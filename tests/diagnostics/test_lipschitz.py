"""Lipschitz bounds: closed forms on linear critics, finite differences, and upper >= lower on the networks of SB3."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from gymnasium import spaces
from stable_baselines3.common.policies import ActorCriticPolicy, ContinuousCritic
from stable_baselines3.common.torch_layers import FlattenExtractor, NatureCNN
from stable_baselines3.dqn.policies import QNetwork
from torch import Tensor, nn

from smoothrl.agents._critic_views import DiscreteQView, QView, VView
from smoothrl.critics import LayerNorm, SpectralNorm
from smoothrl.diagnostics import Lipschitz
from smoothrl.diagnostics._activations import ACTIVATIONS, factor
from smoothrl.optim.div_out import DivOut
from smoothrl.views import CriticBatch

VECTOR = spaces.Box(-5, 5, (3,), np.float32)
IMAGE = spaces.Box(0, 255, (1, 36, 36), np.uint8)
ACTION = spaces.Box(-1, 1, (2,), np.float32)
N = 64


def values(tags: dict[str, Tensor]) -> dict[str, float]:
    assert all(value.shape == () for value in tags.values())
    return {tag: value.item() for tag, value in tags.items()}


def test_a_linear_critic_is_its_matrix(build: Any) -> None:
    """Every quantity has a closed form, and the two bounds differ by what the product of norms loses."""
    probe = build(hidden=[4], activation=nn.Identity, n_critics=2)
    found = values(Lipschitz().measure(probe))
    rows = []
    for name, net in probe.critic.networks.items():
        first, second = net[0].weight.detach().numpy(), net[2].weight.detach().numpy()
        sigmas = [np.linalg.svd(w, compute_uv=False)[0] for w in (first, second)]
        assert found[f"smoothness/sigma/critic/{name}.0"] == pytest.approx(sigmas[0])
        assert found[f"smoothness/sigma/critic/{name}.2"] == pytest.approx(sigmas[1])
        assert found[f"smoothness/lipschitz_upper/{name}"] == pytest.approx(sigmas[0] * sigmas[1])
        rows.append((second @ first)[0])
    obs, action = np.array([row[:3] for row in rows]), np.array([row[3:] for row in rows])
    for side, slopes in {"obs": obs, "action": action}.items():
        norms = np.linalg.norm(slopes, axis=1)
        assert found[f"smoothness/lipschitz_lower_{side}"] == pytest.approx(norms.max())
        assert found[f"smoothness/slope_{side}"] == pytest.approx(norms.mean())
    assert found["smoothness/geometric_complexity"] == pytest.approx(np.square(rows).sum(axis=1).mean())


@pytest.mark.parametrize("takes_action", [True, False])
def test_slopes_are_finite_differences(build: Any, takes_action: bool) -> None:
    probe = build(takes_action=takes_action)
    found = values(Lipschitz().measure(probe))
    x = probe.batch.observations
    x = (x if probe.batch.actions is None else torch.cat([x, probe.batch.actions], dim=1)).numpy()
    gradients = np.zeros((2, *x.shape))
    for i, net in enumerate(probe.critic.networks.values()):
        for j in range(x.shape[1]):
            step = np.eye(x.shape[1])[j] * 1e-6
            with torch.no_grad():
                ahead, behind = net(torch.tensor(x + step)), net(torch.tensor(x - step))
            gradients[i, :, j] = ((ahead - behind) / 2e-6)[:, 0]
    sides = {"obs": gradients[..., :3], "action": gradients[..., 3:]}
    for side in sides if takes_action else ["obs"]:
        norms = np.linalg.norm(sides[side], axis=2)
        assert found[f"smoothness/lipschitz_lower_{side}"] == pytest.approx(norms.max(), rel=1e-6)
        assert found[f"smoothness/slope_{side}"] == pytest.approx(norms.mean(), rel=1e-6)
    complexity = np.square(gradients).sum(axis=2).mean()
    assert found["smoothness/geometric_complexity"] == pytest.approx(complexity, rel=1e-6)
    assert ("smoothness/slope_action" in found) == takes_action


@pytest.mark.parametrize("kind", ACTIVATIONS)
def test_the_constant_of_an_activation_is_its_steepest_slope(kind: type[nn.Module]) -> None:
    """Never below it, or the product would be no bound; and no more than a rounded digit above."""
    variants = {nn.ELU: [{"alpha": 0.5}, {"alpha": 2.0}], nn.LeakyReLU: [{}, {"negative_slope": 1.5}]}
    options: list[dict[str, Any]] = variants.get(kind, [{}])
    if kind is nn.GELU:
        options = [{"approximate": "tanh"}]
    for option in options:
        x = torch.linspace(-12, 12, 2_400_002, dtype=torch.float64, requires_grad=True)
        module = kind(**option)
        (slopes,) = torch.autograd.grad(module(x).sum(), x)
        constant, steepest = factor(module), slopes.abs().max().item()
        assert constant is not None
        assert steepest <= constant + 1e-12
        assert constant == pytest.approx(steepest, rel=1e-4)


def test_the_exact_gelu_stays_below_the_constant_too() -> None:
    steepest = (1 + torch.erf(torch.tensor(1.0)).item()) / 2 + np.exp(-1) / np.sqrt(np.pi)  # at sqrt(2)
    assert steepest == pytest.approx(1.1289042, abs=1e-6)
    assert steepest <= factor(nn.GELU())  # type: ignore[operator]


def sb3(view: Any, observations: Tensor, actions: Tensor | None) -> Any:
    return SimpleNamespace(critic=view, batch=CriticBatch(observations, actions, None))


def q_probe(observation: spaces.Box = VECTOR, activation: type[nn.Module] = nn.ReLU, shared: bool = False) -> Any:
    torch.manual_seed(0)
    extractor: Any = NatureCNN(observation, 16) if observation is IMAGE else FlattenExtractor(observation)
    critic = ContinuousCritic(
        observation, ACTION, [32, 32], extractor, extractor.features_dim, activation_fn=activation,
        share_features_extractor=shared,
    )  # fmt: skip
    return sb3(QView("critic", critic.eval(), shared), points(observation), torch.rand(N, 2) * 2 - 1)


def v_probe(observation: spaces.Box = VECTOR, activation: type[nn.Module] = nn.Tanh, shared: bool = True) -> Any:
    torch.manual_seed(0)
    options: Any = {"features_extractor_class": NatureCNN} if observation is IMAGE else {}
    policy = ActorCriticPolicy(
        observation, ACTION, lambda _: 1e-3, [32, 32], activation, share_features_extractor=shared, **options
    )
    return sb3(VView("critic", policy.eval()), points(observation), None)


def dqn_probe(observation: spaces.Box = VECTOR, activation: type[nn.Module] = nn.ReLU) -> Any:
    torch.manual_seed(0)
    extractor: Any = NatureCNN(observation, 16) if observation is IMAGE else FlattenExtractor(observation)
    net = QNetwork(observation, spaces.Discrete(3), extractor, extractor.features_dim, [32, 32], activation)  # type: ignore[arg-type]
    return sb3(DiscreteQView("critic", net.eval()), points(observation), torch.randint(3, (N, 1)))


def points(observation: spaces.Box) -> Tensor:
    if observation is IMAGE:
        return torch.randint(256, (N, *IMAGE.shape), dtype=torch.uint8)
    return torch.randn(N, 3)


@pytest.mark.parametrize("activation", [nn.ReLU, nn.Tanh, nn.SiLU, nn.GELU, nn.SELU, nn.LeakyReLU, nn.Softplus])
@pytest.mark.parametrize("probe", [q_probe, v_probe, dqn_probe])
def test_upper_bound_is_above_the_slopes_of_real_networks(probe: Any, activation: type[nn.Module]) -> None:
    bounds_hold(probe(activation=activation))


@pytest.mark.parametrize("probe", [q_probe, dqn_probe, lambda observation: v_probe(observation, shared=False)])
def test_upper_bound_is_above_the_slopes_of_image_networks(probe: Any) -> None:
    bounds_hold(probe(IMAGE))


def bounds_hold(probe: Any) -> None:
    found = values(Lipschitz().measure(probe))
    upper = [found[f"smoothness/lipschitz_upper/{network}"] for network in probe.critic.parts]
    lower = [value for tag, value in found.items() if tag.startswith("smoothness/lipschitz_lower")]
    assert 0 < max(lower) <= max(upper)
    assert found["smoothness/geometric_complexity"] <= max(upper) ** 2
    for side in ("obs", "action"):
        if f"smoothness/slope_{side}" in found:
            assert found[f"smoothness/slope_{side}"] <= found[f"smoothness/lipschitz_lower_{side}"]
    layers = {name for branch in probe.critic.branches.values() for name, _ in branch}
    assert {tag.removeprefix("smoothness/sigma/critic/") for tag in found if "/sigma/" in tag} == layers


def test_a_weak_features_extractor_does_not_lower_the_bound_in_the_action() -> None:
    """The action joins behind the extractor: that one's small constant has no part in its slope."""
    probe = q_probe(IMAGE)
    with torch.no_grad():
        for p in probe.critic.model.features_extractor.parameters():
            p.mul_(1e-3)
    found = values(Lipschitz().measure(probe))
    assert found["smoothness/lipschitz_lower_obs"] < 1e-6
    assert found["smoothness/lipschitz_lower_action"] <= max(
        found["smoothness/lipschitz_upper/qf0"], found["smoothness/lipschitz_upper/qf1"]
    )


def test_a_normalized_layer_counts_with_the_weight_it_computes_with() -> None:
    probe = q_probe()
    SpectralNorm(layers=(-2, -1), lipschitz_k=0.5).apply(probe.critic)
    found = values(Lipschitz().measure(probe))
    first = probe.critic.model.q_networks[0][0].weight.detach().numpy()
    assert found["smoothness/sigma/critic/qf0.2"] == pytest.approx(0.5, rel=1e-4)
    assert found["smoothness/sigma/critic/qf0.0"] == pytest.approx(np.linalg.svd(first)[1][0], rel=1e-5)
    expected = 0.25 * np.linalg.svd(first)[1][0]
    assert found["smoothness/lipschitz_upper/qf0"] == pytest.approx(expected, rel=1e-4)


class Divided(nn.Module):
    """A forward hook that divides what its layer returns, and says so."""

    def forward(self, layer: nn.Module, args: Any, output: Tensor) -> Tensor:
        del layer, args
        return output / 4

    def lipschitz_factor(self) -> Tensor:
        return torch.tensor(0.25)


def test_a_hook_that_divides_the_output_divides_the_bound() -> None:
    probe = q_probe(activation=nn.ReLU)
    plain = values(Lipschitz().measure(probe))
    for net in probe.critic.model.q_networks:
        net[-1].divided = Divided()
        net[-1].register_forward_hook(net[-1].divided)
    divided = values(Lipschitz().measure(probe))
    for tag in ("upper/qf0", "upper/qf1", "lower_obs", "lower_action"):
        assert divided[f"smoothness/lipschitz_{tag}"] == pytest.approx(plain[f"smoothness/lipschitz_{tag}"] / 4)
    assert divided["smoothness/sigma/critic/qf0.4"] == plain["smoothness/sigma/critic/qf0.4"]


@pytest.mark.parametrize("clip", [False, True])
def test_a_critic_with_div_out_has_its_bound_divided_by_rho(clip: bool) -> None:
    probe = q_probe()
    plain = values(Lipschitz().measure(probe))
    DivOut(layers=(-2, -3), clip=clip).apply(probe.critic)
    bounds_hold(probe)
    found = values(Lipschitz().measure(probe))
    for network in ("qf0", "qf1"):
        sigmas = [plain[f"smoothness/sigma/critic/{network}.{layer}"] for layer in (0, 2)]
        rho = np.prod([max(sigma, 1.0) for sigma in sigmas] if clip else sigmas)
        tag = f"smoothness/lipschitz_upper/{network}"
        assert found[tag] == pytest.approx(plain[tag] / rho, rel=1e-4)


def test_a_critic_with_layer_norm_has_no_bound() -> None:
    probe = q_probe()
    LayerNorm().apply(probe.critic)
    assert not [tag for tag in Lipschitz().measure(probe) if "upper" in tag]


class Residual(nn.Module):
    """Not a chain: what goes around its layer is seen by no module."""

    def __init__(self) -> None:
        super().__init__()
        self.inner = nn.Linear(4, 4).double()

    def forward(self, x: Tensor) -> Tensor:
        return x + self.inner(x)


@pytest.mark.parametrize(
    "unknown", [nn.LayerNorm(4).double(), Residual(), nn.Dropout(0.5), nn.Softmax(dim=1), nn.Linear(4, 4).double()]
)
def test_no_bound_where_a_constant_is_unknown(build: Any, unknown: nn.Module) -> None:
    net = nn.Sequential(nn.Linear(5, 4), nn.Tanh(), unknown, nn.Linear(4, 1)).double()
    probe = build(networks={"qf0": net})
    if isinstance(unknown, nn.Linear):  # a hook that does not say what it does
        unknown.register_forward_hook(lambda layer, args, output: 2 * output)
    with torch.random.fork_rng():
        found = Lipschitz().measure(probe)
    assert not [tag for tag in found if tag.startswith("smoothness/lipschitz_upper")]
    assert {"smoothness/sigma/critic/qf0.0", "smoothness/sigma/critic/qf0.3", "smoothness/slope_obs"} <= set(found)


def test_dropout_is_the_identity_in_evaluation_mode(build: Any) -> None:
    net = nn.Sequential(nn.Linear(5, 4), nn.Dropout(0.5), nn.Linear(4, 1)).double().eval()
    sigmas = [np.linalg.svd(net[i].weight.detach().numpy())[1][0] for i in (0, 2)]  # type: ignore[union-attr]
    found = Lipschitz().measure(build(networks={"qf0": net}))
    assert found["smoothness/lipschitz_upper/qf0"].item() == pytest.approx(sigmas[0] * sigmas[1])


def test_what_the_critic_does_not_show_is_left_out() -> None:
    """A shared extractor hides the way from the observation; SB3 cuts its gradient for Q functions."""
    q = Lipschitz().measure(q_probe(IMAGE, shared=True))
    assert {tag.split("/")[1] for tag in q} == {"sigma", "lipschitz_lower_action", "slope_action"}
    v = Lipschitz().measure(v_probe(IMAGE, shared=True))
    slopes = {"lipschitz_lower_obs", "slope_obs", "geometric_complexity"}
    assert {tag.split("/")[1] for tag in v} == {"sigma", *slopes}


def test_a_convolution_with_unknown_padding_is_left_out(build: Any) -> None:
    probe = q_probe(IMAGE)
    conv = probe.critic.model.features_extractor.cnn[0]
    conv.padding_mode = "circular"
    found = Lipschitz().measure(probe)
    assert "smoothness/sigma/critic/features_extractor.cnn.0" not in found
    assert "smoothness/sigma/critic/features_extractor.cnn.2" in found
    assert not [tag for tag in found if "upper" in tag]


def test_weights_that_are_not_finite_give_nan_and_no_error(build: Any) -> None:
    probe = build()
    with torch.no_grad():
        probe.critic.networks["qf0"][0].weight[0, 0] = torch.inf
    found = values(Lipschitz().measure(probe))
    assert np.isnan(found["smoothness/sigma/critic/qf0.0"])
    assert np.isnan(found["smoothness/lipschitz_upper/qf0"])
    assert np.isfinite(found["smoothness/lipschitz_upper/qf1"])
