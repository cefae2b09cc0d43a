"""SB3 agents with a smooth critic or an adapted optimizer, one file per algorithm, to be read and copied."""

from smoothrl.agents.a2c import A2C
from smoothrl.agents.ddpg import DDPG
from smoothrl.agents.dqn import DQN
from smoothrl.agents.ppo import PPO
from smoothrl.agents.sac import SAC
from smoothrl.agents.td3 import TD3

__all__ = ["A2C", "DDPG", "DQN", "PPO", "SAC", "TD3"]
