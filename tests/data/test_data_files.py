"""Files that are no tables, or not quite: each fault at its place; harmless differences are tolerated."""

from __future__ import annotations

from pathlib import Path

import pytest
from data_tables import (
    SOUND,
    D,
    E,
    Mistake,
    OneMistake,
    P,
    S,
    assert_one_problem,
    cell,
    content,
    problems,
    sound_study,
    swap,
)

from cmvsim.data import read_study

ONE_MISTAKE: dict[str, OneMistake] = {
    "missing file": (lambda f: (f / "samples.csv").unlink(), S, "", "no such file"),
    "file misnamed": (
        lambda f: (f / "samples.csv").rename(f / "sample.csv"),
        S,
        "",
        "did you mean 'sample.csv'?",
    ),
    "optional file misnamed": (
        lambda f: (f / "events.csv").rename(f / "Event.csv"),
        E,
        "",
        "did you mean 'Event.csv'?",
    ),
    "file is a folder": (
        lambda f: ((f / "events.csv").unlink(), (f / "events.csv").mkdir()),
        E,
        "",
        "is a folder",
    ),
    "file empty": (content("samples", b""), S, "", "the file is empty"),
    "file of blank lines": (content("samples", b"\n \n\n"), S, "", "the file is empty"),
    "table without rows": (content("samples", SOUND["samples"].splitlines()[0].encode()), S, "", "no rows"),
    "binary": (content("samples", b"\x89PNG\r\n\x1a\n\0\0"), S, "", "is a binary file"),
    "spreadsheet": (content("samples", b"PK\x03\x04rest"), S, "", "is a spreadsheet"),
    "UTF-16": (content("subjects", SOUND["subjects"].encode("utf-16")), P, "", "UTF-16"),
    "Latin-1": (content("subjects", SOUND["subjects"].encode("latin-1")), P, "row 2", "byte 0xf6"),
    "semicolons": (swap("samples", ",", ";"), S, "row 1", "separated by semicolons"),
    "semicolons and quotes": (
        content("events", b'"patient";"event";"day"\n"P1";"relapse";3\n'),
        E,
        "row 1",
        "separated by semicolons",
    ),
    "semicolons and a comma": (
        content("events", b"patient;event;day,note\nP1;relapse;3,x\n"),
        E,
        "row 1",
        "separated by semicolons",
    ),
    "tabs": (swap("samples", ",", "\t"), S, "row 1", "separated by tabs"),
    "too many cells": (swap("samples", "P1,14,,", "P1,14,,,"), S, "row 4", "9 cells where the header has 8"),
    "too few cells": (
        swap("samples", "missed,,137,protocol", "missed,,137"),
        S,
        "row 4",
        "7 cells where the header has 8",
    ),
    "too many cells of a subject": (swap("subjects", ",male,yes", ",male,yes,1"), P, "row 3", "10 cells"),
    "too few cells, and no load": (
        swap("samples", "quantified,250,137,protocol", "quantified,,137"),
        S,
        "row 7",
        "7 cells",
    ),
    "quote never closed": (swap("samples", "P2,7", '"P2,7'), S, "row 7", "never closed"),
    "text after a quote": (swap("subjects", "Göteborg", '"Göte"borg'), P, "row 2", "is not CSV"),
    "column missing": (
        swap("disposition", "end_day,reason,", "reason,"),
        D,
        "row 1, column end_day",
        "is missing",
    ),
    "column misspelt": (
        swap("samples", "nominal_day", "nominl_day"),
        S,
        "row 1, column nominl_day",
        "did you mean 'nominal_day'?",
    ),
    "column unknown": (
        swap("subjects", ",product,", ",shoe_size,"),
        P,
        "row 1, column shoe_size",
        "unknown column 'shoe_size'",
    ),
    "column twice": (swap("subjects", ",product,", ",site,"), P, "row 1, column site", "is there 2 times"),
    "column twice, the second of another kind": (
        swap("subjects", ",prior_allogeneic_hct", ",sex"),
        P,
        "row 1, column sex",
        "is there 2 times",
    ),
    "column without a name": (swap("subjects", ",product,", ",,"), P, "row 1", "a column has no name"),
}
# A missing column leaves its rows one cell too long: mend them, so that one mistake is made.
_DROPPED = "patient,reason,death_day\nP1,completed,\nP2,death,20\nP3,lost,45\n"
ONE_MISTAKE["column missing"] = (
    content("disposition", _DROPPED.encode()),
    *ONE_MISTAKE["column missing"][1:],
)


@pytest.mark.parametrize("name", ONE_MISTAKE)
def test_one_mistake_is_one_problem_at_its_place(name: str, tmp_path: Path) -> None:
    assert_one_problem(ONE_MISTAKE[name], tmp_path)


def test_every_row_of_a_repeated_mistake_is_told(tmp_path: Path) -> None:
    swap("samples", "plasma", "serum")(sound_study(tmp_path))
    assert [problem.at for problem in problems(tmp_path)] == [f"row {row}, column matrix" for row in range(2, 9)]


def test_all_files_missing_and_no_folder(tmp_path: Path) -> None:
    assert [problem.where for problem in problems(tmp_path)] == [P, S, D]
    assert "no such folder" in problems(tmp_path / "absent")[0].message
    (tmp_path / "file").write_text("x")
    assert "is not a folder" in problems(tmp_path / "file")[0].message
    assert sorted(path.name for path in tmp_path.iterdir()) == ["file"]


def test_rows_count_as_in_a_spreadsheet_with_blank_lines(tmp_path: Path) -> None:
    sound_study(tmp_path)
    swap("samples", "P1,7,8", "\n,,,,,,,\nP1,7,eight")(tmp_path)
    assert [problem.at for problem in problems(tmp_path)] == ["row 5, column day"]


def _assert_same(folder: Path, other: Path) -> None:
    one, two = read_study(folder), read_study(other)
    assert one.subjects.patients == two.subjects.patients
    assert one.subjects.labels == two.subjects.labels
    for attribute in ("nominal", "day", "result", "load"):
        a, b = getattr(one.samples, attribute), getattr(two.samples, attribute)
        assert a.tobytes() == b.tobytes()


@pytest.mark.parametrize(
    "make",
    [
        lambda f: content("subjects", b"\xef\xbb\xbf" + (f / "subjects.csv").read_bytes())(f),
        lambda f: content("samples", (f / "samples.csv").read_bytes().replace(b"\n", b"\r\n"))(f),
        lambda f: content("samples", (f / "samples.csv").read_bytes().replace(b"\n", b"\n\n"))(f),
        lambda f: content("samples", b"\n" + (f / "samples.csv").read_bytes() + b",,,,,,,\n\n")(f),
        lambda f: content("samples", (f / "samples.csv").read_bytes().replace(b",", b" , "))(f),
        lambda f: content("samples", (f / "samples.csv").read_bytes().replace(b",1230,", b",1.23e3,"))(f),
        lambda f: content("samples", (f / "samples.csv").read_bytes().replace(b"P1,7,8,", b'"P1",7.0,8.0,'))(f),
        lambda f: cell("samples", 4, "matrix", "")(f),
        lambda f: cell("samples", 4, "lloq_iu_ml", "")(f),
        lambda f: cell("samples", 4, "reason", "")(f),
    ],
    ids=[
        "BOM",
        "CRLF",
        "blank lines",
        "blank ends",
        "spaces",
        "exponent",
        "quotes",
        "matrix",
        "lloq",
        "reason",
    ],
)
def test_harmless_differences_are_tolerated(make: Mistake, tmp_path: Path) -> None:
    make(sound_study(tmp_path / "other"))
    assert any((tmp_path / "other" / f"{n}.csv").read_bytes() != text.encode() for n, text in SOUND.items())
    _assert_same(sound_study(tmp_path / "sound"), tmp_path / "other")


def test_columns_in_another_order_and_optional_ones_absent(tmp_path: Path) -> None:
    sound_study(tmp_path)
    content("subjects", "disease,patient,stratum\nlymphoma,Zoë,Früh\n".encode())(tmp_path)
    content(
        "samples",
        b"result,matrix,lloq_iu_ml,load_iu_ml,day,nominal_day,patient\nquantified,plasma,1,2,3,,Zo\xc3\xab\n",
    )(tmp_path)
    content("disposition", "patient,end_day,reason,death_day\nZoë,3,lost,\n".encode())(tmp_path)
    (tmp_path / "events.csv").unlink()
    (tmp_path / "exposures.csv").unlink()
    (tmp_path / "notes.csv").write_text("anything")
    study = read_study(tmp_path)
    assert (study.subjects.patients, study.subjects.strata) == (("Zoë",), ("Früh",))
    assert (study.subjects.covariates, study.events, study.exposures) == ({}, {}, {})
    assert study.samples.load.tolist() == [[[2.0]]]
