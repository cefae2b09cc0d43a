"""Which runs a tree holds, which curve is chosen, and what is said while they are read."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from run_trees import names, only, scalars

from smoothrl.compare.reading.read import default_tag, read_runs
from smoothrl.compare.runs import CompareError, Curve, Run


class TestTrees:
    def test_a_pattern(self, tmp_path: Path) -> None:
        for seed in (10, 9):
            scalars(tmp_path / "Hopper" / "sac" / f"s{seed}")
        assert names(tmp_path, pattern="{task}/{variant}/s{seed}") == ["Hopper/sac/seed-9", "Hopper/sac/seed-10"]
        assert names(tmp_path, pattern="{variant}/{_}") == ["task/sac/seed-0", "task/sac/seed-1"]

    def test_a_layout_that_nobody_knows(self, tmp_path: Path) -> None:
        folder = scalars(tmp_path / "Hopper" / "sac" / "s9")
        with pytest.raises(CompareError) as error:
            read_runs([tmp_path])
        assert str(folder) in str(error.value)
        assert "--pattern '{task}/{variant}/s{seed}'" in str(error.value)

    def test_a_pattern_that_matches_nothing(self, tmp_path: Path) -> None:
        folder = scalars(tmp_path / "Hopper" / "sac" / "s9")
        with pytest.raises(CompareError, match="matches none of the 1 folders") as error:
            read_runs([tmp_path], "{variant}/seed-{seed}")
        assert str(folder) in str(error.value)

    def test_what_does_not_match_is_said(self, tmp_path: Path) -> None:
        scalars(tmp_path / "sac" / "s9")
        scalars(tmp_path / "notes")
        reading = read_runs([tmp_path], "{variant}/s{seed}")
        assert len(reading.runs) == 1
        assert "1 folders with curves are left out" in reading.cautions[0]

    def test_two_folders_of_one_run(self, tmp_path: Path) -> None:
        scalars(tmp_path / "a" / "sac" / "1")
        scalars(tmp_path / "b" / "sac" / "1")
        with pytest.raises(CompareError, match="are both task/sac/seed-1"):
            read_runs([tmp_path], "{variant}/{seed}")

    def test_nothing_there(self, tmp_path: Path) -> None:
        with pytest.raises(CompareError, match="no run below"):
            read_runs([tmp_path])
        with pytest.raises(CompareError, match="no such folder"):
            read_runs([tmp_path / "gone"])
        (tmp_path / "file").touch()
        with pytest.raises(CompareError, match="is a file"):
            read_runs([tmp_path / "file"])

    def test_links_are_followed_and_loops_end(self, tmp_path: Path) -> None:
        scalars(tmp_path / "elsewhere" / "sac" / "s1")
        (tmp_path / "runs").mkdir()
        (tmp_path / "runs" / "link").symlink_to(tmp_path / "elsewhere")
        (tmp_path / "elsewhere" / "loop").symlink_to(tmp_path / "runs")
        assert names(tmp_path / "runs", pattern="{variant}/s{seed}") == ["task/sac/seed-1"]

    def test_a_file_that_cannot_be_read(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        folder = scalars(tmp_path / "sac" / "s1")
        broken = folder / "events.out.tfevents.2.broken"
        broken.touch()
        original = Path.open

        def refuse(self: Path, *args: Any, **kwargs: Any) -> Any:
            if self == broken:
                raise PermissionError(13, "Permission denied")
            return original(self, *args, **kwargs)

        monkeypatch.setattr(Path, "open", refuse)
        run = only(tmp_path, pattern="{variant}/s{seed}")
        assert run.notices == (f"{broken.name} cannot be read: Permission denied",)
        assert len(run.curves["eval/mean_reward"].steps) == 5

    def test_an_event_file_that_is_no_file(self, tmp_path: Path) -> None:
        """A pipe would wait for ever."""
        import os

        folder = scalars(tmp_path / "sac" / "s1")
        os.mkfifo(folder / "events.out.tfevents.pipe")
        (folder / "events.out.tfevents.gone").symlink_to("nowhere")
        assert only(tmp_path, pattern="{variant}/s{seed}").notices == ()


class TestProgress:
    @pytest.mark.parametrize(("terminal", "patience", "shown"), [("1", 0, True), ("1", 60, False), ("0", 0, False)])
    def test_a_bar_only_in_a_terminal_and_only_when_it_takes_long(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str],
        terminal: str, patience: float, shown: bool,
    ) -> None:  # fmt: skip
        monkeypatch.setenv("TTY_COMPATIBLE", terminal)
        monkeypatch.setattr("smoothrl.compare.reading.read.PATIENCE", patience)
        for seed in range(3):
            scalars(tmp_path / "sac" / str(seed))
        read_runs([tmp_path], "{variant}/{seed}")
        out, err = capsys.readouterr()
        assert out == ""
        assert ("Reading" in err) == shown
        assert shown or err == ""


class TestTags:
    @staticmethod
    def runs(*tags: list[str]) -> list[Run]:
        curve = Curve(np.array([1]), np.array([1.0]))
        return [Run(Path(), "t", f"v{i}", "0", dict.fromkeys(found, curve)) for i, found in enumerate(tags)]

    def test_the_most_telling_that_all_have(self) -> None:
        both, train = ["rollout/ep_rew_mean", "eval/mean_reward"], ["rollout/ep_rew_mean"]
        assert default_tag(self.runs(both, both)) == ("eval/mean_reward", ())
        assert default_tag(self.runs(both, train)) == ("rollout/ep_rew_mean", ())
        assert default_tag(self.runs(both, [])) == ("eval/mean_reward", ())

    def test_else_that_which_most_have(self) -> None:
        tag, (caution,) = default_tag(self.runs(["eval/mean_reward"], ["charts/episodic_return"], ["eval/mean_reward"]))
        assert tag == "eval/mean_reward"
        assert caution == "1 of 3 runs have no curve `eval/mean_reward`, such as t/v1/seed-0"

    def test_none(self) -> None:
        with pytest.raises(CompareError, match=r"--tag\. There are losses/a, losses/b"):
            default_tag(self.runs(["losses/b"], ["losses/a"]))
        with pytest.raises(CompareError, match="none of the 1 runs has a point"):
            default_tag(self.runs([]))

    def test_a_tag_that_is_asked_for(self, tmp_path: Path) -> None:
        scalars(tmp_path / "sac" / "1", "losses/q")
        scalars(tmp_path / "sac" / "2")
        reading = read_runs([tmp_path], "{variant}/{seed}", "losses/q")
        assert reading.tag == "losses/q"
        assert reading.cautions == ("1 of 2 runs have no curve `losses/q`, such as task/sac/seed-2",)
        with pytest.raises(CompareError, match="did you mean `losses/q`"):
            read_runs([tmp_path], "{variant}/{seed}", "loses/q")
