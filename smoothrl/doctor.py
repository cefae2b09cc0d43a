"""What this machine has: the first thing to look at, and to send along, when something does not work."""

from __future__ import annotations

import os
import platform
from importlib.metadata import PackageNotFoundError, version

from smoothrl.catalog import table
from smoothrl.suites import tasks

_PACKAGES = ("smoothrl", "torch", "stable-baselines3", "gymnasium", "numpy", "tensorboard", "pydantic", "ruamel.yaml")


def report() -> str:
    """Versions, devices, suites, and the command to go on with."""
    import torch  # here alone: what else imports this module stays quick

    versions = [("python", platform.python_version()), *((name, _version(name)) for name in _PACKAGES)]
    gpus = [f"cuda:{i} {torch.cuda.get_device_name(i)}" for i in range(torch.cuda.device_count())]
    devices = [
        ("system", platform.platform()),
        ("cpu", f"{os.cpu_count()} cores, torch computes with {torch.get_num_threads()} threads by default"),
        ("cuda", f"{', '.join(gpus) or 'no device'} (torch built for {torch.version.cuda or 'cpu only'})"),
    ]
    state = {task.suite: "installed" if task.installed else task.install for task in tasks()}
    sections = {"Versions": versions, "Devices": devices, "Suites": list(state.items())}
    parts = [f"{title}\n{table(rows)}" for title, rows in sections.items()]
    return "\n\n".join([*parts, "Next: smoothrl train configs/pendulum/sac-spectral.yaml"])


def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return "not installed"
