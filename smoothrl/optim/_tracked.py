"""Spectral norms of critic layers that are measured and not normalized: the rho of DivGrad, MulEps, DivOut, DivLr."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import reduce
from operator import mul
from typing import cast

import torch
from torch import Tensor, nn

from smoothrl.linalg.operators import operators_of
from smoothrl.linalg.spectral_estimate import SpectralEstimate
from smoothrl.optim._base import Player
from smoothrl.views import IncompatibleSetting

ADVANCE_EVERY = 2
"""Gradient steps between two power iterations. sigma = u^T W v has the new W in between: its error is second order."""


class TrackedNorms(nn.Module):
    """sigma of each tracked layer, and rho of each network: the product of its own.

    The state is the singular vectors that follow the weights; the layers stay the critic's and are only referred to.

    Args:
        networks: name -> its tracked (name, layer) pairs; a layer that networks share is tracked once.
        probe: runs one forward pass through them, which shows the input size of convolutions.
        clip: use max(sigma, 1) in place of sigma, layer by layer.

    Raises:
        IncompatibleSetting: a layer's norm is not its own any more, is 0, or cannot be measured.
    """

    layers: dict[str, nn.Module]
    networks: dict[str, list[str]]

    def __init__(
        self, networks: Mapping[str, Sequence[tuple[str, nn.Module]]], probe: Callable[[], None], clip: bool
    ) -> None:
        super().__init__()
        self.clip = clip
        self.layers = {name: layer for pairs in networks.values() for name, layer in pairs}  # a dict registers nothing
        self.networks = {network: [name for name, _ in pairs] for network, pairs in networks.items()}
        for name, layer in self.layers.items():
            _refuse_unmeasurable(name, layer)
        maps = operators_of(self.layers, probe)
        self.estimates = nn.ModuleList(SpectralEstimate(maps[name], _weight(self.layers[name])) for name in self.layers)
        self._steps = 0

    def advance(self) -> None:
        """After the weights moved, or before they are used: every `ADVANCE_EVERY`-th call moves the vectors on."""
        if self._steps % ADVANCE_EVERY == 0:
            self.follow()
        self._steps += 1

    def follow(self) -> None:
        """Move the singular vectors on for the weights as they now are, by one block power iteration."""
        for _, estimate, weight in self._followed():
            estimate.advance(weight)

    def sigmas(self) -> dict[str, Tensor]:
        """Layer -> sigma, differentiable in its weight."""
        sigmas = {name: estimate.sigma(weight) for name, estimate, weight in self._followed()}
        return {name: sigma.clamp_min(1.0) for name, sigma in sigmas.items()} if self.clip else sigmas

    def rhos(self, sigmas: Mapping[str, Tensor], networks: Iterable[str]) -> dict[str, Tensor]:
        """Network -> product of the sigmas of its tracked layers. What several networks share, under a name that is
        none of theirs, takes the mean of their products."""
        own = {network: reduce(mul, [sigmas[name] for name in names]) for network, names in self.networks.items()}
        return {
            network: own[network] if network in own else torch.stack(list(own.values())).mean() for network in networks
        }

    def get_extra_state(self) -> Tensor:
        """The count of steps: kept as a number, since reading it off a tensor would wait for the device."""
        return torch.tensor(self._steps)

    def set_extra_state(self, state: Tensor) -> None:
        """Go on where a saved count stopped."""
        self._steps = int(state)

    def _followed(self) -> Iterator[tuple[str, SpectralEstimate, nn.Parameter]]:
        for (name, layer), estimate in zip(self.layers.items(), self.estimates, strict=True):
            yield name, cast(SpectralEstimate, estimate), _weight(layer)


def track(player: Player, indices: Sequence[int], clip: bool) -> TrackedNorms:
    """The norms of these layers of a player's critic networks."""
    critic = player.critic
    assert critic is not None  # the adaptations that track change the critic's steps alone
    return TrackedNorms({name: critic.select_from(name, indices) for name in critic.branches}, critic.probe, clip)


def _weight(layer: nn.Module) -> nn.Parameter:
    return cast(nn.Parameter, layer.weight)


def _refuse_unmeasurable(name: str, layer: nn.Module) -> None:
    if hasattr(layer, "spectral"):
        raise IncompatibleSetting(
            f"layer {name} cannot be tracked: spectral_norm normalizes it, so there is nothing left to measure; track "
            "other layers, or normalize others"
        )
    if not _weight(layer).any():
        raise IncompatibleSetting(f"layer {name} cannot be tracked: it starts at zero, and nothing is divided by 0")
