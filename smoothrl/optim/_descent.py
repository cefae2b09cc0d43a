"""One optimizer's gradient steps: backward pass, clipping, adaptations, the optimizer's own step."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, cast

import torch
from torch import Tensor, nn

from smoothrl.linalg.hessian import difference_product, gradient, hessian_product, norm
from smoothrl.optim._base import OptimizerAdaptation, Player, Step

WATCH_EVERY = 16
"""Steps between two whose gradient norms are recorded, when somebody asks for them."""

Loss = Callable[[], Tensor]


class Descent:
    """Descends a loss with one torch optimizer. Without adaptations this is what SB3 does, to the bit.

    The optimizer stays a plain torch optimizer: its base settings are never changed, its `state_dict` is torch's.
    """

    def __init__(
        self,
        optimizer: torch.optim.Optimizer,
        players: Sequence[Player] = (),
        adaptations: Sequence[OptimizerAdaptation] = (),
        max_grad_norm: float | None = None,
        watched: bool = False,
    ) -> None:
        self.optimizer = optimizer
        self.players = players
        self.max_grad_norm = max_grad_norm
        self.norms: dict[str, Tensor] = {}
        self.state = nn.ModuleDict()
        """What the adaptations remember, to be saved with the agent."""
        self._watched, self._steps = watched, 0
        self._chains: list[tuple[Player, list[tuple[OptimizerAdaptation, nn.Module | None]]]] = []
        for player in players:
            chain: list[tuple[OptimizerAdaptation, nn.Module | None]] = []
            for i, adaptation in enumerate(adaptations):
                if adaptation.is_off or not adaptation.adapts(player):
                    continue
                state = adaptation.start(player)
                if state is not None:
                    self.state[f"{player.name}_{i}_{adaptation.kind}"] = state
                chain.append((adaptation, state))
            if chain:
                self._chains.append((player, chain))
        self._uses_hessian = any(adaptation.uses_hessian for _, chain in self._chains for adaptation, _ in chain)

    def __call__(self, loss: Tensor, again: Loss | None = None) -> dict[str, Tensor]:
        """One gradient step on `loss`. Only the optimizer's own parameters receive gradients: SB3 also computes those
        of the critic for the actor's loss, a third of its backward pass, and throws them away.

        Args:
            loss: a scalar with its graph.
            again: evaluates the same loss at the parameters as they then are; None if it cannot be.

        Returns:
            What the adaptations log.
        """
        watching = self._watched and self._steps % WATCH_EVERY == 0
        self._steps += 1
        self.optimizer.zero_grad()
        if not self._chains:
            parameters = parameters_of(self.optimizer)
            loss.backward(inputs=[p for p in parameters if p.requires_grad])
            if watching:
                self._watch("grad_norm")
            if self.max_grad_norm is not None:
                torch.nn.utils.clip_grad_norm_(parameters, self.max_grad_norm)
                if watching:
                    self._watch("grad_norm_clipped")
            self.optimizer.step()
            return {}
        return self._adapted_step(loss, again, watching)

    def _adapted_step(self, loss: Tensor, again: Loss | None, watching: bool) -> dict[str, Tensor]:
        parameters = [p for p in parameters_of(self.optimizer) if p.requires_grad]
        gradients = gradient(loss, parameters, create_graph=self._uses_hessian)
        clip_factor = None
        if self.max_grad_norm is not None:
            clip_factor = torch.clamp(self.max_grad_norm / (norm([g.detach() for g in gradients]) + 1e-6), max=1.0)
        for p, g in zip(parameters, gradients, strict=True):
            p.grad = g.detach() if clip_factor is None else g.detach() * clip_factor
        by_parameter = dict(zip(parameters, gradients, strict=True))
        if watching:
            self._watch("grad_norm", by_parameter)
            if clip_factor is not None:
                self._watch("grad_norm_clipped")

        steps = []
        for player, chain in self._chains:
            step = _OneStep(player, [by_parameter[p] for p in player.parameters], clip_factor, again)
            for adaptation, state in chain:
                adaptation.before_step(step, state)
            steps.append(step)
        if watching:
            self._watch("grad_norm_adapted")

        epsilons = {network: factor for step in steps for network, factor in step.epsilons.items()}
        rates = {p: factor for step in steps for p, factor in step.rates.items()}
        with _epsilons(self.optimizer, epsilons), _rates(rates):
            self.optimizer.step()
        return {tag: value for step in steps for tag, value in step.logged.items()}

    def _watch(self, name: str, gradients: dict[nn.Parameter, Tensor] | None = None) -> None:
        """Keep the norm of each player's gradient; by default of what is in `.grad`."""
        for player in self.players:
            found = [p.grad if gradients is None else gradients[p].detach() for p in player.parameters]
            self.norms[f"optim/{name}/{player.name}"] = norm([g for g in found if g is not None])


class _OneStep(Step):
    """A step of one player; collects what the adaptations ask for."""

    def __init__(
        self, player: Player, gradients: Sequence[Tensor], clip_factor: Tensor | None, again: Loss | None
    ) -> None:
        self.player = player
        self.clip_factor = clip_factor
        self.gradients = [g.detach() for g in gradients]
        self.learning_rate = group_of(player.optimizer, player.parameters[0])["lr"]
        self.rates: dict[nn.Parameter, Tensor] = {}
        self.epsilons: dict[str, Tensor] = {}
        self.logged: dict[str, Tensor] = {}
        self._graph = gradients
        self._again = again
        self._hessian_gradient: Sequence[Tensor] | None = None

    def hessian_gradient(self) -> Sequence[Tensor]:
        if self._hessian_gradient is None:  # several adaptations may ask
            self._hessian_gradient = hessian_product(self._graph, self.player.parameters, self.gradients)
        return self._hessian_gradient

    def difference_gradient(self, radius: float) -> Sequence[Tensor]:
        if self._again is None:
            raise RuntimeError(f"the {self.player.name}'s loss cannot be evaluated again: its player is not repeatable")
        return difference_product(self._again, self.player.parameters, self.gradients, self.gradients, radius)

    def scale_learning_rate(self, parameters: Sequence[nn.Parameter], factor: Tensor) -> None:
        for p in parameters:
            self.rates[p] = self.rates[p] * factor if p in self.rates else factor

    def scale_epsilon(self, network: str, factor: Tensor) -> None:
        self.epsilons[network] = self.epsilons[network] * factor if network in self.epsilons else factor

    def log(self, tag: str, value: Tensor) -> None:
        self.logged[tag] = value.detach()


@contextmanager
def _epsilons(optimizer: torch.optim.Optimizer, factors: dict[str, Tensor]) -> Iterator[None]:
    """The optimizer's epsilons multiplied for one step. torch adds epsilon to a tensor, so it may be one itself."""
    scaled = [(group, group["eps"]) for group in optimizer.param_groups if group.get("network") in factors]
    for group, eps in scaled:
        group["eps"] = eps * factors[group["network"]]
    try:
        yield
    finally:
        for group, eps in scaled:
            group["eps"] = eps


@contextmanager
def _rates(factors: dict[nn.Parameter, Tensor]) -> Iterator[None]:
    """Learning rates multiplied for one step.

    Every step of a torch optimizer is linear in its learning rate, decoupled weight decay included, and keeps no memory
    of it. So the step is taken at the base rate and its length changed: that needs no float, which would wait for the
    device, and leaves the optimizer's settings alone. A factor of 1 changes nothing, to the bit.
    """
    before = {p: p.detach().clone() for p in factors}
    yield
    with torch.no_grad():
        for p, old in before.items():
            torch.lerp(old, p, factors[p].to(p.dtype), out=p)


def split_groups(optimizer: torch.optim.Optimizer, players: Sequence[Player]) -> None:
    """Give every network of every player a parameter group of its own, marked with their names."""
    groups: list[dict[str, Any]] = []
    left = {p: group for group in optimizer.param_groups for p in group["params"]}
    for player in players:
        for network, parameters in player.networks.items():
            options = {key: value for key, value in left[parameters[0]].items() if key != "params"}
            groups.append({**options, "params": list(parameters), "player": player.name, "network": network})
            for p in parameters:
                del left[p]
    for group in optimizer.param_groups:  # what no player learns, such as frozen parameters
        rest = [p for p in group["params"] if p in left]
        if rest:
            groups.append({**group, "params": rest})
    optimizer.param_groups[:] = groups


def group_of(optimizer: torch.optim.Optimizer, parameter: nn.Parameter) -> dict[str, Any]:
    """The parameter group that holds it."""
    return next(group for group in optimizer.param_groups if any(p is parameter for p in group["params"]))


def parameters_of(optimizer: torch.optim.Optimizer) -> list[nn.Parameter]:
    """What it optimizes, in order; unlike `module.parameters()` this does not walk the module tree."""
    return [cast(nn.Parameter, p) for group in optimizer.param_groups for p in group["params"]]
