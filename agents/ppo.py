"""Proximal policy optimization (Schulman et al., 2017) with a regularized critic."""

from __future__ import annotations

import stable_baselines3
import torch
import torch.nn.functional as F
from gymnasium import spaces
from stable_baselines3.common.type_aliases import RolloutBufferSamples, Schedule
from torch import Tensor

from smoothrl.agents._families import VCriticAgent
from smoothrl.agents._smooth_agent import total, unchecked_distributions
from smoothrl.registry import register


@register("agent", "ppo")
class PPO(VCriticAgent, stable_baselines3.PPO):
    """Proximal policy optimization with a clipped ratio, on-policy, continuous and discrete actions.

    With the ratio r = pi(a | s) / pi_old(a | s), advantages A (GAE) and returns R, one loss for actor and critic:

        L         = L_actor + ent_coef L_entropy + vf_coef (L_critic + penalties)
        L_actor   = -mean min(r A, clip(r, 1 - c, 1 + c) A)
        L_critic  = mean (R - V(s))^2
        L_entropy = -mean H(pi(. | s))

    Args:
        *args, **kwargs: those of `stable_baselines3.PPO`, all of them.
        critic_regularizers: constraints and penalties on the value branch.
        optimizer_adaptations: changes of the critic's and the actor's share of a gradient step, in order.
        diagnostics: what to measure of the networks, within `diagnostics_budget` of the run's time.
        critic_learning_rate, critic_optimizer_kwargs: of the value branch; the actor's if None.

    With none of these it is SB3's PPO, bit for bit.

    Reference:
        Schulman et al., Proximal Policy Optimization Algorithms, 2017 (arXiv 1707.06347).
    """

    # SB3 turns both into schedules when it builds the model.
    clip_range: Schedule
    clip_range_vf: Schedule | None

    @unchecked_distributions()
    def train(self) -> None:
        """`n_epochs` passes over the rollout, in minibatches."""
        self.policy.set_training_mode(True)
        self._update_learning_rate(self.policy.optimizer)

        for _ in range(self.n_epochs):
            moved_too_far = False
            for batch in self.rollout_buffer.get(self.batch_size):
                metrics, moved_too_far = self.update(batch)
                self.metrics.add(self.num_timesteps, metrics)
                if moved_too_far:
                    break
            self._n_updates += 1
            if moved_too_far:
                break

        self._record_rollout()
        self.logger.record("train/clip_range", self.clip_range(self._current_progress_remaining))
        if self.clip_range_vf is not None:
            self.logger.record("train/clip_range_vf", self.clip_range_vf(self._current_progress_remaining))

    def update(self, batch: RolloutBufferSamples) -> tuple[dict[str, Tensor], bool]:
        """One gradient step of actor and critic together.

        Returns what to log, as tensors, and whether the policy has moved past `target_kl`: then no step was taken.
        """
        loss, metrics = self.losses(batch)
        # Early stopping is a decision on a value, so it waits for the device; without target_kl nothing does.
        if self.target_kl is not None and metrics["train/approx_kl"] > 1.5 * self.target_kl:
            return metrics, True

        metrics |= self._descend("policy", loss, again=lambda: self.losses(batch)[0])
        self._advance_critic()
        return metrics, False

    def losses(self, batch: RolloutBufferSamples) -> tuple[Tensor, dict[str, Tensor]]:
        """L_actor + ent_coef L_entropy + vf_coef (L_critic + penalties), and its parts to log."""
        actions = batch.actions.long().flatten() if isinstance(self.action_space, spaces.Discrete) else batch.actions
        values, log_prob, entropy = self.policy.evaluate_actions(batch.observations, actions)

        actor_loss, actor_metrics = self.actor_loss(batch, log_prob)
        critic_loss = self.critic_loss(batch, values.flatten())
        penalties = self._critic_penalty(self._critic_batch(batch))
        # Without a closed form the entropy is estimated from the sampled actions.
        entropy_loss = -torch.mean(-log_prob if entropy is None else entropy)
        loss = actor_loss + self.ent_coef * entropy_loss + self.vf_coef * total([critic_loss, *penalties.values()])

        losses = {"train/value_loss": critic_loss, "train/entropy_loss": entropy_loss, "train/loss": loss}
        return loss, actor_metrics | losses | penalties

    def actor_loss(self, batch: RolloutBufferSamples, log_prob: Tensor) -> tuple[Tensor, dict[str, Tensor]]:
        """-mean min(r A, clip(r, 1 - c, 1 + c) A), and what to log of the ratio r."""
        clip = self.clip_range(self._current_progress_remaining)
        advantages = batch.advantages
        if self.normalize_advantage and len(advantages) > 1:
            advantages = (advantages - advantages.mean()) / (advantages.std() + 1e-8)

        log_ratio = log_prob - batch.old_log_prob
        ratio = torch.exp(log_ratio)
        loss = -torch.min(advantages * ratio, advantages * torch.clamp(ratio, 1 - clip, 1 + clip)).mean()
        with torch.no_grad():
            # The low-variance estimate of the reverse KL divergence, http://joschu.net/blog/kl-approx.html
            approx_kl = torch.mean((ratio - 1) - log_ratio)
            clip_fraction = torch.mean((torch.abs(ratio - 1) > clip).float())
        return loss, {
            "train/policy_gradient_loss": loss,
            "train/approx_kl": approx_kl,
            "train/clip_fraction": clip_fraction,
        }

    def critic_loss(self, batch: RolloutBufferSamples, values: Tensor) -> Tensor:
        """mean (R - V(s))^2, without penalties; with `clip_range_vf` V moves at most that far from its old value."""
        if self.clip_range_vf is not None:
            clip = self.clip_range_vf(self._current_progress_remaining)
            values = batch.old_values + torch.clamp(values - batch.old_values, -clip, clip)
        return F.mse_loss(batch.returns, values)
