"""Which of its inputs a critic can be made smooth in."""

from __future__ import annotations

from typing import Literal

from smoothrl.views import CriticView, IncompatibleSetting

WithRespectTo = Literal["obs", "action", "both"]


def require_action(kind: str, wrt: WithRespectTo, critic: CriticView) -> None:
    """Refuse smoothness in the action where there is none to vary.

    Raises:
        IncompatibleSetting: `wrt` asks for the action, and the critic takes none, or a discrete one.
    """
    if wrt != "obs" and not critic.takes_action:
        raise IncompatibleSetting(f"{kind} cannot use wrt `{wrt}` here: {no_action(critic)}; use wrt `obs`")


def no_action(critic: CriticView) -> str:
    """Why a critic without a continuous action has none."""
    if "vf" in critic.branches:
        return "this agent's critic is V(s), it takes no action"
    return "this agent has discrete actions, which the critic has no slope in"
