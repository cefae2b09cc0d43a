"""A package of somebody else adds an agent, a regularizer, an adaptation and a diagnostic, and trains with them."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

PACKAGE = Path(__file__).parent / "package"
CLI = "from smoothrl.cli import main; main()"
CONFIG = """\
total_timesteps: 300
env: {id: Pendulum-v1}
agent:
  kind: blind_sac
  reward_scale: 0.125
  learning_starts: 50
  batch_size: 32
  policy_kwargs: {net_arch: [16, 16]}
critic_regularizers:
  - {kind: value_penalty, coef: 1e-4}
  - {kind: spectral_norm}
optimizer_adaptations:
  - {kind: entrywise_clip, bound: 0.5}
diagnostics:
  - {kind: value_mean, every: 100}
evaluation: {every: 150, episodes: 1}
logging: {every: 50, diagnostics_budget: 1.0}
device: cpu
"""


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder that the package is installed into, built from a copy: a build leaves files behind."""
    folder = tmp_path_factory.mktemp("plugins")
    shutil.copytree(PACKAGE, folder / "source")
    pip = [sys.executable, "-m", "pip", "install", "--no-deps", "--no-build-isolation", "--no-index", "--quiet"]
    subprocess.run([*pip, "--target", folder / "site", folder / "source"], check=True)
    return folder / "site"


def smoothrl(installed: Path, cwd: Path, *args: str | Path) -> subprocess.CompletedProcess[str]:
    """The command line in a process that finds the package as an installed one."""
    path = os.pathsep.join(filter(None, [str(installed), os.environ.get("PYTHONPATH")]))
    command = [sys.executable, "-c", CLI, *map(str, args)]
    return subprocess.run(command, cwd=cwd, env=os.environ | {"PYTHONPATH": path}, capture_output=True, text=True)


def test_all_four_train_from_a_config_that_names_them(installed: Path, tmp_path: Path) -> None:
    (tmp_path / "run.yaml").write_text(CONFIG)
    done = smoothrl(installed, tmp_path, "train", "run.yaml", "--out", "run", "--plain")
    assert done.returncode == 0, done.stderr
    events = EventAccumulator(str(tmp_path / "run")).Reload()
    tags = set(events.Tags()["scalars"])
    assert {
        "dummy/mean_reward",
        "dummy/clipped_share/critic",
        "dummy/value_mean",
        "smoothness/value_penalty",
        "smoothness/sigma/critic/qf0.2",
        "eval/mean_reward",
        "train/critic_loss",
    } <= tags
    assert "dummy/clipped_share/actor" not in tags
    rewards = [event.value for event in events.Scalars("dummy/mean_reward")]
    assert all(-16.3 * 0.125 <= reward < 0 for reward in rewards)  # Pendulum's lie in [-16.3, 0]
    resolved = (tmp_path / "run" / "config.yaml").read_text()
    for line in ("kind: blind_sac", "reward_scale: 0.125", "gamma: 0.9", "kind: value_mean", "bound: 0.5"):
        assert f"  {line}\n" in resolved or f"- {line}\n" in resolved
    again = smoothrl(installed, tmp_path, "show", "run/config.yaml")
    assert (again.returncode, again.stdout) == (0, resolved)


def test_they_are_listed_and_their_options_are_known(installed: Path, tmp_path: Path) -> None:
    (tmp_path / "run.yaml").write_text(CONFIG)
    for kind, line in {
        "agents": "blind_sac  Blind SAC: soft actor-critic with scaled rewards.",
        "regularizers": "value_penalty",
        "adaptations": "entrywise_clip",
        "diagnostics": "value_mean",
    }.items():
        assert f"\n{line}" in smoothrl(installed, tmp_path, "list", kind).stdout
    mistakes = ["agent.reward_scal=2", "optimizer_adaptations[0].bond=1", "critic_regularizers[0].coef=x"]
    refused = smoothrl(installed, tmp_path, "show", "run.yaml", *mistakes)
    assert refused.returncode == 2
    assert "agent.reward_scal: unknown key, did you mean `reward_scale`?" in refused.stderr
    assert "optimizer_adaptations[0].bond: unknown key, did you mean `bound`?" in refused.stderr
    assert "critic_regularizers[0].coef: must be a number" in refused.stderr
    assert smoothrl(installed, tmp_path, "schema").returncode == 0


def test_a_diagnostic_of_a_plug_in_is_measured_only_where_a_config_names_it(installed: Path, tmp_path: Path) -> None:
    (tmp_path / "run.yaml").write_text("total_timesteps: 1\nenv: {id: Pendulum-v1}\nagent: {kind: sac}\n")
    shown = smoothrl(installed, tmp_path, "show", "run.yaml").stdout
    assert "kind: curvature" in shown
    assert "value_mean" not in shown
