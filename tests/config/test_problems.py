"""Every mistake in a config is named with its place, its value, the rule, and the nearest valid name."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, ClassVar

import pytest
from pydantic.dataclasses import dataclass

from smoothrl import registry
from smoothrl.config import ConfigError, Problem, RunConfig

from .conftest import MINIMAL, Load, Mistakes


def test_all_mistakes_are_reported_at_once(mistakes: Mistakes) -> None:
    found = mistakes(
        """\
study: ../elsewhere
total_timesteps: -5
env:
  id: Pendulum-v1
  n_env: 2
agent:
  kind: sac
  gamma: .nan
  gamma: 0.9
  policy_kwargs:
    activation_fn: rely
critic_regularizers:
  - kind: gradient_penalty
    coeff: 1
""",
        "seed=-1",
        "nonsense",
    )
    assert [line.split(" (got")[0].split(" Valid")[0] for line in found] == [
        "run.yaml:8: agent.gamma: must be a finite number",
        "run.yaml:9: agent.gamma: duplicate key, first at run.yaml:8",
        "override `nonsense`: must be KEY=VALUE, the key a dotted path such as agent.gamma or "
        "critic_regularizers[0].coef",
        "run.yaml:1: study: must be a name: letters, digits, `.`, `_`, `-`; at most 100; a letter or digit first; "
        "no `..`",
        "override `seed=-1`: seed: must be greater than or equal to 0",
        "run.yaml:2: total_timesteps: must be greater than or equal to 1",
        "run.yaml:5: env.n_env: unknown key, did you mean `n_envs`?",
        "run.yaml:11: agent.policy_kwargs.activation_fn: unknown value, did you mean `relu`?",
        "run.yaml:13: critic_regularizers[0].coef: missing",
        "run.yaml:14: critic_regularizers[0].coeff: unknown key, did you mean `coef`?",
    ]


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("total_timestep=1", "total_timestep: unknown key, did you mean `total_timesteps`?"),
        ("total_timesteps=1e6", "total_timesteps: must be an integer, written 1000000 (got 1000000.0)"),
        ("total_timesteps='8'", 'total_timesteps: must be an integer (got "8")'),
        ("total_timesteps=true", "total_timesteps: must be an integer (got true)"),
        ("total_timesteps=", "total_timesteps: must be an integer (got null)"),
        ("agent.gamma=1.5", "agent.gamma: must be less than or equal to 1 (got 1.5)"),
        ("agent.gamma=.inf", 'agent.gamma: must be a finite number (got ".inf")'),
        ("agent.learning_rate=fast", 'agent.learning_rate: must be a number or mapping, not a text (got "fast")'),
        ("agent.learning_rate=-1", "agent.learning_rate: must be greater than or equal to 0 (got -1)"),
        (
            "agent.learning_rate={kind: linea, from: 1, to: 0}",
            "agent.learning_rate.kind: unknown kind, did you mean `linear`? Valid names: constant, linear (got ",
        ),
        ("agent.learning_rate={from: 1, to: 0}", "agent.learning_rate.kind: missing, must be one of linear, constant"),
        ("agent.learning_rate={kind: linear, from: 1}", "agent.learning_rate.to: missing"),
        (
            "agent.learning_rate={kind: linear, form: 1, from: 1, to: 0}",
            "agent.learning_rate.form: unknown key, did you mean `from`? Valid names: end_fraction, from, kind, to "
            "(got 1)",
        ),
        ("agent.kind=sacc", "agent.kind: unknown kind, did you mean `sac`? Valid names: a2c, ddpg, dqn, "),
        ("agent={gamma: 0.9}", "agent.kind: missing, must be one of sac, td3, ddpg, ppo, a2c, dqn"),
        ("agent=sac", 'agent: must be a mapping (got "sac")'),
        ("agent.policy=MlpPolcy", "agent.policy: unknown value, did you mean `MlpPolicy`?"),
        ("agent.train_freq=[1]", "agent.train_freq[1]: missing"),
        ("agent.train_freq=[1, steps]", "agent.train_freq[1]: unknown value, did you mean `step`?"),
        ("agent.ent_coef=auto_0", "agent.ent_coef: must be a number, `auto`, or `auto_0.1` to start from 0.1"),
        ("agent.policy_kwargs.net_arch={pi: [8]}", "agent.policy_kwargs.net_arch.qf: missing"),
        (
            "agent.policy_kwargs.net_arch={pi: [8], vf: [8], qf: [8]}",
            "agent.policy_kwargs.net_arch.vf: unknown key. Valid names: pi, qf (got [8])",
        ),
        (
            "agent.policy_kwargs.optimizer_kwargs.momentum=0.9",
            "agent.policy_kwargs.optimizer_kwargs.momentum: adam has no such option; it has amsgrad, betas, eps, ",
        ),
        (
            "agent.policy_kwargs.features_extractor_kwargs.features_dim=64",
            "agent.policy_kwargs.features_extractor_kwargs.features_dim: only CnnPolicy has this option, not MlpPolicy",
        ),
        ("agent.replay_buffer_kwargs.n_sampled_goal=4", "needs `replay_buffer_class: her`"),
        ("agent.optimize_memory_usage=true", "needs `replay_buffer_kwargs.handle_timeout_termination: false`"),
        ("critic_regularizers=spectral_norm", "critic_regularizers: must be a list"),
        ("critic_regularizers=[spectral_norm]", "critic_regularizers[0]: must be a mapping"),
        ("critic_regularizers=[{}]", "critic_regularizers[0].kind: missing, must be one of gradient_penalty, "),
        (
            "critic_regularizers=[{kind: spectralnorm}]",
            "critic_regularizers[0].kind: unknown kind, did you mean `spectral_norm`?",
        ),
        ("critic_regularizers=[{kind: [x]}]", "critic_regularizers[0].kind: unknown kind"),
        (
            "critic_regularizers=[{kind: spectral_norm, mode: exat}]",
            "critic_regularizers[0].mode: unknown value, did you mean `exact`?",
        ),
        ("critic_regularizers=[{kind: spectral_norm, layers: [1]}]", "critic_regularizers[0].layers[0]: must be less"),
        ("critic_regularizers=[{kind: gradient_penalty, coef: '1'}]", "critic_regularizers[0].coef: must be a number"),
        (
            "optimizer_adaptations=[{kind: divgrad}]",
            "optimizer_adaptations[0].kind: unknown kind, did you mean `div_grad`? Valid names: div_grad, div_lr, ",
        ),
        ("optimizer_adaptations=[{layers: [-2]}]", "optimizer_adaptations[0].kind: missing, must be one of div_grad, "),
        (
            "optimizer_adaptations=[{kind: div_grad, scop: global}]",
            "optimizer_adaptations[0].scop: unknown key, did you mean `scope`?",
        ),
        (
            "optimizer_adaptations=[{kind: div_grad, scope: globl}]",
            "optimizer_adaptations[0].scope: unknown value, did you mean `global`?",
        ),
        (
            "optimizer_adaptations=[{kind: gradient_regularization}]",
            "optimizer_adaptations[0].mu: missing",
        ),
        ("diagnostics=curvature", "diagnostics: must be a list"),
        ("diagnostics=[{kind: curvatur}]", "diagnostics[0].kind: unknown kind, did you mean `curvature`?"),
        ("diagnostics=[{kind: drift, evry: 5}]", "diagnostics[0].evry: unknown key, did you mean `every`?"),
        ("diagnostics=[{kind: drift, every: 0}]", "diagnostics[0].every: must be greater than or equal to 1 (got 0)"),
        ("logging.diagnostics_budget=5", "logging.diagnostics_budget: must be less than or equal to 1 (got 5)"),
        (
            "agent.critic_optimizer_kwargs.momentum=0.9",
            "agent.critic_optimizer_kwargs.momentum: adam has no such option; it has amsgrad, betas, eps, weight_decay",
        ),
        (
            "agent={kind: sac, critic_optimizer_class: sgd, critic_optimizer_kwargs: {eps: 1}}",
            "agent.critic_optimizer_kwargs.eps: sgd has no such option; it has dampening, momentum, ",
        ),
        ("agent.critic_learning_rate=-1", "agent.critic_learning_rate: must be greater than or equal to 0 (got -1)"),
        (
            "agent={kind: dqn, critic_learning_rate: 1}",
            "agent.critic_learning_rate: unknown key, did you mean `learning_rate`?",
        ),
        (
            "agent={kind: ppo, critic_optimizer_class: sgd}",
            "agent.critic_optimizer_class: unknown key, did you mean `critic_optimizer_kwargs`?",
        ),
        (
            "agent={kind: a2c, policy_kwargs: {optimizer_kwargs: {alpha: 0.9}}}",
            "agent.policy_kwargs.optimizer_kwargs: SB3 replaces them with those of `use_rms_prop`",
        ),
        ("env.id=Pendulm-v1", "env.id: unknown env, did you mean `Pendulum-v1`"),
        ("env.id=os:Env-v0", "env.id: an id with `:` names code to import"),
        ("env.n_envs=0", "env.n_envs: must be greater than or equal to 1 (got 0)"),
        ("device=gpu", 'device: must be auto, cpu, cuda or cuda:<n> (got "gpu")'),
        ("study=a/b", "study: must be a name"),
        ("study=a..b", "study: must be a name"),
        ("variant=.hidden", "variant: must be a name"),
        ("extends=x.yaml", "extends: unknown key"),
    ],
)
def test_one_mistake(mistakes: Mistakes, override: str, message: str) -> None:
    found = mistakes(MINIMAL, override)
    assert message in found[0]
    assert found[0].startswith(f"override `{override}`: ")


def test_missing_keys_name_the_file_or_the_section(mistakes: Mistakes) -> None:
    assert mistakes("env: {}\n") == [
        "run.yaml: total_timesteps: missing",
        "run.yaml:1: env.id: missing",
        "run.yaml: agent: missing",
    ]


@pytest.mark.parametrize("text", ["", "- a\n", "just text\n", "5\n"])
def test_a_config_is_a_mapping(mistakes: Mistakes, text: str) -> None:
    assert mistakes(text)[0].startswith("run.yaml: must be a mapping")


def test_rules_that_span_sections(mistakes: Mistakes) -> None:
    (found,) = mistakes(MINIMAL, "agent.train_freq=[1, episode]", "env.n_envs=2")
    assert "agent.train_freq: counts episodes, which needs `env.n_envs: 1`, not 2" in found
    for kind in ("ppo", "a2c"):
        (found,) = mistakes(MINIMAL, f"agent={{kind: {kind}, n_steps: 1, normalize_advantage: true}}")
        assert "agent.n_steps: n_steps * env.n_envs must be greater than 1" in found
    (found,) = mistakes(MINIMAL, "agent={kind: ppo, batch_size: 1}")
    assert "agent.batch_size: must be greater than 1 with `normalize_advantage`" in found


def test_what_a_further_check_finds_gets_its_line(load: Load, tmp_path: Any) -> None:
    from smoothrl.config import load_run

    def check(config: RunConfig) -> None:
        raise ConfigError([Problem(("agent", "kind"), "wrong for this env", value=config.agent.kind)])

    load()
    with pytest.raises(ConfigError, match=r'run.yaml:5: agent.kind: wrong for this env \(got "sac"\)$'):
        load_run(tmp_path / "run.yaml", check=check)


@pytest.fixture
def lenient(monkeypatch: pytest.MonkeyPatch) -> str:
    """A registered regularizer whose author forgot to be strict."""

    @dataclass(frozen=True)
    class Lenient:
        """Lenient."""

        kind: ClassVar[str] = "lenient"
        coef: float
        layers: tuple[int, ...] = ()

    monkeypatch.setitem(registry._classes["critic_regularizer"], "lenient", Lenient)
    return "lenient"


def test_a_plug_in_regularizer_is_checked_strictly(
    load: Load, mistakes: Mistakes, lenient: str, to_entry: Callable[[str], str]
) -> None:
    config = load(MINIMAL, to_entry("coef: 1, layers: [2]"))
    assert (config.critic_regularizers[0].coef, config.critic_regularizers[0].layers) == (1.0, (2,))
    assert "critic_regularizers[0].cof: unknown key, did you mean `coef`?" in "".join(
        mistakes(MINIMAL, to_entry("coef: 1, cof: 2"))
    )
    assert "critic_regularizers[0].coef: must be a number" in mistakes(MINIMAL, to_entry("coef: '1'"))[0]


@pytest.fixture
def to_entry(lenient: str) -> Callable[[str], str]:
    return lambda fields: f"critic_regularizers=[{{kind: {lenient}, {fields}}}]"
