"""What is written reads back as the same study: compared by plain loops over the arrays written."""

from __future__ import annotations

import math
import tempfile
from collections import Counter
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from data_tables import sound_study, studies
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from cmvsim.core.errors import InputError
from cmvsim.data import (
    Courses,
    Disposition,
    EndReason,
    Occurrences,
    Result,
    Samples,
    Study,
    Subjects,
    dictionary,
    read_study,
    write_study,
)
from cmvsim.data.schema import COVARIATES, DRUGS, END_REASONS, EVENTS, RESULTS, TABLES

PROFILE = settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.too_slow])


def _plain(value: float) -> float | None:
    return None if math.isnan(value) else float(value)


def _expected_samples(study: Study, r: int, i: int) -> list[tuple[object, ...]]:
    rows = []
    s = study.samples
    for v in range(s.result.shape[2]):
        nominal, day = _plain(s.nominal[r, i, v]), _plain(s.day[r, i, v])
        if s.result[r, i, v] == Result.NONE:
            if nominal is None or nominal > study.disposition.end[r, i]:
                continue
            day = None
        rows.append((nominal, day, int(s.result[r, i, v]), _plain(s.load[r, i, v])))
    return sorted(rows, key=lambda row: row[1] if row[1] is not None else row[0])


def _read_samples(study: Study, i: int) -> list[tuple[object, ...]]:
    s = study.samples
    rows = [
        (_plain(s.nominal[0, i, v]), _plain(s.day[0, i, v]), int(s.result[0, i, v]), _plain(s.load[0, i, v]))
        for v in range(s.result.shape[2])
    ]
    padding = (None, None, 0, None)
    count = len(rows) - Counter(rows)[padding]
    assert rows[count:] == [padding] * (len(rows) - count)  # padding comes last
    return rows[:count]


def _text(subjects: Subjects, name: str, r: int, i: int) -> object:
    value = _plain(subjects.covariates[name][r, i])
    labels = subjects.labels.get(name, next(c.allowed for c in COVARIATES if c.name == name))
    return labels[int(value)] if labels and value is not None else value


def _courses(courses: Courses, r: int, i: int) -> list[tuple[float, float | None]]:
    both = zip(courses.start[r, i], courses.stop[r, i], strict=True)
    return sorted(((a, _plain(b)) for a, b in both if not math.isnan(a)), key=lambda pair: pair[0])


@PROFILE
@given(studies(), st.data())
def test_a_replicate_reads_back_as_the_same_study(study: Study, data: st.DataObject) -> None:
    r = data.draw(st.integers(0, study.replicates - 1))
    with tempfile.TemporaryDirectory() as name:
        write_study(study, r, Path(name))
        back = read_study(Path(name))
    assert (back.replicates, back.patients) == (1, study.patients)
    assert (back.samples.matrix, back.samples.lloq) == (study.samples.matrix, study.samples.lloq)
    expected = [_expected_samples(study, r, i) for i in range(study.patients)]
    assert back.samples.result.shape[2] == max(len(rows) for rows in expected)
    np.testing.assert_array_equal(back.disposition.end[0], study.disposition.end[r])
    np.testing.assert_array_equal(back.disposition.reason[0], study.disposition.reason[r])
    np.testing.assert_array_equal(back.disposition.death[0], study.disposition.death[r])
    for i in range(study.patients):
        assert _read_samples(back, i) == expected[i]
        for attribute in ("strata", "diseases"):
            before = getattr(study.subjects, attribute)[study.subjects.stratum[r, i]]
            assert getattr(back.subjects, attribute)[back.subjects.stratum[0, i]] == before
        for covariate in study.subjects.covariates:
            assert _text(back.subjects, covariate, 0, i) == _text(study.subjects, covariate, r, i)
        for drug, courses in study.exposures.items():
            assert _courses(back.exposures[drug], 0, i) == _courses(courses, r, i)
    assert set(back.subjects.covariates) == set(study.subjects.covariates)
    # A table that is there speaks of all it could name; kinds the study did not have are empty.
    assert set(back.events) == (set(EVENTS) if study.events else set())
    assert set(back.exposures) == (set(DRUGS) if study.exposures else set())
    for event, days in back.events.items():
        before = study.events[event].first[r] if event in study.events else np.full(study.patients, np.nan)
        np.testing.assert_array_equal(days.first[0], before)
    for drug in set(back.exposures) - set(study.exposures):
        assert np.isnan(back.exposures[drug].start).all()


@PROFILE
@given(studies())
def test_writing_what_was_read_gives_the_same_bytes(study: Study) -> None:
    with tempfile.TemporaryDirectory() as first, tempfile.TemporaryDirectory() as second:
        paths = write_study(study, 0, Path(first))
        again = write_study(read_study(Path(first)), 0, Path(second))
        assert [path.name for path in paths] == [path.name for path in again]
        for one, other in zip(paths, again, strict=True):
            assert one.read_bytes() == other.read_bytes()


def _one() -> Study:
    day = np.array([[[-1.0, 8.0, 15.0, np.nan, np.nan, 10.0]]])  # 15: when a missed visit would have been
    return Study(
        subjects=Subjects(np.zeros((1, 1), np.int8), ("DLBCL",), ("lymphoma",), {"sex": np.ones((1, 1))}, {}, ("Åsa, 1",)),
        samples=Samples(
            nominal=np.array([[[0.0, 7, 14, 21, np.nan, np.nan]]]),
            day=day,
            result=np.array([[[1, 3, 0, 0, 0, 2]]], dtype=np.int8),
            load=np.array([[[np.nan, 1230.0, np.nan, np.nan, np.nan, np.nan]]]),
            matrix="plasma",
            lloq=34.5,
        ),
        disposition=Disposition(np.array([[20.0]]), np.array([[EndReason.HCT]], np.int8), np.array([[np.nan]])),
        events={"hct": Occurrences.once(np.array([[20.0]]))},
        exposures={
            "corticosteroids": Courses(np.array([[[9.0, 3.0]]]), np.array([[[np.nan, 5.0]]])),
            "anakinra": Courses(np.array([[[4.0, np.nan]]]), np.array([[[5.0, np.nan]]])),
        },
    )


def test_the_bytes_are_these(tmp_path: Path) -> None:
    paths = write_study(_one(), 0, tmp_path / "study")
    assert {path.name: path.read_bytes().decode() for path in paths} == {
        "subjects.csv": 'patient,stratum,disease,sex\n"Åsa, 1",DLBCL,lymphoma,male\n',
        "samples.csv": "patient,nominal_day,day,matrix,result,load_iu_ml,lloq_iu_ml,reason\n"
        '"Åsa, 1",0,-1,plasma,not_detected,,34.5,protocol\n'
        '"Åsa, 1",7,8,plasma,quantified,1230,34.5,protocol\n'
        '"Åsa, 1",,10,plasma,below_lloq,,34.5,clinical\n'
        '"Åsa, 1",14,,plasma,missed,,34.5,protocol\n',
        "exposures.csv": "patient,drug,start_day,stop_day\n"
        '"Åsa, 1",corticosteroids,3,5\n"Åsa, 1",anakinra,4,5\n"Åsa, 1",corticosteroids,9,\n',
        "events.csv": 'patient,event,day\n"Åsa, 1",hct,20\n',
        "disposition.csv": 'patient,end_day,reason,death_day\n"Åsa, 1",20,hct,\n',
    }


def test_writing_twice_gives_the_same_bytes(tmp_path: Path) -> None:
    study = read_study(sound_study(tmp_path / "sound"))
    for name in ("a", "b"):
        write_study(study, 0, tmp_path / name)
    files = sorted(path.name for path in (tmp_path / "a").iterdir())
    assert files == ["disposition.csv", "events.csv", "exposures.csv", "samples.csv", "subjects.csv"]
    for name in files:
        assert (tmp_path / "a" / name).read_bytes() == (tmp_path / "b" / name).read_bytes()


def test_the_sound_study_as_arrays(tmp_path: Path) -> None:
    study = read_study(sound_study(tmp_path))
    nan = np.nan
    assert study.subjects.patients == ("P1", "P2", "P3")
    assert (study.subjects.strata, study.subjects.diseases) == (("B-ALL", "DLBCL"), ("leukaemia", "lymphoma"))
    assert study.subjects.stratum.tolist() == [[0, 1, 1]]
    assert study.subjects.labels["site"] == ("Göteborg", "Umeå")
    np.testing.assert_array_equal(study.subjects.covariates["age"], [[12, 61.5, nan]])
    np.testing.assert_array_equal(study.subjects.covariates["prior_allogeneic_hct"], [[0, 1, nan]])
    np.testing.assert_array_equal(study.samples.nominal[0], [[0, 7, nan, 14], [0, 7, nan, nan], [0, nan, nan, nan]])
    np.testing.assert_array_equal(study.samples.day[0], [[0, 8, 10, nan], [-1, 7, nan, nan], [0, nan, nan, nan]])
    assert study.samples.result[0].tolist() == [[1, 3, 2, 0], [1, 3, 0, 0], [1, 0, 0, 0]]
    np.testing.assert_array_equal(study.samples.load[0, :2, 1], [1230, 250])
    assert (study.samples.matrix, study.samples.lloq) == ("plasma", 137.0)
    assert study.disposition.reason.tolist() == [[EndReason.COMPLETED, EndReason.DEATH, EndReason.LOST]]
    np.testing.assert_array_equal(study.disposition.death, [[nan, 20, 45]])
    np.testing.assert_array_equal(study.events["relapse"].first, [[nan, 15, nan]])
    np.testing.assert_array_equal(study.exposures["valganciclovir"].start[0], [[nan], [12], [nan]])
    assert np.isnan(study.exposures["valganciclovir"].stop).all()
    assert study.exposures["corticosteroids"].stop[0, 0, 0] == 9


def test_of_two_events_of_a_kind_the_first_counts_and_courses_are_in_order(tmp_path: Path) -> None:
    folder = sound_study(tmp_path)
    (folder / "events.csv").write_text("patient,event,day\nP1,relapse,30\nP1,relapse,12\nP1,relapse,40\n")
    (folder / "exposures.csv").write_text(
        "patient,drug,start_day,stop_day\nP1,foscarnet,30,31\nP3,foscarnet,5,6\nP1,foscarnet,12,\n"
    )
    study = read_study(folder)
    np.testing.assert_array_equal(study.events["relapse"].first, [[12, np.nan, np.nan]])
    np.testing.assert_array_equal(study.events["relapse"].day[0, 0], [12, 30, 40])
    start = [[[12, 30], [np.nan, np.nan], [5, np.nan]]]
    np.testing.assert_array_equal(study.exposures["foscarnet"].start, start)


def test_patients_without_identifiers_sort_as_they_were_enrolled(tmp_path: Path) -> None:
    n = 11
    study = Study(
        Subjects(np.zeros((1, n), np.int8), ("A",), ("lymphoma",)),
        Samples(
            *(np.zeros((1, n, 1)) for _ in range(2)),
            np.ones((1, n, 1), np.int8),
            np.full((1, n, 1), np.nan),
            "plasma",
            1.0,
        ),
        Disposition(np.full((1, n), 5.0), np.zeros((1, n), np.int8), np.full((1, n), np.nan)),
    )
    write_study(study, 0, tmp_path)
    assert read_study(tmp_path).subjects.patients == tuple(f"P{i:02d}" for i in range(1, 12))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            lambda s: replace(s, subjects=replace(s.subjects, covariates={"frailty": np.ones((1, 1))})),
            "covariate 'frailty'",
        ),
        (
            lambda s: replace(s, subjects=replace(s.subjects, covariates={"site": np.ones((1, 1))})),
            "site: code 1",
        ),
        (lambda s: replace(s, subjects=replace(s.subjects, patients=("NA",))), "'NA' stands for nothing"),
        (lambda s: replace(s, subjects=replace(s.subjects, patients=("a\nb",))), "control character"),
        (lambda s: replace(s, subjects=replace(s.subjects, strata=(" A",))), "blanks around"),
        (
            lambda s: replace(s, subjects=replace(s.subjects, patients=("a", "b"))),
            "2 different identifiers for 1",
        ),
        (lambda s: replace(s, subjects=replace(s.subjects, diseases=("sarcoma",))), "disease 'sarcoma'"),
        (lambda s: replace(s, events={"cure": Occurrences.once(np.ones((1, 1)))}), "event 'cure'"),
        (
            lambda s: replace(s, exposures={"tea": Courses(np.ones((1, 1, 1)), np.ones((1, 1, 1)))}),
            "drug 'tea'",
        ),
        (lambda s: replace(s, events={"hct": Occurrences.once(np.full((1, 1), 1.5))}), "day: 1.5 is not a whole day"),
        (
            lambda s: replace(s, disposition=replace(s.disposition, end=np.full((1, 1), np.nan))),
            "end_day: missing",
        ),
        (
            lambda s: replace(s, samples=replace(s.samples, day=np.full((1, 1, 6), np.nan))),
            "taken without a day",
        ),
        (
            lambda s: replace(s, samples=replace(s.samples, load=np.full((1, 1, 6), np.inf))),
            "load_iu_ml: infinite",
        ),
    ],
)
def test_what_tables_cannot_say_is_not_written(change, message: str, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=message):
        write_study(change(_one()), 0, tmp_path / "study")
    assert not (tmp_path / "study").exists()


@pytest.mark.parametrize("replicate", [-1, 1])
def test_a_replicate_that_is_not_there(replicate: int, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=f"replicate {replicate} of 1"):
        write_study(_one(), replicate, tmp_path)


def test_a_table_of_another_study_is_not_mixed_in(tmp_path: Path) -> None:
    folder = sound_study(tmp_path)
    before = {path.name: path.read_bytes() for path in folder.iterdir()}
    with pytest.raises(InputError, match=r"exposures\.csv: is there already"):
        write_study(replace(_one(), exposures={}), 0, folder)
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == before


def test_the_dictionary_has_every_column_once() -> None:
    rows = dictionary()
    assert [(row.table, row.column) for row in rows] == [(t.name, c.name) for t in TABLES for c in t.columns]
    assert len({(row.table, row.column) for row in rows}) == len(rows) == 76
    assert all(row.meaning and row.allowed for row in rows)
    by_name = {(row.table, row.column): row for row in rows}
    assert by_name["samples", "load_iu_ml"].unit == "IU/mL"
    assert by_name["samples", "day"].type == "whole day"
    assert by_name["subjects", "arm"].required == "no"
    assert by_name["events", "day"].required == "if the table is there"
    assert "female, male" in by_name["subjects", "sex"].allowed


def test_codes_of_texts_are_those_of_the_study() -> None:
    assert [RESULTS[result] for result in Result] == ["missed", "not_detected", "below_lloq", "quantified"]
    assert END_REASONS[EndReason.NEW_THERAPY] == "new_therapy"
    assert len(END_REASONS) == len(EndReason)
