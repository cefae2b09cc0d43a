"""A diagnostic."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from pydantic.dataclasses import dataclass

from smoothrl.diagnostics import Cadence, Diagnostic, Probe
from smoothrl.registry import register
from smoothrl.views import SECTION

if TYPE_CHECKING:
    from torch import Tensor


@register("diagnostic", "value_mean")
@dataclass(frozen=True, config=SECTION)
class ValueMean(Diagnostic):
    """Mean value of the first critic on the held batch."""

    kind: ClassVar[str] = "value_mean"

    every: Cadence = 1000
    """Environment steps between two measurements."""

    def measure(self, probe: Probe) -> dict[str, Tensor]:
        values = probe.critic.values(probe.critic.preprocess(probe.batch.observations), probe.batch.actions)
        return {"dummy/value_mean": values[0].mean()}
