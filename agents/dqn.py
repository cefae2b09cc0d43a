"""Deep Q network (Mnih et al., 2015) with a regularized critic."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import stable_baselines3
import torch
import torch.nn.functional as F
from stable_baselines3.common.type_aliases import ReplayBufferSamples
from torch import Tensor

from smoothrl.agents._critic_views import DiscreteQView
from smoothrl.agents._families import ReplayAgent
from smoothrl.registry import register
from smoothrl.views import CriticBatch


@register("agent", "dqn")
class DQN(ReplayAgent, stable_baselines3.DQN):
    """Deep Q network, off-policy, discrete actions, epsilon-greedy.

    One Q network with an output per action, and a target copy Q' that takes over its weights every
    `target_update_interval` steps; with the Huber loss l,

        y  = r + gamma (1 - d) max_a' Q'(s', a')
        L  = mean l(Q(s, a) - y) + penalties

    Args:
        *args, **kwargs: those of `stable_baselines3.DQN`, all of them.
        critic_regularizers: constraints and penalties on the Q network.
        optimizer_adaptations: changes of its gradient steps, in order.
        diagnostics: what to measure of the network, within `diagnostics_budget` of the run's time.

    With none of these it is SB3's DQN, bit for bit.

    Reference:
        Mnih et al., Human-level Control through Deep Reinforcement Learning, 2015 (Nature 518).
    """

    def _critic_views(self) -> tuple[DiscreteQView, DiscreteQView]:
        return DiscreteQView("critic", self.q_net), DiscreteQView("critic_target", self.q_net_target)

    def _optimizers(self) -> Mapping[str, torch.optim.Optimizer]:
        return {"critic": self.policy.optimizer}

    def train(self, gradient_steps: int, batch_size: int = 100) -> None:
        """`gradient_steps` updates on as many replayed batches."""
        assert self.replay_buffer is not None
        self.policy.set_training_mode(True)
        self._update_learning_rate(self.policy.optimizer)

        for _ in range(gradient_steps):
            batch = self.replay_buffer.sample(batch_size, env=self._vec_normalize_env)
            self.metrics.add(self.num_timesteps, self.update(batch))

        self._n_updates += gradient_steps
        self.logger.record("train/n_updates", self._n_updates, exclude="tensorboard")

    def update(self, batch: ReplayBufferSamples) -> dict[str, Tensor]:
        """One gradient step of the Q network. Returns what to log, as tensors."""
        critic_loss, metrics = self._update_critic(batch, self.target_q(batch), self._critic_batch(batch))
        return {"train/loss": critic_loss, **metrics}

    def target_q(self, batch: ReplayBufferSamples) -> Tensor:
        """y = r + gamma (1 - d) max_a' Q'(s', a'), held constant."""
        with torch.no_grad():
            next_q = self.q_net_target(batch.next_observations).max(dim=1, keepdim=True).values
            discount = self.gamma if batch.discounts is None else batch.discounts  # gamma^n with n-step returns
            return batch.rewards + (1 - batch.dones) * discount * next_q

    def critic_loss(self, batch: ReplayBufferSamples, target_q: Tensor) -> Tensor:
        """mean l(Q(s, a) - y), l the Huber loss, without penalties."""
        q = self.q_net(batch.observations).gather(1, batch.actions.long())
        return F.smooth_l1_loss(q, target_q)

    def _on_step(self) -> None:
        """SB3's, which moves the target network every so many environment steps."""
        super()._on_step()
        if self._n_calls % max(self.target_update_interval // self.n_envs, 1) == 0:
            self._sync_target_critic(self.tau)

    def _critic_batch(self, samples: Any) -> CriticBatch:
        return CriticBatch(samples.observations, samples.actions, policy_actions=None)

    def _deterministic_actions(self, observations: Any) -> Tensor:
        return self.q_net._predict(observations)

    def _actor_network(self) -> None:
        """The greedy policy has no network of its own."""
