"""Expected value of partial perfect information (EVPPI) by regression, for single inputs and groups.

With g_d(x) the expected net benefit of strategy d given the inputs x, EVPPI = E[max_d g_d(X)] - max_d E[g_d(X)]; g is estimated
by regression of the draws' net benefit on the inputs (Strong, Oakley, Brennan, Med Decis Making 2014;34(3):311-326). Increments
against the strategy with the highest mean are regressed, so that strategies with equal draws give exactly 0.

The standard error is that of the influence of each draw on the estimate, penalty held (infinitesimal jackknife): it has both
the finite number of draws and the uncertainty of the regression. The maximum over fitted values stays biased up a little.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from cmvsim.core.records import FloatArray, IntArray, Status
from cmvsim.economics.regression import DRAWS_PER_COLUMN, LARGE, MIN_DRAWS, Design, Fit, as_columns, design_of


@dataclass(frozen=True, eq=False, slots=True)
class Evppi:
    """Value of information by regression, over one or several thresholds.

    Attributes
    ----------
    value, se
        (thresholds,), or 0-d for one net benefit; in the unit of the net benefit, per decision.
    status
        :class:`cmvsim.core.records.Status`; not usable values are NaN.
    explained
        Share of the variance of the increments of net benefit that the inputs explain, the least over the strategies.
    influence
        (draws,) or (draws, thresholds): of each draw on the value, mean 0.
    degrees
        Effective degrees of freedom of the regression, the most over the strategies and thresholds.
    kept
        Inputs in the regression: fewer than given where there are not five draws for each.
    """

    value: FloatArray
    se: FloatArray
    status: Status
    explained: FloatArray
    influence: FloatArray
    degrees: float = 1.0
    kept: int = 0


def evppi(nb: FloatArray, parameters: FloatArray, design: Design | None = None) -> Evppi:
    """Value of learning some inputs without error.

    Parameters
    ----------
    nb
        (draws, strategies), or (draws, strategies, thresholds), finite.
    parameters
        (draws,) one input, or (draws, k) a group.
    design
        The basis of the inputs if it is at hand (:func:`cmvsim.economics.regression.design_of`).

    Returns
    -------
    Evppi
        Not estimable with fewer than 20 draws or fewer than two strategies; 0 where the inputs do not vary.
    """
    single = nb.ndim == 2
    cube = nb[:, :, None] if single else nb
    draws, strategies, thresholds = cube.shape
    inputs = as_columns(parameters)
    if draws < MIN_DRAWS or strategies < 2 or not (np.isfinite(cube).all() and np.isfinite(inputs).all()):
        shape = () if single else (thresholds,)
        nothing = np.full(shape, np.nan)
        return Evppi(nothing, nothing, Status.NOT_ESTIMABLE, nothing, np.full((draws, *shape), np.nan))
    increments = _increments(cube)
    outcomes = increments.reshape(draws, -1)
    basis = design or design_of(inputs, outcomes)
    fit = basis.fit(outcomes)
    size = (float(fit.degrees.max()), len(basis.splines))
    value, influence = _value(fit, outcomes, increments.shape)
    se = np.sqrt((influence**2).sum(axis=0)) / draws
    explained = fit.explained.reshape(increments.shape[1:])
    varied = increments.var(axis=0) > 0
    least = np.where(varied, explained, np.inf).min(axis=0)
    least = np.where(np.isfinite(least), least, 0.0)
    if single:
        return Evppi(value[0], se[0], Status.OK, least[0], influence[:, 0], *size)
    return Evppi(value, se, Status.OK, least, influence, *size)


def regression_size(found: Evppi, inputs: FloatArray) -> dict[str, int | float | bool]:
    """How large the regression on all inputs is for the draws: its fitted values hold that share of the draws' noise."""
    draws, given = inputs.shape
    return {
        "draws": draws,
        "inputs": given,
        "kept": found.kept,
        "degrees": found.degrees,
        "large": found.degrees > LARGE * draws,
        "too_few_draws": draws < DRAWS_PER_COLUMN * given,
    }


def _increments(cube: FloatArray) -> FloatArray:
    """Net benefit above that of the strategy with the highest mean, which is left out: (draws, strategies - 1, thresholds)."""
    best = cube.mean(axis=0).argmax(axis=0)
    strategies = np.arange(cube.shape[1])
    columns = [
        cube[:, strategies != chosen, k] - cube[:, [chosen], k] for k, chosen in enumerate(np.asarray(best, dtype=np.int64))
    ]
    return np.stack(columns, axis=2)


def _value(fit: Fit, outcomes: FloatArray, shape: tuple[int, ...]) -> tuple[FloatArray, FloatArray]:
    """Values (thresholds,) and influences (draws, thresholds); the strategy left out is worth 0 and wins ties."""
    _, others, thresholds = shape
    fitted = fit.fitted.reshape(shape)
    means = outcomes.mean(axis=0).reshape(others, thresholds)
    gain = np.maximum(fitted.max(axis=1), 0.0)
    now = np.maximum(means.max(axis=0), 0.0)
    value = gain.mean(axis=0) - now
    influence = gain - gain.mean(axis=0)
    chosen: IntArray = np.where(fitted.max(axis=1) > 0, fitted.argmax(axis=1), -1)
    residual = outcomes - fit.fitted
    for threshold in range(thresholds):
        for other in range(others):
            column = other * thresholds + threshold
            weights = (chosen[:, threshold] == other).astype(np.float64)
            if weights.any():
                # the constant of the fit moves with each draw's residual too
                lever = weights.mean() + fit.sensitivity(column, weights)
                influence[:, threshold] += residual[:, column] * lever
        if now[threshold] > 0:  # only by the last bits: the strategy left out has the highest mean
            column = int(means[:, threshold].argmax()) * thresholds + threshold
            influence[:, threshold] -= outcomes[:, column] - outcomes[:, column].mean()
    value = np.where(value > 1e-12 * np.abs(outcomes).max(initial=0.0), value, 0.0)
    return value, influence
