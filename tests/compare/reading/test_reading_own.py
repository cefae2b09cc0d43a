"""Runs and studies of ours, in whatever state they are."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from run_trees import names, only, scalars

from smoothrl.compare.reading.read import read_runs
from smoothrl.studies import load_study
from smoothrl.training.run import train

STUDY = """
study: small
total_timesteps: 64
env: {id: CartPole-v1}
agent: {kind: ppo, n_steps: 32, batch_size: 32, n_epochs: 1, policy_kwargs: {net_arch: [4]}}
evaluation: {every: 32, episodes: 1}
logging: {every: 32}
diagnostics: []
device: cpu
variants:
  plain: {}
  slow: {agent: {learning_rate: 0.0001}}
seeds: 2
"""


class TestOurs:
    @pytest.fixture(scope="class")
    @staticmethod
    def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
        """A study of four runs: one finished, one interrupted, one of another config, one never begun."""
        root = tmp_path_factory.mktemp("ours") / "small"
        root.mkdir()
        (root / "study.yaml").write_text(STUDY)
        finished, changed, interrupted, _ = load_study(root).cells
        for cell in (finished, changed, interrupted):
            train(cell.config, cell.folder)
        record = json.loads((changed.folder / "run.json").read_text())
        (changed.folder / "run.json").write_text(json.dumps(record | {"identity": "another"}))
        (interrupted.folder / "run.json").write_text(json.dumps(record | {"seed": 1, "variant": "plain",
            "identity": interrupted.identity, "status": "running"}))  # fmt: skip
        return root

    @pytest.fixture
    @staticmethod
    def root(trained: Path, tmp_path: Path) -> Path:
        import shutil

        return Path(shutil.copytree(trained, tmp_path / "runs" / "small"))

    def test_a_study(self, root: Path) -> None:
        reading = read_runs([root])
        assert (reading.title, reading.tag) == ("small", "eval/mean_reward")
        assert {run.name: run.status for run in reading.runs} == {
            "CartPole-v1/plain/seed-0": "finished", "CartPole-v1/slow/seed-0": "changed",
            "CartPole-v1/plain/seed-1": "interrupted", "CartPole-v1/slow/seed-1": "queued",
        }  # fmt: skip
        first, changed, *_ = reading.runs
        assert first.curves["eval/mean_reward"].steps.tolist() == [32, 64]
        assert first.record is not None
        assert first.config is not None
        assert first.config["agent"]["kind"] == "ppo"
        assert changed.curves == {}
        assert "another config" in str(changed.reason)
        assert reading.cautions == ()

    def test_a_run_by_itself_is_told_the_same(self, root: Path) -> None:
        cell = load_study(root).cells[0]
        whole, alone = read_runs([root]).runs[0], only(cell.folder)
        assert (alone.name, alone.status, alone.config) == (whole.name, whole.status, whole.config)
        assert set(alone.curves) == set(whole.curves)

    def test_the_folder_above_and_the_same_folder_twice(self, root: Path) -> None:
        expected = names(root)
        assert names(root.parent) == expected
        reading = read_runs([root / "CartPole-v1", root.parent, root])
        assert sorted(run.name for run in reading.runs) == sorted(expected)
        assert [run.status for run in reading.runs if run.name.endswith("slow/seed-1")] == ["queued"]

    def test_what_a_study_keeps_beside_its_runs_is_no_run(self, root: Path) -> None:
        (root / "study.yaml").unlink()
        (root / "CartPole-v1" / "plain" / "seed-0").rename(root / "CartPole-v1" / "plain" / "seed-0.old-1")
        scalars(root / "report" / "summary" / "SAC_1")
        (root / "report" / ".smoothrl-comparison").touch()
        assert names(root) == ["CartPole-v1/plain/seed-1", "CartPole-v1/slow/seed-0"]

    def test_a_study_file_that_no_longer_loads(self, root: Path) -> None:
        (root / "study.yaml").write_text(STUDY.replace("kind: ppo", "kind: ppoo"))
        scalars(root / "superseded" / "CartPole-v1__x__1__17")
        reading = read_runs([root])
        assert len(reading.runs) == 3
        assert "study.yaml does not load" in reading.cautions[0]

    def test_runs_that_left_the_study_are_said(self, root: Path) -> None:
        (root / "study.yaml").write_text(STUDY.replace("seeds: 2", "seeds: [0]"))
        assert "1 runs in" in read_runs([root]).cautions[0]

    def test_several_studies(self, root: Path) -> None:
        import shutil

        other = Path(shutil.copytree(root, root.with_name("other")))
        (other / "study.yaml").write_text(STUDY.replace("study: small", "study: other"))
        reading = read_runs([root.parent])
        assert {run.variant for run in reading.runs} == {"small/plain", "small/slow", "other/plain", "other/slow"}
        assert "several studies: other, small" in " ".join(reading.cautions)
        assert reading.title == "other, small"

    def test_a_grid(self, tmp_path: Path) -> None:
        root = tmp_path / "grid"
        root.mkdir()
        grid = STUDY + "grid: {agent.gamma: [0.9, 0.99]}\n"
        (root / "study.yaml").write_text(grid)
        first = load_study(root).cells[0]
        train(first.config, first.folder)
        runs = read_runs([root]).runs
        assert len(runs) == 8
        assert {run.group for run in runs} == {"plain", "slow"}
        assert {run.settings["agent.gamma"] for run in runs} == {0.9, 0.99}
        assert runs[0].variant == "plain_gamma-0.9"

    def test_a_record_that_cannot_be_read(self, root: Path) -> None:
        (root / "study.yaml").unlink()
        (root / "CartPole-v1" / "slow" / "seed-0" / "run.json").write_text("{")
        reading = read_runs([root])
        assert len(reading.runs) == 2
        assert "is left out" in reading.cautions[0]

    def test_a_pattern_overrules_our_names(self, root: Path) -> None:
        runs = read_runs([root], "{task}/{variant}/seed-{seed}").runs
        assert (runs[0].name, runs[0].status) == ("CartPole-v1/plain/seed-0", "finished")
        assert runs[0].record is not None
        assert names(root, pattern="{task}/{variant}/{seed}")[0] == "CartPole-v1/plain/seed-seed-0"
