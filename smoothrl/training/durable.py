"""Files that survive a crash: what stands under the final name is always the whole old content or the whole new one."""

from __future__ import annotations

import os
import secrets
from collections.abc import Callable
from io import BufferedWriter
from pathlib import Path


def commit(path: Path, write: Callable[[BufferedWriter], object]) -> None:
    """Write a file durably: a temporary file in the same folder, fsync, rename, fsync of the folder.

    Args:
        path: the file to create or to replace.
        write: called once with the open file; `agent.save` of SB3 is one such function.
    """
    temporary = path.with_name(f".{path.name}.{secrets.token_hex(4)}.tmp")
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o666)
    try:
        with open(descriptor, "wb") as file:  # noqa: PTH123 - a descriptor, not a path
            write(file)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
    except BaseException:
        temporary.unlink()
        raise
    folder = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)


def commit_text(path: Path, text: str) -> None:
    """`commit` for a text file, in UTF-8."""
    commit(path, lambda file: file.write(text.encode()))
