"""A layer's weight as a linear operator, and block power iteration for its spectral norm."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from typing import Any, ClassVar, Literal, cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from smoothrl.views import IncompatibleSetting

LAYERS = (nn.Linear, nn.Conv1d, nn.Conv2d, nn.Conv3d)
"""The layers that are linear maps with a weight: what layer indices count."""
Convolution = Literal["operator", "reshaped"]
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

    iterations: ClassVar[int] = 1
    """Block power iterations that make up one step of an estimate."""

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


class ReshapedMap(MatrixMap):
    """A convolution's kernel reshaped to the matrix (out, in * kernel size), as Miyato et al. normalize it.

    Its norm is not the operator's: that can be larger, so a bound on this one bounds nothing by itself.
    """

    def forward(self, weight: Tensor, x: Tensor) -> Tensor:
        return super().forward(weight.flatten(start_dim=1), x)

    def adjoint(self, weight: Tensor, y: Tensor) -> Tensor:
        return super().adjoint(weight.flatten(start_dim=1), y)

    def inner(self, u: Tensor, weight: Tensor, v: Tensor) -> Tensor:
        return super().inner(u, weight.flatten(start_dim=1), v)

    def leading(self, weight: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        return super().leading(weight.flatten(start_dim=1))

    def sigma(self, weight: Tensor) -> Tensor:
        return super().sigma(weight.flatten(start_dim=1))


class ConvolutionMap(LinearMap):
    """A convolution as the linear map between its real input and output, stride, padding and dilation included."""

    # The first singular values of a convolution lie within a percent or two of each other, those outside the block
    # included: one iteration a step leaves sigma up to 3 % short, four up to 0.5 %.
    iterations = 4

    def __init__(self, layer: nn.Conv1d | nn.Conv2d | nn.Conv3d, input_size: torch.Size) -> None:
        if layer.padding_mode != "zeros" or isinstance(layer.padding, str):
            raise IncompatibleSetting(
                "the norm of a convolution's operator needs zero padding given in numbers, this one has "
                f"padding={layer.padding!r}, padding_mode={layer.padding_mode!r}"
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
            u, v, block = block_iteration(self, weight, block)
            before, sigma = sigma, self.inner(u, weight, v)
            if sigma - before <= 1e-6 * sigma:
                break
        return u, v, block


def block_iteration(linear_map: LinearMap, weight: Tensor, block: Tensor, n: int = 1) -> tuple[Tensor, Tensor, Tensor]:
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


def operators_of(
    layers: Mapping[str, nn.Module], probe: Callable[[], None], convolution: Convolution = "operator"
) -> dict[str, LinearMap]:
    """The linear map of each Linear or Conv layer.

    Args:
        layers: by name.
        probe: runs one forward pass through them, which shows the input size of the convolutions.
        convolution: a Conv layer by its true operator at that size, or by its reshaped kernel.

    Raises:
        IncompatibleSetting: a convolution's padding has no operator here.
    """
    convolutions = {name: layer for name, layer in layers.items() if not isinstance(layer, nn.Linear)}
    if convolution == "reshaped":
        return {name: ReshapedMap() if name in convolutions else MatrixMap() for name in layers}
    sizes = _input_sizes(convolutions, probe)
    return {
        name: ConvolutionMap(cast(nn.Conv2d, layer), sizes[name]) if name in sizes else MatrixMap()
        for name, layer in layers.items()
    }


def _input_sizes(convolutions: Mapping[str, nn.Module], probe: Callable[[], None]) -> dict[str, torch.Size]:
    """Spatial input size of every convolution, seen during one forward pass."""
    sizes: dict[str, torch.Size] = {}
    hooks = [
        layer.register_forward_pre_hook(lambda _, args, name=name: sizes.__setitem__(name, args[0].shape[2:]))
        for name, layer in convolutions.items()
    ]
    if hooks:
        probe()
    for hook in hooks:
        hook.remove()
    return sizes
