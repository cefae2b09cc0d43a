"""docs/metrics.md and the event files: every tag that a run writes is documented, every documented one is written."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import gymnasium
import pytest
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from smoothrl.config import load_run
from smoothrl.training import train

METRICS = Path(__file__).parents[2] / "docs" / "metrics.md"
RUN = """
total_timesteps: {steps}
env: {{id: {task}}}
agent: {agent}
critic_regularizers: [{regularizers}]
optimizer_adaptations: [{adaptations}]
evaluation: {{every: 100, episodes: 1}}
logging: {{every: 100, diagnostics_budget: 1.0}}
"""
SMOOTH = "{kind: spectral_norm, layers: [-2, -1]}, {kind: gradient_penalty, coef: 0.1}"
ADAPTED = """
  {kind: div_grad}, {kind: mul_eps}, {kind: div_lr}, {kind: drift_adjusted_lr, players: both},
  {kind: gradient_regularization, mu: 1e-4, players: both}
"""
SEPARATE = "critic_learning_rate: 1e-4, critic_optimizer_kwargs: {eps: 3.125e-4}"
RUNS = {
    "sac": ("Pendulum-v1", 300, "{kind: sac}", SMOOTH, ""),
    "sac, gSDE": ("Pendulum-v1", 300, "{kind: sac, use_sde: true, ent_coef: 0.1}", SMOOTH, ""),
    "sac, adapted": ("Pendulum-v1", 300, f"{{kind: sac, {SEPARATE}}}", "", ADAPTED),
    "td3": ("Pendulum-v1", 300, "{kind: td3, action_noise: {kind: normal}}", SMOOTH, ""),
    "ddpg": ("Pendulum-v1", 300, "{kind: ddpg}", "", "{kind: div_out}"),
    "ppo": ("Pendulum-v1", 512, "{kind: ppo, n_steps: 128}", SMOOTH, ""),
    "ppo, value clip": ("Pendulum-v1", 512, "{kind: ppo, n_steps: 128, clip_range_vf: 0.2}", SMOOTH, ""),
    "ppo, adapted": ("Pendulum-v1", 512, f"{{kind: ppo, n_steps: 128, {SEPARATE}}}", "", ADAPTED),
    "a2c": ("Pendulum-v1", 600, "{kind: a2c}", SMOOTH, ""),
    "dqn": ("CartPole-v1", 300, "{kind: dqn}", "{kind: noise_consistency, coef: 1.0}", ""),
}


class WithSuccess(gymnasium.Wrapper[Any, Any, Any, Any]):
    """A task that says whether an episode succeeded."""

    def step(self, action: Any) -> tuple[Any, Any, bool, bool, dict[str, Any]]:
        observation, reward, terminated, truncated, info = self.env.step(action)
        return observation, reward, terminated, truncated, {**info, "is_success": bool(reward > -1)}


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> dict[str, set[str]]:
    """Run -> the tags in its event file."""
    for task in ("Pendulum-v1", "CartPole-v1"):
        gymnasium.register(
            f"Documented{task}",
            lambda task=task, **kwargs: WithSuccess(gymnasium.make(task, **kwargs)),
            max_episode_steps=50,
        )
    tags = {}
    try:
        for name, (task, steps, agent, regularizers, adaptations) in RUNS.items():
            folder = tmp_path_factory.mktemp("run")
            config = folder / "config.yaml"
            text = RUN.format(
                steps=steps, task=f"Documented{task}", agent=agent, regularizers=regularizers, adaptations=adaptations
            )
            config.write_text(text)
            assert train(load_run(config), out=folder / "run", plain=True) == 0
            events = EventAccumulator(str(folder / "run"))
            events.Reload()
            tags[name] = set(events.Tags()["scalars"])
    finally:
        for task in ("Pendulum-v1", "CartPole-v1"):
            del gymnasium.registry[f"Documented{task}"]
    return tags


def documented() -> set[str]:
    """The tags in the first column of the tables."""
    return set(re.findall(r"^\| `([^`]+)` \|", METRICS.read_text(), flags=re.MULTILINE))


def pattern(tag: str) -> re.Pattern[str]:
    """`smoothness/sigma/<critic>/<layer>` as a regular expression."""
    return re.compile(re.sub(r"<\w+>", r"[\\w.]+", tag))


def test_every_tag_that_is_written_is_documented(written: dict[str, set[str]]) -> None:
    patterns = [pattern(tag) for tag in documented()]
    for agent, tags in written.items():
        missing = [tag for tag in sorted(tags) if not any(p.fullmatch(tag) for p in patterns)]
        assert not missing, f"{agent} writes {', '.join(missing)}: describe it in docs/metrics.md"


def test_every_documented_tag_is_written(written: dict[str, set[str]]) -> None:
    tags = set().union(*written.values())
    unknown = [tag for tag in sorted(documented()) if not any(pattern(tag).fullmatch(t) for t in tags)]
    assert not unknown


def test_the_tags_of_the_smooth_critic(written: dict[str, set[str]]) -> None:
    """Named as docs/metrics.md names them, for every normalized layer of online and target."""
    q_layers = {f"{critic}/qf{i}.{layer}" for critic in ("critic", "critic_target") for i in (0, 1) for layer in (2, 4)}
    sigmas = {f"smoothness/sigma/{layer}" for layer in q_layers}
    for agent in ("sac", "sac, gSDE"):
        assert {tag for tag in written[agent] if "/sigma/" in tag} >= sigmas
    assert {tag for tag in written["ppo"] if tag.startswith("smoothness/")} >= {
        "smoothness/gradient_penalty",
        "smoothness/sigma/critic/mlp_extractor.value_net.2",
        "smoothness/sigma/critic/value_net",
    }
