"""What the ward writes down: toxicity, infections, stays, resource use; until the study knows no more of a patient."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from cmvsim.core.ledger import Component, Item, Ledger
from cmvsim.core.records import FloatArray, IntArray
from cmvsim.data.study import COMPONENTS, Occurrences, Resources, Stays
from cmvsim.models.history import History
from cmvsim.models.time_grid import study_day
from cmvsim.models.windows import Windows

SEVERE, NOT_SEVERE = 3.0, 2.0
"""Grades in which infections are written down: a severe one is of grade 3 or more."""

HOSPITAL = (Item.WARD_DAY, Item.ICU_DAY)
RECORDED_COMPONENT = {
    Component.INITIAL_STAY_PLANNED: "initial_stay",
    Component.INITIAL_STAY_PROLONGED: "initial_stay",
    Component.ADDITIONAL_STAYS: "additional_stays",
    Component.SURVEILLANCE_PLANNED: "surveillance",
    Component.SURVEILLANCE_EXTRA: "surveillance",
    Component.TREATMENTS: "treatments",
    Component.PROPHYLAXIS: "prophylaxis",
    Component.OTHER: "other",
}
"""The study cannot tell which day of a stay, or which test, would have been without CMV."""


def toxicity_events(history: History, known: FloatArray) -> dict[str, Occurrences]:
    """CRS and ICANS with their worst grade, neutropenia, and kidney injury by foscarnet."""
    toxicity = history.toxicity
    found = {
        "crs": occurrences(history, toxicity.crs, known, toxicity.crs_grade),
        "icans": occurrences(history, toxicity.icans, known, toxicity.icans_grade),
        "neutropenia": occurrences(history, toxicity.neutropenia, known),
    }
    if history.treatment is not None:
        injured = history.treatment.kidney_injury
        found["kidney_injury"] = Occurrences.once(np.where(injured <= known, study_day(injured), np.nan))
    return found


def infection_events(history: History, known: FloatArray) -> dict[str, Occurrences]:
    """Bacterial and fungal infections."""
    infections = history.infections
    assert infections is not None
    bacterial = np.where(infections.bacterial_severe, SEVERE, NOT_SEVERE)
    fungal = np.where(infections.fungal_severe, SEVERE, NOT_SEVERE)
    return {
        "bacterial_infection": occurrences(history, infections.bacterial, known, bacterial),
        "fungal_infection": occurrences(history, infections.fungal, known, fungal),
    }


def occurrences(
    history: History, windows: Windows, known: FloatArray, grade: FloatArray | IntArray | None = None
) -> Occurrences:
    """Flat windows, (P,) or (K, P) in order of time, as dated events; what ends after the study knows has no end."""
    start, stop = several(history, windows.start), several(history, windows.stop)
    begun, ended = start <= known[..., None], stop <= known[..., None]
    return Occurrences(
        day=np.where(begun, study_day(start), np.nan),
        end=np.where(begun & ended, study_day(stop), np.nan),
        grade=None if grade is None else np.where(begun, several(history, np.asarray(grade, dtype=np.float64)), np.nan),
    )


def several(history: History, flat: FloatArray) -> FloatArray:
    """A flat array (P,) or (K, P) as (R, N, K)."""
    values = np.asarray(history.view(flat), dtype=np.float64)
    return values if values.ndim == 3 else values[..., None]


def stays(history: History, known: FloatArray) -> Stays:
    """Stays in hospital and in intensive care, in order of time."""
    assert history.stays is not None
    parts = (history.stays.in_hospital, history.stays.in_icu)
    starts, stops = [several(history, p.start) for p in parts], [several(history, p.stop) for p in parts]
    start, stop = np.concatenate(starts, axis=-1), np.concatenate(stops, axis=-1)
    icu = np.concatenate([np.full(s.shape, is_icu) for s, is_icu in zip(starts, (False, True), strict=True)], axis=-1)
    begun = (start < stop) & (start < known[..., None])  # what begins at the end of the last day belongs to the next
    start = np.where(begun, start, np.inf)
    used = np.flatnonzero(begun.any(axis=(0, 1)))
    start, stop, icu, begun = start[..., used], stop[..., used], icu[..., used], begun[..., used]
    order = np.argsort(start + 1e-6 * icu, axis=-1, kind="stable")  # intensive care from the first minute stands second
    start, stop, icu, begun = (np.take_along_axis(a, order, axis=-1) for a in (start, stop, icu, begun))
    over = begun & (stop <= known[..., None])
    return Stays(
        start=np.where(begun, first_day(start), np.nan),
        stop=np.where(over, study_day(stop) + 1, np.nan),
        icu=icu & begun,
    )


def resources(history: History, known: FloatArray) -> Resources:
    """Dated resource use, to three decimals; what lies beyond the study's knowledge of a patient is cut off."""
    assert history.ledger is not None
    until = np.ascontiguousarray(known.T).reshape(-1)
    names = [RECORDED_COMPONENT[component] for component in Component]
    code = np.array([COMPONENTS.index(name) for name in names], dtype=np.int8)
    ledger = history.ledger.between(-np.inf, until)
    ledger = joined(replace(ledger, component=code[ledger.component]))
    patient, replicate = np.divmod(ledger.patient, history.replicates)
    span = ledger.stop > ledger.start
    quantity = np.round(ledger.quantity, 3)
    first = np.where(span, first_day(ledger.start), study_day(ledger.start))
    kept = quantity > 0
    return Resources(
        row=(replicate * history.patients + patient)[kept],
        item=ledger.item[kept],
        component=ledger.component[kept],
        first=first[kept],
        last=study_day(ledger.stop)[kept],
        quantity=quantity[kept],
    )


def joined(ledger: Ledger) -> Ledger:
    """Days on the ward, or in intensive care, of a component that touch are one row: a cut would tell the planned discharge."""
    days = np.flatnonzero(np.isin(ledger.item, [item.code for item in HOSPITAL]))
    keys = (ledger.patient[days], ledger.item[days], ledger.component[days])
    order = np.lexsort((ledger.start[days], *keys))
    days = days[order]
    touches = ledger.start[days][1:] == ledger.stop[days][:-1]
    for key in keys:
        touches &= key[order][1:] == key[order][:-1]
    goes_on = np.zeros(days.size, dtype=bool)
    goes_on[1:] = touches
    first = np.flatnonzero(~goes_on)
    last = np.append(first[1:], days.size)[: first.size] - 1
    stop = ledger.stop.copy()
    stop[days[first]] = ledger.stop[days[last]]
    kept = np.ones(ledger.rows, dtype=bool)
    kept[days[goes_on]] = False
    return Ledger(
        ledger.patients,
        ledger.patient[kept],
        ledger.start[kept],
        stop[kept],
        ledger.rate[kept],
        ledger.item[kept],
        ledger.component[kept],
    )


def first_day(start: FloatArray) -> FloatArray:
    """Study day on which a span [start, stop) begins: what begins at the end of day d begins on day d + 1."""
    return np.floor(start) + 1
