"""A learning rate set by the discretization drift of gradient descent."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, ClassVar

from pydantic import Field
from pydantic.dataclasses import dataclass

from smoothrl.optim._base import OptimizerAdaptation, Players, Step
from smoothrl.registry import register
from smoothrl.views import SECTION

if TYPE_CHECKING:
    from torch import nn


@register("optimizer_adaptation", "drift_adjusted_lr")
@dataclass(frozen=True, config=SECTION)
class DriftAdjustedLR(OptimizerAdaptation):
    """Drift-adjusted learning rate (DAL-p): the rate falls where gradient descent would leave its gradient flow.

    With g the gradient of the player's loss on this batch, before clipping, H its Hessian and h the tuned rate, this
    step is taken at

        min(2 / v^p, cap * h),        v = ||H g|| / ||g||

    Along an eigenvector of H, p = 1 sets h lambda = 2, the edge of stability of gradient descent. p = 0 leaves every
    step as it is and only logs v. Where g is zero the rate is h; where only H g is zero it is cap * h.

    Example:
        >>> DriftAdjustedLR(power=0.5, players="both").cap
        5.0

    Reference:
        On a continuous time model of gradient descent dynamics and instability in deep learning, 2023
        (arXiv 2302.01952).

    Departures: docs/methods/drift_adjusted_lr.md lists them.
    """

    kind: ClassVar[str] = "drift_adjusted_lr"

    power: Annotated[float, Field(ge=0)] = 1.0
    """The exponent p; 0 only measures."""
    cap: Annotated[float, Field(gt=0)] = 5.0
    """The rate is at most this many times the tuned one."""
    players: Players = "critic"
    """Whose steps it changes; each player has a rate of its own."""

    @property
    def uses_hessian(self) -> bool:
        return True

    def before_step(self, step: Step, state: nn.Module | None) -> None:
        import torch

        from smoothrl.linalg.hessian import norm

        player = step.player.name
        slope, change = norm(step.gradients), norm(step.hessian_gradient())
        v = change / torch.where(slope > 0, slope, 1.0)
        step.log(f"optim/hessian_gradient_ratio/{player}", v)
        if self.power == 0:
            return
        factor = (2 / v**self.power / step.learning_rate).clamp_max(self.cap)
        factor = torch.where(slope > 0, factor, 1.0)
        step.scale_learning_rate(step.player.parameters, factor)
        step.log(f"optim/lr_scale/{player}", factor)
