"""What every agent of ours adds to the SB3 class it extends: a regularized critic, adapted optimizers, diagnostics."""

from __future__ import annotations

import warnings
from abc import abstractmethod
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import reduce
from operator import add
from typing import Any, ClassVar, Self

import torch
from stable_baselines3.common.base_class import BaseAlgorithm
from stable_baselines3.common.utils import FloatSchedule
from torch import Tensor, nn
from torch.distributions import Distribution

from smoothrl.agents._metrics import IntervalMeans
from smoothrl.agents._monitor import Monitor
from smoothrl.agents._optimizers import CriticSettings, add_new_parameters, players_of
from smoothrl.agents._probe import Held
from smoothrl.critics import CriticPenalty, CriticRegularizer
from smoothrl.diagnostics import Diagnostic
from smoothrl.optim import OptimizerAdaptation, Player
from smoothrl.optim._descent import Descent, split_groups
from smoothrl.views import CriticBatch, CriticTransform, CriticView, IncompatibleSetting, IneffectiveSetting

Rate = float | Callable[[float], float]


class SmoothAgent(BaseAlgorithm):
    """Mixin, placed before an SB3 algorithm: `class SAC(SmoothAgent, stable_baselines3.SAC)`.

    The agent shows its critic (`_critic_views`), its optimizers (`_optimizers`) and, to be diagnosed, its critic loss
    on a held batch (`_held`, `critic_objective`). Its update calls `_critic_penalty` for the critic loss, `_descend`
    for a gradient step, and `_advance_critic` and `_sync_target_critic` after them. With nothing switched on these
    change nothing, to the bit.
    """

    repeatable: ClassVar[frozenset[str]] = frozenset({"critic", "actor"})
    """Players whose loss can be evaluated twice in an update: it draws no random number of its own."""

    critic_regularizers: tuple[CriticRegularizer, ...]
    optimizer_adaptations: tuple[OptimizerAdaptation, ...]
    diagnostics: tuple[Diagnostic, ...]

    def __init__(
        self,
        *args: Any,
        critic_regularizers: Sequence[CriticRegularizer] = (),
        optimizer_adaptations: Sequence[OptimizerAdaptation] = (),
        diagnostics: Sequence[Diagnostic] = (),
        diagnostics_budget: float = 0.05,
        critic_learning_rate: Rate | None = None,
        critic_optimizer_class: type[torch.optim.Optimizer] | None = None,
        critic_optimizer_kwargs: dict[str, Any] | None = None,
        **kwargs: Any,
    ) -> None:
        self.critic_regularizers = tuple(critic_regularizers)
        self.optimizer_adaptations = tuple(optimizer_adaptations)
        self.diagnostics = tuple(diagnostics)
        self.diagnostics_budget = diagnostics_budget
        self.critic_learning_rate = critic_learning_rate
        self.critic_optimizer_class = critic_optimizer_class
        self.critic_optimizer_kwargs = critic_optimizer_kwargs
        self._target_updates = 0
        self.metrics = IntervalMeans()
        super().__init__(*args, **kwargs)

    @abstractmethod
    def _critic_views(self) -> tuple[CriticView, CriticView | None]:
        """The online critic, and the target critic of an agent that has one."""

    @abstractmethod
    def _optimizers(self) -> Mapping[str, torch.optim.Optimizer]:
        """Name -> optimizer of critic and actor; the names are those that `_descend` is called with."""

    def _use_critic_optimizer(self, optimizer: torch.optim.Optimizer) -> None:
        """Replace the optimizer of a critic that has one to itself."""
        del optimizer
        raise IncompatibleSetting(
            "critic_optimizer_class and critic_optimizer_kwargs: this agent's critic takes no other"
        )

    @abstractmethod
    def critic_objective(self, batch: Any) -> Callable[[], Tensor]:
        """The part of the loss that the critic descends, penalties included, as a function of the critic's parameters
        alone: targets are computed once, here. For diagnostics."""

    @abstractmethod
    def _critic_batch(self, samples: Any) -> CriticBatch:
        """Samples of the agent's buffer as critic regularizers and diagnostics see them."""

    @abstractmethod
    def _held(self) -> Held | None:
        """Points to hold fixed for diagnostics; None as long as there are too few to draw from."""

    @abstractmethod
    def _deterministic_actions(self, observations: Any) -> Tensor:
        """The deterministic policy's actions, for diagnostics."""

    @abstractmethod
    def _actor_network(self) -> nn.Module | None:
        """What computes the action; None if nothing beside the critic does."""

    def _setup_model(self) -> None:
        """Build the SB3 model, then regularize its critic. `load` comes here too, before it restores the weights."""
        super()._setup_model()  # type: ignore[safe-super]
        for name in ("critic_regularizers", "optimizer_adaptations", "diagnostics"):
            setattr(self, name, tuple(getattr(self, name)))  # SB3 saves an empty tuple as an empty list
        self._online_critic, self._target_critic = self._critic_views()
        self._penalties = [r for r in self.critic_regularizers if isinstance(r, CriticPenalty) and not r.is_off]
        self._transforms = [
            t for t in (*self.critic_regularizers, *self.optimizer_adaptations) if isinstance(t, CriticTransform)
        ]
        with _door("critic_regularizers"):
            for regularizer in self.critic_regularizers:
                regularizer.check(self._online_critic)
        with _door("diagnostics"):
            for diagnostic in self.diagnostics:
                diagnostic.check(self._online_critic)
        for transform in self._transforms:
            with _door("critic_regularizers" if transform in self.critic_regularizers else "optimizer_adaptations"):
                for critic in filter(None, (self._online_critic, self._target_critic)):
                    transform.apply(critic)
        self._set_up_optimizers()
        self._monitor = Monitor(self.diagnostics, self.diagnostics_budget)

    def _set_up_optimizers(self) -> None:
        """The critic's own settings, if it has any, then one `Descent` for each optimizer."""
        separate = CriticSettings(self.critic_learning_rate, self.critic_optimizer_class, self.critic_optimizer_kwargs)
        rate = self.critic_learning_rate
        self._critic_lr_schedule = None if rate is None else FloatSchedule(rate)
        with _door("agent"):
            separate.check(self._optimizers())
            if separate.given and "critic" in self._optimizers():
                self._use_critic_optimizer(separate.rebuilt(self._optimizers()["critic"]))
        draws = {"critic"} if any(penalty.draws for penalty in self._penalties) else set()
        players: dict[str, list[Player]] = {}
        for name, optimizer in self._optimizers().items():
            if name != "actor":
                add_new_parameters(optimizer, self._online_critic)
            players[name] = players_of(optimizer, self._online_critic, self.repeatable - draws)
            if self.optimizer_adaptations or separate.given:
                split_groups(optimizer, players[name])
            if len(players[name]) == 2:  # one optimizer for both: the critic's settings are those of its groups
                with _door("agent"):
                    separate.write(optimizer)
        with _door("optimizer_adaptations"):
            self._check_adaptations([player for each in players.values() for player in each])
            watched = any(diagnostic.watches_steps for diagnostic in self.diagnostics)
            clip = getattr(self, "max_grad_norm", None)
            self._descents = {
                name: Descent(optimizer, players[name], self.optimizer_adaptations, clip, watched)
                for name, optimizer in self._optimizers().items()
            }
        self.adaptation_state = nn.ModuleDict({name: descent.state for name, descent in self._descents.items()})

    def _check_adaptations(self, players: Sequence[Player]) -> None:
        for adaptation in self.optimizer_adaptations:
            adapted = [player for player in players if adaptation.adapts(player)]
            for player in adapted:
                adaptation.check(player)
            if not adapted and not isinstance(adaptation, CriticTransform):
                raise IncompatibleSetting(
                    f"{adaptation.kind} has nothing to do here: it is for the {adaptation.players}'s steps, and this "
                    f"agent has no {adaptation.players}; its players: {', '.join(player.name for player in players)}"
                )

    def _update_learning_rate(self, optimizers: Any) -> None:
        """SB3's, which writes one rate into every parameter group; then the critic's own, if it has one."""
        super()._update_learning_rate(optimizers)
        if self._critic_lr_schedule is None:
            return
        rate = self._critic_lr_schedule(self._current_progress_remaining)
        self.logger.record("train/critic_learning_rate", rate)
        for descent in self._descents.values():
            for group in descent.optimizer.param_groups:
                if group.get("player") == "critic":
                    group["lr"] = rate

    def learn(self, *args: Any, **kwargs: Any) -> Self:
        """SB3's; a loss that was not finite is named, also where it made something else break before it was read."""
        self._monitor.start()
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

    def _descend(self, name: str, loss: Tensor, again: Callable[[], Tensor] | None = None) -> dict[str, Tensor]:
        """One gradient step of the optimizer of this name, clipped where the agent clips, adapted where it is asked to.

        Args:
            again: evaluates the same loss at other parameters, for finite differences of its gradient.

        Returns:
            What the adaptations log.
        """
        return self._descents[name](loss, again)

    def _advance_critic(self) -> None:
        """After every gradient step of the critic."""
        for transform in self._transforms:
            transform.advance(self._online_critic)

    def _sync_target_critic(self, tau: float) -> None:
        """After every update of the target critic, which moved it by the share `tau` toward the online critic."""
        self._target_updates += 1
        for transform in self._transforms:
            assert self._target_critic is not None
            transform.sync(self._online_critic, self._target_critic, tau, self._target_updates)

    def dump_logs(self, *args: Any, **kwargs: Any) -> None:
        """SB3's log line, with interval means, what constraints say about themselves, and diagnostics that are due."""
        self.metrics.record(self.logger)
        for critic in filter(None, (self._online_critic, self._target_critic)):
            for transform in self._transforms:
                for tag, value in transform.readings(critic).items():
                    self.logger.record(tag, value.item())
        self._monitor.record(self)
        super().dump_logs(*args, **kwargs)

    def _get_torch_save_params(self) -> tuple[list[str], list[str]]:
        state_dicts, tensors = super()._get_torch_save_params()
        if self.adaptation_state.state_dict():
            state_dicts = [*state_dicts, "adaptation_state"]
        return state_dicts, tensors

    def _excluded_save_params(self) -> list[str]:
        # Rebuilt by _setup_model; modules and tensors do not belong in the zip's data.
        rebuilt = ["metrics", "_transforms", "_penalties", "_online_critic", "_target_critic", "_descents", "_monitor"]
        return super()._excluded_save_params() + rebuilt + ["adaptation_state", "_critic_lr_schedule"]


@contextmanager
def _door(section: str) -> Iterator[None]:
    """Says of a refusal or a warning which section of a config it is about."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always", IneffectiveSetting)
        try:
            yield
        except IncompatibleSetting as error:
            error.door = section
            raise
    for warning in caught:
        if isinstance(warning.message, IneffectiveSetting):
            warning.message.door = section
        warnings.warn_explicit(warning.message, warning.category, warning.filename, warning.lineno)


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


def total(terms: Iterable[Tensor]) -> Tensor:
    """Their sum, from left to right; of one alone, that one itself."""
    return reduce(add, terms)
