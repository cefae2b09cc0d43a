"""What makes a critic smooth: constraints on its layers, penalties in its loss."""

from smoothrl.critics._base import CriticConstraint, CriticPenalty, CriticRegularizer
from smoothrl.critics.gradient_penalty import GradientPenalty
from smoothrl.critics.layer_norm import LayerNorm
from smoothrl.critics.noise_consistency import NoiseConsistency
from smoothrl.critics.spectral_norm import SpectralNorm
from smoothrl.views import SECTION, CriticBatch, CriticView, IncompatibleSetting, Inputs, LayerIndices

__all__ = [
    "SECTION",
    "CriticBatch",
    "CriticConstraint",
    "CriticPenalty",
    "CriticRegularizer",
    "CriticView",
    "GradientPenalty",
    "IncompatibleSetting",
    "Inputs",
    "LayerIndices",
    "LayerNorm",
    "NoiseConsistency",
    "SpectralNorm",
]
