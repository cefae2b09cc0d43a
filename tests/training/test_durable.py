from __future__ import annotations

import os
from io import BufferedWriter
from pathlib import Path

import pytest

from smoothrl.training.durable import commit, commit_text


def test_creates_and_replaces(tmp_path: Path) -> None:
    path = tmp_path / "file"
    commit(path, lambda file: file.write(b"old"))
    commit_text(path, "naïve")
    assert path.read_text(encoding="utf-8") == "naïve"
    assert [entry.name for entry in tmp_path.iterdir()] == ["file"]


def test_a_failed_write_keeps_the_old_file_and_leaves_nothing_behind(tmp_path: Path) -> None:
    path = tmp_path / "file"
    commit_text(path, "old")

    def fail(file: BufferedWriter) -> None:
        file.write(b"half of the n")
        raise OSError("disk full")

    with pytest.raises(OSError, match="disk full"):
        commit(path, fail)
    assert path.read_text() == "old"
    assert [entry.name for entry in tmp_path.iterdir()] == ["file"]


def test_content_is_on_disk_before_the_name_and_the_name_before_it_returns(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    events: list[str] = []
    fsync, replace = os.fsync, Path.replace

    def spy_fsync(descriptor: int) -> None:
        synced = Path(f"/proc/self/fd/{descriptor}").readlink()
        size = synced.stat().st_size if synced.is_file() else None
        events.append("fsync folder" if synced == tmp_path else f"fsync {size} bytes")
        fsync(descriptor)

    def spy_replace(self: Path, target: Path) -> Path:
        events.append(f"rename to {target.name}")
        return replace(self, target)

    monkeypatch.setattr(os, "fsync", spy_fsync)
    monkeypatch.setattr(Path, "replace", spy_replace)
    commit_text(tmp_path / "file", "hello")
    assert events == ["fsync 5 bytes", "rename to file", "fsync folder"]
