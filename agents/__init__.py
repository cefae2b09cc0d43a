"""SB3 agents with a regularized critic, one file per algorithm, to be read top to bottom and copied."""

from smoothrl.agents.ppo import PPO
from smoothrl.agents.sac import SAC
from smoothrl.agents.td3 import TD3

__all__ = ["PPO", "SAC", "TD3"]
