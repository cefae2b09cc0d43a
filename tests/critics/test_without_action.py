"""Penalties on critics that have no continuous action: V(s), and Q(s, .) of DQN."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from gymnasium import spaces
from stable_baselines3.common.policies import ActorCriticPolicy
from stable_baselines3.common.torch_layers import FlattenExtractor
from stable_baselines3.dqn.policies import QNetwork

from smoothrl.agents._critic_views import DiscreteQView, VView
from smoothrl.critics import CriticBatch, GradientPenalty, IncompatibleSetting, NoiseConsistency

OBSERVATION = spaces.Box(-5, 5, (3,), np.float32)


def v_critic() -> VView:
    torch.manual_seed(0)
    return VView("critic", ActorCriticPolicy(OBSERVATION, spaces.Discrete(4), lambda _: 1e-3, net_arch=[4]))


def discrete_critic() -> DiscreteQView:
    """Linear."""
    torch.manual_seed(0)
    extractor = FlattenExtractor(OBSERVATION)
    return DiscreteQView("critic", QNetwork(OBSERVATION, spaces.Discrete(4), extractor, 3, net_arch=[]))


def discrete_batch(n: int) -> CriticBatch:
    generator = torch.Generator().manual_seed(1)
    actions = torch.randint(0, 4, (n, 1), generator=generator)
    return CriticBatch(torch.randn(n, 3, generator=generator), actions, None)


def mean_square_slope(critic: DiscreteQView, batch: CriticBatch) -> float:
    """Of the replayed actions' values: squared norms of their rows of the weight."""
    rows = np.square(critic.model.q_net[0].weight.detach().numpy()).sum(axis=1)
    assert batch.actions is not None
    return float(rows[batch.actions.flatten().numpy()].mean())


@pytest.mark.parametrize("points", ["replay", "interpolate"])
def test_the_slope_is_that_of_the_replayed_action(points: Any) -> None:
    critic, batch = discrete_critic(), discrete_batch(5)
    torch.manual_seed(2)
    value = GradientPenalty(coef=1.0, side="zero", points=points).penalty(critic, batch)
    assert value.item() == pytest.approx(mean_square_slope(critic, batch), rel=1e-5)


def test_the_jittered_value_is_that_of_the_replayed_action() -> None:
    critic, n = discrete_critic(), 100_000
    batch = discrete_batch(n)
    torch.manual_seed(2)
    value = NoiseConsistency(coef=1.0, sigma=0.1).penalty(critic, batch)
    assert value.item() == pytest.approx(0.1**2 * mean_square_slope(critic, batch), rel=5 * (2 / n) ** 0.5)


@pytest.mark.parametrize(
    ("penalty", "setting"),
    [
        (GradientPenalty(coef=1.0, wrt="action"), "wrt `action`"),
        (GradientPenalty(coef=1.0, wrt="both"), "wrt `both`"),
        (GradientPenalty(coef=1.0, points="policy"), "points `policy`"),
        (NoiseConsistency(coef=1.0, wrt="action"), "wrt `action`"),
        (NoiseConsistency(coef=1.0, wrt="both"), "wrt `both`"),
    ],
    ids=str,
)
def test_what_needs_an_action_is_refused(penalty: Any, setting: str) -> None:
    remedy = "use points `replay`" if "points" in setting else "use wrt `obs`"
    for critic, reason in (
        (v_critic(), "this agent's critic is V(s), it takes no action"),
        (discrete_critic(), "this agent has discrete actions"),
    ):
        with pytest.raises(IncompatibleSetting) as refusal:
            penalty.check(critic)
        for words in (penalty.kind, setting, reason, remedy):
            assert words in str(refusal.value)
