"""Pairs that cannot work are refused when the agent is built, with the reason and what would work."""

from __future__ import annotations

import re
from typing import Any

import pytest

from smoothrl.critics import GradientPenalty, IncompatibleRegularizer, SpectralNorm

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
     ["layer -4 does not exist", "-1: value_net", "shared with the actor and never regularized",
      "share_features_extractor to false"]),
    ("shared CNN of SAC", "sac", SpectralNorm(layers=(-4,)), IMAGE | SHARED,
     ["layer -4 does not exist", "shared with the actor", "share_features_extractor to false"]),
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
    with pytest.raises(IncompatibleRegularizer) as refusal:
        build(agent, *(regularizers if isinstance(regularizers, tuple) else [regularizers]), **kwargs)
    for word in words:
        assert re.search(re.escape(word), str(refusal.value)), str(refusal.value)


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
