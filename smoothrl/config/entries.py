"""Fields that hold `{kind: name, ...}`: the class that a door of the registry knows as `name` defines the rest."""

from __future__ import annotations

import json
from collections.abc import Collection
from dataclasses import dataclass
from typing import Annotated, Any

from pydantic import GetCoreSchemaHandler, GetJsonSchemaHandler, TypeAdapter
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import CoreSchema, PydanticKnownError, core_schema

from smoothrl import registry


@dataclass(frozen=True)
class Entry:
    """Validates `{kind: name, ...}` into an instance of the class registered as `name`, and writes it back."""

    door: registry.Door

    def __get_pydantic_core_schema__(self, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        del source, handler
        write = core_schema.plain_serializer_function_ser_schema(_write)
        return core_schema.no_info_plain_validator_function(self._read, serialization=write)

    def __get_pydantic_json_schema__(self, schema: CoreSchema, handler: GetJsonSchemaHandler) -> JsonSchemaValue:
        del schema
        return {"oneOf": [self._described(name, handler) for name in registry.names(self.door)]}

    def _read(self, value: Any) -> Any:
        names = registry.names(self.door)
        if getattr(value, "kind", None) in names:
            return value
        name = kind_of(value, names)
        return read_section(registry.load(self.door, name), value)

    def _described(self, name: str, handler: GetJsonSchemaHandler) -> JsonSchemaValue:
        section = handler(TypeAdapter(registry.load(self.door, name)).core_schema)
        fields = handler.resolve_ref_schema(section)
        fields["properties"] = {"kind": {"const": name, "type": "string"}, **fields["properties"]}
        fields["required"] = ["kind", *fields.get("required", ())]
        fields["additionalProperties"] = False
        return section


CriticRegularizer = Annotated[Any, Entry("critic_regularizer")]
OptimizerAdaptation = Annotated[Any, Entry("optimizer_adaptation")]
Diagnostic = Annotated[Any, Entry("diagnostic")]


def every_diagnostic() -> tuple[Any, ...]:
    """Every built-in diagnostic at its default settings. Those of plug-ins are measured where a config names them."""
    return tuple(registry.load("diagnostic", name)() for name in registry.builtin("diagnostic"))


def kind_of(value: Any, names: Collection[str]) -> str:
    """The `kind` that a mapping names, one of `names`; anything else is the error of a union that it tags."""
    if not isinstance(value, dict):
        raise PydanticKnownError("dict_type")
    if "kind" not in value:
        raise PydanticKnownError("union_tag_not_found", {"discriminator": "'kind'"})
    kind = value["kind"]
    if kind not in names:
        tags = {"discriminator": "'kind'", "tag": str(kind), "expected_tags": ", ".join(names)}
        raise PydanticKnownError("union_tag_invalid", tags)
    return str(kind)


def read_section(section: type, value: dict[str, Any]) -> Any:
    """An instance of a section from a mapping with its `kind` and its fields."""
    fields = {key: item for key, item in value.items() if key != "kind"}
    adapter: TypeAdapter[Any] = TypeAdapter(section)
    # As JSON, so that strict classes take a list for a tuple; no extras, so that a typo never passes unseen.
    return adapter.validate_json(json.dumps(fields), strict=True, extra="forbid")


def _write(value: Any) -> dict[str, Any]:
    return {"kind": value.kind, **TypeAdapter(type(value)).dump_python(value, mode="json")}
