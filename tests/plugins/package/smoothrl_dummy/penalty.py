"""A critic regularizer."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from pydantic.dataclasses import dataclass

from smoothrl.critics import SECTION, CriticBatch, CriticPenalty, CriticView
from smoothrl.registry import register

if TYPE_CHECKING:
    from torch import Tensor


@register("critic_regularizer", "value_penalty")
@dataclass(frozen=True, config=SECTION)
class ValuePenalty(CriticPenalty):
    """Value penalty: coef * mean Q(s, a)^2, summed over the critics."""

    kind: ClassVar[str] = "value_penalty"

    coef: float
    """Weight of the penalty in the critic loss."""

    def penalty(self, critic: CriticView, batch: CriticBatch) -> Tensor:
        import torch

        values = critic.values(critic.preprocess(batch.observations), batch.actions)
        return self.coef * torch.stack([q.square().mean() for q in values]).sum()
