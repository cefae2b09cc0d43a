"""Tasks, and whether agent and task go together."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import gymnasium
import numpy as np
import pytest
from gymnasium import spaces

from smoothrl import suites
from smoothrl.config import ConfigError, RunConfig, load_run
from smoothrl.suites import _envs

CONFIG = "total_timesteps: 100\nenv: {id: Pendulum-v1}\nagent: {kind: sac}\n"
MUJOCO = all(task.installed for task in suites.tasks() if task.suite == "mujoco")


class Toy(gymnasium.Env[Any, Any]):
    """An env with the observations it is asked for."""

    def __init__(self, observations: str = "image", broken: bool = False) -> None:
        if broken:
            raise RuntimeError("no such robot")
        box = spaces.Box(-1, 1, (2,))
        self.action_space = spaces.Box(-1, 1, (1,))
        self.observation_space = {
            "image": spaces.Box(0, 255, (36, 36, 3), np.uint8),
            "floats": spaces.Box(0, 1, (36, 36, 3)),
            "dict": spaces.Dict(a=box),
            "goal": spaces.Dict(observation=box, achieved_goal=box, desired_goal=box),
            "tuple": spaces.Tuple([box]),
            "discrete": spaces.Discrete(3),
        }[observations]


@pytest.fixture
def toy() -> Iterator[str]:
    gymnasium.register("Toy-v0", Toy)
    yield "env.id=Toy-v0"
    del gymnasium.registry["Toy-v0"]


@pytest.fixture
def mistakes(tmp_path: Path) -> Callable[..., list[str]]:
    path = tmp_path / "run.yaml"
    path.write_text(CONFIG)

    def mistakes(*overrides: str) -> list[str]:
        try:
            load_run(path, overrides, check=suites.check)
        except ConfigError as error:
            return [str(problem).replace(f"{tmp_path}/", "") for problem in error.problems]
        return []

    return mistakes


def test_every_task_is_known_to_gymnasium() -> None:
    tasks = suites.tasks()
    assert {task.id for task in tasks} <= set(gymnasium.registry)
    assert {task.suite: task.extra for task in tasks} == {
        "classic control": None,
        "box2d": "box2d",
        "mujoco": "mujoco",
    }


def test_every_installed_task_can_be_described() -> None:
    for task in suites.tasks():
        if task.installed:
            facts = suites.describe(task.id, {})
            assert isinstance(facts.observation_space, spaces.Box)


def test_agents_must_fit_the_actions(mistakes: Callable[..., list[str]]) -> None:
    assert mistakes() == []
    assert mistakes("env.id=CartPole-v1", "agent.kind=ppo") == []
    for agent in ("sac", "td3"):
        (found,) = mistakes("env.id=CartPole-v1", f"agent={{kind: {agent}}}")
        assert "agent.kind: cannot act in CartPole-v1." in found
        assert f"{agent} needs Box actions, and CartPole-v1 takes Discrete(2); agents for it: ppo" in found
    assert mistakes("env.id=CartPole-v1")[0].startswith("run.yaml:3: agent.kind: ")


@pytest.mark.parametrize(
    ("observations", "policy", "advice"),
    [
        ("image", "MlpPolicy", "use CnnPolicy"),
        ("image", "MultiInputPolicy", "use CnnPolicy"),
        ("floats", "CnnPolicy", "use MlpPolicy"),
        ("dict", "MlpPolicy", "use MultiInputPolicy"),
        ("tuple", "MlpPolicy", "no policy does"),
        ("discrete", "CnnPolicy", "use MlpPolicy"),
    ],
)
def test_policies_must_fit_the_observations(
    mistakes: Callable[..., list[str]], toy: str, observations: str, policy: str, advice: str
) -> None:
    (found,) = mistakes(toy, f"env.kwargs.observations={observations}", f"agent.policy={policy}")
    assert "agent.policy: does not fit the observations of Toy-v0" in found
    assert advice in found
    if advice.startswith("use "):
        fitting = advice.removeprefix("use ")
        assert mistakes(toy, f"env.kwargs.observations={observations}", f"agent.policy={fitting}") == []


def test_images_that_are_normalized_already(mistakes: Callable[..., list[str]], toy: str) -> None:
    overrides = ("env.kwargs.observations=floats", "agent.policy=CnnPolicy")
    assert mistakes(toy, *overrides, "agent.policy_kwargs.normalize_images=false") == []


def test_hindsight_needs_goals(mistakes: Callable[..., list[str]], toy: str) -> None:
    her = ("agent.policy=MultiInputPolicy", "agent.replay_buffer_class=her")
    assert mistakes(toy, "env.kwargs.observations=goal", *her) == []
    (found,) = mistakes(toy, "env.kwargs.observations=dict", *her)
    assert "agent.replay_buffer_class: needs observations with achieved_goal, desired_goal, observation" in found


def test_wrappers_must_fit_the_observations(mistakes: Callable[..., list[str]], toy: str) -> None:
    overrides = ("env.kwargs.observations=discrete", "env.frame_stack=2", "env.normalize_observation=true")
    found = mistakes(toy, *overrides)
    assert [line.split(": ")[1] for line in found] == ["env.normalize_observation", "env.frame_stack"]


def test_kwargs_the_env_does_not_know(mistakes: Callable[..., list[str]]) -> None:
    found = mistakes("env.kwargs={gg: 9, g: 9.8, max_episode_step: 5, max_episode_steps: 5}")
    assert len(found) == 2
    assert "env.kwargs.gg: Pendulum-v1 has no such argument" in found[0]
    assert "env.kwargs.max_episode_step: Pendulum-v1 has no such argument, did you mean `max_episode_steps`" in found[1]


def test_an_env_that_cannot_be_built(mistakes: Callable[..., list[str]], toy: str) -> None:
    (found,) = mistakes(toy, "env.kwargs.broken=true")
    assert "env: cannot be built: RuntimeError: no such robot" in found


def test_a_missing_extra_is_named(mistakes: Callable[..., list[str]], monkeypatch: pytest.MonkeyPatch) -> None:
    suite = _envs.SUITES[2].__class__("mujoco", ("Hopper-v5",), "mujoco", ("not_installed_at_all",))
    monkeypatch.setattr(_envs, "SUITES", (suite,))
    (found,) = mistakes("env.id=Hopper-v5")
    assert "env.id: needs a package that is not installed: pip install 'smoothrl[mujoco]'" in found


@pytest.mark.mujoco
@pytest.mark.skipif(not MUJOCO, reason="needs the mujoco extra")
def test_mujoco_is_quiet(tmp_path: Path) -> None:
    script = "from smoothrl import suites; print(suites.describe('Hopper-v5', {}).observation_space.shape)"
    done = subprocess.run([sys.executable, "-c", script], cwd=tmp_path, capture_output=True, text=True, check=True)
    assert (done.stdout, done.stderr, list(tmp_path.iterdir())) == ("(11,)\n", "", [])


def test_mujoco_still_warns_about_the_simulation(caplog: pytest.LogCaptureFixture) -> None:
    _envs._log_mujoco("compiler attribute 'settotalmass' is deprecated")
    _envs._log_mujoco("Nan, Inf or huge value in QACC at DOF 0.")
    assert [record.message for record in caplog.records if record.levelname == "WARNING"] == [
        "Nan, Inf or huge value in QACC at DOF 0."
    ]


def test_config_of_a_checked_run_is_unchanged(tmp_path: Path) -> None:
    (tmp_path / "run.yaml").write_text(CONFIG)
    config = load_run(tmp_path / "run.yaml")
    assert isinstance(config, RunConfig)
    suites.check(config)
    assert load_run(tmp_path / "run.yaml") == config


@pytest.mark.parametrize("task", [task for task in suites.tasks() if task.bounds], ids=lambda task: task.id)
def test_the_upper_bound_is_gymnasiums_threshold(task: suites.Task) -> None:
    assert task.bounds is not None
    low, high = task.bounds
    threshold = gymnasium.spec(task.id).reward_threshold
    assert high == (0.0 if threshold is None else threshold)
    assert low < high


def test_the_lower_bound_is_what_the_benchmark_measures() -> None:
    benchmark = Path(__file__).parents[2] / "benchmarks" / "random_returns.py"
    done = subprocess.run([sys.executable, benchmark, "CartPole-v1"], capture_output=True, text=True, check=True)
    bounds = {task.id: task.bounds for task in suites.tasks()}["CartPole-v1"]
    assert bounds is not None
    assert float(done.stdout.split()[1]) == pytest.approx(bounds[0], abs=0.05)
