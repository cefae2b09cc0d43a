"""How smooth the critic is: between what its weights allow and what is seen at visited states."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import chain
from typing import TYPE_CHECKING, ClassVar

from pydantic.dataclasses import dataclass

from smoothrl.diagnostics._base import Cadence, Diagnostic, Probe
from smoothrl.registry import register
from smoothrl.views import SECTION

if TYPE_CHECKING:
    from torch import Tensor


@register("diagnostic", "lipschitz")
@dataclass(frozen=True, config=SECTION)
class Lipschitz(Diagnostic):
    """Lipschitz constant of the critic, bounded from both sides, and its geometric complexity.

    With W_l the weight that layer l really uses (divided by its norm where it is normalized), phi_l the activations, x
    the held batch as the networks receive it and Q_i the critic's networks (V of PPO; max_a Q of DQN):

        smoothness/sigma/<critic>/<layer>       sigma(W_l), exact
        smoothness/lipschitz_upper/<network>    prod_l sigma(W_l) prod_l Lip(phi_l), in all inputs together
        smoothness/lipschitz_lower_obs          max_i max_x ||d Q_i / d s||
        smoothness/lipschitz_lower_action       max_i max_x ||d Q_i / d a||
        smoothness/slope_obs, slope_action      the means over i and x of the same norms
        smoothness/geometric_complexity         mean_i mean_x ||d Q_i / d (s, a)||^2, in all inputs together

    The upper bound is left out where a network contains something whose constant is not known (layer normalization);
    slopes in the action where the critic takes none or it is discrete; those in the observation, and the geometric
    complexity, where SB3 cuts that gradient.

    Example:
        >>> Lipschitz(every=5000).every
        5000

    Reference:
        Szegedy et al., Intriguing properties of neural networks, 2013 (arXiv 1312.6199): the upper bound.
        Dherin et al., Why neural networks find simple solutions: the many regularizers of geometric complexity, 2022
        (arXiv 2209.13083).

    Departures: docs/methods/diagnostics.md lists them.
    """

    kind: ClassVar[str] = "lipschitz"

    every: Cadence = 1000
    """Environment steps between two measurements."""

    def measure(self, probe: Probe) -> dict[str, Tensor]:
        from smoothrl.diagnostics._bounds import lipschitz_bounds, spectral_norms

        critic = probe.critic
        sigmas = spectral_norms(critic)
        bounds = lipschitz_bounds(critic, sigmas)
        return {
            **{f"smoothness/sigma/{critic.name}/{layer}": sigma for layer, sigma in sigmas.items()},
            **{f"smoothness/lipschitz_upper/{network}": bound for network, bound in bounds.items()},
            **_slopes(probe),
        }


def _slopes(probe: Probe) -> dict[str, Tensor]:
    """What is seen of the critic's gradient in its inputs on the held batch."""
    import torch

    critic, batch = probe.critic, probe.batch
    inputs = {key: x.detach() for key, x in critic.preprocess(batch.observations).items()}
    actions = batch.actions.detach() if critic.takes_action and batch.actions is not None else None
    leaves: dict[str, list[Tensor]] = {}
    if critic.sees_observation_gradient:
        leaves["obs"] = list(inputs.values())
    if actions is not None:
        leaves["action"] = [actions]
    for leaf in chain.from_iterable(leaves.values()):
        leaf.requires_grad_()

    values = critic.values(inputs, actions)
    squared = {side: torch.stack([_squared_slope(value, of) for value in values]) for side, of in leaves.items()}
    tags: dict[str, Tensor] = {}
    for side, slope in squared.items():
        tags[f"smoothness/lipschitz_lower_{side}"] = slope.max().sqrt()
        tags[f"smoothness/slope_{side}"] = slope.sqrt().mean()
    if "obs" in squared:
        tags["smoothness/geometric_complexity"] = torch.stack(list(squared.values())).sum(dim=0).mean()
    return tags


def _squared_slope(value: Tensor, leaves: Sequence[Tensor]) -> Tensor:
    """||d value / d leaves||^2 of every sample, over all leaves together."""
    import torch

    slopes = torch.autograd.grad(value.sum(), leaves, retain_graph=True)  # networks may share a features extractor
    return torch.cat([g.flatten(start_dim=1) for g in slopes], dim=1).square().sum(dim=1)
