"""Patients as plain diaries, for derivations written twice: on arrays by the package, day by day by the tests."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from random import Random
from typing import Any

import numpy as np

from cmvsim.core.ledger import Item
from cmvsim.data.study import (
    COMPONENTS,
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
)

NAN = math.nan
GENES = ("UL54", "UL97", "UL56")
EVENTS = ("relapse", "cmv_disease", "crs", "icans", "neutropenia", "bacterial_infection", "fungal_infection")
DRUGS = (
    "corticosteroids",
    "tocilizumab",
    "anakinra",
    "aciclovir",
    "valaciclovir",
    "ganciclovir",
    "valganciclovir",
    "foscarnet",
    "cidofovir",
    "maribavir",
)
PRODUCTS = ("axicabtagene", "tisagenlecleucel")


@dataclass
class Diary:
    """One patient; days of spells are [start, stop), stop NaN where it goes on."""

    stratum: int = 0
    age: float = 50.0
    male: float = 0.0
    prior: float = 0.0
    product: float = 0.0
    samples: list[tuple[float, float, Result, float]] = field(default_factory=list)
    end: float = 90.0
    reason: EndReason = EndReason.COMPLETED
    death: float = NAN
    events: dict[str, list[tuple[float, float]]] = field(default_factory=dict)
    courses: dict[str, list[tuple[float, float]]] = field(default_factory=dict)
    stays: list[tuple[float, float, bool]] = field(default_factory=list)
    sequenced: list[tuple[float, tuple[Change, Change, Change]]] = field(default_factory=list)
    answers: list[tuple[float, float, int, tuple[int, ...], float]] = field(default_factory=list)
    uses: list[tuple[Item, str, float, float, float]] = field(default_factory=list)


def _table(rows: Sequence[Sequence[Sequence[Any]]], column: int, fill: Any, dtype: Any) -> np.ndarray:
    """Column of the rows of patients (replicates x patients x rows), padded."""
    widest = max((len(mine) for part in rows for mine in part), default=0)
    return np.array(
        [[[row[column] for row in mine] + [fill] * (widest - len(mine)) for mine in part] for part in rows], dtype=dtype
    ).reshape(len(rows), len(rows[0]), widest)


def study_of(replicates: Sequence[Sequence[Diary]], unit_costs: np.ndarray | None = None) -> Study:
    """The study of diaries, replicates x patients."""

    def each(what: str, dtype: Any = np.float64) -> np.ndarray:
        return np.array([[getattr(d, what) for d in part] for part in replicates], dtype=dtype)

    def lists(pick: Any) -> list[list[Any]]:
        return [[pick(d) for d in part] for part in replicates]

    samples = lists(lambda d: d.samples)
    found = {name: lists(lambda d, name=name: sorted(d.events.get(name, []))) for name in EVENTS}
    given = {name: lists(lambda d, name=name: sorted(d.courses.get(name, []))) for name in DRUGS}
    stays, sent = lists(lambda d: sorted(d.stays)), lists(lambda d: sorted(d.sequenced))
    answers = lists(lambda d: d.answers)
    uses = [
        (r * len(part) + n, item.code, COMPONENTS.index(component), first, last, quantity)
        for r, part in enumerate(replicates)
        for n, d in enumerate(part)
        for item, component, first, last, quantity in d.uses
    ]
    columns = [np.array(column) for column in zip(*uses, strict=True)] or [np.zeros(0)] * 6
    levels = [_table([[[(a[3][k],) for a in mine] for mine in part] for part in answers], 0, 0, np.int8) for k in range(5)]
    return Study(
        subjects=Subjects(
            each("stratum", np.int8),
            ("B-ALL", "DLBCL"),
            ("leukaemia", "lymphoma"),
            covariates={
                "age": each("age"),
                "sex": each("male"),
                "prior_allogeneic_hct": each("prior"),
                "product": each("product"),
            },
            labels={"product": PRODUCTS},
        ),
        samples=Samples(
            _table(samples, 0, NAN, np.float64),
            _table(samples, 1, NAN, np.float64),
            _table(samples, 2, Result.NONE, np.int8),
            _table(samples, 3, NAN, np.float64),
            "plasma",
            35.0,
        ),
        disposition=Disposition(each("end"), each("reason", np.int8), each("death")),
        events={
            name: Occurrences(_table(rows, 0, NAN, np.float64), grade=_table(rows, 1, NAN, np.float64))
            for name, rows in found.items()
        },
        exposures={
            name: Courses(_table(rows, 0, NAN, np.float64), _table(rows, 1, NAN, np.float64)) for name, rows in given.items()
        },
        stays=Stays(_table(stays, 0, NAN, np.float64), _table(stays, 1, NAN, np.float64), _table(stays, 2, False, np.bool_)),
        sequencing=Sequencing(
            _table(sent, 0, NAN, np.float64),
            GENES,
            np.stack(
                [_table([[[(s[1][g],) for s in mine] for mine in part] for part in sent], 0, 0, np.int8) for g in range(3)],
                axis=-1,
            ),
        ),
        questionnaires=Questionnaires(
            nominal=_table(answers, 0, NAN, np.float64),
            day=_table(answers, 1, NAN, np.float64),
            instrument=_table(answers, 2, 0, np.int8),
            proxy=np.zeros(levels[0].shape, dtype=bool),
            levels=np.stack(levels, axis=-1),
            vas=_table(answers, 4, NAN, np.float64),
        ),
        resources=Resources(
            row=columns[0].astype(np.int64),
            item=columns[1].astype(np.int8),
            component=columns[2].astype(np.int8),
            first=columns[3].astype(np.float64),
            last=columns[4].astype(np.float64),
            quantity=columns[5].astype(np.float64),
            unit_costs=unit_costs,
        ),
    )


def first_quantified(d: Diary, window: int = 90, closing: int = 7) -> float:
    """Day of the first quantified sample that counts, under monitoring; +inf if none."""
    days = []
    for nominal, day, result, _ in d.samples:
        if result is not Result.QUANTIFIED or day <= 0:
            continue
        counted = min(day, window) if nominal == window and abs(day - window) <= closing else day
        if counted <= window and counted <= d.end:
            days.append(counted)
    return min(days, default=math.inf)


def prevalent(d: Diary) -> bool:
    """Quantified at or before infusion."""
    return any(result is Result.QUANTIFIED and day <= 0 for _, day, result, _ in d.samples)


def first_treated(d: Diary, window: int = 90) -> float:
    """Day of the first treatment of CMV, or of CMV disease, under monitoring; +inf if none."""
    drugs = ("valganciclovir", "ganciclovir", "foscarnet", "maribavir")
    days = [start for drug in drugs for start, _ in d.courses.get(drug, []) if start > 0]
    days += [day for day, _ in d.events.get("cmv_disease", [])[:1] if day > 0]
    first = min(days, default=math.inf)
    return first if first <= min(window, d.end) else math.inf


def any_diary(random: Random) -> Diary:
    """A patient to whom anything may happen."""

    def spell(low: int = -5, longest: int = 30) -> tuple[float, float]:
        start = float(random.randint(low, 95))
        return start, NAN if random.random() < 0.2 else start + random.randint(1, longest)

    def some(most: int) -> range:
        return range(random.choice([0, 0, 1, random.randint(0, most)]))

    d = Diary(stratum=random.randint(0, 1), age=float(random.randint(1, 80)), prior=float(random.random() < 0.3))
    d.male, d.product = float(random.random() < 0.5), float(random.randint(0, 1))
    d.reason = random.choice(list(EndReason))
    d.end = float(random.choice([90, 93, 85] if d.reason is EndReason.COMPLETED else [random.randint(0, 92)]))
    if d.reason is EndReason.DEATH:
        d.death = d.end
    elif random.random() < 0.2:
        d.death = d.end + random.randint(0, 40)
    for _ in some(4):
        day = float(random.choice([0, -3, 90, 91, 93, 98, *range(1, 90, 7)]))
        result = random.choice([Result.NOT_DETECTED, Result.BELOW_LLOQ, Result.QUANTIFIED])
        nominal = random.choice([NAN, 90.0 if day > 80 else day])
        d.samples.append((nominal, day, result, 120.0 if result is Result.QUANTIFIED else NAN))
    for name in EVENTS:
        d.events[name] = sorted((float(random.randint(0, 95)), float(random.randint(1, 4))) for _ in some(2))
    for name in DRUGS:
        d.courses[name] = [spell() for _ in some(2)] if random.random() < 0.5 else []
    for _ in some(3):
        start, stop = spell()
        d.stays.append((start, stop, random.random() < 0.3))
    for _ in some(3):
        genes = tuple(random.choice(list(Change)[1:]) for _ in GENES)
        d.sequenced.append((float(random.choice([0, 5, 20, 40, 90, 93, 99])), genes))  # type: ignore[arg-type]
    _ask(d, random)
    for _ in some(6):
        first = float(random.randint(-10, 95))
        last = first + random.choice([0, 0, random.randint(0, 20)])
        d.uses.append((random.choice(list(Item)), random.choice(COMPONENTS), first, last, random.randint(1, 80) / 8))
    return d


def _ask(d: Diary, random: Random) -> None:
    """Questionnaires of one instrument, some missed."""
    instrument = random.choice([0, 1, 2, 2])
    for nominal in (-5.0, 28.0, 60.0, 90.0):
        if instrument and nominal < d.death and random.random() < 0.9:
            given = random.random() < 0.8
            highest = 3 if instrument == 1 else 5
            levels = tuple(random.randint(1, highest) if random.random() < 0.97 else 0 for _ in range(5))
            d.answers.append(
                (
                    nominal,
                    nominal + random.randint(0, 3) if given else NAN,
                    instrument,
                    levels if given else (0,) * 5,
                    float(random.randint(0, 100)) if given else NAN,
                )
            )
