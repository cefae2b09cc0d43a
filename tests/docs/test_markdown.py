"""What the Markdown files say can be done: links lead somewhere, files exist, commands parse, examples run."""

from __future__ import annotations

import doctest
import importlib
import os
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

import smoothrl.training
from smoothrl.cli import app
from smoothrl.config import load_run

ROOT = Path(__file__).parents[2]
PAGES = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md"), ROOT / "runs" / "README.md"])
FOLDERS = ("agents/", "benchmarks/", "configs/", "docs/", "smoothrl/", "tests/", ".ci/")
EACH_PAGE = pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))


def blocks(page: Path, language: str) -> list[str]:
    """The fenced blocks of one language, without their indentation."""
    found = re.findall(rf"^( *)```{language}\n(.*?)^ *```$", page.read_text(), flags=re.MULTILINE | re.DOTALL)
    return ["".join(line.removeprefix(indent) for line in text.splitlines(keepends=True)) for indent, text in found]


def headings(page: Path) -> set[str]:
    """The anchors that GitHub makes of the headings."""
    titles = re.findall(r"^#+ (.+)$", page.read_text(), flags=re.MULTILINE)
    return {re.sub(r"[^\w -]", "", title.lower()).replace(" ", "-") for title in titles}


def commands(program: str) -> list[list[str]]:
    """Every command line of a program in the fenced blocks of every page."""
    lines = [line for page in PAGES for block in blocks(page, "(?:sh|console|)") for line in block.splitlines()]
    words = [
        shlex.split(line.removeprefix("$ "), comments=True) for line in lines if re.match(rf"(\$ )?{program} ", line)
    ]
    assert words
    return [line[1:] for line in words]


def test_there_are_pages() -> None:
    assert {"README.md", "CONTRIBUTING.md", "CHANGELOG.md", "metrics.md"} <= {page.name for page in PAGES}


@EACH_PAGE
def test_links_within_the_repository_lead_somewhere(page: Path) -> None:
    for link in re.findall(r"\]\(([^)]+)\)", page.read_text()):
        if "://" in link:
            continue
        file, _, anchor = link.partition("#")
        target = page.parent / file if file else page
        assert target.exists(), link
        assert not anchor or anchor in headings(target), link


@EACH_PAGE
def test_named_files_exist(page: Path) -> None:
    words = re.findall(r"[\w./-]+", re.sub(r"\S*://\S+", "", page.read_text()))
    paths = {
        word.rstrip(".") for word in words if word.startswith(FOLDERS) or re.fullmatch(r"\w+\.(md|txt|toml)", word)
    }
    assert not [path for path in sorted(paths) if not (ROOT / path).exists()]


def test_every_command_is_accepted(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Each `smoothrl ...` in a code block loads its config and checks it; training itself is left out."""
    trained: list[Any] = []
    monkeypatch.setattr(smoothrl.training, "train", lambda run, **_: trained.append(run) or 0)
    monkeypatch.chdir(ROOT)
    ours = [line for line in commands("smoothrl") if "jitter_penalty" not in " ".join(line)]
    for line in ours:
        result = CliRunner().invoke(app, with_a_run(line, tmp_path))
        assert result.exit_code == 0, f"smoothrl {shlex.join(line)}: {result.output}"
    assert len(trained) == sum(line[0] == "train" for line in ours)
    assert {line[0] for line in ours} == {"train", "show", "schema", "list", "doctor"}


def with_a_run(line: list[str], folder: Path) -> list[str]:
    """The command with the config of a finished run replaced by one that a test machine has."""
    config = folder / "config.yaml"
    config.write_text((ROOT / "configs" / "cartpole" / "ppo.yaml").read_text())
    return [str(config) if word.startswith("runs/") and word.endswith("/config.yaml") else word for word in line]


def test_every_make_target_exists() -> None:
    targets = set(re.findall(r"^([\w-]+):", (ROOT / "Makefile").read_text(), flags=re.MULTILINE))
    named = {word for page in PAGES for word in re.findall(r"(?:`|^)make ([a-z]+)", page.read_text(), re.MULTILINE)}
    assert {"train", "test", "check", "bench", "setup"} <= named <= targets


@EACH_PAGE
def test_config_examples_load(page: Path, tmp_path: Path) -> None:
    """A part of a config is put on top of plain SAC on Pendulum."""
    shutil.copytree(ROOT / "configs" / "pendulum", tmp_path, dirs_exist_ok=True)
    for text in blocks(page, "yaml"):
        path = tmp_path / "example.yaml"
        path.write_text(text if "extends:" in text else f"extends: sac.yaml\n{text}")
        load_run(path)


def test_the_python_example_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (example,) = blocks(ROOT / "README.md", "python")
    shorter = example.replace("8_000", "150")
    assert shorter != example
    monkeypatch.chdir(tmp_path)
    exec(compile(shorter, "README.md", "exec"), {})


def test_the_regularizer_of_the_guide_works_as_a_plugin(tmp_path: Path) -> None:
    """Installed as another package would be: a module, and an entry point in the metadata of its distribution."""
    code, entry_point = guide_to_plugins()
    (tmp_path / "my_package.py").write_text(code)
    metadata = tmp_path / "my_package-1.0.dist-info"
    metadata.mkdir()
    (metadata / "METADATA").write_text("Metadata-Version: 2.1\nName: my-package\nVersion: 1.0\n")
    (metadata / "entry_points.txt").write_text(entry_point)

    def run(*args: str) -> str:
        command = [sys.executable, "-c", "from smoothrl.cli import main; main()", *args]
        env = {**os.environ, "PYTHONPATH": str(tmp_path)}
        done = subprocess.run(command, env=env, cwd=ROOT, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
        return done.stdout

    assert "jitter_penalty" in run("list", "regularizers")
    (line,) = [line for line in commands("smoothrl") if "jitter_penalty" in " ".join(line)]
    short = ["total_timesteps=150", "evaluation.episodes=1", "evaluation.every=150", "--plain"]
    assert "Finished" in run(*line, *short, "--out", str(tmp_path / "run"))
    assert "kind: jitter_penalty" in (tmp_path / "run" / "config.yaml").read_text()


def guide_to_plugins() -> tuple[str, str]:
    """The example of CONTRIBUTING.md: the module, and its entry point as installed metadata writes it."""
    page = ROOT / "CONTRIBUTING.md"
    (code,), (toml,) = blocks(page, "python"), blocks(page, "toml")
    group, name, target = re.search(r'entry-points\."(.+)"\]\n(\w+) = "(.+)"', toml).groups()  # type: ignore[union-attr]
    return code, f"[{group}]\n{name} = {target}\n"


@pytest.mark.parametrize("module", ["spectral_norm", "gradient_penalty"])
def test_docstring_examples_run(module: str) -> None:
    results = doctest.testmod(importlib.import_module(f"smoothrl.critics.{module}"))
    assert results.attempted > 0
    assert results.failed == 0
