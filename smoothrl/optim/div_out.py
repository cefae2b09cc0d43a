"""The critic's output divided by its spectral norms."""

from __future__ import annotations

import warnings
from typing import TYPE_CHECKING, Any, ClassVar, cast

from pydantic.dataclasses import dataclass

from smoothrl.optim._base import OptimizerAdaptation, Player, Step
from smoothrl.registry import register
from smoothrl.views import SECTION, CriticTransform, CriticView, IncompatibleSetting, IneffectiveSetting, LayerIndices

if TYPE_CHECKING:
    from torch import Tensor, nn

    from smoothrl.optim._divided_output import DividedOutput

HOMOGENEOUS = ("ReLU", "LeakyReLU")
"""Activations with f(c x) = c f(x) for c > 0; Identity is one more, and torch does not count it as an activation."""


@register("optimizer_adaptation", "div_out")
@dataclass(frozen=True, config=SECTION)
class DivOut(OptimizerAdaptation, CriticTransform):
    """DivOut: the critic's output is divided by its spectral norms in every forward pass.

    With f_i critic network i and rho_i the product of the spectral norms of its tracked layers,

        Q_i = f_i / rho_i

    rho is held constant in the gradient unless `flow_through_norm`. With positively homogeneous activations (ReLU) this
    is the network whose tracked layers are spectrally normalized and whose biases b_l are divided by the product of the
    norms of the tracked layers up to and including l. The target critic divides by its own norms.

    Example:
        >>> DivOut(layers=(-2, -1)).flow_through_norm
        False

    Reference:
        Gogianu et al., Spectral Normalisation for Deep Reinforcement Learning, 2021 (arXiv 2105.05246).

    Departures: docs/methods/div_out.md lists them.
    """

    kind: ClassVar[str] = "div_out"

    layers: LayerIndices = (-2,)
    """Negative indices of the tracked layers, over the Linear and Conv layers of each critic sub-network."""
    clip: bool = False
    """Use max(sigma, 1) for each layer's sigma, so that the output is never enlarged."""
    flow_through_norm: bool = False
    """Let the gradient flow through rho, as it flows through sigma in spectral normalization."""

    def apply(self, critic: CriticView) -> None:
        from smoothrl.optim._divided_output import DividedOutput

        if critic.name == "critic":  # once, and not again for the target
            _warn_of_other_activations(critic)
        for network, layers in critic.branches.items():
            name, output = layers[-1]
            if hasattr(output, self.kind):
                raise IncompatibleSetting(f"div_out divides the output of {name} already: list it once")
            tracked = critic.select_from(network, self.layers)
            output.add_module(
                self.kind, DividedOutput(network, tracked, critic.probe, self.clip, self.flow_through_norm)
            )
            output.register_forward_hook(_divide)

    def adapts(self, player: Player) -> bool:
        """No player: the forward pass is changed, not the step."""
        del player
        return False

    def before_step(self, step: Step, state: nn.Module | None) -> None:
        """Nothing; it is never called."""

    def advance(self, online: CriticView) -> None:
        for divided in self._outputs(online).values():
            divided.advance()

    def sync(self, online: CriticView, target: CriticView, tau: float, step: int) -> None:
        from smoothrl.linalg.spectral_estimate import jumps, may_wait

        if may_wait(tau, step):
            return
        for ours, theirs in zip(self._outputs(target).values(), self._outputs(online).values(), strict=True):
            if jumps(tau):
                ours.start_from(theirs)
            ours.follow()

    def readings(self, critic: CriticView) -> dict[str, Tensor]:
        return {
            f"optim/rho/{critic.name}.{network}": divided.rho().detach()
            for network, divided in self._outputs(critic).items()
        }

    def _outputs(self, critic: CriticView) -> dict[str, DividedOutput]:
        return {
            network: cast("DividedOutput", getattr(layers[-1][1], self.kind))
            for network, layers in critic.branches.items()
        }


def _divide(layer: Any, inputs: Any, output: Tensor) -> Tensor:
    """Forward hook of an output layer. A function of the module, so that a deep copy of the layer is divided by its
    own copy of the state."""
    del inputs
    return output / layer.div_out.rho()


def _warn_of_other_activations(critic: CriticView) -> None:
    kinds = ("torch.nn.modules.activation", "torch.nn.modules.normalization", "torch.nn.modules.batchnorm")
    others = {
        type(module).__name__
        for parts in critic.parts.values()
        for part in parts
        for module in part.modules()
        if type(module).__module__ in kinds and type(module).__name__ not in HOMOGENEOUS
    }
    if others:
        warnings.warn(
            f"div_out is not equivalent to spectral normalization here: the critic has {', '.join(sorted(others))}; "
            "dividing the output equals dividing the layers only with positively homogeneous activations (ReLU, "
            "LeakyReLU, Identity) and nothing that normalizes in between; use policy_kwargs: {activation_fn: relu}, or "
            "spectral_norm",
            IneffectiveSetting,
            stacklevel=3,
        )
