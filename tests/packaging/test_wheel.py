"""The wheel, installed away from the checkout, trains; and it installs nothing but `smoothrl`."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import sysconfig
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
CONFIG = """
total_timesteps: 200
env: {id: Pendulum-v1}
agent: {kind: sac, learning_starts: 50, batch_size: 32, policy_kwargs: {net_arch: [16, 16]}}
critic_regularizers:
  - {kind: spectral_norm}
  - {kind: gradient_penalty, coef: 0.1}
evaluation: {every: 100, episodes: 1}
device: cpu
"""


def run(*command: str | Path, cwd: Path) -> str:
    """In an environment without hints to the checkout."""
    env = {name: value for name, value in os.environ.items() if not name.startswith(("PYTHON", "VIRTUAL_ENV"))}
    done = subprocess.run([str(part) for part in command], cwd=cwd, env=env, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Built from a copy, so that the build leaves nothing in the checkout."""
    folder = tmp_path_factory.mktemp("wheel")
    ignore = shutil.ignore_patterns("__pycache__")
    for name in ("smoothrl", "agents"):
        shutil.copytree(ROOT / name, folder / "source" / name, ignore=ignore)
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, folder / "source")
    run(sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", folder, cwd=folder / "source")
    return next(folder.glob("smoothrl-*.whl"))


@pytest.fixture(scope="module")
def scratch(wheel: Path) -> Path:
    """A virtual environment with the wheel in it, and what it depends on borrowed from this one."""
    folder = wheel.parent / "venv"
    run(sys.executable, "-m", "venv", "--without-pip", folder, cwd=wheel.parent)
    run(sys.executable, "-m", "pip", "--python", folder / "bin/python", "install", "--no-deps", "--no-index", wheel,
        cwd=wheel.parent)  # fmt: skip
    # A path that a .pth file adds has its own .pth files ignored: the editable install of the checkout stays unseen.
    (site_packages(folder) / "borrowed.pth").write_text(sysconfig.get_path("purelib") + "\n")
    return folder


def site_packages(venv: Path) -> Path:
    return Path(sysconfig.get_path("purelib", vars={"base": str(venv)}))


@pytest.mark.slow
def test_the_wheel_holds_every_module_and_nothing_else(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        names = set(archive.namelist())
    assert {name.partition("/")[0] for name in names} == {"smoothrl", wheel.name.rpartition("-py3")[0] + ".dist-info"}
    modules = {f"smoothrl/{path.relative_to(ROOT / 'smoothrl')}" for path in (ROOT / "smoothrl").rglob("*.py")}
    agents = {f"smoothrl/agents/{path.name}" for path in (ROOT / "agents").glob("*.py")}
    packed = {name for name in names if name.startswith("smoothrl/")}
    page = {f"smoothrl/{path.relative_to(ROOT / 'smoothrl')}" for path in (ROOT / "smoothrl").rglob("page/*")}
    assert packed == modules | agents | page | {"smoothrl/py.typed"}


@pytest.mark.slow
def test_the_installed_wheel_trains(scratch: Path, tmp_path: Path) -> None:
    (tmp_path / "config.yaml").write_text(CONFIG)
    out = run(scratch / "bin/smoothrl", "train", "config.yaml", "--out", "run", "--plain", cwd=tmp_path)
    assert "Finished: 200 steps" in out
    record = json.loads((tmp_path / "run/run.json").read_text())
    assert (record["status"], record["timesteps"]) == ("finished", 200)
    assert (tmp_path / "run/checkpoints/final.zip").exists()
    run(scratch / "bin/smoothrl", "compare", "run", "--out", "compared", cwd=tmp_path)
    assert "eval/mean_reward" in (tmp_path / "compared/report.html").read_text()


@pytest.mark.slow
def test_agents_come_from_the_wheel_and_no_package_is_called_agents(scratch: Path, tmp_path: Path) -> None:
    code = (
        "import smoothrl, smoothrl.agents as a; from smoothrl.agents import SAC; print(smoothrl.__file__, a.__file__)"
    )
    files = run(scratch / "bin/python", "-c", code, cwd=tmp_path).split()
    site = site_packages(scratch)
    assert files == [str(site / "smoothrl/__init__.py"), str(site / "smoothrl/agents/__init__.py")]
    assert not (site / "agents").exists()
    find = "import importlib.util; print(importlib.util.find_spec('agents'))"
    assert run(scratch / "bin/python", "-c", find, cwd=tmp_path).strip() == "None"
    listed = run(scratch / "bin/smoothrl", "list", "agents", cwd=tmp_path)
    assert {line.split()[0] for line in listed.splitlines()} == {"sac", "td3", "ddpg", "ppo", "a2c", "dqn"}
