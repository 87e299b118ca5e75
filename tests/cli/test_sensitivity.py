"""`cmvsim sensitivity` as its user runs it, and what it says against a direct simulation."""

from __future__ import annotations

import csv
import json
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from cli_runner import cmvsim_here, files, results
from published import unmet_by_run

from cmvsim.calibration import Calibration, calibrate
from cmvsim.planning import sensitivity as planning
from cmvsim.planning.experiment import CohortExperiment
from cmvsim.scenarios import ResolvedScenario, resolve
from cmvsim.verbs import power as power_verb
from cmvsim.verbs import replay as replay_verb
from cmvsim.verbs import sensitivity as sensitivity_verb

SMALL = ("-n", 40, "--replicates", 128, "--jobs", 1, "--quiet")
ATTENDANCE = ("sensitivity", "cmv-cart", "--vary", "monitoring.attendance=0.5,0.93,1", *SMALL)


def few(scenario: ResolvedScenario) -> Calibration:
    return calibrate(scenario, 4096)


@pytest.fixture(scope="module", autouse=True)
def quick() -> Iterator[None]:
    """Hazards solved on few patients, and again on few."""
    with pytest.MonkeyPatch.context() as patch:
        for verb in (power_verb, sensitivity_verb, replay_verb):
            patch.setattr(verb, "calibrate", few)
        patch.setattr(planning, "COHORT", 4096)
        yield


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("sensitivity")
    done = cmvsim_here(*ATTENDANCE, "-o", "curve", cwd=folder)
    assert done.returncode == 0, done.stderr
    assert "Over the values of monitoring.attendance it goes from" in done.stdout
    return folder


def _row(tree: dict, setting: dict, measure: str) -> dict:
    return next(row for row in tree["rows"] if row["setting"] == setting and row["measure"] == measure)


def test_the_run_meets_its_schema_and_leaves_what_it_promises(place: Path) -> None:
    assert unmet_by_run(place / "curve", "sensitivity") == []
    names = files(place / "curve")
    assert {"results.json", "rows.csv", "summary.md", "figures/curve.png", "figures/curve-mean_estimate.png"} <= names
    assert not any("chunks" in name for name in names)


def test_independent_simulation_gives_the_same_figures(place: Path) -> None:
    """The scenario with the other number, typed by --set, at the scenario's own hazards."""
    tree, base = results(place / "curve"), resolve("cmv-cart")
    other = resolve("cmv-cart", ["monitoring.attendance=0.5"])
    hazards = few(base).baseline
    columns = [
        np.concatenate(
            [
                CohortExperiment(scenario, hazards, (40,), ("cmv_reactivation",), sensitivity=False, seed=1).chunk(i).values
                for i in range(2)
            ]
        )[:, 0, 0]
        for scenario in (base, other)
    ]
    estimates, widths = [c[:, 0] for c in columns], [(c[:, 3] - c[:, 2]) / 2 for c in columns]
    row = _row(tree, {"monitoring.attendance": 0.5}, "mean_estimate")
    assert row["value"] == pytest.approx(estimates[1].mean(), rel=1e-11)
    assert row["difference"] == pytest.approx((estimates[1] - estimates[0]).mean(), rel=1e-9)
    assert row["difference_mcse"] == pytest.approx((estimates[1] - estimates[0]).std(ddof=1) / np.sqrt(128), rel=1e-9)
    assert row["difference_mcse"] < row["mcse"]  # the same patients
    assert _row(tree, {"monitoring.attendance": 0.5}, "half_width")["value"] == pytest.approx(widths[1].mean(), rel=1e-11)


def test_the_value_that_the_scenario_has_changes_nothing(place: Path) -> None:
    tree = results(place / "curve")
    for measure in tree["measures"]:
        row, base = _row(tree, {"monitoring.attendance": 0.93}, measure), _row(tree, {}, measure)
        assert (row["value"], row["difference"], row["same"]) == (base["value"], 0, True)
    assert not _row(tree, {"monitoring.attendance": 1.0}, "half_width")["same"]


def test_two_workers_and_a_replay_give_the_same_bytes(place: Path) -> None:
    done = cmvsim_here(*ATTENDANCE[:-3], "--jobs", 2, "--quiet", "-o", "two", cwd=place)
    assert done.returncode == 0, done.stderr
    assert (place / "two" / "results.json").read_bytes() == (place / "curve" / "results.json").read_bytes()
    again = cmvsim_here("replay", "curve", "--quiet", cwd=place)
    assert again.returncode == 0, again.stdout + again.stderr
    assert "identical" in again.stdout


def test_an_interrupted_run_continues(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Stopped after the first setting: its chunks are read back, not simulated again."""
    seen: list[str] = []
    real = planning.run

    def counted(experiment: CohortExperiment, **options: object) -> object:
        seen.append(experiment.request.digest)
        if len(seen) == 3 and not again:
            raise KeyboardInterrupt
        return real(experiment, **options)  # type: ignore[arg-type]

    monkeypatch.setattr(planning, "run", counted)
    again = False
    stopped = cmvsim_here(*ATTENDANCE, "-o", "stopped", cwd=place)
    assert stopped.returncode == 130
    assert (place / "stopped" / "unfinished.json").exists()
    again = True
    simulated = []
    chunk = CohortExperiment.chunk
    monkeypatch.setattr(CohortExperiment, "chunk", lambda self, index: simulated.append(index) or chunk(self, index))
    done = cmvsim_here(*ATTENDANCE, "-o", "stopped", cwd=place)
    assert done.returncode == 0, done.stderr
    assert (place / "stopped" / "results.json").read_bytes() == (place / "curve" / "results.json").read_bytes()
    assert 0 < len(simulated) < 6, "the base was simulated again"


def test_a_grid_has_every_combination_and_targets_are_solved_again(place: Path) -> None:
    done = cmvsim_here(
        *("sensitivity", "cmv-cart", "--vary", "cmv.targets[0].value=0.2,0.4", "--vary", "analysis.prevalent=count,exclude"),
        *(*SMALL, "-o", "grid"),
        cwd=place,
    )
    assert done.returncode == 0, done.stderr
    tree = results(place / "grid")
    assert unmet_by_run(place / "grid", "sensitivity") == []
    means = {
        (v, p): _row(tree, {"cmv.targets[0].value": v, "analysis.prevalent": p}, "mean_estimate")["value"]
        for v in (0.2, 0.4)
        for p in ("count", "exclude")
    }
    assert means[0.4, "exclude"] - means[0.2, "exclude"] > 0.12
    assert means[0.2, "count"] > means[0.2, "exclude"]
    assert [item["kind"] for item in tree["inputs"]] == ["target", "law"]
    assert (place / "grid" / "figures" / "grid.png").stat().st_size > 5000


def test_a_tornado_of_all_that_is_uncertain_orders_by_influence(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    wanted = ("cmv.targets[0].value", "resources.cmv.kidney_injury_days", "cmv.onset.shape", "cmv.load.set_point")
    whole = sensitivity_verb.unknowns
    monkeypatch.setattr(sensitivity_verb, "unknowns", lambda s: tuple(v for v in whole(s) if v.key in wanted))
    done = cmvsim_here("sensitivity", "cmv-cart", *SMALL, "--json", "-o", "tornado", cwd=place)
    assert done.returncode == 0, done.stderr
    tree = json.loads(done.stdout)
    assert tree == results(place / "tornado")
    assert unmet_by_run(place / "tornado", "sensitivity") == []
    ranked = [row for row in tree["influence"] if row["measure"] == "mean_estimate"]
    assert {row["input"] for row in ranked} == set(wanted)
    assert [row["range"] for row in ranked] == sorted((row["range"] for row in ranked), reverse=True)
    assert {ranked[0]["input"], ranked[1]["input"]} == {"cmv.targets[0].value", "cmv.load.set_point"}
    idle = next(row for row in ranked if row["input"] == "resources.cmv.kidney_injury_days")
    assert idle["range"] == 0
    with (place / "tornado" / "rows.csv").open(encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == 3 * (1 + 2 * len(wanted))
    assert "depends most on" in (place / "tornado" / "summary.md").read_text(encoding="utf-8")


@pytest.mark.parametrize(
    ("typed", "told"),
    [
        (("--vary", "monitoring.attendence=1"), "did you mean 'monitoring.attendance'"),
        (("--vary", "monitoring.attendance=1,2"), "a number from 0 to 1"),
        (("--vary", "monitoring.attendance="), "no value is given"),
        (("--vary", "analysis.prevalent"), "nothing says what is not known"),
        (("--vary", "cmv.onset.shape=1", "--vary", "cmv.onset.shape=2"), "is varied twice"),
        (("--vary", "analysis.prevalent=sometimes"), "not allowed"),
        (("--measure", "power"), "is no measure here"),
        (("--design", "x"), "has no design 'x'"),
        (("-n", "10,20"), "2 sample sizes"),
        (("--replicates", 1), "at least 2"),
    ],
)
def test_mistakes_end_with_2_and_leave_nothing(tmp_path: Path, typed: tuple[object, ...], told: str) -> None:
    done = cmvsim_here("sensitivity", "cmv-cart", *typed, cwd=tmp_path)
    assert done.returncode == 2
    assert told in done.stderr
    assert "Traceback" not in done.stderr
    assert not files(tmp_path)


def test_a_target_out_of_reach_is_told_and_the_rest_is_shown(place: Path) -> None:
    typed = ("--vary", "cmv.targets[0].value=0.3,0.97", *SMALL, "-o", "far")
    done = cmvsim_here("sensitivity", "cmv-cart", *typed, cwd=place)
    assert done.returncode == 0, done.stderr
    tree = results(place / "far")
    assert [item["setting"] for item in tree["unreached"]] == [{"cmv.targets[0].value": 0.97}]
    assert tree["warnings"]
    assert unmet_by_run(place / "far", "sensitivity") == []
