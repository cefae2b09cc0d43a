"""Values that may change over the run."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, Tag

from smoothrl.config.section import BY_SHAPE, NonNegative, Section


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
