"""Data cuts: the study as its tables stood on a calendar day.

A patient's day d is calendar day infusion + d, and is known if that day has begun at the cut. Of what goes on at the cut the
beginning is known and not the end; monitoring that goes on ends there with the reason ONGOING, which censors. Patients who
are enrolled and not infused yet have an end of monitoring before day 0; of patients who are not enrolled yet nothing is left,
and their end lies before their enrolment (the arrays keep their shape, as replicates differ).

What a study learns only later counts from its own date: a loss to follow-up is the last contact from the first, and the grade
of an event is the worst it came to.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from cmvsim.core.records import BoolArray, FloatArray
from cmvsim.data.study import (
    CellSamples,
    Change,
    Courses,
    Disposition,
    EndReason,
    Occurrences,
    Questionnaires,
    Resources,
    Result,
    Samples,
    Sequencing,
    Stays,
    Study,
    Subjects,
    VirusSamples,
)


def known_until(infusion: FloatArray, day: ArrayLike) -> FloatArray:
    """Last study day of each patient that is known at a cut.

    Parameters
    ----------
    infusion
        (R, N) calendar day of infusion, from the first day of the study; infinite for a patient who is never infused.
    day
        Calendar day of the cut, one or (R,); infinite: no cut.

    Returns
    -------
    ndarray
        (R, N), negative before infusion, -infinite for a patient who is never infused.
    """
    at = np.broadcast_to(np.asarray(day, dtype=np.float64).reshape(-1, 1), infusion.shape)
    with np.errstate(invalid="ignore"):
        return np.where(np.isfinite(infusion), np.floor(at - infusion), -np.inf)


def cut(study: Study, known: FloatArray, *, enrolment: float = -np.inf, turnaround: float = 0.0) -> Study:
    """The study as known on each patient's day.

    Parameters
    ----------
    study
        Whole.
    known
        (R, N) last study day that is known of each patient, :func:`known_until`.
    enrolment
        Study day of enrolment (negative: so many days before infusion): of patients who are not there yet not even the
        baseline is known.
    turnaround
        Days until the laboratory reports; a sample whose result is due after the cut is not in the tables yet.

    Returns
    -------
    Study
        A cut of it on the same day is the same again; without a cut (infinite days) it is the study itself.
    """
    there = known >= enrolment
    seen = np.where(there, known, -np.inf)
    reported = seen - turnaround
    return replace(
        study,
        subjects=_subjects(study.subjects, there),
        samples=_samples(study.samples, seen, reported),
        disposition=_disposition(study.disposition, known),
        events={name: _occurrences(found, seen) for name, found in study.events.items()},
        exposures={name: _courses(found, seen) for name, found in study.exposures.items()},
        virome={name: _virus(found, seen, reported) for name, found in study.virome.items()},
        car_t=None if study.car_t is None else _cells(study.car_t, seen, reported),
        sequencing=None if study.sequencing is None else _sequencing(study.sequencing, reported),
        questionnaires=None if study.questionnaires is None else _questionnaires(study.questionnaires, seen),
        stays=None if study.stays is None else _stays(study.stays, seen),
        resources=None if study.resources is None else _resources(study.resources, seen),
    )


def infused(study: Study) -> BoolArray:
    """(R, N) patients who were infused by the cut."""
    return np.asarray((study.disposition.reason != EndReason.ONGOING) | (study.disposition.end >= 0))


def _by(day: FloatArray, known: FloatArray) -> BoolArray:
    """Which days, (R, N, ...), are not later than what is known; no day is not."""
    return ~np.asarray(day > known.reshape(*known.shape, *(1,) * (day.ndim - 2)))


def _day(day: FloatArray, kept: BoolArray) -> FloatArray:
    return np.where(kept, day, np.nan)


def _planned(nominal: FloatArray, day: FloatArray, kept: BoolArray, known: FloatArray) -> FloatArray:
    """Planned days of the samples that were reported, or missed by then; one that is still to come is not missed."""
    planned = np.broadcast_to(nominal, day.shape)
    return np.where(np.where(np.isnan(day), _by(planned, known), kept), planned, np.nan)


def _result(result: NDArray[np.int8], kept: BoolArray) -> NDArray[np.int8]:
    return np.where(kept, result, np.int8(Result.NONE)).astype(np.int8)


def _subjects(subjects: Subjects, there: BoolArray) -> Subjects:
    covariates: Mapping[str, FloatArray] = {name: _day(column, there) for name, column in subjects.covariates.items()}
    return replace(subjects, covariates=covariates)


def _samples(samples: Samples, known: FloatArray, reported: FloatArray) -> Samples:
    kept = _by(samples.day, reported)
    return replace(
        samples,
        nominal=_planned(samples.nominal, samples.day, kept, known),
        day=_day(samples.day, kept),
        result=_result(samples.result, kept),
        load=_day(samples.load, kept),
    )


def _virus(samples: VirusSamples, known: FloatArray, reported: FloatArray) -> VirusSamples:
    kept = _by(samples.day, reported)
    nominal = _planned(samples.nominal, samples.day, kept, known)
    return VirusSamples(nominal, _day(samples.day, kept), _result(samples.result, kept), _day(samples.load, kept))


def _cells(samples: CellSamples, known: FloatArray, reported: FloatArray) -> CellSamples:
    kept = _by(samples.day, reported)
    return replace(
        samples,
        nominal=_planned(samples.nominal, samples.day, kept, known),
        day=_day(samples.day, kept),
        result=_result(samples.result, kept),
        level=_day(samples.level, kept),
    )


def _sequencing(sequencing: Sequencing, reported: FloatArray) -> Sequencing:
    kept = _by(sequencing.day, reported)
    change = np.where(kept[..., None], sequencing.change, np.int8(Change.NONE)).astype(np.int8)
    return Sequencing(_day(sequencing.day, kept), sequencing.genes, change)


def _questionnaires(asked: Questionnaires, known: FloatArray) -> Questionnaires:
    answered = _by(asked.day, known)
    due = (answered & ~np.isnan(asked.day)) | _by(asked.nominal, known)
    return Questionnaires(
        nominal=_day(asked.nominal, due),
        day=_day(asked.day, answered),
        instrument=np.where(due, asked.instrument, np.int8(0)).astype(np.int8),
        proxy=asked.proxy & due,
        levels=np.where(answered[..., None], asked.levels, np.int8(0)).astype(np.int8),
        vas=_day(asked.vas, answered),
    )


def _occurrences(found: Occurrences, known: FloatArray) -> Occurrences:
    kept = _by(found.day, known)
    certainty = None
    if found.certainty is not None:
        certainty = np.where(kept, found.certainty, np.int8(-1)).astype(np.int8)
    later = np.zeros(kept.shape, dtype=bool)
    if found.severe is not None:
        later = ~np.isnan(found.severe) & ~_by(found.severe, known)
    return Occurrences(
        day=_day(found.day, kept),
        end=None if found.end is None else _day(found.end, kept & _by(found.end, known)),
        # a worst grade that was reached later was not known
        grade=None if found.grade is None else _day(found.grade, kept & ~later),
        certainty=certainty,
        severe=None if found.severe is None else _day(found.severe, kept & ~later),
    )


def _courses(courses: Courses, known: FloatArray) -> Courses:
    begun = _by(courses.start, known)
    over = begun & _by(courses.stop - 1, known)  # stop is the last day + 1
    return Courses(_day(courses.start, begun), _day(courses.stop, over))


def _stays(stays: Stays, known: FloatArray) -> Stays:
    begun = _by(stays.start, known)
    return Stays(
        _day(stays.start, begun),
        _day(stays.stop, begun & _by(stays.stop - 1, known)),
        stays.icu & begun,
    )


def _disposition(disposition: Disposition, known: FloatArray) -> Disposition:
    goes_on = disposition.end > known
    return Disposition(
        end=np.where(goes_on, known, disposition.end),
        reason=np.where(goes_on, np.int8(EndReason.ONGOING), disposition.reason).astype(np.int8),
        death=_day(disposition.death, _by(disposition.death, known)),
    )


def _resources(resources: Resources, known: FloatArray) -> Resources:
    """Use that has begun; of one that goes on the share of its days until the cut."""
    until = known.reshape(-1)[resources.row]
    kept = resources.first <= until
    columns: dict[str, NDArray[Any]] = {
        name: getattr(resources, name)[kept] for name in ("row", "item", "component", "first", "last", "quantity")
    }
    last = np.minimum(columns["last"], until[kept])
    days = columns["last"] - columns["first"] + 1
    share = np.where(last < columns["last"], (last - columns["first"] + 1) / days, 1.0)
    return replace(resources, **{**columns, "last": last, "quantity": columns["quantity"] * share})
