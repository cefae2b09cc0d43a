"""From pydantic's errors to problems in the words of the file: its own paths, its values, the nearest valid name."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from typing import Any

from pydantic import ValidationError
from pydantic_core import ErrorDetails

from smoothrl.config.errors import Keys, Problem, dotted
from smoothrl.config.json_schema import json_schema
from smoothrl.config.reader import holds
from smoothrl.registry import did_you_mean


def explain(error: ValidationError, data: Any, schema: Callable[[], dict[str, Any]] = json_schema) -> list[Problem]:
    """The problems behind a failed validation of `data`, which is what the file says; `schema` gives what is valid."""
    valid = schema()
    return [_problem(details, data, valid) for details in error.errors(include_url=False)]


def valid_paths(data: Any, schema: dict[str, Any], keys: Keys = ()) -> Iterator[str]:
    """Every dotted path that a file like this one may set, given the `kind`s that it names."""
    part = _at(keys, data)
    for key in range(len(part)) if isinstance(part, list) else dict.fromkeys(_valid_keys(keys, data, schema)):
        yield dotted((*keys, key))
        yield from valid_paths(data, schema, (*keys, key))


def _problem(details: ErrorDetails, data: Any, schema: dict[str, Any]) -> Problem:
    keys, context, value = _keys(details, data), details.get("ctx", {}), details["input"]
    match details["type"]:
        case "missing":
            return Problem(keys, "missing")
        case "extra_forbidden" | "unexpected_keyword_argument":
            valid = _valid_keys(keys[:-1], data, schema)
            return Problem(keys, f"unknown key{did_you_mean(str(keys[-1]), valid)}", value=value)
        case "union_tag_not_found":
            return Problem((*keys, "kind"), f"missing, must be one of {', '.join(_kinds(keys, data, schema))}")
        case "union_tag_invalid" if context["discriminator"] == "'kind'":
            tag = context["tag"]
            return Problem((*keys, "kind"), f"unknown kind{did_you_mean(tag, _kinds(keys, data, schema))}", value=tag)
        case "union_tag_invalid":
            shapes = context["expected_tags"].replace("'", "").replace(", ", " or ")
            return Problem(keys, f"must be a {shapes}, not a {context['tag']}", value=value)
        case "literal_error":
            valid = re.findall(r"'([^']*)'", context["expected"])
            return Problem(keys, f"unknown value{did_you_mean(str(value), valid)}", value=value)
        case "int_type" if isinstance(value, float) and value.is_integer():
            return Problem(keys, f"must be an integer, written {int(value)}", value=value)
        case _:
            return Problem(keys, _in_our_words(details["msg"]), value=value)


def _keys(details: ErrorDetails, data: Any) -> Keys:
    """Where the error stands in the file: pydantic's location without the union tags in it."""
    keys: list[str | int] = []
    for key in details["loc"]:
        if holds(data, key):
            data = data[key]
            keys.append(key)
    if details["type"] == "missing":
        keys.append(details["loc"][-1])
    return tuple(keys)


def _in_our_words(message: str) -> str:
    message = re.sub(r"^(Input|\w+) should ", "must ", message)
    message = message.replace("a valid ", "a ").replace("an object", "a mapping").replace("a array", "a list")
    return message.replace("a integer", "an integer").removeprefix("Value error, ")


def _valid_keys(keys: Keys, data: Any, schema: dict[str, Any]) -> list[str]:
    return [key for node in _nodes(keys, data, schema) if _fits(node, _at(keys, data)) for key in node["properties"]]


def _kinds(keys: Keys, data: Any, schema: dict[str, Any]) -> list[str]:
    return [kind for node in _nodes(keys, data, schema) if (kind := _kind(node))]


def _nodes(keys: Keys, data: Any, schema: dict[str, Any]) -> list[dict[str, Any]]:
    """The mappings that the schema allows at these keys, given the `kind`s that the file names on the way there."""
    nodes = _alternatives(schema, schema)
    for i, key in enumerate(keys):
        part = _at(keys[:i], data)
        inner = [
            node.get("items") if isinstance(key, int) else _property(node, key) for node in nodes if _fits(node, part)
        ]
        nodes = [option for node in inner if node for option in _alternatives(node, schema)]
    return [node for node in nodes if "properties" in node]


def _property(node: dict[str, Any], key: str) -> dict[str, Any] | None:
    """What the schema says of a key: by its name, or, in a mapping of names, as of every other."""
    other = node.get("additionalProperties")
    return node.get("properties", {}).get(key, other if isinstance(other, dict) else None)


def _alternatives(node: dict[str, Any], schema: dict[str, Any]) -> list[dict[str, Any]]:
    if "$ref" in node:
        node = schema["definitions"][node["$ref"].rpartition("/")[2]]
    options = node.get("oneOf") or node.get("anyOf")
    return [inner for option in options for inner in _alternatives(option, schema)] if options else [node]


def _kind(node: dict[str, Any]) -> str | None:
    return node.get("properties", {}).get("kind", {}).get("const")


def _fits(node: dict[str, Any], value: Any) -> bool:
    return _kind(node) is None or (isinstance(value, dict) and value.get("kind") == _kind(node))


def _at(keys: Keys, data: Any) -> Any:
    """The value at these keys; of a missing one, the mapping that it could be."""
    for key in keys:
        data = data[key] if holds(data, key) else {}
    return data
