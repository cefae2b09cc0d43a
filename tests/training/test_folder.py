from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from smoothrl.config import RunConfig
from smoothrl.training import RunError
from smoothrl.training.folder import LOCK, claim, default_folder, require_free


def hold_a_run(path: Path, **record: Any) -> None:
    path.mkdir(parents=True)
    fields = {"status": "finished", "timesteps": 8000, "started": "2026-11-21T05:00:00+00:00", "pid": 123}
    (path / "run.json").write_text(json.dumps(fields | {"machine": {"host": "box"}} | record))


def test_the_default_folder_is_study_task_variant_seed(make_config: Callable[..., RunConfig]) -> None:
    config = make_config(study="smooth", variant="sn", seed=3)
    assert default_folder(config) == Path("runs/smooth/test_Walk-v0/sn/seed-3")


def test_a_new_and_an_empty_folder_are_free(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    for name in ("new/deep", "empty"):
        with claim(tmp_path / name, fresh=False):
            assert (tmp_path / name).is_dir()


def test_a_process_killed_before_it_began_leaves_the_folder_free(tmp_path: Path) -> None:
    (tmp_path / LOCK).touch()
    with claim(tmp_path, fresh=False):
        pass


@pytest.mark.parametrize(
    ("record", "told"),
    [
        ({}, "finished after 8,000 steps, started 2026-11-21T05:00:00+00:00."),
        ({"status": "interrupted", "timesteps": 17}, "interrupted after 17 steps"),
        ({"status": "running", "timesteps": 0}, "started 2026-11-21T05:00:00+00:00, then killed"),
    ],
)
def test_an_old_run_is_refused_with_its_history_and_the_ways_out(
    tmp_path: Path, record: dict[str, Any], told: str
) -> None:
    path = tmp_path / "seed-0"
    hold_a_run(path, **record)
    with pytest.raises(RunError) as refusal:
        require_free(path, fresh=False)
    message = str(refusal.value)
    assert f"{path} already holds a run: " in message
    assert told in message
    assert "--out" in message
    assert f"--fresh     moves it aside to {path}.old-1" in message


def test_fresh_moves_old_runs_aside_and_keeps_all_of_them(tmp_path: Path) -> None:
    path = tmp_path / "seed-0"
    for steps in (1, 2):
        hold_a_run(path, timesteps=steps)
        with claim(path, fresh=True):
            assert [entry.name for entry in path.iterdir()] == [LOCK]
        (path / LOCK).unlink()
        path.rmdir()
    for steps in (1, 2):
        assert json.loads((tmp_path / f"seed-0.old-{steps}" / "run.json").read_text())["timesteps"] == steps


@pytest.mark.parametrize("fresh", [False, True])
def test_a_run_that_goes_on_is_left_alone(tmp_path: Path, fresh: bool) -> None:
    path = tmp_path / "seed-0"
    hold_a_run(tmp_path / "other", status="running")
    with claim(path, fresh=False):
        (tmp_path / "other" / "run.json").rename(path / "run.json")
        with pytest.raises(RunError, match="trained right now by process 123 on box"):
            require_free(path, fresh)
    assert path.exists()


def test_two_starts_at_once_have_one_winner(tmp_path: Path) -> None:
    with (
        claim(tmp_path, fresh=False),
        pytest.raises(RunError, match="taken by another process"),
        claim(tmp_path, False),
    ):
        pass


@pytest.mark.parametrize("fresh", [False, True])
def test_what_is_not_a_run_is_never_moved(tmp_path: Path, fresh: bool) -> None:
    (tmp_path / "home").mkdir()
    (tmp_path / "home" / "thesis.tex").touch()
    with pytest.raises(RunError, match=r"holds no run \(run.json is missing\)"):
        require_free(tmp_path / "home", fresh)
    with pytest.raises(RunError, match="is a file"):
        require_free(tmp_path / "home" / "thesis.tex", fresh)
    with (
        pytest.raises(RunError, match=r"cannot make the run folder .*: Not a directory"),
        claim(tmp_path / "home" / "thesis.tex" / "run", fresh),
    ):
        pass


def test_a_record_that_cannot_be_read_is_said_to_be(tmp_path: Path) -> None:
    (tmp_path / "run.json").write_text('{"status": "fin')
    with pytest.raises(RunError, match=r"run\.json cannot be read \(Unterminated string"):
        require_free(tmp_path, fresh=True)
