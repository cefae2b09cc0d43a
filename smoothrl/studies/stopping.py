"""Signals to the driver: the first asks the runs to save and stop, a second one ends them at once."""

from __future__ import annotations

import signal
from types import FrameType

from smoothrl.training.signals import StopSignals


class StopRequests(StopSignals):
    """Notes signals within a `with`, a closed terminal's among them, and changes nothing itself."""

    numbers = (*StopSignals.numbers, signal.SIGHUP)

    def __init__(self) -> None:
        super().__init__()
        self.urgent = False
        """A second signal came."""

    def _note(self, number: int, frame: FrameType | None) -> None:
        # A terminal that is closed hangs up more than once: its shell does too.
        self.urgent = self.received is not None and number != signal.SIGHUP
        super()._note(number, frame)

    @property
    def terminal_is_gone(self) -> bool:
        """Nobody sees what is printed any more."""
        return self.received == signal.SIGHUP
