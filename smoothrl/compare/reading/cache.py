"""What event files hold, kept beside them for the next time: one file per event file, in the user's cache folder.

An entry is used only for the very file it was made from: same path, inode, size, and times of the last change of its
content and of its inode, to the nanosecond. The second of these times cannot be set by any program, so a file that was
rewritten, replaced, or given its old date back is read again. The folder can be deleted at any time.
"""

from __future__ import annotations

import hashlib
import json
import os
import struct
import tempfile
import time
from dataclasses import asdict
from pathlib import Path
from typing import Any

import google_crc32c
import numpy as np

from smoothrl.compare.reading.events import Events, read_events

FORMAT = "smoothrl events 1"
"""Of an entry: raise it with every change of what is read, or how it is kept."""
SETTLED_NS = 100_000_000
"""A file that changed this lately could change once more within one tick of the file system's clock: it is not kept."""

_COLUMNS = {"steps": "<i8", "values": "<f8", "wall_times": "<f8"}
_PREFIX = struct.Struct("<II")
"""CRC-32C of all that follows, bytes of the JSON that follows. After the JSON come the columns."""


def cached_events(path: Path) -> Events:
    """What `read_events` finds in a file, from the cache where it was found before.

    Raises:
        OSError: the file cannot be opened or read.
    """
    key, now = _key(path), time.time_ns()
    entry = _folder() / hashlib.sha256(os.fsencode(path.absolute())).hexdigest()
    events = _load(entry, key)
    if events is None:
        events = read_events(path)
        changed = max(key["mtime_ns"], key["ctime_ns"])
        if _key(path) == key and changed + SETTLED_NS < now:
            _store(entry, key, events)
    return events


def _folder() -> Path:
    """The XDG Base Directory Specification asks that a relative path be ignored."""
    base = Path(os.environ.get("XDG_CACHE_HOME", ""))
    return (base if base.is_absolute() else Path.home() / ".cache") / "smoothrl" / "events"


def _key(path: Path) -> dict[str, Any]:
    """What is never the same again once the file has changed."""
    stat = path.stat()
    return {
        "format": FORMAT,
        "path": os.fsencode(path.absolute()).hex(),
        "device": stat.st_dev,
        "inode": stat.st_ino,
        "size": stat.st_size,
        "mtime_ns": stat.st_mtime_ns,
        "ctime_ns": stat.st_ctime_ns,
    }


def _load(entry: Path, key: dict[str, Any]) -> Events | None:
    """An entry of exactly this file; None without one, or for a damaged one, or one of another version."""
    try:
        content = entry.read_bytes()
    except OSError:
        return None
    if len(content) < _PREFIX.size:
        return None
    checksum, length = _PREFIX.unpack_from(content)
    if google_crc32c.value(content[4:]) != checksum:
        return None
    start = _PREFIX.size + length
    fields = json.loads(content[_PREFIX.size : start])
    if fields.pop("key") != key:
        return None
    found: dict[str, Any] = {name: tuple(v) if isinstance(v, list) else v for name, v in fields.items()}
    for name, dtype in _COLUMNS.items():
        found[name] = np.frombuffer(content, dtype, count=found["bounds"][-1], offset=start)
        start += found[name].nbytes
    return Events(**found)


def _store(entry: Path, key: dict[str, Any], events: Events) -> None:
    """Put an entry in its place at once, or leave none where the folder cannot be written to."""
    fields = {name: value for name, value in asdict(events).items() if name not in _COLUMNS}
    text = json.dumps({"key": key, **fields}).encode()
    text += b" " * (-(_PREFIX.size + len(text)) % 8)  # NumPy is faster where numbers stand at multiples of their size
    columns = [getattr(events, name).astype(dtype).tobytes() for name, dtype in _COLUMNS.items()]
    content = b"".join([struct.pack("<I", len(text)), text, *columns])
    try:
        entry.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        descriptor, name = tempfile.mkstemp(dir=entry.parent, prefix=".")
        try:
            with open(descriptor, "wb") as file:  # noqa: PTH123 - a descriptor, not a path
                file.write(struct.pack("<I", google_crc32c.value(content)) + content)
            Path(name).replace(entry)
        finally:
            Path(name).unlink(missing_ok=True)
    except OSError:  # a full disk, a home that is read-only: reading goes on without a cache
        return
