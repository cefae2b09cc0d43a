"""The optimizer's epsilon multiplied by the critic's spectral norms."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from pydantic.dataclasses import dataclass

from smoothrl.optim._base import Player, Step
from smoothrl.optim._epsilon import require_epsilon, warn_of_small_epsilon
from smoothrl.optim._tracking import NormTracking
from smoothrl.registry import register
from smoothrl.views import SECTION, LayerIndices

if TYPE_CHECKING:
    from collections.abc import Mapping

    from torch import Tensor, nn


@register("optimizer_adaptation", "mul_eps")
@dataclass(frozen=True, config=SECTION)
class MulEps(NormTracking):
    """MulEps: the epsilon of Adam or RMSprop is multiplied by the critic's spectral norms.

    With rho_i the product of the spectral norms of the tracked layers of critic network i, in this step

        epsilon_i <- rho_i * epsilon        for the parameters of network i

    For a constant rho this is Adam on gradients divided by rho (`DivGrad`). For a varying one it is not: there the
    optimizer's averages hold gradients that were divided by different numbers. Tracked layers are measured, not
    normalized.

    Example:
        >>> MulEps(clip=True).layers
        (-2,)

    Reference:
        Gogianu et al., Spectral Normalisation for Deep Reinforcement Learning, 2021 (arXiv 2105.05246).

    Departures: docs/methods/mul_eps.md lists them.
    """

    kind: ClassVar[str] = "mul_eps"

    layers: LayerIndices = (-2,)
    """Negative indices of the tracked layers, over the Linear and Conv layers of each critic sub-network."""
    clip: bool = False
    """Use max(sigma, 1) for each layer's sigma, so that epsilon never falls."""

    def check(self, player: Player) -> None:
        require_epsilon(self.kind, player)
        warn_of_small_epsilon(self.kind, player)

    def use(self, step: Step, sigmas: Mapping[nn.Module, Tensor], rhos: Mapping[str, Tensor]) -> None:
        for network, rho in rhos.items():
            step.scale_epsilon(network, rho)
