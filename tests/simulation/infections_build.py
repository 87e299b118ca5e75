"""Infections for tests: the built-in specification with overrides, and chunks whose windows are given."""

from __future__ import annotations

from typing import Any

import numpy as np

from cmvsim.core.records import FloatArray
from cmvsim.core.streams import Role
from cmvsim.models.baseline import Baseline
from cmvsim.models.infections import Infections, InfectionsSpec
from cmvsim.models.windows import Windows
from cmvsim.scenarios import resolve
from cmvsim.simulation.draws import ChunkDraws
from cmvsim.simulation.infections import infections

PATIENTS = 2000
N = PATIENTS * 64
HORIZON = 104.0
NONE = "{ score = 1, leukaemia = 1, cmv = 1, neutropenia = 1, corticosteroids = 1 }"
NO_FACTORS = (f"infections.bacterial.ratios={NONE}", f"infections.fungal.ratios={NONE}")


def spec(*overrides: str, scenario: str = "cmv-cart") -> InfectionsSpec:
    """Section 11 of a built-in scenario."""
    return resolve(scenario, overrides).spec.infections


def hazards(bacterial: tuple[float, float], fungal: tuple[float, float] = (0.0, 0.0)) -> Baseline:
    """Given (not calibrated) hazards of infection."""
    return Baseline(1.0, 1.0, (), (), bacterial, fungal)


def draws(patients: int = PATIENTS, seed: int = 1) -> ChunkDraws:
    """One chunk of 64 replicates."""
    return ChunkDraws(seed, Role.STUDY, 0, patients)


def same(start: float, stop: float, size: int = N) -> Windows:
    """The same window for everybody."""
    return Windows(np.full(size, start), np.full(size, stop))


def never(size: int = N) -> Windows:
    """No window."""
    return same(np.inf, np.inf, size)


def run(
    of: InfectionsSpec, baseline: Baseline, *, size: int = N, score: FloatArray | float = 0.0, leukaemia: Any = False, **more: Any
) -> Infections:
    """Infections of patients with given windows, none unless said."""
    windows = {name: more.pop(name, never(size)) for name in ("cmv", "neutropenia", "corticosteroids")}
    return infections(
        of,
        baseline,
        np.broadcast_to(np.asarray(score, dtype=np.float64), size),
        np.broadcast_to(np.asarray(leukaemia), size),
        draws=more.pop("draws", None) or draws(size // 64),
        horizon=more.pop("horizon", HORIZON),
        **windows,
    )
