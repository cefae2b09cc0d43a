"""Soft actor-critic (Haarnoja et al., 2018) with a regularized critic."""

from __future__ import annotations

from collections.abc import Callable
from typing import ClassVar

import stable_baselines3
import torch
import torch.nn.functional as F
from stable_baselines3.common.type_aliases import ReplayBufferSamples
from stable_baselines3.common.utils import polyak_update
from torch import Tensor

from smoothrl.agents._families import QCriticAgent
from smoothrl.agents._smooth_agent import total, unchecked_distributions
from smoothrl.registry import register
from smoothrl.views import CriticBatch


@register("agent", "sac")
class SAC(QCriticAgent, stable_baselines3.SAC):
    """Soft actor-critic, off-policy, continuous actions.

    Two Q networks, a squashed Gaussian policy, a learned entropy coefficient alpha; with y the soft target,

        y         = r + gamma (1 - d) (min_i Q'_i(s', a') - alpha log pi(a' | s')),   a' ~ pi(. | s')
        L_critic  = 1/2 sum_i mean (Q_i(s, a) - y)^2 + penalties
        L_actor   = mean (alpha log pi(a_pi | s) - min_i Q_i(s, a_pi)),               a_pi ~ pi(. | s)
        L_alpha   = -mean log alpha (log pi(a_pi | s) + target entropy)

    Args:
        *args, **kwargs: those of `stable_baselines3.SAC`, all of them.
        critic_regularizers: constraints and penalties on the critic.
        optimizer_adaptations: changes of the critic's and the actor's gradient steps, in order.
        diagnostics: what to measure of the networks, within `diagnostics_budget` of the run's time.
        critic_learning_rate, critic_optimizer_class, critic_optimizer_kwargs: the critic's own; the actor's if None.

    With none of these it is SB3's SAC, bit for bit.

    Reference:
        Haarnoja et al., Soft Actor-Critic Algorithms and Applications, 2018 (arXiv 1812.05905).
    """

    repeatable: ClassVar[frozenset[str]] = frozenset({"critic"})  # the actor's loss draws actions

    @unchecked_distributions()
    def train(self, gradient_steps: int, batch_size: int = 64) -> None:
        """`gradient_steps` updates on as many replayed batches."""
        assert self.replay_buffer is not None
        self.policy.set_training_mode(True)
        learned = [self.ent_coef_optimizer] if self.ent_coef_optimizer is not None else []
        self._update_learning_rate([self.actor.optimizer, self.critic.optimizer, *learned])

        for gradient_step in range(gradient_steps):
            batch = self.replay_buffer.sample(batch_size, env=self._vec_normalize_env)
            metrics = self.update(batch)
            if gradient_step % self.target_update_interval == 0:
                self.update_target()
            self._n_updates += 1
            self.metrics.add(self.num_timesteps, metrics)

        self.logger.record("train/n_updates", self._n_updates, exclude="tensorboard")

    def update(self, batch: ReplayBufferSamples) -> dict[str, Tensor]:
        """One gradient step of the entropy coefficient, the critic and the actor. Returns what to log, as tensors."""
        if self.use_sde:
            self.actor.reset_noise()
        actions, log_prob = self.actor.action_log_prob(batch.observations)
        log_prob = log_prob.reshape(-1, 1)

        ent_coef, ent_coef_metrics = self.update_ent_coef(log_prob)

        points = CriticBatch(batch.observations, batch.actions, lambda: actions.detach())
        critic_loss, critic_metrics = self._update_critic(batch, self.target_q(batch, ent_coef), points)

        actor_loss = self.actor_loss(batch, actions, log_prob, ent_coef)
        actor_metrics = self._descend("actor", actor_loss)

        losses = {"train/actor_loss": actor_loss, "train/critic_loss": critic_loss, "train/ent_coef": ent_coef}
        return losses | ent_coef_metrics | critic_metrics | actor_metrics

    def target_q(self, batch: ReplayBufferSamples, ent_coef: Tensor) -> Tensor:
        """y = r + gamma (1 - d) (min_i Q'_i(s', a') - alpha log pi(a' | s')), held constant."""
        with torch.no_grad():
            next_actions, next_log_prob = self.actor.action_log_prob(batch.next_observations)
            next_q = torch.cat(self.critic_target(batch.next_observations, next_actions), dim=1)
            next_q = next_q.min(dim=1, keepdim=True).values - ent_coef * next_log_prob.reshape(-1, 1)
            discount = self.gamma if batch.discounts is None else batch.discounts  # gamma^n with n-step returns
            return batch.rewards + (1 - batch.dones) * discount * next_q

    def critic_loss(self, batch: ReplayBufferSamples, target_q: Tensor) -> Tensor:
        """1/2 sum_i mean (Q_i(s, a) - y)^2, without penalties."""
        return 0.5 * total(F.mse_loss(q, target_q) for q in self.critic(batch.observations, batch.actions))

    def actor_loss(self, batch: ReplayBufferSamples, actions: Tensor, log_prob: Tensor, ent_coef: Tensor) -> Tensor:
        """mean (alpha log pi(a | s) - min_i Q_i(s, a)) at actions drawn from the policy."""
        q = torch.cat(self.critic(batch.observations, actions), dim=1).min(dim=1, keepdim=True).values
        return (ent_coef * log_prob - q).mean()

    def update_ent_coef(self, log_prob: Tensor) -> tuple[Tensor, dict[str, Tensor]]:
        """The entropy coefficient alpha that this update uses; if it is learned, also take its gradient step."""
        if self.ent_coef_optimizer is None or self.log_ent_coef is None:
            return self.ent_coef_tensor, {}
        ent_coef = torch.exp(self.log_ent_coef.detach())  # before the step: the losses use this value
        assert isinstance(self.target_entropy, float)
        loss = -(self.log_ent_coef * (log_prob + self.target_entropy).detach()).mean()
        # Adaptations are for critic and actor; the entropy coefficient, a third player, takes plain steps.
        self.ent_coef_optimizer.zero_grad()
        loss.backward()
        self.ent_coef_optimizer.step()
        return ent_coef, {"train/ent_coef_loss": loss}

    def update_target(self) -> None:
        """theta' <- tau theta + (1 - tau) theta'"""
        polyak_update(self.critic.parameters(), self.critic_target.parameters(), self.tau)
        polyak_update(self.batch_norm_stats, self.batch_norm_stats_target, 1.0)
        self._sync_target_critic(self.tau)

    def critic_objective(self, batch: ReplayBufferSamples) -> Callable[[], Tensor]:
        """The critic loss with penalties, at targets of this moment; for diagnostics."""
        ent_coef = self.ent_coef_tensor if self.log_ent_coef is None else torch.exp(self.log_ent_coef.detach())
        return self._objective(batch, self.target_q(batch, ent_coef), self._critic_batch(batch))
