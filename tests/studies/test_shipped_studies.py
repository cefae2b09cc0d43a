"""The studies that come with smoothrl."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest

from smoothrl.studies import Study, load_study

STUDIES = Path(__file__).parents[2] / "configs" / "studies"


def shipped(path: Path) -> Any:
    """A parameter of a test that needs the study's tasks to be installed."""
    if "hopper" not in path.stem:
        return pytest.param(path, id=path.stem)
    installed = find_spec("mujoco") is not None
    marks = [pytest.mark.mujoco, pytest.mark.skipif(not installed, reason="needs the extra mujoco")]
    return pytest.param(path, id=path.stem, marks=marks)


def variants(study: Study) -> list[str]:
    return list(dict.fromkeys(str(cell.config.variant) for cell in study.cells))


@pytest.mark.parametrize("path", [shipped(path) for path in sorted(STUDIES.glob("*.yaml"))])
def test_it_loads_and_says_what_it_asks(path: Path) -> None:
    study = load_study(path)
    assert study.name == path.stem
    assert variants(study)[0].startswith("plain")  # what every other variant is compared with
    assert path.read_text().startswith("# ")


@pytest.mark.parametrize("name", [shipped(STUDIES / f"recover-{task}.yaml") for task in ("pendulum", "hopper")])
def test_recovery_has_every_adaptation_and_what_it_is_compared_with(name: Path) -> None:
    study = load_study(name)
    assert variants(study) == [
        "plain", "spectral", "gradient-penalty", "plain-eps", "div-grad", "mul-eps", "div-out", "dal",
    ]  # fmt: skip
    for cell in study.cells:
        config = cell.config
        assert (config.agent.kind, config.agent.gradient_steps) == ("sac", 8)
        eps = config.agent.critic_optimizer_kwargs and config.agent.critic_optimizer_kwargs.eps
        assert eps == (3.125e-4 if config.variant in ("plain-eps", "div-grad", "mul-eps") else None)
    assert {cell.config.seed for cell in study.cells} == set(range(5))


def test_the_long_form_is_the_short_one_over_learning_rates() -> None:
    short, long = (load_study(STUDIES / f"recover-pendulum{form}.yaml") for form in ("", "-rates"))
    rates = {cell.config.agent.learning_rate for cell in long.cells}
    assert len(long.cells) == len(rates) * len(short.cells)
    assert max(rates) == 1e-1
    by_name = {cell.name: cell.config for cell in long.cells}
    for cell in short.cells:
        variant = f"{cell.config.variant}_learning_rate-{cell.config.agent.learning_rate}"
        same = by_name[cell.name.replace(f"/{cell.config.variant}/", f"/{variant}/")]
        names = {"study": short.name, "variant": cell.config.variant}
        assert same.model_copy(update=names) == cell.config


def test_tunability_is_a_grid_of_rates_and_epsilons() -> None:
    grids: dict[str, set[tuple[float, float]]] = {}
    for cell in load_study(STUDIES / "tunability-dqn.yaml").cells:
        agent = cell.config.agent
        settings = (agent.learning_rate, agent.policy_kwargs.optimizer_kwargs.eps)
        grids.setdefault(str(cell.config.variant).partition("_")[0], set()).add(settings)
    assert set(grids) == {"plain", "spectral"}
    assert grids["plain"] == grids["spectral"]
    assert len(grids["plain"]) == 16
