"""The command line: verbs, exit codes, and how quick it is."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner, Result

import smoothrl.training
from smoothrl.cli import app
from smoothrl.config import RunConfig, load_run

CONFIG = "total_timesteps: 100\nenv: {id: Pendulum-v1}\nagent: {kind: sac}\n"


@pytest.fixture
def config(tmp_path: Path) -> str:
    path = tmp_path / "run.yaml"
    path.write_text(CONFIG)
    return str(path)


def smoothrl_(*args: str) -> Result:
    return CliRunner().invoke(app, args)


def python(script: str) -> str:
    return subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True).stdout


HELP = "import sys; sys.argv[1:] = {args}\nfrom smoothrl.cli import main\ntry: main()\nexcept SystemExit: pass\n"
LOADED = "print([name for name in ('torch', 'stable_baselines3', 'gymnasium', 'pydantic') if name in sys.modules])"


def test_help_imports_nothing_heavy() -> None:
    assert python(HELP.format(args=["--help"]) + LOADED).splitlines()[-1] == "[]"


@pytest.mark.parametrize("args", [
    ["show", "CONFIG"], ["schema"], ["list", "agents"], ["list", "regularizers"], ["list", "adaptations"],
    ["list", "diagnostics"],
])  # fmt: skip
def test_what_only_reads_configs_needs_no_torch(config: str, args: list[str]) -> None:
    args = [config if arg == "CONFIG" else arg for arg in args]
    loaded = python(HELP.format(args=args) + LOADED).splitlines()[-1]
    assert "torch" not in loaded
    assert "stable_baselines3" not in loaded


def test_show_prints_a_config_that_loads_again(config: str, tmp_path: Path) -> None:
    shown = smoothrl_("show", config, "seed=3", "agent.gamma=0.9")
    assert shown.exit_code == 0
    again = tmp_path / "again.yaml"
    again.write_text(shown.stdout)
    assert load_run(again) == load_run(config, ["seed=3", "agent.gamma=0.9"])


def test_a_mistake_exits_2_with_a_message_and_no_traceback(config: str) -> None:
    for verb in ("show", "train"):
        result = smoothrl_(verb, config, "seeds=3", "env.id=CartPol-v1")
        assert (result.exit_code, result.stdout) == (2, "")
        assert "seeds: unknown key, did you mean `seed`?" in result.stderr
        assert "env.id: unknown env, did you mean `CartPole-v1`" in result.stderr
        assert "Traceback" not in result.stderr
        assert smoothrl_(verb, config, "env.id=CartPole-v1").exit_code == 2
        assert smoothrl_(verb, "missing.yaml").exit_code == 2


def test_train_passes_everything_on(config: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    calls: list[tuple[RunConfig, dict[str, Any]]] = []

    def train(run: RunConfig, **kwargs: Any) -> int:
        calls.append((run, kwargs))
        return 130

    monkeypatch.setattr(smoothrl.training, "train", train)
    out = str(tmp_path / "out")
    result = smoothrl_("train", config, "seed=3", "--out", out, "--device", "cpu", "--fresh", "--plain", "threads=2")
    assert result.exit_code == 130
    ((run, kwargs),) = calls
    assert (run.seed, run.threads, run.device) == (3, 2, "cpu")
    assert kwargs == {"out": Path(out), "fresh": True, "plain": True}
    assert smoothrl_("train", config).exit_code == 130
    assert calls[1] == (load_run(config), {"out": None, "fresh": False, "plain": False})


def test_a_refused_run_exits_2_with_a_message(config: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def train(run: RunConfig, **kwargs: Any) -> int:
        raise smoothrl.training.RunError("the folder holds a run")

    monkeypatch.setattr(smoothrl.training, "train", train)
    result = smoothrl_("train", config)
    assert (result.exit_code, result.stderr) == (2, "the folder holds a run\n")


def test_schema_is_json() -> None:
    assert "total_timesteps" in json.loads(smoothrl_("schema").stdout)["properties"]


def test_list() -> None:
    agents = smoothrl_("list", "agents").stdout
    assert [line.split()[0] for line in agents.splitlines()] == ["sac", "td3", "ddpg", "ppo", "a2c", "dqn"]
    assert "Soft Actor-Critic" in agents
    regularizers = smoothrl_("list", "regularizers").stdout
    assert re.search(r"^spectral_norm +Spectral normalization", regularizers, re.MULTILINE)
    adaptations, diagnostics = smoothrl_("list", "adaptations").stdout, smoothrl_("list", "diagnostics").stdout
    assert re.search(r"^div_grad +DivGrad: ", adaptations, re.MULTILINE)
    assert re.search(r"^curvature +Sharpness: ", diagnostics, re.MULTILINE)
    tasks = smoothrl_("list", "tasks").stdout.splitlines()
    assert ["Pendulum-v1", "classic", "control", "installed"] in [line.split() for line in tasks]
    assert smoothrl_("list", "agent").exit_code == 2


def test_doctor() -> None:
    report = smoothrl_("doctor").stdout
    for word in ("python", "smoothrl", "torch", "stable-baselines3", "gymnasium", "cuda", "mujoco", "cores", "threads"):
        assert word in report
    assert report.splitlines()[-1] == "Next: smoothrl train configs/pendulum/sac-spectral.yaml"
