"""From a file, its parents and the command line's overrides to one checked `RunConfig`, and back to YAML."""

from __future__ import annotations

import hashlib
import io
import json
import re
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from pydantic import ValidationError
from ruamel.yaml import YAML

from smoothrl.config.errors import ConfigError, Keys, Problem, dotted
from smoothrl.config.explain import explain
from smoothrl.config.json_schema import json_schema
from smoothrl.config.reader import Document, no_such_file, read, read_file
from smoothrl.config.schema import RunConfig


def load_run(
    path: str | Path, overrides: Sequence[str] = (), check: Callable[[RunConfig], None] | None = None
) -> RunConfig:
    """Load the config of one run.

    Args:
        path: a YAML file.
        overrides: `key=value` each; the key a dotted path (`agent.gamma`, `critic_regularizers[0].coef`), the value
            YAML. They replace what the file says, in order.
        check: a further check of the valid config, such as `smoothrl.suites.check`; what it finds is reported at its
            place in the file.

    Raises:
        ConfigError: all that is wrong, at once.
    """
    path = Path(path)
    document = load_document(path)
    document.data.setdefault("variant", path.stem)
    for override in overrides:
        put_override(document, override)
    return validated(document, check)


def validated(
    document: Document,
    check: Callable[[RunConfig], None] | None = None,
    schema: Callable[[], dict[str, Any]] = json_schema,
) -> RunConfig:
    """The run that a document describes.

    Args:
        document: its data, and where each value was written.
        check: a further check of the config once it is valid.
        schema: what gives the schema of a run, asked only when something is wrong; many documents can share one.

    Raises:
        ConfigError: all that is wrong, what was wrong with the document before included.
    """
    problems = list(document.problems)
    try:
        config = RunConfig.model_validate_json(json.dumps(document.data))
        if check is not None and not problems:
            check(config)
    except ValidationError as error:
        problems += beside(document, explain(error, document.data, schema))
    except ConfigError as error:
        problems += beside(document, error.problems)
    if problems:
        raise ConfigError(problems)
    return config


def to_yaml(config: RunConfig) -> str:
    """The whole config as YAML that loads to an equal one; what is None is left out."""
    return dump(config.model_dump(mode="json", by_alias=True, exclude_none=True))


def identity(config: RunConfig) -> str:
    """The SHA-256 of the whole config: equal for equal configs, however they were written."""
    fields = config.model_dump(mode="json", by_alias=True, exclude_none=True)
    return hashlib.sha256(json.dumps(fields, sort_keys=True, separators=(",", ":")).encode()).hexdigest()


def dump(data: Any) -> str:
    """Plain data as YAML that reads to equal data."""
    yaml: Any = YAML(typ="safe", pure=True)
    yaml.default_flow_style = False
    yaml.sort_base_mapping_type_on_output = False
    yaml.width = 1_000_000  # no line breaks inside a value
    yaml.allow_unicode = False  # escaped, since YAML reads an unescaped U+0085 as a line break
    text = io.StringIO()
    yaml.dump(data, text)
    return text.getvalue()


def load_document(path: Path, children: tuple[Path, ...] = ()) -> Document:
    """The file's data, merged over that of the files it extends.

    Args:
        path: a YAML file.
        children: the files that led here by their `extends`, which it must not name again.

    Raises:
        ConfigError: a file cannot be read or is not strict YAML.
    """
    document = read_file(path)
    if not isinstance(document.data, dict):
        raise ConfigError([*document.problems, Problem((), "must be a mapping", str(path), document.data)])
    if "extends" not in document.data:
        return document
    keys, where = ("extends",), document.where(("extends",))
    extends, line = document.data.pop("extends"), (*children, path)
    if not isinstance(extends, str):
        raise ConfigError([*document.problems, Problem(keys, "must be the path of one file", where, extends)])
    parent = path.parent / extends
    if parent.resolve() in [child.resolve() for child in line]:
        loop = " -> ".join(str(file) for file in (*line, parent))
        raise ConfigError([*document.problems, Problem(keys, f"files extend each other: {loop}", where, extends)])
    if not parent.is_file():
        raise ConfigError([*document.problems, Problem(keys, no_such_file(parent), where, extends)])
    try:
        base = load_document(parent, line)
    except ConfigError as error:
        raise ConfigError([*document.problems, *error.problems]) from error
    return Document(
        source=document.source,
        data=merged(base.data, document.data),
        origins=base.origins | document.origins,
        problems=document.problems + base.problems,
    )


def merged(base: Any, over: Any) -> Any:
    """Mappings are merged key by key; anything else replaces what it stands over."""
    if not (isinstance(base, dict) and isinstance(over, dict)):
        return over
    return base | {key: merged(base[key], value) if key in base else value for key, value in over.items()}


def parts(path: str) -> list[str]:
    """["critic_regularizers", "0", "coef"] of `critic_regularizers[0].coef`; [] of what is no dotted path."""
    is_path = re.fullmatch(r"[^.\[\]]+(\.[^.\[\]]+|\[\d+\])*", path)
    return re.findall(r"[^.\[\]]+", path) if is_path else []


def put_override(document: Document, override: str, split: Callable[[str], list[str]] = parts) -> None:
    """Put one `key=value` in place; what is wrong with it joins the document's problems."""
    where = f"override `{override}`"
    path, equals, text = override.partition("=")
    if not equals or not split(path):
        rule = "must be KEY=VALUE, the key a dotted path such as agent.gamma or critic_regularizers[0].coef"
        document.problems.append(Problem((), rule, where))
        return
    try:
        value = read(text, where, numbered=False)
        keys = put(document.data, split(path), value.data)
    except ConfigError as error:
        document.problems += [replace(problem, where=where) for problem in error.problems]
        return
    document.origins |= {(*keys, *inner): where for inner in [(), *value.origins]}
    document.problems += [replace(problem, keys=(*keys, *problem.keys)) for problem in value.problems]


def put(data: Any, path: list[str], value: Any) -> Keys:
    """Set the value at a path, making the mappings on the way; gives the path with its list indices as numbers.

    Raises:
        ConfigError: the path leads through something that is neither a mapping nor a list, or past a list's end.
    """
    keys: Keys = ()
    for i, name in enumerate(path):
        key: str | int = name
        if isinstance(data, list):
            if not name.isdecimal() or int(name) >= len(data):
                raise ConfigError([Problem((*keys, name), f"must be an index below {len(data)}, the list's length")])
            key = int(name)
        elif not isinstance(data, dict):
            raise ConfigError([Problem((*keys, name), f"{dotted(keys)} is neither a mapping nor a list")])
        keys = (*keys, key)
        if i == len(path) - 1:
            data[key] = value
        elif isinstance(data, dict):
            data = data.setdefault(key, {})
        else:
            data = data[key]
    return keys


def beside(document: Document, problems: Sequence[Problem]) -> list[Problem]:
    """The problems with their places, without those of values that are reported as unreadable already."""
    known = {problem.keys for problem in document.problems}
    return [replace(problem, where=document.where(problem.keys)) for problem in problems if problem.keys not in known]
