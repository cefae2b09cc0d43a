"""What `DivOut` adds to an output layer: the norms of its own network's tracked layers."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import cast

import torch
from torch import Tensor, nn

from smoothrl.linalg.spectral_estimate import SpectralEstimate
from smoothrl.optim._tracked import TrackedNorms


class DividedOutput(TrackedNorms):
    """rho of one network. A submodule of the output layer, so that it is copied and saved with the policy."""

    def __init__(
        self,
        network: str,
        layers: Sequence[tuple[str, nn.Module]],
        probe: Callable[[], None],
        clip: bool,
        flow_through_norm: bool,
    ) -> None:
        super().__init__({network: layers}, probe, clip)
        self.flow_through_norm = flow_through_norm

    def rho(self) -> Tensor:
        """The product of the network's tracked sigmas; constant in the gradient unless it is to flow through."""
        with torch.set_grad_enabled(self.flow_through_norm and torch.is_grad_enabled()):
            (rho,) = self.rhos(self.sigmas(), self.networks).values()
        return rho

    def lipschitz_factor(self) -> Tensor:
        """What the division does to the network's Lipschitz constant."""
        return 1 / self.rho().detach()

    def start_from(self, other: DividedOutput) -> None:
        """Take over another network's singular vectors."""
        for ours, theirs in zip(self.estimates, other.estimates, strict=True):
            cast(SpectralEstimate, ours).start_from(cast(SpectralEstimate, theirs))
