"""The frame of an event file: records, one after the other, each with its length and two checksums.

A record is `length` (8 bytes, little endian), `masked CRC-32C of length` (4), `data`, `masked CRC-32C of data` (4):
the TFRecord format. A writer that dies leaves a torn last record, a disk that fails a wrong checksum: what is before
either is as good as ever, what is after cannot be told from noise, since only the lengths say where a record begins.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from typing import BinaryIO

import google_crc32c
import numpy as np

BLOCK = 65_536
"""Records that are held at a time: checksums are compared, and records parsed, many at once."""
BLOCK_BYTES = 64 * 1024 * 1024
"""Fewer of them where they are large, as images are."""
HEADER, FOOTER = 12, 4
FRAME = HEADER + FOOTER
"""Bytes of a record beside its data."""


class Frames:
    """The records of one file, from its first up to its end, or to the first that is not whole."""

    def __init__(self, file: BinaryIO, size: int) -> None:
        """
        Args:
            file: an open file, buffered, at its beginning.
            size: its bytes. What a process that still writes the file adds meanwhile is not read.
        """
        self._file, self._left = file, size
        self.fault = ""
        """What the first record that is not whole has, in words; "" while all are."""

    def blocks(self) -> Iterator[list[bytes]]:
        """The data of all records, some thousand at a time."""
        while not self.fault:
            block, checksums, stored = self._block()
            whole = _whole(checksums, stored)
            if whole < len(block):
                block, self.fault = block[:whole], "a wrong checksum"
            if not block:
                return
            yield block

    def _block(self) -> tuple[list[bytes], list[int], list[bytes]]:
        """Of the next records: the data, its checksum, and the checksum that the file has for it."""
        read, checksum = self._file.read, google_crc32c.value  # looked up once: this loop is most of the time
        block: list[bytes] = []
        checksums: list[int] = []
        stored: list[bytes] = []
        lengths: dict[bytes, int] = {}  # few records differ in length, so few headers need to be looked into
        end = max(0, self._left - BLOCK_BYTES)
        while len(block) < BLOCK and self._left > end:
            header = read(HEADER)
            length = lengths.get(header)
            if length is None:
                if len(header) < HEADER:
                    self.fault = "a torn end"
                    break
                if not _whole([checksum(header[:8])], [header[8:]]):
                    self.fault = "a wrong checksum"
                    break
                lengths[header] = length = struct.unpack_from("<Q", header)[0]
            self._left -= length + FRAME
            if self._left < 0:  # asked before anything is read: the length may be one of terabytes
                self.fault = "a torn end"
                break
            data, masked = read(length), read(FOOTER)
            if len(masked) < FOOTER:  # the file was cut after its size was taken
                self.fault = "a torn end"
                break
            block.append(data)
            checksums.append(checksum(data))
            stored.append(masked)
        return block, checksums, stored


def _whole(checksums: list[int], stored: list[bytes]) -> int:
    """How many records, from the first on, have the checksum that the file says; it keeps them masked."""
    crc = np.array(checksums, dtype=np.uint32)
    masked = (crc >> np.uint32(15) | crc << np.uint32(17)) + np.uint32(0xA282EAD8)
    wrong = np.flatnonzero(masked != np.frombuffer(b"".join(stored), dtype="<u4"))
    return int(wrong[0]) if len(wrong) else len(checksums)
