"""`cmvsim power` of designs that test one arm, have two stages or interim looks; `formula --simulate`."""

from __future__ import annotations

import json
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from cli_runner import cmvsim_here, results
from published import unmet_by_run

from cmvsim.montecarlo.estimand_values import estimand_values
from cmvsim.planning import single_arm, staged_detectable
from cmvsim.planning.trial_sequential import CmvLooks
from cmvsim.scenarios import ResolvedScenario
from cmvsim.verbs import power as power_verb
from cmvsim.verbs import replay as replay_verb
from tests.simulation.pathway_build import given_baseline

TOP = Path(__file__).parents[2]
ONE_ARM = TOP / "scenarios" / "letermovir-single-arm.toml"
RUNS = {
    "test": ("power", ONE_ARM, "--design", "test", "-n", "40,60", "--replicates", 64),
    "searched": ("power", ONE_ARM, "--replicates", 64, "--set", "designs.test.null_incidence=0.6"),
    "simon": ("power", ONE_ARM, "--design", "simon", "--replicates", 64, "--set", "designs.simon={p0=0.6,p1=0.3}"),
    "looks": ("power", "letermovir-trial", "--design", "sequential", "-n", "60,80", "--replicates", 64),
    "detected": ("power", ONE_ARM, "--detectable", "-n", 60, "--replicates", 64, "--set", "designs.test.null_incidence=0.25"),
    "stages-detected": ("power", ONE_ARM, "--design", "simon", "--detectable", "--power", 0.7, "--replicates", 64, "--set",
                        "designs.simon={p0=0.25,p1=0.08}"),
}  # fmt: skip
NO_SITES = ("--set", "accrual.sites.adult.count=0", "--set", "accrual.sites.paediatric.count=0")
KINDS = {
    "test": "single_arm_test",
    "searched": "single_arm_test",
    "simon": "simon_two_stage",
    "looks": "group_sequential",
    "detected": "single_arm_test",
    "stages-detected": "simon_two_stage",
}


def given(scenario: ResolvedScenario) -> SimpleNamespace:
    """Hazards that nobody solved."""
    baseline = given_baseline(len(scenario.spec.population.strata), 5.0)
    return SimpleNamespace(baseline=baseline, targets=(), as_dict=baseline.as_dict)


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    folder = tmp_path_factory.mktemp("staged")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(power_verb, "calibrate", given)
        patch.setattr(replay_verb, "calibrate", given)
        patch.setattr(staged_detectable, "estimand_values", partial(estimand_values, chunks=1))
        for name, asked in RUNS.items():
            done = cmvsim_here(*asked, "--jobs", 1, "-o", name, cwd=folder)
            assert done.returncode == 0, done.stderr
            (folder / f"{name}.txt").write_text(done.stdout, encoding="utf-8")
        yield folder


@pytest.mark.parametrize("name", RUNS)
def test_a_run_is_answered_in_words_with_a_figure_and_meets_its_schema(place: Path, name: str) -> None:
    assert unmet_by_run(place / name, "power-staged") == []
    tree = results(place / name)
    assert tree["kind"] == KINDS[name]
    said = (place / f"{name}.txt").read_text(encoding="utf-8")
    assert "MCSE" in said
    assert "nan" not in said
    assert "None" not in said
    summary = (place / name / "summary.md").read_text(encoding="utf-8")
    assert "What this rests on" in summary
    for language in ("The power was determined by simulation", "La puissance a été déterminée par simulation"):
        assert language in summary
    protocol = summary.split("## For the protocol")[1].split("## What this rests on")[0]
    assert not {"None", "nan", "?", "{"} & set(protocol.replace("(", " ").replace(")", " ").split())
    assert "{" not in protocol
    assert "« Létermovir jusqu'à J98" in protocol
    assert "du scénario" not in protocol  # each strategy has its French name
    (figure,) = (place / name / "figures").iterdir()
    assert f"figures/{figure.name}" in summary
    assert figure.stat().st_size > 5_000


def test_the_search_names_first_and_stable_sizes_and_confirms(place: Path) -> None:
    facts = results(place / "searched")["facts"]
    assert facts["first"] <= facts["stable"] <= facts["n"]
    assert [point["n"] for point in facts["confirmation"]][1:2] == [facts["n"]] or len(facts["confirmation"]) < 3
    assert "sawtooth" in (place / "searched.txt").read_text(encoding="utf-8")


@pytest.mark.parametrize("name", ["detected", "stages-detected"])
def test_the_smallest_detectable_effect_of_one_arm(place: Path, name: str) -> None:
    tree = results(place / name)
    found = tree["facts"]["detectable"]
    assert tree["request"]["question"]["detectable"] is True
    said = (place / f"{name}.txt").read_text(encoding="utf-8")
    assert "nearest to 25%" in said
    assert "The exact calculation says" in said
    assert found["difference"] == pytest.approx(found["incidence"] - 0.25)
    point = found["confirmation"]
    assert (found["status"] == "confirmed") == (point["power"] - 1.96 * point["mcse"] > found["wanted"] - 0.01)
    assert found["status"] == "confirmed"


def test_the_smallest_size_of_an_example_is_told(tmp_path: Path) -> None:
    one = cmvsim_here("power", "letermovir-trial", "-n", 1, cwd=tmp_path)
    assert (one.returncode, "at least 4: one block of 4" in one.stderr) == (2, True)
    few = cmvsim_here("sensitivity", ONE_ARM, "-n", 10, cwd=tmp_path)
    assert (few.returncode, "at least 24" in few.stderr) == (2, True)
    assert not list(tmp_path.iterdir())


def test_failed_replicates_leave_their_tables(tmp_path: Path) -> None:
    """A stage and a look that raise in some replicates: told with the run they are of, kept with tables and traceback."""
    stages, looked = single_arm.two_stages, CmvLooks._looked

    def refuse(*given: Any) -> Any:
        outcome = stages(*given)
        if outcome is not None and outcome.first_events % 3 == 0:
            raise ArithmeticError(f"{outcome.first_events} events")
        return outcome

    def refuse_late(trial: CmvLooks, study: Any, *given: Any) -> Any:
        if study.replicates == 64 or study.disposition.end[0, 0] < 60:
            raise ArithmeticError("the first patient left early")
        return looked(trial, study, *given)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(power_verb, "calibrate", given)
        patch.setattr(single_arm, "two_stages", refuse)
        patch.setattr(CmvLooks, "_looked", refuse_late)
        for name in ("simon", "looks"):
            done = cmvsim_here(*RUNS[name], "--jobs", 1, "--quiet", "-o", name, cwd=tmp_path)
            assert done.returncode == 0, done.stderr
            assert unmet_by_run(tmp_path / name, "power-staged") == []
    for name, below in (("simon", ""), ("looks", "study-60")):
        tree, folder = results(tmp_path / name), tmp_path / name / "failures" / below
        assert 1 <= len(tree["failures"]) <= 5
        assert {failure["stage"] for failure in tree["failures"]} == {below or "study"}
        assert any("raised an error and count as failed" in text and "at best" in text for text in tree["warnings"])
        (power,) = (row for row in tree["rows"] if row["measure"] == "power" and row["n_failed"] and row["term"] == ""
                    and row["n"] == tree["rows"][0]["n"] and row["estimator"] == tree["rows"][0]["estimator"])  # fmt: skip
        assert power["low"] == power["value"] < power["high"] == pytest.approx(power["low"] + power["n_failed"] / 64)
        for failure in tree["failures"]:
            kept = folder / f"replicate-{failure['replicate']:06d}"
            assert {"subjects.csv", "samples.csv", "analysis.toml", "traceback.txt"} <= {path.name for path in kept.iterdir()}
            told = (kept / "traceback.txt").read_text(encoding="utf-8")
            assert failure["message"] in told
            assert f"--replicate {failure['replicate']}" in told
            assert ("--design sequential" if below else "--strategy letermovir") in told


def test_the_same_request_is_found_again_and_replayed(place: Path) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(power_verb, "calibrate", given)
        patch.setattr(replay_verb, "calibrate", given)
        patch.setattr(staged_detectable, "estimand_values", partial(estimand_values, chunks=1))
        again = cmvsim_here(*RUNS["looks"], "--jobs", 1, "-o", "looks", cwd=place)
        assert "(finished before)" in again.stdout
        for name in RUNS:
            checked = cmvsim_here("replay", name, "--check", "--jobs", 1, cwd=place)
            assert checked.returncode == 0, checked.stdout
            assert "identical" in checked.stdout


@pytest.mark.parametrize(
    ("asked", "says"),
    [
        (("power", ONE_ARM, "--design", "simon", "-n", 30), "boundaries of Simon's design"),
        (("power", ONE_ARM, "--half-width", 0.05), "no precision is looked for"),
        (("power", ONE_ARM, "--mcse", 0.01), "--replicates"),
        (("power", ONE_ARM, "--power", 0.9, "-n", 30), "one of the two"),
        (("power", ONE_ARM, "--power", 1.9), "is no power"),
        (("power", ONE_ARM, "--design", "simon", "--power", 0.9), "names its own power"),
        (("power", "letermovir-trial", "--design", "sequential", "--detectable"), "smallest effect"),
        (("power", ONE_ARM, "--endpoint", "hrql"), "no cumulative incidence"),
        (("power", ONE_ARM, "--design", "simons"), "did you mean 'simon'"),
        (("power", "letermovir-trial", "--design", "sequential", "-n", "10:100:5"), "at most 8"),
        (("power", "letermovir-trial", "--design", "sequential", *NO_SITES), "no site recruits"),
        (("power", "letermovir-trial", "--set", "designs.sequential.looks={information=[0.5,0.8]}"), "information 1"),
        (("power", "letermovir-trial", "--set", "designs.sequential.comparison='newcombe'"), "no standard error"),
        (("formula", "schoenfeld", "hr=0.6", "--simulate", 10), "events alone"),
        (("formula", "simon", "p0=0.1", "p1=0.3", "--simulate", 10), "no trial to simulate"),
        (("formula", "competing-risks", "control=0.3", "experimental=0.2", "competing=0.1", "accrual=2", "followup=1",
          "--simulate", 0), "0 replicates"),
    ],
)  # fmt: skip
def test_mistakes_are_told_in_one_message(tmp_path: Path, asked: tuple[object, ...], says: str) -> None:
    done = cmvsim_here(*asked, cwd=tmp_path)
    assert done.returncode == 2, done.stdout
    assert says in done.stderr
    assert "Traceback" not in done.stderr
    assert not list(tmp_path.iterdir())


def test_a_formula_beside_its_simulation(tmp_path: Path) -> None:
    asked = ("formula", "competing-risks", "control=0.3", "experimental=0.15", "competing=0.1", "accrual=2", "followup=1")
    done = cmvsim_here(*asked, "--simulate", 320, "--jobs", 1, "--json", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    tree = json.loads(done.stdout)
    rows = {(row["measure"], row["at"]): row["value"] for row in tree["simulated"]["rows"]}
    assert rows["n", "simulated"] == 206
    assert 0.68 < rows["power", "logrank"] < 0.88
    assert rows["power_mcse", "logrank"] < 0.03
    assert tree["simulated"]["why_different"]
    other = cmvsim_here(*asked, "--simulate", 320, "--jobs", 1, "--seed", 2, "--json", cwd=tmp_path)
    assert json.loads(other.stdout)["simulated"]["rows"] != tree["simulated"]["rows"]
    spoken = cmvsim_here(*asked, "--simulate", 64, "--jobs", 1, cwd=tmp_path)
    assert "Why they differ:" in spoken.stdout
