"""What every agent promises with every regularizer, adaptation and diagnostic. The cases come from the registry (see
conftest.py)."""

from __future__ import annotations

import base64
import copy
import json
import math
import zipfile
from itertools import chain
from pathlib import Path
from typing import Any

import gymnasium
import numpy as np
import pytest
import stable_baselines3 as sb3
import torch
from stable_baselines3.common.evaluation import evaluate_policy
from torch import Tensor, nn

from smoothrl.critics import SpectralNorm

OBSERVATIONS = torch.linspace(-4, 4, 20).reshape(10, 2)
ACTIONS = torch.linspace(1, -1, 20).reshape(10, 2)


def state(agent: Any) -> dict[str, Tensor]:
    return {name: x.clone() for name, x in agent.policy.state_dict().items()}


def assert_equal(a: dict[str, Tensor], b: dict[str, Tensor]) -> None:
    assert a.keys() == b.keys()
    assert not [name for name in a if not torch.equal(a[name], b[name])]


def critics(agent: Any) -> list[Any]:
    return [view for view in (agent._online_critic, agent._target_critic) if view is not None]


def critic_values(agent: Any) -> Tensor:
    """Of the online and the target critic, all sub-networks, at fixed points."""
    with torch.no_grad():
        values = [
            view.values(view.preprocess(OBSERVATIONS), ACTIONS if view.takes_action else None)
            for view in critics(agent)
        ]
        return torch.cat([v for networks in values for v in networks])


def sigmas(agent: Any, regularizer: SpectralNorm) -> dict[str, tuple[float, float]]:
    """Normalized layer -> (spectral norm of what it computes, of its raw weight): basis vectors through it, and SVD."""
    found = {}
    for view in critics(agent):
        for branch in view.branches.values():
            for name, layer in (branch[index] for index in regularizer.layers):
                with torch.no_grad():
                    matrix = layer(torch.eye(layer.in_features)) - layer(torch.zeros(1, layer.in_features))
                norms = [np.linalg.svd(m.detach().numpy(), compute_uv=False)[0] for m in (matrix, layer.weight)]
                found[f"{view.name}.{name}"] = (float(norms[0]), float(norms[1]))
    return found


def assert_sigmas_are_right(agent: Any, regularizer: SpectralNorm) -> None:
    for name, (effective, raw) in sigmas(agent, regularizer).items():
        k = regularizer.lipschitz_k
        wanted = k if regularizer.mode == "exact" else min(k, raw)
        assert effective == pytest.approx(wanted, rel=0.03), name


def test_everything_registered_is_put_through_the_battery(missing: dict[str, set[str]]) -> None:
    for table, names in missing.items():
        assert not names, f"add {', '.join(sorted(names))} to {table} in tests/conformance/conftest.py"


def test_trains_with_finite_losses(trained: Any, updates: list[dict[str, float]]) -> None:
    assert len(updates) >= 20
    assert all(math.isfinite(value) for metrics in updates for value in metrics.values())
    assert all(torch.isfinite(x).all() for x in trained.policy.state_dict().values())


def test_changes_what_the_critic_learns(case: Any, trained: Any, plain: Any) -> None:
    ours, theirs = (
        torch.cat([layer.weight.flatten() for _, layer in chain(*agent._online_critic.branches.values())])
        for agent in (trained, plain)
    )
    assert not torch.equal(ours, theirs)


def test_keeps_its_parameters_under_their_names(trained: Any, plain: Any) -> None:
    """Constraints may add some; checkpoints of the plain agent must not become unreadable by renaming."""
    parameters = {name: p.shape for name, p in trained.policy.named_parameters()}
    assert parameters.items() >= {name: p.shape for name, p in plain.policy.named_parameters()}.items()
    optimized = {p for o in optimizers(trained) for group in o.param_groups for p in group["params"]}
    assert set(trained._online_critic.model.parameters()) <= optimized


def optimizers(agent: Any) -> list[torch.optim.Optimizer]:
    owners = [agent, agent.policy, *(getattr(agent, name, None) for name in ("actor", "critic"))]
    return [o for owner in owners for o in vars(owner or object).values() if isinstance(o, torch.optim.Optimizer)]


def test_same_seed_same_parameters(case: Any, trained: Any) -> None:
    assert_equal(state(case.build().learn(case.steps)), state(trained))


def test_the_actor_is_never_touched(case: Any, trained: Any) -> None:
    for part in case.actor(trained):
        for name, module in part.named_modules():
            assert type(module).__module__.startswith(("torch.nn.modules", "stable_baselines3")), name
            assert type(module) is nn.Linear or not hasattr(module, "weight"), name
        assert set(part.state_dict()) == {name for name, _ in part.named_parameters()}


def test_save_and_load_round_trip(case: Any, trained: Any, tmp_path: Path) -> None:
    trained.save(tmp_path / "agent.zip")
    loaded = type(trained).load(tmp_path / "agent.zip", device="cpu")
    assert pieces(loaded) == pieces(trained) == (case.setting.piece,)
    assert_equal(state(loaded), state(trained))
    assert torch.equal(critic_values(loaded), critic_values(trained))
    actions = [agent.predict(OBSERVATIONS.numpy(), deterministic=True)[0] for agent in (loaded, trained)]
    assert np.array_equal(*actions)


def pieces(agent: Any) -> tuple[Any, ...]:
    return agent.critic_regularizers + agent.optimizer_adaptations + agent.diagnostics


def test_updates_go_on_bit_for_bit_after_loading(case: Any, tmp_path: Path) -> None:
    """Optimizer moments, singular vectors, step counters: an agent that was loaded takes the same steps as the one that
    went on, given the same batches and random numbers."""
    agent, batches = case.build(), []
    update = agent.update
    agent.update = lambda batch: batches.append(batch) or update(batch)
    agent.learn(case.steps)
    del agent.update
    agent.save(tmp_path / "agent.zip")
    loaded = type(agent).load(tmp_path / "agent.zip", device="cpu")
    for each in (agent, loaded):
        each.policy.set_training_mode(True)
        for i, batch in enumerate(batches[-9:]):
            torch.manual_seed(i)
            each.update(batch)
            each._n_updates += 1
            for name in {"update_target", "update_targets"} & set(dir(each)):
                getattr(each, name)()
    assert_equal(state(loaded), state(agent))
    assert_equal(loaded.adaptation_state.state_dict(), agent.adaptation_state.state_dict())


def agent_env(case: Any) -> Any:
    return gymnasium.make(case.env)


def test_continues_after_loading(case: Any, trained: Any, tmp_path: Path) -> None:
    trained.save(tmp_path / "agent.zip")
    loaded = type(trained).load(tmp_path / "agent.zip", env=agent_env(case), device="cpu")
    loaded.learn(case.steps, reset_num_timesteps=False)
    assert loaded.num_timesteps == 2 * case.steps
    assert loaded._n_updates > trained._n_updates
    assert torch.isfinite(critic_values(loaded)).all()
    assert not torch.equal(critic_values(loaded), critic_values(trained))
    if isinstance(case.setting.piece, SpectralNorm):
        assert_sigmas_are_right(loaded, case.setting.piece)


def test_the_saved_data_holds_no_tensors_and_no_modules(trained: Any, tmp_path: Path) -> None:
    """Weights belong in the zip's state dicts: what we add to its data is the settings and a counter."""
    trained.save(tmp_path / "ours.zip")
    stock = getattr(sb3, type(trained).__name__)("MlpPolicy", trained.get_env(), device="cpu")
    stock.save(tmp_path / "stock.zip")
    ours, theirs = (json.loads(zipfile.ZipFile(tmp_path / f"{n}.zip").read("data")) for n in ("ours", "stock"))
    added = {key: ours[key] for key in ours.keys() - theirs.keys()}
    assert added.keys() == {
        "critic_regularizers", "optimizer_adaptations", "diagnostics", "diagnostics_budget", "critic_learning_rate",
        "critic_optimizer_class", "critic_optimizer_kwargs", "_target_updates",
    }  # fmt: skip
    for value in added.values():
        if isinstance(value, dict):
            assert b"torch" not in base64.b64decode(value[":serialized:"])


def test_a_deep_copy_is_equal_and_independent(case: Any, trained: Any) -> None:
    before, values = state(trained), critic_values(trained)
    twin = copy.deepcopy(trained)
    assert_equal(state(twin), before)
    assert torch.equal(critic_values(twin), values)

    theirs = set(twin.policy.modules())
    assert theirs.isdisjoint(trained.policy.modules())
    for view in critics(twin):  # its regularizers act on its own layers
        assert view.model in theirs
        assert {layer for branch in view.branches.values() for _, layer in branch} <= theirs
        assert {module for parts in view.parts.values() for module in parts} <= theirs
        assert {layer for layers in view._selected.values() for layer in layers.values()} <= theirs
    mine = set(trained.adaptation_state.modules())
    assert mine.isdisjoint(twin.adaptation_state.modules())
    assert {p for d in twin._descents.values() for player in d.players for p in player.parameters} <= set(
        twin.policy.parameters()
    )

    twin.learn(case.steps, reset_num_timesteps=False)
    assert_equal(state(trained), before)
    assert not torch.equal(critic_values(twin), values)
    if isinstance(case.setting.piece, SpectralNorm):
        assert_sigmas_are_right(twin, case.setting.piece)


def test_looking_moves_nothing(case: Any) -> None:
    """Predictions, evaluations, critic values and logging leave every weight and every buffer alone."""
    agent = case.build().learn(case.steps)
    before = state(agent)
    agent.predict(OBSERVATIONS.numpy())
    evaluate_policy(agent, agent.get_env(), n_eval_episodes=2, warn=False)
    agent.policy.set_training_mode(True)
    critic_values(agent)
    agent.dump_logs()
    assert_equal(state(agent), before)


def test_spectral_norms_are_right_and_logged(spectral: SpectralNorm, trained: Any) -> None:
    assert_sigmas_are_right(trained, spectral)
    logged = {tag: s for view in critics(trained) for tag, s in spectral.readings(view).items()}
    true = {f"smoothness/sigma/{name.replace('.', '/', 1)}": s for name, s in sigmas(trained, spectral).items()}
    assert logged.keys() == true.keys()
    assert len(true) == len(spectral.layers) * sum(len(view.branches) for view in critics(trained))
    for name, sigma in logged.items():
        assert sigma.item() == pytest.approx(true[name][0], rel=1e-4)
