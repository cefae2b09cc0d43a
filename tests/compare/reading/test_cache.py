"""The cache: what it holds is what the file holds, whatever happens to the file, to the entry, or to the folder."""

from __future__ import annotations

import os
import time
from pathlib import Path

import pytest
from tensorboard.compat.proto.event_pb2 import Event
from tensorboard.compat.proto.summary_pb2 import Summary
from tensorboard.summary.writer.record_writer import RecordWriter

from smoothrl.compare.reading import cache
from smoothrl.compare.reading.cache import cached_events
from smoothrl.compare.reading.events import Events


def write(path: Path, values: list[float], mode: str = "wb") -> Path:
    """The content is as long for as many values."""
    with path.open(mode) as file:
        writer = RecordWriter(file)
        if mode == "wb":
            writer.write(Event(file_version="brain.Event:2").SerializeToString())
        for value in values:
            summary = Summary(value=[Summary.Value(tag="a", simple_value=value)])
            writer.write(Event(wall_time=1.0, step=3, summary=summary).SerializeToString())
    time.sleep(1.5 * cache.SETTLED_NS / 1e9)
    return path


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return tmp_path / "cache" / "smoothrl" / "events"


@pytest.fixture
def path(tmp_path: Path, folder: Path) -> Path:
    return write(tmp_path / "events.out.tfevents.1", [1, 2])


@pytest.fixture
def reads(monkeypatch: pytest.MonkeyPatch) -> list[Path]:
    """The files that were read rather than found in the cache."""
    read: list[Path] = []
    original = cache.read_events

    def counted(path: Path) -> Events:
        read.append(path)
        return original(path)

    monkeypatch.setattr(cache, "read_events", counted)
    return read


def test_the_second_read_is_the_same_and_opens_no_event_file(path: Path, folder: Path, reads: list[Path]) -> None:
    path.write_bytes(path.read_bytes() + b"torn")
    time.sleep(1.5 * cache.SETTLED_NS / 1e9)
    first, second = cached_events(path), cached_events(path)
    assert len(reads) == 1
    for name in Events.__dataclass_fields__:
        assert repr(getattr(first, name)) == repr(getattr(second, name))
    assert "torn" in second.notices[0]
    assert len(list(folder.iterdir())) == 1


def test_never_stale(path: Path, reads: list[Path]) -> None:
    """Rewritten at the same size, appended to, replaced, given its old date back: each time the new content."""
    old = path.stat()
    assert cached_events(path).values.tolist() == [1, 2]

    write(path, [3, 4])
    os.utime(path, ns=(old.st_atime_ns, old.st_mtime_ns))
    assert (path.stat().st_size, path.stat().st_mtime_ns) == (old.st_size, old.st_mtime_ns)
    assert cached_events(path).values.tolist() == [3, 4]

    write(path, [5], mode="ab")
    assert cached_events(path).values.tolist() == [3, 4, 5]

    other = write(path.with_name("other"), [6, 7, 8])
    os.utime(other, ns=(old.st_atime_ns, path.stat().st_mtime_ns))
    other.replace(path)
    assert cached_events(path).values.tolist() == [6, 7, 8]
    assert len(reads) == 4


def test_a_file_that_has_just_changed_is_not_kept(path: Path, reads: list[Path]) -> None:
    path.touch()
    for _ in range(2):
        cached_events(path)
    assert len(reads) == 2


def test_a_file_that_grows_while_it_is_read_is_not_kept(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    original = cache.read_events

    def slow(path: Path) -> Events:
        found = original(path)
        write(path, [3], mode="ab")
        return found

    monkeypatch.setattr(cache, "read_events", slow)
    assert cached_events(path).values.tolist() == [1, 2]
    monkeypatch.setattr(cache, "read_events", original)
    assert cached_events(path).values.tolist() == [1, 2, 3]


def test_a_damaged_entry_is_a_miss(path: Path, folder: Path, reads: list[Path]) -> None:
    cached_events(path)
    (entry,) = folder.iterdir()
    whole = entry.read_bytes()
    damaged = [whole[:length] for length in range(0, len(whole), 7)]
    damaged += [whole[:i] + bytes([whole[i] ^ 1]) + whole[i + 1 :] for i in range(0, len(whole), 5)]
    damaged += [whole + b"more", b"\x80\x04N.", os.urandom(500)]
    for i, content in enumerate(damaged, start=1):
        entry.write_bytes(content)
        assert cached_events(path).values.tolist() == [1, 2]
        assert len(reads) == i + 1
    assert entry.read_bytes() == whole


def test_an_entry_of_another_version_is_a_miss(path: Path, reads: list[Path], monkeypatch: pytest.MonkeyPatch) -> None:
    cached_events(path)
    monkeypatch.setattr(cache, "FORMAT", "smoothrl events 0")
    cached_events(path)
    assert len(reads) == 2


def test_an_entry_of_another_file_is_a_miss(path: Path, folder: Path) -> None:
    cached_events(path)
    (entry,) = folder.iterdir()
    other = write(path.with_name("events.out.tfevents.2"), [9])
    cached_events(other)
    (another,) = set(folder.iterdir()) - {entry}
    another.write_bytes(entry.read_bytes())
    assert cached_events(other).values.tolist() == [9]


def test_without_a_place_for_the_cache(path: Path, folder: Path, reads: list[Path]) -> None:
    """A file stands where the folder would be, so that not even root can make it."""
    folder.parent.parent.mkdir()
    folder.parent.touch()
    for _ in range(2):
        assert cached_events(path).values.tolist() == [1, 2]
    assert len(reads) == 2


def test_a_relative_cache_folder_is_ignored(path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("XDG_CACHE_HOME", "here")
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    cached_events(path)
    assert not (tmp_path / "here").exists()
    assert (tmp_path / "home" / ".cache" / "smoothrl" / "events").is_dir()


def test_nothing_temporary_is_left(path: Path, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(self: Path, target: Path) -> Path:
        raise OSError("no space left")

    monkeypatch.setattr(Path, "replace", full)
    assert cached_events(path).values.tolist() == [1, 2]
    assert list(folder.iterdir()) == []
