"""The engine of one machine: a child process for every run, as many at a time as there are cores and GPU shares."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
from collections import Counter

from smoothrl.config import RunConfig
from smoothrl.studies.attempts import Attempt
from smoothrl.studies.processes import kill_session

THREADS = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS", "NUMEXPR_NUM_THREADS")
VISIBLE_GPUS = "CUDA_VISIBLE_DEVICES"


class LocalJob:
    """A worker process, in a session of its own: Ctrl-C in the driver's terminal does not reach it."""

    def __init__(self, process: subprocess.Popen[bytes], threads: int, gpu: str | None) -> None:
        self.threads = threads
        self.gpu = gpu
        self.ended = False
        self._process = process

    def poll(self) -> int | None:
        code = self._process.poll()
        if code is not None and not self.ended:
            self.ended = True
            kill_session(self._process.pid)  # a worker that was killed may leave environments behind
            assert self._process.stdin is not None
            self._process.stdin.close()
        return code

    def stop(self) -> None:
        # Not SIGINT, to which Python itself reacts while it starts, with a traceback.
        self._process.send_signal(signal.SIGTERM)

    def kill(self) -> None:
        kill_session(self._process.pid)


class LocalEngine:
    """Runs on this machine.

    Args:
        workers: runs at a time; when left out, as many as there are cores for their threads.
        gpu_share: share of a GPU that one run takes.
        grace: seconds that a run may take to stop when the driver has died.
    """

    def __init__(self, workers: int | None = None, gpu_share: float = 1.0, grace: float = 300.0) -> None:
        self._workers = workers
        self._cores = _cores()
        self._gpus = _gpus()
        self._runs_per_gpu = max(1, int(1 / gpu_share + 1e-9))  # a third is less than a third, in floating point
        self._grace = grace
        self._jobs: list[LocalJob] = []

    def slots(self, config: RunConfig) -> int:
        self._jobs = [job for job in self._jobs if not job.ended]
        if self._workers is not None:
            free = self._workers - len(self._jobs)
        else:
            free = (self._cores - sum(job.threads for job in self._jobs)) // config.threads
            if not self._jobs:
                free = max(free, 1)  # a run with more threads than cores still runs, alone
        if gpus := self._gpus_for(config):
            free = min(free, sum(self._free_on(gpu) for gpu in gpus))
        return max(free, 0)

    def start(self, attempt: Attempt) -> LocalJob:
        config = attempt.cell.config
        gpu = max(self._gpus_for(config), key=self._free_on, default=None)
        arguments = [str(attempt.cell.folder), str(attempt.config), str(self._grace)]
        with attempt.log.open("ab") as log:
            process = subprocess.Popen(
                # -P: a module in the working directory must not take the place of an installed one.
                [sys.executable, "-P", "-m", "smoothrl.studies.worker", *arguments],
                stdin=subprocess.PIPE,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
                pass_fds=(attempt.lock,),
                env=_environment(config, gpu),
            )
        job = LocalJob(process, config.threads, gpu)
        self._jobs.append(job)
        return job

    def _gpus_for(self, config: RunConfig) -> list[str]:
        """The GPUs that this run may take a share of; none for one on the CPU."""
        if config.device == "cpu":
            return []
        _, colon, index = config.device.partition(":")
        return self._gpus[int(index) :][:1] if colon else self._gpus

    def _free_on(self, gpu: str) -> int:
        return self._runs_per_gpu - Counter(job.gpu for job in self._jobs if not job.ended)[gpu]


def _environment(config: RunConfig, gpu: str | None) -> dict[str, str]:
    """That of this process, with the run's threads and, unless the config itself names one, its GPU."""
    changes = dict.fromkeys(THREADS, str(config.threads))
    changes |= {"PYTHONUNBUFFERED": "1", "PYTHONFAULTHANDLER": "1"}  # the log of a run that crashes tells where
    if gpu is not None and ":" not in config.device:
        changes[VISIBLE_GPUS] = gpu
    return os.environ | changes


def _cores() -> int:
    """Those this process may use, which on a shared machine are fewer than there are."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _gpus() -> list[str]:
    """CUDA's names of the GPUs that runs may use. Asked of the driver's tool, since torch takes seconds to import."""
    if VISIBLE_GPUS in os.environ:
        return [name for name in os.environ[VISIBLE_GPUS].split(",") if name]
    tool = shutil.which("nvidia-smi")
    if tool is None:
        return []
    listed = subprocess.run([tool, "--query-gpu=index", "--format=csv,noheader"], capture_output=True, text=True)
    return listed.stdout.split() if listed.returncode == 0 else []
