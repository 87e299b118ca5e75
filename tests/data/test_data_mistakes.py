"""One mistake in a cell, a row or between tables: it is found, at its place, and nothing else is."""

from __future__ import annotations

from pathlib import Path

import pytest
from data_tables import (
    SOUND,
    D,
    E,
    OneMistake,
    P,
    S,
    X,
    append,
    assert_one_problem,
    cell,
    content,
    problems,
    sound_study,
    swap,
)

from cmvsim.data import check_study, read_study

ONE_MISTAKE: dict[str, OneMistake] = {
    # cells
    "category misspelt": (
        cell("samples", 3, "result", "quantifed"),
        S,
        "row 3, column result",
        "did you mean 'quantified'?",
    ),
    "category in capitals": (
        cell("samples", 2, "matrix", "PLASMA"),
        S,
        "row 2, column matrix",
        "did you mean 'plasma'?",
    ),
    "category unknown": (cell("subjects", 2, "sex", "x"), P, "row 2, column sex", "allowed: female, male"),
    "disease misspelt": (
        cell("subjects", 2, "disease", "leukemia"),
        P,
        "row 2, column disease",
        "did you mean 'leukaemia'?",
    ),
    "drug misspelt": (
        cell("exposures", 2, "drug", "corticosteroid"),
        X,
        "row 2, column drug",
        "'corticosteroids'?",
    ),
    "event unknown": (cell("events", 2, "event", "progression"), E, "row 2, column event", "cmv_disease"),
    "end reason unknown": (cell("disposition", 4, "reason", "moved"), D, "row 4, column reason", "withdrawn"),
    "day no number": (
        cell("samples", 3, "day", "eight"),
        S,
        "row 3, column day",
        "'eight' is not a whole day",
    ),
    "day not whole": (cell("samples", 3, "day", "8.5"), S, "row 3, column day", "8.5 is not a whole day"),
    "day in other digits": (cell("samples", 3, "day", "٨"), S, "row 3, column day", "'٨' is not a whole day"),
    "day a date": (
        cell("samples", 3, "day", "2024-03-08"),
        S,
        "row 3, column day",
        "days count from infusion",
    ),
    "day absurd": (cell("samples", 3, "day", "3651"), S, "row 3, column day", "3651 is out of range"),
    "day absurdly early": (cell("events", 3, "day", "-3651"), E, "row 3, column day", "from -3650 to 3650"),
    "day NA": (cell("samples", 4, "day", "NA"), S, "row 4, column day", "leave the cell empty: missed"),
    "day of a required cell empty": (
        cell("events", 2, "day", ""),
        E,
        "row 2, column day",
        "the cell is empty",
    ),
    "load negative": (
        cell("samples", 3, "load_iu_ml", "-1230"),
        S,
        "row 3, column load_iu_ml",
        "-1230 is not above 0",
    ),
    "load zero": (cell("samples", 3, "load_iu_ml", "0"), S, "row 3, column load_iu_ml", "0 is not above 0"),
    "load text": (
        cell("samples", 3, "load_iu_ml", "<137"),
        S,
        "row 3, column load_iu_ml",
        "'<137' is not a number",
    ),
    "load underscore": (
        cell("samples", 3, "load_iu_ml", "1_230"),
        S,
        "row 3, column load_iu_ml",
        "'1_230' is not",
    ),
    "load infinite": (
        cell("samples", 3, "load_iu_ml", "1e999"),
        S,
        "row 3, column load_iu_ml",
        "'1e999' is not",
    ),
    "load with a comma": (
        cell("samples", 3, "load_iu_ml", '"1230,5"'),
        S,
        "row 3, column load_iu_ml",
        "decimal point",
    ),
    "lloq zero": (cell("samples", 3, "lloq_iu_ml", "0"), S, "row 3, column lloq_iu_ml", "0 is not above 0"),
    "age out of range": (cell("subjects", 2, "age", "161"), P, "row 2, column age", "161 is out of range"),
    "site NA": (cell("subjects", 2, "site", "NA"), P, "row 2, column site", "leave the cell empty"),
    "patient empty": (cell("samples", 5, "patient", ""), S, "row 5, column patient", "the cell is empty"),
    # rows
    "day of a missed sample": (
        cell("samples", 4, "day", "14"),
        S,
        "row 4, column day",
        "a day (14) is given",
    ),
    "day of a sample empty": (cell("samples", 3, "day", ""), S, "row 3, column day", "taken (quantified)"),
    "missed sample without plan": (
        cell("samples", 4, "nominal_day", ""),
        S,
        "row 4, column nominal_day",
        "missed sample",
    ),
    "protocol sample without plan": (
        cell("samples", 5, "reason", "protocol"),
        S,
        "row 5, column nominal_day",
        "protocol sample",
    ),
    "clinical sample with plan": (
        cell("samples", 5, "nominal_day", "9"),
        S,
        "row 5, column nominal_day",
        "(9) is given",
    ),
    "load absent": (cell("samples", 3, "load_iu_ml", ""), S, "row 3, column load_iu_ml", "without its load"),
    "load of a negative": (
        cell("samples", 2, "load_iu_ml", "500"),
        S,
        "row 2, column load_iu_ml",
        "result is not_detected",
    ),
    "load below LLOQ": (
        cell("samples", 3, "load_iu_ml", "136"),
        S,
        "row 3, column load_iu_ml",
        "136 is below the limit of quantification 137",
    ),
    "matrix empty": (cell("samples", 3, "matrix", ""), S, "row 3, column matrix", "empty only where missed"),
    "lloq empty": (
        cell("samples", 3, "lloq_iu_ml", ""),
        S,
        "row 3, column lloq_iu_ml",
        "empty only where missed",
    ),
    "stop before start": (
        cell("exposures", 2, "stop_day", "2"),
        X,
        "row 2, column stop_day",
        "stops on 2 and starts on 3",
    ),
    "course of no days": (cell("exposures", 2, "stop_day", "3"), X, "row 2, column stop_day", "last day + 1"),
    "end after death": (
        cell("disposition", 4, "end_day", "46"),
        D,
        "row 4, column death_day",
        "death on 45, but monitoring went on to 46",
    ),
    "death without a day": (
        cell("disposition", 4, "reason", "death"),
        D,
        "row 4, column death_day",
        "ended by death on 30",
    ),
    "death reason, no day": (
        cell("disposition", 2, "reason", "death"),
        D,
        "row 2, column death_day",
        "without a day of death",
    ),
    # between rows and tables
    "subject twice": (
        append("subjects", "P1,B-ALL,leukaemia,,,,,,"),
        P,
        "row 5, column patient",
        "'P1' has a row already (row 2)",
    ),
    "disposition twice": (
        append("disposition", "P3,30,lost,"),
        D,
        "row 5, column patient",
        "'P3' has a row already (row 4)",
    ),
    "no disposition": (
        swap("disposition", "P1,90,completed,\n", ""),
        D,
        "column patient",
        "'P1' (subjects, row 2) has no row",
    ),
    "stratum of two diseases": (
        cell("subjects", 4, "disease", "leukaemia"),
        P,
        "row 4, column disease",
        "lymphoma in row 3",
    ),
    "planned sample twice": (
        cell("samples", 3, "nominal_day", "0"),
        S,
        "row 3, column nominal_day",
        "planned for 0 has a row already (row 2)",
    ),
    "unknown patient, samples": (
        cell("samples", 8, "patient", "P33"),
        S,
        "row 8, column patient",
        "did you mean 'P3'?",
    ),
    "unknown patient, events": (
        cell("events", 2, "patient", "Z"),
        E,
        "row 2, column patient",
        "'Z' is not in subjects",
    ),
    "unknown patient, exposures": (
        cell("exposures", 2, "patient", "p1"),
        X,
        "row 2, column patient",
        "'p1' is not in",
    ),
    "unknown patient, disposition": (
        append("disposition", "P4,30,lost,"),
        D,
        "row 5, column patient",
        "'P4' is not in",
    ),
    "sample after death": (
        cell("samples", 7, "day", "21"),
        S,
        "row 7, column day",
        "dated 21, after death on 20",
    ),
    "event after death": (
        cell("events", 2, "day", "21"),
        E,
        "row 2, column day",
        "dated 21, after death on 20",
    ),
    "course after death": (
        cell("exposures", 3, "start_day", "21"),
        X,
        "row 3, column start_day",
        "after death on 20",
    ),
    "two matrices": (
        cell("samples", 8, "matrix", "whole_blood"),
        S,
        "row 8, column matrix",
        "plasma (row 2) and whole_blood (row 8",
    ),
    "two limits": (
        cell("samples", 6, "lloq_iu_ml", "200"),
        S,
        "row 6, column lloq_iu_ml",
        "137 (row 2) and 200 (row 6",
    ),
}


@pytest.mark.parametrize("name", ONE_MISTAKE)
def test_one_mistake_is_one_problem_at_its_place(name: str, tmp_path: Path) -> None:
    assert_one_problem(ONE_MISTAKE[name], tmp_path)


def test_the_mistakes_are_all_there() -> None:
    assert len(ONE_MISTAKE) >= 50


def test_the_sound_study_has_no_problem(tmp_path: Path) -> None:
    tables = check_study(sound_study(tmp_path))
    assert {name: values.rows.size for name, values in tables.items()} == {
        "subjects": 3, "samples": 7, "exposures": 2, "events": 2, "disposition": 3
    }  # fmt: skip


def test_several_mistakes_are_all_told_in_order(tmp_path: Path) -> None:
    sound_study(tmp_path)
    for make in (
        cell("disposition", 3, "death_day", "x"),
        cell("samples", 8, "patient", "P9"),
        cell("samples", 3, "load_iu_ml", "-3"),
        cell("samples", 3, "day", "8.5"),
        cell("samples", 2, "result", "negative"),
        swap("subjects", ",sex,", ",gender,"),
        cell("subjects", 4, "disease", ""),
        append("exposures", "P1,tea,5,4"),
        lambda folder: (folder / "events.csv").write_bytes(b"\0"),
        swap("subjects", "axi,61.5,male,yes", "axi,61.5,male,yes,extra"),
    ):
        make(tmp_path)
    assert [(problem.where, problem.at) for problem in problems(tmp_path)] == [
        (P, "row 1, column gender"),
        (P, "row 3"),
        (P, "row 4, column disease"),
        (S, "row 2, column result"),
        (S, "row 3, column day"),
        (S, "row 3, column load_iu_ml"),
        (S, "row 8, column patient"),
        (X, "row 4, column drug"),
        (X, "row 4, column stop_day"),
        (E, ""),
        (D, "row 3, column death_day"),
    ]


def test_the_days_of_death_and_of_the_limits_are_possible(tmp_path: Path) -> None:
    sound_study(tmp_path)
    for make in (
        cell("samples", 7, "day", "20"),
        cell("samples", 7, "load_iu_ml", "137"),
        cell("events", 2, "day", "20"),
        cell("exposures", 3, "start_day", "20"),
        cell("exposures", 2, "stop_day", "4"),
        cell("events", 3, "day", "3650"),
        cell("subjects", 2, "age", "0"),
    ):
        make(tmp_path)
    study = read_study(tmp_path)
    assert study.samples.load[0, 1, 1] == 137
    assert study.events["relapse"].first[0, 1] == study.disposition.death[0, 1] == 20


def test_too_many_strata_are_refused(tmp_path: Path) -> None:
    sound_study(tmp_path)
    names = [f"Q{i}" for i in range(128)]
    content("subjects", ("patient,stratum,disease\n" + "".join(f"{n},{n},lymphoma\n" for n in names)).encode())(tmp_path)
    content(
        "disposition",
        ("patient,end_day,reason,death_day\n" + "".join(f"{n},9,lost,\n" for n in names)).encode(),
    )(tmp_path)
    content("samples", (SOUND["samples"].splitlines()[0] + "\nQ0,0,0,plasma,not_detected,,1,protocol\n").encode())(tmp_path)
    (tmp_path / "events.csv").unlink()
    (tmp_path / "exposures.csv").unlink()
    assert [(p.where, p.at, p.message) for p in problems(tmp_path)] == [(P, "column stratum", "128 strata")]


def test_a_study_in_which_every_sample_was_missed_must_still_say_the_matrix(tmp_path: Path) -> None:
    header = SOUND["samples"].splitlines()[0]
    content("samples", f"{header}\nP1,0,,,missed,,,\n".encode())(sound_study(tmp_path))
    found = [(problem.at, problem.message) for problem in problems(tmp_path)]
    assert found == [
        ("column matrix", "no sample has a matrix"),
        ("column lloq_iu_ml", "no sample has a lloq_iu_ml"),
    ]


def test_a_matrix_that_cannot_be_read_is_not_also_missing(tmp_path: Path) -> None:
    header = SOUND["samples"].splitlines()[0]
    rows = "P1,0,,,missed,,137,\nP1,7,7,serum,not_detected,,137,\n"
    content("samples", f"{header}\n{rows}".encode())(sound_study(tmp_path))
    assert [problem.at for problem in problems(tmp_path)] == ["row 3, column matrix"]
