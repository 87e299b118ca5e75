"""`cmvsim power` of a randomised design as its user runs it: power, search, smallest detectable effect, replay, mistakes."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from pathlib import Path

import pytest
from cli_runner import Done, cmvsim_here, files, results
from published import unmet_by_run

from cmvsim.calibration import calibrate
from cmvsim.models.baseline import Baseline
from cmvsim.montecarlo.contrast_values import contrast_values
from cmvsim.planning import trial_power
from cmvsim.scenarios import ResolvedScenario

TRIAL = (
    *("power", "letermovir-trial", "--quiet", "--replicates", 64, "--jobs", 1),
    *("--set", 'letermovir.effect="given"', "--set", "letermovir.given={onset_ratio=0.2,set_point_shift=-1.0}"),
    *("--set", 'analysis.definition="quantifiable"'),
)


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A search, two sizes, and a detectable effect; estimand values of a small cohort, and no other incidence solved."""
    folder = tmp_path_factory.mktemp("trials")

    def the_same(scenario: ResolvedScenario) -> Iterator[tuple[float, ResolvedScenario, Baseline]]:
        yield 0.213, scenario, calibrate(scenario).baseline

    asked = {
        "searched": ("--power", 0.7),
        "sizes": ("-n", "60,100", "--endpoint", "cmv_disease", "--type1"),
        "detectable": ("-n", 150, "--detectable"),
    }
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(trial_power, "contrast_values", partial(contrast_values, chunks=4))
        patch.setattr(trial_power, "variants", the_same)
        for name, options in asked.items():
            done = cmvsim_here(*TRIAL, *options, "-o", name, cwd=folder)
            assert done.returncode == 0, done.stderr
            (folder / f"{name}.txt").write_text(done.stdout, encoding="utf-8")
        yield folder


def told(place: Path, name: str) -> str:
    return (place / f"{name}.txt").read_text(encoding="utf-8")


@pytest.mark.parametrize("name", ["searched", "sizes", "detectable"])
def test_each_run_meets_the_published_schema(place: Path, name: str) -> None:
    assert unmet_by_run(place / name, "power-trial") == []
    assert {"summary.md", "rows.csv", "example_study.csv", "figures/cumulative_incidence.png"} <= files(place / name)


def test_the_type_i_error_stands_beside_the_power(place: Path) -> None:
    tree = results(place / "sizes")
    found = tree["type1"]
    assert (found["nominal"], found["edge"], found["strength"], found["truth"]) == (0.05, 0, None, None)
    assert [row["n"] for row in found["rows"]] == [60, 100]
    for row in found["rows"]:
        assert row["value"] < 0.05 + 5 * row["mcse"]
        assert abs(row["mean_estimate"]) < 5 * row["mean_estimate_mcse"]
    assert "both arms are given the control strategy" in told(place, "sizes")


def test_the_answer_is_n_beside_the_closed_form_and_why_they_differ(place: Path) -> None:
    tree, text = results(place / "searched"), told(place, "searched")
    (answer,) = tree["answers"]
    assert f"{answer['n']} patients (" in text
    assert f"The closed form (two proportions, score test) says {answer['closed_form']['n']}" in text
    assert "doses are missed" in text
    assert "Monte Carlo interval" in text
    assert "number needed to treat" in text
    assert tree["request"]["question"]["power"] == 0.7
    summary = (place / "searched" / "summary.md").read_text(encoding="utf-8")
    assert "Patients are randomised 1:1 between 'Placebo, pre-emptive therapy' (control)" in summary
    assert "Les patients sont randomisés 1:1" in summary
    assert "Schoenfeld, log-rank test" in summary
    assert "nan" not in summary
    assert "None" not in summary


def test_sizes_without_a_power_are_only_reported(place: Path) -> None:
    tree, text = results(place / "sizes"), told(place, "sizes")
    assert tree["answers"] == []
    assert "With 60 patients (30 and 30 by arm, control first) the power is" in text
    assert "too few to compare CMV disease" in text
    assert {row["n"] for row in tree["rows"]} == {60, 100}


def test_the_smallest_effect_is_told_with_its_risks(place: Path) -> None:
    tree, text = results(place / "detectable"), told(place, "detectable")
    found = tree["detectable"]
    assert "The smallest effect that 150 patients" in text
    assert found["wanted"] == 0.8
    assert found["experimental"] < found["control"]
    assert "figures/strength.png" in files(place / "detectable")


def test_runs_replay(place: Path) -> None:
    done: Done = cmvsim_here("replay", "sizes", "--check", "--quiet", cwd=place)
    assert (done.returncode, done.stdout) == (0, "sizes: identical\n"), done.stderr


@pytest.mark.parametrize(
    ("asked", "says"),
    [
        (("power", "cmv-cart", "--power", "0.8"), ("decides nothing", "--power")),
        (("power", "letermovir-trial", "--power", "80"), ("80 is no power", "0.9")),
        (("power", "letermovir-trial", "--half-width", "0.05"), ("asked for its power", "--power 0.9")),
        (("power", "letermovir-trial", "--endpoint", "hrql"), ("hrql cannot be compared", "cmv_disease")),
        (("power", "letermovir-trial", "--detectable", "-n", "100,200"), ("2 sample sizes", "one size")),
        (("power", "letermovir-trial", "--detectable", "--type1"), ("--type1", "one of the two")),
        (("power", "letermovir-trial", "--design", "sequential", "--type1"), ("--type1", "unasked")),
    ],
)
def test_a_mistake_is_one_message(asked: tuple[str, ...], says: tuple[str, ...], tmp_path: Path) -> None:
    done = cmvsim_here(*asked, cwd=tmp_path)
    assert done.returncode == 2, done.stdout + done.stderr
    for text in says:
        assert text in done.stderr
    assert "Traceback" not in done.stderr
    assert not list(tmp_path.iterdir())
