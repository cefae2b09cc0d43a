"""Gradient penalties on the critic's inputs."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, ClassVar, Literal

from pydantic import Field, model_validator
from pydantic.dataclasses import dataclass

from smoothrl.critics._base import CriticPenalty
from smoothrl.critics._inputs import WithRespectTo, no_action, require_action
from smoothrl.registry import register
from smoothrl.views import SECTION, CriticBatch, CriticView, IncompatibleSetting, Inputs

if TYPE_CHECKING:
    from torch import Tensor


@register("critic_regularizer", "gradient_penalty")
@dataclass(frozen=True, config=SECTION)
class GradientPenalty(CriticPenalty):
    """Gradient penalty: the critic's slope in its inputs is held near, below, or toward a value.

    With g_i(x) the gradient of the i-th critic's value in x (the observation, the action, or both joined), the mean
    over a batch and the sum over the critics of

        two:   coef * (||g|| - target)^2             (WGAN-GP)
        one:   coef * max(0, ||g|| - target)^2
        zero:  coef * ||g||^2                        (R1 with gamma = 2 coef)

    The gradient is taken in the inputs as the networks receive them: images in [0, 1], observations in VecNormalize's
    units where it is used, actions in [-1, 1]. The target critic is never penalized.

    Example:
        >>> GradientPenalty(coef=0.1, side="one").target
        1.0

    Reference:
        Gulrajani et al., Improved Training of Wasserstein GANs, 2017 (arXiv 1704.00028): `two`.
        Mescheder et al., Which Training Methods for GANs do actually Converge?, 2018 (arXiv 1801.04406): `zero`.

    Departures: docs/methods/gradient_penalty.md lists them.
    """

    kind: ClassVar[str] = "gradient_penalty"

    coef: Annotated[float, Field(ge=0)]
    """Weight of the penalty in the critic loss; 0 switches it off."""
    target: Annotated[float, Field(ge=0)] = 1.0
    """The slope that sides `two` and `one` aim at."""
    side: Literal["two", "one", "zero"] = "two"
    """`two` pulls the slope to the target from both sides, `one` only from above, `zero` toward 0."""
    wrt: WithRespectTo = "obs"
    """The inputs the slope is taken in; `action` and `both` need a critic that takes the action."""
    points: Literal["replay", "policy", "interpolate"] = "replay"
    """Where: at the batch, at the policy's actions, or at random points between the two (between two observations for
    V(s) and for discrete actions)."""

    @model_validator(mode="after")
    def _target_is_used(self) -> GradientPenalty:
        if self.side == "zero" and self.target not in (0.0, 1.0):
            raise ValueError("`target` does nothing with side `zero`, which aims at 0: leave it out")
        return self

    @property
    def is_off(self) -> bool:
        return self.coef == 0

    @property
    def draws(self) -> bool:
        return self.points == "interpolate"

    def check(self, critic: CriticView) -> None:
        require_action(self.kind, self.wrt, critic)
        if not critic.takes_action and self.points == "policy":
            raise IncompatibleSetting(
                f"gradient_penalty cannot use points `policy` here: {no_action(critic)}; use points `replay` or "
                "`interpolate`"
            )
        if not critic.sees_observation_gradient and self.wrt != "action":
            raise IncompatibleSetting(
                f"gradient_penalty cannot use wrt `{self.wrt}` with share_features_extractor: the critic takes the "
                "actor's features without gradient, so the slope in the observation does not reach it; set "
                "policy_kwargs share_features_extractor to false, or use wrt `action`"
            )

    def penalty(self, critic: CriticView, batch: CriticBatch) -> Tensor:
        import torch

        inputs, actions = self._points(critic, batch)
        leaves = list(inputs.values()) if self.wrt != "action" else []
        if actions is not None and self.wrt != "obs":
            leaves.append(actions)
        for leaf in leaves:
            leaf.requires_grad_()

        terms = []
        for value in critic.values(inputs, actions):
            slopes = torch.autograd.grad(value.sum(), leaves, create_graph=True)
            slope = torch.cat([g.flatten(start_dim=1) for g in slopes], dim=1)
            terms.append(self._measure(slope).mean())
        return self.coef * torch.stack(terms).sum()

    def _measure(self, slope: Tensor) -> Tensor:
        """(batch, inputs) -> (batch,). The norm's gradient at 0 is 0 in torch, so a flat critic gives no NaN."""
        import torch

        if self.side == "zero":
            return slope.square().sum(dim=1)
        excess = torch.linalg.vector_norm(slope, dim=1) - self.target
        return (excess.relu() if self.side == "one" else excess).square()

    def _points(self, critic: CriticView, batch: CriticBatch) -> tuple[Inputs, Tensor | None]:
        """Detached inputs and actions at which to take the slope; V(s) and discrete actions keep those of the batch."""
        import torch

        inputs = {key: x.detach() for key, x in critic.preprocess(batch.observations).items()}
        if batch.policy_actions is None:
            if self.points == "interpolate":
                first = next(iter(inputs.values()))
                other, share = torch.randperm(len(first), device=first.device), _shares(first)
                inputs = {key: _between(x, x[other], share) for key, x in inputs.items()}
            return inputs, batch.actions
        assert batch.actions is not None
        if self.points == "replay":
            return inputs, batch.actions.detach()
        actions = batch.policy_actions()
        if self.points == "interpolate":
            actions = _between(batch.actions.detach(), actions, _shares(actions))
        return inputs, actions


def _shares(x: Tensor) -> Tensor:
    """One number in [0, 1) per sample, on the samples' device."""
    import torch

    return torch.rand(len(x), device=x.device)


def _between(a: Tensor, b: Tensor, share: Tensor) -> Tensor:
    """share * a + (1 - share) * b"""
    share = share.view(-1, *[1] * (a.dim() - 1))
    return share * a + (1 - share) * b
