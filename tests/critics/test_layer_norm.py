"""LayerNorm inside SB3's critics, against NumPy."""

from __future__ import annotations

import copy
from typing import Any

import numpy as np
import pytest
import torch
from gymnasium import spaces
from pydantic import TypeAdapter, ValidationError
from stable_baselines3.common.policies import ContinuousCritic
from stable_baselines3.common.torch_layers import FlattenExtractor, NatureCNN
from stable_baselines3.common.utils import polyak_update
from torch import nn

from smoothrl.agents._critic_views import QView
from smoothrl.critics import IncompatibleSetting, LayerNorm, SpectralNorm

OBSERVATION = spaces.Box(-1, 1, (3,), np.float32)
ACTION = spaces.Box(-1, 1, (2,), np.float32)


def view(net_arch: tuple[int, ...] = (6, 5), image: bool = False, shared: bool = False, seed: int = 0) -> QView:
    torch.manual_seed(seed)
    observation = spaces.Box(0, 255, (1, 36, 36), np.uint8) if image else OBSERVATION
    extractor = NatureCNN(observation, features_dim=8) if image else FlattenExtractor(observation)
    critic = ContinuousCritic(observation, ACTION, list(net_arch), extractor, extractor.features_dim, n_critics=2)
    return QView("critic", critic, shared)


def values(critic: QView, seed: int = 1) -> np.ndarray:
    generator = torch.Generator().manual_seed(seed)
    x, actions = torch.randn(7, 3, generator=generator), torch.rand(7, 2, generator=generator)
    with torch.no_grad():
        return torch.cat(list(critic.values({"": x}, actions)), dim=1).numpy()


def by_numpy(critic: QView, normalized: tuple[int, ...], eps: float, gain: float, bias: float) -> np.ndarray:
    """The same networks without torch: ReLU between Linear layers, those at `normalized` followed by LN."""
    generator = torch.Generator().manual_seed(1)
    x = torch.cat([torch.randn(7, 3, generator=generator), torch.rand(7, 2, generator=generator)], dim=1).numpy()
    columns = []
    for layers in critic.branches.values():
        y = x
        for i, (_, layer) in enumerate(layers):
            y = y @ layer.weight.detach().numpy().T + layer.bias.detach().numpy()
            if i - len(layers) in normalized:
                y = gain * (y - y.mean(axis=1, keepdims=True)) / np.sqrt(y.var(axis=1, keepdims=True) + eps) + bias
            if i < len(layers) - 1:
                y = np.maximum(y, 0)
        columns.append(y)
    return np.concatenate(columns, axis=1)


@pytest.mark.parametrize(
    ("layers", "normalized"), [(None, (-2, -3)), ((-2,), (-2,)), ((-3,), (-3,)), ((-2, -3), (-2, -3))]
)
@pytest.mark.parametrize("eps", [1e-5, 0.3])
def test_values_are_those_of_the_equation(layers: Any, normalized: tuple[int, ...], eps: float) -> None:
    critic = view()
    LayerNorm(layers=layers, eps=eps).apply(critic)
    for module in critic.model.modules():
        if isinstance(module, nn.LayerNorm):
            nn.init.constant_(module.weight, 1.5)
            nn.init.constant_(module.bias, 0.25)
    np.testing.assert_allclose(values(critic), by_numpy(critic, normalized, eps, 1.5, 0.25), rtol=1e-4, atol=1e-5)


def test_gain_and_bias_are_learned_if_asked_for() -> None:
    """New parameters, the critic's own: an optimizer finds them in its view and the policy in its checkpoint."""
    affine, fixed, plain = view(), view(), view()
    LayerNorm().apply(affine)
    LayerNorm(affine=False).apply(fixed)
    names = {f"qf{i}.{layer}.layer_norm.{p}" for i in (0, 1) for layer in (0, 2) for p in ("weight", "bias")}
    assert set(affine.model.state_dict()) - set(plain.model.state_dict()) == names
    assert set(fixed.model.state_dict()) == set(plain.model.state_dict())
    assert len(affine.parameters()["qf0"]) == len(plain.parameters()["qf0"]) + 4
    sum(value.sum() for value in affine.values({"": torch.ones(2, 3)}, torch.ones(2, 2))).backward()
    assert all(p.grad is not None and p.grad.any() for name, p in affine.model.named_parameters() if name in names)


def test_the_target_starts_equal_and_is_averaged() -> None:
    online, target = view(), view()
    for critic in (online, target):
        LayerNorm().apply(critic)
    assert (values(online) == values(target)).all()
    with torch.no_grad():
        for p in online.model.parameters():
            p.add_(1.0)
    polyak_update(online.model.parameters(), target.model.parameters(), 0.25)
    gain = target.model.state_dict()["qf0.0.layer_norm.weight"]
    np.testing.assert_allclose(gain, 1 + 0.25, rtol=1e-6)


@pytest.mark.parametrize("order", [(0, 1), (1, 0)])
def test_combines_with_spectral_norm_in_either_order(order: tuple[int, int]) -> None:
    critic = view()
    regularizers = [LayerNorm(layers=(-2,)), SpectralNorm(layers=(-2,))]
    for i in order:
        regularizers[i].apply(critic)
    for _, layer in (critic.branches[name][-2] for name in critic.branches):
        weight = layer.weight.detach().numpy()
        layer.weight.data /= np.linalg.svd(weight, compute_uv=False)[0]  # by hand: then SpectralNorm divides by 1
    np.testing.assert_allclose(values(critic), by_numpy(critic, (-2,), 1e-5, 1.0, 0.0), rtol=1e-4, atol=1e-5)


def test_a_deep_copy_has_its_own() -> None:
    critic = view()
    LayerNorm().apply(critic)
    before, twin = values(critic), copy.deepcopy(critic)
    for module in twin.model.modules():
        if isinstance(module, nn.LayerNorm):
            nn.init.zeros_(module.weight)
    assert np.ptp(values(twin)[:, 0]) < 1e-6  # constant: nothing passes a gain of zero
    assert (values(critic) == before).all()


def test_a_cnn_is_normalized_in_its_linear_layers() -> None:
    """By default; a layer that the Q networks share is normalized once, convolutions never."""
    critic = view(image=True)
    LayerNorm().apply(critic)
    normalized = {name for name, module in critic.model.named_modules() if isinstance(module, nn.LayerNorm)}
    expected = {"features_extractor.linear.0", *(f"qf{i}.{layer}" for i in (0, 1) for layer in (0, 2))}
    assert normalized == {f"{name}.layer_norm" for name in expected}
    with pytest.raises(IncompatibleSetting, match=r"features_extractor.cnn.4, a Conv2d.*leave the index out"):
        LayerNorm(layers=(-5,)).check(critic)


def test_what_cannot_be_normalized_is_refused() -> None:
    twice = view()
    LayerNorm(layers=(-2,)).apply(twice)
    with pytest.raises(IncompatibleSetting, match=r"qf0.2 has a layer_norm already"):
        LayerNorm().apply(twice)
    with pytest.raises(IncompatibleSetting, match=r"cannot normalize qf0.4, an output layer.*use layers -2"):
        LayerNorm(layers=(-1, -2)).check(view())
    with pytest.raises(IncompatibleSetting, match=r"no Linear layer but its output.*policy_kwargs net_arch"):
        LayerNorm().check(view(net_arch=()))
    with pytest.raises(IncompatibleSetting, match="layer -4 does not exist"):
        LayerNorm(layers=(-4,)).check(view())


def test_settings() -> None:
    """A list from a config is a tuple; what is no layer is refused."""
    section = TypeAdapter(LayerNorm)
    assert section.validate_json('{"layers": [-2, -3]}').layers == (-2, -3)
    assert section.validate_json('{"layers": null}').layers is None
    for options in ({"layers": (1,)}, {"layers": ()}, {"eps": 0.0}, {"affine": 1}):
        with pytest.raises(ValidationError, match=next(iter(options))):
            LayerNorm(**options)
