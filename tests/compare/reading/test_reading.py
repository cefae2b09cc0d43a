"""Trees of runs as their real writers leave them: SB3, rl-baselines3-zoo's callbacks, CleanRL's writer."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import gymnasium
import numpy as np
import pytest
import stable_baselines3
from run_trees import only, scalars
from stable_baselines3.common.callbacks import EvalCallback
from stable_baselines3.common.env_util import make_vec_env
from stable_baselines3.common.monitor import Monitor
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from torch.utils.tensorboard import SummaryWriter

from smoothrl.compare.reading.read import read_runs
from smoothrl.compare.runs import CompareError

SMALL: dict[str, Any] = {"n_steps": 32, "policy_kwargs": {"net_arch": [4]}, "device": "cpu"}


class TestSB3:
    @pytest.fixture(scope="class")
    @staticmethod
    def logs(tmp_path_factory: pytest.TempPathFactory) -> Path:
        """One agent that is trained, and goes on; another one of the same name; one of another algorithm."""
        logs = tmp_path_factory.mktemp("sb3") / "CartPole-v1"
        for kind in (stable_baselines3.PPO, stable_baselines3.PPO, stable_baselines3.A2C):
            agent = kind("MlpPolicy", "CartPole-v1", seed=0, tensorboard_log=str(logs), **SMALL)
            agent.learn(320, log_interval=1)
            if kind is stable_baselines3.PPO:
                agent.learn(64, log_interval=1, reset_num_timesteps=False)
        return logs

    def test_names_and_curves(self, logs: Path) -> None:
        reading = read_runs([logs])
        assert [run.name for run in reading.runs] == [
            "CartPole-v1/A2C/seed-1", "CartPole-v1/PPO/seed-1", "CartPole-v1/PPO/seed-2",
        ]  # fmt: skip
        assert (reading.tag, reading.title) == ("rollout/ep_rew_mean", "CartPole-v1")

    def test_a_run_that_went_on_is_one_curve(self, logs: Path) -> None:
        run = only(logs / "PPO_1")
        assert len(list(run.folder.iterdir())) == 2
        assert run.notices == ()
        steps = run.curves["time/fps"].steps.tolist()
        assert steps == sorted(set(steps))
        assert steps[-1] == 320 + 64
        accumulator = EventAccumulator(str(run.folder), size_guidance={"scalars": 0})
        accumulator.Reload()
        assert set(run.curves) == set(accumulator.Tags()["scalars"])
        for tag, found in run.curves.items():
            expected = [(event.step, event.value) for event in accumulator.Scalars(tag)]
            assert list(zip(found.steps.tolist(), found.values.tolist(), strict=True)) == expected


class TestZoo:
    """Its folders, made by the callback and the wrapper of SB3 that it uses."""

    @pytest.fixture(scope="class")
    @staticmethod
    def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
        folder = tmp_path_factory.mktemp("zoo") / "ppo" / "CartPole-v1_3"
        (folder / "CartPole-v1").mkdir(parents=True)
        env = make_vec_env("CartPole-v1", n_envs=2, seed=0, monitor_dir=str(folder))
        evaluate = EvalCallback(
            Monitor(gymnasium.make("CartPole-v1")), n_eval_episodes=3, eval_freq=64, log_path=str(folder), verbose=0
        )
        stable_baselines3.PPO("MlpPolicy", env, seed=0, **SMALL).learn(512, callback=evaluate)
        return folder

    def test_evaluations(self, run: Path) -> None:
        found = only(run.parent)
        assert found.name == "CartPole-v1/ppo/seed-3"
        with np.load(run / "evaluations.npz") as arrays:
            assert found.curves["eval/mean_reward"].steps.tolist() == arrays["timesteps"].tolist()
            assert found.curves["eval/mean_reward"].values.tolist() == arrays["results"].mean(axis=1).tolist()
            assert found.curves["eval/mean_ep_length"].values.tolist() == arrays["ep_lengths"].mean(axis=1).tolist()

    def test_monitors_count_the_steps_of_all_environments(self, run: Path) -> None:
        curve = only(run).curves["rollout/episodic_return"]
        rows = [line.split(",") for path in run.glob("*.monitor.csv") for line in path.read_text().splitlines()[2:]]
        assert len(list(run.glob("*.monitor.csv"))) == 2
        assert curve.steps[-1] == sum(int(row[1]) for row in rows)
        assert sorted(curve.values.tolist()) == sorted(float(row[0]) for row in rows)
        assert np.all(curve.values == only(run).curves["rollout/episodic_length"].values)  # one per step in CartPole

    def test_an_event_file_has_the_word(self, run: Path, tmp_path: Path) -> None:
        with np.load(run / "evaluations.npz") as arrays:
            saved = dict(arrays)
        folder = scalars(tmp_path / "a" / "E_1", scale=7.0)
        (folder / "E").mkdir()
        np.savez(folder / "evaluations.npz", **saved)
        curves = only(tmp_path).curves
        assert curves["eval/mean_reward"].values.tolist() == [0, 70, 140, 210, 280]
        assert curves["eval/mean_ep_length"].steps.tolist() == saved["timesteps"].tolist()

    @pytest.mark.parametrize("content", [b"", b"PK\x03\x04 torn", b"not a zip"])
    def test_damaged_tables_are_noticed(self, tmp_path: Path, content: bytes) -> None:
        folder = scalars(tmp_path / "a" / "E_1")
        (folder / "E").mkdir()
        (folder / "evaluations.npz").write_bytes(content)
        (folder / "0.monitor.csv").write_bytes(content)
        run = only(tmp_path)
        assert list(run.curves) == ["eval/mean_reward"]
        assert [notice.partition(" cannot be read")[0] for notice in run.notices] == ["evaluations.npz", "monitor.csv"]

    def test_pickled_arrays_are_refused(self, tmp_path: Path) -> None:
        folder = scalars(tmp_path / "a" / "E_1")
        (folder / "E").mkdir()
        ragged = np.array([[1.0], [1.0, 2.0]], dtype=object)
        np.savez(folder / "evaluations.npz", timesteps=np.arange(2), results=ragged, ep_lengths=ragged)
        assert "allow_pickle=False" in only(tmp_path).notices[0]

    def test_a_monitor_that_was_appended_to(self, tmp_path: Path) -> None:
        """SB3's `override_existing=False`: the clock begins again, the order of the file is right. Its end is torn."""
        folder = tmp_path / "a" / "E_1"
        (folder / "E").mkdir(parents=True)
        lines = ['#{"t_start": 5.0}', "r,l,t", "1,10,1.0", "2,10,2.0", "3,10,0.5", "4,10,0.9", "5,"]
        (folder / "monitor.csv").write_text("\n".join(lines))
        run = only(tmp_path)
        assert run.curves["rollout/episodic_return"].values.tolist() == [1, 2, 3, 4]
        assert run.curves["rollout/episodic_return"].steps.tolist() == [10, 20, 30, 40]
        assert "1 lines that are no episode" in run.notices[0]


class TestCleanRL:
    @pytest.fixture
    @staticmethod
    def folder(tmp_path: Path) -> Path:
        """As its scripts write: the arguments as a table, an episode's return at the step when it ended."""
        folder = tmp_path / "CartPole-v1__dqn__5__1700000000"
        with SummaryWriter(str(folder)) as writer:
            rows = "\n".join(
                f"|{key}|{value}|" for key, value in {"gamma": 0.99, "track": False, "note": "a|b"}.items()
            )
            writer.add_text("hyperparameters", "|param|value|\n|-|-|\n" + rows)
            for step, ret in ((8, 1.0), (16, 2.0), (16, 6.0), (24, 3.0)):
                writer.add_scalar("charts/episodic_return", ret, step)
                writer.add_scalar("losses/td_loss", ret, step)
        return folder

    def test_names_curves_and_arguments(self, folder: Path) -> None:
        run = only(folder.parent)
        assert run.name == "CartPole-v1/dqn/seed-5"
        assert run.curves["charts/episodic_return"].values.tolist() == [1, 4, 3]
        assert run.curves["losses/td_loss"].values.tolist() == [1, 6, 3]
        assert run.config == {"gamma": "0.99", "track": "False", "note": "a|b"}
        assert read_runs([folder]).tag == "charts/episodic_return"

    def test_a_second_writer_with_a_purge_step(self, folder: Path) -> None:
        first = next(folder.iterdir())
        first.rename(folder / "events.out.tfevents.1.first")
        with SummaryWriter(str(folder), purge_step=16) as writer:
            writer.add_scalar("charts/episodic_return", 9.0, 20)
        run = only(folder)
        assert run.curves["charts/episodic_return"].steps.tolist() == [8, 20]
        assert run.curves["losses/td_loss"].steps.tolist() == [8]
        assert "starts again at step 16: 6 points" in run.notices[0]

    def test_the_same_run_twice(self, folder: Path) -> None:
        scalars(folder.with_name("CartPole-v1__dqn__5__1800000000"), "charts/episodic_return")
        with pytest.raises(CompareError, match=r"__1700000000 and .*__1800000000 are both CartPole-v1/dqn/seed-5"):
            read_runs([folder.parent])
