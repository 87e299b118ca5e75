"""A small sound study as text, mistakes to make in it, and random studies as arrays."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from hypothesis import strategies as st

from cmvsim.core.errors import InputError, Problem
from cmvsim.data import Courses, Disposition, EndReason, Occurrences, Result, Samples, Study, Subjects, read_study
from cmvsim.data.schema import DRUGS, EVENTS

SOUND = {
    "subjects": """\
patient,stratum,disease,part,site,product,age,sex,prior_allogeneic_hct
P1,B-ALL,leukaemia,retrospective,Göteborg,tisa,12,female,no
P2,DLBCL,lymphoma,prospective,Umeå,axi,61.5,male,yes
P3,DLBCL,lymphoma,prospective,Umeå,axi,,male,
""",
    "samples": """\
patient,nominal_day,day,matrix,result,load_iu_ml,lloq_iu_ml,reason
P1,0,0,plasma,not_detected,,137,protocol
P1,7,8,plasma,quantified,1230,137,protocol
P1,14,,plasma,missed,,137,protocol
P1,,10,plasma,below_lloq,,137,clinical
P2,0,-1,plasma,not_detected,,137,protocol
P2,7,7,plasma,quantified,250,137,protocol
P3,0,0,plasma,not_detected,,137,protocol
""",
    "exposures": """\
patient,drug,start_day,stop_day
P1,corticosteroids,3,9
P2,valganciclovir,12,
""",
    "events": """\
patient,event,day
P2,relapse,15
P1,cmv_disease,20
""",
    "disposition": """\
patient,end_day,reason,death_day
P1,90,completed,
P2,20,death,20
P3,30,lost,45
""",
}

Mistake = Callable[[Path], object]
OneMistake = tuple[Mistake, str, str, str]
"""The mistake, the file and the place in it, and what the problem must say (message or what is allowed)."""

S, D, E, X, P = "samples.csv", "disposition.csv", "events.csv", "exposures.csv", "subjects.csv"


def problems(folder: Path) -> tuple[Problem, ...]:
    with pytest.raises(InputError) as caught:
        read_study(folder)
    return caught.value.problems


def assert_one_problem(mistake: OneMistake, folder: Path) -> None:
    """Make one mistake in the sound study: one problem, at its place, and the files stay as they are."""
    make, where, at, says = mistake
    make(sound_study(folder))
    before = {path: path.read_bytes() for path in folder.iterdir() if path.is_file()}
    found = problems(folder)
    assert [(problem.where, problem.at) for problem in found] == [(where, at)]
    assert says in f"{found[0].message} ({found[0].allowed})"
    assert found[0].allowed
    assert {path: path.read_bytes() for path in folder.iterdir() if path.is_file()} == before


def sound_study(folder: Path) -> Path:
    """Write the sound study."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, text in SOUND.items():
        (folder / f"{name}.csv").write_bytes(text.encode())
    return folder


def cell(table: str, row: int, column: str, value: str) -> Mistake:
    """Put a value into a cell; rows as a spreadsheet counts them."""

    def make(folder: Path) -> None:
        path = folder / f"{table}.csv"
        lines = [line.split(",") for line in path.read_text(encoding="utf-8").splitlines()]
        place = lines[0].index(column)
        assert lines[row - 1][place] != value
        lines[row - 1][place] = value
        path.write_text("".join(",".join(line) + "\n" for line in lines), encoding="utf-8")

    return make


def swap(table: str, old: str, new: str) -> Mistake:
    """Replace a text that the file holds."""

    def make(folder: Path) -> None:
        path = folder / f"{table}.csv"
        text = path.read_text(encoding="utf-8")
        assert old in text
        path.write_text(text.replace(old, new), encoding="utf-8")

    return make


def append(table: str, line: str) -> Mistake:
    """Add a row."""

    def make(folder: Path) -> None:
        path = folder / f"{table}.csv"
        path.write_text(path.read_text(encoding="utf-8") + line + "\n", encoding="utf-8")

    return make


def content(table: str, data: bytes) -> Mistake:
    """Replace the file."""

    def make(folder: Path) -> None:
        (folder / f"{table}.csv").write_bytes(data)

    return make


NAMES = st.text(st.characters(codec="utf-8", exclude_categories=["Cc", "Cs", "Zs", "Zl", "Zp"]), min_size=1, max_size=6).filter(
    lambda text: text == text.strip() and text.lower() not in {"na", "n/a", "nan", "null", "none", "."}
)
LOADS = st.integers(100, 999).flatmap(lambda digits: st.integers(0, 6).map(lambda power: float(digits * 10**power)))
SMALL_LOADS = st.integers(100, 999).map(lambda digits: digits / 100)


@st.composite
def studies(draw: st.DrawFn) -> Study:
    """Draw a batch of small studies that could have been recorded: nothing is dated after a death."""
    replicates, patients, visits = draw(st.integers(1, 3)), draw(st.integers(1, 5)), draw(st.integers(1, 6))
    shape = (replicates, patients, visits)
    lloq = draw(st.sampled_from([0.1, 137.0, 34.5]))
    nominal, day, load = (np.full(shape, np.nan) for _ in range(3))
    result = np.zeros(shape, dtype=np.int8)
    end, death = np.empty(shape[:2]), np.full(shape[:2], np.nan)
    reason = np.zeros(shape[:2], dtype=np.int8)
    for r, i in np.ndindex(*shape[:2]):
        end[r, i] = draw(st.integers(0, 100))
        reason[r, i] = draw(st.sampled_from(list(EndReason)))
        if reason[r, i] == EndReason.DEATH:
            death[r, i] = end[r, i]
        elif draw(st.booleans()):
            death[r, i] = end[r, i] + draw(st.integers(0, 50))
        planned = draw(st.lists(st.integers(-10, 110), min_size=visits, max_size=visits, unique=True))
        for v in range(visits):
            kind = draw(st.sampled_from(["planned", "planned", "missed", "clinical", "padding"]))
            if (i, v) == (0, 0):
                kind = "planned"  # a study without any sample is refused, on purpose
            if kind in ("planned", "missed"):
                nominal[r, i, v] = planned[v]
            if kind in ("planned", "clinical"):
                day[r, i, v] = draw(st.integers(-12, int(end[r, i])))
                result[r, i, v] = draw(st.sampled_from([1, 2, 3]))
            if result[r, i, v] == Result.QUANTIFIED:
                load[r, i, v] = lloq + draw(LOADS | SMALL_LOADS)
    return Study(
        subjects=draw(_subjects(replicates, patients)),
        samples=Samples(nominal, day, result, load, draw(st.sampled_from(["plasma", "whole_blood"])), lloq),
        disposition=Disposition(end, reason, death),
        events=draw(_events(end)),
        exposures=draw(_exposures(end)),
    )


@st.composite
def _subjects(draw: st.DrawFn, replicates: int, patients: int) -> Subjects:
    strata = tuple(draw(st.lists(NAMES, min_size=1, max_size=3, unique=True)))
    sites = tuple(draw(st.lists(NAMES, min_size=1, max_size=3, unique=True)))

    def codes(count: int, missing: bool) -> np.ndarray:
        code = st.integers(0, count - 1).map(float)
        code = code | st.just(np.nan) if missing else code
        size = replicates * patients
        return np.array(draw(st.lists(code, min_size=size, max_size=size))).reshape(replicates, patients)

    covariates = {
        "site": codes(len(sites), missing=True),
        "sex": codes(2, missing=True),
        "age": codes(90, missing=True) / 7,
    }
    kept = draw(st.sets(st.sampled_from(sorted(covariates))))
    return Subjects(
        stratum=codes(len(strata), missing=False).astype(np.int8),
        strata=strata,
        diseases=tuple(draw(st.sampled_from(["leukaemia", "lymphoma"])) for _ in strata),
        covariates={name: covariates[name] for name in sorted(kept)},
        labels={"site": sites},
    )


@st.composite
def _events(draw: st.DrawFn, end: np.ndarray) -> dict[str, Occurrences]:
    events = {}
    for name in draw(st.lists(st.sampled_from(EVENTS), unique=True)):
        events[name] = Occurrences.once(np.array([[draw(_day_or_none(last)) for last in row] for row in end]))
    return events


def _day_or_none(last: float) -> st.SearchStrategy[float]:
    return st.just(np.nan) | st.integers(-5, int(last)).map(float)


@st.composite
def _exposures(draw: st.DrawFn, end: np.ndarray) -> dict[str, Courses]:
    exposures = {}
    for name in draw(st.lists(st.sampled_from(DRUGS), unique=True, max_size=3)):
        start, stop = np.full((*end.shape, 2), np.nan), np.full((*end.shape, 2), np.nan)
        for place in np.ndindex(*start.shape):
            start[place] = draw(_day_or_none(end[place[:2]]))
            stop[place] = draw(st.just(np.nan) | st.integers(1, 30).map(lambda days, s=start[place]: s + days))
        exposures[name] = Courses(start, stop)
    return exposures
