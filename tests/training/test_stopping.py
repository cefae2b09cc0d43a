"""Real signals sent to a real process while it trains."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from smoothrl import registry
from smoothrl.training import RunError
from smoothrl.training.folder import require_free

SCRIPT = """
import json, sys
from pathlib import Path
from smoothrl.config import RunConfig
from smoothrl.training import ignore_outside_runs, train
ignore_outside_runs()
sys.exit(train(RunConfig.model_validate(json.loads(sys.argv[1])), out=Path("run")))
"""
RUN: dict[str, Any] = {
    "total_timesteps": 10_000_000,
    "env": {"id": "CartPole-v1", "n_envs": 2},
    "agent": {"kind": "ppo", "n_steps": 64, "n_epochs": 1},
    "evaluation": {"every": 200, "episodes": 2},
    "device": "cpu",
}


def start(**env: Any) -> subprocess.Popen[str]:
    """A run in a process group of its own, well into its training when this returns."""
    config = RUN | {"env": RUN["env"] | env}
    process = subprocess.Popen(
        [sys.executable, "-c", SCRIPT, json.dumps(config)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    deadline = time.monotonic() + 60
    while not Path("run/evaluations.csv").exists():
        assert process.poll() is None, process.communicate()
        assert time.monotonic() < deadline
        time.sleep(0.02)
    return process


def assert_interrupted(process: subprocess.Popen[str], code: int) -> None:
    out, err = process.communicate(timeout=30)
    assert process.returncode == code, err
    assert "Traceback" not in err
    assert "Interrupted: " in out
    record = json.loads(Path("run/run.json").read_text())
    assert (record["status"], record["final_evaluation"]) == ("interrupted", None)
    assert 200 <= record["timesteps"] < 10_000_000
    saved = registry.load("agent", "ppo").load("run/checkpoints/interrupted.zip")  # type: ignore[attr-defined]
    assert saved.num_timesteps == record["timesteps"]


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_signal_saves_the_agent_and_more_of_them_do_no_harm(number: signal.Signals, code: int) -> None:
    process = start()
    while process.poll() is None:  # an impatient user, to the last moment of the process
        process.send_signal(number)
        time.sleep(0.005)
    assert_interrupted(process, code)
    with pytest.raises(RunError, match="interrupted after"):
        require_free(Path("run"), fresh=False)


def test_ctrl_c_reaches_the_run_and_not_its_workers() -> None:
    process = start(vectorization="subprocess")
    os.killpg(process.pid, signal.SIGINT)
    assert_interrupted(process, 130)


def test_a_killed_run_holds_its_folder_until_it_is_dead_and_no_longer() -> None:
    process = start()
    with pytest.raises(RunError, match=f"being trained right now by process {process.pid}"):
        require_free(Path("run"), fresh=True)
    process.kill()
    process.communicate()
    with pytest.raises(RunError, match="then killed before it could finish"):
        require_free(Path("run"), fresh=False)
    require_free(Path("run"), fresh=True)
