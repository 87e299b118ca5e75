"""What the ward writes down: toxicity, infections, stays, resource use; until the study knows no more of a patient."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import replace

import numpy as np

from cmvsim.core.ledger import Item
from cmvsim.data.study import COMPONENTS, Occurrences, Resources, Stays
from cmvsim.simulation.pathway.facts import Window
from cmvsim.simulation.pathway.recorded.case import Case, padded
from cmvsim.simulation.pathway.recorded.ending import Ending, first_day
from cmvsim.simulation.pathway.records import InfectionRecord, LedgerRow, PatientHistory

SINGLE = ("relapse", "new_therapy", "hct")
GRADE_OF_SEVERE, GRADE_OF_OTHERS = 3.0, 2.0
"""In which infections are written down."""
HOSPITAL = (Item.WARD_DAY, Item.ICU_DAY)
WITHOUT_CMV = ("_planned", "_prolonged", "_extra")
"""Ends of names of components that the study does not have: it cannot tell what would have been without CMV."""

Lasting = tuple[Window, float]
"""A window with its grade, NaN where it is not graded."""


def events(case: Case) -> dict[str, Occurrences]:
    """All dated events."""
    found = {name: _once(case, [getattr(s.follow_up, name) for s in case.stories]) for name in SINGLE}
    found["cmv_disease"] = _once(case, [s.disease for s in case.stories])
    found["kidney_injury"] = _once(case, [s.treatment.kidney_injury for s in case.stories])
    toxicity = case.background.toxicity
    for name, windows, grades in (
        ("crs", toxicity.crs, toxicity.crs_grade),
        ("icans", toxicity.icans, toxicity.icans_grade),
    ):
        of_each = zip(case.windows(windows), case.rows, strict=True)
        found[name] = _lasting(case, [[(window, float(grades[row]))] for window, row in of_each])
    marrow = [[(window, math.nan)] for window in case.windows(toxicity.neutropenia)]
    found["neutropenia"] = replace(_lasting(case, marrow), grade=None)
    found["bacterial_infection"] = _lasting(case, [[_infection(i) for i in s.bacterial] for s in case.stories])
    found["fungal_infection"] = _lasting(case, [[] if s.fungal is None else [_infection(s.fungal)] for s in case.stories])
    return found


def _once(case: Case, times: Sequence[float]) -> Occurrences:
    """What happens once at most."""
    return Occurrences.once(np.array([[ending.day_of(time) for time, ending in zip(times, case.endings, strict=True)]]))


def _infection(infection: InfectionRecord) -> Lasting:
    return Window(infection.start, infection.stop), GRADE_OF_SEVERE if infection.severe else GRADE_OF_OTHERS


def _lasting(case: Case, windows: Sequence[Sequence[Lasting]]) -> Occurrences:
    """First and last day with the grade; no last day where it outlasts what is known."""
    begun = [[w for w in several if ending.knows(w[0].start)] for several, ending in zip(windows, case.endings, strict=True)]
    ended = zip(begun, case.endings, strict=True)
    return Occurrences(
        day=padded([[math.ceil(window.start) for window, _ in several] for several in begun]),
        end=padded([[ending.day_of(window.stop) for window, _ in several] for several, ending in ended]),
        grade=padded([[grade for _, grade in several] for several in begun]),
    )


def stays(case: Case) -> Stays:
    """Stays in hospital, and in intensive care within them."""
    tables = [_stays_of(story, ending) for story, ending in zip(case.stories, case.endings, strict=True)]
    start, stop, icu = (padded([[row[column] for row in rows] for rows in tables]) for column in range(3))
    return Stays(start=start, stop=stop, icu=icu == 1)


def _stays_of(story: PatientHistory, ending: Ending) -> list[tuple[float, float, float]]:
    """First day, last day + 1 (NaN: not known to be over), and whether in intensive care, in order of time."""
    both = [(stay, 0.0) for stay in story.stays.hospital] + [(stay, 1.0) for stay in story.stays.icu]
    known = sorted((pair for pair in both if pair[0].start < ending.known), key=lambda pair: (pair[0].start, pair[1]))
    return [(float(first_day(stay)), ending.day_of(stay.stop) + 1, icu) for stay, icu in known]


def resources(case: Case) -> Resources:
    """Dated resource use."""
    used = [
        (i, row)
        for i, (story, ending) in enumerate(zip(case.stories, case.endings, strict=True))
        for row in _known_use(story, ending)
    ]
    used = [(i, row) for i, row in used if _quantity(row) > 0]
    items = tuple(item.value for item in Item)
    return Resources(
        row=np.array([i for i, _ in used], dtype=np.int64),
        item=np.array([items.index(row.item) for _, row in used], dtype=np.int8),
        component=np.array([COMPONENTS.index(row.component) for _, row in used], dtype=np.int8),
        first=np.array([_first_of(row) for _, row in used], dtype=np.float64),
        last=np.array([math.ceil(row.stop) for _, row in used], dtype=np.float64),
        quantity=np.array([_quantity(row) for _, row in used], dtype=np.float64),
    )


def _known_use(story: PatientHistory, ending: Ending) -> Iterator[LedgerRow]:
    """Rows by the components of the study, spans cut at what it knows; days in hospital that touch are one row."""
    until = ending.known
    known = [
        replace(row, component=_called(row.component), stop=min(row.stop, until))
        for row in story.ledger
        if (row.start < until if row.start < row.stop else row.start <= until)
    ]
    in_hospital = sorted(row for row in known if row.item in HOSPITAL)
    last: LedgerRow | None = None
    for row in in_hospital:
        if last is not None and (last.item, last.component, last.stop) == (row.item, row.component, row.start):
            last = replace(last, stop=row.stop)
            continue
        if last is not None:
            yield last
        last = row
    if last is not None:
        yield last
    yield from (row for row in known if row.item not in HOSPITAL)


def _called(component: str) -> str:
    """Its name in the study."""
    return next((component.removesuffix(end) for end in WITHOUT_CMV if component.endswith(end)), component)


def _first_of(row: LedgerRow) -> int:
    """First day of a span; the day that contains an occasion."""
    return first_day(Window(row.start, row.stop)) if row.start < row.stop else math.ceil(row.start)


def _quantity(row: LedgerRow) -> float:
    """To three decimals."""
    return round(row.rate * (row.stop - row.start) if row.start < row.stop else row.rate, 3)
