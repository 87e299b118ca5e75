"""Maps of foreign files: each mistake of the map or of the file is told at its place."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from cmvsim.core.errors import InputError, Problem
from cmvsim.data.mapping import read_map, read_mapped

MAP = """\
format = 1
patient = "Id"
time_unit = "days"
[cmv_reactivation]
time = "day"
event = { column = "cmv", is = 1 }
[covariates]
old = { column = "age", above = 60 }
[analysis]
endpoints = ["cmv_reactivation", "risk_factors"]
window = 90
"""
FILE = "Id,day,cmv,age,sex\nÅ1,10,1,61,f\nB2,90,0,60,m\nC3,,1,NA,f\n"


def problems(folder: Path, mapping: str = MAP, file: str = FILE) -> tuple[Problem, ...]:
    (folder / "map.toml").write_text(mapping, encoding="utf-8")
    (folder / "file.csv").write_text(file, encoding="utf-8")
    with pytest.raises(InputError) as caught:
        read_mapped(folder / "file.csv", read_map(folder / "map.toml"), "map.toml")
    return caught.value.problems


def test_a_sound_map(tmp_path: Path) -> None:
    (tmp_path / "map.toml").write_text(MAP)
    (tmp_path / "file.csv").write_text(FILE, encoding="utf-8")
    mapped = read_mapped(tmp_path / "file.csv", read_map(tmp_path / "map.toml"), "map.toml")
    assert mapped.patients == ("Å1", "B2", "C3")
    np.testing.assert_array_equal(mapped.time, [10, 90, np.nan])
    assert mapped.event.tolist() == [True, False, True]
    assert mapped.known.tolist() == [True, True, False]
    np.testing.assert_array_equal(mapped.covariates["old"], [1, 0, np.nan])


@pytest.mark.parametrize(
    ("old", "new", "at", "says"),
    [
        ('time = "day"', 'time = "days"', "cmv_reactivation.time", "did you mean 'day'?"),
        ('column = "age"', 'column = "alder"', "covariates.old.column", "file.csv has no column 'alder'"),
        ("window = 90", "windw = 90", "analysis.windw", "did you mean 'window'?"),
        ("window = 90", "window = 0", "analysis.window", "0"),
        ("is = 1", "equal = 1", "cmv_reactivation.event.equal", "known: above, at_least, at_most, below, column, is"),
        (", is = 1", "", "cmv_reactivation", "says no value"),
        ("above = 60", "above = 60, below = 3", "covariates.old", "one condition at most, not above and below"),
        ('"days"', '"fortnights"', "time_unit", "weeks"),
        ('"risk_factors"', '"survival"', "analysis.endpoints[1]", "risk_factors"),
        ('[covariates]\nold = { column = "age", above = 60 }\n', "", "", "needs covariates"),
        ("format = 1", "format = 2", "format", "this version reads format = 1"),
        ("format = 1", "", "format", "missing"),
        ("window = 90", "window = ", "", "is not valid TOML"),
    ],
)
def test_a_mistake_in_the_map(old: str, new: str, at: str, says: str, tmp_path: Path) -> None:
    assert old in MAP
    found = problems(tmp_path, MAP.replace(old, new))
    assert [problem.at for problem in found] == [at]
    assert found[0].where.endswith("map.toml")
    assert says in f"{found[0].message} ({found[0].allowed})"


@pytest.mark.parametrize(
    ("old", "new", "at", "says"),
    [
        ("10,1,61", "ten,1,61", "row 2, column day", "'ten' is not a number"),
        ("10,1,61", "-1,1,61", "row 2, column day", "negative"),
        ("10,1,61", "10,yes,61", "row 2, column cmv", 'is = "..."'),
        ("90,0,60", "90,0,old", "row 3, column age", "'old' is not a number"),
        ("B2", "Å1", "row 3, column Id", "has a row already (row 2)"),
        ("B2,", ",", "row 3, column Id", "the cell is empty"),
        ("90,0,60,m", "90,0,60", "row 3", "4 cells where the header has 5"),
        (",sex", ",age", "", "column 'age' is there 2 times"),
        (FILE.split("\n", 1)[1], "", "", "no rows"),
    ],
)
def test_a_mistake_in_the_file(old: str, new: str, at: str, says: str, tmp_path: Path) -> None:
    assert old in FILE
    found = problems(tmp_path, file=FILE.replace(old, new))
    assert [(problem.where, problem.at) for problem in found] == [("file.csv", at)]
    assert says in f"{found[0].message} ({found[0].allowed})"


def test_a_text_that_no_cell_has_is_told(tmp_path: Path) -> None:
    found = problems(tmp_path, MAP.replace('"age", above = 60', '"sex", is = "female"'))
    assert [(problem.at, problem.message) for problem in found] == [("column sex", "no cell is 'female'")]
    assert found[0].allowed == "found: f, m"


def test_the_event_and_its_competitor_exclude_each_other(tmp_path: Path) -> None:
    found = problems(tmp_path, MAP.replace("is = 1 }", "is = 1 }\ncompeting = { column = 'age', above = 60 }"))
    assert [problem.at for problem in found] == ["row 2"]
    assert "both the event and the competing event" in found[0].message


def test_files_that_are_not_there(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="cannot be read"):
        read_map(tmp_path / "map.toml")
    (tmp_path / "map.toml").write_text(MAP)
    with pytest.raises(InputError, match="cannot be read"):
        read_mapped(tmp_path / "file.csv", read_map(tmp_path / "map.toml"), "map.toml")
