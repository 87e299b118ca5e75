"""`cmvsim simulate` as its user runs it: tables, the history beside them, strategies, the counterfactual, replay."""

from __future__ import annotations

import json
from pathlib import Path

import pandas as pd
import pytest
from cli_runner import Done, cmvsim_here, files, results

STUDY = ("subjects.csv", "samples.csv", "exposures.csv", "events.csv", "disposition.csv", "analysis.toml")


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Runs of the same 30 patients."""
    folder = tmp_path_factory.mktemp("simulated")
    for name, options in {"plain": (), "history": ("--history",), "off": ("--history", "--no-cmv")}.items():
        done = cmvsim_here("simulate", "cmv-cart", "-n", 30, "--quiet", "-o", name, *options, cwd=folder)
        assert done.returncode == 0, done.stderr
        assert done.stdout.startswith("1 simulated study of 30 patients in")
    return folder


def replay(place: Path, name: str) -> Done:
    return cmvsim_here("replay", name, "--check", "--quiet", cwd=place)


def test_the_history_stands_beside_the_same_tables(place: Path) -> None:
    for name in STUDY:
        assert (place / "plain" / name).read_bytes() == (place / "history" / name).read_bytes()
    extra = files(place / "history") - files(place / "plain")
    assert {name for name in extra if not name.startswith("history_")} == set()
    assert {"history_patients.csv", "history_episodes.csv", "history_ledger.csv", "history_questionnaires.csv"} <= extra


def test_without_cmv_they_are_the_same_patients(place: Path) -> None:
    assert (place / "off" / "subjects.csv").read_bytes() == (place / "plain" / "subjects.csv").read_bytes()
    assert set(pd.read_csv(place / "off" / "samples.csv")["result"]) <= {"not_detected", "missed"}
    assert "quantified" in set(pd.read_csv(place / "plain" / "samples.csv")["result"])
    assert (
        len(pd.read_csv(place / "off" / "history_episodes.csv"))
        == 0
        < len(pd.read_csv(place / "history" / "history_episodes.csv"))
    )


def test_each_request_has_its_own_digest(place: Path) -> None:
    found = [results(place / name) for name in ("plain", "history", "off")]
    assert len({tree["digest"] for tree in found}) == 3
    assert [tree["cmv"] for tree in found] == [True, True, False]
    assert {tree["strategy"] for tree in found} == {"preemptive"}


def test_naming_the_reference_strategy_is_the_default(place: Path) -> None:
    done = cmvsim_here("simulate", "cmv-cart", "-n", 30, "--strategy", "preemptive", "-o", "plain", "--json", cwd=place)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout) == results(place / "plain")


def test_a_randomised_design_assigns_arms_that_estimate_compares(place: Path) -> None:
    done = cmvsim_here("simulate", "letermovir-trial", "-n", 40, "--design", "superiority", "--quiet", "-o", "arms", cwd=place)
    assert done.returncode == 0, done.stderr
    arm = pd.read_csv(place / "arms" / "subjects.csv")["arm"]
    assert set(arm) == {"preemptive", "letermovir"}
    assert abs((arm == "letermovir").sum() - 20) <= 6
    takes = set(pd.read_csv(place / "arms" / "exposures.csv").query("drug == 'letermovir'")["patient"])
    assert takes <= set(pd.read_csv(place / "arms" / "subjects.csv").query("arm == 'letermovir'")["patient"])
    assert results(place / "arms")["strategy"] is None
    assert replay(place, "arms").stdout == "arms: identical\n"
    done = cmvsim_here("estimate", "arms", "--quiet", "-o", "compared", cwd=place)
    assert done.returncode == 0, done.stderr
    rows = {(row["estimator"], row["term"]) for row in results(place / "compared")["rows"]}
    assert {
        ("risk_difference", "letermovir - preemptive"),
        ("by_arm", "letermovir"),
        ("gray_p", "letermovir against preemptive"),
    } <= rows


def test_a_run_replays_and_an_edited_table_is_told(place: Path) -> None:
    done = replay(place, "history")
    assert (done.returncode, done.stdout) == (0, "history: identical\n"), done.stderr
    path = place / "off" / "history_patients.csv"
    path.write_text(path.read_text(encoding="utf-8").replace("P01,", "P1,"), encoding="utf-8")
    edited = replay(place, "off")
    assert edited.returncode == 3
    assert "history_patients.csv was changed after the run" in edited.stdout


def test_a_replay_that_gives_other_tables_is_different(place: Path, tmp_path: Path) -> None:
    done = cmvsim_here("simulate", "cmv-cart", "-n", 5, "--replicates", 2, "--quiet", "-o", "two", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    tree = results(tmp_path / "two")
    assert "replicate-0001/samples.csv" in tree["tables"]
    tree["tables"]["replicate-0001/samples.csv"] = "0" * 64
    (tmp_path / "two" / "results.json").write_text(json.dumps(tree), encoding="utf-8")
    checked = replay(tmp_path, "two")
    assert checked.returncode == 3
    assert ".tables.replicate-0001/samples.csv" in checked.stdout
