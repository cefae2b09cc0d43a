"""Spectral normalization of critic layers."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, ClassVar, Literal, cast

from pydantic import Field, Strict, field_validator, model_validator
from pydantic.dataclasses import dataclass

from smoothrl.critics._base import SECTION, CriticConstraint, CriticView
from smoothrl.registry import register

if TYPE_CHECKING:
    from torch import Tensor

    from smoothrl.critics._spectral import SpectralLayer

NegativeIndices = Annotated[tuple[Annotated[int, Strict(), Field(lt=0)], ...], Strict(False), Field(min_length=1)]

SLOW = 0.01
"""Up to this share of movement per update a target critic counts as slow; SB3's default is 0.005."""
SYNC_EVERY = 4
"""Updates of a slow target between two moves of its state."""


@register("critic_regularizer", "spectral_norm")
@dataclass(frozen=True, config=SECTION)
class SpectralNorm(CriticConstraint):
    """Spectral normalization: chosen critic layers keep a spectral norm of (at most) `lipschitz_k`.

    With W a layer's weight, sigma(W) its largest singular value and k = `lipschitz_k`:

        exact:    W_SN = W * k / sigma(W)               its spectral norm is k
        relaxed:  W_SN = W / max(sigma(W) / k, 1)       its spectral norm is min(sigma(W), k)

    The gradient flows through sigma(W) = u^T W v with the singular vectors u, v held constant. They are exact when the
    critic is built, move by `n_power_iterations` after every gradient step of the critic, and never in a forward pass.
    The target critic normalizes its own weights with its own u, v. Biases are never scaled. For a convolution sigma is
    the norm of the operator itself at the layer's real input size, not of the reshaped kernel.

    Example:
        >>> SpectralNorm(layers=(-2,), mode="relaxed").lipschitz_k
        1.0

    Reference:
        Miyato et al., Spectral Normalization for Generative Adversarial Networks, 2018 (arXiv 1802.05957).
        Gogianu et al., Spectral Normalisation for Deep Reinforcement Learning, 2021 (arXiv 2105.05246).

    Departures: docs/methods/spectral_norm.md lists them.
    """

    kind: ClassVar[str] = "spectral_norm"

    layers: NegativeIndices = (-2,)
    """Negative indices over the Linear and Conv layers of each critic sub-network: -1 is the output layer."""
    lipschitz_k: Annotated[float, Field(gt=0)] = 1.0
    """The spectral norm a layer gets (exact) or may have at most (relaxed)."""
    mode: Literal["exact", "relaxed"] = "exact"
    """`exact` also scales small layers up to k; `relaxed` leaves them alone."""
    estimator: Literal["power", "svd"] = "power"
    """How u, v follow the weight: power iteration, or a full decomposition each step (exact, slow, no convolutions)."""
    n_power_iterations: Annotated[int, Field(ge=1)] = 1
    """Power iterations per gradient step."""

    @field_validator("layers")
    @classmethod
    def _distinct(cls, layers: tuple[int, ...]) -> tuple[int, ...]:
        if len(set(layers)) < len(layers):
            raise ValueError("a layer is named twice")
        return layers

    @model_validator(mode="after")
    def _iterations_are_used(self) -> SpectralNorm:
        if self.estimator == "svd" and self.n_power_iterations != 1:
            raise ValueError("`n_power_iterations` does nothing with estimator `svd`: leave it out")
        return self

    def apply(self, critic: CriticView) -> None:
        from smoothrl.critics._spectral import normalize

        layers = critic.select(self.layers)
        normalize(layers, critic.probe, k=self.lipschitz_k, relaxed=self.mode == "relaxed", estimator=self.estimator)

    def advance(self, online: CriticView) -> None:
        for layer in self._layers(online).values():
            layer.spectral.advance(layer.weight, self.n_power_iterations)

    def sync(self, online: CriticView, target: CriticView, tau: float, step: int) -> None:
        if tau <= SLOW and step % SYNC_EVERY:
            return  # the target has hardly moved, and sigma = u^T W v already uses its new W
        for ours, theirs in zip(self._layers(target).values(), self._layers(online).values(), strict=True):
            if tau > 0.5:  # the target's weights are closer to the online ones than to their own old ones
                ours.spectral.start_from(theirs.spectral)
            ours.spectral.advance(ours.weight, self.n_power_iterations)

    def sigmas(self, critic: CriticView) -> dict[str, Tensor]:
        return {name: layer.effective_sigma() for name, layer in self._layers(critic).items()}

    def _layers(self, critic: CriticView) -> dict[str, SpectralLayer]:
        return cast("dict[str, SpectralLayer]", critic.select(self.layers))
