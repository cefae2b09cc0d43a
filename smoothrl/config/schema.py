"""The schema of one run: what a config file says."""

from __future__ import annotations

import difflib
from typing import Annotated, Literal, Self

from pydantic import Field, JsonValue, field_validator, model_validator

from smoothrl.config.agents import OffPolicyAgent, VCriticAgent
from smoothrl.config.entries import CriticRegularizer, Diagnostic, OptimizerAdaptation, every_diagnostic
from smoothrl.config.plugin_agents import AnyAgent
from smoothrl.config.section import (
    Count,
    FolderName,
    Fraction,
    Matching,
    Positive,
    Section,
    Seed,
    broken_rule,
    broken_rule_at,
)


class Env(Section):
    """The task and how it is wrapped."""

    id: str
    """Gymnasium id; `smoothrl list tasks` lists them."""
    kwargs: dict[str, JsonValue] = Field(default={})
    """Keyword arguments of the task."""
    n_envs: Count = 1
    """Copies stepped side by side."""
    vectorization: Literal["dummy", "subprocess"] = "dummy"
    """One after another in this process, or each in its own."""
    normalize_observation: bool = False
    """Scale observations by their running mean and variance."""
    normalize_reward: bool = False
    """Scale rewards by the running variance of the return."""
    clip_observation: Positive = 10.0
    """Bound of normalized observations."""
    clip_reward: Positive = 10.0
    """Bound of normalized rewards."""
    frame_stack: Count = 1
    """Observations joined into one."""

    @field_validator("id")
    @classmethod
    def _is_registered(cls, env_id: str) -> str:
        if ":" in env_id:
            raise broken_rule("an id with `:` names code to import; install its package and name the env alone")
        from gymnasium import registry  # a quarter of a second, which the schema alone should not cost

        if env_id not in registry:
            near = difflib.get_close_matches(env_id, registry, n=3)
            hint = f", did you mean {' or '.join(f'`{name}`' for name in near)}?" if near else ""
            raise broken_rule(f"unknown env{hint} `smoothrl list tasks` lists what there is")
        return env_id


class Evaluation(Section):
    """Periodic evaluation of the deterministic policy on an env of its own."""

    every: Annotated[int, Field(ge=0)] = 1000
    """Environment steps between evaluations; 0 for none."""
    episodes: Count = 10
    """Episodes per evaluation."""
    seed: Seed | None = None
    """Seed of the evaluation env; derived from the run's seed when left out."""


class Logging(Section):
    """What TensorBoard gets."""

    every: Count = 500
    """Environment steps between two points of a curve."""
    diagnostics_budget: Fraction = 0.05
    """Share of wall time that diagnostics may take."""


class RunConfig(Section):
    """One training run of smoothrl."""

    study: FolderName = "train"
    """First folder below `runs/`."""
    variant: FolderName | None = None
    """Name of this setting among others; the file's name when left out."""
    seed: Seed = 0
    total_timesteps: Count
    """Environment steps to train for."""
    env: Env
    agent: AnyAgent
    critic_regularizers: tuple[CriticRegularizer, ...] = ()
    """What makes the critic smooth; `smoothrl list regularizers` lists them."""
    optimizer_adaptations: tuple[OptimizerAdaptation, ...] = ()
    """How the optimizer's steps are changed, in order; `smoothrl list adaptations` lists them."""
    diagnostics: tuple[Diagnostic, ...] = Field(default_factory=every_diagnostic)
    """What is measured of the networks; every built-in diagnostic when left out, `[]` for none."""
    evaluation: Evaluation = Evaluation()
    logging: Logging = Logging()
    device: Annotated[str, Matching(r"auto|cpu|cuda(:\d+)?", "must be auto, cpu, cuda or cuda:<n>")] = "auto"
    """auto, cpu, cuda or cuda:<n>; auto is cuda where there is one."""
    threads: Count = 1
    """Threads torch computes with."""

    @model_validator(mode="after")
    def _agent_fits_the_number_of_envs(self) -> Self:
        agent, n_envs = self.agent, self.env.n_envs
        if isinstance(agent, OffPolicyAgent) and agent.trains_by_episode and n_envs > 1:
            rule = f"counts episodes, which needs `env.n_envs: 1`, not {n_envs}"
            raise broken_rule_at(("agent", "train_freq"), rule, agent.train_freq)
        if isinstance(agent, VCriticAgent) and agent.normalize_advantage and agent.n_steps * n_envs == 1:
            raise broken_rule_at(("agent", "n_steps"), "n_steps * env.n_envs must be greater than 1", agent.n_steps)
        return self
