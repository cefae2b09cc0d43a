"""The `agent` section, also of agents that are not built in: theirs is read off their constructors."""

from __future__ import annotations

import inspect
from collections.abc import Iterator
from types import NoneType, SimpleNamespace, UnionType
from typing import Annotated, Any, Literal, Union, get_args, get_origin, get_type_hints

from pydantic import GetCoreSchemaHandler, GetJsonSchemaHandler, TypeAdapter, ValidationError, create_model
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import CoreSchema, core_schema

from smoothrl import registry
from smoothrl.config.agents import AGENTS, Agent
from smoothrl.config.entries import kind_of, read_section
from smoothrl.config.section import broken_rule_at

DOORS = {"critic_regularizers", "optimizer_adaptations", "diagnostics"}
"""Constructor arguments with a section of their own."""
ELSEWHERE = {"env", "seed", "device", "verbose", "tensorboard_log", "_init_setup_model", "diagnostics_budget", *DOORS}
"""Constructor arguments that other parts of the config or the run decide."""

_derived: dict[str, type[Agent]] = {}


class _AnyAgent:
    """Validates `{kind: name, ...}` into the section of the agent registered as `name`. A built-in agent's section is
    written down, so that checking it imports nothing."""

    @staticmethod
    def __get_pydantic_core_schema__(source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        del source, handler
        as_the_section_does = core_schema.simple_ser_schema("any")
        return core_schema.no_info_plain_validator_function(_read, serialization=as_the_section_does)

    @staticmethod
    def __get_pydantic_json_schema__(schema: CoreSchema, handler: GetJsonSchemaHandler) -> JsonSchemaValue:
        """Plug-ins that nobody has asked for yet are described by their name alone: more would import them."""
        del schema
        named = [
            {"type": "object", "properties": {"kind": {"const": name, "type": "string"}}, "required": ["kind"]}
            for name in kinds()
            if name not in AGENTS | _derived
        ]
        sections = [handler(section.__pydantic_core_schema__) for section in (AGENTS | _derived).values()]
        # Without its `kind`, which a parent file may say, a section fits several agents: `oneOf` would refuse it.
        return {"anyOf": [*sections, *named]}


AnyAgent = Annotated[Agent, _AnyAgent]


def kinds() -> list[str]:
    """Every agent's `kind`: the built-in ones, then those of plug-ins and of further modules in `agents/`."""
    return [*AGENTS, *(name for name in registry.names("agent") if name not in AGENTS)]


def section_of(kind: str) -> type[Agent]:
    """The section of the agent of this kind; imports the agent if it is not built in.

    Raises:
        ValidationError: no section can be derived for it.
    """
    if kind not in AGENTS | _derived:
        _derived[kind] = _derive(kind, registry.load("agent", kind))
    return (AGENTS | _derived)[kind]


def _read(value: Any) -> Agent:
    if isinstance(value, Agent):
        return value
    section = read_section(section_of(kind_of(value, kinds())), value)
    assert isinstance(section, Agent)
    return section


def _derive(kind: str, cls: type) -> type[Agent]:
    """The section of the nearest SB3 class that the agent descends from, with the parameters of its own."""
    line = [c for c in cls.__mro__ if c.__module__.startswith("stable_baselines3.") and c.__name__.lower() in AGENTS]
    if not line:
        raise _refused(kind, f"descends from no SB3 class that has a config section ({', '.join(AGENTS)})")
    section = AGENTS[line[0].__name__.lower()]
    younger = cls.__mro__[: cls.__mro__.index(line[0])]
    own = [c for c in reversed(younger) if "__init__" in vars(c)]
    if missing := DOORS - {parameter.name for c in own for parameter in _parameters(c)}:
        rule = f"its constructor takes no {', '.join(sorted(missing))}: derive it from an agent of smoothrl"
        raise _refused(kind, rule)
    fields: dict[str, Any] = {"kind": (Literal[kind], kind)}
    for c in own:
        for parameter in _parameters(c):
            if parameter.name in section.model_fields:
                fields |= _other_default(kind, section, parameter)
            elif parameter.name not in ELSEWHERE:
                fields |= _new_field(kind, parameter, c)
    return create_model(cls.__name__, __base__=section, __doc__=inspect.getdoc(cls), **fields)


def _parameters(cls: type) -> Iterator[inspect.Parameter]:
    """What the class's own constructor takes by name."""
    by_name = {inspect.Parameter.POSITIONAL_OR_KEYWORD, inspect.Parameter.KEYWORD_ONLY}
    parameters = list(inspect.signature(vars(cls)["__init__"]).parameters.values())[1:]  # without `self`
    return (parameter for parameter in parameters if parameter.kind in by_name)


def _other_default(kind: str, section: type[Agent], parameter: inspect.Parameter) -> dict[str, Any]:
    """The field of SB3's parameter with the default that this agent gives it; none where SB3's holds.

    Where a section's default is None, it leaves the argument out, and the constructor's own default holds by itself.
    """
    field = section.model_fields[parameter.name]
    if field.default is None or parameter.name == "policy" or parameter.default in (parameter.empty, field.default):
        return {}
    annotation = get_type_hints(section, include_extras=True)[parameter.name]
    return {parameter.name: (annotation, _as_data(kind, annotation, parameter))}


def _new_field(kind: str, parameter: inspect.Parameter, cls: type) -> dict[str, Any]:
    """The field of a parameter that SB3 does not have; none if its type is not plain data."""
    annotation = _resolved(parameter.annotation, vars(cls)["__init__"].__globals__)
    if not _is_plain(annotation):
        if parameter.default is parameter.empty:
            rule = f"its parameter `{parameter.name}` has neither a default nor a type that a config can hold"
            raise _refused(kind, rule)
        return {}
    if parameter.default is parameter.empty:
        return {parameter.name: (annotation, ...)}
    if parameter.default is None:
        return {parameter.name: (Union[annotation, None], None)}  # noqa: UP007
    if NoneType in get_args(annotation):
        # A section leaves None out, which would mean the default.
        annotation = Union[tuple(part for part in get_args(annotation) if part is not NoneType)]  # noqa: UP007
    return {parameter.name: (annotation, _as_data(kind, annotation, parameter))}


def _as_data(kind: str, annotation: Any, parameter: inspect.Parameter) -> Any:
    """The parameter's default as its field holds it: a list for a tuple."""
    try:
        return TypeAdapter(annotation).validate_python(parameter.default)
    except ValidationError as error:
        rule = f"its default of `{parameter.name}`, {parameter.default!r}, is nothing that a config can hold"
        raise _refused(kind, rule) from error


def _resolved(annotation: Any, names: dict[str, Any]) -> Any:
    """A type for an annotation, which is text under `from __future__ import annotations`."""
    try:
        return get_type_hints(SimpleNamespace(__annotations__={"it": annotation}), names)["it"]
    except NameError:  # imported for type checkers alone: nothing plain
        return object


def _is_plain(annotation: Any) -> bool:
    """bool, int, float, str, a Literal, a list of these, or an alternative between these and None."""
    origin = get_origin(annotation)
    if origin in (Union, UnionType, list):
        return all(part is NoneType or _is_plain(part) for part in get_args(annotation))
    return origin is Literal or annotation in (bool, int, float, str)


def _refused(kind: str, rule: str) -> ValidationError:
    return broken_rule_at(("kind",), f"`{kind}` cannot be set up from a config: {rule}", kind)
