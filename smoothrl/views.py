"""What regularizers, adaptations and diagnostics get to see of a critic, and what their config sections share.

Imports torch only for type checkers, so that a config is checked without waiting for torch.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated

from pydantic import AfterValidator, ConfigDict, Field, Strict

if TYPE_CHECKING:
    from torch import Tensor, nn

Inputs = dict[str, "Tensor"]
"""Observations as the critic's networks receive them, after SB3's preprocessing: one tensor per observation key."""

SECTION = ConfigDict(extra="forbid", strict=True, allow_inf_nan=False, use_attribute_docstrings=True)
"""How the fields of a regularizer, adaptation or diagnostic are validated, in Python and from a config alike."""


def _distinct(layers: tuple[int, ...]) -> tuple[int, ...]:
    if len(set(layers)) < len(layers):
        raise ValueError("a layer is named twice")
    return layers


LayerIndices = Annotated[
    tuple[Annotated[int, Strict(), Field(lt=0)], ...], Strict(False), Field(min_length=1), AfterValidator(_distinct)
]
"""Negative indices over the Linear and Conv layers of each critic sub-network: -1 is the output layer."""


class IncompatibleSetting(ValueError):
    """Something that cannot work on this agent; the message says why and what would."""

    door: str = ""
    """The config section it is about; set by the agent."""


class IneffectiveSetting(UserWarning):
    """Something that will change nothing, or not what its name says, on this agent; the message has the remedy."""

    door: str = ""
    """The config section it is about; set by the agent."""


class CriticView(ABC):
    """One critic, online or target: its layers by name, and the function it computes. Agents provide it.

    It keeps references to modules and no closures, so that a deep copy of an agent is regularized by its own view.
    """

    name: str
    """`critic` or `critic_target`, as in the TensorBoard tags."""
    branches: Mapping[str, tuple[tuple[str, nn.Module], ...]]
    """Name of a sub-network (`qf0`, `qf1`; `vf`; `q`) -> its (name, Linear or Conv layer) pairs from the observation to
    the value."""
    parts: Mapping[str, tuple[nn.Module, ...]]
    """Name of a sub-network -> the modules it runs through, in order; layers that the actor also uses are in none."""
    takes_action: bool
    """True for Q(s, a) with a continuous action, which has a slope in it; False for V(s) and for discrete actions."""
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
        """One (batch, 1) tensor per sub-network. Actions are None for V(s); where they are discrete, None gives the
        greedy action's value."""

    @abstractmethod
    def probe(self) -> None:
        """One forward pass on a zero observation, for hooks that need a layer's input size."""

    def parameters(self) -> dict[str, list[nn.Parameter]]:
        """Sub-network -> its parameters; those that several sub-networks run through stand under `shared`."""
        found = {
            name: [p for part in parts for p in part.parameters() if p.requires_grad]
            for name, parts in self.parts.items()
        }
        owners: dict[nn.Parameter, int] = {}
        for parameters in found.values():
            for p in parameters:
                owners[p] = owners.get(p, 0) + 1
        own = {name: [p for p in parameters if owners[p] == 1] for name, parameters in found.items()}
        shared = [p for p, count in owners.items() if count > 1]
        return own | ({"shared": shared} if shared else {})

    def select(self, indices: Sequence[int]) -> dict[str, nn.Module]:
        """The layers at these negative indices of every branch, by name; a layer that branches share comes once.

        Raises:
            IncompatibleSetting: a branch has fewer layers than an index asks for.
        """
        chosen = self._selected.get(tuple(indices))
        if chosen is None:
            chosen = {name: layer for branch in self.branches for name, layer in self.select_from(branch, indices)}
            self._selected[tuple(indices)] = chosen
        return chosen

    def select_from(self, branch: str, indices: Sequence[int]) -> list[tuple[str, nn.Module]]:
        """The (name, layer) pairs at these negative indices of one branch.

        Raises:
            IncompatibleSetting: it has fewer layers than an index asks for.
        """
        layers = self.branches[branch]
        for index in indices:
            if -index > len(layers):
                present = ", ".join(f"{i - len(layers)}: {name}" for i, (name, _) in enumerate(layers))
                remedy = (
                    ". The features extractor is shared with the actor and never part of the critic: set policy_kwargs "
                    "share_features_extractor to false to include it"
                )
                raise IncompatibleSetting(
                    f"layer {index} does not exist in the critic, which has {present}"
                    + (remedy if self.extractor_is_shared else "")
                )
        return [layers[index] for index in indices]


@dataclass(frozen=True)
class CriticBatch:
    """The points at hand in one critic update."""

    observations: Tensor | dict[str, Tensor]
    actions: Tensor | None
    """Replayed actions, in [-1, 1] or, if discrete, their (batch, 1) indices; None for V(s)."""
    policy_actions: Callable[[], Tensor] | None
    """The current policy's actions at the same observations, detached; None unless the critic takes the action."""


class CriticTransform(ABC):
    """A change of the critic's function that is made when the critic is built and may have a state of its own.

    It never moves that state as a side effect of a forward pass: target critics run in evaluation mode, and acting must
    not change what is learned.
    """

    @abstractmethod
    def apply(self, critic: CriticView) -> None:
        """Change the critic in place. Called once per network, online and target alike, after initialization.

        Parameters stay the same `nn.Parameter` objects: optimizers already hold them. New ones join the optimizer by
        themselves.
        """

    def advance(self, online: CriticView) -> None:  # noqa: B027  (not every transform has a state)
        """Move the online state once. Called after every gradient step of the critic."""

    def sync(self, online: CriticView, target: CriticView, tau: float, step: int) -> None:  # noqa: B027
        """Make the target's state right for the target's own weights, which just moved by the share `tau` toward the
        online ones. Called after every target update; `step` counts them from 1."""

    def readings(self, critic: CriticView) -> dict[str, Tensor]:
        """Tag -> value of what this transform says about itself. Called when logging."""
        del critic
        return {}
