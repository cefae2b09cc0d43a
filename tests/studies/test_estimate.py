"""What a dry run says of time and disk."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from smoothrl.config import to_yaml
from smoothrl.studies import Cell, Study, estimate, load_study
from smoothrl.training.record import cpu_model

STUDY = """\
total_timesteps: 1000
env: {id: Pendulum-v1}
agent: {kind: sac, gradient_steps: 8}
diagnostics: []
variants:
  plain: {}
  spectral: {critic_regularizers: [{kind: spectral_norm}]}
seeds: 2
"""

Load = Callable[..., Study]


@pytest.fixture
def load(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Load:
    """Loads the study in a folder of its own, below which runs/ is."""
    monkeypatch.chdir(tmp_path)

    def load(*overrides: str) -> Study:
        (tmp_path / "study.yaml").write_text(STUDY)
        return load_study("study.yaml", overrides)

    return load


def finish(cell: Cell, seconds: float, size: int = 5000, **fields: Any) -> None:
    """A run folder as a finished run leaves it: with 4 seconds beside those of training, and a checkpoint."""
    (cell.folder / "checkpoints").mkdir(parents=True)
    (cell.folder / "config.yaml").write_text(to_yaml(cell.config))
    record = {
        "status": "finished",
        "task": cell.config.env.id,
        "timesteps": cell.config.total_timesteps,
        "wall_time_s": seconds,
        "started": "2026-01-01T10:00:00+00:00",
        "ended": f"2026-01-01T10:{int(seconds + 4) // 60:02}:{int(seconds + 4) % 60:02}+00:00",
        "machine": {"cpu": cpu_model()},
    }
    (cell.folder / "run.json").write_text(json.dumps(record | fields))
    (cell.folder / "checkpoints" / "final.zip").write_bytes(bytes(size))


def of(study: Study, variant: str) -> Cell:
    return next(cell for cell in study.cells if cell.config.variant == variant)


def test_without_a_finished_run_nothing_is_told_but_how_to_get_one(load: Load) -> None:
    told = estimate(load())
    assert (told.seconds, told.bytes) == (None, None)
    assert "Pendulum-v1/plain" in told.basis
    assert "seeds=1" in told.basis


def test_every_variant_takes_what_its_own_runs_took(load: Load) -> None:
    study = load()
    finish(of(study, "plain"), 100)
    finish(of(study, "spectral"), 150)
    told = estimate(study)
    assert told.seconds == pytest.approx(2 * 104 + 2 * 154)
    assert told.bytes is not None
    assert 4 * 5000 < told.bytes < 4 * 8000  # the checkpoints, and small files beside them
    assert told.basis == "told from 2 finished runs on this machine"


def test_a_longer_study_takes_longer_with_another_rate_it_does_not(load: Load) -> None:
    finish(of(load("study=other"), "plain"), 100)
    finish(of(load("study=other"), "spectral"), 100)
    assert estimate(load("total_timesteps=3000")).seconds == pytest.approx(4 * 304)
    assert estimate(load("agent.learning_rate=1e-2", "seeds=[7]")).seconds == pytest.approx(2 * 104)


def test_several_workers_share_the_runs(load: Load) -> None:
    study = load("seeds=3")
    finish(of(study, "plain"), 96)
    finish(of(study, "spectral"), 196)
    # In order 100, 200, 100, 200, 100, 200: one worker has 100 + 100 + 200 + 200, the other 200 + 100.
    assert estimate(study, workers=2).seconds == pytest.approx(500)
    assert estimate(study, workers=6).seconds == pytest.approx(200)
    assert estimate(study, workers=2, cells=study.cells[2:4]).seconds == pytest.approx(200)
    assert estimate(study, cells=()).seconds == 0


def test_other_agents_tasks_and_gradient_steps_tell_nothing(load: Load) -> None:
    finish(of(load("study=other"), "plain"), 100)
    for other in ("agent={kind: td3, gradient_steps: 8}", "agent.gradient_steps=1", "tasks=[MountainCarContinuous-v0]"):
        assert estimate(load(other)).seconds is None


def test_a_variant_that_never_ran_is_told_from_the_same_agent_and_this_is_said(load: Load) -> None:
    study = load()
    finish(of(study, "plain"), 100)
    told = estimate(study)
    assert told.seconds == pytest.approx(4 * 104)
    assert "without the regularizers" in told.basis


@pytest.mark.parametrize(
    "fields",
    [{"status": "interrupted"}, {"machine": {"cpu": "another"}}, {"wall_time_s": None}, {"timesteps": 0}],
)
def test_runs_that_tell_nothing(load: Load, fields: dict[str, Any]) -> None:
    study = load()
    finish(of(study, "plain"), 100, **fields)
    assert estimate(study).seconds is None


def test_a_damaged_run_folder_is_no_obstacle(load: Load) -> None:
    study = load()
    finish(of(study, "plain"), 100)
    finish(of(study, "spectral"), 100)
    (study.cells[2].folder).mkdir(parents=True)
    (study.cells[2].folder / "run.json").write_text("{")
    (of(study, "spectral").folder / "config.yaml").write_text("no: config")
    assert estimate(study).seconds == pytest.approx(4 * 104)
