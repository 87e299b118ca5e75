"""The tables that are always there, and putting together those that analyses ask for."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from cmvsim.core.records import FloatArray, IntArray
from cmvsim.data.study import Courses, Disposition, EndReason, Occurrences, Samples, Study, Subjects, Topic
from cmvsim.models.history import History
from cmvsim.models.prophylaxis import Prophylaxis
from cmvsim.models.time_grid import study_day
from cmvsim.models.treatment import ANTIVIRALS
from cmvsim.models.windows import Windows
from cmvsim.simulation.recording import clinical, research


def record(
    history: History,
    topics: frozenset[Topic] = frozenset(Topic),
    *,
    arms: tuple[str, ...] = (),
    arm: IntArray | None = None,
) -> Study:
    """What the study's tables hold of a history.

    Parameters
    ----------
    history
        One chunk, with CMV samples.
    topics
        What to record beside what is always there: what the analyses read. Processes that did not run leave no table.
    arms, arm
        Names of the arms, and (R, N) index of each patient's, of a study that assigned them.

    Returns
    -------
    Study
        Whole days: an event falls on the day that contains it; monitoring that ends by withdrawal or new therapy ends on
        the last whole day before, and by loss with the last sample. Samples after death do not exist. The study ends for a
        patient with the last planned visit (or the closing one, if later); what happens after that, or after withdrawal or
        loss, is not known.
    """
    if history.samples is None:
        raise ValueError("a history without CMV samples cannot be recorded as a study")
    seen = history.observation
    disposition, known = _disposition(history)
    events = {name: Occurrences.once(_known_day(getattr(seen, name), known)) for name in ("relapse", "new_therapy", "hct")}
    if history.disease is not None:
        events["cmv_disease"] = Occurrences.once(_known_day(history.disease.time, known))
    exposures = _antivirals(history, known)
    if history.prophylaxis is not None:
        exposures["letermovir"] = _flat_courses(history, history.prophylaxis, known)
    if Topic.TOXICITY in topics:
        for drug, window in history.toxicity.courses.items():
            exposures[drug] = _flat_courses(history, window, known)
    if Topic.SEQUENCING in topics or Topic.TOXICITY in topics:
        exposures["aciclovir"] = _flat_courses(history, _aciclovir(history), known)
    if Topic.TOXICITY in topics:
        events |= clinical.toxicity_events(history, known)
    if Topic.INFECTIONS in topics and history.infections is not None:
        events |= clinical.infection_events(history, known)
    asks = {
        Topic.SEQUENCING: history.sequencing is not None,
        Topic.QUESTIONNAIRES: history.questionnaires is not None,
        Topic.STAYS: history.stays is not None,
        Topic.RESOURCES: history.ledger is not None,
    }
    has = {topic for topic in topics if asks.get(topic, True)}
    return Study(
        subjects=_assigned(_subjects(history, Topic.BASELINE in topics), arms, arm),
        samples=_samples(history),
        disposition=disposition,
        events=events,
        exposures=exposures,
        virome=research.virome(history, known) if Topic.VIROME in has else {},
        car_t=research.car_t(history, known) if Topic.CAR_T in has else None,
        sequencing=research.sequencing(history, known) if Topic.SEQUENCING in has else None,
        questionnaires=research.questionnaires(history, known) if Topic.QUESTIONNAIRES in has else None,
        stays=clinical.stays(history, known) if Topic.STAYS in has else None,
        resources=clinical.resources(history, known) if Topic.RESOURCES in has else None,
    )


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
    return Samples(nominal=_nominal(history), day=day.T, result=kept.T, load=value.T, matrix=s.matrix, lloq=s.lloq)


def _nominal(history: History) -> FloatArray:
    """Planned days (R, N, V); none for the retrospective part, which has no protocol visits to miss."""
    assert history.samples is not None
    planned = np.broadcast_to(history.samples.nominal, history.samples.time.shape)
    if float(history.population.spec.retrospective_share) == 0:
        return planned
    late = np.asarray(history.view(history.population.retrospective), dtype=bool)
    return np.where(late[..., None], np.nan, planned)


def _disposition(history: History) -> tuple[Disposition, FloatArray]:
    """How monitoring ended, and the time until which the study knows of a patient."""
    from cmvsim.simulation.kernels.tables import dispositions

    assert history.samples is not None
    seen = history.observation
    shape = history.death.T.shape
    end, reason, death = np.empty(shape), np.empty(shape, dtype=np.int8), np.empty(shape)
    known = np.empty(shape)
    dispositions(
        float(history.samples.nominal[history.samples.visits - 1]),
        history.samples.time[..., history.samples.visits - 1].T,
        seen.lost.T,
        seen.withdrawn.T,
        seen.new_therapy.T,
        seen.hct.T,
        history.death.T,
        end,
        reason,
        death,
        known,
    )
    n, r = np.nonzero(reason == EndReason.LOST)
    if r.size:  # the study learns of a loss by the visits that are not made: the last contact is the last sample
        made = history.samples.time[r, n]
        contact = np.fmax.reduce(np.where(made <= seen.lost[r, n, None], made, np.nan), axis=-1, initial=0.0)
        end[n, r] = contact
        known[n, r] = contact
    return Disposition(end=end.T, reason=reason.T, death=death.T), known.T


def _antivirals(history: History, known: FloatArray) -> dict[str, Courses]:
    """Courses of each antiviral of pre-emptive therapy; one that nobody was given has none."""
    care = history.treatment
    assert care is not None
    found: dict[str, Courses] = {}
    for code, drug in enumerate(ANTIVIRALS, start=1):
        mine = care.drug == code
        used = np.flatnonzero(mine.any(axis=(0, 1)))  # spells that somebody had of this drug
        start = np.where(mine[..., used], care.drug_start[..., used], np.nan)
        found[drug] = _courses(start, np.where(mine[..., used], care.drug_stop[..., used], np.nan), known)
    return found


def _aciclovir(history: History) -> Windows:
    """(Val)aciclovir, from inclusion on and not stopped."""
    given = history.population.aciclovir
    return Windows(np.where(given, history.virome.inclusion, np.inf), np.full(given.shape, np.inf))


def _flat_courses(history: History, course: Windows | Prophylaxis, known: FloatArray) -> Courses:
    """Courses of a drug of which a patient has one at most."""
    start = np.asarray(history.view(course.start), dtype=np.float64)
    stop = np.asarray(history.view(course.stop), dtype=np.float64)
    return _courses(start[..., None], stop[..., None], known)


def _courses(start: FloatArray, stop: FloatArray, known: FloatArray) -> Courses:
    """First day, and last day + 1, of the courses that the study learns of; a course that outlasts it has no stop."""
    with np.errstate(invalid="ignore"):
        begun, ended = start <= known[..., None], stop <= known[..., None]
    first, last = np.full_like(start, np.nan), np.full_like(start, np.nan)
    for c in np.flatnonzero(begun.any(axis=(0, 1))):  # few patients have a second course, nobody most of the others
        first[..., c] = np.where(begun[..., c], study_day(start[..., c]), np.nan)
        last[..., c] = np.where(begun[..., c] & ended[..., c], study_day(stop[..., c]) + 1, np.nan)
    return Courses(start=first, stop=last)


def _assigned(subjects: Subjects, arms: tuple[str, ...], arm: IntArray | None) -> Subjects:
    """The subjects with the arm that each was assigned to."""
    if arm is None:
        return subjects
    covariates = {**subjects.covariates, "arm": arm.astype(np.float64)}
    return replace(subjects, covariates=covariates, labels={**subjects.labels, "arm": arms})


def _subjects(history: History, complete: bool) -> Subjects:
    population = history.population
    stratum = np.asarray(history.view(population.stratum.astype(np.int8)), dtype=np.int8)
    if not complete:
        return Subjects(stratum=stratum, strata=history.strata, diseases=history.diseases)
    columns = {
        "part": 1 - population.retrospective,
        "site": population.site - 1,
        "product": population.product,
        "age": population.age,
        "sex": 1 - population.female,
        "prior_allogeneic_hct": population.prior_allogeneic_hct,
    }
    covariates = {name: np.asarray(history.view(column), dtype=np.float64) for name, column in columns.items()}
    return Subjects(
        stratum=stratum,
        strata=history.strata,
        diseases=history.diseases,
        covariates=covariates,
        labels={
            "product": population.spec.products,
            "site": tuple(f"site {number + 1}" for number in range(int(float(population.spec.sites)))),
        },
    )
