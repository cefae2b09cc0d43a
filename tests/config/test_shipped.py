"""The configs that come with smoothrl."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
import torch

from smoothrl import suites
from smoothrl.config import RunConfig, load_run
from smoothrl.critics import SpectralNorm

CONFIGS = Path(__file__).parents[2] / "configs"
RUNS = sorted(path for path in CONFIGS.glob("*/*.yaml") if path.name != "base.yaml" and path.parent.name != "studies")
NEED = {"halfcheetah": "mujoco", "hopper": "mujoco", "lunarlander": "box2d"}
INSTALLED = {task.suite: task.installed for task in suites.tasks()}
CONTINUOUS = ["sac", "td3", "ddpg", "ppo", "a2c"]
AGENTS = dict.fromkeys(["pendulum", "lunarlander", "halfcheetah", "hopper"], CONTINUOUS)
AGENTS["cartpole"] = ["ppo", "a2c", "dqn"]
TWINS = {
    "spectral": "",
    "gradient-penalty": "",
    "eps": "",
    "div-grad": "-eps",
    "mul-eps": "-eps",
    "div-out": "",
    "dal": "",
    "egr": "",
}
"""Variant -> what it is compared with."""
SHORT = {
    "on": ["agent.n_steps=8"],
    "off": ["agent.learning_starts=8", "agent.train_freq=4", "agent.gradient_steps=1", "agent.buffer_size=64"],
}
"""Overrides with which one update comes after a few steps."""


def shipped(path: Path) -> Any:
    """A parameter of a test that needs the path's task to be installed."""
    extra = NEED.get(path.parent.name)
    marks = [pytest.mark.mujoco] if extra == "mujoco" else []
    if extra and not any(installed for suite, installed in INSTALLED.items() if extra in suite):
        marks.append(pytest.mark.skip(reason=f"needs the extra {extra}"))
    return pytest.param(path, id=f"{path.parent.name}/{path.stem}", marks=marks)


EACH_RUN = pytest.mark.parametrize("path", [shipped(path) for path in RUNS])


@EACH_RUN
def test_it_loads_fits_its_task_and_says_what_it_is(path: Path) -> None:
    suites.check(load_run(path))
    assert path.read_text().startswith("# ")


def differences(a: RunConfig, b: RunConfig) -> set[str]:
    """The fields that differ, those of the agent by their own names."""
    one, other = (config.model_dump(exclude={"variant"}) for config in (a, b))
    one, other = ({**fields.pop("agent"), **fields} for fields in (one, other))
    return {name for name in one if one[name] != other[name]}


@pytest.mark.parametrize(("task", "agent"), [(task, agent) for task in AGENTS for agent in AGENTS[task]])
def test_each_agent_comes_in_every_variant_which_changes_one_thing(task: str, agent: str) -> None:
    folder = CONFIGS / task
    assert {path.stem for path in folder.glob(f"{agent}-*.yaml")} == {f"{agent}-{variant}" for variant in TWINS}
    for variant, twin in TWINS.items():
        config = load_run(folder / f"{agent}-{variant}.yaml")
        changed = differences(config, load_run(folder / f"{agent}{twin}.yaml"))
        match variant:
            case "spectral" | "gradient-penalty":
                assert changed == {"critic_regularizers"}
            case "eps":
                assert changed == {"policy_kwargs" if agent == "dqn" else "critic_optimizer_kwargs"}
            case "div-out":  # on a value network also the activation, which must be homogeneous
                assert changed - {"policy_kwargs"} == {"optimizer_adaptations"}
                kwargs = config.agent.policy_kwargs
                assert agent not in ("ppo", "a2c") or (kwargs and kwargs.activation_fn == "relu")
            case _:
                assert changed == {"optimizer_adaptations"}


def test_the_main_job() -> None:
    config = load_run(CONFIGS / "pendulum" / "sac-spectral.yaml")
    assert (config.env.id, config.agent.kind, config.total_timesteps) == ("Pendulum-v1", "sac", 8000)
    assert config.agent.learning_rate == 1e-3
    assert config.critic_regularizers == (SpectralNorm(layers=(-2,), lipschitz_k=1.0, mode="exact"),)
    assert (config.evaluation.every, config.evaluation.episodes) == (1000, 10)


def test_the_pair_of_rates_is_the_one_of_the_theory() -> None:
    """Rate h/k, k steps for one, and mu = (h/4) (1 - 1/k): what the small steps' own (h/k)/4 lacks of h/4."""
    large, small = (load_run(CONFIGS / "recipes" / f"{name}.yaml") for name in ("large-rate", "small-rate-egr"))
    a, b = (config.agent for config in (large, small))
    k = b.gradient_steps
    assert (a.gradient_steps, k > 1) == (1, True)
    assert a.critic_learning_rate / k == b.critic_learning_rate
    assert a.learning_rate / k == b.learning_rate
    assert a.target_update_interval * k == b.target_update_interval
    (regularization,) = small.optimizer_adaptations
    assert regularization.mu == pytest.approx(a.critic_learning_rate / 4 * (1 - 1 / k), rel=1e-12)
    for config in (large, small):
        assert (config.agent.critic_optimizer, config.agent.critic_optimizer_kwargs) == ("sgd", None)
    assert differences(large, small) == {
        "critic_learning_rate",
        "learning_rate",
        "gradient_steps",
        "target_update_interval",
        "optimizer_adaptations",
    }


def parameters(agent: Any) -> Iterator[torch.Tensor]:
    return (p.detach().clone() for p in agent.policy.parameters())


@pytest.mark.slow
@EACH_RUN
def test_it_trains_and_no_setting_of_it_is_idle(path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    from smoothrl.training import build

    kind = load_run(path).agent.kind
    on_policy = kind in ("ppo", "a2c")
    batch = [] if kind == "a2c" else ["agent.batch_size=8"]
    config = load_run(path, [*SHORT["on" if on_policy else "off"], *batch, "device=cpu"])
    with closing(build.vec_env(config)) as env:
        agent: Any = build.agent(config, env)
        before = list(parameters(agent))
        agent.learn(24 * config.env.n_envs if on_policy else 16)  # more than one update: a schedule ends at 0
    assert all(torch.isfinite(p).all() for p in parameters(agent))
    assert any(not torch.equal(p, q) for p, q in zip(before, parameters(agent), strict=True))
    assert "warning" not in capsys.readouterr().err
