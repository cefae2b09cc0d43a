"""What gives the benefit of a smooth critic by changing the optimizer's steps."""

from smoothrl.optim._base import OptimizerAdaptation, Player, Players, Step
from smoothrl.optim.div_grad import DivGrad
from smoothrl.optim.div_lr import DivLr
from smoothrl.optim.div_out import DivOut
from smoothrl.optim.drift_adjusted_lr import DriftAdjustedLR
from smoothrl.optim.gradient_regularization import GradientRegularization
from smoothrl.optim.mul_eps import MulEps
from smoothrl.views import SECTION, IncompatibleSetting, IneffectiveSetting, LayerIndices

__all__ = [
    "SECTION",
    "DivGrad",
    "DivLr",
    "DivOut",
    "DriftAdjustedLR",
    "GradientRegularization",
    "IncompatibleSetting",
    "IneffectiveSetting",
    "LayerIndices",
    "MulEps",
    "OptimizerAdaptation",
    "Player",
    "Players",
    "Step",
]
