"""Where numbers came from: software, environment, and the hash of every file written."""

from __future__ import annotations

import hashlib
import platform
from importlib.metadata import version
from pathlib import Path

_LIBRARIES = ("numpy", "scipy", "numba")
"""Libraries whose version may change the last bits of a number."""


def software_version() -> str:
    """Return the version of cmvsim."""
    return version("cmvsim")


def environment() -> dict[str, str]:
    """Return what may change the last bits: Python, numerical libraries, system and machine type.

    Nothing that tells whose computer it was: no host name, user, path or command line.
    """
    return {
        "python": platform.python_version(),
        **{library: version(library) for library in _LIBRARIES},
        "system": platform.system(),
        "machine": platform.machine(),
    }


def sha256_file(path: Path) -> str:
    """Return the SHA-256 (hex) of a file, read in pieces."""
    with path.open("rb") as handle:
        return hashlib.file_digest(handle, "sha256").hexdigest()


def sha256_tree(folder: Path, *, skip: frozenset[str] = frozenset()) -> dict[str, str]:
    """Hash every file below `folder`.

    Parameters
    ----------
    folder
        Where to look.
    skip
        Names directly below `folder` that are left out.

    Returns
    -------
    dict
        Hash by path relative to `folder`, with forward slashes, sorted.
    """
    files = (path for path in folder.rglob("*") if path.is_file())
    relative = sorted((path.relative_to(folder).as_posix(), path) for path in files)
    return {name: sha256_file(path) for name, path in relative if name.split("/")[0] not in skip}
