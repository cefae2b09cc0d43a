"""Twin delayed deep deterministic policy gradient (Fujimoto et al., 2018) with a regularized critic."""

from __future__ import annotations

import stable_baselines3
import torch
import torch.nn.functional as F
from stable_baselines3.common.type_aliases import ReplayBufferSamples
from stable_baselines3.common.utils import polyak_update
from torch import Tensor

from smoothrl.agents._families import QCriticAgent
from smoothrl.agents._smooth_agent import total
from smoothrl.registry import register


@register("agent", "td3")
class TD3(QCriticAgent, stable_baselines3.TD3):
    """Twin delayed DDPG, off-policy, continuous actions.

    Two Q networks, a deterministic policy mu with a target copy mu', smoothed target actions, and a policy that moves
    every `policy_delay`-th update:

        a'        = clip(mu'(s') + clip(eps, -c, c), -1, 1),   eps ~ N(0, target_policy_noise^2)
        y         = r + gamma (1 - d) min_i Q'_i(s', a')
        L_critic  = sum_i mean (Q_i(s, a) - y)^2 + penalties
        L_actor   = -mean Q_1(s, mu(s))

    Args:
        *args, **kwargs: those of `stable_baselines3.TD3`, all of them.
        critic_regularizers: constraints and penalties on the critic.
        optimizer_adaptations: changes of the critic's and the actor's gradient steps, in order.
        diagnostics: what to measure of the networks, within `diagnostics_budget` of the run's time.
        critic_learning_rate, critic_optimizer_class, critic_optimizer_kwargs: the critic's own; the actor's if None.

    With none of these it is SB3's TD3, bit for bit.

    Reference:
        Fujimoto et al., Addressing Function Approximation Error in Actor-Critic Methods, 2018 (arXiv 1802.09477).
    """

    def train(self, gradient_steps: int, batch_size: int = 100) -> None:
        """`gradient_steps` updates on as many replayed batches."""
        assert self.replay_buffer is not None
        self.policy.set_training_mode(True)
        self._update_learning_rate([self.actor.optimizer, self.critic.optimizer])

        for _ in range(gradient_steps):
            self._n_updates += 1
            batch = self.replay_buffer.sample(batch_size, env=self._vec_normalize_env)
            self.metrics.add(self.num_timesteps, self.update(batch))

        self.logger.record("train/n_updates", self._n_updates, exclude="tensorboard")

    def update(self, batch: ReplayBufferSamples) -> dict[str, Tensor]:
        """One gradient step of the critic, and every `policy_delay`-th time of the actor. Returns what to log."""
        critic_loss, metrics = self._update_critic(batch, self.target_q(batch), self._critic_batch(batch))
        metrics["train/critic_loss"] = critic_loss

        if self._n_updates % self.policy_delay == 0:
            metrics["train/actor_loss"] = actor_loss = self.actor_loss(batch)
            metrics |= self._descend("actor", actor_loss, again=lambda: self.actor_loss(batch))
            self.update_targets()
        return metrics

    def target_q(self, batch: ReplayBufferSamples) -> Tensor:
        """y = r + gamma (1 - d) min_i Q'_i(s', a') with smoothed target actions a', held constant."""
        with torch.no_grad():
            noise = torch.empty_like(batch.actions).normal_(0, self.target_policy_noise)
            noise = noise.clamp(-self.target_noise_clip, self.target_noise_clip)
            next_actions = (self.actor_target(batch.next_observations) + noise).clamp(-1, 1)
            next_q = torch.cat(self.critic_target(batch.next_observations, next_actions), dim=1)
            discount = self.gamma if batch.discounts is None else batch.discounts  # gamma^n with n-step returns
            return batch.rewards + (1 - batch.dones) * discount * next_q.min(dim=1, keepdim=True).values

    def critic_loss(self, batch: ReplayBufferSamples, target_q: Tensor) -> Tensor:
        """sum_i mean (Q_i(s, a) - y)^2, without penalties."""
        return total(F.mse_loss(q, target_q) for q in self.critic(batch.observations, batch.actions))

    def actor_loss(self, batch: ReplayBufferSamples) -> Tensor:
        """-mean Q_1(s, mu(s))"""
        return -self.critic.q1_forward(batch.observations, self.actor(batch.observations)).mean()

    def update_targets(self) -> None:
        """theta' <- tau theta + (1 - tau) theta', for critic and actor."""
        polyak_update(self.critic.parameters(), self.critic_target.parameters(), self.tau)
        polyak_update(self.actor.parameters(), self.actor_target.parameters(), self.tau)
        polyak_update(self.critic_batch_norm_stats, self.critic_batch_norm_stats_target, 1.0)
        polyak_update(self.actor_batch_norm_stats, self.actor_batch_norm_stats_target, 1.0)
        self._sync_target_critic(self.tau)
