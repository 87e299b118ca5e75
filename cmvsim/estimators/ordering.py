"""Bringing a batch of event times into order: argument checks, the packed sort, and the plain orders.

Shared by the incidence and the survival estimators. Work goes block by block over replicates, so that times,
causes and keys of a block stay in the processor's cache and a large batch needs no second copy of itself.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from cmvsim.core.records import FloatArray, IntArray

BLOCK = 1 << 15
"""Patients per block of replicates."""


@dataclass(frozen=True, slots=True)
class Batch:
    """Checked arguments of one call: (replicate, patient) arrays and the nested sizes."""

    time: NDArray[Any]
    cause: NDArray[Any]
    sizes: IntArray
    nested: bool
    entry: NDArray[Any] | None
    weights: NDArray[Any] | None

    @property
    def shape(self) -> tuple[int, int]:
        """Shape of the results before the axis of a call without nesting is dropped."""
        return self.time.shape[0], self.sizes.size

    @property
    def plain(self) -> bool:
        """Whether the packed sort applies: nobody enters late, everybody counts once."""
        return self.entry is None and self.weights is None

    def blocks(self) -> Iterator[slice]:
        """Slices over replicates of about ``BLOCK`` patients each."""
        n_replicates, n_patients = self.time.shape
        step = max(1, BLOCK // max(n_patients, 1))
        for start in range(0, n_replicates, step):
            yield slice(start, min(start + step, n_replicates))

    def tallies(self) -> tuple[IntArray, IntArray]:
        """Scratch of the sweeps: which nested size first includes each patient, and zeros to count into."""
        n_patients = self.time.shape[1]
        first_size = np.searchsorted(self.sizes, np.arange(n_patients), side="right").astype(np.int64)
        return first_size, np.zeros((n_patients, self.sizes.size + 1, 3), dtype=np.int64)


def check_batch(
    time: ArrayLike,
    cause: ArrayLike,
    nested: Sequence[int] | None,
    entry: ArrayLike | None,
    weights: ArrayLike | None,
) -> Batch:
    """Check shapes and nested sizes; a ValueError here is a mistake of the caller, never of the data."""
    times, causes = np.asarray(time), np.asarray(cause)
    if times.ndim != 2 or causes.shape != times.shape:
        raise ValueError(f"time and cause must both be (replicates, patients), not {times.shape}, {causes.shape}")
    sizes = np.asarray((times.shape[1],) if nested is None else nested, dtype=np.int64)
    if sizes.ndim != 1 or sizes.size == 0 or sizes[0] < 0 or sizes[-1] > times.shape[1]:
        raise ValueError(f"nested sizes must lie between 0 and the {times.shape[1]} patients, not {nested!r}")
    if np.any(np.diff(sizes) < 0):
        raise ValueError(f"nested sizes must ascend, not {nested!r}")
    return Batch(
        times,
        causes,
        sizes,
        nested is not None,
        None if entry is None else np.broadcast_to(np.asarray(entry), times.shape),
        None if weights is None else np.broadcast_to(np.asarray(weights), times.shape),
    )


def sorted_keys(batch: Batch, rows: slice, horizon: float, event: int, entered: IntArray) -> NDArray[np.int64]:
    """Sorted packed keys of a block of replicates; fills `entered` (block, sizes).

    Times that are non-negative integers below 2^24 (days, always so in a simulated study) are their own
    codes; any others are replaced by their ranks within the replicate, at the price of an argsort.
    """
    from cmvsim.estimators.kernels.packing import pack_integers, pack_ranks

    time = np.ascontiguousarray(batch.time[rows], dtype=np.float64)
    cause = np.ascontiguousarray(batch.cause[rows], dtype=np.int64)
    keys = np.empty(time.shape, dtype=np.int64)
    if pack_integers(time, cause, horizon, event, batch.sizes, keys, entered):
        keys.sort(axis=1)
    else:
        pack_ranks(time, cause, np.argsort(time, axis=1), horizon, event, batch.sizes, keys, entered)
    return keys


@dataclass(frozen=True, slots=True)
class Ordered:
    """A block of replicates for the general loop: excluded patients have kind -1 and infinite times."""

    time: FloatArray
    kind: IntArray
    entry: FloatArray
    weight: FloatArray
    by_exit: IntArray
    by_entry: IntArray
    late_entry: bool

    def entered(self, sizes: IntArray) -> IntArray:
        """Patients in the analysis among the first n, for each of `sizes`."""
        counted = np.cumsum(self.kind >= 0, axis=1, dtype=np.int64)
        padded = np.concatenate([np.zeros((counted.shape[0], 1), dtype=np.int64), counted], axis=1)
        return padded[:, sizes]


def ordered(batch: Batch, rows: slice, event: int | None) -> Ordered:
    """Orders by exit and by entry of a block of replicates.

    `event` None takes every cause as the event (survival). A patient with weight 0, a missing or infinite
    entry, or an entry not before the exit was never at risk and is not in the analysis.
    """
    time = np.array(batch.time[rows], dtype=np.float64)
    cause = np.asarray(batch.cause[rows], dtype=np.int64)
    kind = np.where(cause <= 0, cause, 1 if event is None else np.where(cause == event, 1, 2))
    entry = np.full(time.shape, -np.inf)
    weight = np.ones(time.shape)
    counts = (cause >= 0) & ~np.isnan(time)
    if batch.entry is not None:
        entry = np.array(batch.entry[rows], dtype=np.float64)
        counts &= np.isfinite(entry) & (entry < time)
    if batch.weights is not None:
        weight = np.array(batch.weights[rows], dtype=np.float64)
        counts &= weight > 0.0
    kind = np.where(counts, kind, -1).astype(np.int64)
    time[~counts] = np.inf
    entry[~counts] = np.inf
    return Ordered(
        time,
        kind,
        entry,
        weight,
        # stable: weights of tied patients are added by index, in a nested study as in the study alone
        np.argsort(time, axis=1, kind="stable"),
        np.argsort(entry, axis=1, kind="stable"),
        batch.entry is not None,
    )
