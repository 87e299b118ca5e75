"""Hazards of varied scenarios: unchanged ones are the calibration's own, changed targets are met on other patients."""

from __future__ import annotations

from dataclasses import replace

import cloudpickle
import numpy as np
import pytest

from cmvsim.calibration import Calibration
from cmvsim.calibration.cohort import Cohort
from cmvsim.calibration.death_targets import DeathTargets
from cmvsim.calibration.redraw import Redraw
from cmvsim.calibration.response import Response
from cmvsim.calibration.solve import basis_of
from cmvsim.core.streams import Role
from cmvsim.models.baseline import Baseline
from cmvsim.models.strategies import LetermovirEffect
from cmvsim.scenarios import ResolvedScenario, resolve
from cmvsim.scenarios.parameters import uncertain_inputs
from cmvsim.scenarios.sampling import draw_parameters
from cmvsim.scenarios.vary import vary
from cmvsim.simulation.death import solve_death_hazards
from cmvsim.simulation.draws import ChunkDraws

SOLVED = Baseline(
    0.6265539953533096,
    10.951589861182219,
    (0.00014791919788028338, 0.00014429596839925392, 0.0002002693824357187),
    (0.004601106164311232, 0.012761116520527353, 0.007371367648877697),
    (0.0035441294312274175, 0.0010883511223176805),
    (0.0003134964199717316, 0.00017555799518416973),
    LetermovirEffect(0.9224060492611391, -0.5344161467273632),
)
"""Near the solution of letermovir-strategies; the tests need no exact one."""


@pytest.fixture(scope="module")
def scenario() -> ResolvedScenario:
    return resolve("letermovir-strategies")


@pytest.fixture(scope="module")
def redraw(scenario: ResolvedScenario) -> Redraw:
    return Redraw(scenario, Calibration(SOLVED, (), 0, 0)).prepare()


def test_unchanged_targets_have_the_hazards_of_the_calibration(scenario: ResolvedScenario, redraw: Redraw) -> None:
    assert redraw.baseline(scenario) is SOLVED
    law = [item for item in uncertain_inputs(scenario) if item.kind == "law"]
    draws = draw_parameters(law, 3, seed=1)
    for draw in range(3):
        assert redraw.baseline(vary(scenario, draws.changes(draw))) == SOLVED


@pytest.mark.parametrize(("incidence", "day"), [(0.2, 19.0), (0.42, 26.0), (0.3, 14.0)])
def test_incidence_and_timing_are_met_relative_to_the_solved_ones_on_other_patients(
    scenario: ResolvedScenario, redraw: Redraw, incidence: float, day: float
) -> None:
    """Change of logit incidence and of log median on 16,384 patients; 4 standard errors of a paired difference."""
    varied = vary(scenario, {"cmv.targets[0].value": incidence, "cmv.targets[1].value": day})
    basis = basis_of(scenario)
    cohort = Cohort(basis, range(1), [ChunkDraws(5, Role.CALIBRATION, 77, 256)])
    was, now = (cohort.see(basis.cmv.incidence, baseline) for baseline in (SOLVED, redraw.baseline(varied)))

    def logit(p: float) -> float:
        return float(np.log(p / (1 - p)))

    moved = logit(now.at(90)) - logit(was.at(90))
    assert moved == pytest.approx(logit(incidence) - logit(0.3), abs=0.06)
    assert np.log(now.median(90) / was.median(90)) == pytest.approx(np.log(day / 19), abs=0.06)
    assert redraw.reaches(varied)


def test_only_what_a_target_moves_is_moved(scenario: ResolvedScenario, redraw: Redraw) -> None:
    onset = redraw.baseline(vary(scenario, {"cmv.targets[0].value": 0.4}))
    assert replace(onset, onset_amplitude=SOLVED.onset_amplitude, onset_median=SOLVED.onset_median) == SOLVED
    fungal = redraw.baseline(vary(scenario, {"infections.fungal.whole": 0.07}))
    assert replace(fungal, fungal_hazard=SOLVED.fungal_hazard) == SOLVED
    assert fungal.fungal_hazard[1] / fungal.fungal_hazard[0] == pytest.approx(SOLVED.fungal_hazard[1] / SOLVED.fungal_hazard[0])
    assert fungal.fungal_hazard[0] > 1.8 * SOLVED.fungal_hazard[0]
    drug = redraw.baseline(vary(scenario, {"letermovir.targets.clinically_significant": 0.4}))
    assert drug.letermovir is not None
    assert SOLVED.letermovir is not None
    assert replace(drug, letermovir=SOLVED.letermovir) == SOLVED
    assert drug.letermovir.set_point_shift > SOLVED.letermovir.set_point_shift
    death = redraw.baseline(vary(scenario, {"follow_up.death_by_90.dlbcl": 0.2}))
    assert death.after_relapse_hazard[:2] == SOLVED.after_relapse_hazard[:2]
    assert death.non_relapse_hazard == SOLVED.non_relapse_hazard
    assert death.after_relapse_hazard[2] > 1.5 * SOLVED.after_relapse_hazard[2]


def test_targets_out_of_reach_have_the_nearest_hazards(scenario: ResolvedScenario, redraw: Redraw) -> None:
    """A drug that hardly changes detection cannot prevent nearly all significant infections."""
    varied = vary(scenario, {"letermovir.targets.any_dnaemia": 1.0, "letermovir.targets.clinically_significant": 0.1})
    assert not redraw.reaches(varied)
    effect = redraw.baseline(varied).letermovir
    assert effect is not None
    assert 0 < effect.onset_ratio <= 1
    assert effect.set_point_shift <= 0


def test_copies_have_the_tables_and_the_same_numbers(scenario: ResolvedScenario, redraw: Redraw) -> None:
    varied = vary(scenario, draw_parameters(uncertain_inputs(scenario), 1, seed=3).changes(0))
    baseline = redraw.baseline(varied)
    copy = cloudpickle.loads(cloudpickle.dumps(redraw))
    assert copy.baseline(varied) == baseline
    assert {"_onset", "_infections", "_death", "_drug"} <= set(vars(copy)), "the tables travel"
    assert "_draws" not in vars(copy), "the cohort does not"


@pytest.mark.parametrize(("non_relapse", "death"), [(0.025, 0.13), (0.01, 0.3), (0.0, 0.2), (0.05, 0.12)])
def test_independent_death_hazards(scenario: ResolvedScenario, non_relapse: float, death: float) -> None:
    follow_up = scenario.spec.follow_up
    slow = solve_death_hazards(
        non_relapse,
        death,
        float(follow_up.relapse_by_90["dlbcl"]),
        float(follow_up.relapse_shape),
        90.0,
        float(follow_up.relapse_ratios.score),
    )
    assert DeathTargets.of(scenario.spec).strata["dlbcl"].hazards(non_relapse, death) == pytest.approx(slow, rel=1e-5, abs=1e-9)


def test_closed_form_response() -> None:
    """A known smooth map is inverted; out of the box, the nearest corner."""

    def measure(x: np.ndarray) -> np.ndarray:
        return np.array([x[0] + 0.2 * x[1] ** 2, x[1] - 0.1 * x[0] * x[1]])

    response = Response.of(measure, (-1.0, -1.0), (1.0, 1.0), (4, 4), 3)
    assert response.misfit == pytest.approx(np.zeros(2), abs=1e-12)
    x, met = response.moved(measure(np.array([0.4, -0.7])))
    assert met
    assert x == pytest.approx([0.4, -0.7], abs=1e-8)
    zero, _ = response.moved(np.zeros(2))
    assert not zero.any()
    far, met = response.moved(np.array([5.0, 0.0]))
    assert not met
    assert far[0] == 1.0
