"""What tests of comparative studies share: the letermovir trial with a stated effect, solved on a small cohort."""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np

from cmvsim.calibration import Calibration, calibrate
from cmvsim.core.records import FloatArray
from cmvsim.planning.trial import TrialExperiment
from cmvsim.scenarios import ResolvedScenario, resolve

PRIMARY = "cmv_reactivation"
STATED = ('letermovir.effect="given"', "letermovir.given={onset_ratio=0.5,set_point_shift=-0.5}")
DESIGN = "superiority"


@cache
def solved_trial(*overrides: str) -> tuple[ResolvedScenario, Calibration]:
    """letermovir-trial with a stated effect of the drug: nothing of it is solved, which takes long."""
    scenario = resolve("letermovir-trial", (*STATED, *overrides))
    return scenario, calibrate(scenario, 16_384)


def trial(sizes: tuple[int, ...], *overrides: str, endpoints: tuple[str, ...] = (PRIMARY,), **more: Any) -> TrialExperiment:
    scenario, calibration = solved_trial(*overrides)
    options: dict[str, Any] = {"design": DESIGN, "sensitivity": False, "seed": 3, **more}
    return TrialExperiment(scenario, calibration.baseline, sizes, endpoints, **options)


def values(of: TrialExperiment, chunks: int) -> FloatArray:
    """(replicates, sizes, rows, fields) without a store."""
    return np.concatenate([of.chunk(index).values for index in range(chunks)])
