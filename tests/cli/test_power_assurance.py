"""`cmvsim power` of an assurance design as its user runs it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from cli_runner import cmvsim_here, files, results
from published import unmet_by_run

from cmvsim.calibration import Calibration, calibrate
from cmvsim.scenarios import ResolvedScenario
from cmvsim.verbs import power as power_verb
from cmvsim.verbs import power_assurance
from cmvsim.verbs import replay as replay_verb

PRECISION = ("--set", 'designs.assured={kind="assurance", of="precision", studies_per_draw=4}', "--design", "assured")
SMALL = ("--half-width", 0.14, "-n", "20,40", "--replicates", 128, "--quiet")
ASKED = ("power", "cmv-cart", *PRECISION, *SMALL)


@pytest.fixture(scope="module", autouse=True)
def quick() -> Iterator[None]:
    """Hazards solved on few patients."""

    def few(scenario: ResolvedScenario) -> Calibration:
        return calibrate(scenario, 16_384)

    with pytest.MonkeyPatch.context() as patch:
        for verb in (power_verb, power_assurance, replay_verb):
            patch.setattr(verb, "calibrate", few)
        yield


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("assurance")
    done = cmvsim_here(*ASKED, "--jobs", 1, "-o", "run", cwd=folder)
    assert done.returncode == 0, done.stderr
    assert "at the scenario's own numbers" in done.stdout
    return folder


def test_the_run_meets_its_schema_and_leaves_its_files(place: Path) -> None:
    assert unmet_by_run(place / "run", "power-assurance") == []
    assert {"summary.md", "rows.csv", "figures/assurance.png", "figures/distribution.png"} <= files(place / "run")
    tree = results(place / "run")
    assert (tree["kind"], tree["of"], tree["draws"], tree["answer"]) == ("assurance", "precision", 32, None)
    assert [row["n"] for row in tree["rows"]] == [20, 40]
    assert 0 < tree["rows"][1]["assurance"] < 1


def test_two_workers_and_a_replay_give_the_same(place: Path) -> None:
    done = cmvsim_here(*ASKED, "--jobs", 2, "-o", "two", cwd=place)
    assert done.returncode == 0, done.stderr
    assert (place / "two" / "results.json").read_bytes() == (place / "run" / "results.json").read_bytes()
    again = cmvsim_here("replay", "run", "--quiet", cwd=place)
    assert again.returncode == 0, again.stdout + again.stderr
    assert "identical" in again.stdout


def test_a_randomised_design_has_an_assurance(place: Path) -> None:
    design = ("--set", 'designs.assured={kind="assurance", of="superiority"}', "--design", "assured")
    asked = ("power", "letermovir-trial", *design, "-n", 60, "--replicates", 64, "--quiet", "--jobs", 1)
    done = cmvsim_here(*asked, "-o", "trial", cwd=place)
    assert done.returncode == 0, done.stderr
    assert unmet_by_run(place / "trial", "power-assurance") == []
    tree = results(place / "trial")
    assert tree["of_kind"] == "two_arm"
    assert tree["half_width"] is None
    assert 0 <= tree["rows"][0]["assurance"] <= 1
    assert tree["rows"][0]["distribution"] is None


@pytest.mark.parametrize(
    ("typed", "told"),
    [
        ((*PRECISION, "--mcse", 0.01), "is not offered with an assurance"),
        ((*PRECISION, "--replicates", 1), "at least 2"),
        ((*PRECISION, "--endpoint", "cmv_reactivation", "--endpoint", "cmv_disease"), "2 endpoints"),
        ((*PRECISION, "--probability", 1.2), "is no assurance"),
        ((*PRECISION, "--detectable"), "is not offered with an assurance"),
        (("--set", 'designs.assured={kind="assurance", of="nothing"}'), "does not exist"),
    ],
)
def test_mistakes_end_with_2(tmp_path: Path, typed: tuple[object, ...], told: str) -> None:
    done = cmvsim_here("power", "cmv-cart", *typed, cwd=tmp_path)
    assert done.returncode == 2
    assert told in done.stderr
    assert "Traceback" not in done.stderr
    assert not files(tmp_path)
