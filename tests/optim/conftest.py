"""Small float64 critics, and real gradient steps on them through `Descent`."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from itertools import pairwise
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.func import functional_call

from smoothrl.optim import OptimizerAdaptation, Player
from smoothrl.optim._descent import Descent, split_groups
from smoothrl.views import CriticView, Inputs


class PlainView(CriticView):
    """A critic of plain Sequentials: V_i(s), each under its own name."""

    takes_action = False
    extractor_is_shared = False
    sees_observation_gradient = True

    def __init__(self, networks: dict[str, nn.Sequential], name: str = "critic") -> None:
        super().__init__()
        self.name, self.networks = name, networks
        self.parts = {network: (net,) for network, net in networks.items()}
        self.branches = {
            network: tuple(
                (f"{network}.{i}", layer)
                for i, layer in enumerate(m for m in net.modules() if isinstance(m, nn.Linear | nn.Conv2d))
            )
            for network, net in networks.items()
        }

    def preprocess(self, observations: Tensor | dict[str, Tensor]) -> Inputs:
        assert isinstance(observations, Tensor)
        return {"": observations}

    def values(self, inputs: Inputs, actions: Tensor | None) -> Sequence[Tensor]:
        del actions
        return [net(inputs[""]) for net in self.networks.values()]

    def probe(self) -> None:
        first = next(m for net in self.networks.values() for m in net.modules() if isinstance(m, nn.Linear | nn.Conv2d))
        shape = (1, first.in_features) if isinstance(first, nn.Linear) else (1, first.in_channels, 6, 6)
        self.values({"": torch.zeros(shape, dtype=torch.float64)}, None)


class Optim:
    """What the tests of this room build with."""

    Player = Player

    @staticmethod
    def mlp(sizes: Sequence[int] = (3, 5, 4, 1), activation: type[nn.Module] = nn.Tanh, seed: int = 0) -> nn.Sequential:
        """Linear layers with an activation in between, weights and biases of size 1, in float64."""
        torch.manual_seed(seed)
        layers: list[nn.Module] = []
        for n_in, n_out in pairwise(sizes):
            layers += [nn.Linear(n_in, n_out, dtype=torch.float64), activation()]
            nn.init.normal_(layers[-2].weight)  # type: ignore[arg-type]
            nn.init.normal_(layers[-2].bias)  # type: ignore[arg-type]
        return nn.Sequential(*layers[:-1])

    @classmethod
    def critic(cls, n: int = 2, **kwargs: Any) -> PlainView:
        """n networks qf0, qf1, ... with different weights."""
        return PlainView({f"qf{i}": cls.mlp(seed=i, **kwargs) for i in range(n)})

    View = PlainView

    @staticmethod
    def player(
        critic: CriticView | None,
        optimizer: Callable[[list[nn.Parameter]], torch.optim.Optimizer],
        networks: dict[str, list[nn.Parameter]] | None = None,
        **kwargs: Any,
    ) -> Player:
        """The critic as the player of a new optimizer, whose groups are split as an agent splits them."""
        if networks is None:
            assert critic is not None
            networks = critic.parameters()
        made = optimizer([p for parameters in networks.values() for p in parameters])
        player = Player("critic", made, networks, critic, **{"repeatable": True} | kwargs)
        split_groups(made, [player])
        return player

    @staticmethod
    def descent(player: Player, *adaptations: OptimizerAdaptation, max_grad_norm: float | None = None) -> Descent:
        """Real steps of the player's optimizer."""
        for adaptation in adaptations:
            adaptation.check(player)
        return Descent(player.optimizer, [player], adaptations, max_grad_norm)

    @staticmethod
    def batch(n: int = 8, seed: int = 100) -> tuple[Tensor, Tensor]:
        """Observations and targets."""
        generator = torch.Generator().manual_seed(seed)
        return (
            torch.randn(n, 3, dtype=torch.float64, generator=generator),
            torch.randn(n, 1, dtype=torch.float64, generator=generator),
        )

    @staticmethod
    def loss(critic: PlainView, batch: tuple[Tensor, Tensor]) -> Tensor:
        """Sum over the networks of the mean squared error."""
        x, y = batch
        return torch.stack([(value - y).square().mean() for value in critic.values({"": x}, None)]).sum()

    @staticmethod
    def sigma(layer: Any) -> float:
        """By NumPy."""
        return float(np.linalg.svd(layer.weight.detach().numpy(), compute_uv=False)[0])

    @staticmethod
    def dense(critic: PlainView, batch: tuple[Tensor, Tensor]) -> tuple[np.ndarray, np.ndarray]:
        """Gradient and Hessian of `loss` over all parameters in order, the Hessian entry by entry by torch."""
        x, y = batch
        named = {network: dict(net.named_parameters()) for network, net in critic.networks.items()}
        shapes = [p.shape for parameters in named.values() for p in parameters.values()]
        start = torch.cat([p.detach().flatten() for parameters in named.values() for p in parameters.values()])

        def at(flat: Tensor) -> Tensor:
            pieces = iter(flat.split([shape.numel() for shape in shapes]))
            losses = []
            for network, parameters in named.items():
                moved = {name: next(pieces).view_as(p) for name, p in parameters.items()}
                losses.append((functional_call(critic.networks[network], moved, (x,)) - y).square().mean())
            return torch.stack(losses).sum()

        return torch.func.grad(at)(start).numpy(), torch.autograd.functional.hessian(at, start).numpy()

    @staticmethod
    def flat(tensors: Iterable[Tensor | None]) -> np.ndarray:
        """One vector."""
        return np.concatenate([t.detach().flatten().numpy() for t in tensors if t is not None])


@pytest.fixture
def optim() -> type[Optim]:
    """Builders of critics, players and steps."""
    return Optim
