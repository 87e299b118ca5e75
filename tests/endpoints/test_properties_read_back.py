"""A simulated study, written and read back, gives the same analysis, number by number."""

from __future__ import annotations

from dataclasses import fields, is_dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from cmvsim.core.streams import Role
from cmvsim.data import read_study, write_study
from cmvsim.endpoints import AnalysisSpec
from cmvsim.endpoints.analyse import analyse
from cmvsim.models.baseline import Baseline
from cmvsim.models.history import Process
from cmvsim.scenarios import resolve
from cmvsim.simulation.cohort import FOUNDATION, simulate
from cmvsim.simulation.draws import ChunkDraws
from cmvsim.simulation.model import Model
from cmvsim.simulation.recording import record

BASELINE = Baseline(2.0, 13.0, (2.8e-4,) * 3, (4e-3,) * 3, (0.0036, 0.0011), (0.003, 0.0018))
NAMES = (
    "cmv_reactivation",
    "cmv_lymphoma",
    "cmv_disease",
    "anellovirus",
    "redondovirus",
    "cmv_infections",
    "cmv_virome",
    "cmv_expansion",
)
N = 90


def _one(value: Any, r: int) -> Any:
    """One replicate of a batch."""
    if isinstance(value, np.ndarray):
        return value[r : r + 1] if value.shape[:2] == (64, N) else value
    if isinstance(value, dict):
        return {name: _one(entry, r) for name, entry in value.items()}
    if is_dataclass(value) and not isinstance(value, type):
        return replace(value, **{entry.name: _one(getattr(value, entry.name), r) for entry in fields(value)})
    return value


@pytest.mark.parametrize("scenario", ["cmv-cart", "cmv-cart-two-parts"])
def test_tables_say_all_that_the_analyses_look_at(tmp_path: Path, scenario: str) -> None:
    spec = resolve(scenario).spec
    needs = FOUNDATION | {Process.VIROME, Process.KINETICS, Process.INFECTIONS}
    study = record(simulate(Model.of(spec, BASELINE), ChunkDraws(9, Role.STUDY, 0, N), needs=needs))
    study = replace(study, resources=None, stays=None, questionnaires=None, sequencing=None)
    plan = AnalysisSpec.model_validate({**spec.analysis.human(), "endpoints": list(NAMES)})
    usable = 0
    for r in (0, 40):
        folder = tmp_path / str(r)
        write_study(study, r, folder)
        mine, again = analyse(_one(study, r), plan), analyse(read_study(folder), plan)
        assert mine.flow == again.flow
        for a, b in zip(mine.rows, again.rows, strict=True):
            for name, value in a.as_dict().items():
                assert value == b.as_dict()[name] or (value != value and b.as_dict()[name] != b.as_dict()[name]), (a, b)
            usable += a.status == "ok"
    assert usable > 100
