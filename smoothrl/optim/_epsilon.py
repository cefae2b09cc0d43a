"""The epsilon of adaptive optimizers: what decides whether they feel the scale of a gradient at all."""

from __future__ import annotations

import warnings

from smoothrl.optim._base import Player
from smoothrl.views import IncompatibleSetting, IneffectiveSetting

TOO_SMALL = 1e-6
"""Up to this epsilon Adam and RMSprop cancel a gradient's scale; 3.125e-4 is the Atari value of Gogianu et al."""


def require_epsilon(kind: str, player: Player) -> None:
    """Refuse an optimizer without epsilon.

    Raises:
        IncompatibleSetting: there is none to multiply.
    """
    if not _epsilons(player):
        raise IncompatibleSetting(
            f"{kind} multiplies the optimizer's epsilon, and {type(player.optimizer).__name__} has none; use div_grad, "
            "or an optimizer that has one, such as Adam"
        )


def warn_of_small_epsilon(kind: str, player: Player) -> None:
    """Warn if there is an epsilon, and it is too small for a gradient's scale to matter."""
    epsilons = _epsilons(player)
    if epsilons and min(epsilons) <= TOO_SMALL:
        warnings.warn(
            f"{kind} will change next to nothing: {type(player.optimizer).__name__} divides the gradient by its own "
            f"running size sqrt(v), which cancels any scale, and feels one only through epsilon = {min(epsilons):g}, "
            "far below sqrt(v); set critic_optimizer_kwargs: {eps: 3.125e-4}, or in DQN policy_kwargs: "
            "{optimizer_kwargs: {eps: 3.125e-4}}",
            IneffectiveSetting,
            stacklevel=3,
        )


def _epsilons(player: Player) -> list[float]:
    """Of the player's parameter groups; empty for an optimizer without one."""
    groups = player.optimizer.param_groups
    return [group["eps"] for group in groups if group["network"] in player.networks and "eps" in group]
