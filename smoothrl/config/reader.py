"""Strict YAML: plain mappings, lists and scalars, with the line of every value.

YAML can name code, expand one value into millions, and read `2024-01-01` as an object. Configs are exchanged, so what
is not plain data is refused, and a key written twice is a mistake rather than a choice.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML
from ruamel.yaml.error import MarkedYAMLError, YAMLError
from ruamel.yaml.events import AliasEvent, CollectionEndEvent, CollectionStartEvent, DocumentStartEvent, ScalarEvent
from ruamel.yaml.nodes import MappingNode, Node, ScalarNode, SequenceNode

from smoothrl.config.errors import ConfigError, Keys, Problem
from smoothrl.registry import did_you_mean

MAX_BYTES = 1_000_000
MAX_DEPTH = 32
_PLAIN = {"null", "bool", "int", "float", "str"}


@dataclass
class Document:
    """What was read, where each value was written, and what is wrong with it."""

    source: str
    data: Any = None
    origins: dict[Keys, str] = field(default_factory=dict)
    problems: list[Problem] = field(default_factory=list)

    def where(self, keys: Keys) -> str:
        """Where the value at these keys was written; of a missing one, where what it is missing from was."""
        place, value = self.source, self.data
        for i, key in enumerate(keys, start=1):
            if not holds(value, key):
                break
            place, value = self.origins.get(keys[:i], place), value[key]
        return place


def holds(data: Any, key: str | int) -> bool:
    """Whether data is a mapping with this key or a list with this index."""
    return key in data if isinstance(data, dict) else isinstance(data, list) and key in range(len(data))


def read_file(path: Path) -> Document:
    """Read one YAML file.

    Raises:
        ConfigError: the file cannot be read, or is not strict YAML.
    """
    try:
        if path.stat().st_size > MAX_BYTES:
            raise ConfigError([Problem((), f"must be at most {MAX_BYTES:,} bytes long", str(path))])
        text = path.read_text("utf-8")
    except FileNotFoundError as error:
        raise ConfigError([Problem((), no_such_file(path), str(path))]) from error
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError([Problem((), f"cannot be read: {error}", str(path))]) from error
    return read(text, str(path))


def no_such_file(path: Path) -> str:
    """The rule that a missing file breaks, with the nearest name beside it."""
    return f"no such file{did_you_mean(path.name, (sibling.name for sibling in path.parent.glob('*.yaml')))}"


def read(text: str, source: str, numbered: bool = True) -> Document:
    """Read YAML text.

    Args:
        text: the YAML.
        source: where it comes from, for error messages.
        numbered: whether a line number helps to find a place in it.

    Raises:
        ConfigError: the text is not YAML, or uses what strict YAML leaves out.
    """
    return _Reader(source, numbered).read(text)


class _Reader:
    def __init__(self, source: str, numbered: bool) -> None:
        self.yaml = YAML(typ="safe", pure=True)
        self.numbered = numbered
        self.document = Document(source)

    def read(self, text: str) -> Document:
        try:
            if refused := [Problem((), rule, self._at(mark)) for mark, rule in self._not_strict(text)]:
                raise ConfigError(refused)
            root = self.yaml.compose(text)
        except MarkedYAMLError as error:
            rule = ", ".join(part for part in (error.context, error.problem) if part)
            raise ConfigError([Problem((), f"not valid YAML: {rule}", self._at(error.problem_mark))]) from error
        except YAMLError as error:
            rule = f"not valid YAML: {str(error).splitlines()[0]}"
            raise ConfigError([Problem((), rule, self.document.source)]) from error
        self.document.data = None if root is None else self._value(root, ())
        return self.document

    def _not_strict(self, text: str) -> Iterator[tuple[Any, str]]:
        """(mark, rule) of what strict YAML leaves out, seen in the events: before anything is built from them."""
        depth = documents = 0
        for event in self.yaml.parse(text):
            match event:
                case DocumentStartEvent():
                    documents += 1
                    if documents > 1:
                        yield event.start_mark, "a file holds one document: `---` starts another"
                    if event.version or event.tags:
                        yield event.start_mark, "directives (`%`) are not allowed"
                case AliasEvent():
                    yield event.start_mark, f"aliases are not allowed: `*{event.anchor}`"
                case ScalarEvent() | CollectionStartEvent():
                    if event.anchor:
                        yield event.start_mark, f"anchors are not allowed: `&{event.anchor}`"
                    if event.tag:
                        yield event.start_mark, f"tags are not allowed: `{event.tag}`"
            depth += isinstance(event, CollectionStartEvent) - isinstance(event, CollectionEndEvent)
            if depth > MAX_DEPTH:
                yield event.start_mark, f"must be nested at most {MAX_DEPTH} deep"
                return

    def _value(self, node: Node, keys: Keys) -> Any:
        self.document.origins.setdefault(keys, self._at(node.start_mark))
        match node:
            case MappingNode():
                return self._mapping(node, keys)
            case SequenceNode():
                return [self._value(item, (*keys, i)) for i, item in enumerate(node.value)]
            case ScalarNode():
                return self._scalar(node, keys)
        raise TypeError(f"not a YAML node: {node!r}")

    def _mapping(self, node: MappingNode, keys: Keys) -> dict[str, Any]:
        items: dict[str, Any] = {}
        for key, value in node.value:
            where = self._at(key.start_mark)
            if _kind(key) != "str":
                self._refuse(keys, "keys must be plain text", where, getattr(key, "value", None))
            elif key.value in items:
                first = self.document.origins[(*keys, key.value)]
                self._refuse((*keys, key.value), f"duplicate key, first at {first}", where, value.value)
            else:
                self.document.origins[(*keys, key.value)] = where
                items[key.value] = self._value(value, (*keys, key.value))
        return items

    def _scalar(self, node: ScalarNode, keys: Keys) -> Any:
        where = self._at(node.start_mark)
        if _kind(node) not in _PLAIN:
            self._refuse(keys, f"a {_kind(node)} is not plain data: quote it for text", where, node.value)
            return node.value
        try:
            value = self.yaml.constructor.construct_object(node)
        except ValueError:  # Python's limit on the digits of an integer
            self._refuse(keys, "not a number that can be read", where, node.value)
            return node.value
        if isinstance(value, float) and not math.isfinite(value):
            self._refuse(keys, "must be a finite number", where, node.value)
        return value

    def _refuse(self, keys: Keys, rule: str, where: str, value: Any) -> None:
        self.document.problems.append(Problem(keys, rule, where, value))

    def _at(self, mark: Any) -> str:
        return f"{self.document.source}:{mark.line + 1}" if self.numbered and mark else self.document.source


def _kind(node: Node) -> str:
    return str(node.tag).rpartition(":")[2]
