"""Spectral norms of a critic's layers, and the Lipschitz bound that they give."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from typing import cast

import torch
from torch import Tensor, nn

from smoothrl.diagnostics._activations import factor, factor_of_hooks
from smoothrl.diagnostics._trace import chain
from smoothrl.linalg.operators import LAYERS, operators_of
from smoothrl.views import CriticView, IncompatibleSetting


@torch.no_grad()
def spectral_norms(critic: CriticView) -> dict[str, Tensor]:
    """Layer name -> spectral norm of the weight that its forward pass uses, exact; NaN for a weight that is not finite.

    Left out: a layer of a class whose weight is not known here, and a convolution whose padding is not zeros.
    """
    found: dict[str, Tensor] = {}
    for name, layer in _layers(critic).items():
        weight = effective_weight(layer)
        if weight is None:
            continue
        if not torch.isfinite(weight).all():  # a decomposition would raise, while the run's own message is to come
            found[name] = weight.new_full((), torch.nan)
            continue
        with suppress(IncompatibleSetting):
            found[name] = operators_of({name: layer}, critic.probe)[name].sigma(weight)
    return found


def lipschitz_bounds(critic: CriticView, sigmas: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Sub-network -> the product of the Lipschitz constants of its modules; without those that it is not known for.

    Args:
        sigmas: the layers' spectral norms, by name.
    """
    if critic.extractor_is_shared:  # the way from the observation leads through layers that the view does not show
        return {}
    by_layer = {layer: sigmas[name] for name, layer in _layers(critic).items() if name in sigmas}
    bounds = {network: _bound(parts, critic, by_layer) for network, parts in critic.parts.items()}
    return {network: bound for network, bound in bounds.items() if bound is not None}


def _bound(parts: tuple[nn.Module, ...], critic: CriticView, sigmas: Mapping[nn.Module, Tensor]) -> Tensor | None:
    bound = next(iter(sigmas.values())).new_ones(()) if sigmas else torch.ones(())
    for part in parts:
        if critic.takes_action:
            # The action joins between two parts: at most max(L, 1) of a difference in (s, a) has arrived there.
            bound = bound.clamp_min(1.0)
        modules = chain(part, critic.probe)
        if modules is None:
            return None
        for module in modules:
            constant = _constant(module, sigmas)
            if constant is None:
                return None
            bound = bound * constant
    return bound


def _constant(module: nn.Module, sigmas: Mapping[nn.Module, Tensor]) -> Tensor | float | None:
    hooks = factor_of_hooks(module)
    own = sigmas.get(module) if isinstance(module, LAYERS) else factor(module)
    return None if hooks is None or own is None else own * hooks


def effective_weight(layer: nn.Module) -> Tensor | None:
    """The weight that a layer computes with; None for a class that changes it in a way not known here."""
    computed = getattr(layer, "effective_weight", None)
    if computed is not None:
        return cast(Tensor, computed())
    return cast(Tensor, layer.weight) if type(layer) in LAYERS else None


def _layers(critic: CriticView) -> dict[str, nn.Module]:
    return {name: layer for branch in critic.branches.values() for name, layer in branch}
