"""The last words of a driver: how many runs ended how, and for those that failed, why."""

from __future__ import annotations

import signal
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

from smoothrl.studies.plan import Study
from smoothrl.studies.state import CellView

TAIL = 8
"""Lines of a log that are shown."""
WIDTH = 300
"""Characters of each: that a crash ends with, naming every module there is, is several thousand long."""


@dataclass(frozen=True)
class Summary:
    """A study when its driver ends."""

    study: Study
    cells: tuple[CellView, ...]
    strays: tuple[Path, ...]
    """Run folders that no longer belong to the study."""
    stopped_by: signal.Signals | None

    @property
    def failed(self) -> tuple[CellView, ...]:
        return tuple(view for view in self.cells if view.status == "failed")

    @property
    def exit_code(self) -> int:
        """0 when every run has a result; 1 when some failed; that of the signal when one stopped the driver."""
        if self.stopped_by is not None:
            return 128 + self.stopped_by
        return 1 if self.failed else 0

    def __str__(self) -> str:
        counts = Counter(view.status for view in self.cells)
        lines = [f"{self.study.name}: " + ", ".join(f"{n} {status}" for status, n in counts.most_common())]
        for view in self.failed:
            lines.append(f"failed: {view.cell.name}: {view.reason}")
            if view.log is not None:
                lines += [f"  {view.log}", *(f"  | {line}" for line in log_tail(view.log))]
        for view in self.cells:
            if view.status == "diverged":
                lines.append(f"diverged: {view.cell.name}: {view.reason}")
        if self.strays:
            lines.append("No longer part of the study, left where they are:")
            lines += [f"  {folder}" for folder in self.strays]
        return "\n".join(lines)


def log_tail(log: Path, lines: int = TAIL) -> list[str]:
    """The last lines of a log that say anything."""
    with log.open("rb") as file:
        file.seek(max(0, file.seek(0, 2) - 16_384))
        text = file.read().decode(errors="replace")
    return [line[:WIDTH] for line in text.splitlines() if line.strip()][-lines:]


def last_line(log: Path) -> str | None:
    """What a process said last."""
    return next(iter(log_tail(log, 1)), None)
