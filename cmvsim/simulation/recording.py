"""Recording: History -> Study, a projection. No latent column survives it."""

from __future__ import annotations

import numpy as np

from cmvsim.core.records import FloatArray
from cmvsim.data.study import Courses, Disposition, EndReason, Result, Samples, Study, Subjects
from cmvsim.models.history import History
from cmvsim.models.time_grid import study_day

ANTIVIRAL = "valganciclovir"


def record(history: History, *, complete: bool = True) -> Study:
    """What the study's tables hold of a history.

    Parameters
    ----------
    history
        One chunk, with CMV samples.
    complete
        Also the columns and tables that only some analyses read (covariates, toxicity treatments). Power runs without.

    Returns
    -------
    Study
        Whole days: an event falls on the day that contains it; monitoring that ends by withdrawal, loss or new therapy
        ends on the last whole day before. Samples after death do not exist. The study ends for a patient with the last
        planned visit (or the closing one, if later); what happens after that, or after withdrawal or loss, is not known.
    """
    if history.samples is None:
        raise ValueError("a history without CMV samples cannot be recorded as a study")
    seen, death = history.observation, history.death
    planned = _planned_end(history)
    unknown_after = np.minimum(np.minimum(seen.withdrawn, seen.lost), planned)
    disposition = _disposition(history, planned, unknown_after)
    known = np.minimum(unknown_after, death)
    events = {name: _known_day(getattr(seen, name), known) for name in ("relapse", "new_therapy", "hct")}
    exposures = {ANTIVIRAL: _courses(history.antiviral_start, history.antiviral_stop, known)}
    if complete:
        for drug, window in history.toxicity.items():
            start, stop = history.view(window.start), history.view(window.stop)
            exposures[drug] = _courses(start[..., None], stop[..., None], known)
    return Study(subjects=_subjects(history, complete), samples=_samples(history), disposition=disposition,
                 events=events, exposures=exposures)


def _known_day(times: FloatArray, known: FloatArray) -> FloatArray:
    """Study day of an event that the study learns of, NaN otherwise."""
    return np.where((times <= known) & np.isfinite(times), study_day(times), np.nan)


def _samples(history: History) -> Samples:
    s = history.samples
    assert s is not None
    after = s.time > history.death[..., None]
    day, result, load = s.time, s.result, s.load
    if after.any():
        day = np.where(after, np.nan, day)
        result = np.where(after, np.int8(Result.NONE), result)
        load = np.where(after, np.nan, load)
    return Samples(nominal=np.broadcast_to(s.nominal, day.shape), day=day, result=result, load=load,
                   matrix=s.matrix, lloq=s.lloq)


def _planned_end(history: History) -> FloatArray:
    """Day of the last planned visit, or of the closing one where it was made later."""
    assert history.samples is not None
    closing = history.samples.time[..., -1]
    return np.fmax(float(history.samples.nominal[-1]), np.where(closing > history.death, np.nan, closing))


def _disposition(history: History, planned: FloatArray, unknown_after: FloatArray) -> Disposition:
    seen, death = history.observation, history.death
    reason = np.full(death.shape, EndReason.COMPLETED, dtype=np.int8)
    first = planned.copy()
    for code, times in ((EndReason.LOST, seen.lost), (EndReason.WITHDRAWN, seen.withdrawn),
                        (EndReason.NEW_THERAPY, seen.new_therapy), (EndReason.HCT, seen.hct), (EndReason.DEATH, death)):
        earlier = times <= first
        reason[earlier] = code
        np.minimum(first, times, out=first)
    dated = (reason == EndReason.DEATH) | (reason == EndReason.HCT) | (reason == EndReason.COMPLETED)
    end = np.where(dated, study_day(first), np.floor(first))
    return Disposition(end=end, reason=reason, death=np.where((death <= unknown_after) & np.isfinite(death),
                                                            study_day(death), np.nan))


def _courses(start: FloatArray, stop: FloatArray, known: FloatArray) -> Courses:
    """First day, and last day + 1, of the courses that the study learns of; a course that outlasts it has no stop."""
    until = known[..., None]
    with np.errstate(invalid="ignore"):
        begun = start <= until
        ended = begun & (stop <= until)
    return Courses(start=np.where(begun, study_day(start), np.nan), stop=np.where(ended, study_day(stop) + 1, np.nan))


def _subjects(history: History, complete: bool) -> Subjects:
    population = history.population
    stratum = history.view(population.stratum.astype(np.int8))
    if not complete:
        return Subjects(stratum=stratum, strata=history.strata, diseases=history.diseases)
    columns = {"part": 1 - population.retrospective, "site": population.site - 1, "product": population.product,
               "age": population.age, "sex": 1 - population.female, "prior_allogeneic_hct": population.prior_allogeneic_hct}
    covariates = {name: np.asarray(history.view(column), dtype=np.float64) for name, column in columns.items()}
    return Subjects(stratum=stratum, strata=history.strata, diseases=history.diseases, covariates=covariates,
                    labels={"product": population.spec.products,
                            "site": tuple(f"site {number + 1}" for number in range(int(float(population.spec.sites))))})
