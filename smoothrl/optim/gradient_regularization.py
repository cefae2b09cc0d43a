"""A penalty on the norm of the loss's gradient in the parameters."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, ClassVar, Literal, cast

from pydantic import Field, model_validator
from pydantic.dataclasses import dataclass

from smoothrl.optim._base import OptimizerAdaptation, Player, Players, Step
from smoothrl.registry import register
from smoothrl.views import SECTION, IncompatibleSetting

if TYPE_CHECKING:
    from torch import Tensor, nn

DEFAULT_RADIUS = 5e-4
"""Between the error of a longer difference, which grows with it, and float32 rounding, which grows as it shrinks."""


@register("optimizer_adaptation", "gradient_regularization")
@dataclass(frozen=True, config=SECTION)
class GradientRegularization(OptimizerAdaptation):
    """Explicit gradient regularization (EGR): the player descends E + mu ||grad E||^2 in place of its loss E.

    With g the gradient of E on this batch and H its Hessian, the gradient becomes

        g + 2 mu H g        and, with the safeguard, g where g^T (g + 2 mu H g) <= 0

    Gradient descent at rate h does this by itself with mu = h / 4, to second order (implicit gradient regularization).
    Where the agent clips g, the added term is multiplied by the same factor: the direction stays that of the sum.

    Example:
        >>> GradientRegularization(mu=2.5e-4).estimator
        'exact'

    Reference:
        Barrett and Dherin, Implicit Gradient Regularization, 2020 (arXiv 2009.11162).
        CGD: Modifying the Loss Landscape by Gradient Regularization, 2025 (arXiv 2504.16182): the safeguard.
        Karakida et al., Understanding Gradient Regularization in Deep Learning, 2022 (arXiv 2210.02720): differences.

    Departures: docs/methods/gradient_regularization.md lists them.
    """

    kind: ClassVar[str] = "gradient_regularization"

    mu: Annotated[float, Field(ge=0)]
    """Weight of ||g||^2, of dimension learning rate; 0 switches it off."""
    estimator: Literal["exact", "finite_difference"] = "exact"
    """H g by double backward, or from the gradient at a second point, which needs less memory."""
    safeguard: bool = True
    """Use g alone where the sum would not descend E."""
    radius: Annotated[float, Field(gt=0)] = DEFAULT_RADIUS
    """Distance in parameter space, along g, of the second point of a finite difference."""
    players: Players = "critic"
    """Whose loss is regularized."""

    @model_validator(mode="after")
    def _radius_is_used(self) -> GradientRegularization:
        if self.estimator == "exact" and self.radius != DEFAULT_RADIUS:
            raise ValueError("`radius` does nothing with estimator `exact`: leave it out")
        return self

    @property
    def is_off(self) -> bool:
        return self.mu == 0

    @property
    def uses_hessian(self) -> bool:
        return self.estimator == "exact"

    def check(self, player: Player) -> None:
        if self.estimator == "finite_difference" and not player.repeatable:
            raise IncompatibleSetting(
                f"gradient_regularization cannot use estimator `finite_difference` for the {player.name} here: its "
                "loss draws random numbers, so that evaluated again it is another function; use estimator `exact`"
            )

    def before_step(self, step: Step, state: nn.Module | None) -> None:
        import torch

        from smoothrl.linalg.hessian import dot, norm

        gradients, player = step.gradients, step.player
        hg = step.hessian_gradient() if self.estimator == "exact" else step.difference_gradient(self.radius)
        slope = norm(gradients)
        step.log(f"optim/egr_ratio/{player.name}", 2 * self.mu * norm(hg) / torch.where(slope > 0, slope, 1.0))

        weight = torch.full_like(slope, 2 * self.mu)
        if self.safeguard:
            descends = slope.square() + 2 * self.mu * dot(gradients, hg) > 0
            weight = torch.where(descends, weight, 0.0)
            step.log(f"optim/egr_fallback/{player.name}", (~descends).to(slope.dtype))
        if step.clip_factor is not None:
            weight = weight * step.clip_factor
        for p, term in zip(player.parameters, torch._foreach_mul(list(hg), weight), strict=True):
            p.grad = cast("Tensor", p.grad) + term
