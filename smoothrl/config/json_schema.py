"""The JSON schema of config files: what editors complete from, and where error messages find the valid names."""

from __future__ import annotations

from typing import Any

from smoothrl.config.schema import RunConfig


def json_schema() -> dict[str, Any]:
    """Draft-07, the one that editors' YAML servers understand.

    A file that extends another may leave out what its parent says, so there the required keys of a run are not asked.
    """
    schema = RunConfig.model_json_schema(ref_template="#/definitions/{model}")
    definitions = schema.pop("$defs")
    required = {"required": schema.pop("required")}
    schema["properties"]["extends"] = {"type": "string", "description": "A file, seen from this one, to build on."}
    del definitions["Env"]["required"]
    return {
        "$schema": "http://json-schema.org/draft-07/schema#",
        **schema,
        "if": {"not": {"required": ["extends"]}},
        "then": required,
        "definitions": definitions,
    }
