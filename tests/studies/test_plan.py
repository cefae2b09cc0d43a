"""From a study file to its runs, and every mistake in it at its place."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from smoothrl import suites
from smoothrl.config import ConfigError, identity, load_run, to_yaml
from smoothrl.studies import Study, load_study, resolve

RUN = """\
total_timesteps: 100
env: {id: Pendulum-v1}
agent: {kind: sac, gamma: 0.9}
diagnostics: []
"""
STUDY = """\
extends: run.yaml
variants:
  plain: {}
  spectral:
    critic_regularizers: [{kind: spectral_norm}]
seeds: 2
"""

A_NAME = "must be a name: letters, digits, `.`, `_`, `-`; at most 100; a letter or digit first; no `..`"
SEEDS = "belongs to the study: `seeds` are the same for every variant, so that runs can be paired"
TASKS = "belongs to the study: list it under `tasks`"
NO_ENV = (
    "unknown env, did you mean `Pendulum-v1` or `phys2d/Pendulum-v0` or `InvertedPendulum-v5`? `smoothrl list tasks` "
    "lists what there is"
)

Load = Callable[..., Study]
Mistakes = Callable[..., list[str]]


@pytest.fixture
def load(tmp_path: Path) -> Load:
    """Loads the text of a study file beside run.yaml, the config of a run."""

    def load(text: str = STUDY, *overrides: str) -> Study:
        (tmp_path / "run.yaml").write_text(RUN)
        (tmp_path / "study.yaml").write_text(text)
        return load_study(tmp_path / "study.yaml", overrides, out=tmp_path / "out")

    return load


@pytest.fixture
def mistakes(load: Load, tmp_path: Path) -> Mistakes:
    """Loads a study that must be refused; gives the lines of the message, without the folder and the lists of names."""

    def mistakes(text: str = STUDY, *overrides: str) -> list[str]:
        with pytest.raises(ConfigError) as caught:
            load(text, *overrides)
        lines = str(caught.value).replace(f"{tmp_path}/", "").splitlines()
        return [line.partition(" (got")[0].partition(" Valid names")[0] for line in lines]

    return mistakes


def named(study: Study) -> list[str]:
    return [cell.name for cell in study.cells]


class TestRuns:
    def test_every_variant_and_task_of_a_seed_comes_before_the_next_seed(self, load: Load) -> None:
        study = load(STUDY, "tasks=[Pendulum-v1, MountainCarContinuous-v0]")
        assert named(study) == [
            f"{task}/{variant}/seed-{seed}"
            for seed in (0, 1)
            for task in ("Pendulum-v1", "MountainCarContinuous-v0")
            for variant in ("plain", "spectral")
        ]

    def test_a_cell_says_who_it_is(self, load: Load, tmp_path: Path) -> None:
        for cell in load().cells:
            config = cell.config
            assert cell.folder == tmp_path / "out" / config.env.id / str(config.variant) / f"seed-{config.seed}"
            assert (config.study, cell.identity) == ("study", identity(config))

    def test_the_study_goes_below_runs_under_the_name_it_has(self, load: Load, tmp_path: Path) -> None:
        load()
        assert load_study(tmp_path / "study.yaml").root == Path("runs/study")
        assert load_study(tmp_path / "study.yaml", ["study=mine"]).cells[0].folder.parts[:2] == ("runs", "mine")

    def test_a_variant_is_the_shared_config_with_its_overrides(self, load: Load, tmp_path: Path) -> None:
        plain, spectral = load(STUDY, "seeds=[7]").cells
        settings = ["study=study", "seed=7"]
        assert plain.config == load_run(tmp_path / "run.yaml", [*settings, "variant=plain"])
        by_hand = [*settings, "variant=spectral", "critic_regularizers=[{kind: spectral_norm}]"]
        assert spectral.config == load_run(tmp_path / "run.yaml", by_hand)

    def test_variants_win_over_tasks_and_these_over_what_is_shared(self, load: Load) -> None:
        text = STUDY + "tasks:\n  Pendulum-v1: {agent: {gamma: 0.5, tau: 0.5}}\n  MountainCarContinuous-v0: {}\n"
        study = load(text, "variants.plain.agent.gamma=0.7", "seeds=1")
        found = {cell.name: (cell.config.agent.gamma, cell.config.agent.tau) for cell in study.cells}
        assert list(found.values()) == [(0.7, 0.5), (0.5, 0.5), (0.7, 0.005), (0.9, 0.005)]

    def test_overrides_reach_study_keys_and_run_keys(self, load: Load) -> None:
        study = load(STUDY, "seeds=[3]", "agent.tau=0.5", "retries=1", "grid.agent.gamma=[0.5, 0.6]")
        assert study.retries == 1
        assert {(cell.config.seed, cell.config.agent.tau) for cell in study.cells} == {(3, 0.5)}
        assert [cell.config.agent.gamma for cell in study.cells] == [0.5, 0.6] * 2

    def test_a_study_can_extend_a_study(self, load: Load, tmp_path: Path) -> None:
        load()
        more = tmp_path / "more.yaml"
        more.write_text("extends: study.yaml\nseeds: 1\nvariants: {third: {agent: {gamma: 0.5}}}")
        study = load_study(more)
        assert (study.name, len(study.cells)) == ("more", 3)
        assert study.cells[2].config.agent.gamma == 0.5

    def test_a_study_can_extend_the_resolved_config_of_a_run(self, load: Load, tmp_path: Path) -> None:
        """Such a file names a variant and a seed, which the study's runs have of their own; the study it must name."""
        load()
        (tmp_path / "config.yaml").write_text(to_yaml(load_run(tmp_path / "run.yaml", ["seed=5"])))
        study = tmp_path / "study.yaml"
        study.write_text("extends: config.yaml\nstudy: mine\nvariants: {plain: {}}\nseeds: 1")
        (cell,) = load_study(study).cells
        assert (cell.config.study, cell.config.variant, cell.config.seed) == ("mine", "plain", 0)

    def test_what_was_asked_loads_to_the_same_study(self, load: Load, tmp_path: Path) -> None:
        study = load(STUDY, "grid.agent.gamma={values: [0.5, 1e-3], variants: [plain]}", "agent.tau=0.25", "retries=0")
        study.root.mkdir()
        (study.root / "study.yaml").write_text(study.asked)
        again = load_study(study.root)
        assert again.cells == study.cells
        assert (again.name, again.root, again.retries) == (study.name, study.root, 0)


class TestIdentity:
    def test_it_is_that_of_the_config_however_it_was_written(self, load: Load) -> None:
        plain = load(STUDY).cells[0].identity
        assert load(STUDY, "agent.tau=0.005", "seeds=[0]").cells[0].identity == plain  # a default, written down
        assert load(STUDY, "agent.gamma=9e-1").cells[0].identity == plain
        assert load(STUDY, "agent.gamma=0.91").cells[0].identity != plain

    def test_no_two_cells_share_one(self, load: Load) -> None:
        cells = load(STUDY, "grid.agent.gamma=[0.5, 0.6]").cells
        assert len({cell.identity for cell in cells}) == len(cells) == 8

    def test_a_config_read_back_has_it_too(self, load: Load, tmp_path: Path) -> None:
        cell = load().cells[-1]
        (tmp_path / "config.yaml").write_text(to_yaml(cell.config))
        assert identity(load_run(tmp_path / "config.yaml")) == cell.identity


class TestGrid:
    def test_every_variant_with_every_combination(self, load: Load) -> None:
        study = load(STUDY, "seeds=1", "grid.agent.gamma=[0.5, 0.6]", "grid.agent.learning_rate=[1e-3, 1e-5]")
        assert [cell.config.variant for cell in study.cells] == [
            f"{variant}_gamma-{gamma}_learning_rate-{rate}"
            for variant in ("plain", "spectral")
            for gamma in ("0.5", "0.6")
            for rate in ("0.001", "1e-05")
        ]
        assert study.cells[1].config.agent.learning_rate == 1e-5

    def test_an_axis_for_named_variants(self, load: Load) -> None:
        axis = "grid.critic_regularizers[0].lipschitz_k={values: [1, 2], variants: [spectral]}"
        study = load(STUDY, "seeds=1", axis)
        assert [cell.config.variant for cell in study.cells] == [
            "plain",
            "spectral_lipschitz_k-1",
            "spectral_lipschitz_k-2",
        ]
        assert [cell.config.critic_regularizers[0].lipschitz_k for cell in study.cells[1:]] == [1.0, 2.0]

    def test_the_whole_path_names_what_its_last_part_does_not(self, load: Load) -> None:
        study = load(STUDY, "seeds=1", "grid.evaluation.every=[10]", "grid.logging.every=[20]")
        assert study.cells[0].config.variant == "plain_evaluation.every-10_logging.every-20"

    @pytest.mark.parametrize(
        ("path", "value", "name"),
        [
            ("critic_regularizers", "[{kind: spectral_norm, layers: [-2, -1]}]", "kind_spectral_norm_layers_-2_-1"),
            ("env.normalize_reward", "true", "true"),
            ("agent.ent_coef", "auto", "auto"),
            ("agent.policy_kwargs.net_arch", "[8, 8]", "8_8"),
        ],
    )
    def test_names_can_be_those_of_folders(self, load: Load, path: str, value: str, name: str) -> None:
        study = load(STUDY, "seeds=1", f"grid.{path}=[{value}]")
        assert study.cells[0].config.variant == f"plain_{path.rpartition('.')[2]}-{name}"

    def test_nested_values_of_one_variant_do_not_reach_another(self, load: Load) -> None:
        cells = load(
            STUDY, "seeds=1", "agent.policy_kwargs.n_critics=2", "grid.agent.policy_kwargs.n_critics=[1, 3]"
        ).cells
        assert [cell.config.agent.policy_kwargs.n_critics for cell in cells] == [1, 3, 1, 3]


class TestMistakes:
    def test_all_at_once_each_once_where_it_was_written(self, mistakes: Mistakes) -> None:
        text = """\
extends: run.yaml
agent: {gama: 1}
gird: {}
variants:
  plain: {agent: {gamma: .nan}}
  spectral:
    critic_regularizers:
      - kind: spectral_norm
      - kind: gradient_penlty
  td3: {agent: {kind: td3, ent_coef: 1}, seed: 3}
  seed-one: {}
tasks: [Pendulum-v1, Pendulm-v1, MountainCarContinuous-v0]
seeds: [0, 1, 0]
grid:
  agent.learning_rate: [1e-3, -1]
  agent.learning_rat: [1]
  agent.tau: {values: [3], variants: [plan, plain]}
retries: -1
"""
        found = mistakes(text, "gpu_share=2")
        expected = [
            "study.yaml:5: variants.plain.agent.gamma: must be a finite number",
            "study.yaml:18: retries: must be greater than or equal to 0",
            "override `gpu_share=2`: gpu_share: must be less than or equal to 1",
            "study.yaml:3: gird: unknown key, did you mean `grid`?",
            f"study.yaml:10: variants.td3.seed: {SEEDS}",
            "study.yaml:11: variants.seed-one: a variant's name says nothing of seeds: it is compared over all of "
            "them, which `seeds` lists",
            "study.yaml:13: seeds[2]: is seeds[0] once more",
            "study.yaml:17: grid.agent.tau.variants[0]: no such variant, did you mean `plain`?",
            "study.yaml:2: agent.gama: unknown key, did you mean `gamma`?",
            "study.yaml:16: grid.agent.learning_rat: leads nowhere in a run config, did you mean "
            "`agent.learning_rate`?",
            "study.yaml:17: grid.agent.tau.values[0]: must be less than or equal to 1",
            "study.yaml:15: grid.agent.learning_rate[1]: must be greater than or equal to 0",
            "study.yaml:9: variants.spectral.critic_regularizers[1].kind: unknown kind, did you mean "
            "`gradient_penalty`?",
            "study.yaml:10: variants.td3.agent.ent_coef: unknown key.",
            f"study.yaml:12: tasks[1]: {NO_ENV}",
        ]
        assert sorted(found) == sorted(expected)

    @pytest.mark.parametrize(
        ("override", "message"),
        [
            ("seeds=0", "seeds: must be greater than or equal to 1"),
            ("seeds=12345", "seeds: must be less than or equal to 1000"),
            ("seeds=[]", "seeds: must name at least one"),
            ("seeds=[-1]", "seeds[0]: must be greater than or equal to 0"),
            ("seeds=many", "seeds: must be a number or list, not a text"),
            ("seed=1", "seed: a study has `seeds`: how many, or a list"),
            ("variant=x", "variant: a study has `variants`: a name for each setting"),
            ("study=train", "study: is the folder of single runs: name the study"),
            ("study=../x", f"study: {A_NAME}"),
            ("variants={}", "variants: must name at least one; `plain: {}` changes nothing"),
            ("variants.plain=3", "variants.plain: must be a mapping"),
            ("variants={a/b: {}}", f"variants.a/b: {A_NAME}"),
            ("variants.plain.env.id=CartPole-v1", f"variants.plain.env.id: {TASKS}"),
            (
                "variants.plain.study=x",
                "variants.plain.study: is the name of the whole study: set it beside `variants`",
            ),
            ("variants.plain.variant=x", "variants.plain.variant: is the name that a variant stands under"),
            ("variants.plain.seeds=3", "variants.plain.seeds: holds for the whole study: set it beside `variants`"),
            ("variants.plain.agent.gamma=2", "variants.plain.agent.gamma: must be less than or equal to 1"),
            (
                "variants.plain.critic_regularizers=[{kind: gradient_penalty}]",
                "variants.plain.critic_regularizers[0].coef: missing",
            ),
            ("tasks=[]", "tasks: must name at least one, or be left out for the config's own `env.id`"),
            ("tasks=[Pendulum-v1, Pendulum-v1]", "tasks[1]: is tasks[0] once more"),
            ("tasks=Pendulum-v1", "tasks: must be a list or mapping, not a text"),
            ("tasks={Pendulum-v1: {seed: 3}}", f"tasks.Pendulum-v1.seed: {SEEDS}"),
            ("tasks={Pendulum-v1: {agent: {tau: 2}}}", "tasks.Pendulum-v1.agent.tau: must be less than or equal to 1"),
            ("tasks={Pendulm-v1: {}}", f"tasks.Pendulm-v1: {NO_ENV}"),
            ("grid.seed=[1, 2]", f"grid.seed: {SEEDS}"),
            ("grid.env=[{id: CartPole-v1}]", f"grid.env: {TASKS}"),
            ("grid.agent.gamma=[]", "grid.agent.gamma: must list at least one value"),
            ("grid.agent.gamma=[0.5, 5e-1]", "grid.agent.gamma[1]: is grid.agent.gamma[0] once more"),
            ("grid.agent.gamma=0.5", "grid.agent.gamma: must be a list or mapping, not a number"),
            (
                "grid.agent.gamma={values: [0.5], variant: [plain]}",
                "grid.agent.gamma.variant: unknown key, did you mean `variants`?",
            ),
            ("grid.agnt.gamma=[0.5]", "grid.agnt.gamma: leads nowhere in a run config, did you mean `agent.gamma`?"),
            (
                "grid.learning_rate=[0.5]",
                "grid.learning_rate: leads nowhere in a run config, did you mean `agent.learning_rate`?",
            ),
            ("grid.agent.gamma.x=[0.5]", "grid.agent.gamma.x: agent.gamma is neither a mapping nor a list"),
            (
                "grid.agent..gamma=[0.5]",
                "grid.agent..gamma: must be a dotted path such as agent.gamma or critic_regularizers[0].coef",
            ),
            ("stalled_after=0", "stalled_after: must be greater than 0"),
        ],
    )
    def test_each(self, mistakes: Mistakes, override: str, message: str) -> None:
        assert message in [line.partition("`: ")[2] or line.partition(": ")[2] for line in mistakes(STUDY, override)]

    def test_missing_keys(self, mistakes: Mistakes) -> None:
        assert mistakes("extends: run.yaml") == ["study.yaml: variants: missing", "study.yaml: seeds: missing"]

    def test_a_path_into_a_list_that_not_every_variant_has(self, mistakes: Mistakes) -> None:
        rule = "must be an index below 0, the list's length [variant `plain`]"
        found = mistakes(
            STUDY, "variants.plain.critic_regularizers=[]", "grid.critic_regularizers[0].lipschitz_k=[1, 2]"
        )
        assert [line.partition("`: ")[2] for line in found] == [f"grid.critic_regularizers[0].lipschitz_k: {rule}"]

    def test_two_axes_that_set_the_same(self, mistakes: Mistakes) -> None:
        (found,) = mistakes(STUDY + "grid:\n  agent: [{kind: td3}]\n  agent.gamma: [0.5]\n")
        assert found == "study.yaml:9: grid.agent.gamma: sets what `agent` sets too: one of them would have no effect"

    @pytest.mark.parametrize("values", ["[0.5, 5e-1]", "{values: [0.5, 5e-1]}"])
    def test_a_value_written_twice(self, mistakes: Mistakes, values: str) -> None:
        (found,) = mistakes(STUDY, f"grid.agent.gamma={values}")
        assert found.endswith("[0] once more")

    def test_two_values_of_one_name(self, mistakes: Mistakes) -> None:
        assert (
            "gives two variants the name `plain_ent_coef-a_b`" in mistakes(STUDY, "grid.agent.ent_coef=[a b, a_b]")[0]
        )

    def test_two_variants_of_one_name(self, mistakes: Mistakes) -> None:
        (found,) = mistakes(STUDY + "grid:\n  agent.gamma: {values: [0.5], variants: [plain]}\n",
                            "variants={plain: {}, plain_gamma-0.5: {}}")  # fmt: skip
        assert "gives two variants the name `plain_gamma-0.5`" in found

    def test_a_mistake_in_what_is_shared_says_which_variants_it_spoils(self, mistakes: Mistakes) -> None:
        (found,) = mistakes(STUDY, "agent.ent_coef=0.1", "variants.spectral.agent.kind=td3")
        assert found == "override `agent.ent_coef=0.1`: agent.ent_coef: unknown key. [variant `spectral`]"

    def test_an_agent_that_does_not_fit_one_of_the_tasks(self, mistakes: Mistakes) -> None:
        (found,) = mistakes(STUDY, "tasks=[Pendulum-v1, CartPole-v1]")
        assert found.startswith("run.yaml:3: agent.kind: cannot act in CartPole-v1.")


def test_every_task_is_built_once_and_every_setting_checked_once(load: Load, monkeypatch: pytest.MonkeyPatch) -> None:
    """Which is what makes a dry run of hundreds of runs quick."""
    built, checked = [], []
    describe, validate = suites.describe, resolve.validated
    monkeypatch.setattr(suites, "describe", lambda *args: built.append(args[0]) or describe(*args))
    monkeypatch.setattr(resolve, "validated", lambda *args: checked.append(args) or validate(*args))
    study = load(STUDY, "seeds=25", "tasks=[Pendulum-v1, MountainCarContinuous-v0]", "grid.agent.tau=[0.1, 0.2, 0.3]")
    assert (len(study.cells), len(checked), len(built)) == (300, 12, 2)
