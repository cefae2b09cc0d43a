"""What every agent of ours adds to the SB3 class it extends: a regularized critic, and metrics that do not wait."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from functools import reduce
from operator import add
from typing import Any, Self

import torch
from stable_baselines3.common.base_class import BaseAlgorithm
from torch import Tensor, nn
from torch.distributions import Distribution

from smoothrl.agents._metrics import IntervalMeans
from smoothrl.critics import (
    CriticBatch,
    CriticConstraint,
    CriticPenalty,
    CriticRegularizer,
    CriticView,
)


class SmoothCritic(BaseAlgorithm):
    """Mixin, placed before an SB3 algorithm: `class SAC(SmoothCritic, stable_baselines3.SAC)`.

    The agent shows its critic (`_critic_views`). Its update calls `_critic_penalty` for the critic loss, `_descend` for
    a gradient step, and `_advance_critic` and `_sync_target_critic` after them. With no regularizer these change
    nothing, to the bit.
    """

    critic_regularizers: tuple[CriticRegularizer, ...]

    def __init__(self, *args: Any, critic_regularizers: Sequence[CriticRegularizer] = (), **kwargs: Any) -> None:
        self.critic_regularizers = tuple(critic_regularizers)
        self._target_updates = 0
        self.metrics = IntervalMeans()
        super().__init__(*args, **kwargs)

    def _critic_views(self) -> tuple[CriticView, CriticView | None]:
        """The online critic, and the target critic of an agent that has one."""
        raise NotImplementedError(f"{type(self).__name__} must show its critic to the regularizers")

    def _setup_model(self) -> None:
        """Build the SB3 model, then regularize its critic. `load` comes here too, before it restores the weights."""
        super()._setup_model()  # type: ignore[safe-super]
        self._constraints = [r for r in self.critic_regularizers if isinstance(r, CriticConstraint)]
        self._penalties = [r for r in self.critic_regularizers if isinstance(r, CriticPenalty) and not r.is_off]
        self._online_critic, self._target_critic = self._critic_views()
        for regularizer in self.critic_regularizers:
            regularizer.check(self._online_critic)
        for constraint in self._constraints:
            constraint.apply(self._online_critic)
            if self._target_critic is not None:
                constraint.apply(self._target_critic)

    def learn(self, *args: Any, **kwargs: Any) -> Self:
        """SB3's; a loss that was not finite is named, also where it made something else break before it was read."""
        try:
            return super().learn(*args, **kwargs)  # type: ignore[safe-super]
        finally:
            self.metrics.read()

    def _critic_penalty(self, batch: CriticBatch) -> dict[str, Tensor]:
        """Tag -> penalty, those of one kind added up; their sum joins the critic loss."""
        penalties: dict[str, Tensor] = {}
        for regularizer in self._penalties:
            tag, penalty = f"smoothness/{regularizer.kind}", regularizer.penalty(self._online_critic, batch)
            penalties[tag] = penalties[tag] + penalty if tag in penalties else penalty
        return penalties

    def _descend(self, optimizer: torch.optim.Optimizer, loss: Tensor) -> None:
        """One step of `optimizer` on `loss`. Only the optimizer's own parameters receive gradients: SB3 also computes
        those of the critic for the actor's loss, a third of its backward pass, and throws them away."""
        optimizer.zero_grad()
        loss.backward(inputs=[p for p in parameters_of(optimizer) if p.requires_grad])
        optimizer.step()

    def _advance_critic(self) -> None:
        """After every gradient step of the critic."""
        for constraint in self._constraints:
            constraint.advance(self._online_critic)

    def _sync_target_critic(self, tau: float) -> None:
        """After every update of the target critic, which moved it by the share `tau` toward the online critic."""
        self._target_updates += 1
        for constraint in self._constraints:
            assert self._target_critic is not None
            constraint.sync(self._online_critic, self._target_critic, tau, self._target_updates)

    def dump_logs(self, *args: Any, **kwargs: Any) -> None:
        """SB3's log line, with interval means and the spectral norms of the normalized layers."""
        self.metrics.record(self.logger)
        for critic in filter(None, (self._online_critic, self._target_critic)):
            for constraint in self._constraints:
                for layer, sigma in constraint.sigmas(critic).items():
                    self.logger.record(f"smoothness/sigma/{critic.name}/{layer}", sigma.item())
        super().dump_logs(*args, **kwargs)

    def _excluded_save_params(self) -> list[str]:
        # Rebuilt by _setup_model; modules and tensors do not belong in the zip's data.
        rebuilt = ["metrics", "_constraints", "_penalties", "_online_critic", "_target_critic"]
        return super()._excluded_save_params() + rebuilt


@contextmanager
def unchecked_distributions() -> Iterator[None]:
    """Around an update: torch.distributions checks its arguments by reading them, which waits for the device. What the
    checks would find, a NaN, is in the losses too."""
    before = Distribution._validate_args
    Distribution.set_default_validate_args(False)
    try:
        yield
    finally:
        Distribution.set_default_validate_args(before)


def parameters_of(optimizer: torch.optim.Optimizer) -> list[nn.Parameter]:
    """What it optimizes, in order; unlike `module.parameters()` this does not walk the module tree."""
    return [p for group in optimizer.param_groups for p in group["params"]]


def total(terms: Iterable[Tensor]) -> Tensor:
    """Their sum, from left to right; of one alone, that one itself."""
    return reduce(add, terms)
