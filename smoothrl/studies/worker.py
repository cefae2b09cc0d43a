"""One run of a study, in a process of its own: `python -m smoothrl.studies.worker FOLDER CONFIG GRACE`.

Its standard input is a pipe that the driver holds open. When the driver dies, however that happens, the pipe closes:
the run then saves and stops as after SIGTERM, so that nothing is left behind.
"""

from __future__ import annotations

import os
import signal
import sys
import threading
import time
from collections.abc import Sequence
from pathlib import Path

from smoothrl.config import load_run
from smoothrl.studies.processes import kill_session
from smoothrl.training import RunError, train


def main(arguments: Sequence[str]) -> int:
    """Train the config's run into the folder.

    Returns:
        The exit code of `smoothrl train`: 0; 1 diverged; 2 refused; 130 or 143 stopped.
    """
    folder, config, grace = arguments
    # A process inherits what its parents ignore, and this signal is how it learns that the driver is gone.
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    threading.Thread(target=_end_with_the_driver, args=(float(grace),), daemon=True).start()
    try:
        return train(load_run(config), out=Path(folder), plain=True, report=True)
    except RunError as error:
        print(error, file=sys.stderr)
        return 2


def _end_with_the_driver(grace: float) -> None:
    """Wait until the driver is gone, then stop; what has not stopped after `grace` seconds is killed."""
    while os.read(sys.stdin.fileno(), 1024):
        continue  # nothing is ever said: the pipe ends with the driver
    main_thread = threading.main_thread().ident
    assert main_thread is not None
    signal.pthread_kill(main_thread, signal.SIGTERM)
    time.sleep(grace)
    kill_session(os.getsid(0))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
