"""SB3's critics as regularizers see them.

Layer indices mean the same for every agent. A critic sub-network is the path from the observation to one value: the
Linear and Conv layers of the critic's features extractor, then those of the Q network or value branch. Index -1 is the
output layer, -2 the penultimate. Layers that the actor also uses are never part of it.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from gymnasium import spaces
from stable_baselines3.common.policies import ActorCriticPolicy, BaseModel, ContinuousCritic
from stable_baselines3.common.preprocessing import preprocess_obs
from torch import Tensor, nn

from smoothrl.critics import CriticView, Inputs

LAYERS = (nn.Linear, nn.Conv1d, nn.Conv2d, nn.Conv3d)


class _SB3View(CriticView):
    """What the critics of all SB3 models have in common."""

    def __init__(self, name: str, model: BaseModel, branches: Sequence[Sequence[nn.Module]]) -> None:
        super().__init__()
        names = {module: path for path, module in model.named_modules()}
        self.name = name
        self.model = model
        self.branches = tuple(
            tuple((names[layer], layer) for part in parts for layer in layers_of(part)) for parts in branches
        )

    def preprocess(self, observations: Tensor | dict[str, Tensor]) -> Inputs:
        x = preprocess_obs(observations, self.model.observation_space, normalize_images=self.model.normalize_images)
        return x if isinstance(x, dict) else {"": x}

    def probe(self) -> None:
        training = self.model.training
        self.model.eval()  # no running statistic may move
        with torch.no_grad():
            self.values(self.preprocess(self._zero_observation()), self._zeros(self.model.action_space))
        self.model.train(training)

    def _zero_observation(self) -> Tensor | dict[str, Tensor]:
        space = self.model.observation_space
        if isinstance(space, spaces.Dict):
            return {key: self._zeros(part) for key, part in space.spaces.items()}
        return self._zeros(space)

    def _zeros(self, space: spaces.Space) -> Tensor:
        return torch.zeros((1, *(space.shape or ())), device=self.model.device)


class QView(_SB3View):
    """Q(s, a) of SAC, TD3 and DDPG: one branch per Q network."""

    takes_action = True
    model: ContinuousCritic

    def __init__(self, name: str, critic: ContinuousCritic, extractor_is_shared: bool) -> None:
        own_extractor = [] if extractor_is_shared else [critic.features_extractor]
        super().__init__(name, critic, [[*own_extractor, q_net] for q_net in critic.q_networks])
        self.extractor_is_shared = extractor_is_shared
        self.sees_observation_gradient = not extractor_is_shared

    def values(self, inputs: Inputs, actions: Tensor | None) -> Sequence[Tensor]:
        assert actions is not None
        features = self.model.features_extractor(inputs.get("", inputs))
        return [q_net(torch.cat([features, actions], dim=1)) for q_net in self.model.q_networks]


class VView(_SB3View):
    """V(s) of PPO and A2C: the value branch of an actor-critic policy."""

    takes_action = False
    sees_observation_gradient = True
    model: ActorCriticPolicy

    def __init__(self, name: str, policy: ActorCriticPolicy) -> None:
        self.extractor_is_shared = policy.share_features_extractor and bool(layers_of(policy.features_extractor))
        own_extractor = [] if policy.share_features_extractor else [policy.vf_features_extractor]
        super().__init__(name, policy, [[*own_extractor, policy.mlp_extractor.value_net, policy.value_net]])

    def values(self, inputs: Inputs, actions: Tensor | None) -> Sequence[Tensor]:
        del actions  # V(s) takes none
        features = self.model.vf_features_extractor(inputs.get("", inputs))
        return [self.model.value_net(self.model.mlp_extractor.forward_critic(features))]


def layers_of(part: nn.Module) -> list[nn.Module]:
    """Its Linear and Conv layers, in order."""
    return [module for module in part.modules() if isinstance(module, LAYERS)]
