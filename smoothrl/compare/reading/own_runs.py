"""Run folders and studies of ours: who a run is and what became of it, from its own files."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from smoothrl.compare.runs import Run
from smoothrl.config import ConfigError
from smoothrl.config.reader import read_file
from smoothrl.studies.plan import Cell, Study
from smoothrl.studies.state import look, read_run
from smoothrl.training.folder import CONFIG, is_locked
from smoothrl.training.record import RECORD, read_record


def is_own(folder: Path) -> bool:
    """Whether a folder holds the two files of a run of ours."""
    return (folder / RECORD).is_file() and (folder / CONFIG).is_file()


def own_run(folder: Path) -> Run:
    """A run folder by itself, without its curves.

    Raises:
        ValueError: `run.json` cannot be read, or is not one of ours.
        OSError: neither can.
    """
    try:
        record = read_record(folder)
        task, variant, seed, status = (record[key] for key in ("task", "variant", "seed", "status"))
    except KeyError as error:
        raise ValueError(f"{RECORD} does not say {error}") from error
    notices: tuple[str, ...] = ()
    config: dict[str, Any] | None = None
    try:
        config = read_file(folder / CONFIG).data
    except ConfigError as error:
        notices = (f"{CONFIG} cannot be read: {error}",)
    reason = record.get("error")
    if status == "running" and not is_locked(folder):
        status, reason = "interrupted", "killed"
    if variant is None:  # as its folder is named by default
        variant = (config or {}).get("agent", {}).get("kind", folder.parent.name)
    return Run(folder, task, variant, str(seed), {}, status, reason, config, record, notices=notices)


def cell_run(study: Study, cell: Cell) -> Run:
    """A run of a study, begun or not, without its curves."""
    view = look(study, cell)
    config = cell.config.model_dump(mode="json", by_alias=True, exclude_none=True)
    variant = cell.config.variant or cell.config.agent.kind
    return Run(
        cell.folder,
        cell.config.env.id,
        variant,
        str(cell.config.seed),
        {},
        view.status,
        view.reason,
        config,
        read_run(cell),
        group=cell.variant_of if cell.settings else None,
        settings=cell.settings,
    )
