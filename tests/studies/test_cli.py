"""`smoothrl study`, as a user calls it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner

from smoothrl.cli import app

STUDY = """
total_timesteps: 64
env: {id: CartPole-v1}
agent: {kind: ppo, n_steps: 32, batch_size: 32, n_epochs: 1}
evaluation: {every: 64, episodes: 1}
diagnostics: []
variants:
  plain: {}
  wild: {agent: {gamma: 0.5}}
seeds: 1
"""


@pytest.fixture
def study(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    path = tmp_path / "question.yaml"
    path.write_text(STUDY)
    return path


def call(*arguments: object) -> tuple[int, str]:
    """Exit code and output of `smoothrl study ...`, in a process of its own: signals are its own."""
    command = [sys.executable, "-c", "from smoothrl.cli import main; main()", "study", *map(str, arguments)]
    done = subprocess.run(command, capture_output=True, text=True, env={**os.environ, "OMP_NUM_THREADS": "1"})
    return done.returncode, done.stdout + done.stderr


def test_a_dry_run_lists_the_runs_and_starts_none(study: Path) -> None:
    result = CliRunner().invoke(app, ["study", "run", "question.yaml", "seeds=2", "--dry-run"])
    assert result.exit_code == 0, result.output
    assert result.output.splitlines()[:4] == [
        "queued       CartPole-v1/plain/seed-0",
        "queued       CartPole-v1/wild/seed-0",
        "queued       CartPole-v1/plain/seed-1",
        "queued       CartPole-v1/wild/seed-1",
    ]
    assert "4 runs (2 variants x 1 task x 2 seeds)" in result.output
    assert "smoothrl study run question.yaml" in result.output
    assert not Path("runs").exists()


def test_mistakes_come_all_at_once_with_exit_code_2(study: Path) -> None:
    study.write_text(STUDY.replace("gamma: 0.5", "gama: 0.5").replace("seeds: 1", "seeds: [0, 0]"))
    for verb in ("run", "status", "retry"):
        result = CliRunner().invoke(app, ["study", verb, "question.yaml"])
        assert result.exit_code == 2
        assert "did you mean `gamma`" in result.output
        assert "question.yaml:9" in result.output
        assert "seeds" in result.output
    assert not Path("runs").exists()


@pytest.mark.slow
def test_run_status_and_run_again(study: Path) -> None:
    code, said = call("run", "question.yaml", "--plain")
    assert code == 0, said
    assert "question: 2 finished" in said
    assert "Next:" in said
    before = {p: p.stat().st_mtime_ns for p in Path("runs/question").rglob("events*")}
    assert len(before) == 2

    code, said = call("status", "question.yaml")
    assert code == 0
    assert said.count("finished  ") == 2
    code, said = call("status", "runs/question")
    assert said.count("finished  ") == 2

    code, said = call("run", "question.yaml", "seeds=2", "--plain")
    assert code == 0, said
    assert "question: 4 finished" in said
    assert {p: p.stat().st_mtime_ns for p in before} == before, "a finished run was trained again"

    record = json.loads(Path("runs/question/CartPole-v1/wild/seed-1/run.json").read_text())
    assert (record["status"], record["seed"], record["variant"]) == ("finished", 1, "wild")
    assert "4 to train" not in call("run", "question.yaml", "seeds=3", "--dry-run")[1]
    assert "2 to train: about " in call("run", "question.yaml", "seeds=3", "--dry-run")[1]


@pytest.mark.slow
def test_a_changed_variant_is_trained_again_and_its_old_run_set_aside(study: Path) -> None:
    assert call("run", "question.yaml", "--plain")[0] == 0
    study.write_text(STUDY.replace("gamma: 0.5", "gamma: 0.6").replace("plain: {}", "calm: {agent: {gamma: 0.9}}"))
    code, said = call("status", "question.yaml")
    assert code == 0
    assert "changed      CartPole-v1/wild/seed-0" in said
    assert "no longer part of the study: runs/question/CartPole-v1/plain/seed-0" in said
    code, said = call("run", "question.yaml", "--plain")
    assert code == 0, said
    assert "question: 2 finished" in said
    assert "No longer part of the study" in said
    old = list(Path("runs/question/superseded").rglob("config.yaml"))
    assert len(old) == 1
    assert "gamma: 0.5" in old[0].read_text()
    assert not list(Path("runs/question/superseded").rglob("*tfevents*"))
    assert Path("runs/question/CartPole-v1/plain/seed-0/run.json").exists()
