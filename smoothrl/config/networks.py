"""The networks of an agent and their optimizers: what SB3 calls `policy_kwargs`, as data."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Tag

from smoothrl.config.section import BY_SHAPE, Count, Fraction, NonNegative, Section, broken_rule_at

Optimizer = Literal["adam", "adamw", "nadam", "radam", "rmsprop", "sgd"]

OPTIMIZER_KWARGS: dict[str, set[str]] = {
    "adam": {"betas", "eps", "weight_decay", "amsgrad"},
    "adamw": {"betas", "eps", "weight_decay", "amsgrad"},
    "nadam": {"betas", "eps", "weight_decay", "momentum_decay"},
    "radam": {"betas", "eps", "weight_decay"},
    "rmsprop": {"alpha", "eps", "weight_decay", "momentum", "centered"},
    "sgd": {"momentum", "dampening", "weight_decay", "nesterov"},
}
"""What each torch optimizer takes, beyond the learning rate."""

Layers = list[Count]


class ActorCriticArch(Section):
    """Hidden layers of the actor and of the Q networks."""

    pi: Layers
    qf: Layers


class ActorValueArch(Section):
    """Hidden layers of the actor and of the value network."""

    pi: Layers
    vf: Layers


class OptimizerKwargs(Section):
    """What the optimizer takes beyond the learning rate; torch's default where left out."""

    betas: tuple[Fraction, Fraction] | None = None
    eps: NonNegative | None = None
    weight_decay: NonNegative | None = None
    amsgrad: bool | None = None
    alpha: Fraction | None = None
    momentum: NonNegative | None = None
    momentum_decay: NonNegative | None = None
    dampening: float | None = None
    centered: bool | None = None
    nesterov: bool | None = None


def require_options(optimizer: str, kwargs: OptimizerKwargs | None, field: tuple[str, ...]) -> None:
    """Refuse options that torch's optimizer of this name does not have.

    Raises:
        ValidationError: at the option, which stands below `field`.
    """
    for name, value in (kwargs or OptimizerKwargs()).model_dump(exclude_none=True).items():
        if name not in OPTIMIZER_KWARGS[optimizer]:
            valid = ", ".join(sorted(OPTIMIZER_KWARGS[optimizer]))
            raise broken_rule_at((*field, name), f"{optimizer} has no such option; it has {valid}", value)


class FeaturesExtractorKwargs(Section):
    """Sizes of SB3's feature extractors; SB3's default where left out."""

    features_dim: Count | None = None
    """Features of CnnPolicy's network."""
    cnn_output_dim: Count | None = None
    """Features per image of MultiInputPolicy."""


class PolicyKwargs(Section):
    """The networks and their optimizer; SB3's default where left out."""

    activation_fn: Literal["relu", "tanh", "elu", "silu", "gelu", "leaky_relu", "selu", "softplus"] | None = None
    normalize_images: bool | None = None
    """Divide images by 255."""
    features_extractor_kwargs: FeaturesExtractorKwargs | None = None
    optimizer_class: Optimizer | None = None
    """Optimizer of every network."""
    optimizer_kwargs: OptimizerKwargs | None = None


class QNetworkPolicyKwargs(PolicyKwargs):
    """The networks and their optimizer; SB3's default where left out."""

    net_arch: Layers | None = None
    """Hidden layers of the Q network."""


class ActorCriticPolicyKwargs(PolicyKwargs):
    """The networks and their optimizer; SB3's default where left out."""

    share_features_extractor: bool | None = None
    """One feature extractor for actor and critic."""


class OffPolicyPolicyKwargs(ActorCriticPolicyKwargs):
    """The networks and their optimizer; SB3's default where left out."""

    net_arch: (
        Annotated[Annotated[Layers, Tag("list")] | Annotated[ActorCriticArch, Tag("mapping")], BY_SHAPE] | None
    ) = None
    """Hidden layers: one list for actor and critic, or one each."""
    n_critics: Count | None = None


class SACPolicyKwargs(OffPolicyPolicyKwargs):
    """The networks and their optimizer; SB3's default where left out."""

    log_std_init: float | None = None
    use_expln: bool | None = None
    clip_mean: NonNegative | None = None


class OnPolicyPolicyKwargs(ActorCriticPolicyKwargs):
    """The networks and their optimizer; SB3's default where left out."""

    net_arch: Annotated[Annotated[Layers, Tag("list")] | Annotated[ActorValueArch, Tag("mapping")], BY_SHAPE] | None = (
        None
    )
    """Hidden layers: one list for actor and critic, or one each."""
    ortho_init: bool | None = None
    log_std_init: float | None = None
    full_std: bool | None = None
    use_expln: bool | None = None
    squash_output: bool | None = None
