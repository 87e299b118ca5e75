"""Net benefit, acceptability, expected loss and the value of perfect information, from draws of cost and effect.

Thresholds are what a unit of effect is worth. Ties go to the strategy named first, everywhere. The frontier of acceptability is
the probability that the strategy with the highest *expected* net benefit is best, not the highest probability (Fenwick E,
Claxton K, Sculpher M, Health Econ 2001;10:779-787). Expected loss: Alarid-Escudero F et al., Value Health 2019;22:611-618.

A draw of few simulated patients is noisy, and a maximum over noisy means is biased up: the same curves are made from net
benefit smoothed by regression on the inputs, which keeps what the inputs explain and leaves out the noise.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from cmvsim.core.records import FloatArray, IntArray
from cmvsim.economics.evppi import Evppi, evppi
from cmvsim.economics.regression import Design, design_of


@dataclass(frozen=True, eq=False, slots=True)
class DecisionCurves:
    """All curves by threshold; Monte Carlo standard errors are those of the finite number of draws.

    Attributes
    ----------
    thresholds
        (T,).
    net_benefit
        (T, strategies) expected; `net_benefit_mcse` likewise.
    ceac, expected_loss
        (T, strategies), each with its ``_mcse``.
    chosen
        (T,) index of the strategy with the highest expected net benefit.
    ceaf, evpi
        (T,), each with its ``_mcse``; ``evpi`` is the expected loss of the chosen strategy.
    smoothed
        Whether net benefit was smoothed by regression. The errors of CEAC, CEAF and losses are then those of fitted values as
        if they were draws; that of EVPI has the regression's uncertainty too.
    """

    thresholds: FloatArray
    net_benefit: FloatArray
    net_benefit_mcse: FloatArray
    ceac: FloatArray
    ceac_mcse: FloatArray
    chosen: IntArray
    ceaf: FloatArray
    ceaf_mcse: FloatArray
    expected_loss: FloatArray
    expected_loss_mcse: FloatArray
    evpi: FloatArray
    evpi_mcse: FloatArray
    smoothed: bool


@dataclass(frozen=True, slots=True)
class Evpi:
    """Expected value of perfect information of one net benefit, with its Monte Carlo standard error."""

    value: float
    mcse: float


def net_monetary_benefit(cost: FloatArray, effect: FloatArray, threshold: ArrayLike) -> FloatArray:
    """``threshold * effect - cost``; thresholds of any shape become trailing axes."""
    value = np.asarray(threshold, dtype=np.float64)
    cost, effect = (np.reshape(np.asarray(x, dtype=np.float64), np.shape(x) + (1,) * value.ndim) for x in (cost, effect))
    benefit: FloatArray = effect * value - cost
    return benefit


def net_health_benefit(cost: FloatArray, effect: FloatArray, threshold: ArrayLike) -> FloatArray:
    """``effect - cost / threshold``: in units of effect; NaN at threshold 0."""
    value = np.asarray(threshold, dtype=np.float64)
    cost, effect = (np.reshape(np.asarray(x, dtype=np.float64), np.shape(x) + (1,) * value.ndim) for x in (cost, effect))
    benefit: FloatArray = effect - cost / np.where(value > 0, value, np.nan)
    return benefit


def best_strategy(nb: FloatArray) -> IntArray:
    """Index of the best strategy along the last axis; ties go to the one named first."""
    best: IntArray = nb.argmax(axis=-1)
    return best


def ceac(cost: FloatArray, effect: FloatArray, thresholds: ArrayLike) -> FloatArray:
    """Probability that each strategy is best: cost and effect (draws, strategies) -> (thresholds, strategies)."""
    return decision_curves(cost, effect, thresholds).ceac


def ceaf(cost: FloatArray, effect: FloatArray, thresholds: ArrayLike) -> tuple[IntArray, FloatArray]:
    """The strategy with the highest expected net benefit, and the probability that it is best: two of (thresholds,)."""
    curves = decision_curves(cost, effect, thresholds)
    return curves.chosen, curves.ceaf


def expected_loss(cost: FloatArray, effect: FloatArray, thresholds: ArrayLike) -> FloatArray:
    """Expected net benefit forgone by each strategy: (thresholds, strategies)."""
    return decision_curves(cost, effect, thresholds).expected_loss


def evpi(nb: FloatArray) -> Evpi:
    """Expected value of perfect information of (draws, strategies) net benefit."""
    _, loss = _losses(nb)
    of_best = loss[:, loss.mean(axis=0).argmin()]
    return Evpi(float(of_best.mean()), float(_error(of_best)))


def decision_curves(
    cost: FloatArray, effect: FloatArray, thresholds: ArrayLike, parameters: FloatArray | None = None
) -> DecisionCurves:
    """Every curve of a probabilistic analysis.

    Parameters
    ----------
    cost, effect
        (draws, strategies), finite, at least two draws.
    thresholds
        (T,).
    parameters
        (draws, k) all inputs that were drawn: net benefit is then smoothed by regression on them.
    """
    values = np.atleast_1d(np.asarray(thresholds, dtype=np.float64))
    design = None
    if parameters is not None:
        increments = np.concatenate([cost[:, 1:] - cost[:, :1], effect[:, 1:] - effect[:, :1]], axis=1)
        design = design_of(parameters, increments)
    rows = [_at(net_monetary_benefit(cost, effect, value), parameters, design) for value in values]
    columns = {key: np.array([row[key] for row in rows]) for key in rows[0]}
    return DecisionCurves(thresholds=values, smoothed=parameters is not None, **columns)


def smooth_net_benefit(nb: FloatArray, parameters: FloatArray, design: Design | None = None) -> FloatArray:
    """Net benefit as the inputs explain it: (draws, strategies).

    Differences between strategies are smoothed; what all strategies of a draw share cancels in every decision and is left at
    its mean.
    """
    base = int(nb.mean(axis=0).argmax())
    increments = nb - nb[:, [base]]
    fit = (design or design_of(parameters, increments)).fit(increments)
    smoothed: FloatArray = nb[:, base].mean() + fit.fitted
    return smoothed


def _at(nb: FloatArray, parameters: FloatArray | None, design: Design | None) -> dict[str, FloatArray]:
    draws = nb.shape[0]
    mean, mean_error = nb.mean(axis=0), _error(nb)
    learned: Evppi | None = None
    if parameters is not None:
        learned = evppi(nb, parameters, design)
        nb = smooth_net_benefit(nb, parameters, design)
    best, loss = _losses(nb)
    probability = np.bincount(best, minlength=nb.shape[1]) / draws
    chosen = int(mean.argmax())
    lost, lost_error = loss.mean(axis=0), _error(loss)
    binomial = np.sqrt(probability * (1 - probability) / draws)
    return {
        "net_benefit": mean,
        "net_benefit_mcse": mean_error,
        "ceac": probability,
        "ceac_mcse": binomial,
        "chosen": np.asarray(chosen, dtype=np.int64),
        "ceaf": probability[chosen],
        "ceaf_mcse": binomial[chosen],
        "expected_loss": lost,
        "expected_loss_mcse": lost_error,
        "evpi": lost[chosen] if learned is None else learned.value,
        "evpi_mcse": lost_error[chosen] if learned is None else learned.se,
    }


def _losses(nb: FloatArray) -> tuple[IntArray, FloatArray]:
    best = best_strategy(nb)
    return best, np.take_along_axis(nb, best[:, None], axis=1) - nb


def _error(values: FloatArray) -> FloatArray:
    error: FloatArray = values.std(axis=0, ddof=1) / np.sqrt(values.shape[0])
    return error
