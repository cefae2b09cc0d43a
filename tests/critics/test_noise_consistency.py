"""NoiseConsistency against closed forms on linear critics, and against differences by hand."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from gymnasium import spaces
from pydantic import ValidationError
from stable_baselines3.common.policies import ActorCriticPolicy, ContinuousCritic
from stable_baselines3.common.torch_layers import FlattenExtractor
from torch import Tensor, nn

from smoothrl.agents._critic_views import QView, VView
from smoothrl.critics import CriticBatch, Inputs, NoiseConsistency

OBSERVATION = spaces.Box(-5, 5, (3,), np.float32)
ACTION = spaces.Box(-5, 5, (2,), np.float32)  # critics take it scaled to [-1, 1]


class Seen(QView):
    """Keeps what the critics were given."""

    def __init__(self, *args: Any) -> None:
        super().__init__(*args)
        self.given: list[tuple[Tensor, Tensor | None]] = []

    def values(self, inputs: Inputs, actions: Tensor | None) -> Any:
        self.given.append((inputs[""], actions))
        return super().values(inputs, actions)


def q_critic(net_arch: list[int], extractor_is_shared: bool = False) -> Seen:
    torch.manual_seed(0)
    extractor = FlattenExtractor(OBSERVATION)
    critic = ContinuousCritic(OBSERVATION, ACTION, net_arch, extractor, extractor.features_dim, activation_fn=nn.Tanh)
    return Seen("critic", critic, extractor_is_shared)


def v_critic() -> VView:
    torch.manual_seed(0)
    return VView("critic", ActorCriticPolicy(OBSERVATION, ACTION, lambda _: 1e-3, net_arch=[4]))


def q_batch(n: int) -> CriticBatch:
    generator = torch.Generator().manual_seed(1)
    actions = 0.8 * (2 * torch.rand(n, 2, generator=generator) - 1)
    return CriticBatch(torch.randn(n, 3, generator=generator), actions, lambda: actions)


def penalty(regularizer: NoiseConsistency, critic: Any, batch: CriticBatch) -> Tensor:
    torch.manual_seed(2)
    return regularizer.penalty(critic, batch)


@pytest.mark.parametrize("distribution", ["normal", "uniform"])
@pytest.mark.parametrize(("wrt", "part"), [("obs", slice(0, 3)), ("action", slice(3, 5)), ("both", slice(0, 5))])
def test_a_linear_critic_costs_its_squared_slope(distribution: Any, wrt: Any, part: slice) -> None:
    """coef * variance * sum_i |w_i|^2, with variance sigma^2, or sigma^2 / 3 for uniform noise."""
    critic, n = q_critic([]), 100_000
    slopes = [q_net[0].weight.detach().numpy()[0, part] for q_net in critic.model.q_networks]
    variance = 0.05**2 / (1 if distribution == "normal" else 3)
    expected = 3.0 * variance * sum(float(w @ w) for w in slopes)
    value = penalty(NoiseConsistency(coef=3.0, sigma=0.05, wrt=wrt, distribution=distribution), critic, q_batch(n))
    assert value.item() == pytest.approx(expected, rel=5 * (2 / n) ** 0.5)


@pytest.mark.parametrize("distribution", ["normal", "uniform"])
@pytest.mark.parametrize("wrt", ["obs", "action", "both"])
def test_noise_is_where_it_should_be(distribution: Any, wrt: Any) -> None:
    """In these inputs and no others, independent, of the given size; actions stay in [-1, 1]."""
    critic, batch = q_critic([4]), q_batch(20_000)
    penalty(NoiseConsistency(coef=1.0, sigma=0.5, wrt=wrt, distribution=distribution), critic, batch)
    (observations, actions), (clean, clean_actions) = critic.given
    assert torch.equal(clean, batch.observations)  # type: ignore[arg-type]
    assert clean_actions is batch.actions
    noise = (observations - clean).numpy()
    assert (noise == 0).all() == (wrt == "action")
    assert torch.equal(actions, clean_actions) == (wrt == "obs")  # type: ignore[arg-type]
    assert actions.abs().max() <= 1.0  # type: ignore[union-attr]
    if wrt != "obs":
        assert actions.abs().max() == 1.0  # type: ignore[union-attr]
    if wrt != "action":
        deviation = 0.5 if distribution == "normal" else 0.5 / 3**0.5
        np.testing.assert_allclose(np.cov(noise.T), deviation**2 * np.eye(3), atol=0.01)
        assert (np.abs(noise) <= 0.5 + 1e-6).all() == (distribution == "uniform")


def test_value_and_gradient_by_hand() -> None:
    """mean (Q(x + noise) - Q(x))^2 summed over the critics; the gradient flows through both terms."""
    critic, batch = q_critic([4]), q_batch(6)
    ours = penalty(NoiseConsistency(coef=0.7, sigma=0.3, wrt="both"), critic, batch)
    nearby, clean = (torch.cat([x, a], dim=1) for x, a in critic.given)  # type: ignore[list-item]
    twin = [[layer.weight.detach().double().requires_grad_() for layer in (q[0], q[2])] for q in
            critic.model.q_networks]  # fmt: skip
    biases = [q[0].bias.detach().double() for q in critic.model.q_networks]
    by_hand = 0.7 * sum(
        (((nearby.double() @ w.T + b).tanh() - (clean.double() @ w.T + b).tanh()) @ head.T).square().mean()
        for (w, head), b in zip(twin, biases, strict=True)
    )
    assert ours.item() == pytest.approx(by_hand.item(), rel=1e-5)  # type: ignore[union-attr]
    by_hand.backward()  # type: ignore[union-attr]
    ours.backward()
    for q, (w, head) in zip(critic.model.q_networks, twin, strict=True):
        np.testing.assert_allclose(q[0].weight.grad, w.grad, rtol=1e-3, atol=1e-6)
        np.testing.assert_allclose(q[2].weight.grad, head.grad, rtol=1e-3, atol=1e-6)


def test_state_values_and_shared_extractors_are_fine() -> None:
    batch = CriticBatch(q_batch(8).observations, None, None)
    assert penalty(NoiseConsistency(coef=1.0), v_critic(), batch).item() > 0
    shared = q_critic([4], extractor_is_shared=True)
    NoiseConsistency(coef=1.0).check(shared)
    value = penalty(NoiseConsistency(coef=1.0), shared, q_batch(8))
    value.backward()
    assert shared.model.q_networks[0][0].weight.grad.any()


def test_it_draws_and_can_be_off() -> None:
    assert NoiseConsistency(coef=1.0).draws
    assert NoiseConsistency(coef=0.0).is_off
    assert not NoiseConsistency(coef=1e-9).is_off


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({}, "coef"),
        ({"coef": -1.0}, "greater than or equal to 0"),
        ({"coef": 1.0, "sigma": 0.0}, "greater than 0"),
        ({"coef": 1.0, "wrt": "state"}, "'obs', 'action' or 'both'"),
        ({"coef": 1.0, "distribution": "gaussian"}, "'normal' or 'uniform'"),
    ],
)
def test_wrong_settings_are_refused(options: dict[str, Any], words: str) -> None:
    with pytest.raises(ValidationError, match=words):
        NoiseConsistency(**options)
