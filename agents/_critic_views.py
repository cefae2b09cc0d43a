"""SB3's critics as regularizers, adaptations and diagnostics see them.

Layer indices mean the same for every agent. A critic sub-network is the path from the observation to its values: the
Linear and Conv layers of the critic's features extractor, then those of the Q network or value branch. Index -1 is the
output layer, -2 the penultimate. Layers that the actor also uses are never part of it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
from gymnasium import spaces
from stable_baselines3.common.policies import ActorCriticPolicy, BaseModel, ContinuousCritic
from stable_baselines3.common.preprocessing import preprocess_obs
from stable_baselines3.dqn.policies import QNetwork
from torch import Tensor, nn

from smoothrl.linalg.operators import LAYERS
from smoothrl.views import CriticView, Inputs


class _SB3View(CriticView):
    """What the critics of all SB3 models have in common."""

    def __init__(self, name: str, model: BaseModel, parts: Mapping[str, Sequence[nn.Module]]) -> None:
        super().__init__()
        names = {module: path for path, module in model.named_modules()}
        self.name = name
        self.model = model
        self.parts = {network: tuple(modules) for network, modules in parts.items()}
        self.branches = {
            network: tuple((names[layer], layer) for module in modules for layer in layers_of(module))
            for network, modules in parts.items()
        }

    def preprocess(self, observations: Tensor | dict[str, Tensor]) -> Inputs:
        x = preprocess_obs(observations, self.model.observation_space, normalize_images=self.model.normalize_images)
        return x if isinstance(x, dict) else {"": x}

    def probe(self) -> None:
        training = self.model.training
        self.model.eval()  # no running statistic may move
        actions = self._zeros(self.model.action_space) if self.takes_action else None
        with torch.no_grad():
            self.values(self.preprocess(self._zero_observation()), actions)
        self.model.train(training)

    def _zero_observation(self) -> Tensor | dict[str, Tensor]:
        space = self.model.observation_space
        if isinstance(space, spaces.Dict):
            return {key: self._zeros(part) for key, part in space.spaces.items()}
        return self._zeros(space)

    def _zeros(self, space: spaces.Space) -> Tensor:
        return torch.zeros((1, *(space.shape or ())), device=self.model.device)


class QView(_SB3View):
    """Q(s, a) of SAC, TD3 and DDPG: sub-networks qf0, qf1, ..."""

    takes_action = True
    model: ContinuousCritic

    def __init__(self, name: str, critic: ContinuousCritic, extractor_is_shared: bool) -> None:
        own_extractor = [] if extractor_is_shared else [critic.features_extractor]
        parts = {f"qf{i}": [*own_extractor, q_net] for i, q_net in enumerate(critic.q_networks)}
        super().__init__(name, critic, parts)
        self.extractor_is_shared = extractor_is_shared
        self.sees_observation_gradient = not extractor_is_shared

    def values(self, inputs: Inputs, actions: Tensor | None) -> Sequence[Tensor]:
        assert actions is not None
        features = self.model.features_extractor(inputs.get("", inputs))
        return [q_net(torch.cat([features, actions], dim=1)) for q_net in self.model.q_networks]


class DiscreteQView(_SB3View):
    """Q(s, .) of DQN, one output per action: sub-network q."""

    takes_action = False
    extractor_is_shared = False
    sees_observation_gradient = True
    model: QNetwork

    def __init__(self, name: str, q_net: QNetwork) -> None:
        super().__init__(name, q_net, {"q": [q_net.features_extractor, q_net.q_net]})

    def values(self, inputs: Inputs, actions: Tensor | None) -> Sequence[Tensor]:
        q = self.model.q_net(self.model.features_extractor(inputs.get("", inputs)))
        return [q.max(dim=1, keepdim=True).values if actions is None else q.gather(1, actions.long())]


class VView(_SB3View):
    """V(s) of PPO and A2C: sub-network vf, the value branch of an actor-critic policy."""

    takes_action = False
    sees_observation_gradient = True
    model: ActorCriticPolicy

    def __init__(self, name: str, policy: ActorCriticPolicy) -> None:
        self.extractor_is_shared = policy.share_features_extractor and bool(layers_of(policy.features_extractor))
        own_extractor = [] if policy.share_features_extractor else [policy.vf_features_extractor]
        super().__init__(name, policy, {"vf": [*own_extractor, policy.mlp_extractor.value_net, policy.value_net]})

    def values(self, inputs: Inputs, actions: Tensor | None) -> Sequence[Tensor]:
        del actions  # V(s) takes none
        features = self.model.vf_features_extractor(inputs.get("", inputs))
        return [self.model.value_net(self.model.mlp_extractor.forward_critic(features))]


def layers_of(part: nn.Module) -> list[nn.Module]:
    """Its Linear and Conv layers, in order."""
    return [module for module in part.modules() if isinstance(module, LAYERS)]
