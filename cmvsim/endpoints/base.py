"""What an endpoint is: an estimand, what it needs, a derivation from tables, estimators, and a latent functional."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from cmvsim.core.records import Estimates, FloatArray, IntArray
from cmvsim.data.study import Study
from cmvsim.endpoints.analysis import AnalysisSpec
from cmvsim.models.history import History, Process

EXCLUDED, CENSORED, EVENT, DEATH, HCT, RELAPSE = -1, 0, 1, 2, 3, 4
"""Causes of a derived time-to-event variable."""


@dataclass(frozen=True, slots=True)
class Estimand:
    """Attributes of an estimand (ICH E9(R1))."""

    population: str
    variable: str
    intercurrent_events: str
    summary: str


@dataclass(frozen=True, slots=True)
class TimeToEvent:
    """A derived time-to-event variable.

    Attributes
    ----------
    time
        (R, N) whole study day of the event, the competing event or the censoring.
    cause
        (R, N) int8: 0 censored, 1 event of interest, 2 death, 3 transplantation, 4 relapse; -1 not in the analysis.
    excluded
        Patients left out, by reason: (R, N) bool each. Nobody is dropped silently.
    """

    time: FloatArray
    cause: NDArray[np.int8]
    excluded: Mapping[str, NDArray[np.bool_]] = field(default_factory=dict)


Sizes = tuple[int, ...]
Estimator = Callable[[TimeToEvent, AnalysisSpec, Sizes], Estimates]


@dataclass(frozen=True, slots=True)
class EstimatorChoice:
    """One way to estimate an endpoint.

    Attributes
    ----------
    id, label
        Its name in results, and in tables.
    estimate
        (derived, plan, sizes) -> Estimates with arrays (R, len(sizes)): the study of size n is its first n patients.
    plan
        What it changes in the AnalysisSpec before derivation (a sensitivity analysis).
    note
        What a reader must know ("biased: shown for comparison").
    """

    id: str
    label: str
    estimate: Estimator
    plan: Mapping[str, Any] = field(default_factory=dict)
    note: str = ""


class Endpoint(Protocol):
    """One endpoint of the protocol: the same entry serves a real study, a simulated one, and a batch."""

    @property
    def id(self) -> str:
        """Name in files."""
        ...

    @property
    def label(self) -> str:
        """Name in tables and figures."""
        ...

    @property
    def objective(self) -> str:
        """What the protocol asks."""
        ...

    @property
    def estimand(self) -> Estimand:
        """What is estimated."""
        ...

    @property
    def needs(self) -> frozenset[Process]:
        """Processes of the model that must run."""
        ...

    @property
    def estimators(self) -> tuple[EstimatorChoice, ...]:
        """The first is primary."""
        ...

    def derive(self, study: Study, plan: AnalysisSpec) -> TimeToEvent:
        """The variable, from study tables."""
        ...

    def latent(self, history: History, plan: AnalysisSpec) -> FloatArray:
        """Per patient (R, N): 1 if it truly happened, 0 if not, NaN outside the population."""
        ...


def entered(derived: TimeToEvent) -> IntArray:
    """(R,) patients in the analysis."""
    return np.asarray((derived.cause >= 0).sum(axis=1), dtype=np.int64)
