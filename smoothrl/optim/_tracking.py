"""What DivGrad, MulEps and DivLr share: norms of critic layers that are followed, and used in every step."""

from __future__ import annotations

from abc import abstractmethod
from typing import TYPE_CHECKING, cast

from smoothrl.optim._base import OptimizerAdaptation, Player, Step
from smoothrl.views import LayerIndices

if TYPE_CHECKING:
    from collections.abc import Mapping

    from torch import Tensor, nn

    from smoothrl.optim._tracked import TrackedNorms


class NormTracking(OptimizerAdaptation):
    """An adaptation by the spectral norms of the critic's tracked layers, which are measured and not normalized."""

    layers: LayerIndices
    clip: bool

    def start(self, player: Player) -> nn.Module:
        from smoothrl.optim._tracked import track

        return track(player, self.layers, self.clip)

    def before_step(self, step: Step, state: nn.Module | None) -> None:
        import torch

        tracked = cast("TrackedNorms", state)
        with torch.no_grad():
            tracked.advance()
            sigmas = tracked.sigmas()
            rhos = tracked.rhos(sigmas, step.player.networks)
            self.use(step, {tracked.layers[name]: sigma for name, sigma in sigmas.items()}, rhos)
        for network, rho in rhos.items():
            step.log(f"optim/rho/{network}", rho)

    @abstractmethod
    def use(self, step: Step, sigmas: Mapping[nn.Module, Tensor], rhos: Mapping[str, Tensor]) -> None:
        """Change the step, by the tracked layers' sigma or by each network's rho, the product of its own; without
        gradients."""
