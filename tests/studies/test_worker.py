from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

from smoothrl.config import RunConfig, to_yaml
from smoothrl.studies.plan import Study

MakeStudy = Callable[..., Study]


def start(config: RunConfig, grace: float = 60) -> subprocess.Popen[bytes]:
    Path("config.yaml").write_text(to_yaml(config))
    return subprocess.Popen(
        [sys.executable, "-m", "smoothrl.studies.worker", "run", "config.yaml", str(grace)],
        stdin=subprocess.PIPE,
        stderr=subprocess.PIPE,
        start_new_session=True,
    )


def test_a_worker_trains_as_by_hand_and_reports_its_progress(make_study: MakeStudy) -> None:
    config = make_study({"a": {"pause": 0.01}}).cells[0].config
    worker = start(config)
    assert worker.wait(timeout=60) == 0
    assert json.loads(Path("run/run.json").read_text())["status"] == "finished"
    progress = json.loads(Path("run/progress.json").read_text())
    assert progress.keys() == {"timesteps", "total", "speed", "last_return", "evaluation"}
    assert (progress["timesteps"], progress["total"]) == (256, 256)
    assert progress["speed"] > 0
    assert progress["last_return"] < 0
    assert progress["evaluation"] < 0
    assert not list(Path("run").glob(".progress*"))


def test_a_refusal_is_one_line_and_code_2(make_study: MakeStudy) -> None:
    worker = start(make_study({"a": {"config": {"device": "cuda:99"}}}).cells[0].config)
    assert worker.wait(timeout=60) == 2  # and its input open all the while
    assert worker.stderr is not None
    said = worker.stderr.read()
    assert said.startswith(b"device: this machine has no `cuda:99`")
    assert len(said.splitlines()) == 1


def test_a_worker_whose_driver_is_gone_saves_and_stops(make_study: MakeStudy, wait_until: Callable[..., None]) -> None:
    worker = start(make_study({"a": {"pause": 0.01}}, total_timesteps=10_000_000).cells[0].config)
    wait_until(Path("run/progress.json").exists)
    assert worker.stdin is not None
    worker.stdin.close()
    assert worker.wait(timeout=60) == 143
    assert Path("run/checkpoints/interrupted.zip").exists()


def test_a_worker_that_hangs_does_not_outlive_its_driver_by_long(
    make_study: MakeStudy, wait_until: Callable[..., None]
) -> None:
    worker = start(make_study({"a": {"hangs": 1}}).cells[0].config, grace=1)
    wait_until(Path("run/config.yaml").exists)
    assert worker.stdin is not None
    worker.stdin.close()
    assert worker.wait(timeout=60) == -signal.SIGKILL


def test_a_driver_gone_before_the_worker_began_leaves_no_folder(make_study: MakeStudy) -> None:
    worker = start(make_study({"a": {}}).cells[0].config)
    assert worker.stdin is not None
    worker.stdin.close()
    worker.wait(timeout=60)
    assert worker.returncode in (-signal.SIGTERM, 143)
    assert not os.path.exists("run")  # noqa: PTH110
