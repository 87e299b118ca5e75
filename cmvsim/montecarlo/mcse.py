"""Monte Carlo standard errors: how far a simulated figure may be from that of infinitely many replicates.

Every function takes a column of numbers with the column of their status codes. Means, quantiles and standard
deviations go over the usable replicates (status usable and number present), with their count beside them; a
proportion says whether failed replicates count as not met or are left out. Failed replicates stay in the denominator
of the bounds that stand beside shares and means: `low` and `high` are what the figure over ALL replicates would be
had each failed one given its worst and its best plausible value.

Sources
-------
Morris TP, White IR, Crowther MJ (2019), Using simulation studies to evaluate statistical methods, Stat Med
38:2074, table 6. Wilson EB (1927), JASA 22:209. David HA, Nagaraja HN (2003), Order Statistics, 7.1. Mood AM,
Graybill FA, Boes DC (1974), Introduction to the Theory of Statistics, VI.2.3. Busing FMTA, Meijer E, van der
Leeden R (1999), Stat Comput 9:3 (delete-m_j jackknife).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
from scipy import stats

from cmvsim.core.records import BoolArray, FloatArray, Status
from cmvsim.core.streams import CHUNK_REPLICATES

_Z = 1.959963984540054
"""Normal quantile of the 95% intervals whose half-widths are expressed as standard errors."""

FEWEST_CHUNKS = 10
"""Chunks from which the jackknife leaves out whole chunks."""

_USABLE = tuple(float(status) for status in Status if status.usable)


@dataclass(frozen=True, slots=True)
class Summary:
    """A simulated figure.

    Attributes
    ----------
    value
        NaN when no replicate is usable.
    mcse
        Its Monte Carlo standard error; NaN when it cannot be estimated.
    n_ok
        Usable replicates.
    n_failed
        The others.
    low, high
        What the figure over all replicates would be had every failed one the worst and the best plausible value; equal to
        `value` when none failed, None where no bounds are stated. Of a share, `low` is as planned (failed = not met).
    """

    value: float
    mcse: float
    n_ok: int
    n_failed: int
    low: float | None = None
    high: float | None = None


def usable(status: FloatArray, *columns: FloatArray) -> BoolArray:
    """Mark the replicates whose status is usable and whose numbers are present."""
    mask: BoolArray = np.isin(status, _USABLE)
    for column in columns:
        mask &= ~np.isnan(column)
    return mask


def mean(column: FloatArray, status: FloatArray, *, plausible: tuple[float, float] | None = None) -> Summary:
    """Mean over usable replicates; MCSE = SD / sqrt(n) (Morris, table 6, bias).

    Parameters
    ----------
    column, status
        Numbers and status codes.
    plausible
        Smallest and largest value that a failed replicate may have had (:func:`plausible_range`): gives the bounds of the
        mean over all replicates.
    """
    mask = usable(status, column)
    values = column[mask]
    low, high = _mean_bounds(values, mask.size, plausible) if plausible is not None else (None, None)
    if values.size == 0:
        return replace(_summary(np.nan, np.nan, mask), low=low, high=high)
    mcse = values.std(ddof=1) / np.sqrt(values.size) if values.size > 1 else np.nan
    return replace(_summary(values.mean(), mcse, mask), low=low, high=high)


def _mean_bounds(values: FloatArray, total: int, plausible: tuple[float, float]) -> tuple[float, float]:
    failed = total - values.size
    if failed == 0:
        return float(values.mean()), float(values.mean())
    # A failed replicate is never outside the values seen, whatever range was declared.
    ends = (min(plausible[0], values.min()), max(plausible[1], values.max())) if values.size else plausible
    return float((values.sum() + failed * ends[0]) / total), float((values.sum() + failed * ends[1]) / total)


def plausible_range(column: FloatArray, status: FloatArray) -> tuple[float, float]:
    """What a failed replicate may have given, where the scale has no bounds of its own.

    As far from the median of the usable ones as the farthest of them, on either side. The range of the usable ones alone
    will not do: an analysis that fails whenever its estimate is large has never been seen to give a large one.

    Returns
    -------
    tuple of float
        Infinite when nothing is usable.
    """
    values = column[usable(status, column)]
    if values.size == 0:
        return -np.inf, np.inf
    centre = float(np.median(values))
    reach = float(np.abs(values - centre).max())
    return centre - reach, centre + reach


def proportion(met: BoolArray, status: FloatArray, *, among: Literal["all", "usable"] = "all") -> Summary:
    """Proportion of replicates that meet a criterion.

    Parameters
    ----------
    met
        Whether each replicate meets it; what it says of an unusable replicate is ignored.
    status
        Status codes.
    among
        "all": a replicate that failed did not meet it. "usable": failed replicates are left out.

    Returns
    -------
    Summary
        MCSE = half-width of Wilson's 95% score interval / 1.96, which is sqrt(p(1 - p)/n) for large n and
        stays positive at 0 and 1, where the Wald form of Morris' table 6 claims certainty.
    """
    mask = usable(status)
    total = mask.size if among == "all" else int(mask.sum())
    hits = np.count_nonzero(met & mask)
    low, high = (hits / mask.size, (hits + mask.size - int(mask.sum())) / mask.size) if mask.size else (None, None)
    if total == 0:
        return replace(_summary(np.nan, np.nan, mask), low=low, high=high)
    share = hits / total
    return replace(_summary(share, wilson_se(share, total), mask), low=low, high=high)


def wilson_se(share: float, total: int) -> float:
    """Half-width of Wilson's 95% interval divided by its normal quantile."""
    variance = share * (1 - share) / total + _Z**2 / (4 * total**2)
    return float(np.sqrt(variance) / (1 + _Z**2 / total))


def quantile(column: FloatArray, status: FloatArray, level: float) -> Summary:
    """Quantile over usable replicates.

    The 95% interval between two order statistics whose ranks are binomial quantiles (David and Nagaraja, 7.1)
    needs no density; its half-width over 1.96 is the MCSE. NaN where the interval would reach beyond the
    sample. Infinite values take part.
    """
    mask = usable(status, column)
    values = np.sort(column[mask])
    n = values.size
    if n == 0:
        return _summary(np.nan, np.nan, mask)
    # Of the inverse empirical distribution function, so that no two values are mixed (one may be infinite).
    value = values[min(n - 1, max(0, int(np.ceil(n * level)) - 1))]
    tail = stats.norm.sf(_Z)
    low = int(stats.binom.ppf(tail, n, level))
    high = int(stats.binom.ppf(1 - tail, n, level)) + 1
    if low < 1 or high > n:
        return _summary(value, np.nan, mask)
    below, above = values[low - 1], values[high - 1]
    mcse = 0.0 if below == above else (above - below) / (2 * _Z)
    return _summary(value, mcse, mask)


def standard_deviation(column: FloatArray, status: FloatArray, *, normal: bool = False) -> Summary:
    """Empirical standard error: SD over usable replicates.

    MCSE by the delta method from Var(s^2) = (m4 - s^4 (n - 3)/(n - 1)) / n (Mood, Graybill and Boes), valid
    for any distribution with a fourth moment. `normal` takes the form of Morris' table 6, SD / sqrt(2(n - 1)),
    which is too small for heavy-tailed estimates.
    """
    mask = usable(status, column)
    values = column[mask]
    n = values.size
    if n < 2:
        return _summary(np.nan, np.nan, mask)
    deviation = values - values.mean()
    variance = float(deviation @ deviation) / (n - 1)
    if variance == 0:
        return _summary(0.0, 0.0, mask)
    if normal:
        return _summary(np.sqrt(variance), np.sqrt(variance / (2 * (n - 1))), mask)
    fourth = float(np.mean(deviation**4))
    # The estimated variance of s^2 can be slightly negative for two-point distributions.
    variance_of_variance = max(0.0, (fourth - variance**2 * (n - 3) / (n - 1)) / n)
    return _summary(np.sqrt(variance), np.sqrt(variance_of_variance) / (2 * np.sqrt(variance)), mask)


def root_mean_square(column: FloatArray, status: FloatArray) -> Summary:
    """Average model SE, sqrt(mean(SE^2)); MCSE = sqrt(Var(SE^2) / (4 n mean(SE^2))) (Morris, table 6)."""
    squared = mean(column**2, status)
    root = np.sqrt(squared.value)
    mcse = squared.mcse / (2 * root) if root > 0 else (0.0 if root == 0 else np.nan)
    return Summary(float(root), float(mcse), squared.n_ok, squared.n_failed)


def ratio(numerator: FloatArray, denominator: FloatArray, status: FloatArray) -> Summary:
    """Ratio of means over usable replicates; MCSE by the jackknife over chunks.

    Replicates where either number is missing are left out of both. Chunks are deleted rather than replicates
    because they are the independent units when parameters are drawn per chunk, and because there are few of
    them.
    """
    mask = usable(status, numerator, denominator)
    sums = np.column_stack([np.where(mask, numerator, 0.0), np.where(mask, denominator, 0.0)])
    return _jackknife(sums, mask, lambda total: total[..., 0] / total[..., 1])


def relative_se_error(estimate: FloatArray, se: FloatArray, status: FloatArray) -> Summary:
    """Relative error of the model SE, sqrt(mean(SE^2)) / SD(estimate) - 1; MCSE by the jackknife over chunks.

    Morris' table 6 gives a formula that takes the estimates as normal and as independent of their SEs; the
    jackknife needs neither.
    """
    mask = usable(status, estimate, se)
    # Centred, or the sum of squares would cancel when the estimates are far from 0.
    centre = estimate[mask].mean() if mask.any() else 0.0
    centred = np.where(mask, estimate - centre, 0.0)
    squared_se = np.where(mask, se, 0.0) ** 2
    sums = np.column_stack([squared_se, centred, centred**2, mask.astype(np.float64)])

    def statistic(total: FloatArray) -> FloatArray:
        model, first, second, n = np.moveaxis(total, -1, 0)
        empirical = (second - first**2 / n) / (n - 1)
        error: FloatArray = np.sqrt(model / n / empirical) - 1
        return error

    return _jackknife(sums, mask, statistic)


def _jackknife(terms: FloatArray, mask: BoolArray, statistic: Callable[[FloatArray], FloatArray]) -> Summary:
    """Delete-a-chunk jackknife of a function of sums; the last chunk may be shorter (Busing et al.).

    Replicates are independent, so with few chunks one replicate at a time is left out: the error of two or three chunks is
    no more than a guess.
    """
    n = mask.size
    if not mask.any():
        return _summary(np.nan, np.nan, mask)
    starts = np.arange(0, n, CHUNK_REPLICATES if n >= FEWEST_CHUNKS * CHUNK_REPLICATES else 1)
    by_chunk = np.add.reduceat(terms, starts, axis=0)
    total = by_chunk.sum(axis=0)
    with np.errstate(divide="ignore", invalid="ignore"):
        value = float(statistic(total))
        if starts.size < 2:
            return _summary(value, np.nan, mask)
        without = statistic(total - by_chunk)
    sizes = np.diff(np.append(starts, n))
    weight = n / sizes
    with np.errstate(invalid="ignore"):  # not finite where leaving one out leaves no spread
        centre = starts.size * value - np.sum((1 - sizes / n) * without)
        pseudo = weight * value - (weight - 1) * without
        error = np.sqrt(np.mean((pseudo - centre) ** 2 / (weight - 1)))
    return _summary(value, error, mask)


def _summary(value: float, mcse: float, mask: BoolArray) -> Summary:
    n_ok = int(np.count_nonzero(mask))
    return Summary(float(value), float(mcse), n_ok, mask.size - n_ok)
