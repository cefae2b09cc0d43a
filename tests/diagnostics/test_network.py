"""Dormant units, effective rank and weight norm on networks whose activations are known by hand."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from smoothrl.diagnostics import Network
from smoothrl.diagnostics._features import dormant_share, effective_rank


def measure(probe: Any, **options: Any) -> dict[str, float]:
    return {tag: value.item() for tag, value in Network(**options).measure(probe).items()}


def constant_units(levels: list[float]) -> nn.Sequential:
    """A network whose hidden units have these activations for every input."""
    net = nn.Sequential(nn.Linear(5, len(levels)), nn.ReLU(), nn.Linear(len(levels), 1)).double()
    with torch.no_grad():
        net[0].weight.zero_()
        net[0].bias.copy_(torch.tensor(levels))
    return net


@pytest.mark.parametrize(
    ("levels", "tau", "share"),
    [
        ([1, 1, 1, 1], 0.025, 0.0),
        ([4, 4, -1, 0], 0.0, 0.5),  # the ReLU turns -1 into 0
        ([3.5, 0.25, 0.25, 0.0], 0.25, 0.75),  # mean 1: a score equal to tau is dormant
        ([3.5, 0.25, 0.25, 0.0], 0.24, 0.25),
        ([-1, -1, -1, -1], 0.025, 1.0),  # no mean to divide by
    ],
)
def test_dormant_units_of_known_activity(build: Any, levels: list[float], tau: float, share: float) -> None:
    networks = {"qf0": constant_units(levels), "qf1": constant_units([1.0, 1.0])}
    found = measure(build(networks=networks), tau=tau)
    assert found["network/dormant/qf0"] == pytest.approx(share)
    assert found["network/dormant/qf1"] == 0


def test_the_share_is_of_all_units_and_the_score_within_a_layer() -> None:
    """One of 2 and one of 8: 2 / 10, not the mean of 1/2 and 1/8. The second layer's scale does not matter."""
    first, second = torch.tensor([[1.0, 0.0]] * 5), torch.tensor([[100.0] * 7 + [1.0]] * 5)
    assert dormant_share([first, second], tau=0.025).item() == pytest.approx(0.2)


def test_a_unit_of_a_convolution_is_a_channel() -> None:
    activations = torch.zeros(6, 4, 3, 3)
    activations[:, 0] = 1.0
    activations[2, 1, 1, 1] = -9.0  # silent almost everywhere, and loud once
    activations[:, 2, 0, 0] = 0.1
    assert dormant_share([activations], tau=0.025).item() == pytest.approx(0.25)
    assert dormant_share([activations], tau=0.04).item() == pytest.approx(0.5)


@pytest.mark.parametrize("rank", [1, 3, 7])
def test_effective_rank_is_numpys(rank: int) -> None:
    rng = np.random.default_rng(rank)
    features = rng.normal(size=(40, rank)) @ rng.normal(size=(rank, 12)) + 1e-6 * rng.normal(size=(40, 12))
    sigmas = np.linalg.svd(features, compute_uv=False)
    least = next(k for k in range(1, 13) if sigmas[:k].sum() / sigmas.sum() >= 0.99)
    assert effective_rank(torch.tensor(features)).item() == least <= rank


def test_effective_rank_counts_up_to_its_share() -> None:
    """Singular values 90, 9, 0.9, 0.1: two make up 99 % of the sum, within rounding the third is not needed."""
    assert effective_rank(torch.diag(torch.tensor([90.0, 9.01, 0.89, 0.1]))).item() == 2
    assert effective_rank(torch.diag(torch.tensor([90.0, 8.9, 1.0, 0.1]))).item() == 3
    assert effective_rank(torch.zeros(4, 4)).item() == 0
    assert np.isnan(effective_rank(torch.tensor([[1.0, torch.nan]])).item())


def test_effective_rank_is_that_of_what_the_output_layer_receives(build: Any) -> None:
    probe = build(hidden=[7, 5], batch_size=64)
    found = measure(probe)
    x = torch.cat([probe.batch.observations, probe.batch.actions], dim=1)
    with torch.no_grad():
        features = torch.tanh(probe.critic.networks["qf1"][2](torch.tanh(probe.critic.networks["qf1"][0](x)))).numpy()
    sigmas = np.linalg.svd(features, compute_uv=False)
    least = next(k for k in range(1, 6) if sigmas[:k].sum() / sigmas.sum() >= 0.99)
    assert found["network/effective_rank/qf1"] == least


def test_weight_norm_is_over_all_weights_and_biases(build: Any) -> None:
    probe = build()
    found = measure(probe)
    for name, net in {**probe.critic.networks, "actor": probe.actor}.items():
        flat = np.concatenate([p.detach().flatten().numpy() for p in net.parameters()])
        assert found[f"network/weight_norm/{name}"] == pytest.approx(np.linalg.norm(flat))


def test_an_actors_final_tanh_is_output(build: Any) -> None:
    """Its hidden units are all dead but one, its two outputs never are: 3 of 4, not 3 of 6."""
    probe = build(activation=nn.ReLU)
    with torch.no_grad():
        hidden = probe.actor[0][0]
        hidden.weight.zero_()
        hidden.bias.copy_(torch.tensor([1.0, -1.0, -1.0, -1.0]))
    assert measure(probe)["network/dormant/actor"] == pytest.approx(0.75)
    assert measure(probe)["network/effective_rank/actor"] == 1


def test_a_network_without_hidden_layer_has_a_norm_only(build: Any) -> None:
    probe = build(networks={"vf": nn.Sequential(nn.Linear(3, 1)).double()}, takes_action=False)
    assert {tag for tag in measure(probe) if tag.endswith("/vf")} == {"network/weight_norm/vf"}


def test_an_agent_without_actor_has_its_critic_measured(build: Any) -> None:
    probe = build()
    probe.actor = None
    assert {tag.split("/")[2] for tag in measure(probe)} == {"qf0", "qf1"}


def test_a_policy_of_discrete_actions_is_measured_too(build: Any) -> None:
    probe = build()
    logits = probe.actor
    probe.continuous = False
    probe.policy = lambda observations: logits(observations).argmax(dim=1)
    assert "network/dormant/actor" in measure(probe)


class TwoHeads(nn.Module):
    """As SAC's actor: two output layers on the same features."""

    def __init__(self) -> None:
        super().__init__()
        self.latent = nn.Sequential(nn.Linear(3, 4), nn.ReLU())
        self.mean, self.log_std = nn.Linear(4, 2), nn.Linear(4, 2)
        self.double()

    def forward(self, x: Tensor) -> Tensor:
        features = self.latent(x)
        return self.mean(features) + 0 * self.log_std(features)


def test_two_heads_share_their_features(build: Any) -> None:
    probe = build()
    probe.actor = TwoHeads()
    with torch.no_grad():
        features = probe.actor.latent(probe.batch.observations).numpy()
    sigmas = np.linalg.svd(features, compute_uv=False)
    least = next(k for k in range(1, 5) if sigmas[:k].sum() / sigmas.sum() >= 0.99)
    dormant = (features.mean(axis=0) <= 0.025 * features.mean()).mean()
    assert measure(probe)["network/effective_rank/actor"] == least
    assert measure(probe)["network/dormant/actor"] == pytest.approx(dormant)
