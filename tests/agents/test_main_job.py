"""The main job solves its task: what the README promises to a newcomer."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from smoothrl import suites
from smoothrl.config import load_run
from smoothrl.training import train

CONFIG = Path(__file__).parents[2] / "configs/pendulum/sac-spectral.yaml"


@pytest.mark.slow
@pytest.mark.parametrize("seed", [0, 1, 2])
def test_the_main_job_solves_pendulum(seed: int, tmp_path: Path) -> None:
    config = load_run(CONFIG, [f"seed={seed}", "device=cpu"], check=suites.check)
    assert (config.total_timesteps, config.evaluation.episodes) == (8000, 10)
    assert train(config, out=tmp_path / "run", plain=True) == 0
    record = json.loads((tmp_path / "run/run.json").read_text())
    assert (record["status"], record["timesteps"]) == ("finished", 8000)
    assert record["final_evaluation"]["mean_return"] >= -250
