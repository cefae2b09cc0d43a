"""Consistency of the critic under noise on its inputs."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, ClassVar, Literal

from pydantic import Field
from pydantic.dataclasses import dataclass

from smoothrl.critics._base import CriticPenalty
from smoothrl.critics._inputs import WithRespectTo, require_action
from smoothrl.registry import register
from smoothrl.views import SECTION, CriticBatch, CriticView

if TYPE_CHECKING:
    from torch import Tensor


@register("critic_regularizer", "noise_consistency")
@dataclass(frozen=True, config=SECTION)
class NoiseConsistency(CriticPenalty):
    """Input-noise consistency: the critic's value changes little when its inputs are jittered (local smoothness).

    With x the observation, the action, or both, the mean over a batch and the sum over the critics of

        coef * (Q_i(x + sigma * n) - Q_i(x))^2

    where every entry of n is drawn from N(0, 1) or from U(-1, 1) anew. The gradient flows through both values. Noise is
    added to the inputs as the networks receive them: images in [0, 1], observations in VecNormalize's units where it is
    used, actions in [-1, 1], where they are kept.

    Example:
        >>> NoiseConsistency(coef=1.0, wrt="both").sigma
        0.01

    Reference:
        Mysore et al., Regularizing Action Policies for Smooth Control with Reinforcement Learning, 2020
        (arXiv 2012.06644), which penalizes the policy in this way.

    Departures: docs/methods/noise_consistency.md lists them.
    """

    kind: ClassVar[str] = "noise_consistency"

    coef: Annotated[float, Field(ge=0)]
    """Weight of the penalty in the critic loss; 0 switches it off."""
    sigma: Annotated[float, Field(gt=0)] = 0.01
    """Standard deviation of normal noise, half the width of uniform noise."""
    wrt: WithRespectTo = "obs"
    """The inputs that get noise; `action` and `both` need a critic that takes a continuous action."""
    distribution: Literal["normal", "uniform"] = "normal"
    """What the noise is drawn from."""

    @property
    def is_off(self) -> bool:
        return self.coef == 0

    @property
    def draws(self) -> bool:
        return True

    def check(self, critic: CriticView) -> None:
        require_action(self.kind, self.wrt, critic)

    def penalty(self, critic: CriticView, batch: CriticBatch) -> Tensor:
        import torch

        inputs, actions = critic.preprocess(batch.observations), batch.actions
        nearby, nearby_actions = inputs, actions
        if self.wrt != "action":
            nearby = {key: self._jittered(x) for key, x in inputs.items()}
        if actions is not None and self.wrt != "obs":
            nearby_actions = self._jittered(actions).clamp(-1, 1)
        pairs = zip(critic.values(nearby, nearby_actions), critic.values(inputs, actions), strict=True)
        return self.coef * torch.stack([(jittered - value).square().mean() for jittered, value in pairs]).sum()

    def _jittered(self, x: Tensor) -> Tensor:
        import torch

        noise = torch.randn_like(x) if self.distribution == "normal" else 2 * torch.rand_like(x) - 1
        return x + self.sigma * noise
