"""The layers behind `SpectralNorm`: Linear and Conv layers that compute with W / sigma(W).

`torch.nn.utils.parametrizations.spectral_norm` does not fit: it moves its state in forward passes, knows a convolution
by its reshaped kernel alone, and renames the weight in checkpoints.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Literal, cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from smoothrl.linalg.operators import Convolution, ConvolutionMap, LinearMap, operators_of
from smoothrl.linalg.spectral_estimate import SpectralEstimate
from smoothrl.views import IncompatibleSetting

Estimator = Literal["power", "svd"]


class SpectralWeight(SpectralEstimate):
    """W -> W_SN."""

    def __init__(self, linear_map: LinearMap, weight: Tensor, k: float, relaxed: bool, estimator: Estimator) -> None:
        super().__init__(linear_map, weight)
        self.k, self.relaxed, self.estimator = k, relaxed, estimator

    def forward(self, weight: Tensor) -> Tensor:
        sigma = self.sigma(weight)
        if self.relaxed:
            return weight / torch.clamp_min(sigma / self.k, 1.0)
        return weight * (self.k / sigma)

    def follow(self, weight: Tensor, n_power_iterations: int) -> None:
        """Move u, v to the leading pair of `weight`, in place."""
        if self.estimator == "svd":
            self.decompose(weight)
        else:
            self.advance(weight, n_power_iterations)


class SpectralLayer(nn.Module):
    """A layer that computes with W_SN. `weight` stays the raw parameter, under its old name in checkpoints."""

    weight: Tensor
    spectral: SpectralWeight

    def effective_weight(self) -> Tensor:
        """W_SN"""
        return self.spectral.forward(self.weight)

    def effective_sigma(self) -> Tensor:
        """The spectral norm of W_SN, exact."""
        with torch.no_grad():
            return self.spectral.linear_map.sigma(self.effective_weight())


class SpectralLinear(SpectralLayer, nn.Linear):
    """A Linear layer with spectral normalization."""

    def forward(self, x: Tensor) -> Tensor:
        return F.linear(x, self.effective_weight(), self.bias)


class SpectralConv1d(SpectralLayer, nn.Conv1d):
    """A Conv1d layer with spectral normalization."""

    def forward(self, x: Tensor) -> Tensor:
        return self._conv_forward(x, self.effective_weight(), self.bias)


class SpectralConv2d(SpectralLayer, nn.Conv2d):
    """A Conv2d layer with spectral normalization."""

    def forward(self, x: Tensor) -> Tensor:
        return self._conv_forward(x, self.effective_weight(), self.bias)


class SpectralConv3d(SpectralLayer, nn.Conv3d):
    """A Conv3d layer with spectral normalization."""

    def forward(self, x: Tensor) -> Tensor:
        return self._conv_forward(x, self.effective_weight(), self.bias)


_SPECTRAL: dict[type[nn.Module], type[SpectralLayer]] = {
    nn.Linear: SpectralLinear,
    nn.Conv1d: SpectralConv1d,
    nn.Conv2d: SpectralConv2d,
    nn.Conv3d: SpectralConv3d,
}


def normalize(
    layers: Mapping[str, nn.Module],
    probe: Callable[[], None],
    k: float,
    relaxed: bool,
    estimator: Estimator,
    convolution: Convolution = "operator",
) -> None:
    """Turn every layer into its spectral form, in place: same object, same parameters.

    Raises:
        IncompatibleSetting: a layer is normalized already, is all zeros, or cannot be normalized as asked.
    """
    for name, layer in layers.items():
        if type(layer) not in _SPECTRAL:
            raise IncompatibleSetting(
                f"layer {name} is a {type(layer).__name__}: spectral_norm takes plain Linear and Conv layers, each once"
            )
        if not cast(nn.Parameter, layer.weight).any():
            raise IncompatibleSetting(f"layer {name} starts at zero: a zero weight has no direction to normalize")
    for name, linear_map in operators_of(layers, probe, convolution).items():
        layer = layers[name]
        if isinstance(linear_map, ConvolutionMap) and estimator == "svd":
            raise IncompatibleSetting(
                f"estimator `svd` cannot normalize the convolution {name}: its operator is too large to decompose at "
                "every step; use estimator `power`"
            )
        layer.spectral = SpectralWeight(linear_map, cast(nn.Parameter, layer.weight), k, relaxed, estimator)
        layer.__class__ = _SPECTRAL[type(layer)]
