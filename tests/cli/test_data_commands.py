"""`cmvsim data` and `estimate --map` as their users run them."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import pandas as pd
import pytest
from cli_runner import cmvsim_here as cmvsim
from cli_runner import files, results

from cmvsim.data import dictionary
from cmvsim.data.schema import TABLES
from cmvsim.endpoints import AnalysisSpec, read_analysis

SUBJECTS = "patient,stratum,disease\nP1,Ü,lymphoma\nP2,Ü,lymphoma\n"
SAMPLES = "patient,nominal_day,day,matrix,result,load_iu_ml,lloq_iu_ml\nP1,7,8,plasma,quantified,500,35\n"
DISPOSITION = "patient,end_day,reason,death_day\nP1,90,completed,\nP2,20,death,20\n"
MAP = """\
format = 1
patient = "id"
time_unit = "days"
[cmv_reactivation]
time = "time"
event = { column = "cmv", is = 1 }
competing = { column = "dead", is = 1 }
[covariates]
age = { column = "age" }
[analysis]
endpoints = ["cmv_reactivation", "risk_factors"]
window = 90
at = [30, 60]
"""
FILE = "id,time,cmv,dead,age\n" + "".join(
    f"é{i},{5 + (37 * i) % 86},{int(i % 3 == 0)},{int(i % 7 == 1 and i % 3 != 0)},{20 + (29 * i) % 50}\n" for i in range(40)
)


def study(folder: Path) -> Path:
    folder.mkdir()
    for name, text in (("subjects", SUBJECTS), ("samples", SAMPLES), ("disposition", DISPOSITION)):
        (folder / f"{name}.csv").write_text(text, encoding="utf-8")
    return folder


def test_a_template_is_filled_in_checked_and_estimated(tmp_path: Path) -> None:
    done = cmvsim("data", "template", "mine", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    expected = {f"{table.name}.csv" for table in TABLES} | {"dictionary.csv", "analysis.toml", "README.txt"}
    assert files(tmp_path / "mine") == expected
    for table in TABLES:
        header = (tmp_path / "mine" / table.file).read_text(encoding="utf-8")
        assert header == ",".join(table.names) + "\n"
    assert read_analysis(tmp_path / "mine" / "analysis.toml") == AnalysisSpec(endpoints=("cmv_reactivation",))
    comments = [line for line in (tmp_path / "mine" / "analysis.toml").read_text().splitlines() if line.startswith("#")]
    assert len(comments) > 15
    rows = list(csv.reader((tmp_path / "mine" / "dictionary.csv").read_text(encoding="utf-8").splitlines()))
    assert rows[1:] == [list(row) for row in dictionary()]
    assert cmvsim("data", "check", "mine", cwd=tmp_path).returncode == 2  # empty tables are told
    again = cmvsim("data", "template", "mine", cwd=tmp_path)
    assert again.returncode == 2
    assert "nothing is overwritten" in again.stderr
    for table in TABLES:
        (tmp_path / "mine" / table.file).unlink()
    for path in study(tmp_path / "other").iterdir():
        (tmp_path / "mine" / path.name).write_bytes(path.read_bytes())
    done = cmvsim("data", "check", "mine", cwd=tmp_path)
    assert done.returncode == 0, done.stdout
    assert "No problem" in done.stdout
    assert "no sample at all" in done.stdout
    assert cmvsim("estimate", "mine", "-o", "run", cwd=tmp_path).returncode == 0


def test_check_tells_every_problem_and_exits_with_2(tmp_path: Path) -> None:
    folder = study(tmp_path / "s")
    (folder / "samples.csv").write_text(SAMPLES.replace("quantified,500", "quantifed,-5"), encoding="utf-8")
    (folder / "analysis.toml").write_text('format = 1\n[analysis]\nendpoints = ["cmv_reactivation"]\nwindw = 9\n')
    done = cmvsim("data", "check", "s", "--json", cwd=tmp_path)
    assert done.returncode == 2
    tree = json.loads(done.stdout)
    assert tree["ok"] is False
    assert [(Path(p["where"]).name, p["at"]) for p in tree["problems"]] == [
        ("samples.csv", "row 2, column result"),
        ("samples.csv", "row 2, column load_iu_ml"),
        ("analysis.toml", "windw"),
    ]
    assert "did you mean 'quantified'?" in tree["problems"][0]["allowed"]
    plain = cmvsim("data", "check", "s", cwd=tmp_path)
    assert plain.returncode == 2
    assert "3 problems" in plain.stdout
    assert "Traceback" not in plain.stdout + plain.stderr


def test_the_dictionary_in_its_forms(tmp_path: Path) -> None:
    rows = json.loads(cmvsim("data", "dictionary", "--json", cwd=tmp_path).stdout)
    assert [row["column"] for row in rows] == [row.column for row in dictionary()]
    text, markdown = (cmvsim("data", "dictionary", *a, cwd=tmp_path).stdout for a in ((), ("--format", "md")))
    assert "questionnaires: One row per EQ-5D" in text
    assert "| subjects | patient |" in markdown


@pytest.mark.parametrize("form", ["xpt", "dataset-json"])
def test_another_format_gives_the_same_estimate(form: str, tmp_path: Path) -> None:
    folder = study(tmp_path / "s")
    (folder / "analysis.toml").write_text('format = 1\n[analysis]\nendpoints = ["cmv_reactivation"]\n')
    done = cmvsim("data", "convert", "s", "t", "--format", form, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert cmvsim("estimate", "s", "-o", "a", cwd=tmp_path).returncode == 0
    assert cmvsim("estimate", "t", "-o", "b", cwd=tmp_path).returncode == 0
    assert results(tmp_path / "a")["rows"] == results(tmp_path / "b")["rows"]
    back = cmvsim("data", "convert", "t", "u", cwd=tmp_path)
    assert back.returncode == 0, back.stderr
    for path in folder.iterdir():
        assert (tmp_path / "u" / path.name).read_bytes() == path.read_bytes()
    twice = cmvsim("data", "convert", "s", "t", "--format", "csv", cwd=tmp_path)
    assert twice.returncode == 2
    assert "is there already" in twice.stderr


def test_export_says_what_it_wrote_and_left_out(tmp_path: Path) -> None:
    study(tmp_path / "s")
    assert cmvsim("data", "export", "s", cwd=tmp_path).returncode == 2
    done = cmvsim("data", "export", "s", "--adam", "--format", "xpt", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert files(tmp_path / "s" / "adam") == {"adsl.xpt", "adtte.xpt", "adlb.xpt"}
    frame = pd.read_sas(tmp_path / "s" / "adam" / "adsl.xpt", format="xport", encoding="utf-8")
    assert frame["STRATUM"].tolist() == ["Ü", "Ü"]


def test_a_mapped_file_gives_a_table_and_a_figure(tmp_path: Path) -> None:
    (tmp_path / "mine.csv").write_text(FILE, encoding="utf-8")
    (tmp_path / "map.toml").write_text(MAP, encoding="utf-8")
    done = cmvsim("estimate", "mine.csv", "--map", "map.toml", "-o", "run", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert "CMV reactivation by 90 days" in done.stdout
    assert {"figures/cmv_reactivation.png", "estimates.csv", "summary.md", "curves/cmv_reactivation.csv"} <= files(
        tmp_path / "run"
    )
    tree = results(tmp_path / "run")
    assert [row["at"] for row in tree["rows"] if row["estimator"] == "aalen_johansen"] == [90, 30, 60]
    assert [row["scale"] for row in tree["rows"] if row["endpoint"] == "risk_factors"] == ["hazard_ratio"]
    one = cmvsim("estimate", "mine.csv", "--map", "map.toml", "--endpoint", "risk_factors", "-o", "one", cwd=tmp_path)
    assert one.returncode == 0, one.stderr
    assert "hazard ratio" in one.stdout


def test_mistakes_with_a_map_are_told(tmp_path: Path) -> None:
    (tmp_path / "mine.csv").write_text(FILE, encoding="utf-8")
    (tmp_path / "map.toml").write_text(MAP.replace('"age" }', '"aeg" }'), encoding="utf-8")
    for arguments, says in (
        (
            ("mine.csv", "--map", "map.toml"),
            "map.toml: covariates.age.column: mine.csv has no column 'aeg' (did you mean 'age'?)",
        ),
        (("mine.csv",), "--map"),
        (("none.csv", "--map", "map.toml"), "no such file"),
        ((".", "--map", "map.toml"), "is a folder"),
        (("mine.csv", "--map", "map.toml", "--endpoint", "cmv_disease"), "does not ask for 'cmv_disease'"),
    ):
        done = cmvsim("estimate", *arguments, cwd=tmp_path)
        assert done.returncode == 2
        assert says in done.stderr
        assert "Traceback" not in done.stderr
    assert files(tmp_path) == {"mine.csv", "map.toml"}


def test_simulated_tables_in_another_format(tmp_path: Path) -> None:
    """The same study as in CSV, named by a request of its own; `replay` computes it again in its format."""
    common = ("simulate", "cmv-cart", "-n", "20", "--seed", "5")
    for arguments in ((*common, "-o", "a"), (*common, "--format", "xpt", "-o", "b")):
        done = cmvsim(*arguments, cwd=tmp_path)
        assert done.returncode == 0, done.stderr
    assert {path.name for path in (tmp_path / "b").glob("*.xpt")} == {
        path.with_suffix(".xpt").name for path in (tmp_path / "a").glob("*.csv")
    }
    assert cmvsim("data", "convert", "b", "c", cwd=tmp_path).returncode == 0
    for path in (tmp_path / "c").iterdir():
        assert path.read_bytes() == (tmp_path / "a" / path.name).read_bytes()
    assert "format" not in results(tmp_path / "a")["request"]
    assert results(tmp_path / "b")["request"]["format"] == "xpt"
    assert any(name.endswith(".xpt") for name in results(tmp_path / "b")["tables"])
    done = cmvsim("replay", "b", "--check", cwd=tmp_path)
    assert done.returncode == 0, done.stdout + done.stderr
