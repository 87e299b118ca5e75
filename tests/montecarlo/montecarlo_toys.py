"""Experiments small enough to know the answer, at module level so that workers can import them."""

from __future__ import annotations

import os
import signal
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from cmvsim.core.records import FloatArray, Request, Status
from cmvsim.core.streams import CHUNK_REPLICATES, Role, generator
from cmvsim.montecarlo.experiment import FIELDS, Failure, Replicates, RowKey
from cmvsim.montecarlo.run import open_store, run

SIZES = (20, 50)
MEAN = RowKey("mean", estimator="sample")
ROWS = (MEAN, RowKey("mean", estimator="doubled"))


def column_of(name: str) -> int:
    return FIELDS.index(name)


@dataclass(frozen=True)
class Means:
    """Mean of N(0, 1) of the first n patients; a replicate whose mean of 50 exceeds `limit` raises."""

    seed: int = 7
    limit: float = np.inf
    delay: float = 0.0
    sizes: tuple[int, ...] = SIZES
    rows: tuple[RowKey, ...] = ROWS
    extras: tuple[str, ...] = ("largest",)
    request: Request = field(init=False)

    def __post_init__(self) -> None:
        content = {"limit": str(self.limit), "sizes": list(self.sizes)}
        object.__setattr__(self, "request", Request("toy", "toy", "0" * 64, content, self.seed))

    def data(self, index: int) -> FloatArray:
        rng = generator(self.seed, Role.STUDY, index, "population.score")
        return rng.standard_normal(max(self.sizes) * CHUNK_REPLICATES).reshape(-1, CHUNK_REPLICATES).T

    def chunk(self, index: int) -> Replicates:
        # Odd chunks are slow, so that with two workers chunks finish out of order.
        time.sleep(self.delay * (1 + 3 * (index % 2)))
        data = self.data(index)
        result = Replicates.empty(len(self.sizes), len(self.rows), len(self.extras))
        failures = []
        for replicate in range(CHUNK_REPLICATES):
            try:
                values, extras = self.analyse(data[replicate])
            except ArithmeticError as error:
                failures.append(Failure.of(index * CHUNK_REPLICATES + replicate, error, self.seed))
            else:
                result.values[replicate] = values
                result.extras[replicate] = extras
        return Replicates(result.values, result.extras, tuple(failures))

    def analyse(self, patients: FloatArray) -> tuple[FloatArray, FloatArray]:
        values = np.full((len(self.sizes), len(self.rows), len(FIELDS)), np.nan)
        extras = np.empty((len(self.sizes), len(self.extras)))
        for position, n in enumerate(self.sizes):
            mean = patients[:n].mean()
            if mean > self.limit:
                raise ArithmeticError("the mean is too large")
            values[position, :, column_of("estimate")] = (mean, 2 * mean)
            values[position, :, column_of("se")] = patients[:n].std(ddof=1) / np.sqrt(n)
            values[position, :, column_of("n")] = n
            values[position, :, column_of("status")] = Status.OK
            extras[position] = patients[:n].max()
        return values, extras


@dataclass(frozen=True)
class Breaks(Means):
    """Chunk 1 raises as a whole."""

    def chunk(self, index: int) -> Replicates:
        if index == 1:
            try:
                {}["inner"]
            except KeyError as error:
                raise RuntimeError("the engine broke") from error
        return super().chunk(index)


@dataclass(frozen=True)
class Deadly(Means):
    """Chunk 5 takes its process with it."""

    def chunk(self, index: int) -> Replicates:
        if index == 5:
            os._exit(9)
        return super().chunk(index)


def store_bytes(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in sorted(folder.iterdir())}


if __name__ == "__main__":
    # The victim of tests that kill and interrupt: folder, replicates, jobs, backend. Workers import it: not their __main__.
    import montecarlo_toys

    # tests that run in the background of a shell are born deaf to Ctrl-C
    signal.signal(signal.SIGINT, signal.default_int_handler)
    victim = montecarlo_toys.Means(delay=0.05)
    run(
        victim,
        replicates=int(sys.argv[2]),
        store=open_store(Path(sys.argv[1]), victim),
        jobs=int(sys.argv[3]),
        backend=sys.argv[4] if len(sys.argv) > 4 else "loky",
    )
