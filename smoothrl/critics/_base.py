"""The two doors of this room: what a critic regularizer is.

A *constraint* makes smoothness structural: it changes the function of the critic when it is built (spectral
normalization). A *penalty* asks for smoothness: a scalar added to the critic loss (gradient penalty).

Every regularizer is a frozen, validated dataclass whose fields are its config section. Its module imports torch only
where tensors appear, so that a config is checked without waiting for torch.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, ClassVar

from smoothrl.views import CriticBatch, CriticTransform, CriticView

if TYPE_CHECKING:
    from torch import Tensor


class CriticRegularizer(ABC):
    """What constraints and penalties have in common: a name and a check against the critic they are given."""

    kind: ClassVar[str]
    """The name in configs and tags."""

    def check(self, critic: CriticView) -> None:  # noqa: B027  (most regularizers fit every critic)
        """Called once, before training.

        Raises:
            IncompatibleSetting: this regularizer cannot work on this critic.
        """


class CriticConstraint(CriticRegularizer, CriticTransform):
    """A change of critic layers that bounds or normalizes them; `CriticTransform` has its methods."""


class CriticPenalty(CriticRegularizer):
    """A term of the critic loss."""

    @property
    def is_off(self) -> bool:
        """True if it would change nothing (a zero coefficient): it then costs no time and draws no random number."""
        return False

    @property
    def draws(self) -> bool:
        """True if it draws random numbers: the loss cannot then be evaluated twice for a difference of gradients."""
        return False

    @abstractmethod
    def penalty(self, critic: CriticView, batch: CriticBatch) -> Tensor:
        """The scalar to add to the critic loss. Called once per gradient step of the critic."""
