"""Action smoothness of policies whose actions are known: sines, steps, matrices."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from smoothrl.diagnostics import Policy
from smoothrl.views import CriticBatch


def measure(probe: Any) -> dict[str, float]:
    return {tag: value.item() for tag, value in Policy().measure(probe).items()}


def acting(build: Any, actions: np.ndarray) -> Any:
    """A probe whose policy repeats its observation, along these observations."""
    probe = build()
    probe.policy = lambda observations: observations
    probe.trajectory = torch.tensor(actions)
    return probe


@pytest.mark.parametrize(("cycles", "amplitude"), [(1, 1.0), (5, 0.3), (31, 2.0)])
def test_abrasion_of_a_sine(build: Any, cycles: int, amplitude: float) -> None:
    """By hand: one amplitude A at frequency k / T among n = T / 2, so 2 / n * A * k / T; offset and phase are free."""
    time = np.arange(64)
    sine = amplitude * np.sin(2 * np.pi * cycles * time / 64 + 0.4) + 3.0
    found = measure(acting(build, sine[:, None]))
    assert found["policy/action_abrasion"] == pytest.approx(2 / 32 * amplitude * cycles / 64)


def test_a_second_action_dimension_is_averaged_in(build: Any) -> None:
    time = np.arange(64)
    sine = np.sin(2 * np.pi * 4 * time / 64)
    found = measure(acting(build, np.stack([sine, np.zeros(64)], axis=1)))
    assert found["policy/action_abrasion"] == pytest.approx(0.5 * 2 / 32 * 4 / 64)


def test_bang_bang_is_the_highest_frequency(build: Any) -> None:
    """+A, -A, ...: amplitude A at f = 1/2, so 2 / n * A / 2; and every action changes by 2 A."""
    found = measure(acting(build, (0.5 * (-1.0) ** np.arange(20))[:, None]))
    assert found["policy/action_abrasion"] == pytest.approx(0.5 / 10)
    assert found["policy/action_change"] == pytest.approx(1.0)


@pytest.mark.parametrize("length", [2, 3, 15, 16])
def test_abrasion_of_noise_is_numpys(build: Any, length: int) -> None:
    actions = np.random.default_rng(0).normal(size=(length, 2))
    amplitudes = 2 * np.abs(np.fft.fft(actions, axis=0)) / length
    n = length // 2
    if length % 2 == 0:
        amplitudes[n] /= 2
    total = sum(amplitudes[i] * i / length for i in range(1, n + 1))
    found = measure(acting(build, actions))
    assert found["policy/action_abrasion"] == pytest.approx((2 / n * total).mean())
    assert found["policy/action_change"] == pytest.approx(np.abs(np.diff(actions, axis=0)).mean())


def test_a_trajectory_of_one_state_has_no_change(build: Any) -> None:
    assert set(measure(acting(build, np.ones((1, 3))))) == {"policy/sensitivity"}


def test_sensitivity_of_a_linear_policy_is_the_norm_of_its_matrix(build: Any) -> None:
    probe = build()
    matrix = torch.tensor(np.random.default_rng(0).normal(size=(2, 3)))
    probe.policy = lambda observations: observations @ matrix.T
    assert measure(probe)["policy/sensitivity"] == pytest.approx(np.linalg.svd(matrix, compute_uv=False)[0])


def test_sensitivity_is_the_norm_of_a_differenced_jacobian(build: Any) -> None:
    probe = build()
    x, norms = probe.batch.observations, []
    for s in x:
        ends = [probe.policy(s + sign * 1e-6 * torch.eye(3, dtype=torch.float64)).detach() for sign in (1, -1)]
        norms.append(np.linalg.svd(((ends[0] - ends[1]) / 2e-6).numpy(), compute_uv=False)[0])
    assert measure(probe)["policy/sensitivity"] == pytest.approx(np.mean(norms), rel=1e-6)


def observing(build: Any, observations: Tensor | dict[str, Tensor], policy: Any) -> dict[str, float]:
    probe = build()
    probe.batch, probe.policy, probe.trajectory = CriticBatch(observations, None, None), policy, observations
    return measure(probe)


def test_sensitivity_in_a_dict_is_that_of_all_keys_joined(build: Any) -> None:
    """One action, 3 x + 4 y: slope 5. What cannot be differentiated in, an index, is no part of it."""
    x, y, index = torch.ones(6, 1), torch.ones(6, 1), torch.arange(6)

    def policy(o: dict[str, Tensor]) -> Tensor:
        return 3 * o["x"] + 4 * o["y"] + torch.nn.functional.one_hot(o["index"].long()).float().sum(dim=1, keepdim=True)

    probe = build()
    probe.batch = CriticBatch({"x": x, "y": y, "index": index}, None, None)
    probe.trajectory = probe.batch.observations
    probe.trajectory, probe.policy = {"x": x, "y": y, "index": index}, policy
    assert measure(probe)["policy/sensitivity"] == pytest.approx(5.0)


def test_sensitivity_to_an_image_is_per_unit_of_its_intensity(build: Any) -> None:
    image = torch.zeros(4, 2, 2, dtype=torch.uint8)
    found = observing(build, image, lambda o: o.float().flatten(1).sum(dim=1, keepdim=True) / 255)
    assert found["policy/sensitivity"] == pytest.approx(2 / 255)


def test_no_sensitivity_to_a_discrete_observation(build: Any) -> None:
    table = torch.nn.Parameter(torch.randn(3, 2, generator=torch.Generator().manual_seed(0)))
    found = observing(build, torch.tensor([0, 2, 1]), lambda o: table[o.long()])
    assert set(found) == {"policy/action_change", "policy/action_abrasion"}


def test_discrete_actions_have_none_of_it(build: Any) -> None:
    probe = build()
    probe.continuous = False
    assert Policy().measure(probe) == {}


def test_a_policy_that_is_not_finite_gives_nan_and_no_error(build: Any) -> None:
    probe = build()
    with torch.no_grad():
        probe.actor[0][0].weight[0, 0] = torch.nan
    assert np.isnan(measure(probe)["policy/sensitivity"])
