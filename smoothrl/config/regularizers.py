"""The `critic_regularizers` entries: sections defined by the registered classes themselves."""

from __future__ import annotations

import json
from typing import Annotated, Any

from pydantic import GetCoreSchemaHandler, GetJsonSchemaHandler, TypeAdapter
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import CoreSchema, PydanticKnownError, core_schema

from smoothrl import registry


class _Entry:
    """Validates `{kind: name, ...}` into an instance of the class registered as `name`, and writes it back."""

    @staticmethod
    def __get_pydantic_core_schema__(source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        del source, handler
        write = core_schema.plain_serializer_function_ser_schema(_write)
        return core_schema.no_info_plain_validator_function(_build, serialization=write)

    @staticmethod
    def __get_pydantic_json_schema__(schema: CoreSchema, handler: GetJsonSchemaHandler) -> JsonSchemaValue:
        del schema
        return {"oneOf": [_described(name, handler) for name in registry.names("critic_regularizer")]}


CriticRegularizer = Annotated[Any, _Entry]


def _build(value: Any) -> Any:
    names = registry.names("critic_regularizer")
    if getattr(value, "kind", None) in names:
        return value
    if not isinstance(value, dict):
        raise PydanticKnownError("dict_type")
    if "kind" not in value:
        raise PydanticKnownError("union_tag_not_found", {"discriminator": "'kind'"})
    if value["kind"] not in names:
        tags = {"discriminator": "'kind'", "tag": str(value["kind"]), "expected_tags": ", ".join(names)}
        raise PydanticKnownError("union_tag_invalid", tags)
    fields = {key: item for key, item in value.items() if key != "kind"}
    section: TypeAdapter[Any] = TypeAdapter(registry.load("critic_regularizer", value["kind"]))
    # As JSON, so that strict classes take a list for a tuple; no extras, so that a typo never passes unseen.
    return section.validate_json(json.dumps(fields), strict=True, extra="forbid")


def _write(value: Any) -> dict[str, Any]:
    return {"kind": value.kind, **TypeAdapter(type(value)).dump_python(value, mode="json")}


def _described(name: str, handler: GetJsonSchemaHandler) -> JsonSchemaValue:
    section = handler(TypeAdapter(registry.load("critic_regularizer", name)).core_schema)
    fields = handler.resolve_ref_schema(section)
    fields["properties"] = {"kind": {"const": name, "type": "string"}, **fields["properties"]}
    fields["required"] = ["kind", *fields.get("required", ())]
    fields["additionalProperties"] = False
    return section
