"""What makes a critic smooth: constraints on its layers, penalties in its loss."""

from smoothrl.critics._base import (
    SECTION,
    CriticBatch,
    CriticConstraint,
    CriticPenalty,
    CriticRegularizer,
    CriticView,
    IncompatibleRegularizer,
    Inputs,
)
from smoothrl.critics.gradient_penalty import GradientPenalty
from smoothrl.critics.spectral_norm import SpectralNorm

__all__ = [
    "SECTION",
    "CriticBatch",
    "CriticConstraint",
    "CriticPenalty",
    "CriticRegularizer",
    "CriticView",
    "GradientPenalty",
    "IncompatibleRegularizer",
    "Inputs",
    "SpectralNorm",
]
