"""The command line: argument parsing alone; every verb is one call into a room below, imported when it is called."""

from __future__ import annotations

import json
import shlex
import sys
from collections.abc import Callable, Sequence
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, NoReturn

import typer

if TYPE_CHECKING:
    from smoothrl.config import RunConfig
    from smoothrl.studies import Study

app = typer.Typer(
    help="Train Stable-Baselines3 agents with smooth critics or adapted optimizers, each from one YAML file.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)

study = typer.Typer(help="Many runs from one file.", no_args_is_help=True)
app.add_typer(study, name="study")

Config = Annotated[Path, typer.Argument(metavar="CONFIG", help="YAML file of one run.", show_default=False)]
Overrides = Annotated[
    list[str] | None,
    typer.Argument(metavar="KEY=VALUE", help="What to change: seed=3 agent.gamma=0.98.", show_default=False),
]


StudyFile = Annotated[
    Path, typer.Argument(metavar="STUDY", help="YAML file of a study, or its folder.", show_default=False)
]
StudyFolder = Annotated[Path | None, typer.Option(help="The study's folder, instead of one below runs/.")]
Workers = Annotated[int | None, typer.Option(min=1, help="Runs at a time; as many as cores when left out.")]
Plain = Annotated[bool, typer.Option("--plain", help="Lines instead of a live table.")]
Runs = Annotated[
    list[Path], typer.Argument(metavar="RUNS...", help="Studies, run folders, or any event files.", show_default=False)
]
Tag = Annotated[str | None, typer.Option(help="The curve to score by: eval/mean_reward if there is one.")]
Baseline = Annotated[str | None, typer.Option(help="The variant that all are held against.")]
Smooth = Annotated[
    list[str] | None, typer.Option(help="A variant whose gain is to be recovered; may be repeated.", show_default=False)
]
Pattern = Annotated[
    str | None,
    typer.Option(help="What a run folder's path says: '{task}/{variant}/seed-{seed}'.", show_default=False),
]


class Device(StrEnum):
    """Where torch computes."""

    auto = "auto"
    cpu = "cpu"
    cuda = "cuda"


class Kind(StrEnum):
    """What can be listed."""

    agents = "agents"
    regularizers = "regularizers"
    adaptations = "adaptations"
    diagnostics = "diagnostics"
    tasks = "tasks"


def main() -> None:
    """The `smoothrl` command."""
    app()


@app.command()
def train(
    config: Config,
    overrides: Overrides = None,
    out: Annotated[Path | None, typer.Option(help="The run folder, instead of one below runs/.")] = None,
    device: Annotated[Device | None, typer.Option(help="Instead of the config's.")] = None,
    fresh: Annotated[bool, typer.Option("--fresh", help="Move an earlier run in the same folder aside.")] = False,
    plain: Annotated[bool, typer.Option("--plain", help="Lines instead of a progress bar.")] = False,
) -> None:
    """Train one agent."""
    run = _load(config, [*(overrides or ()), *([f"device={device}"] if device else ())])
    from smoothrl.training import RunError, ignore_outside_runs
    from smoothrl.training import train as train_run

    ignore_outside_runs()
    try:
        code = train_run(run, out=out, fresh=fresh, plain=plain)
    except RunError as error:
        _refuse(str(error))
    raise typer.Exit(code)


@app.command()
def show(config: Config, overrides: Overrides = None) -> None:
    """Check a config and print it whole: its parents, overrides and defaults filled in."""
    from smoothrl.config import to_yaml

    typer.echo(to_yaml(_load(config, overrides or ())), nl=False)


@app.command()
def schema() -> None:
    """Print the JSON schema of configs, which editors complete from."""
    from smoothrl.config import json_schema

    typer.echo(json.dumps(json_schema(), indent=2))


@app.command(name="list")
def list_(kind: Annotated[Kind, typer.Argument(show_default=False)]) -> None:
    """List what a config can name."""
    from smoothrl import catalog

    tables = {
        Kind.agents: catalog.agents,
        Kind.regularizers: catalog.regularizers,
        Kind.adaptations: catalog.adaptations,
        Kind.diagnostics: catalog.diagnostics,
        Kind.tasks: catalog.tasks,
    }
    typer.echo(tables[kind]())


@study.command("run")
def study_run(
    path: StudyFile,
    overrides: Overrides = None,
    workers: Workers = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="List the runs and their cost; start none.")] = False,
    out: StudyFolder = None,
    plain: Plain = False,
) -> None:
    """Train every run of a study that has no result yet. May be stopped and started again."""
    from smoothrl.studies import verbs

    loaded = _load_study(path, overrides, out)
    _exit_with(lambda: verbs.dry_run(loaded, workers) if dry_run else verbs.run(loaded, workers, plain))


@study.command("status")
def study_status(path: StudyFile, overrides: Overrides = None, out: StudyFolder = None) -> None:
    """Print what every run of a study is now."""
    from smoothrl.studies import verbs

    loaded = _load_study(path, overrides, out)
    _exit_with(lambda: verbs.status(loaded))


@study.command("retry")
def study_retry(
    path: StudyFile,
    overrides: Overrides = None,
    workers: Workers = None,
    out: StudyFolder = None,
    plain: Plain = False,
) -> None:
    """Train the failed runs of a study again, and what else is missing."""
    from smoothrl.studies import verbs

    loaded = _load_study(path, overrides, out)
    _exit_with(lambda: verbs.run(loaded, workers, plain, retry=True))


@app.command()
def compare(
    runs: Runs,
    tag: Tag = None,
    baseline: Baseline = None,
    smooth: Smooth = None,
    pattern: Pattern = None,
    out: Annotated[Path | None, typer.Option(help="The folder for the report; RUNS/compare when left out.")] = None,
    formats: Annotated[
        list[str] | None,
        typer.Option(
            "--format",
            help="Of html, csv, markdown, tensorboard (these by default), latex, png, svg, pdf; several with commas.",
            show_default=False,
        ),
    ] = None,
    seed: Annotated[int, typer.Option(min=0, help="Of the bootstrap.")] = 0,
    watch: Annotated[bool, typer.Option("--watch", help="Again whenever runs have gone on.")] = False,
) -> None:
    """Compare variants: which is better, by how much, how sure, and how much of a smooth critic's gain is recovered."""
    from smoothrl.compare import verbs
    from smoothrl.compare.analysis import Question
    from smoothrl.compare.runs import CompareError

    question = Question(tag, baseline, tuple(smooth or ()), seed=seed, command=_as_typed())
    try:
        code = verbs.compare(runs, question, pattern, out, formats or (), watch)
    except CompareError as error:
        _refuse(str(error))
    raise typer.Exit(code)


@app.command()
def tensorboard(
    runs: Runs,
    tag: Tag = None,
    baseline: Baseline = None,
    smooth: Smooth = None,
    pattern: Pattern = None,
    port: Annotated[int | None, typer.Option(min=1, max=65535, help="A free one from 6006 on if left out.")] = None,
) -> None:
    """Start TensorBoard on runs and on the averages over their seeds, on this machine only."""
    from smoothrl.compare import verbs
    from smoothrl.compare.analysis import Question
    from smoothrl.compare.runs import CompareError

    question = Question(tag, baseline, tuple(smooth or ()), command=_as_typed())
    try:
        code = verbs.tensorboard(runs, question, pattern, port)
    except CompareError as error:
        _refuse(str(error))
    raise typer.Exit(code)


@app.command()
def doctor() -> None:
    """Print versions, devices and the installed suites."""
    from smoothrl.doctor import report

    typer.echo(report())


def _load_study(path: Path, overrides: Sequence[str] | None, out: Path | None) -> Study:
    from smoothrl.config import ConfigError
    from smoothrl.studies import load_study

    try:
        return load_study(path, overrides or (), out)
    except ConfigError as error:
        _refuse(str(error))


def _exit_with(verb: Callable[[], int]) -> NoReturn:
    from smoothrl.training import RunError

    try:
        code = verb()
    except RunError as error:
        _refuse(str(error))
    raise typer.Exit(code)


def _load(path: Path, overrides: Sequence[str]) -> RunConfig:
    from smoothrl import suites
    from smoothrl.config import ConfigError, load_run

    try:
        return load_run(path, overrides, check=suites.check)
    except ConfigError as error:
        if any(problem.keys == ("variants",) for problem in error.problems):
            _refuse(f"{path} is a study, many runs: smoothrl study run {path}")
        _refuse(str(error))


def _as_typed() -> str:
    return shlex.join(["smoothrl", *sys.argv[1:]])


def _refuse(message: str) -> NoReturn:
    typer.echo(message, err=True)
    raise typer.Exit(2)
