"""What several tests of planning share: a quickly calibrated scenario, a workplace, an experiment in memory."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Any

import numpy as np

from cmvsim.calibration import Calibration, calibrate
from cmvsim.core.records import FloatArray
from cmvsim.designs import PrecisionTarget
from cmvsim.montecarlo.run import open_store
from cmvsim.planning.experiment import CohortExperiment
from cmvsim.planning.question import Question
from cmvsim.runs.chunk_store import ChunkStore
from cmvsim.scenarios import ResolvedScenario, resolve
from cmvsim.verbs.ui import Silent

NONE = "{ball_child=0,ball_adult=0,dlbcl=0}"
NO_LOSS = (
    "monitoring.attendance=1",
    "follow_up.lost_by_90=0",
    "follow_up.withdrawn_by_90=0",
    f"follow_up.monitoring_stop={NONE}",
)
PRIMARY = "cmv_reactivation"


@cache
def solved(*overrides: str) -> tuple[ResolvedScenario, Calibration]:
    """cmv-cart, solved on a cohort a sixth of the usual: enough for planning, and fast."""
    scenario = resolve("cmv-cart", overrides)
    return scenario, calibrate(scenario, 16_384)


def experiment(
    sizes: tuple[int, ...], *, endpoints: tuple[str, ...] = (PRIMARY,), overrides: tuple[str, ...] = (), **more: Any
) -> CohortExperiment:
    scenario, calibration = solved(*overrides)
    options: dict[str, Any] = {"sensitivity": False, "seed": 3, **more}
    return CohortExperiment(scenario, calibration.baseline, sizes, endpoints, **options)


def values(of: CohortExperiment, chunks: int) -> FloatArray:
    """(replicates, sizes, rows, fields) without a store."""
    return np.concatenate([of.chunk(index).values for index in range(chunks)])


def question(**changes: Any) -> Question:
    base: dict[str, Any] = {
        "design": "precision",
        "endpoints": (PRIMARY,),
        "sizes": None,
        "target": PrecisionTarget(half_width=0.12, probability=0.8),
        "search": True,
        "replicates": 320,
        "mcse_target": None,
        "sensitivity": False,
        "seed": 9,
    }
    return Question(**{**base, **changes})


class Workplace:
    """Stores in a folder, one worker, no voice; remembers which stages ran."""

    jobs = 1
    backend = "loky"

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.stages: dict[str, CohortExperiment] = {}

    def store(self, name: str, made: CohortExperiment) -> ChunkStore:
        assert name not in self.stages, "a stage ran twice"
        self.stages[name] = made
        return open_store(self.folder / name, made)

    def progress(self, label: str) -> Any:
        return Silent().progress(label)
