"""An optimizer adaptation."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from pydantic.dataclasses import dataclass

from smoothrl.optim import SECTION, OptimizerAdaptation, Step
from smoothrl.registry import register

if TYPE_CHECKING:
    from torch import nn


@register("optimizer_adaptation", "entrywise_clip")
@dataclass(frozen=True, config=SECTION)
class EntrywiseClip(OptimizerAdaptation):
    """Entrywise clipping: every entry of the gradient is held in [-bound, bound]."""

    kind: ClassVar[str] = "entrywise_clip"

    bound: float = 1.0
    """Largest absolute value of an entry."""

    def before_step(self, step: Step, state: nn.Module | None) -> None:
        import torch

        clipped = []
        for p in step.player.parameters:
            assert p.grad is not None
            clipped.append((p.grad.abs() > self.bound).float().mean())
            p.grad = p.grad.clamp(-self.bound, self.bound)
        step.log(f"dummy/clipped_share/{step.player.name}", torch.stack(clipped).mean())
