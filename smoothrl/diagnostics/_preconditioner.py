"""The diagonal matrix P that an adaptive optimizer divides its step by: theta <- theta - h P^-1 m, for its momentum m.

The step is torch's with weight decay left out. P holds the second moments after the last step, and the optimizer's own
epsilon.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor

State = dict[str, Any]
"""What torch remembers of one parameter, or the settings of a parameter group."""


def preconditioner(optimizer: torch.optim.Optimizer, parameters: Sequence[Tensor]) -> list[Tensor] | None:
    """P of each parameter, shaped like it.

    Returns:
        None for an optimizer that has no second moments, or none known here, and before its first step.
    """
    diagonal = next((rule for cls, rule in _RULES.items() if isinstance(optimizer, cls)), None)
    if diagonal is None or any(not optimizer.state.get(p) for p in parameters):
        return None
    groups = {p: group for group in optimizer.param_groups for p in group["params"]}
    return [diagonal(p, optimizer.state[p], groups[p]) for p in parameters]


def _adam(p: Tensor, state: State, group: State) -> Tensor:
    """sqrt(v_hat) + eps, v_hat = v / (1 - beta_2^t); with amsgrad, v is the largest so far."""
    second = state["max_exp_avg_sq" if group.get("amsgrad") else "exp_avg_sq"]
    correction: float = 1 - group["betas"][1] ** float(state["step"])
    return (second / correction).sqrt() + group["eps"]


def _radam(p: Tensor, state: State, group: State) -> Tensor:
    """(sqrt(v) + eps) / (r sqrt(1 - beta_2^t)) with the rectification r; 1 in the first steps, which are not adaptive.

    Liu et al., On the Variance of the Adaptive Learning Rate and Beyond, 2019 (arXiv 1908.03265).
    """
    beta, t = group["betas"][1], float(state["step"])
    correction = 1 - beta**t
    longest = 2 / (1 - beta) - 1
    length = longest - 2 * t * beta**t / correction
    if length <= 5:
        return torch.ones_like(p)
    rectification = ((length - 4) * (length - 2) * longest / ((longest - 4) * (longest - 2) * length)) ** 0.5
    return (state["exp_avg_sq"].sqrt() + group["eps"]) / (rectification * correction**0.5)


def _rmsprop(p: Tensor, state: State, group: State) -> Tensor:
    """sqrt(v) + eps; centered, sqrt(v - mean^2) + eps."""
    second = state["square_avg"]
    if group["centered"]:
        second = second - state["grad_avg"].square()
    return second.sqrt() + group["eps"]


_RULES: dict[type[torch.optim.Optimizer], Callable[[Tensor, State, State], Tensor]] = {
    torch.optim.Adam: _adam,  # AdamW is one too
    torch.optim.NAdam: _adam,
    torch.optim.RAdam: _radam,
    torch.optim.RMSprop: _rmsprop,
}
