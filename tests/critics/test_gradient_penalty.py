"""GradientPenalty against finite differences in float64, and against closed forms on linear critics."""

from __future__ import annotations

from itertools import product
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
from smoothrl.critics import CriticBatch, CriticView, GradientPenalty, Inputs

SIDES: tuple[Any, ...] = ("two", "one", "zero")
WRTS: tuple[Any, ...] = ("obs", "action", "both")
POINTS: tuple[Any, ...] = ("replay", "policy", "interpolate")
OBSERVATION = spaces.Box(-5, 5, (3,), np.float32)
ACTION = spaces.Box(-5, 5, (2,), np.float32)  # critics take it scaled to [-1, 1]
N = 8


class DoubleQ(QView):
    """In float64: SB3's preprocessing returns float32."""

    def preprocess(self, observations: Tensor | dict[str, Tensor]) -> Inputs:
        return {key: x.double() for key, x in super().preprocess(observations).items()}


class DoubleV(VView):
    """In float64."""

    def preprocess(self, observations: Tensor | dict[str, Tensor]) -> Inputs:
        return {key: x.double() for key, x in super().preprocess(observations).items()}


def q_critic(net_arch: list[int], observation: spaces.Space[Any] = OBSERVATION) -> Any:
    torch.manual_seed(0)
    extractor = FlattenExtractor(observation)
    critic = ContinuousCritic(
        observation, ACTION, net_arch, extractor, extractor.features_dim, activation_fn=nn.Tanh, n_critics=2
    )
    return DoubleQ("critic", critic.double(), extractor_is_shared=False)


def v_critic(net_arch: list[int]) -> Any:
    torch.manual_seed(0)
    policy = ActorCriticPolicy(
        OBSERVATION, ACTION, lambda _: 1e-3, net_arch={"pi": [4], "vf": net_arch}, activation_fn=nn.Tanh
    ).double()
    nn.init.normal_(policy.value_net.weight, std=0.5)
    return DoubleV("critic", policy)


def q_batch() -> CriticBatch:
    torch.manual_seed(1)
    replayed, current = torch.rand(2, N, 2, dtype=torch.float64) * 2 - 1
    return CriticBatch(torch.randn(N, 3), replayed, lambda: current)


def v_batch() -> CriticBatch:
    return CriticBatch(q_batch().observations, actions=None, policy_actions=None)


def penalty(regularizer: GradientPenalty, critic: CriticView, batch: CriticBatch) -> Tensor:
    """At the same random points every time."""
    torch.manual_seed(2)
    return regularizer.penalty(critic, batch)


def gradient(loss: Tensor, parameters: list[nn.Parameter]) -> np.ndarray:
    """Flat; a parameter that the loss does not depend on (the last bias) has gradient zero."""
    gradients = torch.autograd.grad(loss, parameters, allow_unused=True)
    return np.concatenate(
        [np.zeros(p.numel()) if g is None else g.flatten().numpy() for p, g in zip(parameters, gradients, strict=True)]
    )


def finite_differences(loss: Any, parameters: list[nn.Parameter], h: float = 1e-5) -> np.ndarray:
    """Central, one entry at a time."""
    differences = []
    for parameter in parameters:
        flat = parameter.data.view(-1)
        for i in range(len(flat)):
            value, sides = flat[i].item(), []
            for step in (h, -h):
                flat[i] = value + step
                sides.append(loss().item())
            flat[i] = value
            differences.append((sides[0] - sides[1]) / (2 * h))
    return np.array(differences)


CASES = [("Q", *options) for options in product(SIDES, WRTS, POINTS)] + [
    ("V", side, "obs", points) for side in SIDES for points in ("replay", "interpolate")
]


@pytest.mark.parametrize(("kind", "side", "wrt", "points"), CASES)
def test_gradient_is_that_of_finite_differences(kind: str, side: Any, wrt: Any, points: Any) -> None:
    critic, batch = (q_critic([4]), q_batch()) if kind == "Q" else (v_critic([4]), v_batch())
    parameters = [p for layers in critic.branches.values() for _, layer in layers for p in layer.parameters()]
    options = {"side": side, "wrt": wrt, "points": points}
    if side != "zero":  # the root mean square of the slopes, so that `one` counts some points and not others
        squares = penalty(GradientPenalty(coef=1.0, **options | {"side": "zero"}), critic, batch).item()
        options["target"] = (squares / len(critic.branches)) ** 0.5
    regularizer = GradientPenalty(coef=0.7, **options)
    ours = gradient(penalty(regularizer, critic, batch), parameters)
    numeric = finite_differences(lambda: penalty(regularizer, critic, batch), parameters)
    assert np.linalg.norm(numeric) > 1e-4
    assert np.linalg.norm(ours - numeric) / np.linalg.norm(numeric) < 1e-5


def slopes(critic: Any, wrt: str, n_observations: int = 3) -> list[float]:
    """Of linear Q functions: the norms of their weights."""
    part = {"obs": slice(0, n_observations), "action": slice(n_observations, None), "both": slice(0, None)}[wrt]
    return [float(np.linalg.norm(q_net[0].weight.detach().numpy()[0, part])) for q_net in critic.model.q_networks]


@pytest.mark.parametrize(("wrt", "points"), list(product(WRTS, POINTS)))
def test_value_of_a_linear_critic(wrt: Any, points: Any) -> None:
    """A sum over the critics and a mean over the batch; actions in [-1, 1], although the space is [-5, 5]."""
    critic, batch = q_critic([]), q_batch()
    a, b = slopes(critic, wrt)
    target = (a + b) / 2  # one critic is above, one below
    wanted: dict[Any, float] = {
        "two": 0.5 * ((a - target) ** 2 + (b - target) ** 2),
        "one": 0.5 * (max(a, b) - target) ** 2,
        "zero": 0.5 * (a**2 + b**2),
    }
    for side, value in wanted.items():
        options = {} if side == "zero" else {"target": target}
        regularizer = GradientPenalty(coef=0.5, side=side, wrt=wrt, points=points, **options)
        assert penalty(regularizer, critic, batch).item() == pytest.approx(value, rel=1e-12)


def test_value_of_a_linear_state_value() -> None:
    critic = v_critic([])
    slope = float(np.linalg.norm(critic.model.value_net.weight.detach().numpy()))
    regularizer = GradientPenalty(coef=2.0, target=0.1)
    assert penalty(regularizer, critic, v_batch()).item() == pytest.approx(2 * (slope - 0.1) ** 2, rel=1e-12)


def test_points_are_where_they_should_be() -> None:
    """Q(s, a) = a_1^2 / 2 has slope |a_1| in the action, so that the penalty shows where it was taken."""

    class Square(DoubleQ):
        def values(self, inputs: Inputs, actions: Tensor | None) -> list[Tensor]:
            assert actions is not None
            seen.append(actions.detach())
            return [actions[:, :1] ** 2 / 2 + 0 * inputs[""].sum(dim=1, keepdim=True)]

    seen: list[Tensor] = []
    q = q_critic([])
    critic, batch = Square("critic", q.model, extractor_is_shared=False), q_batch()
    assert batch.actions is not None
    assert batch.policy_actions is not None
    replayed, current = batch.actions, batch.policy_actions()
    for points in POINTS:
        value = penalty(GradientPenalty(coef=1.0, side="zero", wrt="action", points=points), critic, batch)
        assert value.item() == pytest.approx(seen[-1][:, 0].square().mean().item(), rel=1e-12)
    assert torch.equal(seen[0], replayed)
    assert torch.equal(seen[1], current)
    shares = (seen[2] - current) / (replayed - current)  # one per sample, the same in every dimension
    torch.testing.assert_close(shares[:, 0], shares[:, 1])
    assert ((shares >= 0) & (shares < 1)).all()
    assert len({round(share, 6) for share in shares[:, 0].tolist()}) == N


def test_state_values_interpolate_between_observations() -> None:
    class Recorder(DoubleV):
        def values(self, inputs: Inputs, actions: Tensor | None) -> Any:
            seen.append(inputs[""].detach())
            return super().values(inputs, actions)

    seen: list[Tensor] = []
    critic, batch = Recorder("critic", v_critic([4]).model), v_batch()
    penalty(GradientPenalty(coef=1.0, points="interpolate"), critic, batch)
    assert isinstance(batch.observations, Tensor)
    observations = batch.observations.double()
    for i, x in enumerate(seen[0]):
        # x - s_i is parallel to s_j - s_i for some j, and no longer than it
        shares = [
            torch.dot(x - observations[i], other - observations[i]) / (other - observations[i]).square().sum()
            for other in observations
        ]
        fits = [
            0 <= share <= 1 and torch.allclose(observations[i] + share * (other - observations[i]), x, atol=1e-9)
            for share, other in zip(shares, observations, strict=True)
        ]
        assert any(fits) or torch.allclose(x, observations[i])
    assert not torch.allclose(seen[0], observations)


@pytest.mark.parametrize(("side", "wrt"), list(product(SIDES, WRTS)))
@pytest.mark.parametrize("net_arch", [[], [4]])
def test_a_flat_critic_gives_no_nan(side: Any, wrt: Any, net_arch: list[int]) -> None:
    critic = q_critic(net_arch)
    for parameter in critic.model.parameters():
        nn.init.zeros_(parameter)
    value = penalty(GradientPenalty(coef=1.0, side=side, wrt=wrt), critic, q_batch())
    assert value.item() == (2.0 if side == "two" else 0.0)  # (0 - 1)^2, twice
    assert np.isfinite(gradient(value, list(critic.model.parameters()))).all()


def test_one_sided_below_its_target_is_exactly_zero() -> None:
    critic = q_critic([4])
    value = penalty(GradientPenalty(coef=1.0, side="one", target=100.0, wrt="both"), critic, q_batch())
    assert value.item() == 0
    assert not gradient(value, list(critic.model.parameters())).any()


def test_two_sided_pulls_up_and_one_sided_does_not() -> None:
    """A slope below the target: a gradient step on `two` raises it."""
    critic, batch = q_critic([]), q_batch()
    target = 2 * max(slopes(critic, "obs"))
    weights = [q_net[0].weight for q_net in critic.model.q_networks]
    two, one = (
        gradient(penalty(GradientPenalty(coef=1.0, side=side, target=target), critic, batch), weights)
        for side in SIDES[:2]
    )
    assert two @ np.concatenate([w.detach().numpy()[0] for w in weights]) < 0
    assert not one.any()


def test_the_slope_of_an_image_is_that_of_pixels_from_zero_to_one() -> None:
    critic = q_critic([], observation=spaces.Box(0, 255, (1, 3, 3), np.uint8))
    batch = q_batch()
    images = torch.randint(0, 256, (N, 1, 3, 3), dtype=torch.uint8)
    value = penalty(
        GradientPenalty(coef=1.0, side="zero"), critic, CriticBatch(images, batch.actions, batch.policy_actions)
    )
    assert value.item() == pytest.approx(sum(s**2 for s in slopes(critic, "obs", n_observations=9)), rel=1e-12)


def test_random_points_make_the_loss_unrepeatable() -> None:
    assert [points for points in POINTS if GradientPenalty(coef=1.0, points=points).draws] == ["interpolate"]


@pytest.mark.parametrize("side", SIDES)
def test_coef_is_a_factor(side: Any) -> None:
    critic, batch = q_critic([4]), q_batch()
    once, often = (
        penalty(GradientPenalty(coef=coef, side=side, wrt="both"), critic, batch).item() for coef in (1.0, 12.5)
    )
    assert often == pytest.approx(12.5 * once, rel=1e-12)


def test_the_batch_and_the_critic_stay_as_they_are() -> None:
    """Only the returned scalar carries a gradient: nothing is accumulated, and the batch's tensors get no flag."""
    critic, batch = q_critic([4]), q_batch()
    assert batch.actions is not None
    assert isinstance(batch.observations, Tensor)
    observations, actions = batch.observations.clone(), batch.actions.clone()
    for points in POINTS:
        penalty(GradientPenalty(coef=1.0, wrt="both", points=points), critic, batch).backward()
    assert torch.equal(batch.observations, observations)
    assert torch.equal(batch.actions, actions)
    assert not batch.observations.requires_grad
    assert not batch.actions.requires_grad
    assert batch.actions.grad is None


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"coef": -0.1}, "greater than or equal to 0"),
        ({"coef": float("nan")}, "finite number"),
        ({"coef": float("inf")}, "finite number"),
        ({"coef": "1"}, "valid number"),
        ({}, "coef"),
        ({"coef": 1.0, "coeff": 1.0}, "coeff"),
        ({"coef": 1.0, "target": -1.0}, "greater than or equal to 0"),
        ({"coef": 1.0, "side": "zero", "target": 0.5}, "does nothing with side `zero`"),
        ({"coef": 1.0, "side": "three"}, "'two', 'one' or 'zero'"),
        ({"coef": 1.0, "wrt": "actions"}, "'obs', 'action' or 'both'"),
        ({"coef": 1.0, "points": "buffer"}, "'replay', 'policy' or 'interpolate'"),
    ],
)
def test_wrong_settings_are_refused(options: dict[str, Any], words: str) -> None:
    with pytest.raises(ValidationError) as refusal:
        GradientPenalty(**options)
    assert words in str(refusal.value)


def test_settings_cannot_be_changed_later() -> None:
    with pytest.raises(AttributeError):
        GradientPenalty(coef=1.0).coef = 2.0  # type: ignore[misc]
