"""Run an experiment: missing chunks to workers, finished ones to disk at once, equal bytes in any order."""

from __future__ import annotations

import time
import warnings
from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import joblib
import numpy as np

from cmvsim.core.errors import CmvsimError
from cmvsim.core.records import FloatArray
from cmvsim.core.streams import CHUNK_REPLICATES
from cmvsim.montecarlo.cluster import Cluster
from cmvsim.montecarlo.experiment import (
    TRACEBACKS_KEPT,
    Experiment,
    Failure,
    Replicates,
    RowKey,
    layout_of,
)
from cmvsim.montecarlo.stopping import Judgement, Stopping
from cmvsim.runs.chunk_store import ChunkStore

Backend = Literal["loky", "threading", "dask"] | Cluster
"""Processes, threads, a dask cluster of local processes for this run alone, or any dask cluster for several runs."""
Progress = Callable[[int, int, float], None]
"""Called with replicates done, replicates in all, and replicates per second of this process."""


@dataclass(frozen=True, slots=True)
class MonteCarloResult:
    """Columns over exactly `replicates` replicates, read from the store when asked for.

    Attributes
    ----------
    experiment
        What was run.
    store
        Its chunks.
    replicates
        Replicates that count; the tail of the last chunk does not.
    judged
        Looks at the Monte Carlo error, in order; empty without a stopping rule.
    """

    experiment: Experiment
    store: ChunkStore
    replicates: int
    judged: tuple[Judgement, ...] = ()

    @property
    def stopped(self) -> Literal["mcse", "replicates"]:
        """What ended the run: the error target, or the number of replicates."""
        return "mcse" if self.judged and self.judged[-1].reached else "replicates"

    def column(self, size: int, row: RowKey, field: str) -> FloatArray:
        """Read one field of one analysis result for studies of `size` patients."""
        return self.store.column(self.experiment.sizes.index(size), self.experiment.rows.index(row), field, self.replicates)

    def extra_column(self, size: int, name: str) -> FloatArray:
        """Read one extra for studies of `size` patients."""
        return self.store.extra_column(self.experiment.sizes.index(size), name, self.replicates)

    def failures(self) -> Iterator[Failure]:
        """Yield the replicates that raised, in order; only the first five keep their traceback."""
        for position, record in enumerate(self.store.failures(self.replicates)):
            failure = Failure.from_dict(record)
            yield failure if position < TRACEBACKS_KEPT else failure.without_traceback()


def open_store(folder: Path, experiment: Experiment) -> ChunkStore:
    """Open or make the store of an experiment's chunks in `folder`."""
    return ChunkStore(folder, digest=experiment.request.digest, layout=layout_of(experiment))


def run(
    experiment: Experiment,
    *,
    replicates: int,
    store: ChunkStore,
    jobs: int = 1,
    backend: Backend = "loky",
    stopping: Stopping | None = None,
    progress: Progress | None = None,
) -> MonteCarloResult:
    """Compute what the store lacks and return the first `replicates` replicates.

    Bytes of the store and the result are the same for any `jobs`, `backend` and order of completion, and
    after an interruption. A KeyboardInterrupt (or a failing worker) leaves every finished chunk in the store.

    Parameters
    ----------
    experiment
        Frozen and picklable; a chunk that raises is recorded as failed replicates and never drawn again.
    replicates
        Exact number; with `stopping`, the maximum.
    store
        From :func:`open_store`; the caller holds its folder's lock.
    jobs
        Workers; 1 computes in this process, -1 uses all cores. A cluster with a scheduler of its own has its own.
    backend
        "loky" (processes), "threading", "dask" or a :class:`~cmvsim.montecarlo.cluster.Cluster`.
    stopping
        Without it a run never stops early.
    progress
        Called by this process after each finished chunk.

    Returns
    -------
    MonteCarloResult
        Over `replicates` replicates, or fewer where `stopping` ended the run.
    """
    if replicates < 1:
        raise ValueError(f"{replicates} replicates")
    if jobs < 1 and jobs != -1:
        raise ValueError(f"{jobs} jobs (allowed: a positive number, or -1 for all cores)")
    if store.digest != experiment.request.digest or store.layout != layout_of(experiment):
        raise ValueError("the store belongs to another experiment")
    meter = _Meter(replicates, progress)
    if stopping is None:
        _complete(experiment, store, replicates, jobs, backend, meter)
        return MonteCarloResult(experiment, store, replicates)
    judged: list[Judgement] = []
    for checkpoint in stopping.within(replicates):
        _complete(experiment, store, checkpoint, jobs, backend, meter)
        prefix = MonteCarloResult(experiment, store, checkpoint)
        mcse = float(stopping.measure(prefix))
        judged.append(Judgement(checkpoint, mcse, mcse <= stopping.mcse_target))
        if judged[-1].reached:
            break
    end = judged[-1].replicates
    store.discard_from(chunks_for(end))
    return MonteCarloResult(experiment, store, end, tuple(judged))


def _complete(experiment: Experiment, store: ChunkStore, replicates: int, jobs: int, backend: Backend, meter: _Meter) -> None:
    """Compute and store the chunks that the first `replicates` replicates lack."""
    wanted = range(chunks_for(replicates))
    missing = [index for index in wanted if index not in store]
    meter.stored(len(wanted) - len(missing))
    if not missing:
        return
    with closing(_computed(experiment, missing, joblib.effective_n_jobs(jobs), backend)) as finished:
        for index, chunk in finished:
            store.put(index, chunk.values, chunk.extras, [failure.as_dict() for failure in chunk.failures])
            meter.finished()


def _computed(
    experiment: Experiment, missing: Sequence[int], workers: int, backend: Backend
) -> Generator[tuple[int, Replicates], None, None]:
    """Yield chunks as they finish, in whatever order."""
    if backend == "dask":
        with Cluster() as cluster:
            yield from _computed(experiment, missing, workers, cluster)
        return
    if isinstance(backend, Cluster):
        backend.connect(workers)
        yield from backend.computed(compute_chunk, experiment, missing)
        return
    workers = min(workers, len(missing))
    if workers <= 1:
        for index in missing:
            yield compute_chunk(experiment, index)
        return
    # One thread per worker process (numba and BLAS): the workers are the parallelism. Threads of one process
    # share the libraries' pools, which joblib cannot resize.
    inner = {"inner_max_num_threads": 1} if backend == "loky" else {}
    with joblib.parallel_config(backend=backend, n_jobs=workers, **inner):
        # A chunk is work enough for a task of its own; memory-mapped arguments would leave files behind a
        # SIGKILL.
        parallel = joblib.Parallel(return_as="generator_unordered", batch_size=1, max_nbytes=None)
    finished = parallel(joblib.delayed(compute_chunk)(experiment, index) for index in missing)
    try:
        for chunk in finished:  # noqa: UP028 - "yield from" would close it outside the filter below
            yield chunk
    finally:
        with warnings.catch_warnings():
            # Closing early is the wish of whoever interrupts; joblib warns of results nobody fetched.
            warnings.simplefilter("ignore", UserWarning)
            finished.close()


def compute_chunk(experiment: Experiment, index: int) -> tuple[int, Replicates]:
    """Compute one chunk in a worker; what it raises becomes failed replicates.

    Errors addressed to the user end the run, and so does a lack of memory: it says nothing about the
    replicates.
    """
    try:
        chunk = experiment.chunk(index)
    except (CmvsimError, MemoryError):
        raise
    except Exception as error:  # noqa: BLE001 - whatever it is, the replicate is kept and counted
        chunk = _all_failed(experiment, index, error)
    return index, _checked(experiment, index, chunk)


def _all_failed(experiment: Experiment, index: int, error: Exception) -> Replicates:
    blank = Replicates.empty(len(experiment.sizes), len(experiment.rows), len(experiment.extras))
    first = index * CHUNK_REPLICATES
    failure = Failure.of(first, error, experiment.request.seed)
    failures = tuple(
        Failure(first + offset, failure.message, failure.traceback, failure.seed) for offset in range(CHUNK_REPLICATES)
    )
    return Replicates(blank.values, blank.extras, failures)


def _checked(experiment: Experiment, index: int, chunk: Replicates) -> Replicates:
    """Order the failures, keep the tracebacks that may be needed, and refuse what breaks the contract."""
    layout = layout_of(experiment)
    expected = (CHUNK_REPLICATES, layout.sizes, layout.rows, len(layout.fields))
    if chunk.values.shape != expected or chunk.values.dtype != np.float64:
        raise TypeError(f"chunk {index}: values are {chunk.values.dtype} {chunk.values.shape}, not {expected}")
    if chunk.extras.shape != (CHUNK_REPLICATES, layout.sizes, len(layout.extras)):
        raise TypeError(f"chunk {index}: extras have shape {chunk.extras.shape}")
    ordered = sorted(chunk.failures, key=lambda failure: failure.replicate)
    span = range(index * CHUNK_REPLICATES, (index + 1) * CHUNK_REPLICATES)
    if any(failure.replicate not in span for failure in ordered):
        raise ValueError(f"chunk {index} reports failures of replicates it does not hold")
    kept = ordered[:TRACEBACKS_KEPT] + [failure.without_traceback() for failure in ordered[TRACEBACKS_KEPT:]]
    return Replicates(chunk.values, chunk.extras, tuple(kept))


def chunks_for(replicates: int) -> int:
    """Chunks that hold so many replicates."""
    return -(-replicates // CHUNK_REPLICATES)


class _Meter:
    """Counts replicates for the progress callback; the rate leaves out what was found in the store."""

    def __init__(self, replicates: int, progress: Progress | None) -> None:
        self._total = replicates
        self._progress = progress
        self._done = 0
        self._new = 0
        self._start = time.monotonic()

    def stored(self, chunks: int) -> None:
        """Set the chunks that were there already."""
        self._done = chunks
        self._report()

    def finished(self) -> None:
        """Count one more chunk."""
        self._done += 1
        self._new += 1
        self._report()

    def _report(self) -> None:
        if self._progress is None:
            return
        elapsed = time.monotonic() - self._start
        rate = self._new * CHUNK_REPLICATES / elapsed if elapsed > 0 else 0.0
        self._progress(min(self._done * CHUNK_REPLICATES, self._total), self._total, rate)
