"""The door of this room: what a diagnostic is, and what it gets to see.

A diagnostic looks at the networks while they are trained and changes nothing: it draws from no random stream of the
run, and its time is limited to a share of the run's.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Annotated, ClassVar

from pydantic import Field

from smoothrl.views import CriticBatch, CriticView

if TYPE_CHECKING:
    import torch
    from torch import Tensor, nn

Cadence = Annotated[int, Field(ge=1)]


class Probe(ABC):
    """What a diagnostic sees: the online critic, the policy, and a batch that is held fixed for the whole run.

    The networks are in evaluation mode while it looks.
    """

    critic: CriticView
    """The online critic."""
    batch: CriticBatch
    """The held batch, drawn once from what was collected when the first diagnostic was due; the same ever after."""
    trajectory: Tensor | dict[str, Tensor]
    """Consecutive observations of one environment within one episode, in order, drawn once like the batch."""
    critic_parameters: Sequence[nn.Parameter]
    """What the critic's optimizer learns of the critic."""
    critic_optimizer: torch.optim.Optimizer
    """The optimizer that holds `critic_parameters` (and, in PPO and A2C, those of the actor)."""
    critic_learning_rate: float
    actor: nn.Module | None
    """The network that computes the action; None in DQN, which has none beside its critic."""
    norms: Mapping[str, Tensor]
    """Tag -> latest gradient norms of real steps: see `smoothrl.diagnostics.gradients`."""

    @abstractmethod
    def critic_loss(self) -> Tensor:
        """The critic loss, penalties included, on the held batch: with its graph, built anew by every call. Targets are
        computed once per measurement from the networks of that moment, and held constant."""

    @abstractmethod
    def policy(self, observations: Tensor | dict[str, Tensor]) -> Tensor:
        """The deterministic policy's actions. Continuous ones are (batch, action dimensions), in [-1, 1] where they are
        bounded, and differentiable in float observations; discrete ones are indices."""

    @property
    @abstractmethod
    def has_continuous_actions(self) -> bool:
        """Whether the policy's actions are real vectors."""


class Diagnostic(ABC):
    """One measurement. Its fields are its config section; `every` is its cadence."""

    kind: ClassVar[str]
    """The name in configs."""
    every: int
    """Environment steps between two measurements, at the nearest log line; a measurement that would exceed the time
    budget is put off to a later one."""

    @property
    def watches_steps(self) -> bool:
        """Whether it reads `probe.norms`: the agent then records the gradient norms of some real steps."""
        return False

    def check(self, critic: CriticView) -> None:  # noqa: B027  (most diagnostics fit every critic)
        """Called once, before training.

        Raises:
            IncompatibleSetting: this diagnostic cannot work on this critic.
        """

    @abstractmethod
    def measure(self, probe: Probe) -> dict[str, Tensor]:
        """Tag -> scalar tensor, all on one device. What cannot be measured on this agent is left out; every tag stands
        in docs/metrics.md."""
