"""Life after the horizon in closed form: constant hazard and utility by disease and remission, discounted."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

from cmvsim.core.records import BoolArray, FloatArray, IntArray
from cmvsim.models.quality_of_life import DAYS_PER_YEAR
from cmvsim.simulation.model import Model

if TYPE_CHECKING:
    from cmvsim.economics.settings import EvaluationSettings


def discounted_years(hazard: float, rate: float, since: float, years: float) -> float:
    """Expected years lived in the `years` after `since` (years from infusion), discounted past the first year.

    Parameters
    ----------
    hazard
        Of death, per year.
    rate
        Effective annual: a year lived t years after infusion counts (1 + rate)^-(t - 1), or 1 while t <= 1.
    """
    full = min(max(1.0 - since, 0.0), years)
    later = max(since - 1.0, 0.0)
    delta = math.log1p(rate)
    alive = math.exp(-hazard * full)
    return _integral(hazard, full) + alive * math.exp(-delta * later) * _integral(hazard + delta, years - full)


def _integral(rate: float, length: float) -> float:
    """Of exp(-rate t) over [0, length]."""
    return length if rate == 0 else -math.expm1(-rate * length) / rate


def tail_years(
    settings: EvaluationSettings, model: Model, stratum: IntArray, relapsed: BoolArray, alive: BoolArray
) -> tuple[FloatArray, FloatArray]:
    """(P,) expected discounted years, and quality-adjusted years, after the horizon; 0 for the dead."""
    tail = settings.tail
    assert tail is not None
    since, years = model.horizon / DAYS_PER_YEAR, float(tail.years)
    diseases = [spec.disease for spec in model.population.strata.values()]
    table = np.empty((2, len(diseases)))
    worth = np.empty_like(table)
    for row, states in enumerate((tail.remission, tail.relapsed)):
        for column, disease in enumerate(diseases):
            state = states[disease]
            table[row, column] = discounted_years(float(state.death), settings.rate_effects, since, years)
            worth[row, column] = table[row, column] * float(state.utility)
    place = (relapsed.astype(np.int64), stratum)
    return np.where(alive, table[place], 0.0), np.where(alive, worth[place], 0.0)
