"""Files with one mistake each give one message: the file, the key path, what is wrong, what is allowed."""

from __future__ import annotations

import pytest
from scenario_mistakes import MISTAKES, Mistake

from cmvsim.core.errors import InputError
from cmvsim.scenarios import catalogue_text, resolve

JARGON = (
    "valid dictionary",
    "Value error",
    "Input should",
    "Tuple",
    "validation",
    "instance of",
    "type=",
    "None",
    "datetime",
    "function-",
    "pydantic",
    "True",
    "False",
)


def refused(name, overrides=()):
    with pytest.raises(InputError) as caught:
        resolve(name, overrides)
    return caught.value.problems


def one(name, overrides=()):
    problems = refused(name, overrides)
    assert len(problems) == 1, "\n".join(map(str, problems))
    return problems[0]


def test_there_are_enough_of_them():
    assert len(MISTAKES) >= 100
    assert len({mistake.name for mistake in MISTAKES}) == len(MISTAKES)


@pytest.mark.parametrize("mistake", MISTAKES, ids=lambda mistake: mistake.name)
def test_one_mistake_gives_one_message(mistake: Mistake, tmp_path):
    file = tmp_path / "mine.toml"
    file.write_text(mistake.text(), encoding="utf-8")
    problem = one(str(file))
    text = str(problem)
    assert text.startswith(f"{file}: {mistake.at}: " if mistake.at else f"{file}: ")
    assert problem.at == mistake.at
    for words in (*mistake.says, mistake.allows):
        assert words in text
    assert not [word for word in JARGON if word in text.removeprefix(str(file))]


def test_all_mistakes_of_a_file_are_told_at_once(tmp_path):
    text = catalogue_text("cmv-cart").replace("value = 0.93", "value = 1.3").replace("patients  = 250", "patients  = 0")
    (tmp_path / "mine.toml").write_text(text)
    assert [problem.at for problem in refused(str(tmp_path / "mine.toml"))] == ["study.patients", "monitoring.attendance"]


# ---- files that are no scenario


def test_empty_file(tmp_path):
    (tmp_path / "a.toml").write_text("  \n")
    problem = one(str(tmp_path / "a.toml"))
    assert problem.message == "is empty"
    assert "scenarios new" in problem.allowed


@pytest.mark.parametrize("data", [b"\xff\xfe\x00\x01", b"format = 1\x00"])
def test_binary_file(tmp_path, data):
    (tmp_path / "a.toml").write_bytes(data)
    problem = one(str(tmp_path / "a.toml"))
    assert "is not a text file" in problem.message
    assert problem.where.endswith("a.toml")


def test_folder(tmp_path):
    assert one(str(tmp_path)).message == "is a folder, not a scenario file"


def test_missing_file(tmp_path):
    problem = one(str(tmp_path / "none.toml"))
    assert "cannot be read: no such file" in problem.message
    assert problem.where == str(tmp_path / "none.toml")


def test_unknown_id_names_the_nearest():
    problem = one("cmv-carte")
    assert problem.message == "there is no scenario 'cmv-carte'"
    assert "did you mean 'cmv-cart'?" in problem.allowed
    assert "TOML file" in problem.allowed


def test_windows_line_ends_and_byte_order_mark_are_text(tmp_path):
    text = catalogue_text("cmv-cart").replace("\n", "\r\n")
    (tmp_path / "a.toml").write_bytes(b"\xef\xbb\xbf" + text.encode())
    assert resolve(str(tmp_path / "a.toml")).digest == resolve("cmv-cart").digest


# ---- extends


def test_extends_unknown(tmp_path):
    (tmp_path / "a.toml").write_text('extends = "cmv-carte"\n')
    problem = one(str(tmp_path / "a.toml"))
    assert (problem.where, problem.at) == (str(tmp_path / "a.toml"), "extends")
    assert "there is no scenario 'cmv-carte'" in problem.message
    assert "did you mean 'cmv-cart'?" in problem.allowed


def test_extends_missing_file(tmp_path):
    (tmp_path / "a.toml").write_text('extends = "b.toml"\n')
    problem = one(str(tmp_path / "a.toml"))
    assert (problem.where, problem.at) == (str(tmp_path / "a.toml"), "extends")
    assert "b.toml: cannot be read" in problem.message


@pytest.mark.parametrize("name", ["a.toml", "./a.toml", "../{}/a.toml"])
def test_extends_itself(tmp_path, name):
    (tmp_path / "a.toml").write_text(f'extends = "{name.format(tmp_path.name)}"\n')
    problem = one(str(tmp_path / "a.toml"))
    assert (problem.where, problem.at) == (str(tmp_path / "a.toml"), "extends")
    assert problem.message.startswith("extends itself: ")
    assert problem.message.count("a.toml") == 2


def test_extends_in_a_circle(tmp_path):
    for name, other in (("a", "b"), ("b", "c"), ("c", "a")):
        (tmp_path / f"{name}.toml").write_text(f'extends = "{other}.toml"\n')
    problem = one(str(tmp_path / "a.toml"))
    assert problem.message.count("->") == 3
    assert problem.message.index("b.toml") < problem.message.index("c.toml")


@pytest.mark.parametrize("value", ["3", "true", '["cmv-cart"]', "{ id = 3 }"])
def test_extends_no_name(tmp_path, value):
    (tmp_path / "a.toml").write_text(f"extends = {value}\n")
    problem = one(str(tmp_path / "a.toml"))
    assert problem.at == "extends"
    assert "is not the name of a scenario" in problem.message


def test_mistake_in_what_is_extended_names_its_file(tmp_path):
    (tmp_path / "a.toml").write_text('extends = "b.toml"\n')
    (tmp_path / "b.toml").write_text("format = \n")
    assert one(str(tmp_path / "a.toml")).where == str(tmp_path / "b.toml")


# ---- --set


@pytest.mark.parametrize(
    ("override", "says", "allows"),
    [
        ("monitoring.attendance", "is not KEY=VALUE", "--set monitoring.attendance=0.9"),
        ("=3", "is not KEY=VALUE", "e.g."),
        ("monitoring.lod.x=3", "'lod' is a value ('@lod_plasma'), not a section", ""),
        ("study.patients.most=3", "'patients' is a value (250), not a section", ""),
        ("cmv.targets[7].day=3", "'targets' has no entry '7'", "0 to 1"),
        ("cmv.targets.day=3", "'targets' has no entry 'day'", "0 to 1"),
    ],
)
def test_set_that_cannot_be_followed(override, says, allows):
    problem = one("cmv-cart", [override])
    assert says in problem.message
    assert allows in problem.allowed
    assert override in str(problem)


@pytest.mark.parametrize(
    ("override", "at", "says", "allows"),
    [
        ("monitoring.atendance=0.9", "monitoring.atendance", "unknown key 'atendance'", "did you mean 'attendance'?"),
        ("monitor.attendance=0.9", "monitor", "unknown key 'monitor'", "did you mean 'monitoring'?"),
        ("monitoring.attendance=0,9", "monitoring.attendance", "'0,9' is not a number", "from 0 to 1"),
        ("monitoring.attendance=", "monitoring.attendance", "'' is not a number", "from 0 to 1"),
        ("monitoring.attendance=1.9", "monitoring.attendance", "1.9 is not allowed", "from 0 to 1"),
        ("monitoring.matrix=serum", "monitoring.matrix", "'serum' is not allowed", "plasma, whole_blood"),
        ("monitoring.attendance.sd=1", "monitoring.attendance", "unknown key 'sd' in a value", ""),
    ],
)
def test_set_of_something_wrong(override, at, says, allows):
    problem = one("cmv-cart", [override])
    assert problem.where == "cmv-cart with --set"
    assert problem.at == at
    assert says in problem.message
    assert allows in problem.allowed
