"""Section 14, the dated ledger: stays, visits, tests and drugs of a chunk as rows with dates and without prices."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from cmvsim.core.ledger import Component, Item, Ledger
from cmvsim.core.records import BoolArray, FloatArray, IntArray
from cmvsim.models.resources import INTRAVENOUS, ResourcesSpec, Stays, by_code
from cmvsim.models.time_grid import on_grid
from cmvsim.models.treatment import ANTIVIRALS
from cmvsim.models.windows import Windows
from cmvsim.simulation.stays import Antivirals, Care

RATE_STEPS = 2.0**10
"""Rates are multiples of its inverse, so that rate x days is exact in float64."""

DRUG_DAYS = {"valganciclovir": Item.VALGANCICLOVIR_DAY, "ganciclovir": Item.GANCICLOVIR_DAY}
DRUG_DAYS |= {"foscarnet": Item.FOSCARNET_DAY, "maribavir": Item.MARIBAVIR_DAY}


class _Rows:
    """Rows gathered by kind, each given for patients by their flat index."""

    def __init__(self, end: FloatArray) -> None:
        self.end = end
        self._parts: list[tuple[IntArray, FloatArray, FloatArray, FloatArray, NDArray[np.int8], NDArray[np.int8]]] = []

    def spans(
        self,
        patient: IntArray,
        start: FloatArray,
        stop: FloatArray,
        item: Item | NDArray[np.int8],
        component: Component | NDArray[np.int8],
        rate: FloatArray | None = None,
    ) -> None:
        """Spans cut at the end; NaN and +inf start: none; NaN stop: goes on."""
        stop = np.minimum(np.where(np.isnan(stop), np.inf, stop), self.end[patient])
        keep = np.flatnonzero(start < stop)
        rates = np.ones(keep.size) if rate is None else rate[keep]
        codes = (_codes(item, patient)[keep], _codes(component, patient)[keep])
        self._parts.append((patient[keep], start[keep], stop[keep], rates, *codes))

    def occasions(
        self,
        patient: IntArray,
        time: FloatArray,
        item: Item,
        component: Component | NDArray[np.int8],
        count: float = 1.0,
    ) -> None:
        """Occasions up to the end."""
        keep = np.flatnonzero(time <= self.end[patient])
        codes = (_codes(item, patient)[keep], _codes(component, patient)[keep])
        at = time[keep]
        self._parts.append((patient[keep], at, at, np.full(keep.size, count), *codes))

    def ledger(self) -> Ledger:
        """All rows."""
        columns = [np.concatenate(column) for column in zip(*self._parts, strict=True)]
        patient, start, stop, rate, item, component = columns
        some = rate > 0
        patients = self.end.size
        if some.all():
            return Ledger(patients, patient, start, stop, rate, item, component)
        return Ledger(patients, patient[some], start[some], stop[some], rate[some], item[some], component[some])


def _codes(kind: Item | Component | NDArray[np.int8], patient: IntArray) -> NDArray[np.int8]:
    return kind if isinstance(kind, np.ndarray) else np.full(patient.size, kind.code, dtype=np.int8)


def ledger(spec: ResourcesSpec, care: Care, stays: Stays) -> Ledger:
    """Make the ledger of a chunk (model.md 14); chance is in the stays already.

    Parameters
    ----------
    care
        What happened.
    stays
        From :func:`cmvsim.simulation.stays.hospital_stays` of the same care.
    """
    rows = _Rows(care.end)
    _add_stays(rows, stays)
    _add_tests(rows, care)
    if care.antivirals is not None:
        _add_treatment(rows, spec, care.antivirals, stays.in_hospital)
    if care.neutropenia is not None:
        who = _flat(care.neutropenia)
        limit = on_grid(np.float64(float(spec.support.gcsf_days)))
        rows.spans(who[0], who[1], np.fmin(who[2], who[1] + limit), Item.GCSF_DAY, Component.TREATMENTS)
    if care.letermovir is not None:
        who = _flat(care.letermovir)
        taken = np.ones(who[0].size) if care.adherence is None else on_rate_grid(care.adherence[who[0]])
        rows.spans(*who, Item.LETERMOVIR_DAY, Component.PROPHYLAXIS, taken)
    for name, item in (("corticosteroids", Item.STEROID_DAY), ("anakinra", Item.ANAKINRA_DAY)):
        if care.toxicity is not None and name in care.toxicity:
            rows.spans(*_flat(care.toxicity[name]), item, Component.OTHER)
    if care.toxicity is not None and "tocilizumab" in care.toxicity:
        who = _flat(care.toxicity["tocilizumab"])
        doses = float(on_rate_grid(np.float64(float(spec.support.tocilizumab_doses))))
        rows.occasions(who[0], who[1], Item.TOCILIZUMAB_DOSE, Component.OTHER, doses)
    return rows.ledger()


def surveillance_tests(test: FloatArray, extra: BoolArray | None, end: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Count CMV tests that would have been done without CMV, and those beyond them.

    Parameters
    ----------
    test
        (V, P) times of the samples, NaN where none was taken.
    extra
        (V, P) whether each was taken because of a result that detected CMV; None: none was.
    end
        (P,) last time that counts.

    Returns
    -------
    tuple of ndarray
        (P,) planned or by chance of care, and (P,) extra.
    """
    taken = test <= end
    beyond = taken & extra if extra is not None else np.zeros_like(taken)
    return (taken & ~beyond).sum(axis=0).astype(np.float64), beyond.sum(axis=0).astype(np.float64)


def on_rate_grid(rate: FloatArray | np.float64) -> FloatArray:
    """Round rates to multiples of 2^-10."""
    return np.rint(rate * RATE_STEPS) / RATE_STEPS


def _flat(windows: Windows) -> tuple[IntArray, FloatArray, FloatArray]:
    """Patients, starts and stops of the windows that there are, on the grid."""
    start, stop = np.atleast_2d(windows.start), np.atleast_2d(windows.stop)
    row, patient = np.nonzero(np.isfinite(start))
    return patient, on_grid(start[row, patient]), on_grid(stop[row, patient])


def _add_stays(rows: _Rows, stays: Stays) -> None:
    """Segments of the stays between the times at which ward, ICU or component change."""
    from cmvsim.simulation.kernels.stays import list_segments

    hospital, intensive, plan = stays.in_hospital, stays.in_icu, stays.planned
    room = 2 * sum(int(np.isfinite(windows.start).sum()) for windows in (hospital, intensive, plan))
    patient, kinds = np.empty(room, dtype=np.int64), np.empty((3, room), dtype=np.bool_)
    start, stop = np.empty(room), np.empty(room)
    n = list_segments(
        hospital.start, hospital.stop, intensive.start, intensive.stop, plan.start, plan.stop, patient, start, stop, kinds
    )
    patient, start, stop, (icu, planned, initial) = patient[:n], start[:n], stop[:n], kinds[:, :n]
    component = np.where(initial, Component.INITIAL_STAY_PROLONGED.code, Component.ADDITIONAL_STAYS.code)
    component = np.where(planned, Component.INITIAL_STAY_PLANNED.code, component).astype(np.int8)
    item = np.where(icu, Item.ICU_DAY.code, Item.WARD_DAY.code).astype(np.int8)
    rows.spans(patient, start, stop, item, component)


def _within(windows: Windows, patient: IntArray, time: FloatArray) -> BoolArray:
    """Whether each time lies in a window of its patient."""
    inside = np.zeros(patient.size, dtype=bool)
    for start, stop in zip(np.atleast_2d(windows.start), np.atleast_2d(windows.stop), strict=True):
        inside |= (start[patient] <= time) & (time < stop[patient])
    return inside


def _add_tests(rows: _Rows, care: Care) -> None:
    """CMV tests by whether they would have been done without CMV, and sequencing."""
    if care.test is not None:
        patient, time, beyond = _taken(care.test, rows.end, care.test_extra)
        component = np.where(beyond, Component.SURVEILLANCE_EXTRA.code, Component.SURVEILLANCE_PLANNED.code)
        rows.occasions(patient, time, Item.CMV_PCR, component.astype(np.int8))
    if care.sequenced is not None:
        patient, time, _ = _taken(care.sequenced, rows.end, None)
        rows.occasions(patient, time, Item.SEQUENCING, Component.SURVEILLANCE_EXTRA)


def _taken(test: FloatArray, end: FloatArray, marked: BoolArray | None) -> tuple[IntArray, FloatArray, BoolArray]:
    """Patient, time on the grid and mark of the samples (V, P) up to the end, NaN where none was taken."""
    from cmvsim.simulation.kernels.stays import count_taken, list_taken

    test = on_grid(test)
    n = count_taken(test, end)
    patient, time, mark = np.empty(n, dtype=np.int64), np.empty(n), np.empty(n, dtype=np.bool_)
    list_taken(test, end, marked if marked is not None else np.empty((0, 0), dtype=np.bool_), patient, time, mark)
    return patient, time, mark


def _add_treatment(rows: _Rows, spec: ResourcesSpec, antivirals: Antivirals, in_hospital: Windows) -> None:
    """Drug-days, and the visits and tests of those treated as outpatients."""
    row, patient = np.nonzero(np.isfinite(antivirals.start) & (antivirals.drug > 0))
    drug = antivirals.drug[row, patient].astype(np.int64)
    start, stop = on_grid(antivirals.start[row, patient]), on_grid(antivirals.stop[row, patient])
    stop = np.minimum(np.where(np.isnan(stop), np.inf, stop), rows.end[patient])
    items = np.array([0, *(DRUG_DAYS[name].code for name in ANTIVIRALS)], dtype=np.int8)
    rows.spans(patient, start, stop, items[drug], Component.TREATMENTS)
    intravenous = np.array([False, *(name in INTRAVENOUS for name in ANTIVIRALS)])[drug]
    care = spec.outpatient
    plans = (
        (Item.DAY_HOSPITAL, intravenous, np.full(drug.size, float(care.day_hospital_every))),
        (Item.CONSULTATION, ~intravenous, np.full(drug.size, float(care.consultation_every))),
        (Item.BLOOD_TEST, np.ones(drug.size, dtype=bool), by_code(care.blood_test_every)[drug]),
    )
    for item, mine, every in plans:
        who, time = _repeated(patient[mine], start[mine], stop[mine], on_grid(every[mine]))
        out = ~_within(in_hospital, who, time)
        rows.occasions(who[out], time[out], item, Component.TREATMENTS)


def _repeated(patient: IntArray, start: FloatArray, stop: FloatArray, every: FloatArray) -> tuple[IntArray, FloatArray]:
    """Patient and time of start, start + every, start + 2 every, ... before stop."""
    times = np.maximum(np.ceil((stop - start) / every), 0.0).astype(np.int64)
    first = np.repeat(np.cumsum(times) - times, times)
    j = np.arange(int(times.sum())) - first
    return np.repeat(patient, times), np.repeat(start, times) + j * np.repeat(every, times)
