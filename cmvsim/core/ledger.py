"""The dated ledger of resource use: quantities without prices.

A row is a span [start, stop) of something used at a constant rate (days in hospital, days of a drug), or an occasion at a
time (a test, a consultation). All times lie on the grid of operational times and all rates on one of 2^-10, so that sums
are exact in any order and a cut at a time of the grid splits a span without rounding.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

import numpy as np
from numpy.typing import NDArray

from cmvsim.core.records import FloatArray, IntArray

CodeArray = NDArray[np.int8]


class Item(StrEnum):
    """What is used, in its unit. Days of hospital and drug are exact days, not days begun."""

    WARD_DAY = "ward_day"
    ICU_DAY = "icu_day"
    DAY_HOSPITAL = "day_hospital"  # one session
    CONSULTATION = "consultation"
    CMV_PCR = "cmv_pcr"
    SEQUENCING = "sequencing"
    BLOOD_TEST = "blood_test"  # blood count and creatinine of an outpatient; inpatients' are part of the day
    VALGANCICLOVIR_DAY = "valganciclovir_day"
    GANCICLOVIR_DAY = "ganciclovir_day"
    FOSCARNET_DAY = "foscarnet_day"
    MARIBAVIR_DAY = "maribavir_day"
    GCSF_DAY = "gcsf_day"
    LETERMOVIR_DAY = "letermovir_day"  # days of the window x adherence
    STEROID_DAY = "steroid_day"
    TOCILIZUMAB_DOSE = "tocilizumab_dose"
    ANAKINRA_DAY = "anakinra_day"

    @property
    def code(self) -> int:
        """Its code in the rows."""
        return _ITEMS[self]


class Component(StrEnum):
    """What it belongs to; the second to fourth and the surveillance beyond are those of the cost of illness."""

    INITIAL_STAY_PLANNED = "initial_stay_planned"
    INITIAL_STAY_PROLONGED = "initial_stay_prolonged"
    ADDITIONAL_STAYS = "additional_stays"
    SURVEILLANCE_PLANNED = "surveillance_planned"
    SURVEILLANCE_EXTRA = "surveillance_extra"
    TREATMENTS = "treatments"
    PROPHYLAXIS = "prophylaxis"
    OTHER = "other"

    @property
    def code(self) -> int:
        """Its code in the rows."""
        return _COMPONENTS[self]


_ITEMS = {item: code for code, item in enumerate(Item)}
_COMPONENTS = {component: code for code, component in enumerate(Component)}


@dataclass(frozen=True, slots=True)
class Ledger:
    """Rows of one chunk, in no order that matters.

    Attributes
    ----------
    patients
        P, the flat patients of the chunk (patients x replicates, patient-major).
    patient
        Flat index of the patient.
    start, stop
        Span [start, stop) in days from infusion; equal for an occasion.
    rate
        Per day of a span; the count of an occasion.
    item, component
        Codes of :class:`Item` and :class:`Component`.
    """

    patients: int
    patient: IntArray
    start: FloatArray
    stop: FloatArray
    rate: FloatArray
    item: CodeArray
    component: CodeArray

    @property
    def rows(self) -> int:
        """Number of rows."""
        return self.patient.size

    @property
    def quantity(self) -> FloatArray:
        """What each row adds to a total."""
        return np.where(self.stop > self.start, self.rate * (self.stop - self.start), self.rate)

    def totals(self, item: Item | None = None, component: Component | None = None) -> FloatArray:
        """Total per patient (P,), of an item or component or both; without either, of everything whatever its unit."""
        keep = np.ones(self.rows, dtype=bool)
        if item is not None:
            keep &= self.item == item.code
        if component is not None:
            keep &= self.component == component.code
        total = np.bincount(self.patient[keep], weights=self.quantity[keep], minlength=self.patients)
        return total.astype(np.float64, copy=False)  # counts of nothing are whole numbers to numpy

    def totals_by_item(self) -> FloatArray:
        """All totals at once: (components, items, P), in the order of the codes; what prices are applied to."""
        cell = (self.component.astype(np.int64) * len(Item) + self.item) * self.patients + self.patient
        flat = np.bincount(cell, weights=self.quantity, minlength=len(Component) * len(Item) * self.patients)
        return flat.astype(np.float64, copy=False).reshape(len(Component), len(Item), self.patients)

    def between(self, day_from: FloatArray | float, day_to: FloatArray | float) -> Ledger:
        """Cut to a period.

        Parameters
        ----------
        day_from, day_to
            One for all, or (P,); NaN (no qualifying sample) leaves a patient without rows.

        Returns
        -------
        Ledger
            Spans cut to the period; occasions after `day_from` and up to `day_to` (from, to], as study days are counted. So
            consecutive periods add up, exactly where the cuts are on the grid.
        """
        low = np.broadcast_to(np.asarray(day_from, dtype=np.float64), (self.patients,))[self.patient]
        high = np.broadcast_to(np.asarray(day_to, dtype=np.float64), (self.patients,))[self.patient]
        start, stop = np.maximum(self.start, low), np.minimum(self.stop, high)
        span = self.stop > self.start
        keep = np.where(span, start < stop, (self.start > low) & (self.start <= high))
        return Ledger(
            self.patients,
            self.patient[keep],
            np.where(span, start, self.start)[keep],
            np.where(span, stop, self.stop)[keep],
            self.rate[keep],
            self.item[keep],
            self.component[keep],
        )
