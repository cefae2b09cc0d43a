"""An agent with an option of its own."""

from __future__ import annotations

from typing import Any

from stable_baselines3.common.type_aliases import ReplayBufferSamples
from torch import Tensor

from smoothrl.agents import SAC
from smoothrl.registry import register


@register("agent", "blind_sac")
class BlindSAC(SAC):
    """Blind SAC: soft actor-critic with scaled rewards."""

    def __init__(self, *args: Any, reward_scale: float = 1.0, gamma: float = 0.9, **kwargs: Any) -> None:
        self.reward_scale = reward_scale
        super().__init__(*args, gamma=gamma, **kwargs)

    def update(self, batch: ReplayBufferSamples) -> dict[str, Tensor]:
        """SAC's, on scaled rewards, whose mean it logs."""
        scaled = batch._replace(rewards=batch.rewards * self.reward_scale)
        return super().update(scaled) | {"dummy/mean_reward": scaled.rewards.mean()}
