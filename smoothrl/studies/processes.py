"""The processes of one attempt: all that its worker started lives in the worker's session, and ends with it."""

from __future__ import annotations

import os
import signal
from contextlib import suppress
from pathlib import Path


def kill_session(leader: int) -> None:
    """SIGKILL to every process of the session that this process began.

    Not to its process group alone: environments in processes of their own are groups of their own, so that Ctrl-C
    passes them by. Where there is no /proc, as on macOS, they end by themselves when they find their pipe closed.
    """
    with suppress(ProcessLookupError):
        os.killpg(leader, signal.SIGKILL)
    for entry in Path("/proc").glob("[0-9]*"):
        pid = int(entry.name)
        with suppress(ProcessLookupError):
            if os.getsid(pid) == leader:
                os.kill(pid, signal.SIGKILL)
