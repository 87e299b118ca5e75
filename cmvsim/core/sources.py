"""The package's own files, as one digest: what must be the same for the same numbers."""

from __future__ import annotations

import hashlib
from functools import cache
from pathlib import Path

PACKAGE = Path(__file__).resolve().parents[1]
SUFFIXES = frozenset({".py", ".toml", ".json"})


@cache
def sources_digest(package: Path = PACKAGE) -> str:
    """Digest of all sources and data of the package, whatever the line ends.

    What is kept beside them in ``__pycache__`` is derived, grows while the program runs, and is left out: two machines with
    the same package have the same digest.
    """
    whole = hashlib.sha256()
    for path in sorted(package.rglob("*")):
        if path.suffix in SUFFIXES and "__pycache__" not in path.relative_to(package).parts:
            whole.update(path.relative_to(package).as_posix().encode() + b"\0")
            whole.update(path.read_bytes().replace(b"\r\n", b"\n") + b"\0")
    return whole.hexdigest()
