"""Files that are either whole or absent, whatever kills the process."""

from __future__ import annotations

import os
import sys
from pathlib import Path


def temporary_name(path: Path) -> Path:
    """Name under which `path` is written before it is renamed; a killed writer leaves at most one."""
    return path.with_name(f".{path.name}.tmp")


def is_temporary(path: Path) -> bool:
    """Whether `path` is a leftover of :func:`write_atomic`."""
    return path.name.startswith(".") and path.name.endswith(".tmp")


def write_atomic(path: Path, content: bytes) -> None:
    """Write `content` beside `path`, force it to disk and rename it.

    Parameters
    ----------
    path
        Final place; its folder must exist. One process writes a path at a time.
    content
        The whole file.
    """
    temporary = temporary_name(path)
    with temporary.open("wb") as handle:
        handle.write(content)
        handle.flush()
        os.fsync(handle.fileno())
    temporary.replace(path)
    sync_folder(path.parent)


def sync_folder(folder: Path) -> None:
    """Force a folder's entries (a rename just made) to disk; Windows does so by itself."""
    if sys.platform == "win32":
        return
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
