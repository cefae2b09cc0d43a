from __future__ import annotations

import csv
import json
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from smoothrl import registry
from smoothrl.config import RunConfig, load_run
from smoothrl.training import RunError, train

Make = Callable[..., RunConfig]
DEFAULT = Path("runs/train/test_Walk-v0/plain/seed-0")


def parameters(folder: Path, kind: str = "sac", checkpoint: str = "final") -> dict[str, torch.Tensor]:
    """What a saved agent has learned, by name."""
    agent = registry.load("agent", kind).load(folder / "checkpoints" / f"{checkpoint}.zip")  # type: ignore[attr-defined]
    return dict(agent.policy.state_dict())


def assert_equal(a: dict[str, torch.Tensor], b: dict[str, torch.Tensor]) -> None:
    assert a.keys() == b.keys()
    for name in a:
        assert torch.equal(a[name], b[name]), name


def scalars(folder: Path) -> dict[str, list[int]]:
    """The steps of every curve, read with TensorBoard's own reader."""
    events = EventAccumulator(str(folder)).Reload()
    return {tag: [event.step for event in events.Scalars(tag)] for tag in events.Tags()["scalars"]}


def record(folder: Path) -> dict[str, Any]:
    return dict(json.loads((folder / "run.json").read_text()))


def test_a_run_leaves_a_whole_folder_and_says_what_to_do_next(
    make_config: Make, capsys: pytest.CaptureFixture[str]
) -> None:
    assert train(make_config(), plain=True) == 0
    names = {entry.name for entry in DEFAULT.iterdir()}
    assert {"config.yaml", "run.json", "checkpoints", "evaluations.csv"} < names
    assert len([name for name in names if name.startswith("events.out.tfevents")]) == 1
    assert [entry.name for entry in (DEFAULT / "checkpoints").iterdir()] == ["final.zip"]

    fields = record(DEFAULT)
    assert (fields["status"], fields["timesteps"], fields["error"]) == ("finished", 200, None)
    assert 0 < fields["wall_time_s"] < 60
    rows = list(csv.DictReader((DEFAULT / "evaluations.csv").open()))
    assert [int(row["timesteps"]) for row in rows] == [100] * 3 + [200] * 3
    final = fields["final_evaluation"]
    returns = [float(row["return"]) for row in rows[3:]]
    assert final["mean_return"] == pytest.approx(np.mean(returns))
    assert final["std_return"] == pytest.approx(np.std(returns))
    assert (final["timesteps"], final["episodes"]) == (200, 3)

    said = capsys.readouterr().out
    assert "Finished: 200 steps" in said
    assert f"{final['mean_return']:,.1f} ± {final['std_return']:,.1f} (mean ± std over 3 episodes)" in said
    assert f"run folder  {DEFAULT}" in said
    assert "tensorboard --logdir runs\n" in said
    assert f"smoothrl train {DEFAULT}/config.yaml seed=1" in said


@pytest.mark.parametrize(
    ("agent", "tags"),
    [
        ("sac", {"train/actor_loss", "train/critic_loss", "train/ent_coef", "train/ent_coef_loss"}),
        ("td3", {"train/actor_loss", "train/critic_loss"}),
        ("ppo", {"train/value_loss", "train/policy_gradient_loss", "train/entropy_loss", "train/approx_kl"}),
    ],
)
def test_curves_have_the_names_of_sb3_and_end_at_the_last_step(make_config: Make, agent: str, tags: set[str]) -> None:
    assert train(make_config(agent), plain=True) == 0
    curves = scalars(DEFAULT)
    end = 256 if agent == "ppo" else 200  # PPO completes its rollout
    assert curves["rollout/ep_rew_mean"] == [50, 100, 150, end]
    assert curves["rollout/ep_len_mean"] == curves["time/fps"] == curves["rollout/ep_rew_mean"]
    for tag in ("eval/mean_reward", "eval/std_reward", "eval/mean_ep_length"):
        assert curves[tag] == [100, end]
    assert tags | {"train/learning_rate"} <= curves.keys()
    for tag in tags:
        assert curves[tag][-1] == end
        assert len(curves[tag]) == len(set(curves[tag]))


@pytest.mark.parametrize("agent", ["sac", "td3", "ppo"])
def test_training_from_the_folders_config_repeats_the_run_bit_for_bit(make_config: Make, agent: str) -> None:
    env = {"id": "test/CarelessWalk-v0", "n_envs": 2, "normalize_observation": True, "normalize_reward": True}
    section = {"kind": agent, "learning_rate": {"kind": "linear", "from": 1e-3, "to": 0.0}}
    assert train(make_config(section, env=env), out=Path("first"), plain=True) == 0
    np.random.seed(99)  # nothing of this process's past may matter
    assert train(load_run(Path("first/config.yaml")), out=Path("second"), plain=True) == 0
    assert_equal(parameters(Path("first"), agent), parameters(Path("second"), agent))
    for name in ("evaluations.csv", "config.yaml", "checkpoints/final.vecnormalize.json"):
        assert Path("first", name).read_bytes() == Path("second", name).read_bytes()


@pytest.mark.parametrize("agent", ["sac", "td3", "ppo"])
def test_evaluating_changes_nothing_of_the_training(make_config: Make, agent: str) -> None:
    env = {"id": "test/CarelessWalk-v0", "normalize_observation": True}
    for every in (0, 30):
        config = make_config(agent, env=env, evaluation={"every": every})
        assert train(config, out=Path(f"every-{every}"), plain=True) == 0
    assert_equal(parameters(Path("every-0"), agent), parameters(Path("every-30"), agent))
    assert not Path("every-0/evaluations.csv").exists()
    assert record(Path("every-0"))["final_evaluation"] is None


def test_another_seed_is_another_run(make_config: Make) -> None:
    for seed in (0, 1):
        assert train(make_config(seed=seed), out=Path(f"seed-{seed}"), plain=True) == 0
    a, b = (parameters(Path(f"seed-{seed}")) for seed in (0, 1))
    assert any(not torch.equal(a[name], b[name]) for name in a)


@pytest.mark.parametrize(
    ("agent", "env"),
    [
        ({"kind": "sac", "policy": "MultiInputPolicy"}, {"id": "test/DictWalk-v0", "normalize_observation": True}),
        ({"kind": "td3", "policy": "MultiInputPolicy"}, {"id": "test/DictWalk-v0", "frame_stack": 2}),
        (
            {"kind": "sac", "policy": "CnnPolicy", "buffer_size": 500, "gradient_steps": 1, "train_freq": 50},
            {"id": "test/ImageWalk-v0", "frame_stack": 2, "normalize_reward": True},
        ),
        ({"kind": "ppo", "policy": "CnnPolicy", "n_epochs": 1}, {"id": "test/ImageWalk-v0", "n_envs": 2}),
        ({"kind": "td3", "action_noise": {"kind": "normal"}}, {"frame_stack": 3, "normalize_observation": True}),
        ({"kind": "ppo"}, {"id": "CartPole-v1", "n_envs": 2, "vectorization": "subprocess", "normalize_reward": True}),
    ],
)
def test_every_kind_of_observation_and_wrapper_trains(
    make_config: Make, agent: dict[str, Any], env: dict[str, Any]
) -> None:
    config = make_config(agent, env=env, total_timesteps=128)
    assert train(config, out=Path("run"), plain=True) == 0
    assert record(Path("run"))["final_evaluation"]["mean_return"] is not None
    assert Path("run/checkpoints/final.vecnormalize.json").exists() == any("normalize" in key for key in env)


def test_what_is_measured_and_adapted_is_in_the_events_and_in_the_resolved_config(
    make_config: Make, capsys: pytest.CaptureFixture[str]
) -> None:
    config = make_config(
        {"kind": "sac", "critic_optimizer_kwargs": {"eps": 1e-3}, "critic_learning_rate": 1e-3},
        optimizer_adaptations=({"kind": "div_grad"}, {"kind": "mul_eps"}),
        diagnostics=({"kind": "drift", "every": 100}, {"kind": "gradients", "every": 100}),
        logging={"diagnostics_budget": 1.0},
        total_timesteps=400,
    )
    assert train(config, plain=True) == 0
    tags = scalars(DEFAULT)
    assert {"drift/relative", "optim/grad_norm/critic", "optim/rho/qf0", "train/critic_learning_rate"} <= set(tags)
    assert {"time/diagnostics_share", "time/diagnostics_put_off"} <= set(tags)
    assert load_run(DEFAULT / "config.yaml") == config
    assert "warning" not in capsys.readouterr().err


def test_an_idle_setting_is_warned_about_before_the_run_starts(
    make_config: Make, capsys: pytest.CaptureFixture[str]
) -> None:
    assert train(make_config(optimizer_adaptations=({"kind": "div_grad"},), total_timesteps=60), plain=True) == 0
    said = capsys.readouterr().err.splitlines()
    assert said[0].startswith("warning: optimizer_adaptations: div_grad will change next to nothing: ")
    assert said[1].startswith("Training sac on ")


def test_a_second_start_is_refused_and_fresh_keeps_the_old_run(make_config: Make) -> None:
    config = make_config(evaluation={"every": 0}, total_timesteps=60)
    assert train(config, plain=True) == 0
    before = (DEFAULT / "run.json").read_bytes()
    with pytest.raises(RunError, match="already holds a run: finished after 60 steps"):
        train(config, plain=True)
    assert (DEFAULT / "run.json").read_bytes() == before
    assert train(config, fresh=True, plain=True) == 0
    assert (DEFAULT.with_name("seed-0.old-1") / "run.json").read_bytes() == before


def test_a_refusal_costs_no_torch(make_config: Make) -> None:
    """Also: importing `smoothrl.training` imports neither torch nor SB3."""
    DEFAULT.mkdir(parents=True)
    (DEFAULT / "note.txt").touch()
    script = """
import sys
from smoothrl.config import RunConfig
from smoothrl.training import RunError, train
config = {"variant": "plain", "total_timesteps": 1, "env": {"id": "CartPole-v1"}, "agent": {"kind": "ppo"}}
try:
    train(RunConfig.model_validate(config))
except RunError as error:
    print(error)
assert not {"torch", "stable_baselines3", "tensorboard"} & set(sys.modules)
"""
    folder = DEFAULT.parent.parent.with_name("CartPole-v1") / "plain" / "seed-0"
    shutil.copytree(DEFAULT, folder)
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert "is not empty and holds no run" in done.stdout


def test_what_cannot_be_built_leaves_no_folder(make_config: Make) -> None:
    with pytest.raises(RunError, match="agent: cannot be built"):
        train(make_config({"kind": "sac", "policy": "CnnPolicy"}))
    assert list(Path().iterdir()) == []


@pytest.mark.parametrize("agent", ["sac", "td3", "ddpg", "ppo", "a2c"])
def test_a_loss_that_is_not_finite_ends_the_run_as_diverged(
    make_config: Make, capsys: pytest.CaptureFixture[str], agent: str
) -> None:
    config = make_config(agent, env={"kwargs": {"poisoned_at": 120}}, evaluation={"every": 70})
    assert train(config, out=Path("run"), plain=True) == 1
    fields = record(Path("run"))
    assert fields["status"] == "diverged"
    assert re.search(r"(_loss is nan|parameter \S+ is not finite) at .*step \d+", fields["error"])
    assert fields["final_evaluation"] is None
    assert 120 <= fields["timesteps"] < 256
    captured = capsys.readouterr()
    assert fields["error"] in captured.err
    assert captured.out == ""
    parameters(Path("run"), agent, "diverged")  # the last state can be loaded
    assert scalars(Path("run"))["eval/mean_reward"] == [70]


def test_an_exploding_learning_rate_is_told_from_a_crash(make_config: Make) -> None:
    assert train(make_config({"kind": "td3", "learning_rate": 1e30}), out=Path("run"), plain=True) == 1
    assert record(Path("run"))["status"] == "diverged"


def test_a_crash_is_on_record_and_raised(make_config: Make) -> None:
    config = make_config(env={"kwargs": {"broken_at": 120}})
    with pytest.raises(RuntimeError, match="the leg fell off"):
        train(config, out=Path("run"), plain=True)
    fields = record(Path("run"))
    assert fields["status"] == "failed"
    assert fields["error"] == "RuntimeError: the leg fell off"
    assert fields["timesteps"] == 119
    assert fields["ended"] is not None
    assert scalars(Path("run"))["rollout/ep_rew_mean"] == [50, 100]
    with pytest.raises(RunError, match="failed after 119 steps"):
        train(config, out=Path("run"), plain=True)


@pytest.mark.mujoco
def test_mujoco_is_quiet_and_leaves_no_file_behind(make_config: Make, capfd: pytest.CaptureFixture[str]) -> None:
    pytest.importorskip("mujoco")
    pytest.importorskip("imageio")
    assert train(make_config(env={"id": "HalfCheetah-v5"}, evaluation={"every": 0}), out=Path("run"), plain=True) == 0
    captured = capfd.readouterr()
    assert "deprecated" not in captured.out + captured.err
    assert [entry.name for entry in Path().iterdir()] == ["run"]
