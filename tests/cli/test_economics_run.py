"""`cmvsim economics run` as a user meets it: answer, files, a second look, mistakes."""

from __future__ import annotations

import csv
import json
import re
from pathlib import Path

import pytest
from cli_runner import Done, cmvsim_here
from published import unmet_by_run

from cmvsim.calibration import calibrate
from cmvsim.economics import one_way
from cmvsim.economics.probabilistic import drawn_inputs
from cmvsim.verbs import economics

GIVEN = ("--set", "letermovir.effect=given", "--set", "letermovir.given={ onset_ratio = 0.7, set_point_shift = -0.5 }")
"""Nothing is solved for the drug: these tests are of the command."""
ASKED = ("economics", "run", "letermovir-breakeven", *GIVEN, "-n", 2000, "--psa", 24, "--per-draw", 64, "--jobs", 1)


def invoke(*arguments: object) -> Done:
    return cmvsim_here(*arguments, cwd=Path.cwd())


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    place = tmp_path_factory.mktemp("economics") / "run"
    with pytest.MonkeyPatch.context() as fewer:
        fewer.setattr(one_way, "drawn_inputs", lambda scenario: drawn_inputs(scenario)[::12])
        fewer.setattr(economics, "reachable", lambda scenario: calibrate(scenario, patients=4096))
        done = invoke(*ASKED, "-o", place)
    assert done.returncode == 0, done.stderr
    assert "At what price" in done.stdout
    assert "For which patients" in done.stdout
    return place


def test_files_of_the_run(folder: Path) -> None:
    names = {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()}
    assert {"results.json", "summary.md", "tables.csv", "PSA.csv", "run.json", "scenario.resolved.json"} <= names
    assert {"figures/cost_stack.png", "figures/break_even_price.png", "figures/incidence.png", "figures/plane.png"} <= names


def test_the_run_meets_its_published_schema(folder: Path) -> None:
    assert unmet_by_run(folder, "economics") == []


def test_assumptions_stand_before_the_answer(folder: Path) -> None:
    text = (folder / "summary.md").read_text(encoding="utf-8")
    assert 0 < text.index("What this rests on") < text.index("## The answer") < text.index("## Decision table")
    for title in (
        "CHEERS 2022",
        "Structural choices",
        "Each input alone",
        "Pairing audit",
        "Budget impact",
        "Cost of illness",
        "By stratum",
    ):
        assert f"## {title}" in text, title


def test_the_answer_stands_in_the_first_lines(folder: Path) -> None:
    """Heading, four lines of what it rests on, then one paragraph for each question."""
    lines = [line for line in (folder / "summary.md").read_text(encoding="utf-8").splitlines() if line]
    begun = lines.index("## The answer")
    assert begun <= 6
    for place, question in enumerate(
        ("price", "At what price", "At what incidence", "For which patients", "How surely"), begun + 1
    ):
        assert question in lines[place]
    assert "base case" in lines[begun + 6]


def test_every_figure_has_words_for_those_who_do_not_see_it(folder: Path) -> None:
    text = (folder / "summary.md").read_text(encoding="utf-8")
    found = {name: alt for alt, name in re.findall(r"!\[([^]]*)\]\(([^)]+)\)", text)}
    assert set(found) == {path.relative_to(folder).as_posix() for path in (folder / "figures").iterdir()}
    assert all(len(alt) > 30 and ".png" not in alt for alt in found.values())


def test_tables_name_strategies_and_explain_terms(folder: Path) -> None:
    text = (folder / "summary.md").read_text(encoding="utf-8")
    assert "| targeted |" not in text
    assert "| preemptive |" not in text
    assert "## Words" in text
    assert "**break-even price**:" in text


def test_results_add_up(folder: Path) -> None:
    results = json.loads((folder / "results.json").read_text(encoding="utf-8"))
    for row in results["strategies"]:
        assert sum(row["components"].values()) == pytest.approx(row["cost"]["value"], rel=1e-9)
    assert results["checks"]["cost_by_component_against_by_patient"] < 1e-12
    assert results["checks"]["qaly_above_life_years"] == 0
    whole = sum(part["patients"] for part in results["strata"])
    assert whole == results["patients"] == 2000
    mean = sum(part["patients"] * part["increments"][0]["cost"]["value"] for part in results["strata"]) / whole
    assert mean == pytest.approx(results["increments"][0]["cost"]["value"], rel=1e-9)
    prices = [row for row in results["one_way"] if row["kind"] == "price"]
    assert prices
    assert all(row["low"] < row["high"] for row in results["one_way"])
    assert any(row["net_benefit_low"] != row["net_benefit_high"] for row in results["one_way"])
    row = results["increments"][0]
    assert row["cost"]["value"] == pytest.approx(row["drug_cost"] - row["averted"]["value"], rel=1e-9)
    assert results["psa"]["draws"] + results["psa"]["failed"] == 24
    assert {row["id"] for row in results["structural"]} >= {"hospital", "packs", "tail", "whole_blood", "real_world"}


def test_samples_are_read_by_the_table_command(folder: Path, tmp_path: Path) -> None:
    rows = list(csv.DictReader((folder / "PSA.csv").read_text(encoding="utf-8").splitlines()))
    assert {row["strategy"] for row in rows} == {"preemptive", "targeted"}
    done = invoke("economics", "table", str(folder / "PSA.csv"), "--threshold", "50000", "-o", str(tmp_path / "table"))
    assert done.returncode == 0, done.stderr


def test_a_finished_run_is_read_again(folder: Path) -> None:
    done = invoke(*ASKED, "--json", "-o", folder)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout) == json.loads((folder / "results.json").read_text(encoding="utf-8"))


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (("cmv-cart",), "there is only 'preemptive' to choose from"),
        (("letermovir-breakeven", "--strategies", "targetted"), "did you mean 'targeted'"),
        (("letermovir-breakeven", "-n", "1"), "out of range"),
        (("letermovir-breakeven", "--psa", "3"), "0 for none, or 20"),
        (("letermovir-breakeven", "--threshold", "-5"), "0 or more"),
        (("letermovir-breakeven", "--set", "study.horizon=700"), "ends within a year"),
        (("letermovir-breakeven", "--set", "economics.price_list=france_2025_insurer"), "no price list"),
    ],
)
def test_user_mistakes(arguments: tuple[str, ...], says: str, tmp_path: Path) -> None:
    done = invoke("economics", "run", *arguments, "-o", str(tmp_path / "run"))
    assert done.returncode == 2
    assert says in done.stderr
    assert not (tmp_path / "run").exists()
