"""What an endpoint derives from study tables: variables as arrays with a leading replicate axis.

Every kind knows who was left out and why, how to cut itself to the first n patients (nested sample sizes) and to some
replicates (when one of a batch raises).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, fields, replace
from typing import Any, Protocol, Self

import numpy as np
from numpy.typing import NDArray

from cmvsim.core.records import BoolArray, FloatArray, IntArray

EXCLUDED, CENSORED, EVENT, DEATH, HCT, RELAPSE = -1, 0, 1, 2, 3, 4
"""Causes of a derived time-to-event variable."""

Excluded = Mapping[str, BoolArray]
"""Patients left out, by reason: (R, N) each. Nobody is dropped silently."""


class Derived(Protocol):
    """A derived variable."""

    @property
    def excluded(self) -> Excluded:
        """Who was left out and why."""
        ...

    @property
    def entered(self) -> BoolArray:
        """(R, N) patients in the analysis."""
        ...

    @property
    def endings(self) -> Mapping[str, IntArray]:
        """(R,) counts for the participant flow of those who entered, in words: events, censored, ..."""
        ...

    def first(self, n: int) -> Self:
        """The study of the first n patients."""
        ...

    def of_replicates(self, rows: slice) -> Self:
        """Some of the replicates."""
        ...


class Arrays:
    """Cuts of a dataclass whose arrays are (R, N, ...); `excluded` is cut likewise.

    `per_patient` says how many entries of the second axis belong to one patient (start-stop rows).
    """

    __slots__ = ()

    @property
    def per_patient(self) -> int:
        """Entries of one patient."""
        return 1

    def first(self, n: int) -> Self:
        """The study of the first n patients."""
        return self._cut(lambda a, k: a[:, : n * k])

    def of_replicates(self, rows: slice) -> Self:
        """Some of the replicates."""
        return self._cut(lambda a, _: a[rows])

    def _cut(self, how: Any) -> Self:
        changed: dict[str, Any] = {}
        for entry in fields(self):  # type: ignore[arg-type]
            value = getattr(self, entry.name)
            if isinstance(value, np.ndarray):
                changed[entry.name] = how(value, self.per_patient)
            elif entry.name == "excluded":
                changed[entry.name] = {why: how(who, 1) for why, who in value.items()}
        return replace(self, **changed)  # type: ignore[type-var]


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
class Binary(Arrays):
    """A derived yes-or-no variable, perhaps with a second one to set beside it.

    Attributes
    ----------
    value
        (R, N) int8: 1 yes, 0 no, -1 not in the analysis.
    other
        (R, N) int8 likewise, of an association; None where there is none.
    """

    value: NDArray[np.int8]
    other: NDArray[np.int8] | None = None
    excluded: Excluded = field(default_factory=dict)

    @property
    def entered(self) -> BoolArray:
        """Patients in the analysis."""
        return np.asarray(self.value >= 0)

    @property
    def endings(self) -> Mapping[str, IntArray]:
        """Yes and no."""
        return {"yes": (self.value == 1).sum(axis=1), "no": (self.value == 0).sum(axis=1)}


@dataclass(frozen=True, slots=True)
class GroupedBinary(Arrays):
    """A yes-or-no variable of patients in groups that are compared.

    Attributes
    ----------
    value
        (R, N) int8 as in :class:`Binary`.
    group, groups, stratum
        As in :class:`GroupedTimeToEvent`.
    """

    value: NDArray[np.int8]
    group: IntArray
    groups: tuple[str, ...]
    excluded: Excluded = field(default_factory=dict)
    stratum: IntArray | None = None

    @property
    def entered(self) -> BoolArray:
        """Patients in the analysis."""
        return np.asarray(self.value >= 0)

    @property
    def endings(self) -> Mapping[str, IntArray]:
        """Yes and no."""
        return Binary(self.value).endings


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


@dataclass(frozen=True, slots=True)
class Association(Arrays):
    """A measurement beside a yes-or-no outcome (Spearman, Mann-Whitney).

    Attributes
    ----------
    score
        (R, N) measurement; NaN not in the analysis.
    outcome
        (R, N) 1, 0 or NaN.
    """

    score: FloatArray
    outcome: FloatArray
    excluded: Excluded = field(default_factory=dict)

    @property
    def entered(self) -> BoolArray:
        """Patients with both."""
        return ~np.isnan(self.score + self.outcome)

    @property
    def endings(self) -> Mapping[str, IntArray]:
        """Outcome among those with both."""
        inside = self.entered
        yes = (inside & (self.outcome > 0)).sum(axis=1)
        return {"with the outcome": yes, "without": inside.sum(axis=1) - yes}


@dataclass(frozen=True, slots=True)
class Longitudinal(Arrays):
    """A measurement at visits, with a baseline and an exposure that may begin at any visit.

    Attributes
    ----------
    value
        (R, N, V) measurement; NaN: missing, after death, or not in the analysis.
    baseline
        (R, N) measurement before infusion, NaN if there is none.
    exposed
        (R, N, V) 1 where the exposure began on or before the visit, else 0.
    alive
        (R, N, V) alive and under observation at the visit.
    group
        (R, N) int64: instrument.
    days
        Planned days of the V visits.
    groups
        Names of the groups.
    """

    value: FloatArray
    baseline: FloatArray
    exposed: FloatArray
    alive: BoolArray
    group: IntArray
    days: tuple[int, ...]
    groups: tuple[str, ...]
    excluded: Excluded = field(default_factory=dict)

    @property
    def entered(self) -> BoolArray:
        """Patients with at least one measurement and a baseline."""
        return np.asarray(~np.isnan(self.baseline) & ~np.isnan(self.value).all(axis=-1))

    @property
    def endings(self) -> Mapping[str, IntArray]:
        """How many were exposed at some visit with a measurement."""
        seen = ~np.isnan(self.value) & (self.exposed > 0)
        exposed = (seen.any(axis=-1) & self.entered).sum(axis=1)
        return {"measured after the exposure": exposed, "never": self.entered.sum(axis=1) - exposed}


@dataclass(frozen=True, slots=True)
class Cost(Arrays):
    """Cost per day and component, with the day on which the illness began.

    Attributes
    ----------
    daily
        (R, N, D, C) cost of days 1 to D by component; 0 after death or the end of observation.
    index
        (R, N) day of the first qualifying event, NaN if none.
    exit
        (R, N) last day on which costs are known (D where observation was complete; the day of death is no censoring).
    death
        (R, N) day of death, NaN if alive.
    monitored
        (R, N) last day under CMV monitoring: who may serve as a control.
    key
        (R, N, D) int16 matching class of each day: stratum, in hospital or not, on corticosteroids or not.
    inside
        (R, N) who is in the analysis.
    components
        Names of the C components.
    """

    daily: FloatArray
    index: FloatArray
    exit: FloatArray
    death: FloatArray
    monitored: FloatArray
    key: NDArray[np.int16]
    inside: BoolArray
    components: tuple[str, ...]
    excluded: Excluded = field(default_factory=dict)

    @property
    def entered(self) -> BoolArray:
        """Patients in the analysis."""
        return self.inside

    @property
    def endings(self) -> Mapping[str, IntArray]:
        """How many had the illness."""
        ill = (self.inside & ~np.isnan(self.index)).sum(axis=1)
        return {"with the illness": ill, "without": self.inside.sum(axis=1) - ill}
