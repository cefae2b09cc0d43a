"""Deep deterministic policy gradient (Lillicrap et al., 2016) with a regularized critic."""

from __future__ import annotations

import stable_baselines3

from smoothrl.agents.td3 import TD3
from smoothrl.registry import register


@register("agent", "ddpg")
class DDPG(TD3, stable_baselines3.DDPG):
    """Deep deterministic policy gradient, off-policy, continuous actions.

    One Q network and a deterministic policy mu, both with a slow target copy:

        y         = r + gamma (1 - d) Q'(s', mu'(s'))
        L_critic  = mean (Q(s, a) - y)^2 + penalties
        L_actor   = -mean Q(s, mu(s))

    As in SB3 it is TD3 with one critic (`policy_kwargs` may ask for more), a policy that moves at every update, and no
    smoothing of the target action: its noise is drawn and clipped to 0. `agents/td3.py` has the update.

    Args:
        *args, **kwargs: those of `stable_baselines3.DDPG`, all of them.
        critic_regularizers, optimizer_adaptations, diagnostics, diagnostics_budget, critic_learning_rate,
        critic_optimizer_class, critic_optimizer_kwargs: as in TD3.

    With none of these it is SB3's DDPG, bit for bit.

    Reference:
        Lillicrap et al., Continuous Control with Deep Reinforcement Learning, 2016 (arXiv 1509.02971).
    """
