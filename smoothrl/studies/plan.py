"""From a study file to its runs: every one checked before any is started."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from smoothrl.config import ConfigError, Problem, RunConfig, identity
from smoothrl.config.loader import beside, dump, load_document, parts, put_override
from smoothrl.config.reader import Document
from smoothrl.registry import did_you_mean
from smoothrl.studies.grid import Point
from smoothrl.studies.resolve import configs_of
from smoothrl.studies.rules import names, rules
from smoothrl.studies.schema import StudyKeys, read_keys
from smoothrl.training.folder import RUNS, default_folder

ASKED = "study.yaml"
"""What was asked for, in the study's folder: a study file that needs no other."""


@dataclass(frozen=True)
class Cell:
    """One run of a study."""

    config: RunConfig
    """All of it: study, variant, task and seed are this run's."""
    folder: Path
    """`<root>/<task>/<variant>/seed-<k>`."""
    identity: str
    """The hash of the config: a run of another config is another run."""
    variant_of: str = ""
    """The variant of the study file that this run is a grid point of; without a grid, its own variant."""
    settings: Mapping[str, Any] = field(default_factory=dict)
    """Dotted path -> value at this point of the grid; empty without one."""

    @property
    def name(self) -> str:
        """`Pendulum-v1/spectral/seed-0`."""
        return "/".join(self.folder.parts[-3:])


@dataclass(frozen=True)
class Study:
    """A study file, ready to be run."""

    name: str
    source: Path
    root: Path
    """The folder that holds its runs."""
    cells: tuple[Cell, ...]
    """In the order to start them: every variant on every task with the first seed, then with the next."""
    retries: int
    stalled_after: float
    gpu_share: float
    asked: str = ""
    """What was asked for, as YAML; loads to an equal study."""


def load_study(path: str | Path, overrides: Sequence[str] = (), out: Path | None = None) -> Study:
    """Load a study.

    Args:
        path: a YAML file, or the folder of a study that was started.
        overrides: `key=value` each, also of the study's keys: `seeds=3`, `variants.plain.agent.gamma=0.9`,
            `grid.agent.gamma=[0.9, 0.99]`.
        out: the study's folder; `runs/<study>` when left out.

    Raises:
        ConfigError: all that is wrong with any of its runs, at once, every mistake where it was written.
    """
    path = Path(path)
    if path.is_dir():
        path, out = path / ASKED, out or path
    document = load_document(path)
    for override in overrides:
        put_override(document, override, _split)
    document.data.setdefault("study", path.stem)

    keys, problems = _read_keys(document)
    shared = {key: value for key, value in document.data.items() if key in RunConfig.model_fields}
    for key in ("seed", "variant"):  # a file that the study extends may say them, but its runs get their own
        shared.pop(key, None)

    configs, mistakes = configs_of(shared, keys)
    unknown_task = any(problem.keys[:1] == ("tasks",) for problem in problems)
    problems += [m for m in mistakes if not (unknown_task and m.keys == ("env", "id"))]
    if problems := document.problems + beside(document, problems):
        raise ConfigError(problems)
    name = str(shared["study"])
    asked = shared | {key: value for key, value in document.data.items() if key in StudyKeys.model_fields}
    root = RUNS / name if out is None else out
    cells = tuple(_cell(config, point, seed, root) for seed in keys.seed_list for config, point in configs)
    return Study(name, path, root, cells, keys.retries, keys.stalled_after, keys.gpu_share, dump(asked))


def _split(path: str) -> list[str]:
    """The keys of an override's path; a path in the grid is one key there."""
    first, _, axis = path.partition(".")
    return [first, axis] if first == "grid" and axis else parts(path)


def _read_keys(document: Document) -> tuple[StudyKeys, list[Problem]]:
    """The study keys that can be used, and what is wrong with all."""
    data = document.data
    keys, problems = read_keys({key: data[key] for key in StudyKeys.model_fields if key in data})
    valid = {*RunConfig.model_fields, *StudyKeys.model_fields}
    unknown = [key for key in data if key not in valid]
    problems += [Problem((key,), f"unknown key{did_you_mean(key, valid)}", value=data[key]) for key in unknown]
    for key, instead in (("seed", "`seeds`: how many, or a list"), ("variant", "`variants`: a name for each setting")):
        if key in data and not _is_inherited(document, key):
            problems.append(Problem((key,), f"a study has {instead}", value=data[key]))
    if data["study"] == RunConfig.model_fields["study"].default:
        problems.append(Problem(("study",), "is the folder of single runs: name the study", value=data["study"]))
    known = {problem.keys for problem in problems}
    found = [problem for problem in rules(keys) if problem.keys not in known]
    wrong_paths = {problem.keys[1] for problem in found if problem.keys[0] == "grid" and len(problem.keys) == 2}
    keys = keys.model_copy(update={"grid": {path: axis for path, axis in keys.grid.items() if path not in wrong_paths}})
    return keys, [*problems, *(found or names(keys))]


def _is_inherited(document: Document, key: str) -> bool:
    """Whether a file that this one extends says it, not the file itself or the command line."""
    return not document.where((key,)).startswith((f"{document.source}:", "override"))


def _cell(config: RunConfig, point: Point, seed: int, root: Path) -> Cell:
    config = config.model_copy(update={"seed": seed})
    folder = root / default_folder(config).relative_to(RUNS / config.study)
    settings = {setting.path: setting.value for setting in point.settings}
    return Cell(config, folder, identity(config), point.variant, settings)
