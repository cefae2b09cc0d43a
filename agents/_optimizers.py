"""Who learns what: the players behind an agent's optimizers, and separate optimizer settings for the critic."""

from __future__ import annotations

import inspect
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Any

import torch
from torch import nn

from smoothrl.optim import Player
from smoothrl.optim._descent import parameters_of
from smoothrl.views import CriticView, IncompatibleSetting


def players_of(optimizer: torch.optim.Optimizer, critic: CriticView, repeatable: Collection[str] = ()) -> list[Player]:
    """The players that this optimizer serves: the critic, the actor, or in PPO and A2C both.

    Parameters that the critic view shows are the critic's; all others, a shared features extractor and the actor's
    standard deviation included, are the actor's.
    """
    held = set(parameters_of(optimizer))
    networks: dict[str, Sequence[nn.Parameter]] = {
        name: own for name, parameters in critic.parameters().items() if (own := [p for p in parameters if p in held])
    }
    of_critic = {p for parameters in networks.values() for p in parameters}
    of_actor = [p for p in parameters_of(optimizer) if p.requires_grad and p not in of_critic]
    players = []
    if networks:
        players.append(Player("critic", optimizer, networks, critic, "critic" in repeatable))
    if of_actor:
        players.append(Player("actor", optimizer, {"actor": of_actor}, None, "actor" in repeatable))
    return players


def add_new_parameters(optimizer: torch.optim.Optimizer, critic: CriticView) -> None:
    """Let the critic's optimizer learn what a constraint has added to the critic."""
    held = set(parameters_of(optimizer))
    new = [p for parameters in critic.parameters().values() for p in parameters if p not in held]
    optimizer.param_groups[0]["params"].extend(new)


@dataclass(frozen=True)
class CriticSettings:
    """What the critic's optimizer has of its own; None where it is as the actor's."""

    learning_rate: Any
    optimizer_class: type[torch.optim.Optimizer] | None
    optimizer_kwargs: dict[str, Any] | None

    @property
    def given(self) -> list[str]:
        """The constructor arguments that are set."""
        return [f"critic_{field.name}" for field in fields(self) if getattr(self, field.name) is not None]

    def check(self, optimizers: Mapping[str, torch.optim.Optimizer]) -> None:
        """Refuse what the agent's optimizers cannot do.

        Raises:
            IncompatibleSetting: there is no actor beside the critic, or one optimizer for both that cannot be two.
        """
        if self.given and set(optimizers) == {"critic"}:
            raise IncompatibleSetting(
                f"{self.given[0]} has no place here: this agent learns a critic alone; use learning_rate and "
                "policy_kwargs optimizer_class, optimizer_kwargs"
            )
        if self.optimizer_class is not None and "critic" not in optimizers:
            raise IncompatibleSetting(
                "critic_optimizer_class cannot differ here: this agent has one optimizer for actor and critic; their "
                "settings can, by critic_learning_rate and critic_optimizer_kwargs"
            )

    def rebuilt(self, optimizer: torch.optim.Optimizer) -> torch.optim.Optimizer:
        """An optimizer of the critic alone, with these settings; those of the old one stay where none is given and the
        class is the same."""
        if self.optimizer_class is None and self.optimizer_kwargs is None:
            return optimizer
        cls = self.optimizer_class or type(optimizer)
        kept = optimizer.defaults if cls is type(optimizer) else {"lr": optimizer.defaults["lr"]}
        accepted = inspect.signature(cls).parameters
        options = {name: value for name, value in kept.items() if name in accepted} | (self.optimizer_kwargs or {})
        return cls(parameters_of(optimizer), **options)

    def write(self, optimizer: torch.optim.Optimizer) -> None:
        """Into the critic's parameter groups of an optimizer that serves both players.

        Raises:
            IncompatibleSetting: the optimizer has no such option.
        """
        for option, value in (self.optimizer_kwargs or {}).items():
            if option not in optimizer.defaults:
                raise IncompatibleSetting(
                    f"critic_optimizer_kwargs: {type(optimizer).__name__} has no option `{option}`; it has "
                    f"{', '.join(sorted(optimizer.defaults))}"
                )
            for group in optimizer.param_groups:
                if group.get("player") == "critic":
                    group[option] = value
