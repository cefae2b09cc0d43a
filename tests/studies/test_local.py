from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from smoothrl.config import RunConfig
from smoothrl.studies import local
from smoothrl.studies.attempts import Attempt, next_attempt, take
from smoothrl.studies.local import LocalEngine
from smoothrl.studies.plan import Study

MakeStudy = Callable[..., Study]


class Process:
    """A worker that only notes how it was started."""

    pid = 0

    def __init__(self, arguments: list[Any], env: dict[str, str], **_: Any) -> None:
        self.env = env


@pytest.fixture
def machine(monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """A machine with these cores and GPUs, on which nothing is really started."""

    def make(cores: int, gpus: list[str]) -> None:
        monkeypatch.setattr(local, "_cores", lambda: cores)
        monkeypatch.setattr(local, "_gpus", lambda: gpus)
        monkeypatch.setattr(subprocess, "Popen", Process)

    return make


def attempt(make_study: MakeStudy, **run: Any) -> Attempt:
    study = make_study({"a": {}}, **run)
    lock = take(study, study.cells[0])
    assert lock is not None
    found = next_attempt(study, study.cells[0], lock)
    os.close(lock)
    return found


def config(make_study: MakeStudy, **run: Any) -> RunConfig:
    return make_study({"a": {}}, **run).cells[0].config


def test_as_many_at_a_time_as_cores_for_their_threads(make_study: MakeStudy, machine: Callable[..., None]) -> None:
    machine(5, [])
    engine = LocalEngine()
    assert engine.slots(config(make_study)) == 5
    assert engine.slots(config(make_study, threads=2)) == 2
    assert engine.slots(config(make_study, threads=8)) == 1  # alone
    job = engine.start(attempt(make_study, threads=2))
    assert engine.slots(config(make_study)) == 3
    assert engine.slots(config(make_study, threads=8)) == 0
    job.ended = True
    assert engine.slots(config(make_study)) == 5


def test_workers_are_counted_whatever_their_threads(make_study: MakeStudy, machine: Callable[..., None]) -> None:
    machine(1, [])
    engine = LocalEngine(workers=3)
    engine.start(attempt(make_study, threads=4))
    assert engine.slots(config(make_study, threads=4)) == 2


def test_gpus_are_shared_and_filled_evenly(make_study: MakeStudy, machine: Callable[..., None]) -> None:
    machine(16, ["0", "GPU-7f"])
    engine = LocalEngine(gpu_share=1 / 3)
    cuda = config(make_study, device="cuda")
    assert engine.slots(cuda) == 6
    visible = []
    for left in range(5, -1, -1):
        job: Any = engine.start(attempt(make_study, device="cuda"))
        visible.append(job._process.env["CUDA_VISIBLE_DEVICES"])
        assert engine.slots(cuda) == left
    assert visible == ["0", "GPU-7f"] * 3
    assert engine.slots(config(make_study, device="cpu")) == 10


def test_a_config_that_names_its_gpu_gets_that_one(make_study: MakeStudy, machine: Callable[..., None]) -> None:
    machine(16, ["0", "1"])
    engine = LocalEngine()
    job: Any = engine.start(attempt(make_study, device="cuda:1"))
    assert job._process.env.get("CUDA_VISIBLE_DEVICES") == os.environ.get("CUDA_VISIBLE_DEVICES")
    assert engine.slots(config(make_study, device="cuda:1")) == 0
    assert engine.slots(config(make_study, device="cuda:0")) == 1
    assert engine.slots(config(make_study, device="auto")) == 1


def test_without_a_gpu_a_run_that_wants_one_is_started_and_refuses_itself(
    make_study: MakeStudy, machine: Callable[..., None]
) -> None:
    machine(2, [])
    assert LocalEngine().slots(config(make_study, device="cuda")) == 2


def test_every_library_gets_the_runs_threads(make_study: MakeStudy, machine: Callable[..., None]) -> None:
    machine(8, [])
    job: Any = LocalEngine().start(attempt(make_study, threads=3))
    names = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS", "NUMEXPR_NUM_THREADS")
    assert [job._process.env[name] for name in names] == ["3"] * 4


@pytest.mark.parametrize(("value", "found"), [("", []), ("3", ["3"]), ("1,GPU-7f", ["1", "GPU-7f"])])
def test_the_gpus_are_those_the_driver_may_see(monkeypatch: pytest.MonkeyPatch, value: str, found: list[str]) -> None:
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", value)
    assert local._gpus() == found


def test_the_gpus_are_those_the_tool_lists(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    tool = tmp_path / "nvidia-smi"
    tool.write_text(f"#!{sys.executable}\nprint(0)\nprint(1)\n")
    tool.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    assert local._gpus() == ["0", "1"]
    tool.unlink()
    assert local._gpus() == []
