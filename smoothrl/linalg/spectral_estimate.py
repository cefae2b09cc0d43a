"""The spectral norm of a weight that is being learned, followed from step to step."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from smoothrl.linalg.operators import LinearMap, block_iteration

SLOW = 0.01
"""Up to this share of movement per update a target critic counts as slow; SB3's default is 0.005."""
SYNC_EVERY = 4
"""Updates of a slow target between two moves of its singular vectors."""


def may_wait(tau: float, update: int) -> bool:
    """Whether a target critic's singular vectors can stay at this update: it has hardly moved, and u^T W v already uses
    its new W."""
    return tau <= SLOW and update % SYNC_EVERY != 0


def jumps(tau: float) -> bool:
    """Whether a target critic is now closer to the online one than to where it was: it then takes over its state."""
    return tau > 0.5


class SpectralEstimate(nn.Module):
    """sigma(W) = u^T W v with singular vectors that follow the weight; they are exact at the start.

    u, v and the block of directions behind them are buffers, to be saved; the weight stays its layer's.
    """

    u: Tensor
    v: Tensor
    block: Tensor

    def __init__(self, linear_map: LinearMap, weight: Tensor) -> None:
        super().__init__()
        self.linear_map = linear_map
        for name, buffer in zip(("u", "v", "block"), linear_map.leading(weight.detach()), strict=True):
            self.register_buffer(name, buffer)

    def sigma(self, weight: Tensor) -> Tensor:
        """u^T W v, differentiable in the weight with u and v held constant."""
        return self.linear_map.inner(self.u, weight, self.v)

    @torch.no_grad()
    def advance(self, weight: Tensor, n_power_iterations: int = 1) -> None:
        """Move u, v on for `weight` by power iteration, in place."""
        n = n_power_iterations * self.linear_map.iterations
        self._set(*block_iteration(self.linear_map, weight, self.block, n))

    @torch.no_grad()
    def decompose(self, weight: Tensor) -> None:
        """Set u, v to the leading pair of `weight`, exactly."""
        self._set(*self.linear_map.leading(weight))

    def start_from(self, other: SpectralEstimate) -> None:
        """Take over another weight's state. It is never averaged: an average of singular vectors is none."""
        self._set(other.u, other.v, other.block)

    def _set(self, u: Tensor, v: Tensor, block: Tensor) -> None:
        self.u.copy_(u)
        self.v.copy_(v)
        self.block.copy_(block)
