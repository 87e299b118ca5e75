"""What verbs that run Monte Carlo share: chunk stores inside the run folder, workers, and a voice."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TypeVar

from cmvsim.core.records import Request
from cmvsim.montecarlo.cluster import Cluster
from cmvsim.montecarlo.experiment import Experiment
from cmvsim.montecarlo.run import Backend, open_store
from cmvsim.runs.chunk_store import ChunkStore
from cmvsim.runs.folder import RunFolder, RunState
from cmvsim.verbs.place import Dask, Place, RunOutcome, read_results, write_outputs
from cmvsim.verbs.ui import ProgressContext, Ui, note_compiling

T = TypeVar("T")
Solved = TypeVar("Solved")


class FolderWork:
    """Chunk stores inside an open run, workers, and a voice: what a planner needs of its caller."""

    def __init__(self, chunks: Path, place: Place, ui: Ui) -> None:
        self.chunks = chunks
        self.jobs = place.jobs
        self.backend: Backend = Cluster(place.backend.scheduler) if isinstance(place.backend, Dask) else place.backend
        self.ui = ui

    def store(self, name: str, experiment: Experiment) -> ChunkStore:
        """The store of a stage, in a folder of its own."""
        return open_store(self.chunks / name, experiment)

    def progress(self, label: str) -> ProgressContext:
        """Progress of a stage."""
        return self.ui.progress(label)


def check_workers(place: Place) -> None:
    """Look whether the workers asked for are there, before anything costly begins.

    Raises
    ------
    ClusterError
        If they are not, or are not fit.
    """
    if isinstance(place.backend, Dask):
        Cluster(place.backend.scheduler).check()


def kept_run(
    request: Request,
    place: Place,
    ui: Ui,
    *,
    solve: Callable[[], Solved],
    make: Callable[[Solved, FolderWork], tuple[Mapping[str, str | bytes], int]],
    keep_chunks: bool = True,
) -> RunOutcome:
    """Answer a request by Monte Carlo in a run folder, or find it answered there.

    Parameters
    ----------
    request
        Its digest names the run.
    solve
        What must go well before a folder is opened: the hazards.
    make
        (solved, work) -> all files of the run by name, and the chunks they rest on. What it has finished when it is
        interrupted is not done again.
    keep_chunks
        Whether chunks stay when the run is finished.
    """
    folder = RunFolder(request, output=place.output)
    if folder.state is RunState.FINISHED and not place.force:
        return RunOutcome(folder.path, read_results(folder.path), found=True)
    if folder.state is RunState.UNFINISHED and not place.force:
        ui.note(f"continuing the unfinished run in {folder.path}")
    check_workers(place)
    note_compiling(ui)
    with ui.progress("solving the hazards"):
        solved = solve()
    with folder.open(force=place.force) as run:
        files, chunks = make(solved, FolderWork(run.chunks, place, ui))
        write_outputs(run, files)
        run.finish(chunks_done=chunks, keep_chunks=keep_chunks)
    return RunOutcome(folder.path, read_results(folder.path), found=False)


def scratch(work: Callable[[Path], T]) -> T:
    """Do `work` in a temporary folder that is gone afterwards."""
    with tempfile.TemporaryDirectory(prefix="cmvsim-") as folder:
        return work(Path(folder))
