"""Budget impact: yearly eligible patients x uptake x increment of cost, undiscounted.

Good practice of ISPOR: Sullivan SD et al., Value Health 2014;17:5-14.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from cmvsim.core.records import FloatArray


@dataclass(frozen=True, eq=False, slots=True)
class BudgetImpact:
    """Money of the payer by calendar year.

    Attributes
    ----------
    treated
        (years,) patients who start.
    net
        (years,) net budget impact, undiscounted; `se` from the standard error of the increment.
    """

    treated: FloatArray
    net: FloatArray
    se: FloatArray

    @property
    def total(self) -> float:
        """Over all years."""
        return float(self.net.sum())

    @property
    def total_se(self) -> float:
        """Of the total: every year has the same increment, so errors add up."""
        return float(self.se.sum())


def budget_impact(eligible: ArrayLike, uptake: ArrayLike, increment: ArrayLike, se: float = 0.0) -> BudgetImpact:
    """Budget impact of a strategy.

    Parameters
    ----------
    eligible, uptake
        (years,) patients eligible, and the share who get the strategy in place of its comparator.
    increment
        Undiscounted increment of cost of a patient: one number when all of it falls in the year of the start, else by year
        since the start.
    se
        Standard error of the increment as a whole; spread over the years as the increment is.

    Raises
    ------
    ValueError
        If lengths differ, or uptake is no share.
    """
    people, share = np.atleast_1d(np.asarray(eligible, float)), np.atleast_1d(np.asarray(uptake, float))
    if people.shape != share.shape or people.ndim != 1:
        raise ValueError("eligible and uptake have one entry for each year")
    if (people < 0).any() or (share < 0).any() or (share > 1).any():
        raise ValueError("eligible patients are at least 0, uptake is from 0 to 1")
    treated = people * share
    by_year = np.atleast_1d(np.asarray(increment, dtype=np.float64))
    net = np.convolve(treated, by_year)[: treated.size]
    whole = by_year.sum()
    spread = np.abs(net / whole) * se if whole != 0 else np.full(treated.size, np.nan if se else 0.0)
    return BudgetImpact(treated, net, spread)
