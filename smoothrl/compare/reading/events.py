"""All scalars of one TensorBoard event file: every point, none sampled.

Almost every record of a run is one scalar, and differs from the one before it in its time, step and value alone. So
one record of a kind is parsed by protobuf, and NumPy reads the others of that kind from where these three stand. All
other records are parsed by protobuf, one by one. What TensorBoard drops when a run is restarted is dropped.
"""

from __future__ import annotations

import math
import os
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import numpy.typing as npt
from google.protobuf.message import DecodeError  # type: ignore[import-untyped]
from tensorboard.compat.proto.event_pb2 import Event, SessionLog  # type: ignore[import-untyped]
from tensorboard.compat.proto.summary_pb2 import Summary  # type: ignore[import-untyped]

from smoothrl.compare.reading.frames import FRAME, Frames
from smoothrl.compare.reading.scalars import Points, alike, number
from smoothrl.compare.runs import Floats, Ints

Single = tuple[int, int, float, float]
"""(place, step, value, wall time)."""
HYPERPARAMETERS = "hyperparameters/text_summary"
"""The text that CleanRL writes its arguments to."""


@dataclass(frozen=True, eq=False)
class Events:
    """The scalars of one event file, tag by tag, each in the order of the file."""

    tags: tuple[str, ...]
    bounds: tuple[int, ...]
    """The points of `tags[i]` are `bounds[i]:bounds[i + 1]` of the columns."""
    steps: Ints
    values: Floats
    wall_times: Floats
    """Seconds since 1970."""
    began: float
    """The wall time of the first event; infinite without any."""
    restarts_at: int | None
    """The lowest step that the file says a restarted run goes on from: earlier files of the run end before it."""
    hyperparameters: str
    """What the file has under HYPERPARAMETERS; "" without."""
    notices: tuple[str, ...]
    """What was odd, in words."""

    def items(self) -> Iterator[tuple[str, slice]]:
        """Every tag, and where the columns have its points."""
        for i, tag in enumerate(self.tags):
            yield tag, slice(self.bounds[i], self.bounds[i + 1])


def read_events(path: Path) -> Events:
    """Read an event file that may be torn, damaged, or still written to.

    Raises:
        OSError: the file cannot be opened or read.
    """
    with path.open("rb", buffering=1 << 20) as file:
        size = os.fstat(file.fileno()).st_size
        frames, reader = Frames(file, size), _Reader()
        for block in frames.blocks():
            if not reader.add(block):
                break
    fault = reader.fault or frames.fault
    notices = [f"{path.name} has {fault}: its last {size - reader.read:,} bytes are not read"] if fault else []
    return reader.events(path.name, notices)


class _Reader:
    """Collects what the records of one file say, in their order."""

    def __init__(self) -> None:
        self.fault = ""
        """What the first record that is no event is; "" while there is none."""
        self.read = 0
        """Bytes of the records so far."""
        self._count = 0
        """The records before this block."""
        self._points: defaultdict[str, list[Points]] = defaultdict(list)
        self._cuts: defaultdict[str | None, list[tuple[int, int]]] = defaultdict(list)
        """Tag, or None for all -> (place, step): points that stand before the place are dropped from the step on."""
        self._began = math.inf
        self._marks_restarts = False
        """Whether the file says that it does; otherwise a step below the latest one is taken for a restart."""
        self._latest_step = -1
        self._plugins: dict[str, str] = {}
        self._hyperparameters = ""

    def add(self, block: list[bytes]) -> bool:
        """Take the next records; False when one of them is no event, which ends the reading before it."""
        singles: defaultdict[str, list[Single]] = defaultdict(list)
        for place in self._alone(block):
            try:
                event = Event.FromString(block[place])
            except DecodeError:
                self.fault, block = "a record that is no event", block[:place]
                break
            self._take(self._count + place, event, singles)
        for tag, points in singles.items():
            self._points[tag].append(Points(tag, *(np.array(column) for column in zip(*points, strict=True))))
        self._count += len(block)
        self.read += sum(map(len, block)) + FRAME * len(block)
        return not self.fault

    def _alone(self, block: list[bytes]) -> Iterator[int]:
        """The places of those records that are to be parsed one by one. The others' points are collected."""
        first = 0
        while first < len(block) and not self._marks_restarts:  # where the order tells of restarts, or nothing yet
            yield first
            first += 1
        alone = np.arange(len(block)) >= first
        for points in alike(block, first):
            alone[points.places] = False
            self._points[points.tag].append(replace(points, places=points.places + self._count))
        yield from np.flatnonzero(alone).tolist()

    def _take(self, place: int, event: Event, singles: defaultdict[str, list[Single]]) -> None:
        """One event: its scalars, and what it says of restarts."""
        if place == 0:
            self._began = event.wall_time
        if event.HasField("file_version"):
            self._marks_restarts = _version(event.file_version) >= 2
        if self._marks_restarts:
            if event.session_log.status == SessionLog.START:
                self._cuts[None].append((place, event.step))
        elif event.step < self._latest_step and event.HasField("summary"):
            for value in event.summary.value:
                self._cuts[value.tag].append((place, event.step))
        else:
            self._latest_step = event.step
        for value in event.summary.value:
            found = self._number(value)
            if found is not None:
                singles[value.tag].append((place, event.step, found, event.wall_time))

    def _number(self, value: Summary.Value) -> float | None:
        """The value of a scalar; None for an image, a histogram, a text, or a tensor of another plugin."""
        if value.WhichOneof("value") == "simple_value":
            return value.simple_value
        if value.WhichOneof("value") != "tensor":
            return None
        # Writers name the plugin once per tag.
        plugin = self._plugins.setdefault(value.tag, value.metadata.plugin_data.plugin_name)
        if value.tag == HYPERPARAMETERS and value.tensor.string_val:
            self._hyperparameters = value.tensor.string_val[0].decode(errors="replace")
        return number(value.tensor) if plugin in ("", "scalars") else None

    def events(self, name: str, notices: list[str]) -> Events:
        """All that was found."""
        columns: list[Points] = []
        purged = 0
        for tag in sorted(self._points):
            points = _joined(self._points[tag])
            points = points.where(points.places < self._count)  # a fault shows after its block's kinds were read
            dropped = _dropped(points, self._cuts[None] + self._cuts.get(tag, []))
            purged += int(np.count_nonzero(dropped))
            if not dropped.all():
                columns.append(points.where(~dropped))
        if purged:
            notices.append(f"{name} was written by a run that was restarted: {purged:,} points of before are left out")
        return Events(
            tags=tuple(points.tag for points in columns),
            bounds=(0, *np.cumsum([len(points.steps) for points in columns], dtype=int).tolist()),
            steps=np.concatenate([np.empty(0, np.int64), *(points.steps for points in columns)]),
            values=np.concatenate([np.empty(0), *(points.values for points in columns)]),
            wall_times=np.concatenate([np.empty(0), *(points.wall_times for points in columns)]),
            began=self._began,
            restarts_at=min((step for _, step in self._cuts[None]), default=None),
            hyperparameters=self._hyperparameters,
            notices=tuple(notices),
        )


def _version(text: str) -> float:
    """Of `brain.Event:2`; -1 for what is not one."""
    try:
        return float(text.rpartition("brain.Event:")[2])
    except ValueError:
        return -1


def _joined(pieces: list[Points]) -> Points:
    """Points of one tag in the order of the file."""
    joined = Points(
        pieces[0].tag,
        np.concatenate([piece.places for piece in pieces]),
        np.concatenate([piece.steps for piece in pieces]),
        np.concatenate([piece.values for piece in pieces]),
        np.concatenate([piece.wall_times for piece in pieces]),
    )
    return joined.where(np.argsort(joined.places, kind="stable"))


def _dropped(points: Points, cuts: list[tuple[int, int]]) -> npt.NDArray[np.bool_]:
    """Which points stand before a cut whose step they reach."""
    if not cuts:
        return np.zeros(len(points.places), dtype=bool)
    at, steps = np.array(sorted(cuts), dtype=np.int64).T
    lowest = np.minimum.accumulate(steps[::-1])[::-1]  # of this cut and all after it
    following = np.searchsorted(at, points.places, side="right")
    return (following < len(at)) & (points.steps >= lowest[np.minimum(following, len(at) - 1)])
