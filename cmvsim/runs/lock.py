"""One process at a time in a run folder.

The lock is held by the kernel, not by the existence of a file: whatever ends the process, SIGKILL included,
releases it, and a process id that was given to another program deceives nobody. The file names the owner for
the message only.
"""

from __future__ import annotations

import errno
import os
import sys
from pathlib import Path
from types import TracebackType
from typing import Self

from cmvsim.core.errors import InputError

if sys.platform == "win32":
    import msvcrt

    def _seize(handle: int) -> None:
        # One byte far beyond the text, so that the owner's number stays readable.
        os.lseek(handle, 1 << 20, os.SEEK_SET)
        msvcrt.locking(handle, msvcrt.LK_NBLCK, 1)
        os.lseek(handle, 0, os.SEEK_SET)
else:
    import fcntl

    def _seize(handle: int) -> None:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)


_NO_LOCKS = frozenset({errno.ENOSYS, errno.ENOTSUP, errno.ENOLCK})


class FolderLock:
    """Exclusive lock beside a folder, as a context manager.

    Parameters
    ----------
    folder
        What is protected. The lock file is its hidden sibling ``.<name>.lock``, because the folder itself is
        renamed when ``--force`` swaps results.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self.path = folder.with_name(f".{folder.name}.lock")
        self._handle: int | None = None

    def __enter__(self) -> Self:
        while True:
            handle = os.open(self.path, os.O_RDWR | os.O_CREAT, 0o644)
            try:
                _seize(handle)
            except OSError as error:
                if error.errno in _NO_LOCKS:
                    os.close(handle)
                    raise InputError(f"{self._folder}: this file system cannot lock files") from error
                owner = os.read(handle, 32).decode(errors="replace").strip()
                os.close(handle)
                raise InputError(
                    f"{self._folder} is being written by another process{f' ({owner})' if owner else ''}; "
                    "wait for it to end or choose another output folder"
                ) from None
            if self._is_current(handle):
                break
            # The previous owner removed the file between our opening and locking it: ours protects nothing.
            os.close(handle)
        os.ftruncate(handle, 0)
        os.write(handle, f"process {os.getpid()}\n".encode())
        self._handle = handle
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        if self._handle is None:
            return
        if sys.platform == "win32":
            os.close(self._handle)
        else:
            self.path.unlink(missing_ok=True)
            os.close(self._handle)
        self._handle = None

    def _is_current(self, handle: int) -> bool:
        try:
            there = self.path.stat()
        except FileNotFoundError:
            return False
        here = os.fstat(handle)
        return (there.st_dev, there.st_ino) == (here.st_dev, here.st_ino)
