"""Infections for tests: the built-in specification with overrides, and chunks whose windows are given."""

from __future__ import annotations

import math
from itertools import pairwise
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
Factors = list[tuple[float, list[tuple[float, float]]]]
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
    of: InfectionsSpec,
    baseline: Baseline,
    *,
    size: int = N,
    score: FloatArray | float = 0.0,
    leukaemia: Any = False,
    **more: Any,
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


def _inside(t: float, windows: list[tuple[float, float]]) -> bool:
    return any(start <= t < stop for start, stop in windows)


def _hazard(t: float, rate: float, cuts: list[float], base: list[float], factors: Factors) -> float:
    h = rate * base[sum(t >= cut for cut in cuts)]
    for ratio, windows in factors:
        h *= ratio if _inside(t, windows) else 1.0
    return h


def twin(
    begin: float,
    clock: float,
    rate: float,
    cuts: list[float],
    base: list[float],
    factors: Factors,
    until: float,
) -> float:
    """Plain twin of the kernel: time at which the hazard, integrated over the pieces between all edges, reaches the clock."""
    edges = {begin, until, *cuts, *(edge for _, windows in factors for pair in windows for edge in pair)}
    inner = sorted(edge for edge in edges if begin <= edge <= until)
    spent = 0.0
    for a, b in pairwise(inner):
        h = _hazard((a + b) / 2 if math.isfinite(b) else a + 1.0, rate, cuts, base, factors)
        if h > 0 and spent + h * (b - a) >= clock:
            return a + (clock - spent) / h
        spent += h * (b - a) if h > 0 else 0.0
    return math.inf
