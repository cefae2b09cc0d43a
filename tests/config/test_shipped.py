"""The configs that come with smoothrl."""

from __future__ import annotations

from pathlib import Path

import pytest

from smoothrl import suites
from smoothrl.config import load_run
from smoothrl.critics import SpectralNorm

CONFIGS = Path(__file__).parents[2] / "configs"
RUNS = sorted(path for path in CONFIGS.glob("*/*.yaml") if path.name != "base.yaml")


@pytest.mark.parametrize("path", RUNS, ids=lambda path: f"{path.parent.name}/{path.stem}")
def test_it_loads_fits_its_task_and_says_what_it_is(path: Path) -> None:
    config = load_run(path)
    if all(task.installed for task in suites.tasks() if task.id == config.env.id):
        suites.check(config)
    assert path.read_text().startswith("# ")


def test_the_main_job() -> None:
    config = load_run(CONFIGS / "pendulum" / "sac-spectral.yaml")
    assert (config.env.id, config.agent.kind, config.total_timesteps) == ("Pendulum-v1", "sac", 8000)
    assert config.agent.learning_rate == 1e-3
    assert config.critic_regularizers == (SpectralNorm(layers=(-2,), lipschitz_k=1.0, mode="exact"),)
    assert (config.evaluation.every, config.evaluation.episodes) == (1000, 10)
