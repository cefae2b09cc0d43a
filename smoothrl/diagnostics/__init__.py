"""What is measured of the networks while they are trained."""

from smoothrl.diagnostics._base import Cadence, Diagnostic, Probe
from smoothrl.diagnostics.curvature import Curvature
from smoothrl.diagnostics.drift import Drift
from smoothrl.diagnostics.gradients import Gradients
from smoothrl.diagnostics.lipschitz import Lipschitz
from smoothrl.diagnostics.network import Network
from smoothrl.diagnostics.policy import Policy
from smoothrl.views import SECTION

__all__ = [
    "SECTION",
    "Cadence",
    "Curvature",
    "Diagnostic",
    "Drift",
    "Gradients",
    "Lipschitz",
    "Network",
    "Policy",
    "Probe",
]
