"""What is collected for research in the prospective part: virome and CAR-T cell samples, sequencing, questionnaires."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import numpy as np

from cmvsim.core.records import FloatArray
from cmvsim.data.study import CellSamples, Change, Questionnaire, Questionnaires, Result, Sequencing, VirusSamples
from cmvsim.models.resistance import GENES, ChangeClass
from cmvsim.models.virome import VIRUSES, VirusName
from cmvsim.simulation.pathway.monitoring import three_digits
from cmvsim.simulation.pathway.recorded.case import Case, padded
from cmvsim.simulation.pathway.recorded.ending import Ending
from cmvsim.simulation.pathway.records import PatientHistory, QuestionnaireRecord, SequencedRecord

NEAR = 1
"""Days within which a protocol visit is the visit of a research sample."""
WRITTEN: dict[ChangeClass, Change] = {
    "known_resistance": Change.KNOWN_RESISTANCE,
    "known_polymorphism": Change.POLYMORPHISM,
    "unknown": Change.UNKNOWN,
}
INSTRUMENTS = {"youth": Questionnaire.EQ_5D_Y, "adult": Questionnaire.EQ_5D_5L}
ITEMS = 5


def virome(case: Case) -> dict[str, VirusSamples]:
    """Samples for the three viruses."""
    days = case.background.virome.visits
    times = _times(case, days)
    found: dict[str, VirusSamples] = {}
    for virus in VIRUSES:
        read = [_virus(case, virus, day, times[:, k]) for k, day in enumerate(days)]
        found[virus] = VirusSamples(
            nominal=_nominal(case, days),
            day=times[None],
            result=np.stack([result for result, _ in read], axis=-1)[None],
            load=np.stack([load for _, load in read], axis=-1)[None],
        )
    return found


def _virus(case: Case, virus: VirusName, day: int, times: FloatArray) -> tuple[np.ndarray, FloatArray]:
    """Results and loads of the samples of one planned day."""
    shared = case.background.virome
    everybody = _everybody(case, times)
    load = np.full(times.shape, np.nan)
    if virus == "anellovirus":
        measured = shared.observed(day, everybody)[case.rows]
        detected = measured > -math.inf
        load[detected] = np.round(measured[detected], 2)
        seen = np.where(detected, Result.QUANTIFIED, Result.NOT_DETECTED)
    else:
        carried = shared.positive(virus, everybody)[case.rows]
        seen = np.where(carried, Result.BELOW_LLOQ, Result.NOT_DETECTED)
    return np.where(np.isnan(times), Result.NONE, seen).astype(np.int8), load


def car_t(case: Case) -> CellSamples:
    """CAR-T cell concentrations."""
    kinetics, model = case.background.kinetics, case.background.model
    days = [day for day in kinetics.spec.visits.value if day <= model.horizon]
    times = _times(case, days)
    level = np.full(times.shape, np.nan)
    result = np.zeros(times.shape, dtype=np.int8)
    for k, day in enumerate(days):
        measured = kinetics.observed(day, np.nan_to_num(_everybody(case, times[:, k])))[case.rows]
        for i in np.flatnonzero(~np.isnan(times[:, k])):
            result[i, k] = Result.BELOW_LLOQ if math.isnan(measured[i]) else Result.QUANTIFIED
            level[i, k] = measured[i] if math.isnan(measured[i]) else three_digits(float(measured[i]))
    spec = case.background.population.spec
    assay = {product: kinetics.spec.assay(disease, product) for disease, product in spec.cells}
    return CellSamples(
        nominal=_nominal(case, days),
        day=times[None],
        result=result[None],
        level=level[None],
        units=tuple(assay[product].unit for product in spec.products),
        lloq=tuple(float(assay[product].lloq) for product in spec.products),
    )


def _everybody(case: Case, times: FloatArray) -> FloatArray:
    """(P,) the times in the places of these patients in their chunk, NaN elsewhere."""
    whole = np.full(case.background.population.age.shape, np.nan)
    whole[case.rows] = times
    return whole


def _times(case: Case, days: Sequence[int]) -> FloatArray:
    """(N, V) when the research sample of each planned day was taken; NaN: it was not."""
    visits = [_visit(day, case.background.model.monitoring.days) for day in days]
    everyone = zip(case.stories, case.endings, case.retrospective, strict=True)
    rows = [
        [math.nan if late else _taken(day, visit, story, ending) for day, visit in zip(days, visits, strict=True)]
        for story, ending, late in everyone
    ]
    return np.array(rows, dtype=np.float64).reshape(len(rows), len(days))


def _visit(day: int, plan: Sequence[int]) -> int | None:
    """The visit of a sample planned after infusion: the nearest of the plan after infusion, if it is near."""
    nearest = min((planned for planned in plan if planned > 0), key=lambda planned: (abs(planned - day), planned), default=None)
    return nearest if nearest is not None and day > 0 and abs(nearest - day) <= NEAR else None


def _taken(day: int, visit: int | None, story: PatientHistory, ending: Ending) -> float:
    """At its visit and missed with it; without one, on its own day."""
    if visit is None:
        return float(day) if ending.knows(day) else math.nan
    return next((s.time for s in story.samples if s.planned == visit and ending.knows(s.time)), math.nan)


def _nominal(case: Case, days: Sequence[int]) -> FloatArray:
    """(1, N, V); the retrospective part has no research samples to miss."""
    return np.array([[[math.nan if late else float(day) for day in days] for late in case.retrospective]])


def sequencing(case: Case) -> Sequencing:
    """Samples sent, in order of time, and the gravest change of each gene."""
    sent = [
        [s for s in sorted(story.strain.sent, key=lambda s: s.time) if ending.knows(s.time)]
        for story, ending in zip(case.stories, case.endings, strict=True)
    ]
    day = padded([[math.ceil(s.time) for s in several] for several in sent])
    change = np.zeros((*day.shape, len(GENES)), dtype=np.int8)
    for i, several in enumerate(sent):
        for k, sample in enumerate(several):
            change[0, i, k] = [_gravest(sample, gene) for gene in GENES]
    return Sequencing(day=day, genes=GENES, change=change)


def _gravest(sample: SequencedRecord, gene: str) -> Change:
    if not sample.succeeded:
        return Change.FAILED
    return max([Change.NO_CHANGE, *(change for name, change in WRITTEN.items() if (name, gene) in sample.shows)])


def questionnaires(case: Case) -> Questionnaires | None:
    """Questionnaires that were due, filled in or not; None where the model has none."""
    if case.background.model.latent_health is None:
        return None
    everyone = zip(case.stories, case.endings, case.retrospective, strict=True)
    due = [[q for q in s.questionnaires if not late and ending.knows(q.day)] for s, ending, late in everyone]
    nominal = padded([[q.day for q in several] for several in due])
    levels = np.zeros((*nominal.shape, ITEMS), dtype=np.int8)
    for i, several in enumerate(due):
        for k, q in enumerate(several):
            levels[0, i, k] = q.levels or 0

    def column(value: Callable[[QuestionnaireRecord], float]) -> FloatArray:
        return padded([[value(q) for q in several] for several in due])

    return Questionnaires(
        nominal=nominal,
        day=column(lambda q: q.day if q.levels else math.nan),
        instrument=np.nan_to_num(column(lambda q: INSTRUMENTS[q.instrument])).astype(np.int8),
        proxy=column(lambda q: q.proxy) == 1,
        levels=levels,
        vas=column(lambda q: q.vas if q.levels else math.nan),
    )
