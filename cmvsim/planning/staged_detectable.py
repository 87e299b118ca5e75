"""The answer to `--detectable` of one tested arm: the runs behind :mod:`cmvsim.planning.detectable_incidence`."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from cmvsim.calibration.redraw import Redraw
from cmvsim.core.streams import Role
from cmvsim.designs import SimonTwoStage, SingleArmTest
from cmvsim.models.baseline import Baseline
from cmvsim.montecarlo import mcse
from cmvsim.montecarlo.estimand_values import EstimandValue, estimand_values
from cmvsim.montecarlo.run import MonteCarloResult
from cmvsim.planning.characteristics import Row
from cmvsim.planning.detectable_incidence import Tried, detectable_incidence, why_detectable_differs
from cmvsim.planning.single_arm import PROPORTION, SingleArmExperiment, TwoStageExperiment
from cmvsim.planning.staged_rows import facts_of, power_of, single_rows, stage_power, two_stage_rows
from cmvsim.scenarios import ResolvedScenario

if TYPE_CHECKING:
    from cmvsim.planning.staged import Answered, StagedPlanner


def detectable_answer(planner: StagedPlanner, design: SingleArmTest | SimonTwoStage) -> Answered:
    """Rows of the scenario as it is, what was found, why the exact calculation says otherwise, the curve of the figure."""
    asked, kept = planner.question, {}
    assert asked.power is not None
    with planner.work.progress("tables of the hazards by their targets"):
        redraw = Redraw(planner.scenario, planner.calibration).prepare()

    def run_at(stage: str, scenario: ResolvedScenario, baseline: Baseline, role: Role, attempt: int) -> Tried:
        experiment = planner.one_arm(scenario, baseline, asked.sizes, role, attempt)
        result = planner.execute(stage, f"{stage}: {_patients(experiment, design)}", experiment)
        kept[stage] = result
        return _tried(result, design)

    def truth_at(scenario: ResolvedScenario, baseline: Baseline) -> EstimandValue:
        experiment = planner.one_arm(scenario, baseline, (1,))
        with planner.work.progress("estimand values on a large cohort") as tick:
            found = estimand_values(experiment.model, [experiment.plan], experiment.strategy, (asked.endpoint,), progress=tick)
        return next(value for value in found if value.kind == "protocol")

    n = design.stages.n if isinstance(design, SimonTwoStage) else asked.sizes[-1]
    found = detectable_incidence(planner.scenario, redraw, design, n, asked.power, run_at, truth_at)
    rows: list[Row] = two_stage_rows(kept["study"], design) if isinstance(design, SimonTwoStage) else []
    if isinstance(design, SingleArmTest):
        rows = single_rows(kept["study"], design, n)
    points = sorted(found.curve, key=lambda point: point.incidence)
    pictured = {
        "incidence": [point.incidence for point in points],
        "power": [point.power for point in points],
        "mcse": [point.mcse for point in points],
    }
    return rows, {**facts_of(design), "detectable": found.as_dict()}, why_detectable_differs(design), pictured


def _patients(experiment: SingleArmExperiment | TwoStageExperiment, design: SingleArmTest | SimonTwoStage) -> str:
    return f"{design.stages.n} evaluable patients" if isinstance(design, SimonTwoStage) else f"n = {experiment.sizes[-1]}"


def _tried(result: MonteCarloResult, design: SingleArmTest | SimonTwoStage) -> Tried:
    """Power, and incidence and number of evaluable patients whose number no decision has changed."""
    size = result.experiment.sizes[-1]
    key = next(key for key in result.experiment.rows if key.estimator == PROPORTION)
    status, n = result.column(size, key, "status"), result.column(size, key, "n")
    if isinstance(design, SimonTwoStage):
        share = result.extra_column(size, "first_events") / design.stages.n1
        return Tried(stage_power(result, design), mcse.mean(share, status).value, float(design.stages.n))
    estimate = mcse.mean(result.column(size, key, "estimate"), status).value
    return Tried(power_of(result, design, size), estimate, float(np.nanmean(n)))
