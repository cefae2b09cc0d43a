"""From a file, its parents and the command line's overrides to one checked `RunConfig`, and back to YAML."""

from __future__ import annotations

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
    document = _with_parents(path)
    document.data.setdefault("variant", path.stem)
    for override in overrides:
        _override(document, override)
    try:
        config = RunConfig.model_validate_json(json.dumps(document.data))
        if check is not None and not document.problems:
            check(config)
    except ValidationError as error:
        document.problems += _beside(document, explain(error, document.data))
    except ConfigError as error:
        document.problems += _beside(document, error.problems)
    if document.problems:
        raise ConfigError(document.problems)
    return config


def to_yaml(config: RunConfig) -> str:
    """The whole config as YAML that loads to an equal one; what is None is left out."""
    yaml: Any = YAML(typ="safe", pure=True)
    yaml.default_flow_style = False
    yaml.sort_base_mapping_type_on_output = False
    yaml.width = 1_000_000  # no line breaks inside a value
    yaml.allow_unicode = False  # escaped, since YAML reads an unescaped U+0085 as a line break
    text = io.StringIO()
    yaml.dump(config.model_dump(mode="json", by_alias=True, exclude_none=True), text)
    return text.getvalue()


def _with_parents(path: Path, children: tuple[Path, ...] = ()) -> Document:
    """The file's data, merged over that of the files it extends."""
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
        base = _with_parents(parent, line)
    except ConfigError as error:
        raise ConfigError([*document.problems, *error.problems]) from error
    return Document(
        source=document.source,
        data=_merged(base.data, document.data),
        origins=base.origins | document.origins,
        problems=document.problems + base.problems,
    )


def _merged(base: Any, over: Any) -> Any:
    """Mappings are merged key by key; anything else replaces what it stands over."""
    if not (isinstance(base, dict) and isinstance(over, dict)):
        return over
    return base | {key: _merged(base[key], value) if key in base else value for key, value in over.items()}


def _override(document: Document, override: str) -> None:
    """Put one `key=value` in place; what is wrong with it joins the document's problems."""
    where = f"override `{override}`"
    path, equals, text = override.partition("=")
    if not equals or not re.fullmatch(r"[^.\[\]]+(\.[^.\[\]]+|\[\d+\])*", path):
        rule = "must be KEY=VALUE, the key a dotted path such as agent.gamma or critic_regularizers[0].coef"
        document.problems.append(Problem((), rule, where))
        return
    try:
        value = read(text, where, numbered=False)
        keys = _put(document.data, re.findall(r"[^.\[\]]+", path), value.data)
    except ConfigError as error:
        document.problems += [replace(problem, where=where) for problem in error.problems]
        return
    document.origins |= {(*keys, *inner): where for inner in [(), *value.origins]}
    document.problems += [replace(problem, keys=(*keys, *problem.keys)) for problem in value.problems]


def _put(data: Any, path: list[str], value: Any) -> Keys:
    """Set the value at a path, making the mappings on the way; gives the path with its list indices as numbers."""
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


def _beside(document: Document, problems: Sequence[Problem]) -> list[Problem]:
    """The problems with their places, without those of values that are reported as unreadable already."""
    known = {problem.keys for problem in document.problems}
    return [replace(problem, where=document.where(problem.keys)) for problem in problems if problem.keys not in known]
