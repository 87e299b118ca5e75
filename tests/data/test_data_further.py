"""The optional tables: what is written reads back, and each mistake is found at its place."""

from __future__ import annotations

import tempfile
from pathlib import Path

import numpy as np
import pytest
from data_further import full_studies, full_study, plain_rows
from data_tables import Mistake, append, assert_one_problem, cell, problems, swap
from hypothesis import HealthCheck, given, settings

from cmvsim.data import Study, check_study, read_study, write_study
from cmvsim.data.consistency import contradictions
from cmvsim.data.schema import DIMENSIONS, TABLES
from cmvsim.valuation import eq5d

PROFILE = settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.too_slow])


@PROFILE
@given(full_studies())
def test_every_table_reads_back_as_the_same_study(study: Study) -> None:
    r = study.replicates - 1
    with tempfile.TemporaryDirectory() as name:
        paths = write_study(study, r, Path(name))
        back = read_study(Path(name))
        assert study.resources is not None
        missing = {"unit_costs"} if study.resources.unit_costs is None else set()
        missing |= set() if study.exposures else {"exposures"}
        assert {path.stem for path in paths} == {table.name for table in TABLES} - missing
    assert plain_rows(back, 0) == plain_rows(study, r)
    assert back.resources is not None
    assert back.resources.year == (study.resources.year if study.resources.unit_costs is not None else None)
    if study.resources.unit_costs is None:
        assert back.resources.unit_costs is None
    else:
        np.testing.assert_array_equal(back.resources.unit_costs, study.resources.unit_costs)


@PROFILE
@given(full_studies())
def test_writing_what_was_read_gives_the_same_bytes(study: Study) -> None:
    with tempfile.TemporaryDirectory() as first, tempfile.TemporaryDirectory() as second:
        paths = write_study(study, 0, Path(first))
        again = write_study(read_study(Path(first)), 0, Path(second))
        assert [path.name for path in paths] == [path.name for path in again]
        for one, other in zip(paths, again, strict=True):
            assert one.read_bytes() == other.read_bytes()


def test_the_full_study_has_no_problem_and_all_tables(tmp_path: Path) -> None:
    assert set(check_study(full_study(tmp_path))) == {table.name for table in TABLES}
    study = read_study(tmp_path)
    assert study.events["crs"].grade is not None
    assert study.events["crs"].grade[0, 0, 0] == 2
    assert study.car_t is not None
    assert (study.car_t.units, study.car_t.lloq) == (("cells/µL", "copies/µg"), (0.5, 25.0))
    assert study.stays is not None
    assert study.stays.icu[0, 0].tolist() == [False, True]


def test_the_answers_are_in_the_order_of_the_value_sets() -> None:
    assert DIMENSIONS == eq5d.DIMENSIONS


def _file(table: str) -> str:
    return f"{table}.csv"


def severe(row: str) -> Mistake:
    """A table of events with one CRS: day, end, grade and first severe day."""
    table = f"patient,event,day,end_day,grade,severe_day\nP1,crs,{row}\n"
    return lambda folder: (folder / "events.csv").write_text(table, encoding="utf-8")


MISTAKES: dict[str, tuple[Mistake, str, str, str]] = {
    "virus misspelt": (
        cell("virome", 2, "virus", "annellovirus"), "virome", "row 2, column virus", "did you mean 'anellovirus'?"
    ),
    "virus load of a missed sample": (
        cell("virome", 3, "load_log10", "2"), "virome", "row 3, column load_log10", "result is missed"
    ),
    "virus sample without a day": (cell("virome", 2, "day", ""), "virome", "row 2, column day", "taken (quantified)"),
    "virus sample after death": (cell("virome", 5, "day", "21"), "virome", "row 5, column day", "after death on 20"),
    "virus sample planned twice": (
        cell("virome", 3, "nominal_day", "0"), "virome", "row 3, column nominal_day", "planned for 0 has a row already (row 2)"
    ),
    "unknown patient of the virome": (
        cell("virome", 4, "patient", "P11"), "virome", "row 4, column patient", "did you mean 'P1'?"
    ),
    "cells below their limit": (cell("car_t", 2, "level", "0.1"), "car_t", "row 2, column level", "below the limit"),
    "two units of a product": (
        append("car_t", "P3,7,7,quantified,40,cells/µL,25"), "car_t", "row 5, column unit", "two units of product 'axi'"
    ),
    "two limits of a product": (
        append("car_t", "P3,7,7,quantified,40,copies/µg,26"), "car_t", "row 5, column lloq", "two limits of product 'axi'"
    ),
    "unit empty": (cell("car_t", 2, "unit", ""), "car_t", "row 2, column unit", "empty only where missed"),
    "cells without a product": (swap("subjects", ",tisa,", ",,"), "car_t", "row 2, column patient", "is not recorded"),
    "gene twice": (
        cell("sequencing", 3, "gene", "UL54"), "sequencing", "row 3, column gene", "has a row already (row 2)"
    ),
    "change of a failed gene": (
        cell("sequencing", 4, "change", "unknown"), "sequencing", "row 4, column change", "sequencing failed"
    ),
    "gene without a change": (cell("sequencing", 2, "change", ""), "sequencing", "row 2, column change", "was sequenced"),
    "level 4 of the youth version": (
        cell("questionnaires", 2, "pain", "4"), "questionnaires", "row 2, column pain", "level 4 of eq_5d_y"
    ),
    "level 6": (cell("questionnaires", 3, "pain", "6"), "questionnaires", "row 3, column pain", "6 is out of range"),
    "level 2.5": (
        cell("questionnaires", 3, "pain", "2.5"), "questionnaires", "row 3, column pain", "2.5 is not a whole number"
    ),
    "answer without a day": (
        cell("questionnaires", 4, "vas", "50"), "questionnaires", "row 4, column vas", "without the day"
    ),
    "instrument misspelt": (
        cell("questionnaires", 3, "instrument", "eq5d5l"),
        "questionnaires",
        "row 3, column instrument",
        "did you mean 'eq_5d_5l'?",
    ),
    "intensive care outside a stay": (
        cell("stays", 3, "stop_day", "16"), "stays", "row 3, column start_day", "lies within no stay"
    ),
    "stay of no days": (cell("stays", 4, "stop_day", "-6"), "stays", "row 4, column stop_day", "last day + 1"),
    "item misspelt": (
        cell("resources", 2, "item", "ward_days"), "resources", "row 2, column item", "did you mean 'ward_day'?"
    ),
    "component unknown": (
        cell("resources", 2, "component", "initial"), "resources", "row 2, column component", "initial_stay"
    ),
    "use backwards": (
        cell("resources", 4, "last_day", "6"), "resources", "row 4, column last_day", "ends on 6 and begins on 7"
    ),
    "quantity negative": (
        cell("resources", 4, "quantity", "-1"), "resources", "row 4, column quantity", "-1 is out of range"
    ),
    "two currencies": (
        cell("unit_costs", 3, "currency", "SEK"), "unit_costs", "row 3, column currency", "EUR (row 2) and SEK (row 3)"
    ),
    "item priced twice": (
        cell("unit_costs", 3, "item", "ward_day"), "unit_costs", "row 3, column item", "item ward_day has a row already"
    ),
    "prices without use": (lambda f: (f / "resources.csv").unlink(), "unit_costs", "", "without the use of resources"),
    "event backwards": (cell("events", 3, "end_day", "2"), "events", "row 3, column end_day", "ends on 2 and begins on 3"),
    "grade 6": (cell("events", 3, "grade", "6"), "events", "row 3, column grade", "from 0 to 5"),
    "severe before it began": (
        severe("3,8,4,2"), "events", "row 2, column severe_day", "severe on 2 and begins on 3"
    ),
    "severe of a mild grade": (
        severe("3,8,2,5"), "events", "row 2, column severe_day", "severe on 5, but its worst grade is 2"
    ),
    "severe after its end": (
        severe("3,8,4,9"), "events", "row 2, column severe_day", "severe on 9, but ends on 8"
    ),
    "certainty misspelt": (
        cell("events", 4, "certainty", "probably"), "events", "row 4, column certainty", "did you mean 'probable'?"
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", MISTAKES)
def test_one_mistake_is_one_problem_at_its_place(name: str, tmp_path: Path) -> None:
    make, table, at, says = MISTAKES[name]
    make(full_study(tmp_path))
    found = problems(tmp_path)
    assert [(problem.where, problem.at) for problem in found] == [(_file(table), at)]
    assert says in f"{found[0].message} ({found[0].allowed})"


def test_a_misspelt_optional_table_is_not_passed_over(tmp_path: Path) -> None:
    assert_one_problem(
        (
            lambda f: (f / "questionaires.csv").write_text("patient\n"),
            "questionnaires.csv",
            "",
            "did you mean 'questionaires.csv'?",
        ),
        tmp_path,
    )


def test_tables_that_disagree_are_told(tmp_path: Path) -> None:
    cell("resources", 3, "item", "ward_day")(full_study(tmp_path))
    cell("exposures", 3, "stop_day", "30")(tmp_path)
    told = contradictions(read_study(tmp_path), 90)
    assert any(text.startswith("stays and resources disagree on intensive care") and "(P1)" in text for text in told)
    assert any(text.startswith("a course goes on after death") and "(P2)" in text for text in told)
