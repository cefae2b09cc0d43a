"""One section per agent: the constructor of the SB3 class of the same name, as data.

Names and defaults are SB3's (a test compares them); what our agents add for the critic's optimizer stands beside them.
Classes are named (`activation_fn: relu`), schedules are sections. What the run decides for every agent alike stands
outside: env, seed, device, logging.
"""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal, Self

from pydantic import Field, Tag, model_validator

from smoothrl.config.networks import (
    OffPolicyPolicyKwargs,
    OnPolicyPolicyKwargs,
    Optimizer,
    OptimizerKwargs,
    PolicyKwargs,
    QNetworkPolicyKwargs,
    SACPolicyKwargs,
    require_options,
)
from smoothrl.config.replay import ActionNoise, ReplayBufferKwargs, TrainFreq
from smoothrl.config.schedules import Scheduled
from smoothrl.config.section import BY_SHAPE, Count, Fraction, Matching, NonNegative, Positive, Section, broken_rule_at

AUTO = r"auto(_[0-9]*\.?[0-9]*[1-9][0-9]*)?"


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
    policy_kwargs: PolicyKwargs | None = None

    @property
    def optimizer(self) -> str:
        """The optimizer of the networks that have none of their own."""
        return (self.policy_kwargs and self.policy_kwargs.optimizer_class) or "adam"

    @model_validator(mode="after")
    def _optimizer_takes_its_kwargs(self) -> Self:
        if self.policy_kwargs:
            require_options(self.optimizer, self.policy_kwargs.optimizer_kwargs, ("policy_kwargs", "optimizer_kwargs"))
        return self

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


class Windowed(Section):
    """What every agent but SB3's DDPG has."""

    stats_window_size: Count = 100
    """Episodes that the `rollout/` means are taken over."""


class ActorCritic(Agent):
    """What agents with a critic beside the actor have; SB3 knows one setting for both."""

    critic_learning_rate: Scheduled | None = None
    """The critic's own learning rate; the actor's when left out."""
    critic_optimizer_kwargs: OptimizerKwargs | None = None
    """What the critic's optimizer takes beyond the learning rate; as the actor's where left out."""

    @property
    def critic_optimizer(self) -> str:
        """The optimizer of the critic."""
        return self.optimizer

    @model_validator(mode="after")
    def _critic_optimizer_takes_its_kwargs(self) -> Self:
        require_options(self.critic_optimizer, self.critic_optimizer_kwargs, ("critic_optimizer_kwargs",))
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


class QCriticAgent(OffPolicyAgent, ActorCritic):
    """What agents with a critic Q(s, a) of continuous actions have."""

    action_noise: ActionNoise | None = None
    """Exploration noise added to the action."""
    critic_optimizer_class: Optimizer | None = None
    """The critic's own optimizer; the actor's when left out."""
    policy_kwargs: OffPolicyPolicyKwargs | None = None

    @property
    def critic_optimizer(self) -> str:
        """The optimizer of the critic."""
        return self.critic_optimizer_class or self.optimizer


class SAC(Windowed, QCriticAgent):
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


class TD3(Windowed, QCriticAgent):
    """Twin Delayed DDPG: off-policy, continuous actions, deterministic policy."""

    kind: Literal["td3"] = "td3"
    learning_rate: Scheduled = 1e-3
    policy_delay: Count = 2
    """Critic updates per actor update."""
    target_policy_noise: NonNegative = 0.2
    """Standard deviation of the noise on target actions."""
    target_noise_clip: NonNegative = 0.5


class DDPG(QCriticAgent):
    """Deep Deterministic Policy Gradient: off-policy, continuous actions, deterministic policy, one critic."""

    kind: Literal["ddpg"] = "ddpg"
    learning_rate: Scheduled = 1e-3


class DQN(Windowed, OffPolicyAgent):
    """Deep Q Network: off-policy, discrete actions, epsilon-greedy."""

    action_spaces: ClassVar[frozenset[str]] = frozenset({"Discrete"})

    kind: Literal["dqn"] = "dqn"
    learning_rate: Scheduled = 1e-4
    batch_size: Count = 32
    tau: Fraction = 1.0
    """Weight of the online network in each target update."""
    train_freq: TrainFreq = 4
    """Steps between updates: a number, or [n, step] or [n, episode]."""
    target_update_interval: Count = 10_000
    """Environment steps between target updates."""
    exploration_fraction: Fraction = 0.1
    """Share of the run over which the rate of random actions falls."""
    exploration_initial_eps: Fraction = 1.0
    exploration_final_eps: Fraction = 0.05
    max_grad_norm: Positive = 10
    policy_kwargs: QNetworkPolicyKwargs | None = None


class VCriticAgent(Windowed, ActorCritic):
    """What on-policy agents with a critic V(s) have."""

    action_spaces: ClassVar[frozenset[str]] = frozenset({"Box", "Discrete", "MultiDiscrete", "MultiBinary"})

    n_steps: Count
    """Steps per env between updates."""
    gae_lambda: Fraction
    """Bias-variance trade-off of the advantage estimate."""
    normalize_advantage: bool
    ent_coef: NonNegative = 0.0
    vf_coef: NonNegative = 0.5
    max_grad_norm: Positive = 0.5
    use_sde: bool = False
    """State-dependent exploration."""
    sde_sample_freq: Annotated[int, Field(ge=-1)] = -1
    policy_kwargs: OnPolicyPolicyKwargs | None = None


class PPO(VCriticAgent):
    """Proximal Policy Optimization: on-policy, any action space."""

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
    target_kl: Positive | None = None
    """Stop an update's epochs beyond this divergence; no limit when left out."""

    @model_validator(mode="after")
    def _batches_can_be_normalized(self) -> Self:
        if self.normalize_advantage and self.batch_size == 1:
            raise broken_rule_at(("batch_size",), "must be greater than 1 with `normalize_advantage`", 1)
        return self


class A2C(VCriticAgent):
    """Advantage Actor-Critic: on-policy, any action space, one gradient step per rollout."""

    kind: Literal["a2c"] = "a2c"
    learning_rate: Scheduled = 7e-4
    n_steps: Count = 5
    """Steps per env between updates."""
    gae_lambda: Fraction = 1.0
    """Bias-variance trade-off of the advantage estimate."""
    normalize_advantage: bool = False
    use_rms_prop: bool = True
    """RMSprop unless `policy_kwargs.optimizer_class` says otherwise; false for Adam."""
    rms_prop_eps: NonNegative = 1e-5
    """Epsilon of `use_rms_prop`."""

    @property
    def optimizer(self) -> str:
        """The optimizer of the networks: SB3's rule."""
        named = self.policy_kwargs and self.policy_kwargs.optimizer_class
        return named or ("rmsprop" if self.use_rms_prop else "adam")

    @model_validator(mode="after")
    def _optimizer_kwargs_are_kept(self) -> Self:
        kwargs = self.policy_kwargs
        if self.use_rms_prop and kwargs and kwargs.optimizer_kwargs and not kwargs.optimizer_class:
            rule = "SB3 replaces them with those of `use_rms_prop`: name `policy_kwargs.optimizer_class` too"
            given = kwargs.optimizer_kwargs.model_dump(exclude_none=True)
            raise broken_rule_at(("policy_kwargs", "optimizer_kwargs"), rule, given)
        return self


AGENTS: dict[str, type[Agent]] = {"sac": SAC, "td3": TD3, "ddpg": DDPG, "ppo": PPO, "a2c": A2C, "dqn": DQN}
"""The built-in agents' sections by `kind`."""
