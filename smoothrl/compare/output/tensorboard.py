"""Averaged seeds in TensorBoard, which cannot average by itself: summary runs, a layout of margin charts, a table.

Each variant on each task is one run of its own, `summary/<task>/<variant>`, with the mean over seeds and both ends of
its interval as three scalars. The run `summary` holds what TensorBoard reads once: the layout of the Custom Scalars
page and the columns of the HParams page. A margin chart draws every run that has exactly its tags, so the task is part
of the tag, and each task has a chart with one band per variant.
"""

from __future__ import annotations

import secrets
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np
from tensorboard.compat.proto.event_pb2 import Event  # type: ignore[import-untyped]
from tensorboard.compat.proto.summary_pb2 import Summary  # type: ignore[import-untyped]
from tensorboard.plugins.custom_scalar import layout_pb2  # type: ignore[import-untyped]
from tensorboard.plugins.custom_scalar import metadata as custom_scalars
from tensorboard.summary.writer.record_writer import RecordWriter  # type: ignore[import-untyped]
from tensorboard.util.tensor_util import make_tensor_proto  # type: ignore[import-untyped]

from smoothrl.compare.output.formats import MARKER
from smoothrl.compare.output.hparams import HParams, safe, scalar
from smoothrl.compare.output.sheets import cell
from smoothrl.compare.result import Band, Comparison
from smoothrl.compare.runs import CompareError
from smoothrl.studies.processes import kill_session
from smoothrl.studies.stopping import StopRequests
from smoothrl.training.durable import commit_text

SUMMARY = "summary"
ENDS = ("mean", "lower", "upper")
HOST = "127.0.0.1"
FIRST_PORT = 6006
AVERAGES = "#custom_scalars&regexInput=summary%2F"
"""Their page. Of more than 40 runs TensorBoard draws none, so the link names those to draw."""
POLL = 0.1
"""Seconds between two looks at TensorBoard."""
PATIENCE = 10.0
"""Seconds that TensorBoard has to end after it was asked to."""


def write_summaries(comparison: Comparison, folder: Path) -> Path:
    """Write `summary` into the folder, in place of an older one: all of it stands there, or nothing of it.

    Returns:
        The summary folder, for `tensorboard --logdir`.

    Raises:
        CompareError: something stands at its place that no comparison has made.
    """
    target = folder / SUMMARY
    if target.is_symlink() or (target.exists() and not (target / MARKER).is_file()):
        raise CompareError(f"{target}: not made by a comparison, so it is not replaced; choose another folder")
    folder.mkdir(parents=True, exist_ok=True)
    new = folder / f".{SUMMARY}.{secrets.token_hex(4)}.tmp"
    try:
        _write(comparison, new)
        if target.exists():
            old = folder / f".{SUMMARY}.{secrets.token_hex(4)}.old"
            target.rename(old)
            new.rename(target)
            shutil.rmtree(old)
        else:
            new.rename(target)
    except BaseException:
        shutil.rmtree(new, ignore_errors=True)  # the error that matters is on its way
        raise
    return target


def _write(comparison: Comparison, root: Path) -> None:
    now = time.time_ns()
    table = HParams(comparison)
    _events(root, now, [(0, _layout(comparison)), (0, table.experiment())])
    commit_text(root / MARKER, f"{comparison.made}\n")
    for task in comparison.tasks:
        for variant in comparison.variants:
            bands = [band for band in comparison.bands if band.task == task and band.variant == variant.name]
            if bands:
                last = max((int(band.steps[-1]) for band in bands if len(band.steps)), default=0)
                scores = [(last, summary) for summary in table.scores(task, variant)]
                curves = [point for band in bands for point in _curve(band)]
                row = table.session(task, variant, now / 1e9)
                _events(root / safe(task) / safe(variant.name), now, [(0, row), *scores, *curves])


def _events(folder: Path, now: int, summaries: Iterable[tuple[int, Summary]]) -> None:
    """One event file, of a name that sorts behind all earlier ones.

    So a running TensorBoard takes it for the same run going on, and its steps, which begin anew, replace those that
    were read before. Its older reader, `--load_fast=false`, has to be started again.
    """
    folder.mkdir(parents=True)
    seconds, rest = divmod(now, 10**9)
    with (folder / f"events.out.tfevents.{seconds:010d}.{rest:09d}.smoothrl").open("wb") as file:
        writer = RecordWriter(file)
        writer.write(Event(wall_time=now / 1e9, file_version="brain.Event:2").SerializeToString())
        for step, summary in summaries:
            writer.write(Event(wall_time=now / 1e9, step=step, summary=summary).SerializeToString())


def _curve(band: Band) -> list[tuple[int, Summary]]:
    """Mean, lower and upper end at every step where all three are known."""
    curves = np.stack([band.mean, band.low, band.high])
    known = np.isfinite(curves).all(axis=0)
    tags = _curve_tags(band.task, band.tag)
    return [
        (int(step), scalar(tag, value))
        for step, values in zip(band.steps[known], curves[:, known].T.tolist(), strict=True)
        for tag, value in zip(tags, values, strict=True)
    ]


def _curve_tags(task: str, tag: str) -> list[str]:
    """Without parentheses, for one: the page of margin charts takes what stands in them for the name of the run."""
    return ["/".join([safe(task), *map(safe, tag.split("/")), end]) for end in ENDS]


def _layout(comparison: Comparison) -> Summary:
    """A category per tag, the score's first and open; in it a margin chart per task."""
    tags = dict.fromkeys([comparison.tag, *(band.tag for band in comparison.bands)])
    drawn = {(band.tag, band.task) for band in comparison.bands}
    layout = layout_pb2.Layout()
    for tag in tags:
        category = layout.category.add(title=cell(tag), closed=tag != comparison.tag)
        for task in comparison.tasks:
            if (tag, task) in drawn:
                value, lower, upper = _curve_tags(task, tag)
                chart = category.chart.add(title=cell(task))
                chart.margin.series.add(value=value, lower=lower, upper=upper)
    # `custom_scalar.summary.pb` would do, but imports TensorFlow.
    value = Summary.Value(
        tag=custom_scalars.CONFIG_SUMMARY_TAG,
        metadata=custom_scalars.create_summary_metadata(),
        tensor=make_tensor_proto(layout.SerializeToString()),
    )
    return Summary(value=[value])


def serve(runs: Sequence[Path], summaries: Path, port: int | None) -> int:
    """Start TensorBoard on this machine alone, with the runs and their averages, until it is stopped.

    Args:
        runs: the folders that were compared.
        summaries: what `write_summaries` gave.
        port: None for the first free one from 6006 on.

    Returns:
        The exit code: TensorBoard's, or 129, 130 or 143 after a signal, which is passed on.

    Raises:
        CompareError: the port is taken.
    """
    chosen = _port(port)
    with tempfile.TemporaryDirectory(prefix="smoothrl-") as view, StopRequests() as stop:
        logs = _logs(runs, summaries, Path(view))
        arguments = ["--logdir", str(logs), "--host", HOST, "--port", str(chosen)]
        # In a session of its own: Ctrl-C reaches it once, through us.
        process = subprocess.Popen([sys.executable, "-m", "tensorboard.main", *arguments], start_new_session=True)
        try:
            announced = False
            while process.poll() is None and stop.received is None:
                if not announced and _listens(chosen):
                    print(f"Averages with intervals: http://{HOST}:{chosen}/{AVERAGES} (Ctrl-C ends it)", flush=True)
                    announced = True
                time.sleep(POLL)
        finally:
            _end(process)
    return stop.exit_code or process.returncode


def _logs(runs: Sequence[Path], summaries: Path, view: Path) -> Path:
    """One folder with everything below it: the runs' own, else one of links.

    TensorBoard's `--logdir_spec` could name several, but splits paths at commas and colons, and reads slowly.
    """
    folders = [(path if path.is_dir() else path.parent).resolve() for path in runs]
    if len(folders) == 1 and summaries.resolve().is_relative_to(folders[0]):
        return folders[0]
    for folder in [*folders, summaries.resolve()]:
        link, number = view / folder.name, 2
        while link.is_symlink():
            link, number = view / f"{folder.name}-{number}", number + 1
        link.symlink_to(folder, target_is_directory=True)
    return view


def _port(asked: int | None) -> int:
    for port in [asked] if asked is not None else range(FIRST_PORT, FIRST_PORT + 100):
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # one that closed just now is free
            try:
                probe.bind((HOST, port))
            except (OSError, OverflowError) as error:
                reason = error.strerror if isinstance(error, OSError) else "not a port"
            else:
                return port
    raise CompareError(
        f"port {asked if asked is not None else f'{FIRST_PORT} and the next 99'}: {reason}; give another by --port"
    )


def _listens(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex((HOST, port)) == 0


def _end(process: subprocess.Popen[bytes]) -> None:
    """Ask it to stop, and see that it does."""
    process.send_signal(signal.SIGTERM)  # does nothing to one that has ended
    try:
        process.wait(PATIENCE)
    except subprocess.TimeoutExpired:
        kill_session(process.pid)
        process.wait()
