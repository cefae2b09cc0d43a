"""Studies of seconds, on a task that can go wrong in every way; and drivers in processes of their own."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import gymnasium
import pytest

from smoothrl.config import RunConfig, identity
from smoothrl.studies.plan import Cell, Study

PLUGIN = '''
import time

import gymnasium
import numpy as np
from gymnasium import spaces


class Fragile(gymnasium.Env):
    """A noisy walk that takes its time, and fails on demand at a step of its life."""

    action_space = spaces.Box(-1, 1, (1,), np.float32)
    observation_space = spaces.Box(-np.inf, np.inf, (2,), np.float32)

    def __init__(self, pause=0.0, **faults):
        if "at_start" in faults:
            raise ValueError("no such leg")
        self._pause, self._faults, self._life = pause, {at: name for name, at in faults.items()}, 0

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed, options=options)
        self._x, self._steps = self.np_random.normal(), 0
        return self._observe(), {}

    def step(self, action):
        self._life += 1
        self._steps += 1
        time.sleep(self._pause)
        fault = self._faults.get(self._life)
        if fault == "raises":
            raise RuntimeError("the leg fell off")
        if fault == "hangs":
            while True:
                time.sleep(0.01)
        if fault == "dies":
            import os, signal
            os.kill(os.getpid(), signal.SIGSEGV)
        self._x += 0.3 * float(np.asarray(action).sum()) + 0.1 * self.np_random.normal()
        reward = float("nan") if fault == "poisoned" else -(self._x**2)
        return self._observe(), reward, bool(self.np_random.random() < 0.05), self._steps >= 30, {}

    def _observe(self):
        return np.array([self._x, self._steps / 30], dtype=np.float32)
'''
DRIVER = """
import json, sys
from pathlib import Path
from smoothrl.config import RunConfig, identity
from smoothrl.studies import driver
from smoothrl.studies.plan import Cell, Study
from smoothrl.training import RunError

fields = json.loads(Path(sys.argv[1]).read_text())
configs = [RunConfig.model_validate_json(json.dumps(config)) for config in fields["configs"]]
root = Path(fields["root"])
cells = tuple(
    Cell(c, root / c.env.id.replace("/", "_") / c.variant / f"seed-{c.seed}", identity(c)) for c in configs
)
study = Study("small", Path("small.yaml"), root, cells, fields["retries"], fields["stalled_after"], 1.0, "")
try:
    summary = driver.run(study, workers=fields["workers"])
except RunError as error:
    print(error)
    sys.exit(2)
print(summary)
sys.exit(summary.exit_code)
"""
RUN: dict[str, Any] = {
    "study": "small",
    "total_timesteps": 256,
    "env": {"id": "fragile/Walk-v0", "kwargs": {}},
    "agent": {"kind": "ppo", "n_steps": 64, "batch_size": 32, "n_epochs": 1, "policy_kwargs": {"net_arch": [8]}},
    "diagnostics": (),
    "evaluation": {"every": 100, "episodes": 2},
    "logging": {"every": 100},
    "device": "cpu",
}
MakeStudy = Callable[..., Study]


@pytest.fixture(scope="session")
def plugin(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder that makes every Python it is on the path of know the task `fragile/Walk-v0`."""
    site = tmp_path_factory.mktemp("site")
    (site / "fragile_walk.py").write_text(PLUGIN)
    register = 'gymnasium.register("fragile/Walk-v0", entry_point="fragile_walk:Fragile")'
    (site / "sitecustomize.py").write_text(f"import gymnasium\n\n{register}\n")
    gymnasium.register("fragile/Walk-v0", entry_point="fragile_walk:Fragile")
    return site


@pytest.fixture(autouse=True)
def _plugin_on_the_path(plugin: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTHONPATH", str(plugin))
    monkeypatch.syspath_prepend(plugin)
    monkeypatch.chdir(tmp_path)


@pytest.fixture
def make_study(tmp_path: Path) -> MakeStudy:
    """A study from `variant -> keyword arguments of the task`, or a whole overriding config under `config`."""

    def make(
        variants: dict[str, dict[str, Any]], seeds: int = 1, retries: int = 1, stalled_after: float = 60, **run: Any
    ) -> Study:
        root = tmp_path / "study"
        cells = []
        for seed in range(seeds):
            for variant, faults in variants.items():
                env = {"id": "fragile/Walk-v0", "kwargs": {k: v for k, v in faults.items() if k != "config"}}
                fields = RUN | {"variant": variant, "seed": seed, "env": env} | run | faults.get("config", {})
                config = RunConfig.model_validate(fields)
                cells.append(Cell(config, root / "fragile_Walk-v0" / variant / f"seed-{seed}", identity(config)))
        return Study("small", tmp_path / "small.yaml", root, tuple(cells), retries, stalled_after, 1.0, "asked: for\n")

    return make


class DriverProcess:
    """A driver in a process of its own, which signals can be sent to."""

    def __init__(self, study: Study, workers: int) -> None:
        self.study = study
        fields = {
            "root": str(study.root),
            "retries": study.retries,
            "stalled_after": study.stalled_after,
            "workers": workers,
            "configs": [c.config.model_dump(mode="json", by_alias=True, exclude_none=True) for c in study.cells],
        }
        path = study.root.with_name("study.json")
        path.write_text(json.dumps(fields))
        self.process = subprocess.Popen(
            [sys.executable, "-c", DRIVER, str(path)],
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
        )

    def end(self, timeout: float = 120) -> tuple[int, str]:
        """Its exit code and what it said."""
        said, _ = self.process.communicate(timeout=timeout)
        return self.process.returncode, said


@pytest.fixture
def start_driver() -> Iterator[Callable[..., DriverProcess]]:
    """Starts a driver; whatever a test leaves of it is killed."""
    started: list[DriverProcess] = []

    def start(study: Study, workers: int = 2) -> DriverProcess:
        started.append(DriverProcess(study, workers))
        return started[-1]

    yield start
    for driver in started:
        driver.process.kill()
        driver.process.wait()
        for pid in workers_of(driver.study.root):
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)


def workers_of(root: Path) -> list[int]:
    """The processes that train anything of this study, from their command lines."""
    found = []
    for entry in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):
            command = (entry / "cmdline").read_bytes().split(b"\0")
            if b"smoothrl.studies.worker" in command and any(str(root).encode() in part for part in command):
                found.append(int(entry.name))
    return found


def wait_until(condition: Callable[[], object], seconds: float = 60) -> None:
    """Until it holds; fails when it never does."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.02)


@pytest.fixture(name="workers_of")
def _workers_of() -> Callable[[Path], list[int]]:
    return workers_of


@pytest.fixture(name="wait_until")
def _wait_until() -> Callable[..., None]:
    return wait_until
