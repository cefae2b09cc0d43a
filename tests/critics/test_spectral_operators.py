"""The linear maps behind spectral normalization, against dense matrices and NumPy's SVD."""

from __future__ import annotations

import copy
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from smoothrl.critics import IncompatibleSetting
from smoothrl.critics._spectral import SpectralWeight, normalize
from smoothrl.linalg.operators import ConvolutionMap, MatrixMap, _leading_eigenvector

torch.manual_seed(0)
CONVOLUTIONS: list[tuple[nn.Module, tuple[int, ...]]] = [
    (nn.Conv2d(2, 3, 3), (7, 6)),
    (nn.Conv2d(2, 3, 3, stride=2), (8, 7)),  # the last row is never touched
    (nn.Conv2d(2, 4, 3, stride=2, padding=1), (8, 8)),
    (nn.Conv2d(4, 4, 3, padding=2, dilation=2, groups=2), (6, 6)),
    (nn.Conv2d(1, 3, 4, stride=3, padding=1), (9, 11)),
    (nn.Conv1d(2, 3, 4, stride=2, padding=1), (11,)),
    (nn.Conv3d(1, 2, 2, stride=2), (4, 5, 4)),
]


def dense(layer: Any, size: tuple[int, ...]) -> np.ndarray:
    """The operator's matrix, one basis vector at a time, through the layer itself."""
    basis = torch.eye(layer.in_channels * int(np.prod(size)), dtype=torch.float64)
    images = basis.reshape(-1, layer.in_channels, *size)
    with torch.no_grad():
        columns = layer.double()(images) - layer(torch.zeros_like(images[:1]))  # without bias
    return columns.flatten(1).T.numpy()


@pytest.mark.parametrize(("layer", "size"), CONVOLUTIONS, ids=lambda x: str(x))
def test_convolution_is_its_dense_matrix(layer: Any, size: tuple[int, ...]) -> None:
    """Catches a wrong adjoint (output padding, groups) and the reshaped kernel passed off as the operator."""
    torch.manual_seed(0)
    matrix = dense(layer, size)
    linear_map = ConvolutionMap(layer, torch.Size(size))
    x = torch.randn(1, layer.in_channels, *size, dtype=torch.float64)
    y = linear_map.forward(layer.weight.detach(), x)
    np.testing.assert_allclose(y.flatten(), matrix @ x.flatten().numpy(), rtol=1e-10, atol=1e-12)
    z = torch.randn_like(y)
    np.testing.assert_allclose(
        linear_map.adjoint(layer.weight.detach(), z).flatten(), matrix.T @ z.flatten().numpy(), rtol=1e-10, atol=1e-12
    )
    sigma = np.linalg.svd(matrix, compute_uv=False)[0]
    assert linear_map.sigma(layer.weight.detach()).item() == pytest.approx(sigma, rel=1e-3)


def test_normalized_convolution_has_operator_norm_k() -> None:
    torch.manual_seed(0)
    layer = nn.Conv2d(3, 8, 4, stride=2, padding=1)
    image = torch.zeros(1, 3, 12, 12)
    normalize({"conv": layer}, lambda: layer(image), k=2.0, relaxed=False, estimator="power")
    matrix = dense(layer, (12, 12))
    assert np.linalg.svd(matrix, compute_uv=False)[0] == pytest.approx(2.0, rel=1e-3)


@pytest.mark.parametrize("estimator", ["power", "svd"])
@pytest.mark.parametrize(("layer", "size"), CONVOLUTIONS, ids=lambda x: str(x))
def test_a_reshaped_kernel_is_normalized_as_a_matrix(layer: Any, size: tuple[int, ...], estimator: Any) -> None:
    """By the norm of its (out, in * kernel) matrix, while it learns. That is the operator's only where the kernel's
    windows do not overlap."""
    torch.manual_seed(0)
    conv = copy.deepcopy(layer).double()
    conv.reset_parameters()
    overlap = any(k > s for k, s in zip(conv.kernel_size, conv.stride, strict=True))
    image = torch.zeros(1, conv.in_channels, *size, dtype=torch.float64)
    normalize({"conv": conv}, lambda: conv(image), 2.0, relaxed=False, estimator=estimator, convolution="reshaped")
    for _ in range(3):
        kernel = conv.effective_weight().detach().flatten(1).numpy()
        assert np.linalg.svd(kernel, compute_uv=False)[0] == pytest.approx(2.0, rel=1e-3)
        assert (np.linalg.svd(dense(conv, size), compute_uv=False)[0] != pytest.approx(2.0, rel=0.01)) == overlap
        with torch.no_grad():
            conv.weight.add_(0.02 * torch.randn_like(conv.weight))
        for _ in range(10):
            conv.spectral.follow(conv.weight, 1)


def test_the_reshaped_kernel_bounds_nothing() -> None:
    """A 3 x 3 kernel of ones has the matrix norm 3, and an operator norm near 9."""
    conv = nn.Conv2d(1, 1, 3, padding=1, bias=False).double()
    nn.init.ones_(conv.weight)
    image = torch.zeros(1, 1, 20, 20, dtype=torch.float64)
    normalize({"conv": conv}, lambda: conv(image), 1.0, relaxed=False, estimator="svd", convolution="reshaped")
    assert conv.effective_sigma().item() == pytest.approx(1.0)
    assert np.linalg.svd(dense(conv, (20, 20)), compute_uv=False)[0] > 2.9


@pytest.mark.parametrize("relaxed", [False, True])
@pytest.mark.parametrize("gain", [0.1, 3.0])
def test_sigma_is_what_the_mode_defines(relaxed: bool, gain: float) -> None:
    torch.manual_seed(0)
    weight = gain * torch.randn(30, 20, dtype=torch.float64) / 10
    raw = np.linalg.svd(weight.numpy(), compute_uv=False)[0]
    normalized = SpectralWeight(MatrixMap(), weight, k=1.5, relaxed=relaxed, estimator="power").forward(weight)
    expected = min(raw, 1.5) if relaxed else 1.5
    assert np.linalg.svd(normalized.numpy(), compute_uv=False)[0] == pytest.approx(expected, rel=1e-10)


@pytest.mark.parametrize("relaxed", [False, True])
def test_gradient_is_the_published_formula_and_finite_differences(relaxed: bool) -> None:
    """(k / sigma) (G - <G, W / sigma> u v^T), u and v held constant; at a singular pair this is the full derivative."""
    torch.manual_seed(0)
    weight = torch.randn(5, 4, dtype=torch.float64, requires_grad=True)
    grad = torch.randn(5, 4, dtype=torch.float64)
    k = 0.7
    spectral = SpectralWeight(MatrixMap(), weight.detach(), k=k, relaxed=relaxed, estimator="svd")
    (ours,) = torch.autograd.grad((spectral.forward(weight) * grad).sum(), weight)

    u, s, vh = np.linalg.svd(weight.detach().numpy())
    g, w = grad.numpy(), weight.detach().numpy()
    formula = k / s[0] * (g - (g * w).sum() / s[0] * np.outer(u[:, 0], vh[0]))
    np.testing.assert_allclose(ours, formula, rtol=1e-9)

    def normalized(matrix: np.ndarray) -> float:
        return float((matrix * k / np.linalg.svd(matrix, compute_uv=False)[0] * g).sum())

    numeric = np.zeros_like(w)
    for i in np.ndindex(w.shape):
        step = np.zeros_like(w)
        step[i] = 1e-6
        numeric[i] = (normalized(w + step) - normalized(w - step)) / 2e-6
    np.testing.assert_allclose(ours, numeric, rtol=1e-6, atol=1e-8)


def test_power_iteration_follows_a_moving_weight_and_forward_passes_do_not_move_it() -> None:
    torch.manual_seed(0)
    layer = nn.Linear(20, 20)
    normalize({"layer": layer}, lambda: None, k=1.0, relaxed=False, estimator="power")
    with torch.no_grad():
        layer.weight.add_(torch.randn(20, 20))
    before = [b.clone() for b in layer.buffers()]
    for _ in range(10):
        layer(torch.randn(3, 20))
    assert all(torch.equal(a, b) for a, b in zip(before, layer.buffers(), strict=True))
    assert layer.effective_sigma().item() != pytest.approx(1.0, rel=0.1)
    for _ in range(30):
        layer.spectral.advance(layer.weight, 1)
    assert layer.effective_sigma().item() == pytest.approx(1.0, rel=1e-3)


def test_building_draws_no_random_number() -> None:
    layer = nn.Conv2d(3, 4, 3)
    state = torch.get_rng_state()
    normalize({"conv": layer}, lambda: layer(torch.zeros(1, 3, 8, 8)), k=1.0, relaxed=False, estimator="power")
    assert torch.equal(state, torch.get_rng_state())


def test_what_cannot_be_normalized_is_refused() -> None:
    zero = nn.Linear(3, 3)
    nn.init.zeros_(zero.weight)
    once = nn.Linear(3, 3)
    settings: dict[str, Any] = {"k": 1.0, "relaxed": False}
    normalize({"once": once}, lambda: None, estimator="power", **settings)
    conv, mirrored = nn.Conv2d(1, 1, 3), nn.Conv2d(1, 1, 3, padding=1, padding_mode="circular")
    image = torch.zeros(1, 1, 5, 5)
    with pytest.raises(IncompatibleSetting, match="starts at zero"):
        normalize({"zero": zero}, lambda: None, estimator="power", **settings)
    with pytest.raises(IncompatibleSetting, match="each once"):
        normalize({"once": once}, lambda: None, estimator="power", **settings)
    with pytest.raises(IncompatibleSetting, match="use estimator `power`"):
        normalize({"conv": conv}, lambda: conv(image), estimator="svd", **settings)
    with pytest.raises(IncompatibleSetting, match="zero padding"):
        normalize({"conv": mirrored}, lambda: mirrored(image), estimator="power", **settings)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("spectrum", [[9.0, 1.0, 0.1], [1.0, 0.98, 0.5], [1e-6, 5e-7], [1e6, 1e5], [1.0] * 8, [2.0]])
def test_eigenvector_by_squaring_reaches_the_largest_eigenvalue(dtype: torch.dtype, spectrum: list[float]) -> None:
    """What matters is the eigenvalue that it reaches."""
    torch.manual_seed(0)
    basis = torch.linalg.qr(torch.randn(len(spectrum), len(spectrum), dtype=dtype)).Q
    gram = basis @ torch.diag(torch.tensor(spectrum, dtype=dtype)) @ basis.T
    vector = _leading_eigenvector(gram)
    assert vector.norm().item() == pytest.approx(1.0, rel=1e-5)
    assert (vector @ gram @ vector).item() == pytest.approx(max(spectrum), rel=1e-4)


def test_a_wrong_direction_is_left_at_once() -> None:
    """A direction orthogonal to the followed one grows past it: single power iteration would never turn to it."""
    weight = torch.diag(torch.tensor([2.0, 1.5, 1.0, 0.5]))
    spectral = SpectralWeight(MatrixMap(), weight, k=1.0, relaxed=False, estimator="power")
    weight[1, 1] = 3.0
    assert torch.linalg.matrix_norm(spectral.forward(weight), 2).item() == pytest.approx(1.5)
    spectral.advance(weight, 1)
    assert torch.linalg.matrix_norm(spectral.forward(weight), 2).item() == pytest.approx(1.0)
