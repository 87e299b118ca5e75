"""The grid of operational times.

Visits, delays, durations and starts lie on multiples of 2^-20 day (about 0.08 s), so that sums of them are exact and
two engines cannot disagree about which of two operational events came first. Biological times are continuous.
"""

from __future__ import annotations

import numpy as np

from cmvsim.core.records import FloatArray

STEPS_PER_DAY = 2.0**20


def on_grid(days: FloatArray | np.float64) -> FloatArray:
    """Round days to the grid (any shape)."""
    return np.rint(days * STEPS_PER_DAY) / STEPS_PER_DAY


def study_day(times: FloatArray) -> FloatArray:
    """Whole study day of an event: day d covers (d - 1, d], so that (0, 90] is days 1 to 90. NaN stays NaN."""
    return np.ceil(times)
