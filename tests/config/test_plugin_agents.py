"""Agents that are not built in: their sections are read off their constructors."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, Literal

import pytest
import stable_baselines3

from smoothrl import registry
from smoothrl.agents import DDPG, PPO, SAC
from smoothrl.config import json_schema, plugin_agents, to_yaml
from smoothrl.config.agents import SAC as SACSection
from smoothrl.config.plugin_agents import kinds, section_of

from .conftest import MINIMAL, Load, Mistakes

if TYPE_CHECKING:
    from torch import Tensor


class Cautious(SAC):
    """Cautious SAC: takes its time."""

    def __init__(
        self,
        *args: Any,
        patience: int,
        mode: Literal["slow", "slower"] = "slow",
        delays: list[int] | None = (1, 2),  # type: ignore[assignment]
        ratio: float | None = None,
        warm: Tensor | None = None,
        gamma: float = 0.9,
        learning_rate: float = 1e-4,
        ent_coef: str | float = "auto_0.5",
        **kwargs: Any,
    ) -> None:
        """Only its signature matters here."""


class MoreCautious(Cautious):
    """A grandchild: its own parameters, and those of its parent."""

    def __init__(self, *args: Any, gamma: float = 0.8, rest: bool = False, **kwargs: Any) -> None:
        """Only its signature matters here."""


class Unchanged(PPO):
    """PPO under another name."""


class Bare(stable_baselines3.SAC):
    """SB3's own, which knows nothing of regularizers."""


class Nothing:
    """No agent at all."""


class OddDefault(DDPG):
    """A default that is code."""

    def __init__(self, *args: Any, learning_rate: Any = abs, **kwargs: Any) -> None:
        """Only its signature matters here."""


class OddParameter(DDPG):
    """A parameter that cannot be left out and is no data."""

    def __init__(self, *args: Any, network: Tensor, **kwargs: Any) -> None:
        """Only its signature matters here."""


PLUG_INS: dict[str, type] = {
    "cautious": Cautious,
    "more_cautious": MoreCautious,
    "unchanged": Unchanged,
    "bare": Bare,
    "nothing": Nothing,
    "odd_default": OddDefault,
    "odd_parameter": OddParameter,
}


@pytest.fixture(autouse=True)
def _plug_ins(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, cls in PLUG_INS.items():
        monkeypatch.setitem(registry._classes["agent"], name, cls)
    monkeypatch.setattr(plugin_agents, "_derived", {})


def agent(text: str) -> str:
    return MINIMAL.replace("kind: sac", text)


def test_the_section_is_that_of_sb3_s_class_with_the_agent_s_own_parameters(load: Load) -> None:
    config = load(agent("{kind: cautious, patience: 3, batch_size: 64}"))
    section: Any = config.agent
    assert isinstance(section, SACSection)
    assert (section.kind, section.patience, section.batch_size) == ("cautious", 3, 64)
    assert (section.mode, section.delays, section.ratio) == ("slow", [1, 2], None)
    assert (section.gamma, section.learning_rate, section.ent_coef) == (0.9, 1e-4, "auto_0.5")
    assert set(type(section).model_fields) == {*SACSection.model_fields, "patience", "mode", "delays", "ratio"}


def test_the_resolved_config_lists_every_parameter_and_loads_again(load: Load) -> None:
    config = load(agent("{kind: cautious, patience: 3, learning_rate: {kind: linear, from: 1, to: 0}}"))
    text = to_yaml(config)
    for line in ("kind: cautious", "patience: 3", "gamma: 0.9", "from: 1.0", "ent_coef: auto_0.5"):
        assert f"  {line}\n" in text
    assert load(text) == config


def test_a_grandchild_has_the_parameters_of_its_parents_and_its_own_defaults(load: Load) -> None:
    section: Any = load(agent("{kind: more_cautious, patience: 1}")).agent
    assert (section.gamma, section.learning_rate, section.rest) == (0.8, 1e-4, False)


def test_rules_between_sections_hold_for_plug_ins_too(mistakes: Mistakes) -> None:
    (found,) = mistakes(agent("{kind: unchanged, n_steps: 1}"))
    assert "agent.n_steps: n_steps * env.n_envs must be greater than 1" in found
    (found,) = mistakes(agent("{kind: unchanged, policy_kwargs: {optimizer_kwargs: {momentum: 1}}}"))
    assert "agent.policy_kwargs.optimizer_kwargs.momentum: adam has no such option" in found


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{kind: cautios}", "agent.kind: unknown kind, did you mean `cautious`?"),
        ("{kind: cautious}", "agent.patience: missing"),
        ("{kind: cautious, patience: 1, patienc: 3}", "agent.patienc: unknown key, did you mean `patience`? (got 3)"),
        ("{kind: cautious, patience: 1, gama: 3}", "agent.gama: unknown key, did you mean `gamma`? (got 3)"),
        ("{kind: cautious, patience: 1.5}", "agent.patience: must be an integer (got 1.5)"),
        ("{kind: cautious, patience: 1, mode: slowe}", "agent.mode: unknown value, did you mean `slower`?"),
        ("{kind: cautious, patience: 1, delays: null}", "agent.delays: must be a list (got null)"),
        ("{kind: cautious, patience: 1, warm: 3}", "agent.warm: unknown key"),
        ("{kind: cautious, patience: 1, gamma: 3}", "agent.gamma: must be less than or equal to 1 (got 3)"),
        ("{kind: cautious, patience: 1, learning_rate: fast}", "agent.learning_rate: must be a number or mapping"),
        (
            "{kind: bare}",
            "agent.kind: `bare` cannot be set up from a config: its constructor takes no critic_regularizers, "
            "diagnostics, optimizer_adaptations: derive it from an agent of smoothrl",
        ),
        (
            "{kind: nothing}",
            "agent.kind: `nothing` cannot be set up from a config: descends from no SB3 class that has a config "
            "section (sac, td3, ddpg, ppo, a2c, dqn)",
        ),
        (
            "{kind: odd_default}",
            "agent.kind: `odd_default` cannot be set up from a config: its default of `learning_rate`, <built-in "
            "function abs>, is nothing that a config can hold",
        ),
        (
            "{kind: odd_parameter}",
            "agent.kind: `odd_parameter` cannot be set up from a config: its parameter `network` has neither a default "
            "nor a type that a config can hold",
        ),
    ],
)
def test_mistakes(mistakes: Mistakes, text: str, message: str) -> None:
    (found,) = mistakes(agent(text))
    assert re.match(rf"run.yaml:[45]: {re.escape(message)}", found)


def test_editors_know_plug_ins_by_name_and_those_in_use_whole() -> None:
    def described(name: str) -> dict[str, Any]:
        schema = json_schema()
        sections = [
            schema["definitions"][option["$ref"].rpartition("/")[2]] if "$ref" in option else option
            for option in schema["properties"]["agent"]["anyOf"]
        ]
        (found,) = [section for section in sections if section["properties"]["kind"]["const"] == name]
        return dict(found["properties"])

    assert set(described("cautious")) == {"kind"}
    section_of("cautious")
    assert {"patience", "mode", "gamma", "critic_learning_rate"} <= set(described("cautious"))
    assert kinds()[:6] == ["sac", "td3", "ddpg", "ppo", "a2c", "dqn"]
