"""What every agent of ours adds to the SB3 class it extends: a regularized critic, and metrics that do not wait."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, cast

import torch
from stable_baselines3.common.base_class import BaseAlgorithm
from torch import Tensor

from smoothrl.agents._metrics import READ_EVERY, IntervalMeans
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

    def _critic_penalty(self, batch: CriticBatch) -> dict[str, Tensor]:
        """Tag -> penalty; their sum joins the critic loss."""
        return {f"smoothness/{p.kind}": p.penalty(self._online_critic, batch) for p in self._penalties}

    def _descend(self, optimizer: torch.optim.Optimizer, loss: Tensor) -> None:
        """One step of `optimizer` on `loss`. Only the optimizer's own parameters receive gradients: SB3 also computes
        those of the critic for the actor's loss, a third of its backward pass, and throws them away."""
        parameters = [p for group in optimizer.param_groups for p in group["params"] if p.requires_grad]
        optimizer.zero_grad()
        loss.backward(inputs=parameters)
        optimizer.step()

    def _advance_critic(self) -> None:
        """After every gradient step of the critic."""
        for constraint in self._constraints:
            constraint.advance(self._online_critic)

    def _sync_target_critic(self, tau: float) -> None:
        """After every update of the target critic, which moved it by the share `tau` toward the online critic."""
        for constraint in self._constraints:
            assert self._target_critic is not None
            constraint.sync(self._online_critic, self._target_critic, tau)

    def _read_metrics(self) -> None:
        """At the end of `train()`: free on the CPU, so every time; a wait for the device elsewhere, so rarely."""
        self.metrics.read(self.num_timesteps, at_least=1 if self.device.type == "cpu" else READ_EVERY)

    def dump_logs(self, *args: Any, **kwargs: Any) -> None:
        """SB3's log line, with interval means and the spectral norms of the normalized layers."""
        self.metrics.read(self.num_timesteps)
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


def total(terms: Iterable[Tensor]) -> Tensor:
    """Their sum, added from left to right as SB3 does; of none it is 0, which changes no bit of what it is added to."""
    return cast(Tensor, sum(terms))
