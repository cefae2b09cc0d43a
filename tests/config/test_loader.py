"""Extending, overriding, and writing back."""

from __future__ import annotations

import json
import string
import tempfile
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from smoothrl import registry
from smoothrl.config import ConfigError, RunConfig, load_run, to_yaml
from smoothrl.config.replay import NormalNoise
from smoothrl.config.schedules import LinearSchedule
from smoothrl.critics import GradientPenalty, SpectralNorm
from smoothrl.optim import DivGrad, GradientRegularization

from .conftest import MINIMAL, Load, Mistakes

ROOT = Path(__file__).parents[2]


def test_sections_become_typed_values(load: Load) -> None:
    config = load(
        MINIMAL,
        "agent.learning_rate={kind: linear, from: 1e-3, to: 0}",
        "agent.action_noise={kind: normal, sigma: 0.2}",
        "agent.train_freq=[2, step]",
        "critic_regularizers=[{kind: spectral_norm, layers: [-2, -1]}, {kind: gradient_penalty, coef: 1}]",
    )
    assert config.agent.learning_rate == LinearSchedule(from_=1e-3, to=0.0)
    assert config.agent.action_noise == NormalNoise(sigma=0.2)
    assert config.agent.train_freq == (2, "step")
    assert config.critic_regularizers == (SpectralNorm(layers=(-2, -1)), GradientPenalty(coef=1.0))
    assert load_run_text(to_yaml(config)) == config


def test_every_built_in_diagnostic_is_measured_unless_the_config_says_otherwise(
    load: Load, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(registry._classes["diagnostic"], "of_a_plug_in", object)
    built_in = {path.stem for path in (ROOT / "smoothrl" / "diagnostics").glob("[!_]*.py")}
    assert {"lipschitz", "curvature", "drift", "network", "gradients", "policy"} <= built_in
    config = load()
    assert {diagnostic.kind for diagnostic in config.diagnostics} == built_in
    assert all(diagnostic == type(diagnostic)() for diagnostic in config.diagnostics)
    assert config.logging.diagnostics_budget == 0.05
    assert load(MINIMAL, "diagnostics=[]").diagnostics == ()


def test_a_resolved_config_lists_what_is_measured_and_adapted_in_full(load: Load) -> None:
    config = load(MINIMAL, "optimizer_adaptations=[{kind: div_grad}, {kind: gradient_regularization, mu: 1}]")
    assert config.optimizer_adaptations == (DivGrad(), GradientRegularization(mu=1.0))
    text = to_yaml(config)
    for line in ("- kind: div_grad", "  scope: global", "- kind: curvature", "  safeguard: true"):
        assert f"{line}\n" in text
    assert load_run_text(text) == config
    assert load_run_text(to_yaml(load(MINIMAL, "diagnostics=[]"))).diagnostics == ()


def test_the_variant_is_named_after_the_file(load: Load) -> None:
    assert load().variant == "run"
    assert load(MINIMAL, "variant=mine").variant == "mine"


def test_configs_are_frozen(load: Load) -> None:
    with pytest.raises(ValueError, match="frozen"):
        load().seed = 1


class TestExtends:
    def write(self, folder: Path, **files: str) -> None:
        for name, text in files.items():
            (folder / f"{name}.yaml").write_text(text)

    def test_mappings_merge_and_the_rest_is_replaced(self, tmp_path: Path) -> None:
        (tmp_path / "sub").mkdir()
        self.write(tmp_path, base=MINIMAL + "  gamma: 0.9\n  policy_kwargs: {net_arch: [8, 8], n_critics: 3}\n")
        self.write(tmp_path / "sub", mid="extends: ../base.yaml\nseed: 1\nagent: {policy_kwargs: {net_arch: [4]}}")
        self.write(tmp_path / "sub", leaf="extends: mid.yaml\nseed: 2\n")
        config = load_run(tmp_path / "sub" / "leaf.yaml")
        kwargs = config.agent.policy_kwargs
        assert kwargs is not None
        assert kwargs.model_dump(exclude_none=True) == {"net_arch": [4], "n_critics": 3}
        assert (config.seed, config.agent.gamma, config.variant) == (2, 0.9, "leaf")

    def test_problems_name_the_file_they_stand_in(self, tmp_path: Path) -> None:
        self.write(tmp_path, base=MINIMAL + "  gamma: 2\n", leaf="extends: base.yaml\nseeds: 2\nseed: .nan")
        with pytest.raises(ConfigError) as caught:
            load_run(tmp_path / "leaf.yaml")
        found = str(caught.value).replace(f"{tmp_path}/", "")
        assert "leaf.yaml:3: seed: must be a finite number" in found
        assert "base.yaml:6: agent.gamma: must be less than or equal to 1 (got 2)" in found
        assert "leaf.yaml:2: seeds: unknown key, did you mean `seed`?" in found

    @pytest.mark.parametrize(
        ("extends", "rule"),
        [
            ("leaf.yaml", "leaf.yaml:1: extends: files extend each other"),
            ("loop.yaml", "loop.yaml:1: extends: files extend each other"),
            ("bas.yaml", "leaf.yaml:1: extends: no such file, did you mean `base.yaml`?"),
            ("[base.yaml]", "leaf.yaml:1: extends: must be the path of one file"),
            ("bad.yaml", "bad.yaml:1: not valid YAML"),
            ("list.yaml", "list.yaml: must be a mapping"),
        ],
    )
    def test_a_parent_that_cannot_be(self, tmp_path: Path, extends: str, rule: str) -> None:
        self.write(tmp_path, base=MINIMAL, loop="extends: leaf.yaml", bad="a: b: c", list="[1]")
        self.write(tmp_path, leaf=f"extends: {extends}\nseed: .nan")
        with pytest.raises(ConfigError) as caught:
            load_run(tmp_path / "leaf.yaml")
        assert rule in str(caught.value)
        assert "leaf.yaml:2: seed: must be a finite number" in str(caught.value)


class TestOverrides:
    REGULARIZED = MINIMAL + "critic_regularizers:\n- {kind: spectral_norm}\n- {kind: gradient_penalty, coef: 1}\n"

    def test_list_items_by_index_in_both_spellings(self, load: Load) -> None:
        for path in ("critic_regularizers[1].coef", "critic_regularizers.1.coef"):
            assert load(self.REGULARIZED, f"{path}=3").critic_regularizers[1] == GradientPenalty(coef=3.0)

    def test_sections_on_the_way_are_made(self, load: Load) -> None:
        kwargs = load(MINIMAL, "agent.policy_kwargs.net_arch=[8]").agent.policy_kwargs
        assert kwargs is not None
        assert kwargs.model_dump(exclude_none=True) == {"net_arch": [8]}

    def test_the_last_one_wins(self, load: Load) -> None:
        assert load(MINIMAL, "seed=1", "seed=2") == load(MINIMAL, "seed=2")

    def test_a_mapping_is_replaced_not_merged(self, load: Load) -> None:
        config = load(MINIMAL, "agent.gamma=0.5", "agent={kind: td3}")
        assert (config.agent.kind, config.agent.gamma) == ("td3", 0.99)

    @pytest.mark.parametrize(
        ("override", "rule"),
        [
            ("seed", "must be KEY=VALUE"),
            ("=3", "must be KEY=VALUE"),
            ("agent..gamma=1", "must be KEY=VALUE"),
            ("critic_regularizers[x].coef=1", "must be KEY=VALUE"),
            ("seed=[", "not valid YAML"),
            ("seed=!!int 3", "tags are not allowed"),
            ("seed=&a 3", "anchors are not allowed"),
            ("critic_regularizers[2].coef=1", "critic_regularizers.2: must be an index below 2, the list's length"),
            ("critic_regularizers.x=1", "critic_regularizers.x: must be an index below 2"),
            ("seed.x=1", "seed.x: seed is neither a mapping nor a list"),
        ],
    )
    def test_an_override_that_cannot_be(self, mistakes: Mistakes, override: str, rule: str) -> None:
        (found,) = mistakes("seed: 1\n" + self.REGULARIZED, override)
        assert found.startswith(f"override `{override}`: {rule}")


names = st.from_regex(r"[A-Za-z0-9][A-Za-z0-9_-]{0,20}", fullmatch=True)
unit = st.floats(0, 1)
positive = st.floats(1e-12, 1e12)
count = st.integers(1, 10**9)
scheduled = st.one_of(
    positive,
    st.fixed_dictionaries({"kind": st.just("linear"), "from": positive, "to": positive}),
    st.fixed_dictionaries({"kind": st.just("constant"), "value": positive}),
)
texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)
json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | texts,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(texts, inner, max_size=3),
    max_leaves=8,
)
off_policy = {
    "learning_rate": scheduled,
    "gamma": unit,
    "batch_size": count,
    "train_freq": count | st.tuples(count, st.just("step")),
    "action_noise": st.none() | st.fixed_dictionaries({"kind": st.just("normal"), "sigma": positive}),
    "policy_kwargs": st.fixed_dictionaries(
        {},
        optional={
            "net_arch": st.lists(count, max_size=3)
            | st.fixed_dictionaries({"pi": st.lists(count, max_size=2), "qf": st.lists(count, max_size=2)}),
            "activation_fn": st.sampled_from(["relu", "tanh"]),
            "optimizer_kwargs": st.fixed_dictionaries({}, optional={"betas": st.tuples(unit, unit), "eps": positive}),
        },
    ),
}
agents = st.one_of(
    st.fixed_dictionaries(
        {"kind": st.just("sac")}, optional=off_policy | {"ent_coef": unit | st.sampled_from(["auto", "auto_0.5"])}
    ),
    st.fixed_dictionaries({"kind": st.just("td3")}, optional=off_policy | {"policy_delay": count}),
    st.fixed_dictionaries({"kind": st.just("ppo")}, optional={"clip_range": scheduled, "clip_range_vf": scheduled}),
)
regularizers = st.one_of(
    st.fixed_dictionaries({"kind": st.just("gradient_penalty"), "coef": positive}),
    st.fixed_dictionaries(
        {"kind": st.just("spectral_norm"), "layers": st.lists(st.integers(-9, -1), min_size=1, unique=True)}
    ),
)
configs = st.fixed_dictionaries(
    {
        "variant": names,
        "total_timesteps": count,
        "env": st.fixed_dictionaries(
            {"id": st.just("Pendulum-v1"), "kwargs": st.dictionaries(texts, json_values, max_size=3)}
        ),
        "agent": agents,
    },
    optional={
        "study": names,
        "seed": st.integers(0, 2**32 - 1),
        "critic_regularizers": st.lists(regularizers, max_size=2),
        "evaluation": st.fixed_dictionaries({}, optional={"seed": st.none() | st.integers(0, 9)}),
    },
)


def load_run_text(text: str, *overrides: str) -> RunConfig:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "config.yaml"
        path.write_text(text, "utf-8", newline="")
        return load_run(path, overrides)


@settings(deadline=None)  # the first example imports gymnasium
@given(configs)
def test_what_is_written_loads_to_the_same(data: dict[str, Any]) -> None:
    config = RunConfig.model_validate_json(json.dumps(data))
    assert load_run_text(to_yaml(config)) == config


keys = st.text(string.ascii_lowercase, min_size=1, max_size=3)


@settings(deadline=None)
@given(st.lists(st.tuples(st.lists(keys, min_size=1, max_size=2), st.integers()), max_size=4))
def test_overrides_are_what_the_file_would_say(changes: list[tuple[list[str], int]]) -> None:
    """Overriding a free-form mapping equals writing the changed mapping, whatever was there before."""
    written: dict[str, Any] = {"x": {"y": 1}}
    overrides = []
    for path, value in changes:
        inside = written
        for key in path[:-1]:
            if not isinstance(inside.get(key), dict):
                inside[key] = {}
                overrides.append(f"env.kwargs.{key}={{}}")
            inside = inside[key]
        inside[path[-1]] = value
        overrides.append(f"env.kwargs.{'.'.join(path)}={value}")
    text = MINIMAL.replace("id: Pendulum-v1", "id: Pendulum-v1\n  kwargs: {x: {y: 1}}")
    once = load_run_text(text, *overrides)
    assert once.env.kwargs == written
    assert load_run_text(text, *overrides, *overrides) == once
