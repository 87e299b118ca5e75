"""Life after the horizon in closed form: constant hazard and utility by disease and remission, discounted."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from cmvsim.core.records import BoolArray, FloatArray, IntArray
from cmvsim.models.quality_of_life import DAYS_PER_YEAR
from cmvsim.simulation.model import Model
from cmvsim.valuation.discounting import past_first_year

if TYPE_CHECKING:
    from cmvsim.economics.settings import EvaluationSettings


def tail_years(
    settings: EvaluationSettings, model: Model, stratum: IntArray, relapsed: BoolArray, alive: BoolArray
) -> tuple[FloatArray, FloatArray]:
    """(P,) expected discounted years, and quality-adjusted years, after the horizon; 0 for the dead."""
    tail = settings.tail
    assert tail is not None
    since, years = model.horizon / DAYS_PER_YEAR, float(tail.years)
    rule = past_first_year(settings.rate_effects)
    diseases = [spec.disease for spec in model.population.strata.values()]
    table = np.empty((2, len(diseases)))
    worth = np.empty_like(table)
    for row, states in enumerate((tail.remission, tail.relapsed)):
        for column, disease in enumerate(diseases):
            state = states[disease]
            table[row, column] = rule.years_lived(float(state.death), since, years)
            worth[row, column] = table[row, column] * float(state.utility)
    place = (relapsed.astype(np.int64), stratum)
    return np.where(alive, table[place], 0.0), np.where(alive, worth[place], 0.0)
