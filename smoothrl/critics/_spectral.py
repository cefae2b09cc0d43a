"""The tensors behind `SpectralNorm`: a weight's spectral norm as an operator, and layers that divide by it.

`torch.nn.utils.parametrizations.spectral_norm` does not fit: it moves its state in forward passes, knows a convolution
by its reshaped kernel alone, and renames the weight in checkpoints.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from typing import Any, Literal, cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from smoothrl.critics._base import IncompatibleRegularizer

Estimator = Literal["power", "svd"]
_CONVOLUTIONS = {
    1: (F.conv1d, F.conv_transpose1d),
    2: (F.conv2d, F.conv_transpose2d),
    3: (F.conv3d, F.conv_transpose3d),
}

BLOCK = 8
"""Directions that power iteration follows. Neighbors of the leading one keep growing past it while a critic is trained;
a single direction turns to them slowly, and sigma comes out percents too small (benchmarks/sigma_tracking.py)."""


class LinearMap(ABC):
    """A layer's weight as the linear map x -> W x, on a batch of vectors: all that a power iteration asks of it."""

    @abstractmethod
    def forward(self, weight: Tensor, x: Tensor) -> Tensor:
        """W x for every x of a batch, (batch, *input) -> (batch, *output)."""

    @abstractmethod
    def adjoint(self, weight: Tensor, y: Tensor) -> Tensor:
        """W^T y for every y of a batch, (batch, *output) -> (batch, *input)."""

    @abstractmethod
    def leading(self, weight: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Exact: the leading left and right singular vector, and the first `BLOCK` right ones as a batch."""

    def inner(self, u: Tensor, weight: Tensor, v: Tensor) -> Tensor:
        """u^T W v, which is the spectral norm for the leading pair; differentiable in W."""
        return torch.dot(u.flatten(), self.forward(weight, v.unsqueeze(0)).flatten())

    def sigma(self, weight: Tensor) -> Tensor:
        """The spectral norm, exact."""
        u, v, _ = self.leading(weight)
        return self.inner(u, weight, v)


class MatrixMap(LinearMap):
    """The weight of a Linear layer, (out, in)."""

    def forward(self, weight: Tensor, x: Tensor) -> Tensor:
        return torch.mm(x, weight.t())

    def adjoint(self, weight: Tensor, y: Tensor) -> Tensor:
        return torch.mm(y, weight)

    def inner(self, u: Tensor, weight: Tensor, v: Tensor) -> Tensor:
        return torch.dot(u, torch.mv(weight, v))

    def leading(self, weight: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        u, _, vh = torch.linalg.svd(weight, full_matrices=False)
        return u[:, 0].contiguous(), vh[0].contiguous(), vh[:BLOCK].contiguous()

    def sigma(self, weight: Tensor) -> Tensor:
        return torch.linalg.matrix_norm(weight, 2)


class ConvolutionMap(LinearMap):
    """A convolution as the linear map between its real input and output, stride, padding and dilation included."""

    def __init__(self, layer: nn.Conv1d | nn.Conv2d | nn.Conv3d, input_size: torch.Size) -> None:
        if layer.padding_mode != "zeros" or isinstance(layer.padding, str):
            raise IncompatibleRegularizer(
                f"spectral_norm needs zero padding given in numbers, this convolution has padding={layer.padding!r}, "
                f"padding_mode={layer.padding_mode!r}"
            )
        self._convolve, self._transpose = _CONVOLUTIONS[len(layer.kernel_size)]
        self._input_shape = (layer.in_channels, *input_size)
        self._options: dict[str, Any] = dict(
            stride=layer.stride, padding=layer.padding, dilation=layer.dilation, groups=layer.groups
        )
        # Where the stride does not divide the padded input its last rows are never touched: there the adjoint is zero.
        self._output_padding = tuple(
            (size + 2 * p - d * (k - 1) - 1) % s
            for size, p, d, k, s in zip(
                input_size, layer.padding, layer.dilation, layer.kernel_size, layer.stride, strict=True
            )
        )

    def forward(self, weight: Tensor, x: Tensor) -> Tensor:
        return self._convolve(x, weight, **self._options)

    def adjoint(self, weight: Tensor, y: Tensor) -> Tensor:
        return self._transpose(y, weight, output_padding=self._output_padding, **self._options)

    def leading(self, weight: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Power iteration until sigma stands still; its own generator leaves the run's random stream alone."""
        generator = torch.Generator().manual_seed(0)
        block = _orthonormal(torch.randn(BLOCK, *self._input_shape, generator=generator).to(weight))
        sigma = weight.new_zeros(())
        for _ in range(10_000):
            u, v, block = _block_iteration(self, weight, block)
            before, sigma = sigma, self.inner(u, weight, v)
            if sigma - before <= 1e-6 * sigma:
                break
        return u, v, block


def _block_iteration(linear_map: LinearMap, weight: Tensor, block: Tensor, n: int = 1) -> tuple[Tensor, Tensor, Tensor]:
    """Block power iteration (subspace iteration) with a Rayleigh-Ritz step: (u, v, the block moved on).

    block <- orthonormal(W^T W block), `n` times; v is the block's best direction, the one with the largest ||W v||.
    """
    for _ in range(n):
        image = linear_map.forward(weight, block)
        previous, block = block, _orthonormal(linear_map.adjoint(weight, image))
    left, right = image.flatten(start_dim=1), previous.flatten(start_dim=1)
    best = _leading_eigenvector(left @ left.t())
    u, v = best @ left, best @ right
    return _unit(u).view(image.shape[1:]), v.view(block.shape[1:]), block


def _unit(x: Tensor) -> Tensor:
    return x / torch.linalg.vector_norm(x)


def _orthonormal(block: Tensor) -> Tensor:
    """A batch of vectors -> an orthonormal batch that spans the same space."""
    return torch.linalg.qr(block.flatten(start_dim=1).t()).Q.t().reshape(block.shape)


def _leading_eigenvector(gram: Tensor) -> Tensor:
    """Of a small positive semidefinite matrix: a column of its 1024th power, which has rank one but for eigenvalues
    closer than a percent to the first. `torch.linalg.eigh` would wait for the device, and raise on a NaN."""
    for _ in range(2):  # normalized in between, so that float32 neither overflows nor underflows
        gram = torch.linalg.matrix_power(_unit(gram), 32)
    return _unit(gram.index_select(1, gram.diagonal().argmax().reshape(1)).flatten())


class SpectralWeight(nn.Module):
    """W -> W_SN. Its u, v and block are buffers, saved with the model; the weight itself stays the layer's."""

    u: Tensor
    v: Tensor
    block: Tensor

    def __init__(self, linear_map: LinearMap, weight: Tensor, k: float, relaxed: bool, estimator: Estimator) -> None:
        super().__init__()
        self.linear_map, self.k, self.relaxed, self.estimator = linear_map, k, relaxed, estimator
        for name, buffer in zip(("u", "v", "block"), linear_map.leading(weight), strict=True):
            self.register_buffer(name, buffer)

    def forward(self, weight: Tensor) -> Tensor:
        sigma = self.linear_map.inner(self.u, weight, self.v)
        if self.relaxed:
            return weight / torch.clamp_min(sigma / self.k, 1.0)
        return weight * (self.k / sigma)

    @torch.no_grad()
    def advance(self, weight: Tensor, n_power_iterations: int) -> None:
        """Move u, v to the leading pair of `weight`, in place."""
        if self.estimator == "svd":
            self._set(*self.linear_map.leading(weight))
        else:
            self._set(*_block_iteration(self.linear_map, weight, self.block, n_power_iterations))

    def start_from(self, other: SpectralWeight) -> None:
        """Take over another weight's state. It is never averaged: an average of singular vectors is none."""
        self._set(other.u, other.v, other.block)

    def _set(self, u: Tensor, v: Tensor, block: Tensor) -> None:
        self.u.copy_(u)
        self.v.copy_(v)
        self.block.copy_(block)


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
    layers: Mapping[str, nn.Module], probe: Callable[[], None], k: float, relaxed: bool, estimator: Estimator
) -> None:
    """Turn every layer into its spectral form, in place: same object, same parameters.

    Raises:
        IncompatibleRegularizer: a layer is normalized already, is all zeros, or cannot be normalized as asked.
    """
    sizes = _input_sizes(layers, probe)
    for name, layer in layers.items():
        if type(layer) not in _SPECTRAL:
            raise IncompatibleRegularizer(
                f"layer {name} is a {type(layer).__name__}: spectral_norm takes plain Linear and Conv layers, each once"
            )
        weight = cast(nn.Parameter, layer.weight).detach()
        if not weight.any():
            raise IncompatibleRegularizer(f"layer {name} starts at zero: a zero weight has no direction to normalize")
        if name in sizes and estimator == "svd":
            raise IncompatibleRegularizer(
                f"estimator `svd` cannot normalize the convolution {name}: its operator is too large to decompose at "
                "every step; use estimator `power`"
            )
        linear_map = ConvolutionMap(cast(nn.Conv2d, layer), sizes[name]) if name in sizes else MatrixMap()
        layer.spectral = SpectralWeight(linear_map, weight, k, relaxed, estimator)
        layer.__class__ = _SPECTRAL[type(layer)]


def _input_sizes(layers: Mapping[str, nn.Module], probe: Callable[[], None]) -> dict[str, torch.Size]:
    """Spatial input size of every convolution among the layers, seen during one forward pass."""
    sizes: dict[str, torch.Size] = {}
    hooks = [
        layer.register_forward_pre_hook(lambda _, args, name=name: sizes.__setitem__(name, args[0].shape[2:]))
        for name, layer in layers.items()
        if isinstance(layer, (nn.Conv1d, nn.Conv2d, nn.Conv3d))
    ]
    if hooks:
        probe()
    for hook in hooks:
        hook.remove()
    return sizes
