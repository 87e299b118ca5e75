"""Studies of a design, and whether each of them succeeds: what sensitivity (one analysis) and assurance (all) run over."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from cmvsim.core.records import BoolArray, FloatArray
from cmvsim.designs import GroupSequential, SimonTwoStage, TwoArm
from cmvsim.designs.single_arm_test import SingleArmTest
from cmvsim.models.baseline import Baseline
from cmvsim.montecarlo import mcse
from cmvsim.montecarlo.run import MonteCarloResult
from cmvsim.planning.characteristics import half_widths
from cmvsim.planning.criteria import estimates_of
from cmvsim.planning.experiment import CohortExperiment
from cmvsim.planning.looked_sizes import LookedSizes, shown
from cmvsim.planning.single_arm import SingleArmExperiment, TwoStageExperiment, evaluable_share, patients_to_simulate
from cmvsim.planning.trial import TrialExperiment
from cmvsim.scenarios import ResolvedScenario
from cmvsim.scenarios.scenario import Scenario

KINDS = ("single_arm_precision", "single_arm_test", "two_arm")
DECIDE = ("single_arm_test", "two_arm")
ASSURED = (*KINDS, "simon_two_stage", "group_sequential")
"""Kinds that have an assurance."""
Studies = CohortExperiment | TrialExperiment
Assured = Studies | LookedSizes


def studies_of(
    scenario: ResolvedScenario, baseline: Baseline, design: str, name: str, sizes: tuple[int, ...], seed: int
) -> Studies:
    """The studies of a design of :data:`KINDS`; the endpoint `name` decides, in the first row."""
    found = scenario.spec.designs[design]
    if isinstance(found, TwoArm):
        return TrialExperiment(scenario, baseline, sizes, (name,), design, sensitivity=False, seed=seed)
    if isinstance(found, SingleArmTest):
        return SingleArmExperiment(scenario, baseline, sizes, (name,), sensitivity=False, seed=seed, design=design)
    return CohortExperiment(scenario, baseline, sizes, (name,), sensitivity=False, seed=seed)


def assured_of(
    scenario: ResolvedScenario, baseline: Baseline, design: str, name: str, sizes: tuple[int, ...], seed: int
) -> Assured:
    """The studies of a design of :data:`ASSURED`; of two stages as many patients as they may need, whatever the sizes."""
    found = scenario.spec.designs[design]
    if isinstance(found, GroupSequential):
        return LookedSizes.of(scenario, baseline, design, name, sizes, seed)
    if isinstance(found, SimonTwoStage):
        patients = patients_to_simulate(found.stages.n, evaluable_share(scenario, baseline, design, name))
        return TwoStageExperiment(scenario, baseline, (patients,), (name,), sensitivity=False, seed=seed, design=design)
    return studies_of(scenario, baseline, design, name, sizes, seed)


def under(studies: Assured, scenario: ResolvedScenario, baseline: Baseline, replicates: int) -> Assured:
    """The same studies where other numbers are true, so many to a chunk."""
    if isinstance(studies, LookedSizes):
        return studies.under(scenario, baseline, replicates)
    return replace(studies, scenario=scenario, baseline=baseline).few(replicates)


def outcome(
    result: MonteCarloResult, studies: Assured, size: int, design: object, half_width: float | None
) -> tuple[BoolArray, FloatArray]:
    """(replicates,) which studies succeed, and their status."""
    if isinstance(studies, LookedSizes):
        assert isinstance(design, GroupSequential)
        return shown(result, studies, size, design)
    return succeeded(result, size, design, half_width), result.column(size, result.experiment.rows[0], "status")


def endpoint_of(spec: Scenario, design: str) -> str:
    """The endpoint that a design names, or the first of the analysis."""
    return getattr(spec.designs[design], "endpoint", "") or spec.analysis.endpoints[0]


def succeeded(result: MonteCarloResult, size: int, design: object, half_width: float | None) -> BoolArray:
    """(replicates,) which studies reach their conclusion, or are as narrow as wanted; without an estimate none is."""
    key = result.experiment.rows[0]
    usable = mcse.usable(result.column(size, key, "status"))
    if isinstance(design, TwoArm | SingleArmTest | SimonTwoStage):
        met = design.decide(estimates_of(result, size, key)).met
        assert met is not None
        return usable & met
    assert half_width is not None
    with np.errstate(invalid="ignore"):
        narrow: BoolArray = usable & (half_widths(result, size, key) <= half_width)
    return narrow
