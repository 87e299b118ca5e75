"""Times to events: one cause, groups, intervals, repeated events, start-stop rows."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from cmvsim.core.records import BoolArray, FloatArray, IntArray
from cmvsim.endpoints.derived.base import EVENT, EXCLUDED, Arrays, Excluded


@dataclass(frozen=True, slots=True)
class TimeToEvent(Arrays):
    """A derived time-to-event variable.

    Attributes
    ----------
    time
        (R, N) whole study day of the event, the competing event or the censoring.
    cause
        (R, N) int8: 0 censored, 1 event of interest, 2 death, 3 transplantation, 4 relapse; -1 not in the analysis.
    """

    time: FloatArray
    cause: NDArray[np.int8]
    excluded: Excluded = field(default_factory=dict)

    @property
    def entered(self) -> BoolArray:
        """Patients in the analysis."""
        return np.asarray(self.cause >= 0)

    @property
    def endings(self) -> Mapping[str, IntArray]:
        """How follow-up ended."""
        names = ("censored or event-free", "event", "death first", "transplantation first", "relapse first")
        counts = {name: (self.cause == code).sum(axis=1) for code, name in enumerate(names)}
        return {name: n for code, (name, n) in enumerate(counts.items()) if code <= EVENT or n.any()}


@dataclass(frozen=True, slots=True)
class GroupedTimeToEvent(Arrays):
    """A time-to-event variable of patients in groups that are compared, or combined.

    Attributes
    ----------
    time, cause
        (R, N) as in :class:`TimeToEvent`.
    group
        (R, N) int64 index into `groups`; -1 for patients who are not in the analysis.
    groups
        Names.
    stratum
        (R, N) int64 stratum of stratified comparisons, -1 for patients who are not in the analysis; None: one for all.
    """

    time: FloatArray
    cause: NDArray[np.int8]
    group: IntArray
    groups: tuple[str, ...]
    excluded: Excluded = field(default_factory=dict)
    stratum: IntArray | None = None

    def only(self, group: int) -> TimeToEvent:
        """The patients of one group."""
        return TimeToEvent(self.time, np.where(self.group == group, self.cause, np.int8(EXCLUDED)).astype(np.int8))

    @property
    def entered(self) -> BoolArray:
        """Patients in the analysis."""
        return np.asarray(self.cause >= 0)

    @property
    def endings(self) -> Mapping[str, IntArray]:
        """How follow-up ended."""
        return TimeToEvent(self.time, self.cause).endings


@dataclass(frozen=True, slots=True)
class Intervals(Arrays):
    """What visits say of the time of an event: it lies in (left, right], or is exact where the two are equal.

    Attributes
    ----------
    left, right
        (R, N) days if competing events came before the event of interest: the patient never has it, which is an interval
        (window, +inf]. +inf in `right` where the event was not seen. NaN: not in the analysis.
    left_late, right_late
        (R, N) the same if the event came, unseen, in the gap between the last negative sample and the competing event.
    """

    left: FloatArray
    right: FloatArray
    left_late: FloatArray
    right_late: FloatArray
    excluded: Excluded = field(default_factory=dict)

    @property
    def entered(self) -> BoolArray:
        """Patients in the analysis."""
        return ~np.isnan(self.left)

    @property
    def endings(self) -> Mapping[str, IntArray]:
        """Seen or not."""
        seen = (self.entered & np.isfinite(self.right)).sum(axis=1)
        return {"event": seen, "event not seen": self.entered.sum(axis=1) - seen}


@dataclass(frozen=True, slots=True)
class Repeated(Arrays):
    """A yes-or-no finding at visits.

    Attributes
    ----------
    value
        (R, N, V) 1, 0 or NaN where nothing was found out.
    days
        Planned days of the V visits.
    """

    value: FloatArray
    days: tuple[int, ...]
    excluded: Excluded = field(default_factory=dict)

    @property
    def entered(self) -> BoolArray:
        """Patients with a finding at any visit."""
        return np.asarray(~np.isnan(self.value).all(axis=-1))

    @property
    def endings(self) -> Mapping[str, IntArray]:
        """Ever or never."""
        ever = (self.entered & (self.value == 1).any(axis=-1)).sum(axis=1)
        return {"ever": ever, "never": self.entered.sum(axis=1) - ever}


@dataclass(frozen=True, slots=True)
class StartStop(Arrays):
    """A time-to-event variable with covariates that change: rows (entry, time], K for each patient in order of enrolment.

    Attributes
    ----------
    entry, time
        (R, N x K); a row that does not exist has cause -1.
    cause
        (R, N x K) int8 as in :class:`TimeToEvent`; a row that only a change of a covariate ends is censored.
    covariates
        (R, N x K, P).
    stratum
        (R, N x K) int64 stratum of the baseline hazard.
    patient
        (R, N x K) int64 index of the patient, the cluster of robust variances.
    terms
        Names of the P covariates.
    rows
        K.
    """

    entry: FloatArray
    time: FloatArray
    cause: NDArray[np.int8]
    covariates: FloatArray
    stratum: IntArray
    patient: IntArray
    terms: tuple[str, ...]
    rows: int
    excluded: Excluded = field(default_factory=dict)

    @property
    def per_patient(self) -> int:
        """Rows of one patient."""
        return self.rows

    @property
    def entered(self) -> BoolArray:
        """Patients with a row."""
        return np.asarray((self.cause >= 0).reshape(self.cause.shape[0], -1, self.rows).any(axis=-1))

    @property
    def endings(self) -> Mapping[str, IntArray]:
        """Events among patients."""
        events = (self.cause == EVENT).sum(axis=1)
        return {"event": events, "no event": self.entered.sum(axis=1) - events}
