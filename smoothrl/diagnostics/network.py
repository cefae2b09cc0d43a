"""How much of its capacity each network uses."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, ClassVar

from pydantic import Field
from pydantic.dataclasses import dataclass

from smoothrl.diagnostics._base import Cadence, Diagnostic, Probe
from smoothrl.registry import register
from smoothrl.views import SECTION

if TYPE_CHECKING:
    from torch import Tensor, nn


@register("diagnostic", "network")
@dataclass(frozen=True, config=SECTION)
class Network(Diagnostic):
    """Dormant units, effective rank and weight norm of every critic network and the actor.

    With h_i the activation of unit i of a hidden layer of n units, mean over the held batch, and sigma_1, sigma_2, ...,
    largest first, the singular values of the matrix (batch, features) that the output layer receives:

        network/dormant/<network>          share of units with mean |h_i| <= tau (1 / n) sum_j mean |h_j|
        network/effective_rank/<network>   least k with sum_{i <= k} sigma_i >= 0.99 sum_i sigma_i
        network/weight_norm/<network>      ||theta||, over all weights and biases

    A unit is one output of an activation module, or a whole channel of a convolution. In a ReLU network a dormant unit
    is inactive on almost the whole batch. A tanh unit is dormant only near 0; a saturated one is as useless and is not
    counted.

    Example:
        >>> Network(tau=0.1).every
        1000

    Reference:
        Sokar et al., The Dormant Neuron Phenomenon in Deep Reinforcement Learning, 2023 (arXiv 2302.12902).
        Kumar et al., Implicit Under-Parameterization Inhibits Data-Efficient Deep Reinforcement Learning, 2020
        (arXiv 2010.14498): the effective rank, there srank.

    Departures: docs/methods/diagnostics.md lists them.
    """

    kind: ClassVar[str] = "network"

    every: Cadence = 1000
    """Environment steps between two measurements."""
    tau: Annotated[float, Field(ge=0, lt=1)] = 0.025
    """Activity, relative to the layer's mean, up to which a unit counts as dormant."""

    def measure(self, probe: Probe) -> dict[str, Tensor]:
        import torch

        from smoothrl.diagnostics._features import readings
        from smoothrl.diagnostics._trace import steps_of, trace
        from smoothrl.linalg.hessian import norm

        critic, batch = probe.critic, probe.batch
        networks: dict[str, tuple[nn.Module, ...]] = dict(critic.parts)
        if probe.actor is not None:
            networks["actor"] = (probe.actor,)
        steps = {name: {s for part in parts for s in steps_of(part)} for name, parts in networks.items()}

        def run() -> None:
            critic.values(critic.preprocess(batch.observations), batch.actions if critic.takes_action else None)
            if probe.actor is not None:
                probe.policy(batch.observations)

        with torch.no_grad():
            calls = trace([step for own in steps.values() for step in own], run)
            found = readings({name: [c for c in calls if c.module in own] for name, own in steps.items()}, self.tau)
            for name, parts in networks.items():
                found[f"network/weight_norm/{name}"] = norm([p for part in parts for p in part.parameters()])
        return found
