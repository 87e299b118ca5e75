"""`cmvsim power` of designs that test one arm, have two stages or interim looks; `formula --simulate`."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace

import pytest
from cli_runner import cmvsim_here, results
from published import unmet_by_run

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
}
NO_SITES = ("--set", "accrual.sites.adult.count=0", "--set", "accrual.sites.paediatric.count=0")
KINDS = {"test": "single_arm_test", "searched": "single_arm_test", "simon": "simon_two_stage", "looks": "group_sequential"}


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
    (figure,) = (place / name / "figures").iterdir()
    assert f"figures/{figure.name}" in summary
    assert figure.stat().st_size > 5_000


def test_the_search_names_first_and_stable_sizes_and_confirms(place: Path) -> None:
    facts = results(place / "searched")["facts"]
    assert facts["first"] <= facts["stable"] <= facts["n"]
    assert [point["n"] for point in facts["confirmation"]][1:2] == [facts["n"]] or len(facts["confirmation"]) < 3
    assert "sawtooth" in (place / "searched.txt").read_text(encoding="utf-8")


def test_the_same_request_is_found_again_and_replayed(place: Path) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(power_verb, "calibrate", given)
        patch.setattr(replay_verb, "calibrate", given)
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
