"""How an estimator performs on simulated truth: the measures of ADEMP, each with its Monte Carlo standard error.

On the scale of its standard error: ratios as logs, rank correlations as Fisher's z, anything else as it is. Only the mean
estimate is put back (a geometric mean of ratios), and the relative bias of a ratio is that of the geometric mean.

Sources
-------
Morris TP, White IR, Crowther MJ (2019), Using simulation studies to evaluate statistical methods, Stat Med 38:2074, table 6.
Collins LM, Schafer JL, Kam CM (2001), Psychol Methods 6:330 (bias in units of the standard error).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np

from cmvsim.core.records import BoolArray, FloatArray, Measure
from cmvsim.endpoints import EstimatorChoice
from cmvsim.montecarlo import mcse
from cmvsim.montecarlo.mcse import Summary
from cmvsim.planning.characteristics import plausible

Link = Literal["plain", "log", "fisher-z"]
PLAIN_CORRELATIONS = frozenset({"phi"})
"""Correlations whose standard error is their own; that of ranks is of Fisher's z."""
NULLS = {
    "hazard_ratio": 1.0,
    "subdistribution_hazard_ratio": 1.0,
    "odds_ratio": 1.0,
    "risk_ratio": 1.0,
    "risk_difference": 0.0,
    "mean_difference": 0.0,
    "correlation": 0.0,
}
"""No effect, on scales that have it. A p-value is its own test; a probability, a mean, a cost or a count has none."""
NULLS_OF = {"mann_whitney_cmax": 0.5, "mann_whitney_auc": 0.5}
"""Probabilities that compare: of the larger value, a half."""


@dataclass(frozen=True, slots=True)
class Truth:
    """What an estimator is judged against, with the Monte Carlo standard error of its own cohort."""

    value: float
    mcse: float = 0.0


@dataclass(frozen=True, slots=True)
class Replicated:
    """One analysis over all replicates, as it is printed; `se` on the scale of `link`.

    Attributes
    ----------
    estimate, se, ci_low, ci_high, status
        One number per replicate.
    link
        The scale of the standard error.
    scale
        What the estimate is (:data:`cmvsim.endpoints.base.SCALES`); "" where nothing is known of it.
    """

    estimate: FloatArray
    se: FloatArray
    ci_low: FloatArray
    ci_high: FloatArray
    status: FloatArray
    link: Link = "plain"
    scale: str = ""

    @property
    def usable(self) -> BoolArray:
        """Replicates whose status says that numbers exist."""
        return mcse.usable(self.status)

    def rejects(self, null: float, alpha: float) -> BoolArray:
        """Whether the test at level `alpha` rejects; an unusable replicate does not.

        A p-value below `alpha`, or an interval of level 1 - `alpha` that leaves the null out: the test that the interval
        inverts, with its own distribution.
        """
        if self.scale == "p_value":
            return (self.estimate < alpha) & self.usable
        return ~((self.ci_low <= null) & (null <= self.ci_high)) & self.usable


def link_of(choice: EstimatorChoice) -> Link:
    """The scale of an estimator's standard error."""
    if choice.scale.endswith("ratio"):
        return "log"
    return "fisher-z" if choice.scale == "correlation" and choice.id not in PLAIN_CORRELATIONS else "plain"


def null_of(choice: EstimatorChoice) -> float | None:
    """The value that says no effect; None where the estimate compares nothing. Of a p-value NaN: it is its own test."""
    if choice.scale == "p_value":
        return float("nan")
    return NULLS_OF.get(choice.id, NULLS.get(choice.scale))


_FORTH: dict[Link, Callable[[FloatArray], FloatArray]] = {
    "plain": lambda x: x,
    "log": np.log,
    "fisher-z": np.arctanh,
}
_BACK: dict[Link, Callable[[float], float]] = {
    "plain": float,
    "log": lambda x: float(np.exp(x)),
    "fisher-z": lambda x: float(np.tanh(x)),
}
_SLOPE: dict[Link, Callable[[float], float]] = {
    "plain": lambda _: 1.0,
    "log": lambda x: float(np.exp(x)),
    "fisher-z": lambda x: float(1 - np.tanh(x) ** 2),
}


def linked(values: FloatArray, link: Link) -> FloatArray:
    """Values on the scale of the standard error; NaN where that is infinite (a ratio of 0)."""
    with np.errstate(divide="ignore", invalid="ignore"):
        made = _FORTH[link](np.asarray(values, dtype=np.float64))
    return np.where(np.isfinite(made), made, np.nan)


def performance(
    of: Replicated,
    truth: Truth | None,
    *,
    latent: Truth | None = None,
    null: float | None = None,
    alpha: float = 0.05,
    null_holds: bool = False,
) -> Iterator[tuple[Measure, Summary]]:
    """All measures of one analysis at one sample size.

    Parameters
    ----------
    of
        Its replicates. Those that failed stay in the denominator of rejection, and of the bounds of coverage, mean and bias.
    truth, latent
        Protocol and latent estimand, as printed; None leaves their measures out.
    null
        Value of no effect; None leaves the test out.
    alpha
        Of the test; 1 minus the level of the intervals.
    null_holds
        Whether rejecting is an error (``type1``) or what is wanted (``power``).
    """
    yield Measure.P_NOT_ESTIMABLE, failure_rate(of.status)
    if null is not None:
        name = Measure.TYPE1 if null_holds else Measure.POWER
        yield name, mcse.proportion(of.rejects(null, alpha), of.status)
    if of.scale == "p_value":
        return
    estimate, ends = linked(of.estimate, of.link), _plausible(of)
    mean = mcse.mean(estimate, of.status, plausible=ends)
    yield Measure.MEAN_ESTIMATE, _put_back(mean, of.link)
    spread = mcse.standard_deviation(estimate, of.status)
    yield Measure.EMPIRICAL_SE, spread
    if mcse.usable(of.status, of.se).any():
        yield Measure.MODEL_SE, mcse.root_mean_square(of.se, of.status)
        yield Measure.RELATIVE_SE_ERROR, mcse.relative_se_error(estimate, of.se, of.status)
    yield Measure.COVERAGE_BIAS_ELIMINATED, _covers(of, _BACK[of.link](mean.value))
    low, high = linked(of.ci_low, of.link), linked(of.ci_high, of.link)
    yield Measure.CI_WIDTH, mcse.mean(high - low, of.status)
    if truth is not None and np.isfinite(truth.value):
        yield from _against(of, truth, estimate, spread, ends)
    if latent is not None and np.isfinite(latent.value):
        yield Measure.BIAS_LATENT, _bias(of, latent, estimate, ends)
        yield Measure.COVERAGE_LATENT, _covers(of, latent.value)


def _against(
    of: Replicated, truth: Truth, estimate: FloatArray, spread: Summary, ends: tuple[float, float]
) -> Iterator[tuple[Measure, Summary]]:
    """Measures that need the true value."""
    bias = _bias(of, truth, estimate, ends)
    yield Measure.BIAS, bias
    if of.link == "log":
        yield Measure.RELATIVE_BIAS, _put_back(bias, "log", shift=-1.0)
    elif of.link == "plain" and truth.value != 0:
        yield Measure.RELATIVE_BIAS, _scaled(bias, 1 / truth.value)
    if spread.value > 0:
        standard = bias.value / spread.value
        error = float(np.hypot(bias.mcse, standard * spread.mcse)) / spread.value
        yield Measure.STANDARDISED_BIAS, Summary(standard, error, bias.n_ok, bias.n_failed)
    target = float(linked(np.array(truth.value), of.link))
    yield Measure.MSE, mcse.mean((estimate - target) ** 2, of.status)
    yield Measure.COVERAGE, _covers(of, truth.value)


def failure_rate(status: FloatArray) -> Summary:
    """Share of replicates without an estimate, whatever the reason."""
    fine = mcse.usable(status)
    share = float(1 - fine.mean())
    return Summary(share, mcse.wilson_se(share, status.size), int(fine.sum()), int((~fine).sum()))


def _bias(of: Replicated, truth: Truth, estimate: FloatArray, ends: tuple[float, float]) -> Summary:
    target = float(linked(np.array(truth.value), of.link))
    if not np.isfinite(target):
        return Summary(float("nan"), float("nan"), 0, of.status.size)
    error = mcse.mean(estimate - target, of.status, plausible=(ends[0] - target, ends[1] - target))
    own = truth.mcse / _SLOPE[of.link](target)
    return replace(error, mcse=float(np.hypot(error.mcse, own)))


def _covers(of: Replicated, value: float) -> Summary:
    """Share of the intervals that hold a value, among those that exist; bounds over all replicates."""
    return mcse.proportion((of.ci_low <= value) & (value <= of.ci_high), of.status, among="usable")


def _plausible(of: Replicated) -> tuple[float, float]:
    """Of a failed replicate, on the scale of the link."""
    if of.link == "plain":
        return plausible(of.estimate, of.status, of.scale)
    return mcse.plausible_range(linked(of.estimate, of.link), of.status)


def _put_back(of: Summary, link: Link, shift: float = 0.0) -> Summary:
    """A mean on the scale of the link as it is printed; its MCSE by the delta method."""
    back = _BACK[link]
    low, high = (None if end is None else back(end) + shift for end in (of.low, of.high))
    return Summary(back(of.value) + shift, of.mcse * _SLOPE[link](of.value), of.n_ok, of.n_failed, low, high)


def _scaled(of: Summary, factor: float) -> Summary:
    ends = sorted(factor * end for end in (of.low, of.high) if end is not None)
    low, high = ends or (None, None)
    return Summary(factor * of.value, abs(factor) * of.mcse, of.n_ok, of.n_failed, low, high)
