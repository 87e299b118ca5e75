"""What verbs that run Monte Carlo share: chunk stores inside the run folder, workers, and a voice."""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

from cmvsim.montecarlo.cluster import Cluster
from cmvsim.montecarlo.experiment import Experiment
from cmvsim.montecarlo.run import Backend, open_store
from cmvsim.runs.chunk_store import ChunkStore
from cmvsim.verbs.place import Dask, Place
from cmvsim.verbs.ui import ProgressContext, Ui

T = TypeVar("T")


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


def scratch(work: Callable[[Path], T]) -> T:
    """Do `work` in a temporary folder that is gone afterwards."""
    with tempfile.TemporaryDirectory(prefix="cmvsim-") as folder:
        return work(Path(folder))
