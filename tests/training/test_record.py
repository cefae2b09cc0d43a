from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from datetime import datetime
from importlib.metadata import version
from pathlib import Path

import pytest
import torch

from smoothrl.config import RunConfig
from smoothrl.training import record
from smoothrl.training.record import RunRecord, read_record

Make = Callable[..., RunConfig]


def test_a_run_is_on_record_from_its_first_moment(
    make_config: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "argv", ["/home/someone/.venv/bin/smoothrl", "train", "a.yaml", "seed=4"])
    RunRecord(tmp_path, make_config(seed=4, threads=1), device="cpu")
    fields = read_record(tmp_path)
    assert fields["status"] == "running"
    assert fields["ended"] is None
    assert datetime.fromisoformat(fields["started"]).tzinfo is not None
    assert fields["argv"] == ["smoothrl", "train", "a.yaml", "seed=4"]
    assert fields["pid"] == os.getpid()
    assert (fields["task"], fields["variant"], fields["seed"]) == ("test/Walk-v0", "plain", 4)
    assert (fields["device"], fields["threads"]) == ("cpu", 1)
    assert fields["machine"].keys() == {"host", "platform", "cpu", "cores"}
    assert fields["machine"]["cpu"]
    # The wheel's build tag (+cpu) is in the module's version; the metadata's is what was installed.
    assert torch.__version__.startswith(fields["versions"]["torch"].split("+")[0])
    assert fields["versions"]["stable-baselines3"] == version("stable-baselines3")


def test_the_end_is_added_and_the_beginning_kept(make_config: Make, tmp_path: Path) -> None:
    run = RunRecord(tmp_path, make_config(), device="cpu")
    before = read_record(tmp_path)
    run.end("diverged", timesteps=12, error="a is nan")
    after = read_record(tmp_path)
    changed = {key for key in after if after[key] != before[key]}
    assert changed == {"status", "ended", "timesteps", "error"}
    assert (after["status"], after["timesteps"], after["error"]) == ("diverged", 12, "a is nan")


def test_the_environment_is_not_recorded(make_config: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("A_TOKEN", "hunter2-and-more")
    RunRecord(tmp_path, make_config(), device="cpu").end("failed", error="x")
    assert "hunter2" not in json.dumps(read_record(tmp_path))


def test_the_commit_is_that_of_the_code_and_says_if_it_was_changed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def git(*arguments: str) -> str:
        identity = ["-c", "user.name=t", "-c", "user.email=t@example.org"]
        done = subprocess.run(["git", *identity, *arguments], cwd=tmp_path, check=True, capture_output=True, text=True)
        return done.stdout.strip()

    code = tmp_path / "record.py"
    code.write_text("1")
    monkeypatch.setattr(record, "__file__", str(code))
    assert record._source_commit() is None  # no repository

    git("init")
    assert record._source_commit() is None  # a repository of something else, as around a .venv
    git("add", ".")
    assert record._source_commit() is None  # nothing committed yet
    git("commit", "-m", "one")
    commit = git("rev-parse", "HEAD")
    assert record._source_commit() == {"commit": commit, "dirty": False}
    code.write_text("2")
    assert record._source_commit() == {"commit": commit, "dirty": True}

    monkeypatch.setenv("PATH", str(tmp_path))
    assert record._source_commit() is None  # no git
