"""Lanczos iteration: the largest eigenvalue of a symmetric operator that is known by its products alone."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True)
class LargestEigenvalue:
    """An approximation of the algebraically largest eigenvalue, and how good it is."""

    eigenvalue: float
    """The largest Ritz value: up to rounding never above the true one."""
    residual: float
    """||A x - eigenvalue x|| for the unit Ritz vector x; some eigenvalue of A lies within this distance."""
    iterations: int
    """Products with the operator."""
    converged: bool
    """Whether the residual reached the tolerance."""


def largest_eigenvalue(
    product: Callable[[Tensor], Tensor], like: Tensor, max_iterations: int, tolerance: float
) -> LargestEigenvalue:
    """Lanczos with full reorthogonalization, from a random start that is always the same.

    An orthonormal basis Q of span{q, Aq, A^2 q, ...} grows by one vector per product; the largest eigenvalue of
    T = Q^T A Q, a tridiagonal matrix, is the largest Ritz value. It stops when its residual is at most `tolerance`
    times its absolute value. In exact arithmetic the new vector is orthogonal to all but the last two; in floating
    point it is not, and eigenvalues would be found twice, so it is made orthogonal to all of them, twice.

    Args:
        product: v -> A v for a symmetric A, on vectors like `like`. Asked for outside of any update: each product is
            waited for.
        like: a vector (size,) that gives the size, dtype and device.
        max_iterations: products at most.
        tolerance: of the residual, relative to the Ritz value.

    Returns:
        The largest Ritz value. NaN, not converged, if a product is not finite.

    Reference:
        Golub, Van Loan, Matrix Computations, 4th edition, 2013, chapter 10.
    """
    generator = torch.Generator().manual_seed(0)  # a stream of its own: the run's is left alone
    vector = torch.randn(like.numel(), generator=generator).to(like)
    vector = vector / torch.linalg.vector_norm(vector)
    steps = min(max_iterations, like.numel())
    basis = like.new_empty(steps, like.numel())
    tridiagonal = torch.zeros(steps, steps, dtype=torch.float64)
    for k in range(steps):
        basis[k] = vector
        known = basis[: k + 1]
        image = product(vector)
        coefficients = known @ image
        remainder = image - coefficients @ known
        remainder = remainder - (known @ remainder) @ known
        beta = torch.linalg.vector_norm(remainder)
        tridiagonal[k, k] = coefficients[k]
        if not (math.isfinite(tridiagonal[k, k]) and math.isfinite(beta)):
            return LargestEigenvalue(math.nan, math.nan, k + 1, converged=False)
        values, vectors = torch.linalg.eigh(tridiagonal[: k + 1, : k + 1])
        residual = float(beta) * abs(float(vectors[k, -1]))
        converged = residual <= tolerance * abs(float(values[-1]))
        if converged or k + 1 == steps:
            break
        tridiagonal[k, k + 1] = tridiagonal[k + 1, k] = beta
        vector = remainder / beta
    return LargestEigenvalue(float(values[-1]), residual, k + 1, converged)
