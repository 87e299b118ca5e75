"""The joint misfit: one law for all cohorts, conflicts where figures pull apart, and a search that finds a known minimum."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence

import numpy as np
import pytest
from click.testing import CliRunner

from cmvsim.calibration import calibrate, fit, joint
from cmvsim.calibration.checks import checked
from cmvsim.calibration.joint import Bench, JointRow, Misfit, conflicts, resolve_under, sum_of_squares
from cmvsim.calibration.levers import LEVERS, Law, moved
from cmvsim.calibration.targets import TargetResult
from cmvsim.cli import cli
from cmvsim.core.canonical import canonical_json
from cmvsim.core.errors import CalibrationError
from cmvsim.evidence import parameter
from cmvsim.report.calibration_text import misfit_table
from cmvsim.scenarios import catalogue_ids, resolve

SMALL = 16_384


def row(cohort: str, distance: float, *, solved: bool = False, measure: str = "share_reaching") -> JointRow:
    figure = TargetResult(measure, "", 0.3, (0.2, 0.4), 0.31, 0.001, "inside interval", "detected", 90.0, distance)
    return JointRow(cohort, solved, figure)


class Plane:
    """A bench whose distances are linear in the steps of the levers."""

    names = ("a", "b")

    def __init__(self, at: Sequence[float], slopes: Sequence[Sequence[float]], solved: Sequence[bool] = ()) -> None:
        self.at, self.slopes, self.solved = np.array(at), np.array(slopes), solved or [False] * len(at)
        self.asked: list[Law] = []

    def rows(self, law: Law) -> tuple[JointRow, ...]:
        self.asked.append(law)
        steps = np.array([self._steps(law, lever) for lever in LEVERS])
        z = self.at + self.slopes @ steps[: self.slopes.shape[1]]
        return tuple(row(f"cohort {i}", float(x), solved=self.solved[i]) for i, x in enumerate(z))

    @staticmethod
    def _steps(law: Law, lever) -> float:
        here, now = lever.read({}), lever.read(law)
        return (math.log(now / here) if lever.log else now - here) / lever.step


# ---- levers


@pytest.mark.parametrize("lever", LEVERS, ids=lambda lever: lever.name)
def test_a_lever_moves_its_own_number_and_nothing_else(lever) -> None:
    law = moved({}, lever, 1.5)
    expected = lever.read({}) * math.exp(1.5 * lever.step) if lever.log else lever.read({}) + 1.5 * lever.step
    assert lever.read(law) == pytest.approx(expected)
    for other in LEVERS:
        if other is not lever:
            assert other.read(law) == other.read({})
    assert moved(law, lever, -1.5) != law
    assert lever.read(moved(law, lever, -1.5)) == pytest.approx(lever.read({}))
    assert set(law) == {lever.entry}


def test_levers_are_numbers_that_no_paper_states() -> None:
    assert {parameter(lever.entry).grade for lever in LEVERS} == {"assumed"}
    assert {parameter(lever.entry).role for lever in LEVERS} <= {"law", "input"}


# ---- one law for all


@pytest.mark.parametrize("name", catalogue_ids())
def test_the_empty_law_is_the_catalogue(name: str) -> None:
    assert resolve_under(name, {}).digest == resolve(name).digest


@pytest.mark.parametrize("name", catalogue_ids())
def test_a_law_reaches_every_cohort_and_what_it_is_calibrated_on(name: str) -> None:
    law = {
        "set_point_shift_steroids": 1.25,
        "cmv_set_point_plasma": {"mean": 1.5, "varies": {"sd": 0.7}},
        "lod_whole_blood": 77,
    }
    scenario = resolve_under(name, law)
    for spec in (scenario.spec, *([scenario.basis] if scenario.basis else [])):
        assert (spec.cmv.load.set_point.centre, spec.cmv.load.set_point.spread) == (1.5, 0.7)
        assert float(spec.cmv.load.set_point_shift.corticosteroids) == (0 if name == "null" and spec is scenario.spec else 1.25)
        if spec.monitoring.matrix.value == "whole_blood":
            assert float(spec.monitoring.lod) == 77
    assert (scenario.basis is None) == (resolve(name).basis is None)


# ---- the bench


def test_the_bench_agrees_with_calibrating_and_checking_each_cohort() -> None:
    name = "marquez-algaba-2022"
    bench = Bench(SMALL, [name])
    rows = bench.rows()
    scenario = resolve(name)
    alone = calibrate(scenario, SMALL)
    assert bench.baseline(name) == alone.baseline
    figures = {True: alone.targets[:2], False: checked(scenario, alone.baseline, SMALL)}
    for solved, expected in figures.items():
        assert canonical_json([r.figure.achieved for r in rows if r.solved is solved]) == canonical_json(
            [figure.achieved for figure in expected]
        )


def test_where_a_search_came_from_does_not_matter() -> None:
    """Each solution starts from the last: another path ends within the solver's tolerance."""
    names = ["kampouri-2024"]
    law = {"set_point_shift_steroids": 1.2}
    straight, roundabout = Bench(SMALL, names, fresh=False), Bench(SMALL, names, fresh=False)
    roundabout.rows({"cmv_set_point_plasma": {"mean": 1.6, "varies": {"sd": 0.6}}})
    for one, other in zip(straight.rows(law), roundabout.rows(law), strict=True):
        if not math.isnan(one.figure.achieved):
            assert one.figure.achieved == pytest.approx(other.figure.achieved, abs=max(0.5 * one.figure.mcse, 5e-4))


def test_a_cohort_calibrated_on_another_is_not_said_to_be_solved() -> None:
    rows = Bench(SMALL, ["cart-sie"], fresh=False).rows()
    assert not any(row.solved for row in rows)
    assert {row.figure.measure for row in rows} == {"share_reaching", "disease_share"}


def test_a_higher_set_point_shows_in_the_levels_and_not_in_what_was_solved() -> None:
    bench = Bench(SMALL, ["marquez-algaba-2022"], fresh=False)
    usual, higher = (
        {(row.figure.label): row.figure.achieved for row in bench.rows(law)}
        for law in ({}, {"cmv_set_point_plasma": {"mean": 1.6, "varies": {"sd": 0.6}}})
    )
    any_level = "share_reaching, detected"
    assert higher[any_level] == pytest.approx(usual[any_level], abs=0.001)
    for level in ("1000", "10000"):
        label = f"share_reaching, at least {level} IU/mL"
        assert higher[label] > 1.2 * usual[label]


# ---- squares and conflicts


def test_squares_add_up_over_what_is_simulated() -> None:
    assert sum_of_squares([row("a", 1.0), row("b", -2.0), row("c", math.nan)]) == 5.0


@pytest.mark.parametrize(
    ("at", "slopes", "solved", "cosines"),
    [
        ([2, 2], [[1, 0], [-1, 0]], None, [-1.0]),  # both too high: one wants less of the first lever, the other more
        ([2, -2], [[1, 0], [-1, 0]], None, []),  # the same slopes, but the second is too low: they agree
        ([2, 0.1], [[1, 0], [-1, 0]], None, []),  # the second is as published
        ([0.4, 0.4], [[1, 0], [-1, 0]], None, []),  # both nearly are
        ([0.4, 0.6], [[1, 0], [-1, 0]], None, [-1.0]),
        ([2, 2], [[1, 0], [0, 1]], None, []),  # different levers serve them
        ([2, 2], [[1, 0], [-1, 1]], None, [-math.sqrt(0.5)]),
        ([2, 2], [[1, 0], [0, 0]], None, []),  # nothing serves the second
        ([2, 2], [[1, 0], [-1, 0]], [False, True], []),
    ],
)
def test_figures_conflict_when_they_pull_in_opposite_directions(at, slopes, solved, cosines) -> None:
    found = conflicts(Plane(at, slopes, solved or ()), {})
    assert [conflict.cosine for conflict in found] == pytest.approx(cosines)


def test_conflicts_look_once_at_each_lever() -> None:
    plane, told = Plane([2, 2], [[1, 0], [-1, 0]]), []
    conflicts(plane, {}, told.append)
    assert len(plane.asked) == 1 + len(LEVERS)
    assert told == [2 * (index + 1) for index in range(1 + len(LEVERS))]


# ---- the search


def _bench_with_minimum(monkeypatch: pytest.MonkeyPatch, *, broken: bool = False) -> None:
    class Toy(Plane):
        """Distances 3 - 2 x0 and 4 x1 - 2: a sum of squares of 0 at x = (1.5, 0.5)."""

        def __init__(self, patients: int, names: object, *, fresh: bool) -> None:
            assert not fresh
            super().__init__([3, -2], [[-2, 0], [0, 4]])

        def rows(self, law: Law) -> tuple[JointRow, ...]:
            if broken and self._steps(law, LEVERS[0]) > 1:
                raise CalibrationError("out of reach")
            return super().rows(law)

    monkeypatch.setattr(fit, "Bench", Toy)


def test_the_search_finds_a_known_minimum(monkeypatch: pytest.MonkeyPatch) -> None:
    _bench_with_minimum(monkeypatch)
    told = []
    found = fit.fit(levers=LEVERS[:2], weight=0.0, evaluations=400, tell=lambda *what: told.append(what))
    assert LEVERS[0].read(found.law) == pytest.approx(LEVERS[0].read({}) + 1.5 * LEVERS[0].step, abs=0.02)
    assert LEVERS[1].read(found.law) == pytest.approx(LEVERS[1].read({}) * math.exp(0.5 * LEVERS[1].step), rel=0.02)
    assert sum_of_squares(found.before) == 13
    assert sum_of_squares(found.after) < 0.01
    assert len(told) == found.evaluations


def test_a_penalty_keeps_what_is_not_decided_where_it_was(monkeypatch: pytest.MonkeyPatch) -> None:
    """Least squares with ridge w: x0 = 6 / (4 + w), x1 = 8 / (16 + w)."""
    _bench_with_minimum(monkeypatch)
    found = fit.fit(levers=LEVERS[:3], weight=2.0, evaluations=600)
    steps = [Plane._steps(found.law, lever) for lever in LEVERS[:3]]
    assert steps == pytest.approx([1.0, 8 / 18, 0.0], abs=0.03)
    assert found.penalty == pytest.approx(2 * (1 + (8 / 18) ** 2), abs=0.15)


def test_a_law_out_of_reach_is_avoided(monkeypatch: pytest.MonkeyPatch) -> None:
    _bench_with_minimum(monkeypatch, broken=True)
    found = fit.fit(levers=LEVERS[:2], weight=0.0, evaluations=400)
    assert Plane._steps(found.law, LEVERS[0]) == pytest.approx(1, abs=0.05)


# ---- what is printed


def test_the_table_names_every_figure_the_sum_and_the_conflicts() -> None:
    rows = (row("a", 0.01, solved=True), row("b", -1.5, measure="treated_share"), row("c", math.nan))
    text = misfit_table(Misfit(rows, (joint.Conflict("b: x", "c: y", -0.8),), 98_304))
    lines = text.splitlines()
    assert lines[0].split() == [
        *["cohort", "figure", "published", "95%", "interval", "achieved", "MCSE", "distance", "verdict"]
    ]
    assert [line.split()[0] for line in lines[1:4]] == ["a", "b", "c"]
    assert "solved" in lines[1]
    assert "-1.50" in lines[2]
    assert "Sum of squared distances: 2.25." in text
    assert "In conflict under one law (cosine -0.80): b: x - c: y." in text
    assert "98,304 patients per cohort: 3 inside interval" in text
    assert "No two figures" in misfit_table(Misfit(rows, (), 1))


def test_the_json_form_is_complete() -> None:
    tree = Misfit((row("a", 1.5), row("b", math.nan)), (), 10).as_dict()
    assert json.loads(canonical_json(tree))["sum_of_squares"] == 2.25
    assert [figure["cohort"] for figure in tree["figures"]] == ["a", "b"]
    assert json.loads(canonical_json(tree))["figures"][1]["distance"] is None


def test_without_a_scenario_the_command_prints_the_joint_misfit(monkeypatch: pytest.MonkeyPatch) -> None:
    told = []

    def few(*, tick) -> Misfit:
        tick(1, 2)
        told.append(True)
        return Misfit((row("a", 1.5),), (), 10)

    monkeypatch.setattr(joint, "joint", few)
    for arguments in ([], ["--all"]):
        done = CliRunner().invoke(cli, ["scenarios", "calibrate", "--quiet", *arguments])
        assert done.exit_code == 0
        assert done.stdout.startswith("cohort")
        assert "Sum of squared distances: 2.25" in done.stdout
    done = CliRunner().invoke(cli, ["scenarios", "calibrate", "--json"])
    assert json.loads(done.stdout)["sum_of_squares"] == 2.25
    assert "published cohorts" in done.stderr
    assert len(told) == 3
