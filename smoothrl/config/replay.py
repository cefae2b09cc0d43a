"""Off-policy data: exploration noise, when to update, and the replay buffer, as data."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, Tag

from smoothrl.config.section import BY_SHAPE, Count, Positive, Section


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


class ReplayBufferKwargs(Section):
    """Settings of the replay buffer; SB3's default where left out."""

    handle_timeout_termination: bool | None = None
    n_sampled_goal: Count | None = None
    """Virtual transitions per real one (`her` only)."""
    goal_selection_strategy: Literal["future", "final", "episode"] | None = None
    """Where virtual goals come from (`her` only)."""
    copy_info_dict: bool | None = None
    """Pass infos to the env's `compute_reward` (`her` only)."""
