"""Mistakes of a user: one clear message each, exit 2, no traceback, nothing written, nothing of theirs touched."""

from __future__ import annotations

from pathlib import Path

import pytest
from cli_runner import cmvsim, cmvsim_here, files

from cmvsim.core.records import NUMBERS_VERSION, Request
from cmvsim.runs.folder import RunFolder

TOP = Path(__file__).resolve().parents[2]
MISTAKES = {
    "a misspelt key": (["power", "cmv-cart", "--set", "monitoring.atendance=0.9"], ["atendance", "did you mean 'attendance'?"]),
    "a probability of 1.3": (
        ["power", "cmv-cart", "--set", "monitoring.attendance=1.3"],
        ["monitoring.attendance", "1.3", "0 to 1"],
    ),
    "a negative duration": (["power", "cmv-cart", "--set", "monitoring.turnaround=-1"], ["monitoring.turnaround", "-1"]),
    "an unknown evidence id": (["power", "cmv-cart", "--set", "monitoring.lloq='@lloq_plasm'"], ["lloq_plasm", "lloq_plasma"]),
    "an unknown scenario": (["power", "cmv-kart"], ["cmv-kart", "did you mean 'cmv-cart'?"]),
    "an unknown endpoint": (["power", "cmv-cart", "--endpoint", "cmv_reactivatoin"], ["did you mean 'cmv_reactivation'?"]),
    "an unknown design": (["power", "cmv-cart", "--design", "precison"], ["did you mean 'precision'?"]),
    "a size of zero": (["power", "cmv-cart", "-n", "0"], ["'0'", "sample size"]),
    "a size in words": (["power", "cmv-cart", "-n", "many"], ["'many'", "60:300:10"]),
    "no replicates": (["power", "cmv-cart", "--replicates", "0"], ["--replicates", "at least 1"]),
    "an impossible half-width": (["power", "cmv-cart", "--half-width", "0.7"], ["half_width", "0.7"]),
    "a probability alone": (["power", "cmv-cart", "--probability", "0.8"], ["--half-width"]),
    "a negative seed": (["power", "cmv-cart", "--seed", "-1"], ["seed", "-1"]),
    "an override without a sign": (["power", "cmv-cart", "--set", "monitoring.attendance"], ["KEY=VALUE"]),
    "an empty file": (["power", "empty.toml"], ["empty.toml", "is empty"]),
    "a binary file": (["power", "binary.toml"], ["binary.toml", "not a text file"]),
    "a broken file": (["power", "broken.toml"], ["broken.toml", "line 2"]),
    "a folder": (["power", "folder.toml"], ["folder.toml", "folder"]),
    "a missing file": (["power", "missing.toml"], ["missing.toml", "no such file"]),
    "an unknown option": (["power", "cmv-cart", "--halfwidth", "0.06"], ["--half-width"]),
    "an unreachable target": (["power", "cmv-cart", "--set", "cmv.targets.0.value=0.999"], ["cmv.targets", "out of reach"]),
    "one of all cohorts": (["scenarios", "calibrate", "lin-2024", "--all"], ["--all", "no SCENARIO"]),
    "all cohorts, changed": (["scenarios", "calibrate", "--set", "study.patients=10"], ["--all", "no --set"]),
    "an unknown strategy": (
        ["simulate", "letermovir-strategies", "--strategy", "univrsal"],
        ["--strategy", "univrsal", "did you mean 'universal'?"],
    ),
    "a strategy of another scenario": (["simulate", "cmv-cart", "--strategy", "universal"], ["no strategy 'universal'"]),
    "a design without arms": (["simulate", "letermovir-trial", "--design", "precision"], ["has no arms", "superiority"]),
    "arms and a strategy": (
        ["simulate", "letermovir-trial", "--design", "superiority", "--strategy", "letermovir"],
        ["--strategy", "--design alone"],
    ),
    "an arm that is no strategy": (
        ["power", "letermovir-trial", "--set", "designs.superiority.arms=['placebo','letermovir']"],
        ["designs.superiority.arms", "no strategy 'placebo'"],
    ),
    "a kind of design that is none": (
        ["power", "cmv-cart", "--set", "designs.precision.kind='two_arms'"],
        ["designs.precision.kind", "did you mean 'two_arm'?"],
    ),
    "tables that are not there": (["estimate", "nowhere"], ["nowhere"]),
    "a run that is none": (["replay", "folder.toml"], ["folder.toml", "no run"]),
    "an output folder of the user's": (["power", "cmv-cart", "-n", "50", "-o", "mine"], ["mine", "not empty"]),
    "an output that is a file": (["power", "cmv-cart", "-n", "50", "-o", "broken.toml"], ["broken.toml", "file"]),
}


@pytest.fixture
def place(tmp_path: Path) -> Path:
    (tmp_path / "empty.toml").write_text("", encoding="utf-8")
    (tmp_path / "binary.toml").write_bytes(b"\x89PNG\r\n\x1a\n\x00\x00\xff\xfe")
    (tmp_path / "broken.toml").write_text('id = "x"\n[study\npatients = 3\n', encoding="utf-8")
    (tmp_path / "folder.toml").mkdir()
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "thesis.txt").write_text("years of work", encoding="utf-8")
    return tmp_path


@pytest.mark.parametrize("name", MISTAKES)
def test_one_clear_message_and_nothing_written(name: str, place: Path) -> None:
    arguments, expected = MISTAKES[name]
    before = files(place)
    run = cmvsim if name == "a misspelt key" else cmvsim_here  # one of them as a process of its own
    done = run(*arguments, cwd=place)
    assert done.returncode == 2, done.stderr
    assert "Traceback" not in done.stderr
    for text in expected:
        assert text in done.stderr, done.stderr
    errors = [line for line in done.stderr.splitlines() if line.startswith("Error:")]
    assert len(errors) == 1, done.stderr
    assert done.stdout == ""
    assert files(place) == before
    assert (place / "mine" / "thesis.txt").read_text(encoding="utf-8") == "years of work"


def test_a_run_of_older_numbers_is_not_replayed_and_the_reason_is_told(tmp_path: Path) -> None:
    """Its numbers would differ because the model did, not because something is wrong."""
    old = Request("power", "cmv-cart", "0" * 64, {"replicates": 64}, seed=1, numbers_version=NUMBERS_VERSION - 1)
    with RunFolder(old, output=tmp_path / "run").open() as opened:
        opened.write("results.json", "{}")
        opened.finish()
    done = cmvsim_here("replay", "run", "--check", cwd=tmp_path)
    assert (done.returncode, done.stdout) == (2, "")
    for text in (f"numbers version {NUMBERS_VERSION - 1}", f"this software {NUMBERS_VERSION}", "CHANGELOG", "other numbers"):
        assert text in done.stderr
    assert f"Numbers version {NUMBERS_VERSION}" in (TOP / "CHANGELOG.md").read_text(encoding="utf-8")


def test_several_mistakes_in_one_scenario_are_told_together(tmp_path: Path) -> None:
    done = cmvsim_here("power", "cmv-cart", "--set", "monitoring.attendance=1.3", "--set", "study.patients=-4", cwd=tmp_path)
    assert done.returncode == 2
    assert "monitoring.attendance" in done.stderr
    assert "study.patients" in done.stderr


def test_every_bad_cell_of_edited_tables_is_told(tmp_path: Path) -> None:
    assert cmvsim_here("simulate", "cmv-cart", "-n", 20, "-o", "study", cwd=tmp_path).returncode == 0
    for table, row, column, value in (
        ("subjects", 2, 2, "lymphomia"),
        ("samples", 3, 2, "soon"),
        ("disposition", 4, 1, "-5000"),
    ):
        path = tmp_path / "study" / f"{table}.csv"
        lines = path.read_text(encoding="utf-8").splitlines()
        cells = lines[row].split(",")
        cells[column] = value
        lines[row] = ",".join(cells)
        path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    before = files(tmp_path)
    done = cmvsim_here("estimate", "study", cwd=tmp_path)
    assert done.returncode == 2, done.stdout
    for text in ("lymphomia", "soon", "-5000"):
        assert text in done.stderr, done.stderr
    assert "Traceback" not in done.stderr
    assert files(tmp_path) == before
