from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from smoothrl.config import ConfigError, RunConfig, load_run

MINIMAL = """\
total_timesteps: 100
env:
  id: Pendulum-v1
agent:
  kind: sac
"""

Load = Callable[..., RunConfig]
Mistakes = Callable[..., list[str]]


@pytest.fixture
def load(tmp_path: Path) -> Load:
    """Loads YAML text from a file named run.yaml."""

    def load(text: str = MINIMAL, *overrides: str) -> RunConfig:
        (tmp_path / "run.yaml").write_text(text, "utf-8")
        return load_run(tmp_path / "run.yaml", overrides)

    return load


@pytest.fixture
def mistakes(load: Load, tmp_path: Path) -> Mistakes:
    """Loads YAML text that must be refused; gives the lines of the message, without the folder."""

    def mistakes(text: str = MINIMAL, *overrides: str) -> list[str]:
        with pytest.raises(ConfigError) as caught:
            load(text, *overrides)
        return str(caught.value).replace(f"{tmp_path}/", "").splitlines()

    return mistakes
