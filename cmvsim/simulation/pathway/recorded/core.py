"""The tables that are always there, and putting all of them together."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from cmvsim.data.study import Courses, Disposition, Result, Samples, Study, Subjects
from cmvsim.models.toxicity import DRUGS
from cmvsim.models.treatment import ANTIVIRALS
from cmvsim.simulation.background import Background
from cmvsim.simulation.draws import ChunkDraws
from cmvsim.simulation.pathway.facts import Window
from cmvsim.simulation.pathway.recorded import clinical, research
from cmvsim.simulation.pathway.recorded.case import Case, padded
from cmvsim.simulation.pathway.recorded.ending import Ending, ending_of
from cmvsim.simulation.pathway.records import PatientHistory, SampleRecord


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
    case = Case(background, rows, stories, endings)
    return Study(
        subjects=_subjects(background, rows),
        samples=_samples(case),
        disposition=Disposition(
            end=np.array([[e.day for e in endings]]),
            reason=np.array([[e.reason for e in endings]], dtype=np.int8),
            death=np.array([[e.death for e in endings]]),
        ),
        events=clinical.events(case),
        exposures=_exposures(case),
        virome=research.virome(case),
        car_t=research.car_t(case),
        sequencing=research.sequencing(case),
        questionnaires=research.questionnaires(case),
        stays=clinical.stays(case),
        resources=clinical.resources(case),
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


def _samples(case: Case) -> Samples:
    """Planned days first, each with its sample or none; then the tests that clinicians asked for."""
    spec = case.background.model.monitoring
    lists = [_of_patient(spec.days, story, late) for story, late in zip(case.stories, case.retrospective, strict=True)]
    shape = (1, len(lists), max(map(len, lists), default=0))
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


def _exposures(case: Case) -> dict[str, Courses]:
    background, given = case.background, case.background.population.aciclovir[case.rows]
    taken: dict[str, list[list[Window]]] = {
        drug: [[Window(s.start, s.stop) for s in story.treatment.spells if s.drug == drug] for story in case.stories]
        for drug in ANTIVIRALS
    }
    if background.plans:
        taken["letermovir"] = [[story.letermovir] for story in case.stories]
    for drug in DRUGS:
        taken[drug] = [[window] for window in case.windows(background.toxicity.courses[drug])]
    inclusion = background.model.inclusion_day
    taken["aciclovir"] = [[Window(inclusion if on else math.inf)] for on in given]
    return {drug: _courses(courses, case.endings) for drug, courses in taken.items()}


def _courses(courses: Sequence[Sequence[Window]], endings: Sequence[Ending]) -> Courses:
    """First day, and last day + 1; no stop where a course outlasts what is known."""
    begun = [[w for w in windows if ending.knows(w.start)] for windows, ending in zip(courses, endings, strict=True)]
    return Courses(
        start=padded([[math.ceil(w.start) for w in windows] for windows in begun]),
        stop=padded([[e.day_of(w.stop) + 1 for w in windows] for windows, e in zip(begun, endings, strict=True)]),
    )
