"""`smoothrl compare`, as it is typed: what it prints, what it writes, what it refuses."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
from torch.utils.tensorboard import SummaryWriter
from typer.testing import CliRunner, Result

from smoothrl.cli import app
from smoothrl.compare import verbs

VARIANTS: dict[str, tuple[dict[str, Any], float]] = {
    "plain": ({}, 100),
    "spectral": ({"critic_regularizers": [{"kind": "spectral_norm"}]}, 200),
    "div-grad": ({"optimizer_adaptations": [{"kind": "div_grad"}]}, 190),
}


def make_run(folder: Path, variant: str, seed: int, status: str = "finished") -> Path:
    """A run folder as training leaves it: record, config, curves."""
    config, height = VARIANTS[variant]
    folder = folder / "CartPole-v1" / variant / f"seed-{seed}"
    with SummaryWriter(str(folder)) as writer:
        for step in range(100, 1100, 100):
            writer.add_scalar("eval/mean_reward", height * step / 1000 + seed * len(variant), step)
    lists: dict[str, Any] = {"critic_regularizers": [], "optimizer_adaptations": []}
    (folder / "config.yaml").write_text(json.dumps({"agent": {"kind": "dqn"}} | lists | config))
    record = {
        "status": status, "study": "made", "task": "CartPole-v1", "variant": variant, "seed": seed, "error": None,
        "versions": {"smoothrl": "0.1.0"}, "python": "3.11", "git": None, "machine": {"cpu": "a"}, "wall_time_s": 1.5,
    }  # fmt: skip
    (folder / "run.json").write_text(json.dumps(record))
    return folder


@pytest.fixture
def runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Three variants of three seeds, below the working directory."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    for variant in VARIANTS:
        for seed in range(3):
            make_run(tmp_path / "runs", variant, seed)
    return Path("runs")


def compare(*arguments: str | Path) -> Result:
    return CliRunner().invoke(app, ["compare", *map(str, arguments)])


def test_the_answer_and_where_to_look(runs: Path) -> None:
    result = compare(runs)
    assert result.exit_code == 0
    assert "spectral is better than plain: final return +103" in " ".join(result.stdout.split())
    assert "div-grad recovers" in " ".join(result.stdout.split())
    assert "runs/compare/report.html" in result.stdout
    assert "smoothrl tensorboard runs" in result.stdout
    written = {str(path.relative_to(runs / "compare")) for path in (runs / "compare").rglob("*") if path.is_file()}
    assert {"report.html", "report.md", "csv/scores.csv", "csv/recovery.csv"} <= written
    assert any(name.startswith("summary/") for name in written)


def test_again_it_reads_none_of_its_own_output(runs: Path) -> None:
    first, second = compare(runs), compare(runs)
    assert second.stdout == first.stdout


def test_every_format_and_another_folder(runs: Path, tmp_path: Path) -> None:
    result = compare(runs, "--format", "png,svg", "--format", "latex", "--out", tmp_path / "paper")
    assert result.exit_code == 0
    names = {path.name for path in (tmp_path / "paper").iterdir()}
    assert names == {".smoothrl-comparison", "figures", "tables.tex"}
    assert {path.suffix for path in (tmp_path / "paper" / "figures").iterdir()} == {".png", ".svg"}
    assert not (runs / "compare").exists()


def test_two_folders_go_here(runs: Path) -> None:
    first, second = (runs / "CartPole-v1" / name for name in ("plain", "spectral"))
    assert compare(first, second, "--format", "html").exit_code == 0
    assert Path("compare/report.html").exists()


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["nowhere"], "nowhere: no such folder"),
        (["runs/CartPole-v1/plain/seed-0/run.json"], "runs/CartPole-v1/plain/seed-0/run.json: is a file"),
        (["runs", "--tag", "eval/mean_rewrad"], "did you mean `eval/mean_reward`?"),
        (["runs", "--baseline", "plian"], "--baseline plian: no such variant, did you mean `plain`?"),
        (["runs", "--smooth", "plain", "--baseline", "plain"], "--smooth plain: is the baseline"),
        (["runs", "--format", "htm"], "--format htm: no such format, did you mean `html`?"),
        (["runs", "--pattern", "{task}/{varaint}"], "unknown placeholder `{varaint}`, did you mean `variant`?"),
        (["runs", "--out", "runs/CartPole-v1/plain/seed-0/run.json"], "cannot write the comparison into runs/"),
    ],
)
def test_mistakes_are_said_in_one_message(runs: Path, arguments: list[str], said: str) -> None:
    result = compare(*arguments)
    assert result.exit_code == 2
    assert said in result.stderr
    assert "Traceback" not in result.output


def test_help_is_quick_because_it_imports_little() -> None:
    code = (
        "import sys; from smoothrl.cli import app\n"
        "try: app(['compare', '--help'])\n"
        "except SystemExit: pass\n"
        "heavy = {'torch', 'scipy', 'matplotlib', 'tensorboard', 'jinja2', 'numpy'}\n"
        "print(*heavy & sys.modules.keys(), file=sys.stderr)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert "--watch" in done.stdout
    assert done.stderr.split() == []


def test_comparing_imports_no_torch(runs: Path) -> None:
    code = (
        "import sys; from smoothrl.cli import app\n"
        "try: app(['compare', 'runs'])\n"
        "except SystemExit as end: assert not end.code\n"
        "print(*{'torch', 'stable_baselines3', 'matplotlib', 'tensorflow'} & sys.modules.keys(), file=sys.stderr)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stderr.split() == []


class TestWatch:
    """It goes on while runs do."""

    def test_it_ends_with_the_last_run(self, runs: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        """A run that is training becomes a finished one between two looks."""
        last = make_run(runs, "plain", 3, status="running")
        asleep: list[float] = []

        def finish(seconds: float) -> None:
            asleep.append(seconds)
            record = json.loads((last / "run.json").read_text()) | {"status": "finished"}
            (last / "run.json").write_text(json.dumps(record))

        monkeypatch.setattr(verbs, "REFRESH", 0.01)
        monkeypatch.setattr(verbs.time, "sleep", finish)
        result = compare(runs, "--watch")
        assert result.exit_code == 0, result.output
        assert asleep
        assert "1 of 12 runs are not finished" in " ".join(result.stdout.split())
        assert "Every run is over." in result.stdout
        assert 'http-equiv="refresh"' not in (runs / "compare" / "report.html").read_text()

    def test_before_there_is_anything_to_compare(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        first = make_run(tmp_path, "plain", 0, status="running")
        record = json.loads((first / "run.json").read_text())

        def finish(_: float) -> None:
            (first / "run.json").write_text(json.dumps(record | {"status": "finished"}))

        monkeypatch.setattr(verbs, "REFRESH", 0.01)
        monkeypatch.setattr(verbs.time, "sleep", finish)
        result = compare(tmp_path, "--watch")
        assert result.exit_code == 0, result.output
        assert "waiting: no run is finished and has eval/mean_reward" in " ".join(result.stdout.split())

    def test_a_mistake_is_refused_and_not_waited_for(self, runs: Path) -> None:
        result = compare(runs, "--watch", "--baseline", "plian")
        assert result.exit_code == 2
        assert "did you mean `plain`?" in result.stderr

    def test_ctrl_c(self, runs: Path) -> None:
        make_run(runs, "plain", 3, status="interrupted")
        command = [sys.executable, "-c", "from smoothrl.cli import main; main()", "compare", "runs", "--watch"]
        process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        deadline = time.monotonic() + 120
        while not (runs / "compare" / "summary").exists():
            assert time.monotonic() < deadline
            time.sleep(0.1)
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=60)
        assert (process.returncode, err) == (130, "")
        assert "it keeps itself up to date" in " ".join(out.split())
        assert 'http-equiv="refresh"' in (runs / "compare" / "report.html").read_text()
