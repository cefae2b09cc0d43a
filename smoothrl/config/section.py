"""The base of every config section, and the vocabulary its fields share."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Annotated, Any

from pydantic import (
    BaseModel,
    ConfigDict,
    Discriminator,
    Field,
    GetCoreSchemaHandler,
    GetJsonSchemaHandler,
    ValidationError,
)
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import CoreSchema, PydanticCustomError, core_schema


class Section(BaseModel):
    """A part of a config file: frozen, no unknown keys, no coercion, finite numbers only."""

    model_config = ConfigDict(
        frozen=True,
        extra="forbid",
        strict=True,
        allow_inf_nan=False,
        validate_by_name=True,
        validate_by_alias=True,
        use_attribute_docstrings=True,
    )


@dataclass(frozen=True)
class Matching:
    """Text of a form that a regular expression checks and a sentence explains."""

    pattern: str
    rule: str

    def _check(self, text: str) -> str:
        if not re.fullmatch(self.pattern, text):
            raise broken_rule(self.rule)
        return text

    def __get_pydantic_core_schema__(self, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        return core_schema.no_info_after_validator_function(self._check, handler(source))

    def __get_pydantic_json_schema__(self, schema: CoreSchema, handler: GetJsonSchemaHandler) -> JsonSchemaValue:
        return {**handler(schema), "pattern": f"^{self.pattern}$"}


def broken_rule(rule: str) -> PydanticCustomError:
    """The error of a value that breaks a rule of ours; the rule reads on from the value's name."""
    return PydanticCustomError("rule", "{rule}", {"rule": rule})


def broken_rule_at(field: tuple[str, ...], rule: str, value: Any) -> ValidationError:
    """The error of a rule that spans several fields, placed at the field to change."""
    return ValidationError.from_exception_data("config", [{"type": broken_rule(rule), "loc": field, "input": value}])


def shape_of(value: Any) -> str:
    """Which alternative of a field like `float | Schedule` a value is meant for: the tag of that alternative."""
    match value:
        case dict() | Section():
            return "mapping"
        case list() | tuple():
            return "list"
        case str():
            return "text"
        case _:
            return "number"


BY_SHAPE = Discriminator(shape_of)
"""For unions of differently shaped values, so that a mistake is reported for the one alternative that was meant."""

Positive = Annotated[float, Field(gt=0)]
NonNegative = Annotated[float, Field(ge=0)]
Fraction = Annotated[float, Field(ge=0, le=1)]
Count = Annotated[int, Field(ge=1)]
Seed = Annotated[int, Field(ge=0, lt=2**32)]
FolderName = Annotated[
    str,
    Matching(
        r"(?!.*\.\.)[A-Za-z0-9][A-Za-z0-9._-]{0,99}",
        "must be a name: letters, digits, `.`, `_`, `-`; at most 100; a letter or digit first; no `..`",
    ),
]
