"""The door of this room: what an optimizer adaptation is, and what it gets to see and to change in one gradient step.

Every adaptation is a frozen, validated dataclass whose fields are its config section; what it must remember between
steps is an `nn.Module` of buffers, saved and restored with the agent.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar, Literal

from smoothrl.views import CriticView

if TYPE_CHECKING:
    import torch
    from torch import Tensor, nn

PlayerName = Literal["critic", "actor"]
Players = Literal["critic", "actor", "both"]


@dataclass(frozen=True)
class Player:
    """One player of the game that an agent plays: the parameters that descend one loss."""

    name: PlayerName
    optimizer: torch.optim.Optimizer
    networks: Mapping[str, Sequence[nn.Parameter]]
    """Name -> parameters: each critic network under its own (`qf0`, `qf1`), what they share under `shared`; the actor's
    under `actor`. Each is a parameter group of the optimizer."""
    critic: CriticView | None
    """The critic that these parameters compute; None for the actor."""
    repeatable: bool
    """Whether the loss can be evaluated again at other parameters, with the same random draws."""

    @property
    def parameters(self) -> list[nn.Parameter]:
        """All of them, in the order of the networks."""
        return [p for parameters in self.networks.values() for p in parameters]


class Step(ABC):
    """One gradient step of one player, after backward pass and clipping, before the optimizer's own step.

    `p.grad` of every parameter is what the optimizer will see: clipped, and changed by the adaptations before this one.
    An adaptation replaces it and never changes it in place: `gradients` shares its memory.
    What is asked of a step holds for this step alone: the optimizer's settings are back at their values after it.
    """

    player: Player
    learning_rate: float
    """The optimizer's own, of this player."""
    gradients: Sequence[Tensor]
    """g, the gradient of the loss before clipping, in the order of `player.parameters`; detached."""
    clip_factor: Tensor | None
    """What clipping multiplied the gradient by; None for an agent that does not clip."""

    @abstractmethod
    def hessian_gradient(self) -> Sequence[Tensor]:
        """H g, exact, of this step's loss on this step's batch. The adaptation must say so: `uses_hessian`."""

    @abstractmethod
    def difference_gradient(self, radius: float) -> Sequence[Tensor]:
        """H g by finite differences: the loss is evaluated again at `radius` from here, along g."""

    @abstractmethod
    def scale_learning_rate(self, parameters: Sequence[nn.Parameter], factor: Tensor) -> None:
        """Multiply these parameters' learning rate in this step."""

    @abstractmethod
    def scale_epsilon(self, network: str, factor: Tensor) -> None:
        """Multiply the epsilon of this network's parameter group in this step."""

    @abstractmethod
    def log(self, tag: str, value: Tensor) -> None:
        """Average this scalar over the logging interval under this tag."""


class OptimizerAdaptation(ABC):
    """A change of the optimizer's step that leaves its base settings alone. Several chain in order."""

    kind: ClassVar[str]
    """The name in configs and tags."""
    players: Players = "critic"
    """Whose steps it changes."""

    @property
    def is_off(self) -> bool:
        """True if it would change nothing and has nothing to log: it then costs no time."""
        return False

    @property
    def uses_hessian(self) -> bool:
        """Whether `before_step` asks for `hessian_gradient`: the backward pass then keeps its graph."""
        return False

    def adapts(self, player: Player) -> bool:
        """Whether it changes this player's steps."""
        return self.players in (player.name, "both")

    def check(self, player: Player) -> None:  # noqa: B027  (most adaptations fit every player)
        """Called once per player that it adapts, before training.

        Raises:
            IncompatibleSetting: it cannot work for this player.

        Warns:
            IneffectiveSetting: it will change nothing, or not what its name says.
        """

    def start(self, player: Player) -> nn.Module | None:
        """What it remembers between this player's steps, as buffers; None if nothing. Called once, after the critic is
        built."""
        del player
        return None

    @abstractmethod
    def before_step(self, step: Step, state: nn.Module | None) -> None:
        """Change gradients, or this step's learning rates or epsilons. Called at every gradient step of the player.

        Nothing in it may wait for the device: no `.item()`, no branch on a tensor's value.
        """
