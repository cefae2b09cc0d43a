"""How far one step of gradient descent drifts from the gradient flow that it follows."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from pydantic.dataclasses import dataclass

from smoothrl.diagnostics._base import Cadence, Diagnostic, Probe
from smoothrl.registry import register
from smoothrl.views import SECTION

if TYPE_CHECKING:
    from torch import Tensor


@register("diagnostic", "drift")
@dataclass(frozen=True, config=SECTION)
class Drift(Diagnostic):
    """Discretization drift and implicit gradient regularization (IGR) of the critic's loss.

    With g and H the gradient and Hessian of the critic loss E on the held batch in its m parameters, and h the critic's
    learning rate:

        drift/relative                 h ||Hg|| / ||g||
        drift/hessian_gradient_ratio   ||Hg|| / ||g||
        drift/igr_penalty              (h / 4) ||g||^2, as the product of
        drift/igr_value                ||g||^2 / m and
        drift/igr_rate                 h m / 4

    One step of gradient descent follows the flow of E + (h / 4) ||g||^2 to second order in h, and ends (h^2 / 2) ||Hg||
    from the flow of E, to leading order. Both hold for plain gradient descent alone: under momentum or Adam they are
    properties of the loss at rate h, no more. At g = 0 the ratios are 0.

    Example:
        >>> Drift(every=2000).kind
        'drift'

    Reference:
        Barrett, Dherin, Implicit Gradient Regularization, 2020 (arXiv 2009.11162).
        Rosca et al., On a continuous time model of gradient descent dynamics and instability in deep learning, 2023
        (arXiv 2302.01952).

    Departures: docs/methods/diagnostics.md lists them.
    """

    kind: ClassVar[str] = "drift"

    every: Cadence = 1000
    """Environment steps between two measurements."""

    def measure(self, probe: Probe) -> dict[str, Tensor]:
        import torch

        from smoothrl.linalg.hessian import gradient, hessian_product, norm

        parameters, h = probe.critic_parameters, probe.critic_learning_rate
        graph = gradient(probe.critic_loss(), parameters, create_graph=True)
        g = [x.detach() for x in graph]
        length = norm(g)
        ratio = norm(hessian_product(graph, parameters, g)) / torch.where(length > 0, length, 1.0)
        m = sum(p.numel() for p in parameters)
        return {
            "drift/relative": h * ratio,
            "drift/hessian_gradient_ratio": ratio,
            "drift/igr_penalty": h / 4 * length.square(),
            "drift/igr_value": length.square() / m,
            "drift/igr_rate": torch.full_like(length, h * m / 4),
        }
