"""Gradients divided by the critic's spectral norms."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, Literal, cast

from pydantic.dataclasses import dataclass

from smoothrl.optim._base import Player, Step
from smoothrl.optim._epsilon import warn_of_small_epsilon
from smoothrl.optim._tracking import NormTracking
from smoothrl.registry import register
from smoothrl.views import SECTION, LayerIndices

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from torch import Tensor, nn


@register("optimizer_adaptation", "div_grad")
@dataclass(frozen=True, config=SECTION)
class DivGrad(NormTracking):
    """DivGrad: the critic's gradients are divided by its spectral norms before the optimizer's step.

    With sigma_l the spectral norm of the tracked layer l and rho_i the product of those of critic network i,

        global:     g <- g / rho_i       for every parameter of network i
        per_layer:  g <- g / sigma_l     for the weight of each tracked layer; biases and other layers keep theirs

    Tracked layers are measured, not normalized. An adaptive optimizer feels the division only through its epsilon.

    Example:
        >>> DivGrad(layers=(-2, -3)).scope
        'global'

    Reference:
        Gogianu et al., Spectral Normalisation for Deep Reinforcement Learning, 2021 (arXiv 2105.05246).

    Departures: docs/methods/div_grad.md lists them.
    """

    kind: ClassVar[str] = "div_grad"

    layers: LayerIndices = (-2,)
    """Negative indices of the tracked layers, over the Linear and Conv layers of each critic sub-network."""
    scope: Literal["global", "per_layer"] = "global"
    """`global` divides all gradients of a network by its rho, `per_layer` each tracked weight's by its own sigma."""
    clip: bool = False
    """Use max(sigma, 1) for sigma, so that nothing is enlarged."""

    def check(self, player: Player) -> None:
        warn_of_small_epsilon(self.kind, player)

    def use(self, step: Step, sigmas: Mapping[nn.Module, Tensor], rhos: Mapping[str, Tensor]) -> None:
        if self.scope == "global":
            for network, parameters in step.player.networks.items():
                _divide(parameters, rhos[network])
        else:
            for layer, sigma in sigmas.items():
                _divide([cast("nn.Parameter", layer.weight)], sigma)


def _divide(parameters: Sequence[nn.Parameter], divisor: Tensor) -> None:
    """Replace their gradients by divided ones."""
    import torch

    divided = torch._foreach_div([cast("Tensor", p.grad) for p in parameters], divisor)
    for p, gradient in zip(parameters, divided, strict=True):
        p.grad = gradient
