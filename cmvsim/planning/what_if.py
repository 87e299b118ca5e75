"""What if the incidence is another: the same study at the ends of the published interval of its incidence target.

A sample size for precision stands on one incidence. The published interval says how far off that may be.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

from cmvsim.calibration import calibrate
from cmvsim.core.errors import CalibrationError
from cmvsim.models.baseline import Baseline
from cmvsim.scenarios import ResolvedScenario

REPLICATES = 2_000


@dataclass(frozen=True, slots=True)
class WhatIf:
    """Precision at another incidence.

    Attributes
    ----------
    target
        Value of the incidence target instead of the scenario's.
    n
        Sample size.
    estimate, half_width
        Mean over replicates.
    p_half_width_le
        Share of studies that meet the target half-width; None without one.
    """

    target: float
    n: int
    estimate: float
    half_width: float
    p_half_width_le: float | None
    replicates: int


def variants(scenario: ResolvedScenario) -> Iterator[tuple[float, ResolvedScenario, Baseline]]:
    """The scenario with its incidence target at both ends of the published interval, solved again.

    Nothing if no interval was published, and no variant that is out of the model's reach.
    """
    target = scenario.spec.cmv.incidence
    for end in target.published or ():
        if not 0 < end < 1:
            continue
        moved = target.model_copy(update={"value": target.value.model_copy(update={"value": end})})
        targets = tuple(moved if item is target else item for item in scenario.spec.cmv.targets)
        spec = scenario.spec.model_copy(update={"cmv": scenario.spec.cmv.model_copy(update={"targets": targets})})
        other = replace(scenario, spec=spec)
        try:
            yield end, other, calibrate(other).baseline
        except CalibrationError:
            continue
