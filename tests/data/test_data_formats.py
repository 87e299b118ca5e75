"""Every format holds the same study: round trips, other programs' readings of it, and files that are damaged or too much."""

from __future__ import annotations

import json
import math
import tempfile
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from data_further import full_studies, full_study, plain_rows
from data_tables import problems, sound_study
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from cmvsim.core.errors import InputError
from cmvsim.data import Study, check_study, read_study, write_study
from cmvsim.data.formats import FORMATS, parquet, xpt
from cmvsim.data.schema import SUBJECTS, TABLES, UNIT_COSTS

PANDAS_ZERO = 2.0**-260
"""What pandas makes of the zero of a transport file, whoever wrote it; pyreadstat and SAS read 0."""

ALL = [
    pytest.param(form, marks=pytest.mark.skipif(form == "parquet" and not parquet.available(), reason="needs pyarrow"))
    for form in FORMATS
]
PROFILE = settings(max_examples=8, deadline=None, suppress_health_check=list(HealthCheck))


def convert(folder: Path, place: Path, form: str) -> Path:
    write_study(read_study(folder), 0, place, form)
    return place


@pytest.mark.parametrize("form", ALL)
@PROFILE
@given(study=full_studies())
def test_round_trips_lose_nothing(form: str, study: Study) -> None:
    with tempfile.TemporaryDirectory() as first, tempfile.TemporaryDirectory() as second:
        write_study(study, 0, Path(first), form)
        assert {path.suffix for path in Path(first).iterdir()} == {FORMATS[form].suffix}
        back = read_study(Path(first))
        assert plain_rows(back, 0) == plain_rows(study, 0)
        assert back.subjects.patients == tuple(f"P{i:0{len(str(study.patients))}d}" for i in range(1, study.patients + 1))
        for name in study.subjects.covariates:
            given_there = back.subjects.covariates[name][0]
            assert np.isnan(given_there).tolist() == np.isnan(study.subjects.covariates[name][0]).tolist()
        if "age" in study.subjects.covariates:
            np.testing.assert_array_equal(back.subjects.covariates["age"][0], study.subjects.covariates["age"][0])
        # through CSV and back: not a byte is lost
        write_study(back, 0, Path(second))
        again = tempfile.mkdtemp(dir=second)
        for path in write_study(read_study(Path(second)), 0, Path(again), form):
            assert path.read_bytes() == (Path(first) / path.name).read_bytes()


@pytest.mark.parametrize("form", ALL)
def test_accents_survive(form: str, tmp_path: Path) -> None:
    place = convert(full_study(tmp_path / "csv"), tmp_path / form, form)
    study = read_study(place)
    assert study.subjects.labels["site"] == ("Göteborg", "Umeå")
    assert study.car_t is not None
    assert study.car_t.units == ("cells/µL", "copies/µg")


def _expected(folder: Path, name: str) -> pd.DataFrame:
    return pd.read_csv(folder / f"{name}.csv", keep_default_na=False, dtype=str)


def _assert_same(frame: pd.DataFrame, texts: pd.DataFrame, name: str, short: bool) -> None:
    """Cell by cell: numbers equal to the last bit, texts equal, missing where empty."""
    table = next(table for table in TABLES if table.name == name)
    assert frame.shape == texts.shape
    for column in texts.columns:
        schema = table.column(column)
        cells = frame[schema.short_name if short else column].tolist()
        for cell, text in zip(cells, texts[column], strict=True):
            if not text:
                assert cell in ("", None) or math.isnan(cell)
            elif schema.kind.numeric:
                assert float(cell) == float(text) or (short and float(text) == 0 and cell == PANDAS_ZERO)
            else:
                assert cell == text


@pytest.mark.parametrize("name", [table.name for table in TABLES])
def test_independent_pandas_reads_the_same_transport_file(name: str, tmp_path: Path) -> None:
    full_study(tmp_path / "csv")
    convert(tmp_path / "csv", tmp_path / "xpt", "xpt")
    convert(tmp_path / "csv", tmp_path / "again", "csv")
    frame = pd.read_sas(tmp_path / "xpt" / f"{name}.xpt", format="xport", encoding="utf-8")
    _assert_same(frame, _expected(tmp_path / "again", name), name, short=True)


@pytest.mark.parametrize("name", [table.name for table in TABLES])
def test_independent_pyreadstat_reads_the_same_transport_file(name: str, tmp_path: Path) -> None:
    pyreadstat = pytest.importorskip("pyreadstat")
    full_study(tmp_path / "csv")
    convert(tmp_path / "csv", tmp_path / "xpt", "xpt")
    convert(tmp_path / "csv", tmp_path / "again", "csv")
    frame, meta = pyreadstat.read_xport(tmp_path / "xpt" / f"{name}.xpt")
    _assert_same(frame, _expected(tmp_path / "again", name), name, short=True)
    assert meta.table_name == next(table for table in TABLES if table.name == name).short_name


def test_independent_a_transport_file_of_pyreadstat_is_read(tmp_path: Path) -> None:
    pyreadstat = pytest.importorskip("pyreadstat")
    sound_study(tmp_path)
    frame = pd.DataFrame({"patient": ["P2", "P1"], "event": ["relapse", "crs"], "day": [15.0, 2.0], "grade": [np.nan, 3.0]})
    pyreadstat.write_xport(frame, tmp_path / "events.xpt", file_format_version=5)
    (tmp_path / "events.csv").unlink()
    study = read_study(tmp_path)
    assert study.events["crs"].grade is not None
    assert study.events["crs"].grade[0, 0, 0] == 3
    assert study.events["relapse"].first[0, 1] == 15


@pytest.mark.skipif(not parquet.available(), reason="needs pyarrow")
@pytest.mark.parametrize("name", [table.name for table in TABLES])
def test_independent_pandas_reads_the_same_parquet_file(name: str, tmp_path: Path) -> None:
    full_study(tmp_path / "csv")
    convert(tmp_path / "csv", tmp_path / "parquet", "parquet")
    convert(tmp_path / "csv", tmp_path / "again", "csv")
    frame = pd.read_parquet(tmp_path / "parquet" / f"{name}.parquet")
    _assert_same(frame, _expected(tmp_path / "again", name), name, short=False)


@pytest.mark.parametrize("name", [table.name for table in TABLES])
def test_dataset_json_has_what_the_standard_requires(name: str, tmp_path: Path) -> None:
    """Required attributes and types of CDISC Dataset-JSON 1.1."""
    full_study(tmp_path / "csv")
    convert(tmp_path / "csv", tmp_path / "json", "dataset-json")
    convert(tmp_path / "csv", tmp_path / "again", "csv")
    tree = json.loads((tmp_path / "json" / f"{name}.json").read_text(encoding="utf-8"))
    required = {"datasetJSONCreationDateTime", "datasetJSONVersion", "itemGroupOID", "records", "name", "label", "columns"}
    assert required | {"rows"} == set(tree)
    assert tree["datasetJSONVersion"] == "1.1.0"
    assert tree["records"] == len(tree["rows"])
    for column in tree["columns"]:
        assert {"itemOID", "name", "label", "dataType"} <= set(column) <= {"itemOID", "name", "label", "dataType", "length"}
        assert column["dataType"] in {"string", "integer", "double"}
        assert column["label"]
    frame = pd.DataFrame(tree["rows"], columns=[column["name"] for column in tree["columns"]], dtype=object)
    _assert_same(frame, _expected(tmp_path / "again", name), name, short=False)


@pytest.mark.parametrize("form", ALL)
def test_an_optional_table_without_rows_survives(form: str, tmp_path: Path) -> None:
    sound_study(tmp_path / "csv")
    (tmp_path / "csv" / "events.csv").write_text("patient,event,day\n")
    study = read_study(convert(tmp_path / "csv", tmp_path / form, form))
    assert np.isnan(study.events["relapse"].day).all()
    assert study.events["relapse"].day.shape[1] == 3


@given(st.floats(1e-70, 1e70) | st.floats(-1e70, -1e-70) | st.integers(-(2**53), 2**53).map(float))
def test_ibm_numbers_lose_nothing(value: float) -> None:
    assert xpt.decode(xpt.encode(value)) == value


def test_closed_form_ibm_numbers() -> None:
    """1 is 1/16 x 16, 0.1 repeats, -118.625 is the textbook's C276A000."""
    assert xpt.encode(1.0) == bytes.fromhex("4110000000000000")
    assert xpt.encode(-118.625) == bytes.fromhex("C276A00000000000")
    assert xpt.encode(0.0) == bytes(8)
    assert xpt.encode(None) == bytes.fromhex("2E00000000000000")
    assert xpt.decode(bytes.fromhex("4110")) == 1.0
    assert xpt.decode(b"A" + bytes(7)) is None
    for beyond in (1e76, 1e-80, math.inf):
        with pytest.raises(OverflowError):
            xpt.encode(beyond)


def test_formats_may_differ_between_tables_and_not_within_one(tmp_path: Path) -> None:
    convert(sound_study(tmp_path / "csv"), tmp_path / "xpt", "xpt")
    (tmp_path / "csv" / "samples.csv").unlink()
    (tmp_path / "csv" / "samples.xpt").write_bytes((tmp_path / "xpt" / "samples.xpt").read_bytes())
    assert check_study(tmp_path / "csv")
    (tmp_path / "csv" / "events.xpt").write_bytes((tmp_path / "xpt" / "events.xpt").read_bytes())
    found = problems(tmp_path / "csv")
    assert [(problem.where, problem.message) for problem in found] == [
        ("events.csv", "the table is there twice: events.csv and events.xpt")
    ]


def test_a_study_is_not_written_beside_itself_in_another_format(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"samples\.csv: is there already"):
        convert(sound_study(tmp_path), tmp_path, "xpt")


@pytest.mark.parametrize("form", ALL)
def test_numbers_written_otherwise_are_converted(form: str, tmp_path: Path) -> None:
    from cmvsim.verbs.data import convert as convert_files

    sound_study(tmp_path / "csv")
    path = tmp_path / "csv" / "samples.csv"
    path.write_text(path.read_text().replace("P1,7,8,plasma,quantified,1230,", "P1,7.0,+8,plasma,quantified,1.23e3,"))
    convert_files(tmp_path / "csv", tmp_path / "out", form)
    study = read_study(tmp_path / "out")
    assert (study.samples.nominal[0, 0, 1], study.samples.day[0, 0, 1], study.samples.load[0, 0, 1]) == (7, 8, 1230)


def test_what_a_transport_file_cannot_hold_is_refused(tmp_path: Path) -> None:
    column = np.array(["P1", "é" * 101], dtype=object)
    texts = {"patient": column, "stratum": column, "disease": column}
    with pytest.raises(InputError, match=r"subjects\.xpt: row 2, column patient: 'é+\.\.\.' takes 202 bytes"):
        FORMATS["xpt"].write(SUBJECTS, texts)
    assert FORMATS["xpt"].write(SUBJECTS, {"patient": np.array(["é" * 100], dtype=object)})
    with pytest.raises(InputError, match=r"unit_costs\.xpt: row 1, column unit_cost: 1e\+80 is beyond"):
        FORMATS["xpt"].write(UNIT_COSTS, {"unit_cost": np.array(["1e80"], dtype=object)})


@pytest.mark.parametrize(
    ("name", "data", "says"),
    [
        ("events.xpt", b"patient,event,day\n", "is no SAS transport file"),
        ("events.xpt", b"HEADER RECORD*******LIBV8   HEADER RECORD!!!!!!!", "version 8"),
        ("events.xpt", b"HEADER RECORD*******LIBRARY HEADER RECORD!!!!!!!" + b"0" * 400, "cut short or damaged"),
        ("events.json", b"[1, 2]", "without a datasetJSONVersion"),
        ("events.json", b"{", "is not JSON"),
        ("events.json", b'{"datasetJSONVersion": "1.0.0"}', "version 1.0.0"),
        ("events.json", b'{"datasetJSONVersion": "1.1.0", "columns": 3}', "no list of columns"),
        ("events.json", b'{"datasetJSONVersion": "1.1", "columns": [], "records": 3, "rows": []}', "says 3 records and has 0"),
        ("events.parquet", b"nothing", "Parquet"),
    ],
)
def test_a_damaged_file_is_told(name: str, data: bytes, says: str, tmp_path: Path) -> None:
    sound_study(tmp_path)
    (tmp_path / "events.csv").unlink()
    (tmp_path / name).write_bytes(data)
    found = problems(tmp_path)
    assert [problem.where for problem in found] == [name]
    assert says in found[0].message
    assert found[0].allowed


def test_a_transport_file_cut_short_or_in_latin_1_is_told(tmp_path: Path) -> None:
    convert(sound_study(tmp_path / "csv"), tmp_path / "xpt", "xpt")
    path = tmp_path / "xpt" / "subjects.xpt"
    whole = path.read_bytes()
    path.write_bytes(whole[:900])
    assert "cut short" in problems(tmp_path / "xpt")[0].message
    path.write_bytes(whole.replace("Umeå".encode(), "Umeå ".encode("latin-1")))
    found = problems(tmp_path / "xpt")
    assert (found[0].where, found[0].at) == ("subjects.xpt", "row 2")
    assert "is not UTF-8 text: byte 0xe5" in found[0].message


def test_mistakes_in_typed_formats_have_a_row_and_a_column(tmp_path: Path) -> None:
    convert(sound_study(tmp_path / "csv"), tmp_path / "json", "dataset-json")
    path = tmp_path / "json" / "samples.json"
    tree = json.loads(path.read_text(encoding="utf-8"))
    tree["rows"][1][2] = 8.5
    tree["rows"][2][0] = 33
    path.write_text(json.dumps(tree), encoding="utf-8")
    assert [(problem.where, problem.at) for problem in problems(tmp_path / "json")] == [
        ("samples.json", "row 2, column day"),
        ("samples.json", "row 3, column patient"),
    ]


def test_without_pyarrow_parquet_says_what_to_install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(parquet, "available", lambda: False)
    with pytest.raises(InputError, match=r"needs the package pyarrow.*cmvsim\[parquet\]"):
        convert(sound_study(tmp_path / "csv"), tmp_path / "out", "parquet")
    (tmp_path / "csv" / "events.csv").rename(tmp_path / "csv" / "events.parquet")
    found = problems(tmp_path / "csv")
    assert [problem.where for problem in found] == ["events.parquet"]
    assert "needs the package pyarrow" in found[0].message


def test_short_names_fit_and_differ() -> None:
    assert len({table.short_name for table in TABLES}) == len(TABLES)
    for table in TABLES:
        names = [column.short_name for column in table.columns]
        assert len(set(names)) == len(names)
        assert all(len(name) <= 8 and name.isascii() for name in [*names, table.short_name])
