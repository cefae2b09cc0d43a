"""What SB3's users rely on works with regularized critics: callbacks, wrappers, spaces, buffers."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import gymnasium
import numpy as np
import pytest
import stable_baselines3 as sb3
import torch
from stable_baselines3.common.callbacks import (
    BaseCallback,
    CheckpointCallback,
    EvalCallback,
    StopTrainingOnRewardThreshold,
)
from stable_baselines3.common.env_util import make_vec_env
from stable_baselines3.common.envs import BitFlippingEnv
from stable_baselines3.common.vec_env import SubprocVecEnv, VecNormalize
from torch import Tensor

from smoothrl.critics import GradientPenalty, SpectralNorm

REGULARIZERS = (SpectralNorm(), GradientPenalty(coef=0.1, side="one", target=0.1, points="interpolate"))
STEPS = 96


def assert_equal(a: dict[str, Tensor], b: dict[str, Tensor]) -> None:
    assert a.keys() == b.keys()
    assert not [name for name in a if not torch.equal(a[name], b[name])]


def normalized(agent: Any) -> dict[str, np.ndarray]:
    """Every normalized layer, online and target, as the dense matrix it multiplies with."""
    matrices = {}
    for view in filter(None, (agent._online_critic, agent._target_critic)):
        for branch in view.branches.values():
            for name, layer in branch:
                if hasattr(layer, "spectral"):
                    state = layer.spectral.v.shape
                    basis = torch.eye(state.numel()).reshape(-1, *state)
                    with torch.no_grad():
                        matrix = layer(basis) - layer(torch.zeros(1, *state))
                    matrices[f"{view.name}.{name}"] = matrix.flatten(1).numpy()
    return matrices


def assert_norms(agent: Any, k: float = 1.0, layers: int | None = None, rel: float = 0.03) -> None:
    """After a fast start; tests/agents/ trains for longer and allows less."""
    matrices = normalized(agent)
    assert matrices
    assert layers is None or len(matrices) == layers
    for name, matrix in matrices.items():
        assert np.linalg.svd(matrix, compute_uv=False)[0] == pytest.approx(k, rel=rel), name


def test_checkpoints_evaluations_and_the_best_model(
    agent_name: str, on_policy: bool, env_id: str, build: Any, tmp_path: Path
) -> None:
    agent = build(agent_name, *REGULARIZERS)
    callbacks: list[BaseCallback] = [
        CheckpointCallback(32, str(tmp_path), save_replay_buffer=not on_policy),
        EvalCallback(make_vec_env(env_id), eval_freq=32, n_eval_episodes=1, verbose=0, warn=False,
                     best_model_save_path=str(tmp_path), log_path=str(tmp_path)),
    ]  # fmt: skip
    agent.learn(STEPS, callback=callbacks)
    assert list(np.load(tmp_path / "evaluations.npz")["timesteps"]) == [32, 64, 96]
    for file in ("rl_model_64_steps.zip", "best_model.zip"):
        loaded = type(agent).load(tmp_path / file, device="cpu")
        assert loaded.critic_regularizers == REGULARIZERS
        assert_norms(loaded)
    if not on_policy:
        agent.load_replay_buffer(tmp_path / "rl_model_replay_buffer_64_steps.pkl")
        assert agent.replay_buffer.pos == 63  # callbacks see a step before it is stored


def test_a_reward_threshold_stops_the_training(agent_name: str, env_id: str, build: Any) -> None:
    stop = EvalCallback(
        make_vec_env(env_id),
        callback_on_new_best=StopTrainingOnRewardThreshold(-1e9, verbose=0),
        eval_freq=40,
        n_eval_episodes=1,
        verbose=0,
        warn=False,
    )
    assert build(agent_name, *REGULARIZERS).learn(1000, callback=stop).num_timesteps == 40


def test_normalized_observations_and_rewards(agent_name: str, env_id: str, build: Any, tmp_path: Path) -> None:
    env = VecNormalize(make_vec_env(env_id, n_envs=2, seed=0), norm_obs=True, norm_reward=True)
    agent = build(agent_name, *REGULARIZERS, env=env).learn(STEPS)
    assert agent.get_vec_normalize_env() is env
    assert env.obs_rms.count > STEPS
    assert_norms(agent)
    agent.save(tmp_path / "agent")
    env.training = False
    loaded = type(agent).load(tmp_path / "agent", env=env, device="cpu")
    observation = env.reset()
    assert np.array_equal(*(a.predict(observation, deterministic=True)[0] for a in (agent, loaded)))


def test_several_environments(agent_name: str, env_id: str, build: Any) -> None:
    agent = build(agent_name, *REGULARIZERS, env=make_vec_env(env_id, n_envs=3, seed=0)).learn(STEPS)
    assert agent.n_envs == 3
    assert agent.metrics._updates >= 10
    assert_norms(agent)


def test_environments_in_processes(build: Any) -> None:
    # An environment of gymnasium's, since a child process does not know those of the tests.
    env = make_vec_env("Pendulum-v1", n_envs=2, seed=0, vec_env_cls=SubprocVecEnv)
    agent = build("sac", *REGULARIZERS, env=env).learn(STEPS)
    env.close()
    assert_norms(agent)


def test_dict_observations(agent_name: str, build: Any, tmp_path: Path) -> None:
    agent = build(agent_name, *REGULARIZERS, env="Dict", policy="MultiInputPolicy").learn(STEPS)
    assert_norms(agent)
    agent.save(tmp_path / "agent")
    loaded = type(agent).load(tmp_path / "agent", device="cpu")
    assert_equal(loaded.policy.state_dict(), agent.policy.state_dict())
    observation = {"x": np.ones((4, 1), np.float32), "y": np.zeros((4, 1), np.float32)}
    assert np.array_equal(*(a.predict(observation, deterministic=True)[0] for a in (agent, loaded)))


def test_images_and_normalized_convolutions(agent_name: str, on_policy: bool, build: Any, tmp_path: Path) -> None:
    """The norm of the operator at the real image size is k, by SVD of its dense matrix, for online and target."""
    agent = build(
        agent_name,
        SpectralNorm(layers=(-2, -4), lipschitz_k=2.0),
        GradientPenalty(coef=0.1, side="one", target=0.1),
        env="Image",
        policy="CnnPolicy",
        policy_kwargs={"net_arch": [12], "features_extractor_kwargs": {"features_dim": 16}}
        | ({} if agent_name == "dqn" else {"share_features_extractor": False}),
        **({} if on_policy else {"tau": 0.005}),
        learning_rate=3e-4,
    ).learn(64)
    assert agent.metrics._updates >= 20
    # A convolution, which the Q networks share, and a Linear of each; the target has as many.
    views = list(filter(None, (agent._online_critic, agent._target_critic)))
    assert_norms(agent, k=2.0, layers=len(views) * (1 + len(views[0].branches)), rel=0.15)
    agent.save(tmp_path / "agent")
    loaded = type(agent).load(tmp_path / "agent", device="cpu")
    assert_equal(loaded.policy.state_dict(), agent.policy.state_dict())


def test_a_shared_extractor_is_trained_and_not_normalized(agent_name: str, build: Any) -> None:
    if agent_name == "dqn":
        pytest.skip("no actor to share it with")
    agent = build(
        agent_name,
        SpectralNorm(layers=(-1, -2)),
        env="Image",
        policy="CnnPolicy",
        policy_kwargs={"share_features_extractor": True, "features_extractor_kwargs": {"features_dim": 16}},
    )
    extractor = agent._online_critic.model.features_extractor
    before = {name: x.clone() for name, x in extractor.state_dict().items()}
    agent.learn(40)
    assert not [name for name, module in extractor.named_modules() if hasattr(module, "spectral")]
    assert before.keys() == extractor.state_dict().keys()
    assert all(not torch.equal(x, before[name]) for name, x in extractor.state_dict().items())
    views = list(filter(None, (agent._online_critic, agent._target_critic)))
    assert len(normalized(agent)) == 2 * len(views) * len(views[0].branches)


def test_n_step_returns(agent_name: str, on_policy: bool, build: Any) -> None:
    if on_policy:
        pytest.skip("on-policy: `n_steps` is the length of a rollout")
    agent = build(agent_name, *REGULARIZERS, n_steps=3).learn(STEPS)
    assert type(agent.replay_buffer).__name__ == "NStepReplayBuffer"
    assert_norms(agent)


def test_hindsight_experience_replay(agent_name: str, on_policy: bool, build: Any) -> None:
    """Works regularized; plain it stays SB3's, bit for bit."""
    if on_policy:
        pytest.skip("on-policy: no replay buffer")

    def train(*regularizers: Any, cls: Any = None) -> Any:
        agent = build(
            agent_name, *regularizers, env=BitFlippingEnv(n_bits=4, continuous=agent_name != "dqn", max_steps=4),
            policy="MultiInputPolicy", replay_buffer_class=sb3.HerReplayBuffer, learning_starts=20,
        )  # fmt: skip
        return agent.learn(STEPS)

    assert_norms(train(*REGULARIZERS))
    assert_equal(train().policy.state_dict(), train(GradientPenalty(coef=0.0)).policy.state_dict())


def test_discrete_observations_are_one_hot_vectors(build: Any) -> None:
    agent = build("ppo", *REGULARIZERS, env=gymnasium.make("FrozenLake-v1")).learn(64)
    inputs = agent._online_critic.preprocess(torch.tensor([[3], [0]]))[""]
    assert torch.equal(inputs.flatten(1), torch.eye(16)[[3, 0]])
    assert_norms(agent)
