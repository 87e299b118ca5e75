"""Section 14, stays: the planned initial stay, what CMV and infections add to it, and what remains until death.

A day in hospital is spent once: stays that overlap or touch are one stay, and intensive care replaces the ward.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from cmvsim.core.records import BoolArray, FloatArray, IntArray
from cmvsim.core.streams import Draws
from cmvsim.models.resources import PlannedStay, ResourcesSpec, Stays, by_code
from cmvsim.models.time_grid import STEPS_PER_DAY, on_grid
from cmvsim.models.windows import Windows


@dataclass(frozen=True, slots=True)
class Antivirals:
    """Drugs against CMV as taken.

    Attributes
    ----------
    drug
        (C, P) int8: 0 none, else 1 + the index in :data:`cmvsim.models.resources.ANTIVIRALS`.
    start, stop
        (C, P), in order of time; NaN or +inf where there is no spell, stop = +inf (or NaN) while it goes on.
    course
        (C, P) index of the course of treatment that the spell belongs to: a switch of drug goes on with the course. Any
        number where there is no spell.
    """

    drug: NDArray[np.int8]
    start: FloatArray
    stop: FloatArray
    course: IntArray


@dataclass(frozen=True, slots=True)
class InfectionOnsets:
    """Bacterial and fungal infections: (W, P) start (NaN or +inf: none), and whether it is severe."""

    start: FloatArray
    severe: BoolArray


@dataclass(frozen=True, slots=True)
class Care:
    """What happened to the patients of a chunk, as far as it uses resources; None: did not happen to anybody.

    With CMV switched off the same planned stays, toxicity and prophylaxis go with the tests, infections and death of that
    history, and without antivirals, disease, neutropenia and kidney injury.

    Attributes
    ----------
    planned
        Section 14, before the course of CMV.
    death
        (P,), +inf where there is none.
    horizon
        Last simulated day.
    antivirals, disease, neutropenia, kidney_injury
        Spells of drugs; (P,) time of CMV disease; (C, P) neutropenia on ganciclovir; (C, P) times of kidney injury.
    infections
        Section 11.
    toxicity
        Courses by name (corticosteroids, tocilizumab, anakinra), each (P,).
    letermovir, adherence
        (P,) window, and share of its days on which the drug is taken.
    test, test_extra
        (V, P) times of the samples for CMV PCR, NaN where none was taken; whether each was taken because of a result that
        detected CMV, and would not have been without.
    sequenced
        (S, P) times of samples sequenced for resistance, NaN where none.
    """

    planned: PlannedStay
    death: FloatArray
    horizon: float
    antivirals: Antivirals | None = None
    disease: FloatArray | None = None
    neutropenia: Windows | None = None
    kidney_injury: FloatArray | None = None
    infections: InfectionOnsets | None = None
    toxicity: Mapping[str, Windows] | None = None
    letermovir: Windows | None = None
    adherence: FloatArray | None = None
    test: FloatArray | None = None
    test_extra: BoolArray | None = None
    sequenced: FloatArray | None = None

    @property
    def end(self) -> FloatArray:
        """(P,) end of resource use: death or the horizon, rounded down to the grid so that nothing follows death."""
        end = np.fmin(self.death, self.horizon)  # NaN: no death
        return np.asarray(np.floor(end * STEPS_PER_DAY) / STEPS_PER_DAY)


def hospital_stays(spec: ResourcesSpec, care: Care, draws: Draws) -> Stays:
    """Stays of a chunk (model.md 14).

    Parameters
    ----------
    draws
        Streams ``resources.prolongation``, ``.admission``, ``.admission_days`` (index: course), ``.disease_days``,
        ``.infection_admission``, ``.infection_days`` and ``.infection_icu`` (index: infection).
    """
    admitted, discharge, disease = care.planned.hospital.start, care.planned.hospital.stop, _disease(spec, care, draws)
    wards, icus = [], [care.planned.icu]
    if disease is not None or care.antivirals is not None:
        discharge = _prolonged(spec, care, disease, draws)
    wards.append(Windows(admitted, discharge))
    if care.antivirals is not None:
        wards += _admissions(spec, care.antivirals, admitted, discharge, draws)
    if disease is not None:
        start, days = disease
        wards.append(Windows(start, start + days))  # within the initial stay where it has prolonged that
        icus.append(Windows(start, start + on_grid(days * float(spec.cmv.disease_icu_share))))
    if care.kidney_injury is not None:
        days_injured = on_grid(np.float64(float(spec.cmv.kidney_injury_days)))
        wards += [Windows(injured, injured + days_injured) for injured in on_grid(care.kidney_injury)]
    if care.infections is not None:
        more = _infections(spec, care.infections, care.planned.hospital, draws)
        wards += more[0]
        icus += more[1]
    end = care.end
    return Stays(_merged(wards, end), _merged(icus, end), _cut(care.planned.hospital, end))


def _disease(spec: ResourcesSpec, care: Care, draws: Draws) -> tuple[FloatArray, FloatArray] | None:
    """Time of CMV disease on the grid (+inf: none) and its days in hospital; None if nobody has it."""
    if care.disease is None or not np.isfinite(care.disease).any():
        return None
    start = np.where(np.isfinite(care.disease), on_grid(care.disease), np.inf)
    return start, on_grid(spec.cmv.disease_days.of_normal(draws("resources.disease_days")))


def _prolonged(spec: ResourcesSpec, care: Care, disease: tuple[FloatArray, FloatArray] | None, draws: Draws) -> FloatArray:
    """Discharge from the initial stay: each course begun in it prolongs it, and so does disease, in order of time.

    The treatment of a disease lies within its own days: a course begun after the disease does not prolong.
    """
    admitted, discharge = care.planned.hospital.start, care.planned.hospital.stop.copy()
    if disease is None:
        onset, days = np.full(discharge.shape, np.inf), np.zeros(discharge.shape)
    else:
        onset, days = disease
    if care.antivirals is not None:
        for k, (who, start) in enumerate(_course_starts(care.antivirals)):
            diseased = onset[who] <= start
            begun = ~diseased & (start >= admitted[who]) & (start < discharge[who])
            if begun.any():
                mine = who[begun]
                discharge[mine] += on_grid(spec.cmv.prolongation_days.of_normal(draws("resources.prolongation", k)[mine]))
    # courses after the disease have added nothing, so it comes last whatever the order
    return discharge + np.where((onset >= admitted) & (onset < discharge), days, 0.0)


def _course_starts(antivirals: Antivirals) -> list[tuple[IntArray, FloatArray]]:
    """By course: the patients who have it, and its first start."""
    given = np.isfinite(antivirals.start) & (antivirals.drug > 0)
    if not given.any():
        return []
    first = np.full((int(antivirals.course[given].max()) + 1, given.shape[1]), np.inf)
    row, who = np.nonzero(given)
    np.minimum.at(first, (antivirals.course[row, who], who), antivirals.start[row, who])
    found = [np.flatnonzero(np.isfinite(starts)) for starts in first]
    return [(mine, starts[mine]) for mine, starts in zip(found, first, strict=True)]


def _admissions(
    spec: ResourcesSpec, antivirals: Antivirals, admitted: FloatArray, discharge: FloatArray, draws: Draws
) -> list[Windows]:
    """Additional stays because a drug is begun out of the initial stay: at most one per course, one variate for all its drugs.

    A course that did not need a stay with its first drug may need one after a switch to a drug more often given in hospital.
    """
    probability = by_code(spec.cmv.admission)
    stays = []
    for k in range(len(_course_starts(antivirals))):
        start, u = np.full(admitted.shape, np.inf), draws("resources.admission", k)
        for row in range(antivirals.start.shape[0]):
            begins = antivirals.start[row]
            out = (begins < admitted) | (begins >= discharge)
            mine = np.isfinite(begins) & (antivirals.drug[row] > 0) & (antivirals.course[row] == k) & out & np.isinf(start)
            needs = np.flatnonzero(mine)
            needs = needs[u[needs] < probability[antivirals.drug[row, needs]]]
            start[needs] = begins[needs]
        who = np.flatnonzero(np.isfinite(start))
        if who.size:
            stop = start.copy()
            stop[who] += on_grid(spec.cmv.admission_days.of_normal(draws("resources.admission_days", k)[who]))
            stays.append(Windows(start, stop))
    return stays


def _infections(
    spec: ResourcesSpec, infections: InfectionOnsets, planned: Windows, draws: Draws
) -> tuple[list[Windows], list[Windows]]:
    """Stays and intensive care for infections: severe ones always, others by chance if out of the planned stay.

    The planned stay, not the prolonged one: an infection needs the same days with and without CMV.
    """
    wards, icus = [], []
    for k in range(infections.start.shape[0]):
        ill = np.flatnonzero(np.isfinite(infections.start[k]))
        if not ill.size:
            continue
        begins = np.full(planned.start.size, np.inf)
        begins[ill] = on_grid(infections.start[k, ill])
        severe, out = infections.severe[k], (begins < planned.start) | (begins >= planned.stop)
        chosen = draws("resources.infection_admission", k) < float(spec.infections.admission)
        start = np.where(severe | (out & chosen), begins, np.inf)
        days = np.zeros(planned.start.size)
        days[ill] = on_grid(spec.infections.days.of_normal(draws("resources.infection_days", k)[ill]))
        wards.append(Windows(start, start + days))
        intensive = severe & (draws("resources.infection_icu", k) < float(spec.infections.severe_icu))
        share = float(spec.infections.severe_icu_share)
        icus.append(Windows(np.where(intensive, start, np.inf), start + on_grid(days * share)))
    return wards, icus


def _cut(windows: Windows, end: FloatArray) -> Windows:
    """End windows at `end`, dropping what is not before it."""
    stop = np.minimum(np.where(np.isnan(windows.stop), np.inf, windows.stop), end)
    there = windows.start < stop  # NaN: none
    return Windows(np.where(there, windows.start, np.inf), np.where(there, stop, np.inf))


def _merged(several: list[Windows], end: FloatArray) -> Windows:
    """Unite windows (each (P,)) that overlap or touch, cut at `end`: disjoint, in order of time, +inf behind the last."""
    from cmvsim.simulation.kernels.stays import merge_windows

    start, stop = np.stack([w.start for w in several]), np.stack([w.stop for w in several])
    united = np.full((2, *start.shape), np.inf)
    most = max(merge_windows(start, stop, end, united[0], united[1]), 1)
    return Windows(united[0, :most], united[1, :most])
