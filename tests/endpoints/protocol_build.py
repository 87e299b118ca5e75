"""Studies made of plain Python patients, and the protocol's rules applied to one patient at a time.

The rules are written down again from the protocol, with loops and without the package's derivations, so that both can be
compared. A day is a whole study day; None means that it did not happen.
"""

from __future__ import annotations

import math
import random
from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import zip_longest
from typing import Any

import numpy as np

from cmvsim.data import Courses, Disposition, EndReason, Occurrences, Result, Samples, Study, Subjects
from cmvsim.data.study import CellSamples, VirusSamples
from cmvsim.endpoints import AnalysisSpec

NAN = math.nan
NONE, NEG, LOW, NUM = Result.NONE, Result.NOT_DETECTED, Result.BELOW_LLOQ, Result.QUANTIFIED
Sample = tuple[float, float, int, float]  # nominal, day, result, load
VIRUSES = ("anellovirus", "pegivirus", "redondovirus")
PRODUCTS = ("first", "second", "third")
LLOQ = (50.0, 4.0, 1.0)


@dataclass
class Patient:
    """One patient; everything that a test does not look at has a harmless default."""

    samples: list[Sample] = field(default_factory=list)
    end: float = 90
    reason: int = EndReason.COMPLETED
    death: float | None = None
    events: dict[str, list[float]] = field(default_factory=dict)
    certainty: list[int] = field(default_factory=list)
    courses: dict[str, list[tuple[float, float]]] = field(default_factory=dict)
    virome: dict[str, list[Sample]] = field(default_factory=dict)
    cells: list[Sample] = field(default_factory=list)
    disease: str = "leukaemia"
    part: int = 1
    product: int = 0


EVENTS = ("relapse", "hct", "new_therapy", "cmv_disease", "bacterial_infection", "fungal_infection")
DISEASES = ("leukaemia", "lymphoma", "myeloma")


def build(batch: Sequence[Sequence[Patient]], *, parts: bool = True, products: bool = True) -> Study:
    """A study per row."""

    def each(value: Any) -> np.ndarray:
        return np.array([[value(p) for p in row] for row in batch])

    def padded(lists: Any, fill: Any = NAN) -> np.ndarray:
        rows = [[list(lists(p)) for p in row] for row in batch]
        width = max(max(len(x) for row in rows for x in row), 1)
        return np.array([[x + [fill] * (width - len(x)) for x in row] for row in rows])

    def columns(of: Any) -> tuple[np.ndarray, ...]:
        made = [padded(lambda p, k=k: [s[k] for s in of(p)], 0 if k == 2 else NAN) for k in range(4)]
        return made[0].astype(float), made[1].astype(float), made[2].astype(np.int8), made[3].astype(float)

    covariates = {}
    if parts:
        covariates["part"] = each(lambda p: p.part).astype(float)
    if products:
        covariates["product"] = each(lambda p: NAN if p.product < 0 else p.product).astype(float)
    cell = columns(lambda p: p.cells)
    certain = padded(lambda p: p.certainty, -1).astype(np.int8)
    disease = padded(lambda p: p.events.get("cmv_disease", [])).astype(float)
    certainty = certain if certain.shape == disease.shape else None
    return Study(
        subjects=Subjects(
            each(lambda p: DISEASES.index(p.disease)).astype(np.int8), DISEASES, DISEASES, covariates, {"product": PRODUCTS}
        ),
        samples=Samples(*columns(lambda p: p.samples), "plasma", 35.0),
        disposition=Disposition(
            each(lambda p: p.end).astype(float),
            each(lambda p: int(p.reason)).astype(np.int8),
            each(lambda p: NAN if p.death is None else p.death).astype(float),
        ),
        events={
            name: Occurrences(
                padded(lambda p, name=name: p.events.get(name, [])).astype(float),
                certainty=certainty if name == "cmv_disease" else None,
            )
            for name in EVENTS
        },
        exposures={
            "valganciclovir": Courses(
                padded(lambda p: [a for a, _ in p.courses.get("valganciclovir", [])]).astype(float),
                padded(lambda p: [b for _, b in p.courses.get("valganciclovir", [])]).astype(float),
            )
        },
        virome={virus: VirusSamples(*columns(lambda p, virus=virus: p.virome.get(virus, []))) for virus in VIRUSES},
        car_t=CellSamples(*cell, units=PRODUCTS, lloq=LLOQ),
    )


def plan(**changes: Any) -> AnalysisSpec:
    return AnalysisSpec.model_validate({"endpoints": ["cmv_reactivation"], **changes})


# -- the rules, one patient at a time ----------------------------------------------------------------------------
def counted_day(nominal: float, day: float, spec: AnalysisSpec) -> float:
    """A closing visit made within its window counts on the last day at the latest."""
    closing = nominal == spec.window and abs(day - spec.window) <= spec.closing_window
    return min(day, spec.window) if closing else day


def is_positive(result: int, load: float, spec: AnalysisSpec) -> bool:
    name = spec.definition.name
    if name == "detected":
        return result in (LOW, NUM)
    if name == "at_least":
        return result == NUM and load >= spec.definition.level
    return result == NUM


def cmv_day(p: Patient, spec: AnalysisSpec) -> float | None:
    """First qualifying day in the window, follow-up not looked at."""
    days = []
    if spec.definition.name == "clinically_significant":
        graded = zip_longest(p.events.get("cmv_disease", []), p.certainty)
        sure = [day for day, certainty in graded if certainty != 0]  # 0: possible
        days = [start for start, _ in p.courses.get("valganciclovir", [])] + sure[:1]
    else:
        days = [counted_day(s[0], s[1], spec) for s in p.samples if is_positive(s[2], s[3], spec)]
    inside = [day for day in days if 0 < day <= spec.window]
    return min(inside, default=None)


def prevalent(p: Patient, spec: AnalysisSpec) -> bool:
    by_detection = spec.definition.name == "detected"
    return any(s[1] <= 0 and (s[2] == NUM or (by_detection and s[2] == LOW)) for s in p.samples)


def follow_up(p: Patient, spec: AnalysisSpec) -> tuple[float, str]:
    """Last day of follow-up and why it ended: 'death', 'hct', 'relapse' or 'censored'."""
    day, why = float(spec.window), "censored"
    if p.end <= spec.window:
        day = p.end
        if p.reason == EndReason.DEATH:
            why = "death"
        elif p.reason == EndReason.HCT and spec.hct == "competing":
            why = "hct"
    relapse = p.events.get("relapse", [])
    if relapse and spec.relapse != "treatment_policy" and relapse[0] <= spec.window:
        last = p.end + 1 if p.reason == EndReason.NEW_THERAPY else p.end
        if relapse[0] <= last:
            day, why = relapse[0], "relapse" if spec.relapse == "competing" else "censored"
    return day, why


CAUSE = {"censored": 0, "event": 1, "death": 2, "hct": 3, "relapse": 4}


# -- patients at random ------------------------------------------------------------------------------------------
def any_patient(r: random.Random) -> Patient:
    """A patient with a bit of everything, days colliding on purpose."""
    reason = r.choice([EndReason.COMPLETED] * 3 + [EndReason.DEATH] * 2 + list(EndReason))
    end = r.choice([r.randint(90, 99), 90]) if reason == EndReason.COMPLETED else r.choice([0, 14, 28, 90, r.randint(0, 120)])
    death = end if reason == EndReason.DEATH else r.choice([None, None, end + r.randint(0, 60)])
    last = min(end, death if death is not None else 999)

    def dated(count: int, low: int = -3) -> list[float]:
        return sorted(float(r.randint(low, int(max(last, low)))) for _ in range(count))

    samples = []
    for nominal in (-5, 0, 7, 14, 21, 28, 42, 60, 90):
        day = nominal if nominal <= 0 else nominal + r.randint(-3, 5)
        result = r.choice([NONE, NEG, NEG, NEG, NEG if nominal <= 0 else LOW, NEG if r.random() < 0.7 else NUM])
        if day <= last and result != NONE:
            samples.append((float(nominal), float(day), int(result), r.choice([35.0, 499.0, 500.0]) if result == NUM else NAN))
    if r.random() < 0.3 and last >= 1:
        day = float(r.randint(1, int(last)))
        samples.append((NAN, day, int(NUM), 800.0))
    virome: dict[str, list[Sample]] = {}
    for virus in VIRUSES:
        virome[virus] = []
        for nominal in (-5, 0, 14, 28, 90):
            day = nominal if nominal <= 0 else nominal + r.randint(-2, 5)
            if day > last or r.random() < 0.25:
                continue
            positive = r.random() < (0.7 if virus == "anellovirus" else 0.3)
            quantified = positive and virus == "anellovirus" and r.random() < 0.9
            load = round(r.uniform(2, 5), 1) if quantified else NAN
            virome[virus].append((float(nominal), float(day), int(NUM if quantified else LOW if positive else NEG), load))
        r.shuffle(virome[virus])
    cells = []
    for nominal in (0, 4, 7, 10, 14, 21, 28):
        day = nominal + r.randint(-1, 1)
        if day <= last and r.random() < 0.8:
            low = r.random() < 0.3
            cells.append((float(nominal), float(day), int(LOW if low else NUM), NAN if low else float(r.randint(1, 12) * 50)))
    diseased = dated(r.choice([0, 0, 1, 2]), 0)
    return Patient(
        samples=samples,
        end=float(end),
        reason=int(reason),
        death=None if death is None else float(death),
        events={
            "relapse": dated(r.choice([0, 0, 1]), 1),
            "hct": [],
            "new_therapy": [],
            "cmv_disease": diseased,
            "bacterial_infection": dated(r.choice([0, 1, 1, 3])),
            "fungal_infection": dated(r.choice([0, 0, 1])),
        },
        certainty=[r.choice([-1, 0, 0, 1, 2]) for _ in diseased],
        courses={"valganciclovir": [(d, d + 14) for d in dated(r.choice([0, 0, 1]), 0)]},
        virome=virome,
        cells=cells,
        disease=r.choice(DISEASES[:2]),
        part=r.choice([0, 1, 1]),
        product=r.choice([0, 0, 1, 2, -1]) if r.random() < 0.5 else r.choice([0, 1]),
    )


def any_batch(seed: int, replicates: int = 2, patients: int = 15) -> list[list[Patient]]:
    r = random.Random(seed)
    return [[any_patient(r) for _ in range(patients)] for _ in range(replicates)]


def any_plan(seed: int) -> AnalysisSpec:
    r = random.Random(seed + 1)
    return plan(
        definition=r.choice(["detected", "quantifiable", "quantifiable", {"at_least": 500}, "clinically_significant"]),
        prevalent=r.choice(["exclude", "exclude", "count"]),
        relapse=r.choice(["treatment_policy", "treatment_policy", "competing", "censor"]),
        hct=r.choice(["competing", "censor"]),
        window=r.choice([90, 90, 60]),
        closing_window=r.choice([0, 3, 7]),
        parts=r.choice(["pooled", "pooled", "prospective"]),
        landmarks=r.choice([(14, 28), (7, 21, 28), (14,)]),
        conversion_rise=r.choice([1.0, 0.5]),
    )
