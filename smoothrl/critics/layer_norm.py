"""Layer normalization inside the critic."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any, ClassVar

from pydantic import Field
from pydantic.dataclasses import dataclass

from smoothrl.critics._base import CriticConstraint
from smoothrl.registry import register
from smoothrl.views import SECTION, CriticView, IncompatibleSetting, LayerIndices

if TYPE_CHECKING:
    from torch import Tensor, nn

NAME = "layer_norm"
"""Of the submodule that a normalized layer gets: `qf0.2.layer_norm.weight` in checkpoints."""


@register("critic_regularizer", "layer_norm")
@dataclass(frozen=True, config=SECTION)
class LayerNorm(CriticConstraint):
    """Layer normalization: what hidden critic layers compute gets mean 0 and variance 1, sample by sample.

    With y the output of a Linear layer, before its activation, and mean and variance over its features,

        LN(y) = gain * (y - mean(y)) / sqrt(var(y) + eps) + bias

    gain and bias are learned with the critic, one per feature, from 1 and 0. The target critic has its own, averaged
    like its other parameters.

    Example:
        >>> LayerNorm(layers=(-2,)).affine
        True

    Reference:
        Ba, Kiros, Hinton, Layer Normalization, 2016 (arXiv 1607.06450).

    Departures: docs/methods/layer_norm.md lists them.
    """

    kind: ClassVar[str] = "layer_norm"

    layers: LayerIndices | None = None
    """Negative indices over the Linear and Conv layers of each critic sub-network; None for every Linear layer but the
    output."""
    affine: bool = True
    """Learn gain and bias."""
    eps: Annotated[float, Field(gt=0)] = 1e-5
    """Added to the variance."""

    def check(self, critic: CriticView) -> None:
        self._chosen(critic)

    def apply(self, critic: CriticView) -> None:
        from torch import nn

        for name, layer in self._chosen(critic).items():
            if hasattr(layer, NAME):
                raise IncompatibleSetting(f"layer {name} has a layer_norm already: list each layer once")
            weight = layer.weight
            norm = nn.LayerNorm(layer.out_features, self.eps, self.affine, device=weight.device, dtype=weight.dtype)
            layer.add_module(NAME, norm)
            layer.register_forward_hook(_normalize)

    def _chosen(self, critic: CriticView) -> dict[str, nn.Linear]:
        """The layers to normalize, by name; one that sub-networks share comes once.

        Raises:
            IncompatibleSetting: there is none, or one cannot be normalized.
        """
        from torch import nn

        chosen: dict[str, nn.Linear] = {}
        for branch, layers in critic.branches.items():
            asked = layers[:-1] if self.layers is None else critic.select_from(branch, self.layers)
            for name, layer in asked:
                if layer is layers[-1][1]:
                    raise IncompatibleSetting(
                        f"layer_norm cannot normalize {name}, an output layer: one value normalized over itself is a "
                        "constant, and the values of several actions would all have one mean; use layers -2 and below"
                    )
                if isinstance(layer, nn.Linear):
                    chosen[name] = layer
                elif self.layers is not None:
                    raise IncompatibleSetting(
                        f"layer_norm cannot normalize {name}, a {type(layer).__name__}: it is defined here over the "
                        "features of Linear layers; leave the index out"
                    )
        if not chosen:
            raise IncompatibleSetting(
                "layer_norm has nothing to normalize: the critic has no Linear layer but its output; give it hidden "
                "layers by policy_kwargs net_arch"
            )
        return chosen


def _normalize(layer: Any, inputs: Any, output: Tensor) -> Tensor:
    """Forward hook. A function of the module, so that a deep copy of the layer is normalized by its own copy."""
    del inputs
    normalized: Tensor = layer.layer_norm(output)
    return normalized
