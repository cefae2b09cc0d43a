"""A plain critic and policy in float64 and the probe that shows them, without SB3."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from itertools import pairwise
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from smoothrl.diagnostics import Probe
from smoothrl.views import CriticBatch, CriticView, Inputs

OBSERVATION, ACTION = 3, 2


class PlainView(CriticView):
    """Q(s, a) of plain networks on the joined input, or V(s)."""

    name = "critic"
    extractor_is_shared = False
    sees_observation_gradient = True

    def __init__(self, networks: Mapping[str, nn.Module], takes_action: bool = True) -> None:
        super().__init__()
        self.takes_action = takes_action
        self.networks = networks
        self.parts = {name: (net,) for name, net in networks.items()}
        self.branches = {
            name: tuple((f"{name}.{path}", m) for path, m in net.named_modules() if isinstance(m, nn.Linear))
            for name, net in networks.items()
        }

    def preprocess(self, observations: Tensor | dict[str, Tensor]) -> Inputs:
        assert isinstance(observations, Tensor)
        return {"": observations}

    def values(self, inputs: Inputs, actions: Tensor | None) -> Sequence[Tensor]:
        x = inputs[""] if actions is None else torch.cat([inputs[""], actions], dim=1)
        return [net(x) for net in self.networks.values()]

    def probe(self) -> None:
        with torch.no_grad():
            zeros = torch.zeros(1, OBSERVATION, dtype=torch.float64)
            self.values({"": zeros}, zeros[:, :ACTION] if self.takes_action else None)


class PlainProbe(Probe):
    """That critic on a held batch, with fixed regression targets."""

    def __init__(self, critic: CriticView, actor: nn.Module, batch: CriticBatch, targets: Tensor) -> None:
        self.critic, self.actor, self.batch, self.targets = critic, actor, batch, targets
        self.trajectory = batch.observations
        modules = {module: None for parts in critic.parts.values() for module in parts}
        self.critic_parameters = [p for module in modules for p in module.parameters()]
        self.critic_learning_rate = 0.01
        self.critic_optimizer: torch.optim.Optimizer = torch.optim.SGD(self.critic_parameters, lr=0.01)
        self.norms = {"optim/grad_norm/critic": torch.tensor(2.0)}
        self.continuous = True

    def critic_loss(self) -> Tensor:
        values = self.critic.values(self.critic.preprocess(self.batch.observations), self.batch.actions)
        return torch.stack([(q - self.targets).square().mean() for q in values]).sum()

    def policy(self, observations: Tensor | dict[str, Tensor]) -> Tensor:
        assert self.actor is not None
        return self.actor(observations)

    @property
    def has_continuous_actions(self) -> bool:
        return self.continuous


def mlp(sizes: Sequence[int], activation: Callable[[], nn.Module]) -> nn.Sequential:
    layers = [m for a, b in pairwise(sizes) for m in (nn.Linear(a, b), activation())]
    return nn.Sequential(*layers[:-1]).double()


@pytest.fixture
def build() -> Callable[..., Any]:
    """Build a probe: `build(hidden=[6, 5], activation=nn.Tanh, takes_action=True, n_critics=2, batch_size=16)`."""

    def probe(
        hidden: Sequence[int] = (6, 5),
        activation: Callable[[], nn.Module] = nn.Tanh,
        takes_action: bool = True,
        n_critics: int = 2,
        batch_size: int = 16,
        networks: Mapping[str, nn.Module] | None = None,
    ) -> PlainProbe:
        torch.manual_seed(0)
        inputs = OBSERVATION + (ACTION if takes_action else 0)
        if networks is None:
            networks = {f"qf{i}": mlp([inputs, *hidden, 1], activation) for i in range(n_critics)}
        actor = nn.Sequential(mlp([OBSERVATION, 4, ACTION], activation), nn.Tanh())
        observations = torch.randn(batch_size, OBSERVATION, dtype=torch.float64)
        actions = torch.rand(batch_size, ACTION, dtype=torch.float64) * 2 - 1
        batch = CriticBatch(observations, actions if takes_action else None, policy_actions=None)
        targets = torch.randn(batch_size, 1, dtype=torch.float64)
        return PlainProbe(PlainView(networks, takes_action), actor, batch, targets)

    return probe
