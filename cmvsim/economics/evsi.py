"""Expected value of sample information (EVSI): what a study of n patients is worth before its data are seen.

By regression (Strong M, Oakley JE, Brennan A, Breeze P, Med Decis Making 2015;35:570-583): for each draw of the inputs the
study's data are simulated and summarised, net benefit is regressed on the summaries, and the fitted values take the place of
posterior expectations. Studies of all sizes are one simulated study, cut: the smaller is the beginning of the larger, so
that values of neighbouring sizes share their noise and their differences are precise.

By the Gaussian approximation (Jalal H, Alarid-Escudero F, Med Decis Making 2018;38:174-188), for an input whose prior is worth
a known number of patients: the fitted values of EVPPI are shrunk towards their mean as the posterior mean would be.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.optimize import isotonic_regression

from cmvsim.core.records import FloatArray, IntArray, Status
from cmvsim.economics.evppi import Evppi, evppi
from cmvsim.economics.regression import MIN_DRAWS, design_of

TOLERATED = 3.0
"""Standard errors by which an estimate may break an order that holds of the true values."""


@dataclass(frozen=True, eq=False, slots=True)
class Evsi:
    """Value of studies by size.

    Attributes
    ----------
    sizes
        (sizes,) patients, ascending.
    value, se
        (sizes,) per decision.
    rising
        (sizes,) `value` made non-decreasing by weighted isotonic regression: more data are never worth less.
    falls
        Sizes after which the estimate falls by more than three standard errors of the difference: the regression is not to be
        trusted there.
    influence
        (draws, sizes).
    """

    sizes: IntArray
    value: FloatArray
    se: FloatArray
    rising: FloatArray
    falls: tuple[int, ...]
    status: Status
    influence: FloatArray

    def exceeds(self, bound: Evppi) -> tuple[int, ...]:
        """Sizes whose value is above that of learning the informed inputs exactly, by more than three standard errors.

        The errors are of paired differences when the bound comes from the same draws, else of independent ones.
        """
        if bound.influence.shape == self.influence.shape[:1]:
            error = np.sqrt(((self.influence - bound.influence[:, None]) ** 2).sum(axis=0)) / self.influence.shape[0]
        else:
            error = np.hypot(self.se, bound.se)
        return tuple(int(n) for n in self.sizes[self.value - bound.value > TOLERATED * error + 1e-12 * np.abs(bound.value)])


def evsi(nb: FloatArray, summaries: FloatArray, sizes: Sequence[int]) -> Evsi:
    """Value of studies of several sizes by regression on their simulated summaries.

    Parameters
    ----------
    nb
        (draws, strategies) net benefit.
    summaries
        (draws, sizes, k): for each draw of the inputs, what the simulated study of each size would report; the studies of a
        draw are nested.
    sizes
        Patients of the studies, ascending.

    Raises
    ------
    ValueError
        If the shapes do not fit or the sizes do not ascend.
    """
    count = np.asarray(sizes, dtype=np.int64)
    if summaries.ndim != 3 or summaries.shape[:2] != (nb.shape[0], count.size) or (np.diff(count) <= 0).any():
        raise ValueError("summaries are (draws, sizes, k), and sizes ascend")
    each = [evppi(nb, summaries[:, place]) for place in range(count.size)]
    status = next((one.status for one in each if one.status is not Status.OK), Status.OK)
    value, se = np.array([one.value for one in each]), np.array([one.se for one in each])
    influence = np.stack([one.influence for one in each], axis=1)
    return _evsi(count, value, se, influence, status)


def _evsi(sizes: IntArray, value: FloatArray, se: FloatArray, influence: FloatArray, status: Status) -> Evsi:
    if status is not Status.OK:
        return Evsi(sizes, value, se, value, (), status, influence)
    step = np.diff(influence, axis=1)
    error = np.sqrt((step**2).sum(axis=0)) / influence.shape[0]
    falls = sizes[:-1][-np.diff(value) > TOLERATED * error + 1e-12 * np.abs(value[:-1])]
    smallest = np.min(se[se > 0], initial=np.inf)
    weights = 1 / np.maximum(se, smallest if np.isfinite(smallest) else 1.0) ** 2
    rising = np.asarray(isotonic_regression(value, weights=weights).x, dtype=np.float64)
    return Evsi(sizes, value, se, rising, tuple(int(n) for n in falls), status, influence)


def evsi_gaussian(nb: FloatArray, parameter: FloatArray, prior_size: float, sizes: Sequence[int]) -> FloatArray:
    """Value of studies of one input by the Gaussian approximation: (sizes,).

    Parameters
    ----------
    nb
        (draws, strategies).
    parameter
        (draws,).
    prior_size
        Patients that what is known of the input is worth: its prior variance is that of the data of one patient divided by
        this number.
    sizes
        Patients of the studies.
    """
    if nb.shape[0] < MIN_DRAWS:
        return np.full(len(sizes), np.nan)
    best = int(nb.mean(axis=0).argmax())
    increments = nb - nb[:, [best]]
    fitted = design_of(parameter, increments).fit(increments).fitted
    mean = fitted.mean(axis=0)
    kept = [np.sqrt(size / (size + prior_size)) for size in sizes]
    return np.array([(mean + part * (fitted - mean)).max(axis=1).mean() - mean.max() for part in kept])
