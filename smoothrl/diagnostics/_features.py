"""How much of its hidden units a network uses."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor

from smoothrl.diagnostics._activations import ACTIVATIONS
from smoothrl.diagnostics._trace import Call
from smoothrl.linalg.operators import LAYERS

DELTA = 0.01
"""Share of the singular values' sum that the effective rank leaves out."""


def dormant_share(activations: Sequence[Tensor], tau: float) -> Tensor:
    """Share of the units whose score mean_x |h_i| / mean_j mean_x |h_j|, within their layer, is at most `tau`.

    Args:
        activations: of each hidden layer, (batch, units, ...): what comes after the units, a convolution's positions,
            is averaged over. In a layer that is all zeros every unit is dormant.
    """
    dormant, units = [], 0
    for h in activations:
        size = h.abs().transpose(0, 1).flatten(start_dim=1).mean(dim=1)
        dormant.append((size <= tau * size.mean()).sum())
        units += len(size)
    return torch.stack(dormant).sum() / units


def effective_rank(features: Tensor) -> Tensor:
    """srank: the least k with sum_{i <= k} sigma_i >= (1 - DELTA) sum_i sigma_i, of the matrix (batch, features).

    0 for a matrix of zeros; NaN for one that is not finite.
    """
    if not torch.isfinite(features).all():
        return features.new_full((), torch.nan)
    sums = torch.linalg.svdvals(features).cumsum(dim=0)
    rank = (sums < (1 - DELTA) * sums[-1]).sum() + 1
    return torch.where(sums[-1] > 0, rank, 0)


def hidden(calls: Sequence[Call]) -> tuple[list[Tensor], Tensor] | None:
    """From a network's calls in order: the activations of its hidden layers, and what its output layer receives.

    None if it has no hidden layer. What follows the last Linear or Conv layer, an actor's final tanh say, is output.
    """
    last = max((i for i, call in enumerate(calls) if isinstance(call.module, LAYERS)), default=0)
    activations = [call.output.detach() for call in calls[:last] if type(call.module) in ACTIVATIONS]
    return (activations, calls[last].input.detach().flatten(start_dim=1)) if activations else None


def readings(networks: Mapping[str, Sequence[Call]], tau: float) -> dict[str, Tensor]:
    """The tags of every network that has a hidden layer."""
    tags: dict[str, Tensor] = {}
    for name, calls in networks.items():
        if (found := hidden(calls)) is not None:
            tags[f"network/dormant/{name}"] = dormant_share(found[0], tau)
            tags[f"network/effective_rank/{name}"] = effective_rank(found[1])
    return tags
