"""What agents with the same kind of critic share: where their critic, optimizers and data are."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, cast

import torch
from stable_baselines3.common.off_policy_algorithm import OffPolicyAlgorithm
from stable_baselines3.common.on_policy_algorithm import OnPolicyAlgorithm
from stable_baselines3.common.utils import explained_variance
from torch import Tensor, nn

from smoothrl.agents._critic_views import QView, VView
from smoothrl.agents._probe import Held, Rollouts, from_replay
from smoothrl.agents._smooth_agent import SmoothAgent, total
from smoothrl.views import CriticBatch


class ReplayAgent(SmoothAgent, OffPolicyAlgorithm):
    """An agent that learns from a replay buffer, by `critic_loss(batch, target_q)` toward `target_q(batch)`."""

    target_q: Callable[..., Tensor]
    critic_loss: Callable[..., Tensor]

    def _update_critic(self, batch: Any, target_q: Tensor, points: CriticBatch) -> tuple[Tensor, dict[str, Tensor]]:
        """One gradient step of the critic on its loss and the penalties. Returns the loss, and what else to log."""
        critic_loss, penalties = self.critic_loss(batch, target_q), self._critic_penalty(points)
        loss = total([critic_loss, *penalties.values()])
        adapted = self._descend("critic", loss, again=self._objective(batch, target_q, points))
        self._advance_critic()
        return critic_loss, penalties | adapted

    def critic_objective(self, batch: Any) -> Callable[[], Tensor]:
        """The critic loss with penalties, at targets of this moment; for diagnostics."""
        return self._objective(batch, self.target_q(batch), self._critic_batch(batch))

    def _objective(self, batch: Any, target_q: Tensor, points: CriticBatch) -> Callable[[], Tensor]:
        """Evaluates the critic loss with penalties at the parameters as they then are; the targets stay."""
        return lambda: total([self.critic_loss(batch, target_q), *self._critic_penalty(points).values()])

    def _held(self) -> Held | None:
        assert self.replay_buffer is not None
        return from_replay(self.replay_buffer, self._vec_normalize_env)


class QCriticAgent(ReplayAgent):
    """SAC, TD3, DDPG: critic Q(s, a) and actor are networks with an optimizer each."""

    actor: Any
    critic: Any
    critic_target: Any

    def _critic_views(self) -> tuple[QView, QView]:
        shared = bool(self.policy.share_features_extractor)
        # SB3 gives the target a features extractor of its own in SAC, but index -4 must mean the same layer in both.
        return QView("critic", self.critic, shared), QView("critic_target", self.critic_target, shared)

    def _optimizers(self) -> Mapping[str, torch.optim.Optimizer]:
        return {"critic": self.critic.optimizer, "actor": self.actor.optimizer}

    def _use_critic_optimizer(self, optimizer: torch.optim.Optimizer) -> None:
        self.critic.optimizer = optimizer

    def _critic_batch(self, samples: Any) -> CriticBatch:
        return CriticBatch(samples.observations, samples.actions, lambda: self._policy_actions(samples))

    def _deterministic_actions(self, observations: Any) -> Tensor:
        return cast(Tensor, self.actor(observations))

    def _actor_network(self) -> nn.Module:
        return cast(nn.Module, self.actor)

    def _policy_actions(self, samples: Any) -> Tensor:
        with torch.no_grad():
            return self._deterministic_actions(samples.observations)


class VCriticAgent(SmoothAgent, OnPolicyAlgorithm):
    """PPO and A2C: critic V(s) and actor are branches of one policy, with one loss and one optimizer."""

    critic_loss: Callable[..., Tensor]

    def _setup_model(self) -> None:
        super()._setup_model()
        self._rollouts = Rollouts()

    def _critic_views(self) -> tuple[VView, None]:
        return VView("critic", self.policy), None

    def _optimizers(self) -> Mapping[str, torch.optim.Optimizer]:
        return {"policy": self.policy.optimizer}

    def _critic_batch(self, samples: Any) -> CriticBatch:
        return CriticBatch(samples.observations, actions=None, policy_actions=None)

    def _deterministic_actions(self, observations: Any) -> Tensor:
        return self.policy.get_distribution(observations).get_actions(deterministic=True)

    def _actor_network(self) -> nn.Module:
        policy = self.policy
        return nn.ModuleList([policy.pi_features_extractor, policy.mlp_extractor.policy_net, policy.action_net])

    def _held(self) -> Held | None:
        return self._rollouts.draw() if self._rollouts.are_enough else None

    def critic_objective(self, batch: Any) -> Callable[[], Tensor]:
        """vf_coef (L_critic + penalties), the critic's part of the loss; for diagnostics."""
        points = self._critic_batch(batch)

        def objective() -> Tensor:
            critic_loss = self.critic_loss(batch, self.policy.predict_values(batch.observations).flatten())
            return self.vf_coef * total([critic_loss, *self._critic_penalty(points).values()])

        return objective

    def _record_rollout(self) -> None:
        """What is to be said and kept of a rollout, after the updates on it."""
        # The policy would keep the last minibatch's distribution, whose graph holds memory and cannot be deep-copied.
        self.policy.action_dist.distribution = None  # type: ignore[assignment]
        buffer = self.rollout_buffer
        if self._monitor.waits_for_points and not self._rollouts.are_enough:
            self._rollouts.add(buffer)
        self.logger.record_mean(
            "train/explained_variance", explained_variance(buffer.values.flatten(), buffer.returns.flatten())
        )
        if hasattr(self.policy, "log_std"):
            self.logger.record("train/std", torch.exp(self.policy.log_std).mean().item())
        self.logger.record("train/n_updates", self._n_updates, exclude="tensorboard")

    def _excluded_save_params(self) -> list[str]:
        return [*super()._excluded_save_params(), "_rollouts"]
