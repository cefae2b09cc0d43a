"""How smoothly the policy acts."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from pydantic.dataclasses import dataclass

from smoothrl.diagnostics._base import Cadence, Diagnostic, Probe
from smoothrl.registry import register
from smoothrl.views import SECTION

if TYPE_CHECKING:
    from torch import Tensor


@register("diagnostic", "policy")
@dataclass(frozen=True, config=SECTION)
class Policy(Diagnostic):
    """Smoothness of the deterministic policy mu along a trajectory, and its sensitivity to the state.

    Over the held trajectory s_0, ..., s_{T-1} and all action dimensions:

        policy/action_change     mean |mu(s_{t+1}) - mu(s_t)|
        policy/action_abrasion   2 / (n f_s) sum_{i=1}^n M_i f_i            (the smoothness measure Sm of CAPS)

    where f_s = 1 per step, n = floor(T / 2), f_i = i / T, and M_i is the amplitude of the actions at frequency f_i:
    (2 / T) |sum_t mu(s_t) e^(-2 pi j f_i t)|, half of that at f_i = 1/2. Over the held batch:

        policy/sensitivity       mean ||d mu / d s||_2, the spectral norm of the Jacobian

    in the units of the observation that the agent gets. Smaller is smoother. All are left out for discrete actions, the
    first two for a trajectory of a single state, the last where the observation is discrete.

    Example:
        >>> Policy().kind
        'policy'

    Reference:
        Mysore et al., Regularizing Action Policies for Smooth Control with Reinforcement Learning, 2020
        (arXiv 2012.06644).

    Departures: docs/methods/diagnostics.md lists them.
    """

    kind: ClassVar[str] = "policy"

    every: Cadence = 1000
    """Environment steps between two measurements."""

    def measure(self, probe: Probe) -> dict[str, Tensor]:
        import torch

        if not probe.has_continuous_actions:
            return {}
        found: dict[str, Tensor] = {}
        with torch.no_grad():
            actions = probe.policy(probe.trajectory)
        if len(actions) > 1:
            found["policy/action_change"] = actions.diff(dim=0).abs().mean()
            found["policy/action_abrasion"] = _abrasion(actions)
        sensitivity = _sensitivity(probe)
        return found if sensitivity is None else found | {"policy/sensitivity": sensitivity}


def _abrasion(actions: Tensor) -> Tensor:
    """Of a sequence (time, action dimensions), the mean over the dimensions."""
    import torch

    length = len(actions)
    n = length // 2
    amplitudes = 2 / length * torch.fft.rfft(actions, dim=0).abs()[1:]
    if length % 2 == 0:
        amplitudes[-1] /= 2  # the highest frequency is its own mirror image
    frequencies = torch.arange(1, n + 1, device=actions.device, dtype=actions.dtype) / length
    return (2 / n * frequencies @ amplitudes).mean()


def _sensitivity(probe: Probe) -> Tensor | None:
    """Mean spectral norm of the Jacobian over the held batch; None where no observation is continuous."""
    import torch

    observations = probe.batch.observations
    keyed = observations if isinstance(observations, dict) else {"": observations}
    leaves = {key: x.detach().clone() if x.is_floating_point() else x.float() for key, x in keyed.items()}
    for leaf in leaves.values():
        leaf.requires_grad_()
    actions = probe.policy(leaves if isinstance(observations, dict) else leaves[""])

    rows = []
    for action in actions.unbind(dim=1):
        found = torch.autograd.grad(action.sum(), list(leaves.values()), retain_graph=True, allow_unused=True)
        slopes = [g.flatten(start_dim=1) for g in found if g is not None]
        if not slopes:
            return None
        rows.append(torch.cat(slopes, dim=1))
    jacobian = torch.stack(rows, dim=1)
    if not torch.isfinite(jacobian).all():
        return jacobian.new_full((), torch.nan)
    gram = jacobian @ jacobian.mT  # (batch, action dimensions squared): small, unlike the Jacobian of an image
    return torch.linalg.eigvalsh(gram)[:, -1].clamp_min(0.0).sqrt().mean()
