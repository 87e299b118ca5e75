"""Where a verb works and what it leaves: shared by all verbs that make a run folder."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from cmvsim.core.errors import InputError
from cmvsim.core.records import Request
from cmvsim.runs.folder import OpenRun, RunFolder, RunState

RESULTS = "results.json"


@dataclass(frozen=True, slots=True)
class Dask:
    """Workers of a dask.distributed cluster: of the scheduler at an address, or of one started for this command."""

    scheduler: str | None = None


@dataclass(frozen=True, slots=True)
class Place:
    """Where the work is done and with how many hands; no part of the request."""

    output: Path | None = None
    jobs: int = -1
    backend: Literal["loky", "threading"] | Dask = "loky"
    force: bool = False


@dataclass(frozen=True, slots=True)
class RunOutcome:
    """A finished run: where it is, its results, and whether it was there before."""

    folder: Path
    results: dict[str, Any]
    found: bool


def read_results(folder: Path) -> dict[str, Any]:
    """``results.json`` of a run.

    Raises
    ------
    InputError
        If there is none, or it is no JSON.
    """
    try:
        content: dict[str, Any] = json.loads((folder / RESULTS).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        raise InputError(f"{folder} holds no readable {RESULTS}") from None
    return content


def write_outputs(run: OpenRun, files: Mapping[str, str | bytes]) -> None:
    """Write all outputs of a run."""
    for name, content in files.items():
        run.write(name, content)


def kept_files(request: Request, place: Place, make: Callable[[], Mapping[str, str | bytes]]) -> RunOutcome:
    """Answer a request in a run folder, or find it answered there.

    For work that is quick enough to be begun again when it is interrupted: nothing is on disk until all of it is made.
    (:func:`cmvsim.verbs.running.kept_run` continues.)

    Parameters
    ----------
    request
        Its digest names the run.
    make
        All files of the run by name.
    """
    folder = RunFolder(request, output=place.output)
    if folder.state is RunState.FINISHED and not place.force:
        return RunOutcome(folder.path, read_results(folder.path), found=True)
    files = make()
    with folder.open(force=place.force) as run:
        write_outputs(run, files)
        run.finish()
    return RunOutcome(folder.path, read_results(folder.path), found=False)
