"""Pairs that cannot work are refused when the agent is built, with the reason and what would work."""

from __future__ import annotations

import re
import warnings
from typing import Any

import pytest
import torch

from smoothrl.critics import GradientPenalty, IncompatibleSetting, LayerNorm, NoiseConsistency, SpectralNorm
from smoothrl.optim import (
    DivGrad,
    DivOut,
    DriftAdjustedLR,
    GradientRegularization,
    IneffectiveSetting,
    MulEps,
    OptimizerAdaptation,
)

IMAGE: dict[str, Any] = {"env": "conformance/ImagePoint-v0", "policy": "CnnPolicy"}
SHARED: dict[str, Any] = {"policy_kwargs": {"share_features_extractor": True}}
CASES: list[tuple[str, str, Any, dict[str, Any], list[str]]] = [
    ("action gradient of V(s)", "ppo", GradientPenalty(coef=1.0, wrt="action"), {},
     ["wrt `action`", "this agent's critic is V(s), it takes no action", "use wrt `obs`"]),
    ("joint gradient of V(s)", "ppo", GradientPenalty(coef=1.0, wrt="both"), {},
     ["wrt `both`", "V(s)", "use wrt `obs`"]),
    ("policy points of V(s)", "ppo", GradientPenalty(coef=1.0, points="policy"), {},
     ["points `policy`", "V(s)", "use points `replay` or `interpolate`"]),
    ("obs gradient, shared extractor", "sac", GradientPenalty(coef=1.0), SHARED,
     ["wrt `obs`", "share_features_extractor", "without gradient", "use wrt `action`"]),
    ("joint gradient, shared extractor", "td3", GradientPenalty(coef=1.0, wrt="both"), SHARED,
     ["wrt `both`", "share_features_extractor to false"]),
    ("switched off, still refused", "ppo", GradientPenalty(coef=0.0, wrt="action"), {}, ["V(s)"]),
    ("no such layer, Q", "sac", SpectralNorm(layers=(-2, -4)), {},
     ["layer -4 does not exist", "-3: qf0.0, -2: qf0.2, -1: qf0.4"]),
    ("no such layer, V", "ppo", SpectralNorm(layers=(-4,)), {},
     ["layer -4 does not exist", "-3: mlp_extractor.value_net.0, -2: mlp_extractor.value_net.2, -1: value_net"]),
    ("shared CNN of PPO", "ppo", SpectralNorm(layers=(-4,)), IMAGE,
     ["layer -4 does not exist", "-1: value_net", "shared with the actor and never part of the critic",
      "share_features_extractor to false"]),
    ("shared CNN of SAC", "sac", SpectralNorm(layers=(-4,)), IMAGE | SHARED,
     ["layer -4 does not exist", "shared with the actor", "share_features_extractor to false"]),
    ("action gradient, discrete actions", "dqn", GradientPenalty(coef=1.0, wrt="action"), {},
     ["wrt `action`", "discrete actions", "use wrt `obs`"]),
    ("no such layer, discrete Q", "dqn", SpectralNorm(layers=(-4,)), {}, ["-3: q_net.0, -2: q_net.2, -1: q_net.4"]),
    ("LayerNorm of a convolution", "sac", LayerNorm(layers=(-5,)), IMAGE, ["layer_norm", "Conv2d"]),
    ("LayerNorm of the output", "ppo", LayerNorm(layers=(-1,)), {}, ["layer_norm", "output"]),
    ("noise on the action of V(s)", "a2c", NoiseConsistency(coef=1.0, wrt="action"), {}, ["V(s)", "use wrt `obs`"]),
    ("norms of normalized layers", "sac", (SpectralNorm(), DivGrad()), {"critic_optimizer_kwargs": {"eps": 1e-4}},
     ["qf0.2", "spectral_norm normalizes it", "track other layers"]),
    ("epsilon of an optimizer without one", "td3", MulEps(), {"critic_optimizer_class": torch.optim.SGD},
     ["mul_eps", "SGD has none", "use div_grad"]),
    ("output divided twice", "ddpg", (DivOut(), DivOut(layers=(-3,))), {}, ["div_out", "once"]),
    ("differences of a loss that draws", "sac",
     GradientRegularization(mu=0.1, estimator="finite_difference", players="actor"), {},
     ["finite_difference", "actor", "random numbers", "use estimator `exact`"]),
    ("differences of a penalty that draws", "td3",
     (NoiseConsistency(coef=1.0), GradientRegularization(mu=0.1, estimator="finite_difference")), {},
     ["finite_difference", "critic", "use estimator `exact`"]),
    ("actor of an agent without one", "dqn", DriftAdjustedLR(players="actor"), {},
     ["drift_adjusted_lr", "no actor", "its players: critic"]),
    ("one layer twice", "td3", (SpectralNorm(), SpectralNorm(mode="relaxed")), {}, ["qf0.2", "each once"]),
    ("svd of a convolution", "sac", SpectralNorm(layers=(-5,), estimator="svd"), IMAGE,
     ["estimator `svd`", "features_extractor.cnn.4", "use estimator `power`"]),
]  # fmt: skip


@pytest.mark.parametrize(
    ("agent", "regularizers", "kwargs", "words"), [c[1:] for c in CASES], ids=[c[0] for c in CASES]
)
def test_is_refused_with_the_reason(
    agent: str, regularizers: Any, kwargs: dict[str, Any], words: list[str], build: Any
) -> None:
    with pytest.raises(IncompatibleSetting) as refusal:
        build(agent, *(regularizers if isinstance(regularizers, tuple) else [regularizers]), **kwargs)
    for word in words:
        assert re.search(re.escape(word), str(refusal.value)), str(refusal.value)
    asked = regularizers if isinstance(regularizers, tuple) else (regularizers,)
    adapts = any(isinstance(piece, OptimizerAdaptation) for piece in asked)
    assert refusal.value.door == ("optimizer_adaptations" if adapts else "critic_regularizers")


TANH: dict[str, Any] = {"policy_kwargs": {"activation_fn": torch.nn.Tanh}}
EPS: dict[str, Any] = {"critic_optimizer_kwargs": {"eps": 3.125e-4}}


@pytest.mark.parametrize(
    ("agent", "adaptation", "kwargs", "words"),
    [
        ("sac", DivGrad(), {}, ["div_grad", "epsilon = 1e-08", "critic_optimizer_kwargs: {eps: 3.125e-4}"]),
        ("dqn", MulEps(), {}, ["mul_eps", "epsilon = 1e-08", "optimizer_kwargs: {eps: 3.125e-4}"]),
        ("td3", DivOut(), TANH, ["div_out", "not equivalent to spectral normalization", "Tanh", "activation_fn: relu"]),
        ("a2c", DivOut(), TANH, ["div_out", "Tanh"]),
    ],
)
def test_what_changes_nothing_is_warned_about(
    agent: str, adaptation: Any, kwargs: dict[str, Any], words: list[str], build: Any
) -> None:
    with pytest.warns(IneffectiveSetting) as warned:
        build(agent, adaptation, **kwargs)
    assert [getattr(w.message, "door", None) for w in warned] == ["optimizer_adaptations"]
    for word in words:
        assert word in str(warned[0].message)


@pytest.mark.parametrize(
    ("agent", "adaptation", "kwargs"),
    [
        ("sac", DivGrad(), EPS),
        ("ppo", MulEps(), EPS),
        ("dqn", MulEps(), {"policy_kwargs": {"optimizer_kwargs": {"eps": 3.125e-4}}}),
        ("td3", DivGrad(), {"critic_optimizer_class": torch.optim.SGD}),
        ("sac", DivOut(), {}),
    ],
)
def test_the_remedies_silence_the_warning(agent: str, adaptation: Any, kwargs: dict[str, Any], build: Any) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error", IneffectiveSetting)
        assert build(agent, adaptation, **kwargs).learn(40)._n_updates > 0


@pytest.mark.parametrize(
    ("agent", "regularizer", "kwargs"),
    [
        ("sac", GradientPenalty(coef=1.0, wrt="action", points="interpolate"), SHARED),
        ("td3", SpectralNorm(), SHARED),
        ("ppo", SpectralNorm(layers=(-1, -3)), IMAGE),
        ("ppo", SpectralNorm(layers=(-4,)), IMAGE | {"policy_kwargs": {"share_features_extractor": False}}),
    ],
)
def test_what_the_refusals_recommend_works(agent: str, regularizer: Any, kwargs: dict[str, Any], build: Any) -> None:
    assert build(agent, regularizer, **kwargs).learn(40)._n_updates > 0
