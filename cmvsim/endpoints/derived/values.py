"""Values of patients: yes or no, pairs, repeated measurements, costs."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from cmvsim.core.records import BoolArray, FloatArray, IntArray
from cmvsim.endpoints.derived.base import Arrays, Excluded


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
