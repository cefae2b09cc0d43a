"""Lanczos against NumPy's dense decomposition: the value, what it says about its quality, and its edge cases."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from torch import Tensor

from smoothrl.linalg.lanczos import largest_eigenvalue


def symmetric(spectrum: list[float] | np.ndarray) -> Tensor:
    """A matrix with this spectrum, in a random basis."""
    generator = torch.Generator().manual_seed(1)
    basis = torch.linalg.qr(torch.randn(len(spectrum), len(spectrum), generator=generator, dtype=torch.float64)).Q
    return basis @ torch.diag(torch.as_tensor(np.asarray(spectrum), dtype=torch.float64)) @ basis.T


SPECTRA = {
    "separated": np.r_[10.0, np.linspace(0, 5, 79)],
    "crowded at the top": np.r_[10.0, 9.99, 9.9, np.linspace(-1, 5, 77)],
    "mostly zero": np.r_[3.0, 1.0, np.zeros(78)],
    "negative dominates": np.r_[2.0, np.linspace(-100, 0, 79)],
    "all negative": -np.linspace(1, 100, 80),
    "many magnitudes": np.logspace(-6, 3, 80),
}


@pytest.mark.parametrize("spectrum", SPECTRA.values(), ids=SPECTRA)
@pytest.mark.parametrize("max_iterations", [3, 10, 30, 200])
def test_largest_eigenvalue_is_right_or_reported_as_not_converged(spectrum: np.ndarray, max_iterations: int) -> None:
    """Largest is algebraic: with `negative dominates` the largest in size is another one."""
    matrix = symmetric(spectrum)
    found = largest_eigenvalue(lambda v: matrix @ v, matrix[0], max_iterations, tolerance=1e-3)
    exact = np.linalg.eigvalsh(matrix.numpy())
    assert found.iterations <= max_iterations
    assert found.eigenvalue <= exact[-1] + 1e-9 * abs(exact).max()
    assert np.abs(exact - found.eigenvalue).min() <= found.residual + 1e-9 * abs(exact).max()
    if found.converged:
        assert found.eigenvalue == pytest.approx(exact[-1], rel=1e-3)
        assert found.residual <= 1e-3 * abs(found.eigenvalue)
    if max_iterations == 200:
        assert found.converged
    if max_iterations == 3:
        assert not found.converged or len(np.unique(spectrum)) <= 3


def test_float32_on_many_dimensions() -> None:
    """Rounding makes plain Lanczos lose orthogonality here; the spectrum is known in closed form."""
    n = 20_000
    spectrum = torch.linspace(0, 1, n).square()
    spectrum[-1] = 1.5
    found = largest_eigenvalue(lambda v: spectrum * v, spectrum, 80, tolerance=1e-4)
    assert found.converged
    assert found.eigenvalue == pytest.approx(1.5, rel=1e-4)


def test_orthogonality_survives_a_dominant_negative_eigenvalue() -> None:
    """Largest is 0 beside -1e6, where float32 resolves 0.06; without reorthogonalization thousands come out."""
    spectrum = -torch.cat([torch.tensor([1e6]), torch.linspace(0, 1, 60)])
    found = largest_eigenvalue(lambda v: spectrum * v, spectrum, 60, tolerance=1e-12)
    assert found.eigenvalue == pytest.approx(0.0, abs=0.2)


@pytest.mark.parametrize(("matrix", "eigenvalue"), [([[0.0] * 4] * 4, 0.0), (np.eye(4) * 3, 3.0), ([[-2.0]], -2.0)])
def test_a_space_that_is_used_up_ends_the_iteration(matrix: list[list[float]], eigenvalue: float) -> None:
    a = torch.tensor(np.asarray(matrix))
    found = largest_eigenvalue(lambda v: a @ v, a[0], 30, tolerance=1e-3)
    assert (found.eigenvalue, found.iterations, found.converged) == (pytest.approx(eigenvalue), 1, True)


def test_all_dimensions_give_the_exact_value() -> None:
    matrix = symmetric([3.0, 2.9, 2.8, -7.0, 0.0])
    found = largest_eigenvalue(lambda v: matrix @ v, matrix[0], 30, tolerance=1e-12)
    assert found.iterations == 5
    assert found.eigenvalue == pytest.approx(3.0, rel=1e-12)


def test_it_starts_alike_every_time_and_draws_nothing_from_the_run() -> None:
    matrix = symmetric(SPECTRA["separated"])
    state = torch.get_rng_state()
    first = largest_eigenvalue(lambda v: matrix @ v, matrix[0], 7, 1e-9)
    torch.manual_seed(5)
    second = largest_eigenvalue(lambda v: matrix @ v, matrix[0], 7, 1e-9)
    torch.set_rng_state(state)
    assert first == second
    third = largest_eigenvalue(lambda v: matrix @ v, matrix[0], 7, 1e-9)
    assert first == third
    assert torch.equal(state, torch.get_rng_state())


@pytest.mark.parametrize("value", [math.nan, math.inf])
def test_a_product_that_is_not_finite_is_not_converged(value: float) -> None:
    found = largest_eigenvalue(lambda v: v * value, torch.ones(6), 30, 1e-3)
    assert math.isnan(found.eigenvalue)
    assert math.isnan(found.residual)
    assert not found.converged
