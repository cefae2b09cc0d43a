"""Advantage actor-critic (Mnih et al., 2016), synchronous, with a regularized critic."""

from __future__ import annotations

import stable_baselines3
import torch
import torch.nn.functional as F
from gymnasium import spaces
from stable_baselines3.common.type_aliases import RolloutBufferSamples
from torch import Tensor

from smoothrl.agents._families import VCriticAgent
from smoothrl.agents._smooth_agent import total, unchecked_distributions
from smoothrl.registry import register


@register("agent", "a2c")
class A2C(VCriticAgent, stable_baselines3.A2C):
    """Advantage actor-critic, on-policy, continuous and discrete actions.

    With advantages A (GAE; SB3's lambda is 1) and returns R of a short rollout, one gradient step on one loss:

        L         = L_actor + ent_coef L_entropy + vf_coef (L_critic + penalties)
        L_actor   = -mean A log pi(a | s)
        L_critic  = mean (R - V(s))^2
        L_entropy = -mean H(pi(. | s))

    Args:
        *args, **kwargs: those of `stable_baselines3.A2C`, all of them.
        critic_regularizers: constraints and penalties on the value branch.
        optimizer_adaptations: changes of the critic's and the actor's share of a gradient step, in order.
        diagnostics: what to measure of the networks, within `diagnostics_budget` of the run's time.
        critic_learning_rate, critic_optimizer_kwargs: of the value branch; the actor's if None.

    With none of these it is SB3's A2C, bit for bit.

    Reference:
        Mnih et al., Asynchronous Methods for Deep Reinforcement Learning, 2016 (arXiv 1602.01783).
    """

    @unchecked_distributions()
    def train(self) -> None:
        """One gradient step on the whole rollout."""
        self.policy.set_training_mode(True)
        self._update_learning_rate(self.policy.optimizer)

        for batch in self.rollout_buffer.get(batch_size=None):  # one batch: the whole rollout
            self.metrics.add(self.num_timesteps, self.update(batch))
        self._n_updates += 1

        self._record_rollout()

    def update(self, batch: RolloutBufferSamples) -> dict[str, Tensor]:
        """One gradient step of actor and critic together. Returns what to log, as tensors."""
        loss, metrics = self.losses(batch)
        metrics |= self._descend("policy", loss, again=lambda: self.losses(batch)[0])
        self._advance_critic()
        return metrics

    def losses(self, batch: RolloutBufferSamples) -> tuple[Tensor, dict[str, Tensor]]:
        """L_actor + ent_coef L_entropy + vf_coef (L_critic + penalties), and its parts to log."""
        actions = batch.actions.long().flatten() if isinstance(self.action_space, spaces.Discrete) else batch.actions
        values, log_prob, entropy = self.policy.evaluate_actions(batch.observations, actions)

        actor_loss = self.actor_loss(batch, log_prob)
        critic_loss = self.critic_loss(batch, values.flatten())
        penalties = self._critic_penalty(self._critic_batch(batch))
        # Without a closed form the entropy is estimated from the sampled actions.
        entropy_loss = -torch.mean(-log_prob if entropy is None else entropy)
        loss = actor_loss + self.ent_coef * entropy_loss + self.vf_coef * total([critic_loss, *penalties.values()])

        losses = {"train/policy_loss": actor_loss, "train/value_loss": critic_loss, "train/entropy_loss": entropy_loss}
        return loss, losses | penalties

    def actor_loss(self, batch: RolloutBufferSamples, log_prob: Tensor) -> Tensor:
        """-mean A log pi(a | s)"""
        advantages = batch.advantages
        if self.normalize_advantage:
            advantages = (advantages - advantages.mean()) / (advantages.std() + 1e-8)
        return -(advantages * log_prob).mean()

    def critic_loss(self, batch: RolloutBufferSamples, values: Tensor) -> Tensor:
        """mean (R - V(s))^2, without penalties."""
        return F.mse_loss(batch.returns, values)
