"""The two doors of this room: what a critic regularizer is, and what it gets to see.

A *constraint* makes smoothness structural: it reparametrizes layers when the critic is built (spectral normalization).
A *penalty* asks for smoothness: a scalar added to the critic loss (gradient penalty).

Every regularizer is a frozen, validated dataclass whose fields are its config section. Its module imports torch only
where tensors appear, so that a config is checked without waiting for torch.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from pydantic import ConfigDict

if TYPE_CHECKING:
    from torch import Tensor, nn

Inputs = dict[str, "Tensor"]
"""Observations as the critic's networks receive them, after SB3's preprocessing: one tensor per observation key."""

SECTION = ConfigDict(extra="forbid", strict=True, allow_inf_nan=False, use_attribute_docstrings=True)
"""How a regularizer's fields are validated, in Python and from a config alike."""


class IncompatibleRegularizer(ValueError):
    """A regularizer that cannot work on this critic; the message says why and what would."""


class CriticView(ABC):
    """One critic, online or target: its layers by name, and the function it computes. Agents provide it.

    It keeps references to modules and no closures, so that a deep copy of an agent is regularized by its own view.
    """

    name: str
    """`critic` or `critic_target`, as in the TensorBoard tags."""
    branches: tuple[tuple[tuple[str, nn.Module], ...], ...]
    """One per sub-network (each Q network; the value branch): its (name, Linear or Conv layer) pairs from the
    observation to the value."""
    takes_action: bool
    """True for Q(s, a), False for V(s)."""
    extractor_is_shared: bool
    """The actor uses the same features extractor: its layers are not in the branches."""
    sees_observation_gradient: bool
    """False where SB3 cuts the gradient to the observation."""

    def __init__(self) -> None:
        self._selected: dict[tuple[int, ...], dict[str, nn.Module]] = {}  # asked for at every gradient step

    @abstractmethod
    def preprocess(self, observations: Tensor | dict[str, Tensor]) -> Inputs:
        """Observations of a batch -> what the networks receive (images in [0, 1], discrete ones one-hot)."""

    @abstractmethod
    def values(self, inputs: Inputs, actions: Tensor | None) -> Sequence[Tensor]:
        """One (batch, 1) tensor per sub-network; actions are None for a state-value critic."""

    @abstractmethod
    def probe(self) -> None:
        """One forward pass on a zero observation, for hooks that need a layer's input size."""

    def select(self, indices: Sequence[int]) -> dict[str, nn.Module]:
        """The layers at these negative indices of every branch, by name; a layer that branches share comes once.

        Raises:
            IncompatibleRegularizer: a branch has fewer layers than an index asks for.
        """
        chosen = self._selected.get(tuple(indices))
        if chosen is not None:
            return chosen
        chosen = {}
        for branch in self.branches:
            for index in indices:
                if -index > len(branch):
                    layers = ", ".join(f"{i - len(branch)}: {name}" for i, (name, _) in enumerate(branch))
                    remedy = (
                        ". The features extractor is shared with the actor and never regularized: set policy_kwargs "
                        "share_features_extractor to false to include it"
                    )
                    raise IncompatibleRegularizer(
                        f"layer {index} does not exist in the critic, which has {layers}"
                        + (remedy if self.extractor_is_shared else "")
                    )
                name, layer = branch[index]
                chosen[name] = layer
        self._selected[tuple(indices)] = chosen
        return chosen


@dataclass(frozen=True)
class CriticBatch:
    """The points at hand in one critic update."""

    observations: Tensor | dict[str, Tensor]
    actions: Tensor | None
    """Replayed actions in [-1, 1]; None for a state-value critic."""
    policy_actions: Callable[[], Tensor] | None
    """The current policy's actions at the same observations, detached; None for a state-value critic."""


class CriticRegularizer(ABC):
    """What constraints and penalties have in common: a name and a check against the critic they are given."""

    kind: ClassVar[str]
    """The name in configs and tags."""

    def check(self, critic: CriticView) -> None:  # noqa: B027  (most regularizers fit every critic)
        """Called once, before training.

        Raises:
            IncompatibleRegularizer: this regularizer cannot work on this critic.
        """


class CriticConstraint(CriticRegularizer):
    """A reparametrization of critic layers. It never moves its state as a side effect of a forward pass."""

    @abstractmethod
    def apply(self, critic: CriticView) -> None:
        """Reparametrize layers in place. Called once per network, online and target alike, after initialization.

        The parameters stay the same `nn.Parameter` objects: optimizers already hold them.
        """

    @abstractmethod
    def advance(self, online: CriticView) -> None:
        """Move the online state once. Called after every gradient step of the critic."""

    @abstractmethod
    def sync(self, online: CriticView, target: CriticView, tau: float, step: int) -> None:
        """Make the target's state right for the target's own weights, which just moved by the share `tau` toward the
        online ones. Called after every target update; `step` counts them from 1."""

    @abstractmethod
    def sigmas(self, critic: CriticView) -> dict[str, Tensor]:
        """Layer name -> spectral norm of the weight the forward pass really uses, exact. Called when logging."""


class CriticPenalty(CriticRegularizer):
    """A term of the critic loss."""

    @property
    def is_off(self) -> bool:
        """True if it would change nothing (a zero coefficient): it then costs no time and draws no random number."""
        return False

    @abstractmethod
    def penalty(self, critic: CriticView, batch: CriticBatch) -> Tensor:
        """The scalar to add to the critic loss. Called once per gradient step of the critic."""
