"""The schema that editors complete from accepts what we accept, and refuses what it can see is wrong."""

from __future__ import annotations

import json
import re
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from ruamel.yaml import YAML

from smoothrl.config import json_schema, load_run, to_yaml

FILES = sorted((Path(__file__).parents[2] / "configs").glob("*/*.yaml"))
CONFIGS = [path for path in FILES if path.parent.name != "studies"]
TYPES: dict[str, Any] = {"object": dict, "array": list, "string": str, "boolean": bool, "null": type(None)}


def validates(value: Any, schema: dict[str, Any], root: dict[str, Any]) -> bool:
    """The draft-07 keywords that our schema uses, from the specification; an unknown keyword is an error."""
    if "$ref" in schema:
        return validates(value, root["definitions"][schema["$ref"].removeprefix("#/definitions/")], root)

    def inner(part: dict[str, Any], item: Any = value) -> bool:
        return validates(item, part, root)

    def holds(keyword: str, rule: Any) -> bool:
        is_number = isinstance(value, int | float) and not isinstance(value, bool)
        match keyword:
            case "type" if rule in ("number", "integer"):
                return is_number and (rule == "number" or float(value).is_integer())
            case "type":
                return isinstance(value, TYPES[rule])
            case "const":
                return bool(value == rule)
            case "enum":
                return value in rule
            case "anyOf":
                return any(map(inner, rule))
            case "oneOf":
                return sum(map(inner, rule)) == 1
            case "not":
                return not inner(rule)
            case "if":
                return not inner(rule) or inner(schema["then"])
            case "required":
                return set(rule) <= set(value)
            case "properties":
                return all(inner(part, value[key]) for key, part in rule.items() if key in value)
            case "additionalProperties":
                extra = [value[key] for key in value if key not in schema.get("properties", {})]
                return all(inner(rule, item) for item in extra) if isinstance(rule, dict) else rule or not extra
            case "items":
                return all(inner(rule, item) for item in value)
            case "pattern":
                return re.search(rule, value) is not None
            case "minimum" | "maximum" | "exclusiveMinimum" | "exclusiveMaximum":
                low = keyword.endswith("Minimum") or keyword == "minimum"
                return (value > rule if low else value < rule) or (value == rule and not keyword.startswith("excl"))
            case "minItems" | "maxItems":
                return len(value) >= rule if keyword == "minItems" else len(value) <= rule
            case "then" | "default" | "description" | "title" | "definitions" | "$schema" | "discriminator":
                return True
            case "prefixItems":  # of a later draft: editors that know it use it, the others ignore it
                return True
        raise AssertionError(f"unknown keyword {keyword}")

    # A value of the wrong type fails at `type`; the other keywords may then not even apply.
    keywords = sorted(schema, key=lambda keyword: keyword != "type")
    return all(holds(keyword, schema[keyword]) for keyword in keywords)


run_schema = cache(json_schema)


def accepts(data: Any) -> bool:
    schema = run_schema()
    return validates(data, schema, schema)


def read(path: Path) -> Any:
    return YAML(typ="safe", pure=True).load(path)


@pytest.mark.parametrize("path", CONFIGS, ids=lambda path: f"{path.parent.name}/{path.stem}")
def test_shipped_files_validate(path: Path) -> None:
    data = read(path)
    assert accepts(data if path.name != "base.yaml" else data | {"agent": {"kind": "sac"}})


@pytest.mark.parametrize("path", [path for path in CONFIGS if path.name != "base.yaml"], ids=lambda path: path.stem)
def test_resolved_configs_validate(path: Path) -> None:
    assert accepts(YAML(typ="safe", pure=True).load(to_yaml(load_run(path))))


RUN: dict[str, Any] = {"total_timesteps": 1, "env": {"id": "Pendulum-v1"}, "agent": {"kind": "sac"}}


def test_parts_of_a_config_validate_only_beside_a_parent() -> None:
    part = {"agent": {"gamma": 0.9}, "env": {"n_envs": 2}}
    assert accepts({"extends": "base.yaml"} | part)
    assert not accepts(part)
    assert accepts(RUN)


@pytest.mark.parametrize(
    "change",
    [
        {"seeds": 1},
        {"seed": -1},
        {"agent": {"kind": "sac", "gama": 0.9}},
        {"agent": {"kind": "dqm"}},
        {"agent": {"kind": "dqn", "critic_learning_rate": 1}},
        {"agent": {"kind": "ppo", "tau": 0.1}},
        {"agent": {"kind": "sac", "learning_rate": {"kind": "linear", "to": 0}}},
        {"critic_regularizers": [{"kind": "gradient_penalty", "coeff": 1}]},
        {"critic_regularizers": [{"kind": "gradient_penalty"}]},
        {"critic_regularizers": [{"coef": 1}]},
        {"critic_regularizers": [{"kind": "spectral_norm", "coef": 1}]},
        {"optimizer_adaptations": [{"kind": "div_grad", "coef": 1}]},
        {"optimizer_adaptations": [{"kind": "spectral_norm"}]},
        {"diagnostics": [{"kind": "drift", "every": 0}]},
        {"device": "gpu"},
    ],
)
def test_mistakes_do_not_validate(change: dict[str, Any]) -> None:
    assert not accepts(RUN | change)


def test_fields_are_described_for_the_editor() -> None:
    schema = json_schema()
    assert schema["properties"]["total_timesteps"]["description"] == "Environment steps to train for."
    for door, names in {
        "critic_regularizers": {"gradient_penalty", "spectral_norm"},
        "optimizer_adaptations": {"div_grad", "mul_eps", "div_out", "drift_adjusted_lr", "gradient_regularization"},
        "diagnostics": {"lipschitz", "curvature", "drift"},
    }.items():
        entries = schema["properties"][door]["items"]["oneOf"]
        assert {entry["properties"]["kind"]["const"] for entry in entries} >= names
        assert all("description" in field for entry in entries for field in list(entry["properties"].values())[1:])
    json.dumps(schema)
