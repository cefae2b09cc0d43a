"""`run.json`: what a run was made with, on which machine, and how it went. The environment is never recorded."""

from __future__ import annotations

import json
import os
import platform
import subprocess
import sys
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any, Literal

from smoothrl.config import RunConfig, identity
from smoothrl.training.durable import commit_text

RECORD = "run.json"
PACKAGES = ("smoothrl", "torch", "stable-baselines3", "gymnasium", "numpy", "tensorboard", "mujoco", "box2d")

Status = Literal["running", "finished", "interrupted", "diverged", "failed"]


class RunRecord:
    """The `run.json` of one run, on disk from its first moment, rewritten durably whenever something is known."""

    def __init__(self, folder: Path, config: RunConfig, device: str) -> None:
        self._path = folder / RECORD
        self._fields: dict[str, Any] = {
            "status": "running",
            "started": _now(),
            "ended": None,
            "study": config.study,
            "task": config.env.id,
            "variant": config.variant,
            "seed": config.seed,
            "identity": identity(config),
            "timesteps": 0,
            "wall_time_s": None,
            "final_evaluation": None,
            "error": None,
            "pid": os.getpid(),
            "argv": [Path(sys.argv[0]).name, *sys.argv[1:]],
            "device": device,
            "threads": config.threads,
            "machine": _machine(),
            "python": platform.python_version(),
            "versions": _versions(),
            "git": _source_commit(),
        }
        self._save()

    def end(self, status: Status, **fields: Any) -> None:
        """The run is over: its status, and what else there is to say."""
        self._fields.update(status=status, ended=_now(), **fields)
        self._save()

    def _save(self) -> None:
        commit_text(self._path, json.dumps(self._fields, indent=2, allow_nan=False) + "\n")


def read_record(folder: Path) -> dict[str, Any]:
    """The `run.json` of a run folder."""
    fields = json.loads((folder / RECORD).read_text())
    assert isinstance(fields, dict)
    return fields


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")


def _machine() -> dict[str, Any]:
    return {
        "host": platform.node(),
        "platform": platform.platform(),
        "cpu": cpu_model(),
        "cores": os.cpu_count(),
    }


def cpu_model() -> str:
    """Linux names the model only here; elsewhere the standard library knows it."""
    cpuinfo = Path("/proc/cpuinfo")
    if cpuinfo.exists():
        for line in cpuinfo.read_text().splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()


def _versions() -> dict[str, str]:
    found = {}
    for package in PACKAGES:
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            continue  # an extra that is not installed
    return found


def _source_commit() -> dict[str, Any] | None:
    """The commit this code was checked out at and whether it was changed since; None when installed from a wheel."""
    here = Path(__file__)
    # A wheel may lie inside a checkout of something else, in its .venv: then git does not track this file.
    if _git("ls-files", "--error-unmatch", here.name, folder=here.parent) is None:
        return None
    commit, status = _git("rev-parse", "HEAD", folder=here.parent), _git("status", "--porcelain", folder=here.parent)
    return None if commit is None else {"commit": commit, "dirty": bool(status)}


def _git(*arguments: str, folder: Path) -> str | None:
    try:
        done = subprocess.run(["git", "-C", folder, *arguments], capture_output=True, text=True, check=True)
    except (FileNotFoundError, subprocess.CalledProcessError):  # no git on this machine, or no repository here
        return None
    return done.stdout.strip()
