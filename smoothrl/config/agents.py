"""One section per agent: the constructor of the SB3 class of the same name, as data.

Names and defaults are SB3's (a test compares them). Classes are named (`activation_fn: relu`), schedules are sections.
What the run decides for every agent alike stands outside: env, seed, device, logging.
"""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal, Self

from pydantic import Field, Tag, model_validator

from smoothrl.config.section import BY_SHAPE, Count, Fraction, Matching, NonNegative, Positive, Section, broken_rule_at

OPTIMIZER_KWARGS: dict[str, set[str]] = {
    "adam": {"betas", "eps", "weight_decay", "amsgrad"},
    "adamw": {"betas", "eps", "weight_decay", "amsgrad"},
    "nadam": {"betas", "eps", "weight_decay", "momentum_decay"},
    "radam": {"betas", "eps", "weight_decay"},
    "rmsprop": {"alpha", "eps", "weight_decay", "momentum", "centered"},
    "sgd": {"momentum", "dampening", "weight_decay", "nesterov"},
}
"""What each torch optimizer takes, beyond the learning rate."""

AUTO = r"auto(_[0-9]*\.?[0-9]*[1-9][0-9]*)?"


class LinearSchedule(Section):
    """From one value to another, linearly in the run's progress."""

    kind: Literal["linear"] = "linear"
    from_: Annotated[NonNegative, Field(alias="from")]
    """Value at the first step."""
    to: NonNegative
    """Value at the end."""
    end_fraction: Annotated[float, Field(gt=0, le=1)] = 1.0
    """Fraction of the run after which the end value is reached and kept."""


class ConstantSchedule(Section):
    """The same value throughout."""

    kind: Literal["constant"] = "constant"
    value: NonNegative


Schedule = Annotated[LinearSchedule | ConstantSchedule, Field(discriminator="kind")]
Scheduled = Annotated[Annotated[NonNegative, Tag("number")] | Annotated[Schedule, Tag("mapping")], BY_SHAPE]
"""A number, or how it changes over the run."""


class NormalNoise(Section):
    """Independent Gaussian noise on every action dimension."""

    kind: Literal["normal"] = "normal"
    sigma: Positive = 0.1
    mean: float = 0.0


class OrnsteinUhlenbeckNoise(Section):
    """Temporally correlated noise on every action dimension."""

    kind: Literal["ornstein_uhlenbeck"] = "ornstein_uhlenbeck"
    sigma: Positive = 0.1
    mean: float = 0.0
    theta: Positive = 0.15
    """Rate of return to the mean."""
    dt: Positive = 1e-2
    """Time step of the process."""


ActionNoise = Annotated[NormalNoise | OrnsteinUhlenbeckNoise, Field(discriminator="kind")]
TrainFreq = Annotated[
    Annotated[Count, Tag("number")] | Annotated[tuple[Count, Literal["step", "episode"]], Tag("list")], BY_SHAPE
]
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
    share_features_extractor: bool | None = None
    """One feature extractor for actor and critic."""
    features_extractor_kwargs: FeaturesExtractorKwargs | None = None
    optimizer_class: Literal["adam", "adamw", "nadam", "radam", "rmsprop", "sgd"] | None = None
    """Optimizer of every network."""
    optimizer_kwargs: OptimizerKwargs | None = None

    @model_validator(mode="after")
    def _optimizer_takes_its_kwargs(self) -> Self:
        optimizer = self.optimizer_class or "adam"
        for name in sorted((self.optimizer_kwargs or OptimizerKwargs()).model_dump(exclude_none=True)):
            if name not in OPTIMIZER_KWARGS[optimizer]:
                valid = ", ".join(sorted(OPTIMIZER_KWARGS[optimizer]))
                rule = f"{optimizer} has no such option; it has {valid}"
                raise broken_rule_at(("optimizer_kwargs", name), rule, getattr(self.optimizer_kwargs, name))
        return self


class OffPolicyPolicyKwargs(PolicyKwargs):
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


class PPOPolicyKwargs(PolicyKwargs):
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


class ReplayBufferKwargs(Section):
    """Settings of the replay buffer; SB3's default where left out."""

    handle_timeout_termination: bool | None = None
    n_sampled_goal: Count | None = None
    """Virtual transitions per real one (`her` only)."""
    goal_selection_strategy: Literal["future", "final", "episode"] | None = None
    """Where virtual goals come from (`her` only)."""
    copy_info_dict: bool | None = None
    """Pass infos to the env's `compute_reward` (`her` only)."""


class Agent(Section):
    """What every agent has."""

    action_spaces: ClassVar[frozenset[str]] = frozenset({"Box"})
    """The gymnasium spaces its actions may come from."""

    kind: str
    """The agent's name."""
    policy: Literal["MlpPolicy", "CnnPolicy", "MultiInputPolicy"] = "MlpPolicy"
    """MlpPolicy for vectors, CnnPolicy for images, MultiInputPolicy for dict observations."""
    learning_rate: Scheduled = 3e-4
    gamma: Fraction = 0.99
    """Discount factor."""
    stats_window_size: Count = 100
    """Episodes that the `rollout/` means are taken over."""
    policy_kwargs: PolicyKwargs | None = None

    @model_validator(mode="after")
    def _features_fit_the_policy(self) -> Self:
        features = self.policy_kwargs and self.policy_kwargs.features_extractor_kwargs
        for name, policy in (("features_dim", "CnnPolicy"), ("cnn_output_dim", "MultiInputPolicy")):
            if features and getattr(features, name) is not None and self.policy != policy:
                field = ("policy_kwargs", "features_extractor_kwargs", name)
                raise broken_rule_at(
                    field, f"only {policy} has this option, not {self.policy}", getattr(features, name)
                )
        return self


class OffPolicyAgent(Agent):
    """What agents with a replay buffer have."""

    buffer_size: Count = 1_000_000
    """Transitions kept in the replay buffer."""
    learning_starts: Annotated[int, Field(ge=0)] = 100
    """Steps of random actions before the first update."""
    batch_size: Count = 256
    tau: Fraction = 0.005
    """Weight of the online network in each target update."""
    train_freq: TrainFreq = 1
    """Steps between updates: a number, or [n, step] or [n, episode]."""
    gradient_steps: Annotated[int, Field(ge=-1)] = 1
    """Gradient steps per update; -1 for as many as steps were taken."""
    action_noise: ActionNoise | None = None
    """Exploration noise added to the action."""
    replay_buffer_class: Literal["her"] | None = None
    """`her` for hindsight experience replay; otherwise SB3 picks the buffer that fits the observations."""
    replay_buffer_kwargs: ReplayBufferKwargs | None = None
    optimize_memory_usage: bool = False
    """Store each observation once; needs `replay_buffer_kwargs.handle_timeout_termination: false`."""
    n_steps: Count = 1
    """Steps of the return that the critic learns from."""

    @property
    def trains_by_episode(self) -> bool:
        """Whether updates wait for the end of an episode."""
        return isinstance(self.train_freq, tuple) and self.train_freq[1] == "episode"

    @model_validator(mode="after")
    def _replay_buffer_can_be_built(self) -> Self:
        kwargs = self.replay_buffer_kwargs or ReplayBufferKwargs()
        if self.replay_buffer_class != "her":
            for name in ("n_sampled_goal", "goal_selection_strategy", "copy_info_dict"):
                if (value := getattr(kwargs, name)) is not None:
                    raise broken_rule_at(("replay_buffer_kwargs", name), "needs `replay_buffer_class: her`", value)
        elif self.n_steps > 1:
            raise broken_rule_at(("n_steps",), "`her` has no n-step returns: must be 1", self.n_steps)
        if self.optimize_memory_usage and kwargs.handle_timeout_termination is not False:
            rule = "needs `replay_buffer_kwargs.handle_timeout_termination: false`"
            raise broken_rule_at(("optimize_memory_usage",), rule, True)
        if self.optimize_memory_usage and (self.n_steps > 1 or self.replay_buffer_class == "her"):
            raise broken_rule_at(("optimize_memory_usage",), "works with neither `her` nor n-step returns", True)
        return self


class SAC(OffPolicyAgent):
    """Soft Actor-Critic: off-policy, continuous actions, learned temperature."""

    kind: Literal["sac"] = "sac"
    ent_coef: Annotated[
        Annotated[NonNegative, Tag("number")]
        | Annotated[str, Matching(AUTO, "must be a number, `auto`, or `auto_0.1` to start from 0.1"), Tag("text")],
        BY_SHAPE,
    ] = "auto"
    """Temperature: a number, `auto` to learn it, or `auto_0.1` to learn it from 0.1."""
    target_update_interval: Count = 1
    """Gradient steps between target updates."""
    target_entropy: Annotated[Annotated[float, Tag("number")] | Annotated[Literal["auto"], Tag("text")], BY_SHAPE] = (
        "auto"
    )
    """Entropy that the learned temperature aims at; `auto` is minus the number of action dimensions."""
    use_sde: bool = False
    """State-dependent exploration."""
    sde_sample_freq: Annotated[int, Field(ge=-1)] = -1
    use_sde_at_warmup: bool = False
    policy_kwargs: SACPolicyKwargs | None = None


class TD3(OffPolicyAgent):
    """Twin Delayed DDPG: off-policy, continuous actions, deterministic policy."""

    kind: Literal["td3"] = "td3"
    learning_rate: Scheduled = 1e-3
    policy_delay: Count = 2
    """Critic updates per actor update."""
    target_policy_noise: NonNegative = 0.2
    """Standard deviation of the noise on target actions."""
    target_noise_clip: NonNegative = 0.5
    policy_kwargs: OffPolicyPolicyKwargs | None = None


class PPO(Agent):
    """Proximal Policy Optimization: on-policy, any action space."""

    action_spaces: ClassVar[frozenset[str]] = frozenset({"Box", "Discrete", "MultiDiscrete", "MultiBinary"})

    kind: Literal["ppo"] = "ppo"
    n_steps: Count = 2048
    """Steps per env between updates."""
    batch_size: Count = 64
    n_epochs: Count = 10
    """Passes over the collected steps per update."""
    gae_lambda: Fraction = 0.95
    """Bias-variance trade-off of the advantage estimate."""
    clip_range: Scheduled = 0.2
    """How far the policy may move per update."""
    clip_range_vf: Scheduled | None = None
    """How far the value may move per update; no limit when left out."""
    normalize_advantage: bool = True
    ent_coef: NonNegative = 0.0
    vf_coef: NonNegative = 0.5
    max_grad_norm: Positive = 0.5
    use_sde: bool = False
    """State-dependent exploration."""
    sde_sample_freq: Annotated[int, Field(ge=-1)] = -1
    target_kl: Positive | None = None
    """Stop an update's epochs beyond this divergence; no limit when left out."""
    policy_kwargs: PPOPolicyKwargs | None = None

    @model_validator(mode="after")
    def _batches_can_be_normalized(self) -> Self:
        if self.normalize_advantage and self.batch_size == 1:
            raise broken_rule_at(("batch_size",), "must be greater than 1 with `normalize_advantage`", 1)
        return self


AnyAgent = Annotated[SAC | TD3 | PPO, Field(discriminator="kind")]
AGENTS: dict[str, type[Agent]] = {"sac": SAC, "td3": TD3, "ppo": PPO}
