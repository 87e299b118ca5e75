"""Break-even price, duration and threshold, exactly: cost is linear in a price, so nothing is simulated again.

With increments of effect E, of cost without the drug C and of the drug's quantity Q, the increment of net benefit at price p
and threshold k is ``k E - C - p Q``. It is 0 at the price ``(k E - C) / Q`` (at k = 0: cost neutral), at the quantity
``(k E - C) / p`` for the same effect, and at the threshold ``(C + p Q) / E``.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from cmvsim.core.records import FloatArray


@dataclass(frozen=True, eq=False, slots=True)
class Increments:
    """Increments of a strategy against its comparator.

    Attributes
    ----------
    other_cost, quantity, effect
        (patients,) of the same patients, or single numbers: cost without the priced item, quantity of the item, effect. Where
        costs are discounted the quantity is discounted in the same way.
    """

    other_cost: FloatArray
    quantity: FloatArray
    effect: FloatArray

    @classmethod
    def of(cls, other_cost: ArrayLike, quantity: ArrayLike, effect: ArrayLike) -> Increments:
        """From numbers or arrays."""
        return cls(*(np.atleast_1d(np.asarray(x, dtype=np.float64)) for x in (other_cost, quantity, effect)))

    @property
    def means(self) -> tuple[float, float, float]:
        """Of other cost, quantity and effect."""
        return float(self.other_cost.mean()), float(self.quantity.mean()), float(self.effect.mean())


@dataclass(frozen=True, eq=False, slots=True)
class BreakEven:
    """Where the increment of net benefit is 0.

    Attributes
    ----------
    value
        By threshold; NaN where there is none (a quantity or a price of 0). A negative price says that the strategy is not
        worth it even when the item is free.
    se
        Of patient sampling (ratio of means of the same patients); NaN for single numbers.
    """

    thresholds: FloatArray
    value: FloatArray
    se: FloatArray


def break_even_price(increments: Increments, thresholds: ArrayLike) -> BreakEven:
    """Price of a unit of the item at which net benefit is equal, by threshold; threshold 0 is cost neutral."""
    k = np.atleast_1d(np.asarray(thresholds, dtype=np.float64))
    gain = k[:, None] * increments.effect - increments.other_cost
    return BreakEven(k, *_ratio(gain, increments.quantity))


def break_even_quantity(increments: Increments, price: float, thresholds: ArrayLike) -> BreakEven:
    """Quantity (such as days) whose cost at this price the same effect would be worth, by threshold.

    What a longer or shorter course does to the effect is not in it: that is a question for simulation.
    """
    k = np.atleast_1d(np.asarray(thresholds, dtype=np.float64))
    gain = k[:, None] * increments.effect - increments.other_cost
    return BreakEven(k, *_ratio(gain, np.full_like(increments.effect, price)))


def break_even_threshold(increments: Increments, prices: ArrayLike) -> BreakEven:
    """Threshold at which net benefit is equal (the ratio of increments), by price; `thresholds` holds the prices."""
    p = np.atleast_1d(np.asarray(prices, dtype=np.float64))
    return BreakEven(p, *_ratio(increments.other_cost + p[:, None] * increments.quantity, increments.effect))


def net_benefit_grid(increments: Increments, prices: ArrayLike, thresholds: ArrayLike) -> FloatArray:
    """Increment of net monetary benefit in two ways: (prices, thresholds)."""
    other, quantity, effect = increments.means
    p, k = np.asarray(prices, dtype=np.float64), np.asarray(thresholds, dtype=np.float64)
    grid: FloatArray = np.atleast_1d(k)[None, :] * effect - other - np.atleast_1d(p)[:, None] * quantity
    return grid


def _ratio(above: FloatArray, below: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Ratio of means and its delta-method standard error: (k, patients) by (patients,)."""
    bottom, patients = below.mean(), below.size
    if bottom == 0:
        return np.full(above.shape[0], np.nan), np.full(above.shape[0], np.nan)
    value = above.mean(axis=1) / bottom
    if patients < 2:
        return value, np.full(above.shape[0], np.nan)
    residual = (above - value[:, None] * below) / bottom
    return value, residual.std(axis=1, ddof=1) / np.sqrt(patients)
