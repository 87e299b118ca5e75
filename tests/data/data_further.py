"""Random studies with every optional table, and their content row by row, by plain loops."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path

import numpy as np
from data_tables import sound_study, studies
from hypothesis import strategies as st

from cmvsim.core.ledger import Item
from cmvsim.data import (
    CellSamples,
    Occurrences,
    Questionnaires,
    Resources,
    Result,
    Sequencing,
    Stays,
    Study,
    VirusSamples,
)
from cmvsim.data.schema import EVENTS, VIRUSES
from cmvsim.data.study import CERTAINTIES, COMPONENTS, Change

FURTHER = """\
virome
patient,virus,nominal_day,day,result,load_log10
P1,anellovirus,0,0,quantified,3.25
P1,anellovirus,28,,missed,
P1,redondovirus,0,0,below_lloq,
P2,anellovirus,0,-1,not_detected,

car_t
patient,nominal_day,day,result,level,unit,lloq
P1,7,7,quantified,12.5,cells/µL,0.5
P1,14,,missed,,,
P2,7,8,below_lloq,,copies/µg,25

sequencing
patient,day,gene,result,change
P1,10,UL54,sequenced,no_change
P1,10,UL97,sequenced,known_resistance
P2,7,UL97,failed,

questionnaires
patient,nominal_day,day,instrument,proxy,mobility,self_care,usual_activities,pain,anxiety,vas
P1,0,0,eq_5d_y,yes,1,2,3,1,1,80
P2,0,-2,eq_5d_5l,no,5,4,3,2,,70.5
P3,30,,eq_5d_5l,no,,,,,,

stays
patient,start_day,stop_day,unit
P1,-5,15,ward
P1,2,6,icu
P3,-6,,ward

resources
patient,item,component,first_day,last_day,quantity
P1,ward_day,initial_stay,0,14,15
P1,icu_day,initial_stay,2,5,4
P2,cmv_pcr,surveillance,7,7,1

unit_costs
item,unit_cost,currency,year
ward_day,1500,EUR,2025
cmv_pcr,54.5,EUR,2025
"""
TABLES = {part.split("\n", 1)[0]: part.split("\n", 1)[1] + "\n" for part in FURTHER.strip("\n").split("\n\n")}


def full_study(folder: Path) -> Path:
    """The sound study with every optional table."""
    sound_study(folder)
    for name, text in TABLES.items():
        (folder / f"{name}.csv").write_bytes(text.encode())
    (folder / "events.csv").write_bytes(
        b"patient,event,day,end_day,grade,certainty\nP2,relapse,15,,,\nP1,crs,3,8,2,\nP1,fungal_infection,20,,,probable\n"
    )
    return folder


@st.composite
def full_studies(draw: st.DrawFn) -> Study:
    """Draw a batch of studies with all tables; what is in the further ones comes from a drawn seed."""
    study = draw(studies())
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    shape = (study.replicates, study.patients)
    end = study.disposition.end
    width = int(rng.integers(1, 4))
    products = ("axi", "tisa", "nouvel été")[: int(rng.integers(1, 4))]
    product = rng.integers(0, len(products), shape).astype(float)
    subjects = replace(
        study.subjects,
        covariates={**study.subjects.covariates, "product": product},
        labels={**study.subjects.labels, "product": products},
    )
    return replace(
        study,
        subjects=subjects,
        events={name: _events(rng, end, width) for name in rng.choice(EVENTS, int(rng.integers(1, 5)), replace=False)},
        virome={name: _virome(rng, end, width) for name in rng.choice(VIRUSES, int(rng.integers(1, 4)), replace=False)},
        car_t=_car_t(rng, end, width, len(products)),
        sequencing=_sequencing(rng, end, width),
        questionnaires=_questionnaires(rng, end, width),
        stays=_stays(rng, end),
        resources=_resources(rng, shape, end),
    )


def _days(rng: np.random.Generator, end: np.ndarray, width: int, missing: float = 0.3) -> np.ndarray:
    """Whole days from -5 to the end of monitoring, some absent."""
    day = np.floor(rng.random((*end.shape, width)) * (end[..., None] + 6)) - 5
    return np.where(rng.random(day.shape) < missing, np.nan, day)


def _events(rng: np.random.Generator, end: np.ndarray, width: int) -> Occurrences:
    day = np.sort(_days(rng, end, width), axis=-1)
    some = rng.random(3) < 0.7
    last = np.where(rng.random(day.shape) < 0.5, day + rng.integers(0, 9, day.shape), np.nan)
    grade = np.where(rng.random(day.shape) < 0.8, rng.integers(0, 6, day.shape), np.nan)
    sure = rng.integers(-1, len(CERTAINTIES), day.shape).astype(np.int8)
    return Occurrences(day, last if some[0] else None, grade if some[1] else None, sure if some[2] else None)


def _sampled(rng: np.random.Generator, end: np.ndarray, width: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    nominal = np.broadcast_to(7.0 * np.arange(width), (*end.shape, width)).copy()
    day = _days(rng, end, width)
    result = np.where(np.isnan(day), 0, rng.integers(1, 4, day.shape)).astype(np.int8)
    nominal[(rng.random(day.shape) < 0.2) & (result > 0)] = np.nan
    return nominal, day, result


def _virome(rng: np.random.Generator, end: np.ndarray, width: int) -> VirusSamples:
    nominal, day, result = _sampled(rng, end, width)
    load = np.where(result == Result.QUANTIFIED, np.round(rng.uniform(-1, 9, day.shape), 2), np.nan)
    return VirusSamples(nominal, day, result, load)


def _car_t(rng: np.random.Generator, end: np.ndarray, width: int, products: int) -> CellSamples:
    nominal, day, result = _sampled(rng, end, width)
    level = np.where(result == Result.QUANTIFIED, 100 + rng.random(day.shape), np.nan)
    units = ("cells/µL", "copies/µg", "µg, ‰")[:products]
    return CellSamples(nominal, day, result, level, units, tuple(rng.random(products).tolist()))


def _sequencing(rng: np.random.Generator, end: np.ndarray, width: int) -> Sequencing:
    genes = ("UL97", "UL54", "UL56")[: int(rng.integers(1, 4))]
    day = np.sort(_days(rng, end, width), axis=-1)
    day[..., 1:] = np.where(day[..., 1:] == day[..., :-1], np.nan, day[..., 1:])
    day = np.sort(day, axis=-1)
    for place in np.ndindex(*end.shape):  # a day only once
        known = np.unique(day[place][~np.isnan(day[place])])
        day[place] = np.r_[known, np.full(width - known.size, np.nan)]
    change = rng.integers(0, len(Change), (*day.shape, len(genes))).astype(np.int8)
    change[..., 0] = np.maximum(change[..., 0], Change.FAILED)
    change[np.isnan(day)] = Change.NONE
    return Sequencing(day, genes, change)


def _questionnaires(rng: np.random.Generator, end: np.ndarray, width: int) -> Questionnaires:
    day = _days(rng, end, width)
    nominal = np.broadcast_to(30.0 * np.arange(width), day.shape).copy()
    instrument = rng.integers(0, 3, day.shape).astype(np.int8)
    most = np.where(instrument == 1, 4, 6)[..., None]
    levels = np.floor(rng.random((*day.shape, 5)) * most).astype(np.int8)
    levels[np.isnan(day) | (instrument == 0)] = 0
    vas = np.where(np.isnan(day) | (rng.random(day.shape) < 0.2), np.nan, np.round(100 * rng.random(day.shape), 1))
    day = np.where(instrument == 0, np.nan, day)
    return Questionnaires(nominal, day, instrument, (rng.random(day.shape) < 0.3) & (instrument > 0), levels, vas)


def _stays(rng: np.random.Generator, end: np.ndarray) -> Stays:
    start, stop = np.full((*end.shape, 3), np.nan), np.full((*end.shape, 3), np.nan)
    start[..., 0] = -5.0
    stop[..., 0] = np.where(rng.random(end.shape) < 0.5, 20.0, np.nan)
    sick = (rng.random(end.shape) < 0.5) & (end >= 3)
    start[..., 2] = np.where(sick, 3.0, np.nan)
    stop[..., 2] = np.where(sick, 7.0, np.nan)
    icu = np.zeros(start.shape, dtype=bool)
    icu[..., 2] = True
    return Stays(start, stop, icu)


def _resources(rng: np.random.Generator, shape: tuple[int, int], end: np.ndarray) -> Resources:
    size = int(rng.integers(0, 15))
    row = rng.integers(0, shape[0] * shape[1], size)
    first = np.floor(rng.random(size) * (end.reshape(-1)[row] + 1))
    costs = np.where(rng.random(len(Item)) < 0.5, np.round(1000 * rng.random(len(Item)), 2), np.nan)
    costs[0] = 3.5
    return Resources(
        row=row,
        item=rng.integers(0, len(Item), size).astype(np.int8),
        component=rng.integers(0, len(COMPONENTS), size).astype(np.int8),
        first=first,
        last=first + rng.integers(0, 5, size),
        quantity=rng.random(size),
        unit_costs=costs if rng.random() < 0.7 else None,
        currency="EUR",
        year=2025 if rng.random() < 0.5 else None,
    )


def _plain(value: float) -> float | None:
    return None if math.isnan(value) else float(value)


def _key(row: tuple[object, ...]) -> tuple[tuple[bool, str], ...]:
    return tuple((cell is None, f"{cell:020.6f}" if isinstance(cell, float) else str(cell)) for cell in row)


def plain_rows(study: Study, r: int) -> dict[str, list[list[tuple[object, ...]]]]:
    """What each patient has in each further table, in an order of its own; samples missed after the end are not known."""
    found: dict[str, list[list[tuple[object, ...]]]] = {}
    for i in range(study.patients):
        for name, rows in _of_patient(study, r, i).items():
            found.setdefault(name, []).append(sorted(rows, key=_key))
    return found


def _of_patient(study: Study, r: int, i: int) -> dict[str, list[tuple[object, ...]]]:
    assert study.car_t is not None
    product = study.subjects.labels["product"][int(study.subjects.covariates["product"][r, i])]
    code = study.subjects.labels["product"].index(product)
    cells = []
    for row in _samples(study, study.car_t, study.car_t.level, r, i):
        taken = row[2] != Result.NONE
        cells.append((product, *row, *((study.car_t.units[code], study.car_t.lloq[code]) if taken else ())))
    viruses = [(v, *row) for v, s in study.virome.items() for row in _samples(study, s, s.load, r, i)]
    return {
        "events": _event_rows(study, r, i),
        "virome": viruses,
        "car_t": cells,
        "sequencing": _gene_rows(study, r, i),
        "eq5d": _answer_rows(study, r, i),
        "stays": _stay_rows(study, r, i),
        "resources": _use_rows(study, r, i),
    }


def _event_rows(study: Study, r: int, i: int) -> list[tuple[object, ...]]:
    rows: list[tuple[object, ...]] = []
    for name, o in study.events.items():
        for k in range(o.day.shape[2]):
            if not math.isnan(o.day[r, i, k]):
                more = (_plain(a[r, i, k]) if a is not None else None for a in (o.end, o.grade))
                sure = int(o.certainty[r, i, k]) if o.certainty is not None else -1
                rows.append((name, float(o.day[r, i, k]), *more, sure))
    return rows


def _gene_rows(study: Study, r: int, i: int) -> list[tuple[object, ...]]:
    q = study.sequencing
    assert q is not None
    return [
        (float(q.day[r, i, k]), gene, int(change))
        for k in range(q.day.shape[2])
        for gene, change in zip(q.genes, q.change[r, i, k], strict=True)
        if change != Change.NONE
    ]


def _answer_rows(study: Study, r: int, i: int) -> list[tuple[object, ...]]:
    e = study.questionnaires
    assert e is not None
    rows: list[tuple[object, ...]] = []
    for k in np.flatnonzero(e.instrument[r, i]):
        answers = tuple(int(level) for level in e.levels[r, i, k])
        nominal, day, vas = _plain(e.nominal[r, i, k]), _plain(e.day[r, i, k]), _plain(e.vas[r, i, k])
        rows.append((nominal, day, int(e.instrument[r, i, k]), bool(e.proxy[r, i, k]), *answers, vas))
    return rows


def _stay_rows(study: Study, r: int, i: int) -> list[tuple[object, ...]]:
    h = study.stays
    assert h is not None
    given = [k for k in range(h.start.shape[2]) if not math.isnan(h.start[r, i, k])]
    return [(float(h.start[r, i, k]), _plain(h.stop[r, i, k]), bool(h.icu[r, i, k])) for k in given]


def _use_rows(study: Study, r: int, i: int) -> list[tuple[object, ...]]:
    u = study.resources
    assert u is not None
    mine = np.flatnonzero(u.row == r * study.patients + i)
    return [(int(u.item[k]), int(u.component[k]), float(u.first[k]), float(u.last[k]), float(u.quantity[k])) for k in mine]


def _samples(
    study: Study, s: VirusSamples | CellSamples, value: np.ndarray, r: int, i: int
) -> list[tuple[float | None, float | None, int, float | None]]:
    rows = []
    for k in range(s.result.shape[2]):
        nominal, day, result = _plain(s.nominal[r, i, k]), _plain(s.day[r, i, k]), int(s.result[r, i, k])
        if result == Result.NONE:
            if nominal is None or nominal > study.disposition.end[r, i]:
                continue
            day = None
        rows.append((nominal, day, result, _plain(value[r, i, k]) if result == Result.QUANTIFIED else None))
    return rows
