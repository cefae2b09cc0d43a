"""Hessian-vector products against closed forms and central differences of the loss."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from smoothrl.linalg.hessian import (
    difference_product,
    dot,
    flattened,
    gradient,
    hessian_product,
    moved,
    norm,
    split,
)


def quadratic() -> tuple[Tensor, list[nn.Parameter]]:
    """1/2 x^T A x in two parameters that make up x, with A symmetric and indefinite."""
    generator = torch.Generator().manual_seed(0)
    a = torch.randn(7, 7, generator=generator, dtype=torch.float64)
    shapes = [(2, 2), (3,)]
    parameters = [nn.Parameter(torch.randn(*s, generator=generator, dtype=torch.float64)) for s in shapes]
    return a + a.T, parameters


def loss_of(a: Tensor, parameters: list[nn.Parameter]) -> Tensor:
    x = torch.cat([p.flatten() for p in parameters])
    return 0.5 * x @ a @ x


def test_products_on_a_quadratic_are_the_matrix() -> None:
    a, parameters = quadratic()
    generator = torch.Generator().manual_seed(1)
    vectors = [torch.randn(p.shape, generator=generator, dtype=torch.float64) for p in parameters]
    v = np.concatenate([x.flatten().numpy() for x in vectors])
    x = np.concatenate([p.detach().flatten().numpy() for p in parameters])
    graph = gradient(loss_of(a, parameters), parameters, create_graph=True)
    np.testing.assert_allclose(flattened(graph).detach(), a.numpy() @ x, rtol=1e-12)
    np.testing.assert_allclose(flattened(hessian_product(graph, parameters, vectors)), a.numpy() @ v, rtol=1e-12)
    again = difference_product(lambda: loss_of(a, parameters), parameters, graph, vectors, radius=0.01)
    np.testing.assert_allclose(flattened(again), a.numpy() @ v, rtol=1e-8)  # exact but for rounding on a quadratic


def test_product_of_a_network_is_the_second_difference_of_its_loss() -> None:
    """v^T H v = (L(theta + ev) - 2 L(theta) + L(theta - ev)) / e^2: the loss alone, no derivative of torch's."""
    torch.manual_seed(0)
    net = nn.Sequential(nn.Linear(3, 5), nn.Tanh(), nn.Linear(5, 1)).double()
    inputs, targets = torch.randn(8, 3, dtype=torch.float64), torch.randn(8, 1, dtype=torch.float64)
    parameters = list(net.parameters())
    vectors = [torch.randn_like(p) for p in parameters]

    def loss() -> Tensor:
        return (net(inputs) - targets).square().mean()

    graph = gradient(loss(), parameters, create_graph=True)
    exact = dot(hessian_product(graph, parameters, vectors), vectors).item()
    e = 1e-3
    values = []
    for step in (e, 0.0, -e):
        with moved(parameters, [step * v for v in vectors]), torch.no_grad():
            values.append(loss().item())
    assert exact == pytest.approx((values[0] - 2 * values[1] + values[2]) / e**2, rel=1e-4)


def test_moved_parameters_come_back_to_the_bit() -> None:
    _, parameters = quadratic()
    before = [p.detach().clone() for p in parameters]
    with moved(parameters, [torch.full_like(p, 1e-3) for p in parameters]):
        assert not torch.equal(before[0], parameters[0])
    assert all(torch.equal(a, b) for a, b in zip(before, parameters, strict=True))


def test_flattened_and_split_are_inverse() -> None:
    tensors = [torch.arange(6.0).view(2, 3), torch.tensor([7.0]), torch.tensor(8.0)]
    vector = flattened(tensors)
    assert vector.tolist() == [0, 1, 2, 3, 4, 5, 7, 8]
    assert all(torch.equal(a, b) for a, b in zip(split(vector, tensors), tensors, strict=True))
    assert norm(tensors).item() == pytest.approx(np.linalg.norm(vector.numpy()))
