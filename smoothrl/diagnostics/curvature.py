"""How curved the critic's loss is, as it is and as its optimizer sees it."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Annotated, ClassVar

from pydantic import Field
from pydantic.dataclasses import dataclass

from smoothrl.diagnostics._base import Cadence, Diagnostic, Probe
from smoothrl.registry import register
from smoothrl.views import SECTION

if TYPE_CHECKING:
    from torch import Tensor


@register("diagnostic", "curvature")
@dataclass(frozen=True, config=SECTION)
class Curvature(Diagnostic):
    """Sharpness: the largest eigenvalue of the critic loss's Hessian, plain and preconditioned, and 2 / h.

    With H the Hessian of the critic loss on the held batch in the critic's parameters, h the critic's learning rate and
    P the diagonal matrix that an adaptive optimizer divides its step by (Adam: sqrt(v_hat) + eps):

        curvature/lambda_max                  largest eigenvalue of H
        curvature/lambda_max_preconditioned   largest eigenvalue of P^-1 H, through the similar P^-1/2 H P^-1/2
        curvature/threshold                   2 / h

    Largest means algebraically largest: the curvature upward, not the largest in size. On a quadratic, gradient descent
    leaves a direction of curvature lambda where lambda > 2 / h; without momentum and with P held still, an adaptive
    optimizer does where an eigenvalue of P^-1 H is above 2 / h. Momentum moves both thresholds.

    Each eigenvalue comes with `_residual`, ||A x - lambda x|| for the unit eigenvector x found, and `_converged`: 1 if
    that is at most `tolerance` |lambda|, else 0, and the value is a lower bound. The preconditioned one is left out for
    an optimizer without second moments (SGD) and before its first step.

    Example:
        >>> Curvature(max_iterations=50).tolerance
        0.001

    Reference:
        Golub, Van Loan, Matrix Computations, 4th edition, 2013, chapter 10: the Lanczos iteration.
        Cohen et al., Gradient Descent on Neural Networks Typically Occurs at the Edge of Stability, 2021
        (arXiv 2103.00065).

    Departures: docs/methods/diagnostics.md lists them.
    """

    kind: ClassVar[str] = "curvature"

    every: Cadence = 5000
    """Environment steps between two measurements."""
    max_iterations: Annotated[int, Field(ge=1)] = 30
    """Hessian-vector products at most, for each of the two eigenvalues."""
    tolerance: Annotated[float, Field(gt=0)] = 1e-3
    """Residual, relative to the eigenvalue, at which the iteration stops."""

    def measure(self, probe: Probe) -> dict[str, Tensor]:
        from smoothrl.diagnostics._preconditioner import preconditioner
        from smoothrl.linalg.hessian import flattened, gradient, hessian_product, split

        parameters = probe.critic_parameters
        graph = gradient(probe.critic_loss(), parameters, create_graph=True)
        like = flattened(graph).detach()

        def product(v: Tensor) -> Tensor:
            return flattened(hessian_product(graph, parameters, split(v, parameters)))

        found = self._largest("lambda_max", product, like)
        diagonal = preconditioner(probe.critic_optimizer, parameters)
        if diagonal is not None:
            scale = flattened(diagonal).rsqrt()
            found |= self._largest("lambda_max_preconditioned", lambda v: scale * product(scale * v), like)
        threshold = like.new_full((), 2.0) / probe.critic_learning_rate  # a schedule may end at 0
        return found | {"curvature/threshold": threshold}

    def _largest(self, name: str, product: Callable[[Tensor], Tensor], like: Tensor) -> dict[str, Tensor]:
        from smoothrl.linalg.lanczos import largest_eigenvalue

        found = largest_eigenvalue(product, like, self.max_iterations, self.tolerance)
        return {
            f"curvature/{name}": like.new_tensor(found.eigenvalue),
            f"curvature/{name}_residual": like.new_tensor(found.residual),
            f"curvature/{name}_converged": like.new_tensor(float(found.converged)),
        }
