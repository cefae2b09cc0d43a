"""Records of an event file to scalars: many of one kind at once by NumPy, single ones by protobuf."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import groupby
from typing import Any

import numpy as np
import numpy.typing as npt
from google.protobuf.message import DecodeError  # type: ignore[import-untyped]
from tensorboard.compat.proto.event_pb2 import Event  # type: ignore[import-untyped]
from tensorboard.compat.proto.summary_pb2 import Summary  # type: ignore[import-untyped]
from tensorboard.compat.proto.tensor_pb2 import TensorProto  # type: ignore[import-untyped]
from tensorboard.compat.proto.types_pb2 import DT_DOUBLE, DT_FLOAT, DT_HALF, DT_INT32, DT_INT64  # type: ignore[import-untyped]

from smoothrl.compare.runs import Floats, Ints

FEW = 32
"""Records of one length below which NumPy does not pay."""
MOST_KINDS = 64
"""Kinds of records of one length, beyond which the rest is parsed one by one."""
SHORTEST = 22
"""Bytes of a scalar record with an empty tag."""
WALL_TIME, STEP, SUMMARY, SIMPLE_VALUE = 0x09, 0x10, 0x2A, 0x15
"""The bytes that protobuf writes before `Event.wall_time`, `.step`, `.summary`, and `Summary.Value.simple_value`."""

_TENSORS = {
    DT_FLOAT: ("<f4", "float_val"), DT_DOUBLE: ("<f8", "double_val"), DT_HALF: ("<f2", "half_val"),
    DT_INT32: ("<i4", "int_val"), DT_INT64: ("<i8", "int64_val"),
}  # fmt: skip
"""Type of a tensor -> of its contents, and the field that holds its numbers where it has no contents."""


@dataclass(frozen=True, eq=False)
class Points:
    """Points of one tag, and where in the file each stands."""

    tag: str
    places: Ints
    steps: Ints
    values: Floats
    wall_times: Floats

    def where(self, keep: npt.NDArray[Any]) -> Points:
        """Those points alone: a mask, or their indices in a new order."""
        columns = (self.places, self.steps, self.values, self.wall_times)
        return Points(self.tag, *(column[keep] for column in columns))


def alike(block: list[bytes], first: int = 0) -> Iterator[Points]:
    """The points of those kinds of records that a block has many of; a kind is a tag and a width of the step.

    Protobuf writes such a record as `09 wall_time 10 step 2a .. 0a .. 0a .. tag 15 value`, with `10 step` left out for
    step 0; records of a kind differ in the three numbers alone.

    Args:
        block: the data of records.
        first: the place of the first record to look at.
    """
    by_length = sorted(range(first, len(block)), key=lambda place: len(block[place]))
    for length, group in groupby(by_length, key=lambda place: len(block[place])):
        places = np.fromiter(group, dtype=np.int64)
        if length >= SHORTEST and len(places) >= FEW:
            matrix = np.frombuffer(b"".join([block[place] for place in places]), dtype=np.uint8)
            yield from _alike(matrix.reshape(len(places), length), places)


def _alike(matrix: npt.NDArray[np.uint8], places: Ints) -> Iterator[Points]:
    """Those of records of one length, (records, bytes)."""
    continued = matrix[:, 10:20] >= 0x80  # all but the last byte of a step's seven-bit digits
    has_step = matrix[:, 9] == STEP
    widths = np.where(has_step, continued.argmin(axis=1) + 1, -1)  # -1: the step's own `10` is missing too
    scalar = (matrix[:, 0] == WALL_TIME) & (matrix[:, -5] == SIMPLE_VALUE) & (has_step | (matrix[:, 9] == SUMMARY))
    scalar &= ~(has_step & continued.all(axis=1))
    for width in np.unique(widths[scalar]):
        rows = np.flatnonzero(scalar & (widths == width))
        for _ in range(MOST_KINDS):
            if len(rows) < FEW:
                break
            rest = matrix[rows, 10 + width : -4]
            same = (rest == rest[0]).all(axis=1)
            kind, rows = rows[same], rows[~same]
            tag = _tag_of_scalar(matrix[kind[0]].tobytes())
            if tag is not None:
                yield _points(tag, matrix[kind], width, places[kind])


def _tag_of_scalar(record: bytes) -> str | None:
    """The tag of a record that holds one `simple_value` and nothing that is unusual; None for any other."""
    try:
        event = Event.FromString(record)
    except DecodeError:  # whoever parses it alone reports it
        return None
    if event.WhichOneof("what") != "summary" or len(event.summary.value) != 1:
        return None
    [value] = event.summary.value
    if value.WhichOneof("value") != "simple_value":
        return None
    plain = Summary.Value(tag=value.tag, simple_value=value.simple_value)
    usual = Event(wall_time=event.wall_time, step=event.step, summary=Summary(value=[plain]))
    return value.tag if usual.SerializeToString() == record else None


def _points(tag: str, records: npt.NDArray[np.uint8], width: int, places: Ints) -> Points:
    """Time, step and value of records of one kind, from where they stand."""
    digits = (records[:, 10 : 10 + max(width, 0)] & 0x7F).astype(np.uint64)
    shifts = np.arange(0, 7 * digits.shape[1], 7, dtype=np.uint64)
    steps = np.bitwise_or.reduce(digits << shifts, axis=1, dtype=np.uint64).view(np.int64)
    wall_times = np.ascontiguousarray(records[:, 1:9]).view("<f8")[:, 0]
    singles = np.ascontiguousarray(records[:, -4:]).view("<f4")[:, 0]
    with np.errstate(invalid="ignore"):  # a signaling NaN is a NaN here
        return Points(tag, places, steps, singles.astype(np.float64), wall_times)


def number(tensor: TensorProto) -> float | None:
    """The one number that a tensor without dimensions holds; None for any other tensor."""
    if tensor.dtype not in _TENSORS or tensor.tensor_shape.dim or tensor.tensor_shape.unknown_rank:
        return None
    dtype, field = _TENSORS[tensor.dtype]
    if tensor.tensor_content:
        content = tensor.tensor_content
    else:
        stored = getattr(tensor, field)
        if len(stored) != 1:
            return None
        # The bits of a half are kept in an integer.
        content = np.array(stored, dtype=np.uint16 if field == "half_val" else dtype).tobytes()
    return float(np.frombuffer(content, dtype)[0]) if len(content) == np.dtype(dtype).itemsize else None
