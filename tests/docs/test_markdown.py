"""What the Markdown files say can be done: links lead somewhere, files exist, commands parse, examples run."""

from __future__ import annotations

import ast
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
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from typer.testing import CliRunner

import smoothrl.compare.verbs
import smoothrl.studies.verbs
import smoothrl.training
from smoothrl.cli import app
from smoothrl.config import load_run
from smoothrl.registry import load, names
from smoothrl.studies import load_study

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
    compared: list[Any] = []
    monkeypatch.setattr(smoothrl.training, "train", lambda run, **_: trained.append(run) or 0)
    monkeypatch.setattr(smoothrl.studies.verbs, "run", lambda study, *_, **__: trained.append(study) or 0)
    for verb in ("compare", "tensorboard"):
        monkeypatch.setattr(smoothrl.compare.verbs, verb, lambda runs, *_, **__: compared.append(runs) or 0)
    monkeypatch.chdir(ROOT)
    ours = commands("smoothrl")
    for line in ours:
        result = CliRunner().invoke(app, with_a_run(line, tmp_path))
        assert result.exit_code == 0, f"smoothrl {shlex.join(line)}: {result.output}"
    starts = [line for line in ours if line[0] == "train" or line[:2] in (["study", "run"], ["study", "retry"])]
    assert len(trained) == sum("--dry-run" not in line for line in starts)
    assert len(compared) == sum(line[0] in ("compare", "tensorboard") for line in ours)
    assert {line[0] for line in ours} == {
        "train", "study", "compare", "tensorboard", "show", "schema", "list", "doctor",
    }  # fmt: skip


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
    for text in blocks(page, "yaml") if page != GUIDE else []:  # the guide's names plug-ins, and is tested below
        path = tmp_path / "example.yaml"
        path.write_text(text if "extends:" in text else f"extends: sac.yaml\n{text}")
        if "variants:" in text:
            assert load_study(path).cells
        else:
            load_run(path)


def test_the_python_example_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (example,) = blocks(ROOT / "README.md", "python")
    shorter = example.replace("8_000", "150")
    assert shorter != example
    monkeypatch.chdir(tmp_path)
    exec(compile(shorter, "README.md", "exec"), {})


GUIDE = ROOT / "docs" / "how-to-extend.md"
MAX_LINES = 30


def examples() -> dict[str, str]:
    """The modules of the guide, by name."""
    found = re.findall(r"<!-- plugin: (\w+) -->\n```python\n(.*?)^```$", GUIDE.read_text(), re.MULTILINE | re.DOTALL)
    assert len(found) == len(blocks(GUIDE, "python"))
    return dict(found)


@pytest.mark.parametrize("name", examples())
def test_an_example_of_the_guide_is_short(name: str) -> None:
    """Lines of code: without blank lines, docstrings and the comments of fields."""
    tree = ast.parse(examples()[name])
    comments = {
        line
        for node in ast.walk(tree)
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)
        for line in range(node.lineno, (node.end_lineno or node.lineno) + 1)
    }
    lines = [i for i, line in enumerate(examples()[name].splitlines(), 1) if line.strip() and i not in comments]
    assert len(lines) <= MAX_LINES


def test_the_examples_of_the_guide_work_as_plugins(tmp_path: Path) -> None:
    """Installed as another package would be: modules, and entry points in the metadata of their distribution."""
    (entry_points,) = blocks(GUIDE, "toml")
    (config,) = blocks(GUIDE, "yaml")
    package = tmp_path / "my_package"
    package.mkdir()
    (package / "__init__.py").touch()
    for name, code in examples().items():
        (package / f"{name}.py").write_text(code)
    metadata = tmp_path / "my_package-1.0.dist-info"
    metadata.mkdir()
    (metadata / "METADATA").write_text("Metadata-Version: 2.1\nName: my-package\nVersion: 1.0\n")
    groups = re.sub(r'\[project\.entry-points\."(.+)"\]', r"[\1]", entry_points).replace('"', "")
    (metadata / "entry_points.txt").write_text(groups)
    shutil.copytree(ROOT / "configs" / "pendulum", tmp_path / "configs")
    (tmp_path / "configs" / "mine.yaml").write_text(config)

    def run(*args: str) -> str:
        command = [sys.executable, "-c", "from smoothrl.cli import main; main()", *args]
        env = {**os.environ, "PYTHONPATH": str(tmp_path)}
        done = subprocess.run(command, env=env, cwd=tmp_path, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
        return done.stdout

    listed = "".join(run("list", door) for door in ("agents", "regularizers", "adaptations", "diagnostics"))
    assert all(name in listed for name in examples())
    short = ["total_timesteps=600", "evaluation.episodes=1", "evaluation.every=600", "logging.every=300", "--plain"]
    assert "Finished" in run("train", "configs/mine.yaml", *short, "--out", "run")
    resolved = (tmp_path / "run" / "config.yaml").read_text()
    assert all(f"kind: {name}" in resolved for name in examples())
    events = EventAccumulator(str(tmp_path / "run"))
    events.Reload()
    assert {"smoothness/difference_penalty", "network/value_spread/qf0"} <= set(events.Tags()["scalars"])


@pytest.mark.parametrize(
    ("door", "name"),
    [(door, name) for door in ("critic_regularizer", "optimizer_adaptation", "diagnostic") for name in names(door)],
)
def test_docstring_examples_run(door: Any, name: str) -> None:
    results = doctest.testmod(importlib.import_module(load(door, name).__module__))
    assert results.attempted > 0
    assert results.failed == 0
