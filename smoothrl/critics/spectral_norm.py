"""Spectral normalization of critic layers."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, ClassVar, Literal, cast

from pydantic import Field, model_validator
from pydantic.dataclasses import dataclass

from smoothrl.critics._base import CriticConstraint
from smoothrl.registry import register
from smoothrl.views import SECTION, CriticView, LayerIndices

if TYPE_CHECKING:
    from torch import Tensor

    from smoothrl.critics._spectral import SpectralLayer


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
    the norm of the operator itself at the layer's real input size, or, with `convolution="reshaped"`, of its kernel.

    Example:
        >>> SpectralNorm(layers=(-2,), mode="relaxed").lipschitz_k
        1.0

    Reference:
        Miyato et al., Spectral Normalization for Generative Adversarial Networks, 2018 (arXiv 1802.05957).
        Gogianu et al., Spectral Normalisation for Deep Reinforcement Learning, 2021 (arXiv 2105.05246).

    Departures: docs/methods/spectral_norm.md lists them.
    """

    kind: ClassVar[str] = "spectral_norm"

    layers: LayerIndices = (-2,)
    """Negative indices over the Linear and Conv layers of each critic sub-network: -1 is the output layer."""
    lipschitz_k: Annotated[float, Field(gt=0)] = 1.0
    """The spectral norm a layer gets (exact) or may have at most (relaxed)."""
    mode: Literal["exact", "relaxed"] = "exact"
    """`exact` also scales small layers up to k; `relaxed` leaves them alone."""
    estimator: Literal["power", "svd"] = "power"
    """How u, v follow the weight: power iteration, or a full decomposition each step (exact, slow, no convolutions)."""
    n_power_iterations: Annotated[int, Field(ge=1)] = 1
    """Power iterations per gradient step; the operator of a convolution takes four for each."""
    convolution: Literal["operator", "reshaped"] = "operator"
    """A Conv layer by the norm of its true operator, or of its kernel reshaped to a matrix, which is no bound."""

    @model_validator(mode="after")
    def _iterations_are_used(self) -> SpectralNorm:
        if self.estimator == "svd" and self.n_power_iterations != 1:
            raise ValueError("`n_power_iterations` does nothing with estimator `svd`: leave it out")
        return self

    def apply(self, critic: CriticView) -> None:
        from smoothrl.critics._spectral import normalize

        layers, relaxed = critic.select(self.layers), self.mode == "relaxed"
        normalize(layers, critic.probe, self.lipschitz_k, relaxed, self.estimator, self.convolution)

    def advance(self, online: CriticView) -> None:
        for layer in self._layers(online).values():
            layer.spectral.follow(layer.weight, self.n_power_iterations)

    def sync(self, online: CriticView, target: CriticView, tau: float, step: int) -> None:
        from smoothrl.linalg.spectral_estimate import jumps, may_wait

        if may_wait(tau, step):
            return
        for ours, theirs in zip(self._layers(target).values(), self._layers(online).values(), strict=True):
            if jumps(tau):
                ours.spectral.start_from(theirs.spectral)
            ours.spectral.follow(ours.weight, self.n_power_iterations)

    def readings(self, critic: CriticView) -> dict[str, Tensor]:
        return {
            f"smoothness/sigma/{critic.name}/{name}": layer.effective_sigma()
            for name, layer in self._layers(critic).items()
        }

    def _layers(self, critic: CriticView) -> dict[str, SpectralLayer]:
        return cast("dict[str, SpectralLayer]", critic.select(self.layers))
