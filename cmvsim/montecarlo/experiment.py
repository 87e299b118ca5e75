"""What the runner needs to know of an experiment: chunks of replicates, and what their numbers are called."""

from __future__ import annotations

import traceback
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import PurePath
from typing import Any, Protocol, Self

import numpy as np

from cmvsim.core.records import FloatArray, Request, Status
from cmvsim.core.streams import CHUNK_REPLICATES
from cmvsim.runs.chunk_store import Layout

FIELDS = ("estimate", "se", "ci_low", "ci_high", "n", "events", "status")
"""Numbers of one analysis result, all float64; `status` is a :class:`~cmvsim.core.records.Status` code."""

TRACEBACKS_KEPT = 5
"""The first failures of a run, in replicate order, keep their traceback; every failure keeps its message."""


@dataclass(frozen=True, slots=True)
class RowKey:
    """Identifies one analysis result.

    Attributes
    ----------
    endpoint, stratum, strategy, estimator, term
        Ids; the empty string where there is nothing to say.
    at
        Day of the result, NaN-free; 0 where time has no part.
    """

    endpoint: str
    stratum: str = ""
    strategy: str = ""
    estimator: str = ""
    term: str = ""
    at: float = 0.0


@dataclass(frozen=True, slots=True)
class Failure:
    """A replicate that raised.

    Attributes
    ----------
    replicate
        Index over the whole run.
    message
        Type and text of the exception.
    traceback
        Without folders of the machine; empty beyond the first failures kept in full.
    seed
        Of the run: with the replicate it makes the data again.
    """

    replicate: int
    message: str
    traceback: str
    seed: int

    @classmethod
    def of(cls, replicate: int, error: BaseException, seed: int) -> Self:
        """Describe `error`, raised by `replicate`."""
        message = "".join(traceback.format_exception_only(error)).strip()
        return cls(replicate, message, _portable_traceback(error), seed)

    @classmethod
    def from_dict(cls, record: Mapping[str, Any]) -> Self:
        """Inverse of :meth:`as_dict`."""
        return cls(**record)

    def as_dict(self) -> dict[str, Any]:
        """JSON-ready form."""
        return asdict(self)

    def without_traceback(self) -> Failure:
        """Copy with an empty traceback."""
        return replace(self, traceback="")


@dataclass(frozen=True, slots=True)
class Replicates:
    """What one chunk produced.

    Attributes
    ----------
    values
        float64, axes (replicate of the chunk, sample size, row, field) with the fields of :data:`FIELDS`.
    extras
        float64, axes (replicate, sample size, extra).
    failures
        Of replicates that raised; their values are NaN and their status ``RAISED``.
    """

    values: FloatArray
    extras: FloatArray
    failures: tuple[Failure, ...] = ()

    @classmethod
    def empty(cls, sizes: int, rows: int, extras: int = 0) -> Self:
        """Arrays of NaN with status ``RAISED``, to be filled: what is never filled counts as failed."""
        values = np.full((CHUNK_REPLICATES, sizes, rows, len(FIELDS)), np.nan)
        values[..., FIELDS.index("status")] = Status.RAISED
        return cls(values, np.full((CHUNK_REPLICATES, sizes, extras), np.nan))


class Experiment(Protocol):
    """A frozen, picklable description whose chunks depend on nothing but their index."""

    @property
    def request(self) -> Request:
        """What was asked; its digest marks the chunks."""

    @property
    def sizes(self) -> tuple[int, ...]:
        """Grid of sample sizes."""

    @property
    def rows(self) -> tuple[RowKey, ...]:
        """Analysis results of each replicate and sample size."""

    @property
    def extras(self) -> tuple[str, ...]:
        """Names of further numbers per replicate and sample size (samples taken, patients screened)."""

    def chunk(self, index: int) -> Replicates:
        """Compute replicates ``64 * index`` to ``64 * index + 63``."""


def layout_of(experiment: Experiment) -> Layout:
    """Return the store layout of an experiment's chunks."""
    return Layout(len(experiment.sizes), len(experiment.rows), FIELDS, experiment.extras)


def _portable_traceback(error: BaseException) -> str:
    described = traceback.TracebackException.from_exception(error)
    _drop_folders(described)
    return "".join(described.format())


def _drop_folders(described: traceback.TracebackException) -> None:
    """Keep of each file its name from the package on: results are passed on, machine paths are not."""
    for frame in described.stack:
        parts = PurePath(frame.filename).parts
        start = len(parts) - 1 - parts[::-1].index("cmvsim") if "cmvsim" in parts else len(parts) - 1
        frame.filename = "/".join(parts[start:])
    for inner in (described.__cause__, described.__context__, *(described.exceptions or ())):
        if inner is not None:
            _drop_folders(inner)
