"""The steepest slope of each activation function, and how much any module can stretch a difference of its inputs."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

from torch import Tensor, nn

ACTIVATIONS: dict[type[nn.Module], Callable[[Any], float]] = {
    nn.ReLU: lambda _: 1.0,
    nn.Tanh: lambda _: 1.0,
    nn.Sigmoid: lambda _: 0.25,
    nn.Softplus: lambda _: 1.0,
    nn.LeakyReLU: lambda module: max(1.0, abs(module.negative_slope)),
    nn.ELU: lambda module: max(1.0, module.alpha),
    nn.SELU: lambda _: 1.7580994,  # its scale times its alpha, approached from below zero
    nn.SiLU: lambda _: 1.0998394,  # near x = 2.4
    nn.GELU: lambda _: 1.1289931,  # near x = 1.4; of both variants, the exact one has 1.1289042
}
"""Type -> its Lipschitz constant, the last digit rounded up. tests/diagnostics derives them numerically."""


def factor(module: nn.Module) -> float | None:
    """Lipschitz constant of a module without weights as it is now; None if it is not known here."""
    if isinstance(module, nn.Flatten | nn.Identity):
        return 1.0
    if isinstance(module, nn.Dropout):
        return None if module.training else 1.0
    rule = ACTIVATIONS.get(type(module))
    return None if rule is None else rule(module)


def factor_of_hooks(layer: nn.Module) -> Tensor | float | None:
    """What the forward hooks of a layer multiply its Lipschitz constant by.

    A module that is a layer's hook says so by `lipschitz_factor() -> Tensor`; None if there is a hook that does not.
    """
    known = [getattr(child, "lipschitz_factor", None) for child in layer.children()]
    factors = [lipschitz_factor() for lipschitz_factor in known if lipschitz_factor is not None]
    if len(layer._forward_hooks) + len(layer._forward_pre_hooks) > len(factors):
        return None
    return math.prod(factors, start=1.0)
