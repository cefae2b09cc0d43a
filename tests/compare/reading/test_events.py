"""Event files: every value that TensorBoard's own reader finds, and no other, from whole, torn and damaged files.

The oracle is TensorBoard's EventAccumulator, told to keep all points.
"""

from __future__ import annotations

import struct
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from tensorboard.compat.proto.event_pb2 import Event, SessionLog
from tensorboard.compat.proto.summary_pb2 import HistogramProto, Summary, SummaryMetadata
from tensorboard.compat.proto.tensor_pb2 import TensorProto
from tensorboard.compat.proto.types_pb2 import DT_DOUBLE, DT_FLOAT, DT_HALF
from tensorboard.summary.writer.record_writer import RecordWriter
from tensorboard.util.tensor_util import make_ndarray, make_tensor_proto

from smoothrl.compare.reading import frames
from smoothrl.compare.reading.events import Events, read_events

Points = dict[str, list[tuple[int, float, float]]]
VERSION = Event(wall_time=1000.0, file_version="brain.Event:2")
START = SessionLog(status=SessionLog.START)


def scalar(tag: str, step: int, value: float, wall_time: float | None = None) -> Event:
    summary = Summary(value=[Summary.Value(tag=tag, simple_value=value)])
    return Event(wall_time=1000.0 + step % 997 if wall_time is None else wall_time, step=step, summary=summary)


def tensor(tag: str, step: int, proto: TensorProto, plugin: str = "scalars") -> Event:
    metadata = SummaryMetadata(plugin_data=SummaryMetadata.PluginData(plugin_name=plugin))
    return Event(step=step, summary=Summary(value=[Summary.Value(tag=tag, tensor=proto, metadata=metadata)]))


def write(path: Path, events: Sequence[Event]) -> Path:
    with path.open("wb") as file:
        writer = RecordWriter(file)
        for event in events:
            writer.write(event.SerializeToString())
    return path


def ours(events: Events) -> Points:
    columns = events.steps.tolist(), events.values.tolist(), events.wall_times.tolist()
    points = list(zip(*columns, strict=True))
    return {tag: points[at] for tag, at in events.items()}


def theirs(path: Path) -> Points:
    accumulator = EventAccumulator(str(path), size_guidance={"scalars": 0})
    accumulator.Reload()
    found = {tag: accumulator.Scalars(tag) for tag in accumulator.Tags()["scalars"]}
    return {tag: [(e.step, e.value, e.wall_time) for e in points] for tag, points in found.items() if points}


def same(path: Path) -> Events:
    events = read_events(path)
    # repr: NaN is equal to NaN, and -0.0 is not 0.0
    assert repr(ours(events)) == repr(dict(sorted(theirs(path).items())))
    return events


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "events.out.tfevents.1000.host.1.0"


LIMITS = [0, 1, 127, 128, 16383, 16384, 2**31, 2**40, 2**62, 2**63 - 1, -1, -200, -(2**63)]
VALUES = [0.0, -0.0, 1.5, float("nan"), float("inf"), -float("inf"), 1e-45, 3.4e38]


def test_all_steps_and_values(path: Path) -> None:
    """Every width of a step, in numbers that NumPy reads at once and in numbers that it does not."""
    for copies in (1, 100):
        events = [scalar("a", step, VALUES[i % len(VALUES)]) for i in range(copies) for step in LIMITS]
        found = same(write(path, [VERSION, *events]))
        assert len(found.steps) == copies * len(LIMITS)
        assert found.notices == ()


def test_kinds_of_one_length_are_told_apart(path: Path) -> None:
    tags = [f"layer/{i:03}" for i in range(100)] + ["", "ünï/cödé", "x" * 200]
    same(write(path, [VERSION, *(scalar(tag, step, step) for step in range(0, 8000, 100) for tag in tags)]))


def test_more_records_than_one_block(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    events = [scalar("ab"[i % 2], i, i) for i in range(1000)]
    events.insert(700, Event(step=400, session_log=START))
    whole = ours(same(write(path, [VERSION, *events])))
    monkeypatch.setattr(frames, "BLOCK", 64)
    assert ours(same(path)) == whole
    monkeypatch.setattr(frames, "BLOCK_BYTES", 5000)
    assert ours(same(path)) == whole


def test_what_is_unusual_in_an_event(path: Path) -> None:
    """Several values, no time, no step, metadata, other kinds of values: whatever is not the common record."""
    several = Summary(value=[Summary.Value(tag=tag, simple_value=i) for i, tag in enumerate("abca")])
    described = Summary.Value(tag="d", simple_value=1, metadata=SummaryMetadata(display_name="D"))
    odd = [
        Event(wall_time=1.0, step=5, summary=several),
        Event(step=6, summary=Summary(value=[described])),
        Event(summary=Summary(value=[Summary.Value(tag="a", simple_value=2)])),
        Event(wall_time=2.0, step=7, summary=Summary(value=[Summary.Value(tag="h", histo=HistogramProto(num=1))])),
        Event(wall_time=2.0, step=8, summary=Summary()),
        Event(wall_time=3.0, graph_def=b"graph"),
    ]
    same(write(path, [VERSION, *(event for _ in range(50) for event in odd)]))


@pytest.mark.parametrize("order", [(5, 2, 1), (2, 1, 5)])
def test_fields_in_another_order(path: Path, order: tuple[int, ...]) -> None:
    """Protobuf allows any: a record may end in what looks like a value."""
    fields = {1: b"\x09" + struct.pack("<d", 7.0), 2: b"\x10\x05", 5: b"\x2a\x09\x0a\x07\x0a\x00\x15\x00\x00\x80\x3f"}
    with path.open("wb") as file:
        writer = RecordWriter(file)
        writer.write(VERSION.SerializeToString())
        for _ in range(100):
            writer.write(b"".join(fields[i] for i in order))
    assert ours(same(path)) == {"": [(5, 1.0, 7.0)] * 100}


def test_a_step_of_too_many_digits_is_parsed_as_protobuf_does(path: Path) -> None:
    """A varint may have needless zeros; with ten bytes that all go on it is none."""
    summary = b"\x2a\x0a\x0a\x08\x0a\x01a\x15\x00\x00\x80\x3f"
    with path.open("wb") as file:
        writer = RecordWriter(file)
        writer.write(VERSION.SerializeToString())
        for _ in range(100):
            writer.write(b"\x09" + struct.pack("<d", 7.0) + b"\x10\x85\x80\x00" + summary)
        writer.write(b"\x09" + struct.pack("<d", 7.0) + b"\x10" + b"\x80" * 10 + summary)
        writer.write(scalar("a", 9, 9).SerializeToString())
    found = read_events(path)
    assert ours(found) == {"a": [(5, 1.0, 7.0)] * 100}
    assert "no event" in found.notices[0]


@pytest.mark.parametrize(
    "proto",
    [
        make_tensor_proto(2.5, DT_FLOAT), make_tensor_proto(0.1, DT_DOUBLE), make_tensor_proto(np.float16(0.1)),
        TensorProto(dtype=DT_FLOAT, float_val=[2.5]), TensorProto(dtype=DT_DOUBLE, double_val=[0.1]),
        TensorProto(dtype=DT_HALF, half_val=[int(np.float16(0.1).view(np.uint16))]),
        make_tensor_proto(-3, np.int32), make_tensor_proto(2**40, np.int64),
    ],
)  # fmt: skip
def test_tensors_without_dimensions_are_scalars(path: Path, proto: TensorProto) -> None:
    found = read_events(write(path, [VERSION, tensor("a", 1, proto)]))
    assert found.values.tolist() == [float(make_ndarray(proto))]


def test_other_tensors_are_no_scalars(path: Path) -> None:
    one = make_tensor_proto(1.0, DT_FLOAT)
    events = [
        tensor("vector", 1, make_tensor_proto([1.0, 2.0])),
        tensor("text", 1, make_tensor_proto("words"), plugin="text"),
        tensor("setting", 1, one, plugin="hparams"),
        Event(step=2, summary=Summary(value=[Summary.Value(tag="setting", tensor=one)])),  # said once per tag
        tensor("short", 1, TensorProto(dtype=DT_DOUBLE, tensor_content=b"1234")),
        tensor("none", 1, TensorProto(dtype=DT_FLOAT)),
        tensor("scalar", 1, one),
        Event(step=2, summary=Summary(value=[Summary.Value(tag="scalar", tensor=one)])),
    ]
    assert list(ours(read_events(write(path, [VERSION, *events])))) == ["scalar"]


def test_the_last_record_is_torn_at_every_byte(path: Path) -> None:
    events = [VERSION, *(scalar("a", i, i) for i in range(50))]
    whole = write(path, events).read_bytes()
    kept = len(write(path, events[:-1]).read_bytes())
    for length in range(kept, len(whole)):
        path.write_bytes(whole[:length])
        found = same(path)
        assert found.steps.tolist() == list(range(49))
        assert found.notices == (
            () if length == kept else (f"{path.name} has a torn end: its last {length - kept} bytes are not read",)
        )


def test_every_flipped_bit_ends_the_reading_before_its_record(path: Path) -> None:
    events = [VERSION, *(scalar("a", i, i) for i in range(40))]
    whole = write(path, events).read_bytes()
    kept = len(write(path, events[:36]).read_bytes())
    for bit in range(8 * kept, 8 * len(write(path, events[:37]).read_bytes())):
        damaged = bytearray(whole)
        damaged[bit // 8] ^= 1 << bit % 8
        path.write_bytes(damaged)
        found = read_events(path)
        assert found.steps.tolist() == list(range(35))
        assert found.notices == (
            f"{path.name} has a wrong checksum: its last {len(whole) - kept:,} bytes are not read",
        )


def test_zeros_at_the_end(path: Path) -> None:
    """What a file system leaves after a power failure."""
    path.write_bytes(write(path, [VERSION, scalar("a", 1, 1)]).read_bytes() + bytes(4096))
    assert same(path).notices == (f"{path.name} has a wrong checksum: its last 4,096 bytes are not read",)


def test_an_empty_file(path: Path) -> None:
    path.touch()
    found = read_events(path)
    assert (found.tags, found.notices, found.began) == ((), (), float("inf"))


def test_a_length_of_terabytes_is_not_believed(path: Path) -> None:
    """With the checksum that belongs to it: nothing may be allocated for it."""
    import google_crc32c

    length = struct.pack("<Q", 2**45)
    crc = google_crc32c.value(length)
    masked = ((crc >> 15 | crc << 17) + 0xA282EAD8) & 0xFFFFFFFF
    path.write_bytes(write(path, [VERSION, scalar("a", 1, 1)]).read_bytes() + length + struct.pack("<I", masked))
    found = read_events(path)
    assert found.steps.tolist() == [1]
    assert "torn end" in found.notices[0]


def test_a_record_that_is_no_event(path: Path) -> None:
    """A sound checksum does not make an event; what comes after is left alone, what came before is kept."""
    events = [VERSION, *(scalar("a", i, i) for i in range(100))]
    with path.open("wb") as file:
        writer = RecordWriter(file)
        for event in events[:60]:
            writer.write(event.SerializeToString())
        writer.write(b"\xff\xff\xff")
        for event in events[60:]:
            writer.write(event.SerializeToString())
    left = path.stat().st_size - len(write(path.with_name("before"), events[:60]).read_bytes())
    found = read_events(path)
    assert found.steps.tolist() == list(range(59))
    assert found.notices == (f"{path.name} has a record that is no event: its last {left:,} bytes are not read",)


def test_a_restart_drops_what_it_goes_back_behind(path: Path) -> None:
    events = [scalar(tag, step, step) for step in range(100) for tag in "ab"]
    again = [scalar("a", step, -step) for step in range(50, 80)]
    found = same(write(path, [VERSION, *events, Event(step=50, session_log=START), *again]))
    assert ours(found)["b"][-1][0] == 49
    assert found.restarts_at == 50
    assert found.notices == (f"{path.name} was written by a run that was restarted: 100 points of before are left out",)


EVENTS = st.one_of(
    st.builds(scalar, st.sampled_from("ab"), st.integers(-2, 40), st.floats(width=32), st.floats(0, 1e9)),
    st.builds(lambda step: Event(step=step, session_log=START), st.integers(0, 40)),
    st.builds(lambda step: Event(step=step, session_log=SessionLog(status=SessionLog.STOP)), st.integers(0, 40)),
    st.builds(lambda step: Event(step=step, file_version="brain.Event:2"), st.integers(0, 40)),
    st.builds(
        lambda step: Event(
            step=step, summary=Summary(value=[Summary.Value(tag=t, simple_value=step) for t in ("a", "c", "a")])
        ),
        st.integers(0, 40),
    ),
)


@settings(max_examples=300, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(
    version=st.sampled_from(["brain.Event:2", "brain.Event:1", "brain.Event:nonsense", None]),
    events=st.lists(EVENTS, max_size=40),
    copies=st.sampled_from([1, 40]),
)
def test_random_files_old_and_new(path: Path, version: str | None, events: list[Any], copies: int) -> None:
    """Restarts that are marked, and, in files that do not mark them, steps that go back."""
    first = [] if version is None else [Event(wall_time=1.0, file_version=version)]
    same(write(path, [*first, *(event for event in events for _ in range(copies))]))
