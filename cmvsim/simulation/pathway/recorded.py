"""What the study's tables hold of stories of the pathway engine (model.md 0.1), patient by patient."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from cmvsim.data.study import Courses, Disposition, EndReason, Occurrences, Result, Samples, Study, Subjects
from cmvsim.models.toxicity import DRUGS
from cmvsim.models.treatment import ANTIVIRALS
from cmvsim.simulation.background import Background
from cmvsim.simulation.draws import ChunkDraws
from cmvsim.simulation.model import Model
from cmvsim.simulation.pathway.facts import Window
from cmvsim.simulation.pathway.records import PatientHistory, SampleRecord

EVENTS = ("relapse", "new_therapy", "hct", "cmv_disease")


@dataclass(frozen=True, slots=True)
class Ending:
    """How monitoring of a patient ended, for the study.

    Attributes
    ----------
    day
        Whole day of the end.
    death
        Whole day of a death that the study learns of, NaN otherwise.
    known
        Time until which the study knows of the patient.
    """

    day: float
    reason: EndReason
    death: float
    known: float


def ending_of(model: Model, story: PatientHistory) -> Ending:
    """The end of monitoring, its reason, and until when the study knows of a patient."""
    last, f = model.monitoring.days[-1], story.follow_up
    closing = [s.time for s in story.samples if s.planned == last and s.time <= story.death]
    whole = max([float(last), *closing])
    until = min(whole, f.withdrawn, f.lost)
    # of what comes at the same time the last of this order is the reason
    ends = (
        (whole, EndReason.COMPLETED),
        (f.lost, EndReason.LOST),
        (f.withdrawn, EndReason.WITHDRAWN),
        (f.new_therapy, EndReason.NEW_THERAPY),
        (f.hct, EndReason.HCT),
        (story.death, EndReason.DEATH),
    )
    first, _, reason = min((time, -order, reason) for order, (time, reason) in enumerate(ends))
    death = float(math.ceil(story.death)) if story.death <= until else math.nan
    if reason is EndReason.LOST:  # a loss shows in visits that are not made: the last contact is the last sample
        contact = max([0.0, *(s.time for s in story.samples if s.time <= f.lost)])
        return Ending(contact, reason, death, contact)
    containing = reason in (EndReason.COMPLETED, EndReason.HCT, EndReason.DEATH)
    day = math.ceil(first) if containing else math.floor(first)
    return Ending(float(day), reason, death, min(until, story.death))


def recorded(background: Background, stories: Sequence[PatientHistory]) -> Study:
    """One study of these patients, in their order.

    Parameters
    ----------
    background
        What the stories were laid on (:func:`cmvsim.simulation.pathway.engine.background_of`).
    stories
        Of one replicate.

    Returns
    -------
    Study
        A batch of one, with all columns and tables.
    """
    draws, model = background.draws, background.model
    assert isinstance(draws, ChunkDraws)
    rows = np.array([story.patient * draws.replicates + story.replicate for story in stories], dtype=np.int64)
    endings = [ending_of(model, story) for story in stories]
    return Study(
        subjects=_subjects(background, rows),
        samples=_samples(background, rows, stories),
        disposition=Disposition(
            end=np.array([[e.day for e in endings]]),
            reason=np.array([[e.reason for e in endings]], dtype=np.int8),
            death=np.array([[e.death for e in endings]]),
        ),
        events={name: _events(name, stories, endings) for name in EVENTS},
        exposures=_exposures(background, rows, stories, endings),
    )


def _subjects(background: Background, rows: np.ndarray) -> Subjects:
    p, strata = background.population, background.model.population.strata
    columns = {
        "part": 1 - p.retrospective,
        "site": p.site - 1,
        "product": p.product,
        "age": p.age,
        "sex": 1 - p.female,
        "prior_allogeneic_hct": p.prior_allogeneic_hct,
    }
    sites = int(float(p.spec.sites))
    return Subjects(
        stratum=p.stratum[rows].astype(np.int8)[None],
        strata=tuple(strata),
        diseases=tuple(stratum.disease for stratum in strata.values()),
        covariates={name: np.asarray(column[rows], dtype=np.float64)[None] for name, column in columns.items()},
        labels={"product": p.spec.products, "site": tuple(f"site {number + 1}" for number in range(sites))},
    )


def _samples(background: Background, rows: np.ndarray, stories: Sequence[PatientHistory]) -> Samples:
    """Planned days first, each with its sample or none; then the tests that clinicians asked for."""
    spec, retrospective = background.model.monitoring, background.population.retrospective[rows]
    lists = [_of_patient(spec.days, story, bool(late)) for story, late in zip(stories, retrospective, strict=True)]
    shape = (1, len(stories), max(map(len, lists), default=0))
    nominal, day, load = (np.full(shape, np.nan) for _ in range(3))
    result = np.zeros(shape, dtype=np.int8)
    for i, entries in enumerate(lists):
        for v, (planned, sample) in enumerate(entries):
            nominal[0, i, v] = planned
            if sample is not None:
                day[0, i, v], load[0, i, v], result[0, i, v] = sample.time, sample.load, Result(sample.reported)
    return Samples(nominal=nominal, day=day, result=result, load=load, matrix=spec.matrix.value, lloq=float(spec.lloq))


def _of_patient(days: tuple[int, ...], story: PatientHistory, late: bool) -> list[tuple[float, SampleRecord | None]]:
    """Planned day (NaN: none) and sample; the retrospective part has no visits to miss."""
    made = [s for s in story.samples if s.time <= story.death]
    visits = {s.planned: s for s in made if s.planned is not None}
    planned: list[tuple[float, SampleRecord | None]] = [(math.nan if late else float(d), visits.get(d)) for d in days]
    return planned + [(math.nan, s) for s in made if s.planned is None]


def _events(name: str, stories: Sequence[PatientHistory], endings: Sequence[Ending]) -> Occurrences:
    """The event of a kind, where the study learns of it."""
    times = [story.disease if name == "cmv_disease" else getattr(story.follow_up, name) for story in stories]
    days = [math.ceil(t) if t <= e.known else math.nan for t, e in zip(times, endings, strict=True)]
    return Occurrences.once(np.array([days]))


def _exposures(
    background: Background, rows: np.ndarray, stories: Sequence[PatientHistory], endings: Sequence[Ending]
) -> dict[str, Courses]:
    toxicity, given = background.toxicity, background.population.aciclovir[rows]
    taken: dict[str, list[list[Window]]] = {
        drug: [[Window(s.start, s.stop) for s in story.treatment.spells if s.drug == drug] for story in stories]
        for drug in ANTIVIRALS
    }
    if background.plans:
        taken["letermovir"] = [[story.letermovir] for story in stories]
    for drug in DRUGS:
        windows = toxicity.courses[drug]
        taken[drug] = [[Window(float(windows.start[row]), float(windows.stop[row]))] for row in rows]
    inclusion = background.model.inclusion_day
    taken["aciclovir"] = [[Window(inclusion if on else math.inf)] for on in given]
    return {drug: _courses(courses, endings) for drug, courses in taken.items()}


def _courses(courses: list[list[Window]], endings: Sequence[Ending]) -> Courses:
    """First day, and last day + 1; no stop where a course outlasts what is known."""
    shape = (1, len(courses), max(map(len, courses), default=0))
    start, stop = np.full(shape, np.nan), np.full(shape, np.nan)
    for i, (windows, ending) in enumerate(zip(courses, endings, strict=True)):
        for k, window in enumerate(windows):
            if window.start <= ending.known:
                start[0, i, k] = math.ceil(window.start)
                stop[0, i, k] = math.ceil(window.stop) + 1 if window.stop <= ending.known else math.nan
    return Courses(start=start, stop=stop)
