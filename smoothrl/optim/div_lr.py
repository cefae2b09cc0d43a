"""Each layer's learning rate divided by its spectral norm."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from pydantic.dataclasses import dataclass

from smoothrl.optim._base import Step
from smoothrl.optim._tracking import NormTracking
from smoothrl.registry import register
from smoothrl.views import SECTION, LayerIndices

if TYPE_CHECKING:
    from collections.abc import Mapping

    from torch import Tensor, nn


@register("optimizer_adaptation", "div_lr")
@dataclass(frozen=True, config=SECTION)
class DivLr(NormTracking):
    """Per-layer learning rates: each tracked critic layer learns at a rate divided by its own spectral norm.

    With sigma_l the spectral norm of the tracked layer l, weight and bias of that layer learn in this step at

        h_l = h / max(sigma_l, 1)        or, with `clip=False`,        h_l = h / sigma_l

    Unlike a division of gradients this acts in full under every optimizer, adaptive ones included. Tracked layers are
    measured, not normalized.

    Example:
        >>> DivLr().clip
        True

    Reference:
        The published code of Gogianu et al., Spectral Normalisation for Deep Reinforcement Learning, 2021
        (arXiv 2105.05246).

    Departures: docs/methods/div_lr.md lists them.
    """

    kind: ClassVar[str] = "div_lr"

    layers: LayerIndices = (-2,)
    """Negative indices of the tracked layers, over the Linear and Conv layers of each critic sub-network."""
    clip: bool = True
    """Use max(sigma, 1) for sigma, so that no rate rises."""

    def use(self, step: Step, sigmas: Mapping[nn.Module, Tensor], rhos: Mapping[str, Tensor]) -> None:
        for layer, sigma in sigmas.items():
            step.scale_learning_rate(list(layer.parameters(recurse=False)), 1 / sigma)
