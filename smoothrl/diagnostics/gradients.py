"""Norms of the gradients that the agent really stepped along."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from pydantic.dataclasses import dataclass

from smoothrl.diagnostics._base import Cadence, Diagnostic, Probe
from smoothrl.registry import register
from smoothrl.views import SECTION

if TYPE_CHECKING:
    from torch import Tensor


@register("diagnostic", "gradients")
@dataclass(frozen=True, config=SECTION)
class Gradients(Diagnostic):
    """Gradient norms of a recent step of each player: of the loss, after clipping, and after the adaptations.

    For a player's parameters theta, ||g|| = ||d L / d theta||, Euclidean over all of them:

        optim/grad_norm/<player>           as the backward pass gave it
        optim/grad_norm_clipped/<player>   after clipping, where the agent clips
        optim/grad_norm_adapted/<player>   as the optimizer saw it, where adaptations act

    They belong to one recent minibatch, not to the held batch, and are not averaged.

    Example:
        >>> Gradients().watches_steps
        True

    Departures: docs/methods/diagnostics.md.
    """

    kind: ClassVar[str] = "gradients"

    every: Cadence = 1000
    """Environment steps between two measurements."""

    @property
    def watches_steps(self) -> bool:
        return True

    def measure(self, probe: Probe) -> dict[str, Tensor]:
        return dict(probe.norms)
