"""Two independent proportions: risk difference, risk ratio, odds ratio, phi and chi-square, batched over tables.

A table is x1 events of n1 patients (exposed, arm 1) against x2 of n2. Where there are many trials, limits that
take iterations are computed once per distinct table and looked up.

Status
------
``EMPTY`` where an arm has nobody. The risk difference and its score limits exist for every other table; those in
which nobody (or everybody) of either arm had the event are marked ``NO_EVENTS`` (``ALL_EVENTS``), their estimate is
0 and their limits are the method's regular ones. Where a method's standard error is zero or infinite it claims
nothing about uncertainty: ``NOT_ESTIMABLE`` and NaN, where other programs print a width of 0, NaN or Inf. So with
``wald`` when both observed risks are 0 or 1, and with the log methods when a cell they divide by is empty.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal, get_args

import numpy as np
from numpy.typing import ArrayLike

from cmvsim.core.records import BoolArray, Estimates, FloatArray, IntArray, Status
from cmvsim.estimators.intervals import normal_quantile
from cmvsim.estimators.proportions import proportion_limits
from cmvsim.estimators.score import score_difference_limits, score_ratio_limits

DifferenceMethod = Literal["newcombe", "miettinen-nurminen", "mee", "wald"]
RatioMethod = Literal["katz", "koopman", "miettinen-nurminen"]
OddsMethod = Literal["woolf", "gart"]
PhiMethod = Literal["delta", "fisher-z"]


@dataclass(frozen=True, slots=True)
class Tables:
    """Checked counts of 2 x 2 tables, all of one shape."""

    x1: IntArray
    n1: IntArray
    x2: IntArray
    n2: IntArray

    @classmethod
    def of(cls, x1: ArrayLike, n1: ArrayLike, x2: ArrayLike, n2: ArrayLike) -> Tables:
        """Broadcast the counts; ValueError where one is impossible."""
        counts = np.broadcast_arrays(*(np.asarray(v, dtype=np.int64) for v in (x1, n1, x2, n2)))
        a, m, b, k = (np.asarray(c) for c in counts)
        if a.size and (min(a.min(), b.min()) < 0 or np.any(a > m) or np.any(b > k)):
            raise ValueError("every x must be between 0 and its n")
        return cls(a, m, b, k)

    @property
    def n(self) -> IntArray:
        """Patients of both arms."""
        return np.asarray(self.n1 + self.n2)

    @property
    def events(self) -> IntArray:
        """Events of both arms."""
        return np.asarray(self.x1 + self.x2)

    @property
    def empty(self) -> BoolArray:
        """Whether an arm has nobody."""
        return np.asarray((self.n1 == 0) | (self.n2 == 0))

    def looked_up(self, function: Callable[..., tuple[FloatArray, ...]]) -> tuple[FloatArray, ...]:
        """Arrays that `function` gives, computed once per distinct table; NaN where an arm has nobody."""
        full = ~self.empty
        counts = [c[full] for c in (self.x1, self.n1, self.x2, self.n2)]
        if not full.any():
            counts = [np.array([c]) for c in (0, 1, 0, 1)]
            return tuple(np.full(self.x1.shape, np.nan) for _ in function(*counts))
        sizes = [int(c.max()) + 1 for c in counts]
        if math.prod(sizes) < 1 << 62:
            _, first, back = np.unique(np.ravel_multi_index(counts, sizes), return_index=True, return_inverse=True)
        else:  # arms of more than 2^15 patients: their tables hardly repeat
            first = back = np.arange(counts[0].size)
        found = []
        for values in function(*(c[first] for c in counts)):
            out = np.full(self.x1.shape, np.nan)
            out[full] = values[back]
            found.append(out)
        return tuple(found)


def risk_difference(
    x1: ArrayLike,
    n1: ArrayLike,
    x2: ArrayLike,
    n2: ArrayLike,
    *,
    method: DifferenceMethod = "newcombe",
    level: float = 0.95,
) -> Estimates:
    """Risk difference x1/n1 - x2/n2 with confidence limits, one per replicate.

    Parameters
    ----------
    x1, n1, x2, n2
        Events and patients of each arm, integers of shapes that broadcast.
    method
        ``newcombe`` (hybrid score without continuity correction, method 10), ``miettinen-nurminen`` (score, with the
        variance factor N / (N - 1)), ``mee`` (score without it) or ``wald``.
    level
        Confidence level, two-sided.

    Returns
    -------
    Estimates
        `se` is the unpooled Wald standard error whatever the method. Statuses as in the module's docstring.

    Raises
    ------
    ValueError
        If counts are impossible, or `method` or `level` is not allowed.

    Notes
    -----
    Newcombe, Statistics in Medicine 17 (1998) 873-890; Miettinen and Nurminen, Statistics in Medicine 4 (1985)
    213-226; Mee, Biometrics 40 (1984) 1175-1176.
    """
    _check(method, DifferenceMethod)
    tables, z = Tables.of(x1, n1, x2, n2), normal_quantile(level)
    with np.errstate(divide="ignore", invalid="ignore"):
        p1, p2 = tables.x1 / tables.n1, tables.x2 / tables.n2
        estimate, se = p1 - p2, np.sqrt(p1 * (1.0 - p1) / tables.n1 + p2 * (1.0 - p2) / tables.n2)
    if method == "wald":
        low, high = np.maximum(estimate - z * se, -1.0), np.minimum(estimate + z * se, 1.0)
    elif method == "newcombe":
        low1, high1 = proportion_limits(tables.x1, tables.n1, method="wilson", level=level)
        low2, high2 = proportion_limits(tables.x2, tables.n2, method="wilson", level=level)
        low = np.maximum(estimate - np.hypot(p1 - low1, high2 - p2), -1.0)
        high = np.minimum(estimate + np.hypot(high1 - p1, p2 - low2), 1.0)
    else:
        correction = method == "miettinen-nurminen"
        low, high = tables.looked_up(lambda *t: score_difference_limits(*t, z=z, correction=correction))
    status = np.full(estimate.shape, int(Status.OK), dtype=np.int64)
    status[tables.events == tables.n], status[tables.events == 0] = Status.ALL_EVENTS, Status.NO_EVENTS
    if method == "wald":
        status[se == 0.0] = Status.NOT_ESTIMABLE
    return _estimates(tables, estimate, se, low, high, status, level, f"{method} interval", "plain")


def risk_ratio(
    x1: ArrayLike,
    n1: ArrayLike,
    x2: ArrayLike,
    n2: ArrayLike,
    *,
    method: RatioMethod = "katz",
    level: float = 0.95,
) -> Estimates:
    """Risk ratio (x1/n1) / (x2/n2) with confidence limits, one per replicate.

    Parameters
    ----------
    x1, n1, x2, n2, level
        As for :func:`risk_difference`.
    method
        ``katz`` (normal on the log scale), ``koopman`` (score) or ``miettinen-nurminen`` (score, with the variance
        factor N / (N - 1)).

    Returns
    -------
    Estimates
        `se` on the log scale, NaN where x1 or x2 is 0. ``NOT_ESTIMABLE`` where x2 is 0, and with ``katz`` also where
        x1 is 0 or both risks are 1. With a score method x1 = 0 has the estimate 0 and the limits [0, u], status
        ``NO_EVENTS``.

    Raises
    ------
    ValueError
        If counts are impossible, or `method` or `level` is not allowed.

    Notes
    -----
    Katz et al., Biometrics 34 (1978) 469-474; Koopman, Biometrics 40 (1984) 513-517; Miettinen and Nurminen (1985).
    """
    _check(method, RatioMethod)
    tables, z = Tables.of(x1, n1, x2, n2), normal_quantile(level)
    a, b = tables.x1, tables.x2
    with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
        estimate = (a / tables.n1) / (b / tables.n2)
        se = np.sqrt(1.0 / a - 1.0 / tables.n1 + 1.0 / b - 1.0 / tables.n2)
        se = np.where((a == 0) | (b == 0), np.nan, se)
        if method == "katz":
            low, high = estimate * np.exp(-z * se), estimate * np.exp(z * se)
        else:
            correction = method == "miettinen-nurminen"
            low, high = tables.looked_up(lambda *t: score_ratio_limits(*t, z=z, correction=correction))
    status = np.full(a.shape, int(Status.OK), dtype=np.int64)
    status[a == 0] = Status.NO_EVENTS
    if method == "katz":
        status[(a == 0) | (se == 0.0)] = Status.NOT_ESTIMABLE
    status[b == 0] = Status.NOT_ESTIMABLE
    return _estimates(tables, estimate, se, low, high, status, level, f"{method} interval", "log")


def odds_ratio(
    x1: ArrayLike,
    n1: ArrayLike,
    x2: ArrayLike,
    n2: ArrayLike,
    *,
    method: OddsMethod = "woolf",
    level: float = 0.95,
) -> Estimates:
    """Odds ratio with limits on the log scale, one per replicate; the exact conditional one is ``fisher_exact``.

    Parameters
    ----------
    x1, n1, x2, n2, level
        As for :func:`risk_difference`.
    method
        ``woolf``, or ``gart``: 1/2 is added to every cell of every table, so that estimate and limits always exist
        (for one binary covariate this is Firth's logistic regression, but for the standard error).

    Returns
    -------
    Estimates
        `se` on the log scale. ``NOT_ESTIMABLE`` with ``woolf`` where a cell is empty.

    Raises
    ------
    ValueError
        If counts are impossible, or `method` or `level` is not allowed.

    Notes
    -----
    Woolf, Annals of Human Genetics 19 (1955) 251-253; Gart, JRSS B 24 (1962) 454-463.
    """
    _check(method, OddsMethod)
    tables, z = Tables.of(x1, n1, x2, n2), normal_quantile(level)
    cells = [
        c + (0.5 if method == "gart" else 0.0) for c in (tables.x1, tables.n1 - tables.x1, tables.x2, tables.n2 - tables.x2)
    ]
    a, b, c, d = cells
    with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
        estimate = a * d / (b * c)
        se = np.sqrt(1.0 / a + 1.0 / b + 1.0 / c + 1.0 / d)
        low, high = estimate * np.exp(-z * se), estimate * np.exp(z * se)
    status = np.where(np.isfinite(se), int(Status.OK), int(Status.NOT_ESTIMABLE)).astype(np.int64)
    return _estimates(tables, estimate, se, low, high, status, level, f"{method} interval", "log")


def phi_coefficient(
    x1: ArrayLike,
    n1: ArrayLike,
    x2: ArrayLike,
    n2: ArrayLike,
    *,
    method: PhiMethod = "delta",
    level: float = 0.95,
) -> Estimates:
    """Phi, the correlation of the two binary variables of a table, one per replicate.

    Parameters
    ----------
    x1, n1, x2, n2, level
        As for :func:`risk_difference`.
    method
        ``delta`` (multinomial delta method, limits clipped to [-1, 1]) or ``fisher-z``, which treats phi as a
        correlation of normal variables.

    Returns
    -------
    Estimates
        `se` plain with ``delta``, on the scale of Fisher's z with ``fisher-z``. ``NOT_ESTIMABLE`` where nobody or
        everybody had the event, where phi is exactly 1 or -1, and with ``fisher-z`` below four patients.

    Raises
    ------
    ValueError
        If counts are impossible, or `method` or `level` is not allowed.

    Notes
    -----
    Variance of Bishop, Fienberg and Holland, Discrete Multivariate Analysis (1975), section 11.3.
    """
    _check(method, PhiMethod)
    tables, z = Tables.of(x1, n1, x2, n2), normal_quantile(level)
    n, events = tables.n, tables.events
    with np.errstate(divide="ignore", invalid="ignore"):
        share, risk = tables.n1 / n, events / n
        rows, columns = share * (1.0 - share), risk * (1.0 - risk)
        estimate = (tables.x1 / n - share * risk) / np.sqrt(rows * columns)
        if method == "delta":
            skew1, skew2 = (2.0 * share - 1.0) / np.sqrt(rows), (2.0 * risk - 1.0) / np.sqrt(columns)
            square = estimate**2
            spread = 1.0 - square + estimate * (1.0 + square / 2.0) * skew1 * skew2 - 0.75 * square * (skew1**2 + skew2**2)
            se = np.sqrt(np.maximum(spread, 0.0) / n)
            low, high = np.maximum(estimate - z * se, -1.0), np.minimum(estimate + z * se, 1.0)
        else:
            se = np.where(n > 3, 1.0 / np.sqrt(np.maximum(n - 3, 1)), np.nan)
            centre = np.arctanh(estimate)
            low, high = np.tanh(centre - z * se), np.tanh(centre + z * se)
    fine = np.isfinite(estimate) & (np.abs(estimate) < 1.0 - 1e-12) & np.isfinite(se)
    status = np.where(fine, int(Status.OK), int(Status.NOT_ESTIMABLE)).astype(np.int64)
    scale = "plain" if method == "delta" else "fisher-z"
    return _estimates(tables, estimate, se, low, high, status, level, f"{method} interval", scale)


@dataclass(frozen=True, slots=True)
class TableTest:
    """Test of independence in 2 x 2 tables, one per replicate.

    Attributes
    ----------
    statistic, p_value
        Chi-square on one degree of freedom and its upper tail; NaN unless the status is OK.
    n, events
        Patients and events of both arms.
    status
        OK, ``EMPTY``, or ``NOT_ESTIMABLE`` (nobody or everybody had the event).
    method
        The test by name.
    """

    statistic: FloatArray
    p_value: FloatArray
    n: IntArray
    events: IntArray
    status: IntArray
    method: str


def chi_square(x1: ArrayLike, n1: ArrayLike, x2: ArrayLike, n2: ArrayLike, *, yates: bool = False) -> TableTest:
    """Pearson's chi-square test of two proportions, one per replicate.

    Parameters
    ----------
    x1, n1, x2, n2
        As for :func:`risk_difference`.
    yates
        Continuity correction: |observed - expected| less 1/2, or 0 where it is smaller (as R's ``chisq.test``).

    Returns
    -------
    TableTest
        Of the shape of the counts.

    Raises
    ------
    ValueError
        If counts are impossible.
    """
    from scipy.special import chdtrc

    tables = Tables.of(x1, n1, x2, n2)
    n, events = tables.n, tables.events
    with np.errstate(divide="ignore", invalid="ignore"):
        expected = tables.n1 * (events / n)
        distance = np.abs(tables.x1 - expected)
        if yates:
            distance = np.maximum(distance - 0.5, 0.0)
        statistic = distance**2 * n**2 / (tables.n1 * tables.n2 * (events / n) * (n - events))
    status = np.full(n.shape, int(Status.OK), dtype=np.int64)
    status[(events == 0) | (events == n)] = Status.NOT_ESTIMABLE
    status[tables.empty] = Status.EMPTY
    statistic = np.where(status == Status.OK, statistic, np.nan)
    p_value = np.asarray(chdtrc(1.0, statistic), dtype=np.float64)
    return TableTest(statistic, p_value, n, events, status, "chi-square, Yates" if yates else "chi-square")


def _check(method: str, allowed: object) -> None:
    if method not in get_args(allowed):
        raise ValueError(f"unknown method {method!r}; allowed: {', '.join(get_args(allowed))}")


def _estimates(
    tables: Tables,
    estimate: FloatArray,
    se: FloatArray,
    low: FloatArray,
    high: FloatArray,
    status: IntArray,
    level: float,
    method: str,
    scale: str,
) -> Estimates:
    """Estimates with NaN wherever the status promises nothing."""
    status[tables.empty] = Status.EMPTY
    gone = (status == Status.EMPTY) | (status == Status.NOT_ESTIMABLE)
    estimate, se, low, high = (np.where(gone, np.nan, v) for v in (estimate, se, low, high))
    return Estimates(estimate, se, low, high, tables.n, tables.events, status, level, method, se_scale=scale)
