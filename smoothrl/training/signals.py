"""SIGINT and SIGTERM as a request: the run sees it at its next step, saves, and ends in good order."""

from __future__ import annotations

import signal
import threading
from types import FrameType, TracebackType
from typing import Any, Self

STOP = (signal.SIGINT, signal.SIGTERM)


def ignore_outside_runs() -> None:
    """For a process whose one purpose is a run: outside `StopSignals` both signals are ignored.

    A run that has been stopped and saved is not broken by an impatient second Ctrl-C while its process ends.
    """
    for number in STOP:
        signal.signal(number, signal.SIG_IGN)


class StopSignals:
    """Within `with StopSignals() as stop:` the signals only set `stop.received`; a second one changes nothing.

    Python delivers signals to the main thread alone; in any other thread this does nothing.
    """

    numbers: tuple[signal.Signals, ...] = STOP

    def __init__(self) -> None:
        self.received: signal.Signals | None = None
        self._previous: dict[signal.Signals, Any] = {}

    def __enter__(self) -> Self:
        if threading.current_thread() is threading.main_thread():
            for number in self.numbers:
                if number != signal.SIGHUP or signal.getsignal(number) != signal.SIG_IGN:  # nohup ignores that one
                    self._previous[number] = signal.signal(number, self._note)
        return self

    def __exit__(self, *_: type[BaseException] | BaseException | TracebackType | None) -> None:
        for number, handler in self._previous.items():
            signal.signal(number, handler)

    def _note(self, number: int, _: FrameType | None) -> None:
        self.received = self.received or signal.Signals(number)

    @property
    def exit_code(self) -> int:
        """What a shell expects of a process ended by this signal: 130 for SIGINT, 143 for SIGTERM, 0 for none."""
        return 0 if self.received is None else 128 + self.received
