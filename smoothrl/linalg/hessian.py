"""Hessian-vector products, exact by double backward or from a difference of gradients; no Hessian is ever formed."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

import torch
from torch import Tensor, nn


def gradient(loss: Tensor, parameters: Sequence[Tensor], create_graph: bool = False) -> list[Tensor]:
    """Gradient of a scalar, zero for a parameter that it does not depend on."""
    return list(
        torch.autograd.grad(loss, parameters, create_graph=create_graph, allow_unused=True, materialize_grads=True)
    )


def hessian_product(
    gradients: Sequence[Tensor], parameters: Sequence[Tensor], vectors: Sequence[Tensor]
) -> list[Tensor]:
    """H v, exact, as the gradient of g^T v with v held constant.

    Args:
        gradients: g, with its graph (`create_graph=True`).
        parameters: what g was taken in, and H is.
        vectors: v, shaped like the parameters.
    """
    product = dot(gradients, [v.detach() for v in vectors])
    if not product.requires_grad:  # a loss that is linear in the parameters
        return [torch.zeros_like(p) for p in parameters]
    return [
        h.detach()
        for h in torch.autograd.grad(product, parameters, retain_graph=True, allow_unused=True, materialize_grads=True)
    ]


def difference_product(
    loss: Callable[[], Tensor],
    parameters: Sequence[nn.Parameter],
    gradients: Sequence[Tensor],
    vectors: Sequence[Tensor],
    radius: float,
) -> list[Tensor]:
    """H v from two gradients: (g(theta + e v) - g(theta)) / e with e = radius / ||v||.

    Args:
        loss: evaluates the same loss again, at the parameters as they then are.
        gradients: g(theta).
        radius: length of the step e v.
    """
    length = norm(vectors)
    e = radius / torch.where(length > 0, length, 1.0)
    with moved(parameters, [e * v for v in vectors]):
        ahead = gradient(loss(), parameters)
    return [(a - g.detach()) / e for a, g in zip(ahead, gradients, strict=True)]


@contextmanager
def moved(parameters: Sequence[nn.Parameter], by: Sequence[Tensor]) -> Iterator[None]:
    """The parameters displaced, and afterwards restored to the bit."""
    before = [p.detach().clone() for p in parameters]
    with torch.no_grad():
        for p, step in zip(parameters, by, strict=True):
            p.add_(step)
    try:
        yield
    finally:
        with torch.no_grad():
            for p, old in zip(parameters, before, strict=True):
                p.copy_(old)


def dot(a: Sequence[Tensor], b: Sequence[Tensor]) -> Tensor:
    """a^T b over all tensors."""
    return torch.stack([(x * y).sum() for x, y in zip(a, b, strict=True)]).sum()


def norm(vectors: Sequence[Tensor]) -> Tensor:
    """Euclidean norm over all tensors."""
    return torch.linalg.vector_norm(torch.stack(torch._foreach_norm(list(vectors))))


def flattened(tensors: Sequence[Tensor]) -> Tensor:
    """All entries as one vector."""
    return torch.cat([x.flatten() for x in tensors])


def split(vector: Tensor, like: Sequence[Tensor]) -> list[Tensor]:
    """The inverse of `flattened`, for tensors of these shapes."""
    parts = vector.split([x.numel() for x in like])
    return [part.view_as(x) for part, x in zip(parts, like, strict=True)]
