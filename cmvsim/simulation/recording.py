"""Recording: History -> Study, a projection. No latent column survives it."""

from __future__ import annotations

import numpy as np

from cmvsim.core.records import FloatArray
from cmvsim.data.study import Courses, Disposition, Samples, Study, Subjects
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
        ends on the last whole day before. Samples after death do not exist; deaths after withdrawal or loss are unknown.
    """
    if history.samples is None:
        raise ValueError("a history without CMV samples cannot be recorded as a study")
    seen, death = history.observation, history.death
    disposition = _disposition(history)
    known = np.minimum(np.minimum(seen.withdrawn, seen.lost), death)
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
    from cmvsim.simulation.kernels.tables import until_death

    s = history.samples
    assert s is not None
    # the memory runs visit by visit, then patient by patient: the kernels read it in that order
    time, result, load = s.time.T, s.result.T, s.load.T
    day, kept, value = np.empty_like(time), np.empty_like(result), np.empty_like(load)
    until_death(time, result, load, history.death.T, day, kept, value)
    return Samples(nominal=np.broadcast_to(s.nominal, s.time.shape), day=day.T, result=kept.T, load=value.T,
                   matrix=s.matrix, lloq=s.lloq)


def _disposition(history: History) -> Disposition:
    from cmvsim.simulation.kernels.tables import dispositions

    assert history.samples is not None
    seen = history.observation
    shape = history.death.T.shape
    end, reason, death = np.empty(shape), np.empty(shape, dtype=np.int8), np.empty(shape)
    dispositions(float(history.samples.nominal[-1]), history.samples.time[..., -1].T, seen.lost.T, seen.withdrawn.T,
                 seen.new_therapy.T, seen.hct.T, history.death.T, end, reason, death)
    return Disposition(end=end.T, reason=reason.T, death=death.T)


def _courses(start: FloatArray, stop: FloatArray, known: FloatArray) -> Courses:
    """Courses in whole days as far as the study learns of them."""
    until = known[..., None]
    begun = start <= until
    first, last = np.full_like(start, np.nan), np.full_like(start, np.nan)
    for c in np.flatnonzero(begun.any(axis=(0, 1))):  # few patients have a second course, nobody most of the others
        first[..., c] = np.where(begun[..., c], study_day(start[..., c]), np.nan)
        end = study_day(np.minimum(np.where(np.isnan(stop[..., c]), np.inf, stop[..., c]), known))
        last[..., c] = np.where(begun[..., c] & np.isfinite(end), end, np.nan)
    return Courses(start=first, stop=last)


def _subjects(history: History, complete: bool) -> Subjects:
    population = history.population
    stratum = history.view(population.stratum.astype(np.int8))
    if not complete:
        return Subjects(stratum=stratum, strata=history.strata, diseases=history.diseases)
    columns = {"age": population.age, "female": population.female, "product": population.product,
               "prior_allogeneic_hct": population.prior_allogeneic_hct, "retrospective": population.retrospective,
               "site": population.site}
    covariates = {name: np.asarray(history.view(column), dtype=np.float64) for name, column in columns.items()}
    return Subjects(stratum=stratum, strata=history.strata, diseases=history.diseases, covariates=covariates,
                    labels={"product": population.spec.products})
