"""Studies of designs with one analysis, and whether each of them succeeds: what sensitivity and assurance run over."""

from __future__ import annotations

import numpy as np

from cmvsim.core.records import BoolArray
from cmvsim.designs import TwoArm
from cmvsim.designs.single_arm_test import SingleArmTest
from cmvsim.models.baseline import Baseline
from cmvsim.montecarlo import mcse
from cmvsim.montecarlo.run import MonteCarloResult
from cmvsim.planning.characteristics import half_widths
from cmvsim.planning.criteria import estimates_of
from cmvsim.planning.experiment import CohortExperiment
from cmvsim.planning.single_arm import SingleArmExperiment
from cmvsim.planning.trial import TrialExperiment
from cmvsim.scenarios import ResolvedScenario
from cmvsim.scenarios.scenario import Scenario

KINDS = ("single_arm_precision", "single_arm_test", "two_arm")
DECIDE = ("single_arm_test", "two_arm")
Studies = CohortExperiment | TrialExperiment


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


def endpoint_of(spec: Scenario, design: str) -> str:
    """The endpoint that a design names, or the first of the analysis."""
    return getattr(spec.designs[design], "endpoint", "") or spec.analysis.endpoints[0]


def succeeded(result: MonteCarloResult, size: int, design: object, half_width: float | None) -> BoolArray:
    """(replicates,) which studies reach their conclusion, or are as narrow as wanted; without an estimate none is."""
    key = result.experiment.rows[0]
    usable = mcse.usable(result.column(size, key, "status"))
    if isinstance(design, TwoArm | SingleArmTest):
        met = design.decide(estimates_of(result, size, key)).met
        assert met is not None
        return usable & met
    assert half_width is not None
    with np.errstate(invalid="ignore"):
        narrow: BoolArray = usable & (half_widths(result, size, key) <= half_width)
    return narrow
