"""Solved hazards kept on disk: a derived artefact, the same for every run of the same scenario by the same sources.

A file per scenario digest, in a folder named after the sources of the package and the versions of what computes, so that an
upgrade solves anew. A replay does not read it: it recomputes. What cannot be read or written is solved again and told to
nobody: nothing but time is lost.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from functools import cache
from importlib.metadata import version
from pathlib import Path
from typing import Any

from cmvsim.core.sources import PACKAGE, sources_digest

VARIABLE = "CMVSIM_CACHE_DIR"
"""Names another folder; empty: nothing is kept."""
COMPUTE = ("numpy", "scipy", "numba")
_ignored: ContextVar[bool] = ContextVar("_ignored", default=False)


@contextmanager
def ignored() -> Iterator[None]:
    """Solve afresh within: nothing that was kept is read."""
    token = _ignored.set(True)
    try:
        yield
    finally:
        _ignored.reset(token)


@cache
def folder() -> Path | None:
    """Where solved hazards of the present sources are kept; None if they are not."""
    place = os.environ.get(VARIABLE)
    if place == "":
        return None
    whole = hashlib.sha256(" ".join([sources_digest(), *(version(name) for name in COMPUTE)]).encode())
    base = Path(place) if place is not None else PACKAGE / "__pycache__"
    return base / f"solved-{whole.hexdigest()[:16]}"


def read(digest: str, patients: int) -> dict[str, Any] | None:
    """What was kept of a scenario, if anything readable was."""
    place = folder()
    if place is None or _ignored.get():
        return None
    try:
        found = json.loads((place / _name(digest, patients)).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    return found if isinstance(found, dict) else None


def write(digest: str, patients: int, solved: dict[str, Any]) -> None:
    """Keep what was solved; floats come back bit for bit."""
    place = folder()
    if place is None:
        return
    temporary = place / f".{os.getpid()}-{_name(digest, patients)}"
    try:
        place.mkdir(parents=True, exist_ok=True)
        temporary.write_text(json.dumps(solved), encoding="utf-8")
        temporary.replace(place / _name(digest, patients))
    except OSError:
        return


def _name(digest: str, patients: int) -> str:
    return f"{digest[:32]}-{patients}.json"
