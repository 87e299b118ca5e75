"""Logistic regression, batched: maximum likelihood as R's ``glm``, and Firth's penalised likelihood.

Conventions
-----------
``ml``
    Newton's method until the next step would move no combination of coefficients by more than 1e-9 of its
    standard error. Under complete or quasi-complete separation (Albert and Anderson 1984) there is no maximum:
    status ``SEPARATION``, proved by the direction itself. A study in which nobody or everybody has the event
    is such a case too, if there is an intercept.
``firth``
    Jeffreys' prior as penalty (Firth 1993; Heinze and Schemper 2002): finite in every sample of full rank.
    Standard errors from the inverse Fisher information of the unpenalised likelihood at the penalised
    estimate. Without weights.

Robust standard errors are HC0: the plain sandwich over rows or, with `cluster`, over clusters, no
small-sample factor (R's ``sandwich`` and ``vcovCL(type = "HC0", cadjust = FALSE)``). Weights multiply a row's
log-likelihood; model standard errors then take them as counts, robust ones do not.

Limits are ``wald`` or ``profile``: where twice the (penalised) log-likelihood, maximised over the other
coefficients, has fallen by the chi-square quantile (Venzon and Moolgavkar 1988); ±inf where it never does.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, get_args

import numpy as np
from numpy.typing import ArrayLike

from cmvsim.core.records import Estimates, FloatArray, IntArray, Status
from cmvsim.estimators.intervals import normal_quantile
from cmvsim.estimators.regression import Wald, check_covariates, one_term, per_row

Method = Literal["ml", "firth"]
LogisticInterval = Literal["wald", "profile"]


@dataclass(frozen=True, slots=True)
class LogisticFit:
    """Logistic regressions, one per replicate; p coefficients, the intercept first if there is one.

    Attributes
    ----------
    coef, se, ci_low, ci_high, p_value
        Log odds ratios, their standard errors (robust if asked), limits, and two-sided Wald p-values,
        (replicates, p).
    covariance, model_se
        Covariance behind `se`, (replicates, p, p); standard errors from the information, whatever `se` is.
    loglik_null, loglik
        Log-likelihood with all slopes 0, and at the estimate (its supremum under separation). With Firth the
        penalised one at the estimate, and NaN for the null.
    likelihood_ratio, wald
        Chi-square statistics of "all slopes are 0"; the first NaN with Firth.
    n, events
        Rows in the analysis and events among them.
    iterations
        Steps.
    status
        :class:`~cmvsim.core.records.Status` codes: OK, ``EMPTY``, ``NOT_ESTIMABLE`` (a covariate is a
        combination of others), ``SEPARATION``, ``NOT_CONVERGED``. All but OK have NaN coefficients.
    level, method
        Confidence level; method, variance and interval by name.
    """

    coef: FloatArray
    se: FloatArray
    ci_low: FloatArray
    ci_high: FloatArray
    p_value: FloatArray
    covariance: FloatArray
    model_se: FloatArray
    loglik_null: FloatArray
    loglik: FloatArray
    likelihood_ratio: FloatArray
    wald: FloatArray
    n: IntArray
    events: IntArray
    iterations: IntArray
    status: IntArray
    level: float
    method: str

    def term(self, index: int, *, exponentiate: bool = False) -> Estimates:
        """One coefficient, or with `exponentiate` odds ratio (its `se` on the log scale), as `Estimates`."""
        return one_term(self, index, exponentiate=exponentiate)


def logistic(
    outcome: ArrayLike,
    covariates: ArrayLike,
    *,
    method: Method = "ml",
    intercept: bool = True,
    weights: ArrayLike | None = None,
    robust: bool = False,
    cluster: ArrayLike | None = None,
    interval: LogisticInterval = "wald",
    level: float = 0.95,
    max_iterations: int = 200,
) -> LogisticFit:
    """Logistic regression, one per replicate.

    Parameters
    ----------
    outcome
        Integers or booleans, shape (replicates, rows): 0 no, positive yes, -1 not in the analysis.
    covariates
        (replicates, rows, p), or (rows, p) for all replicates; a row with a NaN is not in the analysis.
    method
        ``ml`` or ``firth``; see the module's docstring.
    intercept
        Whether a column of ones goes first.
    weights
        Broadcast to `outcome`; weight 0 is not in the analysis. Not with ``firth``.
    robust
        HC0 standard errors; implied by `cluster`. Not with ``firth``.
    cluster
        Integers or floats that rows of the same cluster share, broadcast to `outcome`.
    interval
        ``wald`` or ``profile``; profile limits ignore `robust`, so that the two exclude each other.
    level
        Confidence level, two-sided.
    max_iterations
        Steps before ``NOT_CONVERGED``.

    Returns
    -------
    LogisticFit
        Arrays of leading shape (replicates,).

    Raises
    ------
    ValueError
        If shapes do not fit, a name is unknown or options exclude each other; never because of the data.

    Notes
    -----
    Agreement with R's glm and sandwich, and with logistf's Firth, is tested to 1e-8.
    """
    from cmvsim.estimators.kernels.logistic import fit_logistic

    robust = robust or cluster is not None
    _check_names(method, interval, robust=robust, weighted=weights is not None)
    y = np.asarray(outcome)
    if y.ndim != 2:
        raise ValueError(f"outcome must be (replicates, rows), not {y.shape}")
    x = check_covariates(covariates, y.shape)
    replicates, p = y.shape[0], x.shape[2] + intercept
    coef, limits = np.empty((replicates, p)), np.empty((replicates, p, 2))
    covariance, naive = np.empty((replicates, p, p)), np.empty((replicates, p, p))
    loglik, tests = np.empty((replicates, 2)), np.empty((replicates, 2))
    n, events, iterations, status = (np.empty(replicates, dtype=np.int64) for _ in range(4))
    fit_logistic(
        np.ascontiguousarray(y, dtype=np.int64),
        per_row(weights, y.shape, np.float64),
        per_row(cluster, y.shape, np.float64),
        x,
        bool(intercept),
        method == "firth",
        robust,
        interval == "profile",
        normal_quantile(level),
        max_iterations,
        coef,
        covariance,
        naive,
        limits,
        loglik,
        tests,
        n,
        events,
        iterations,
        status,
    )
    table = Wald.of(coef, covariance, level)
    low, high = (table.ci_low, table.ci_high) if interval == "wald" else (limits[:, :, 0], limits[:, :, 1])
    return LogisticFit(
        coef,
        table.se,
        low,
        high,
        table.p_value,
        covariance,
        np.sqrt(np.diagonal(naive, axis1=1, axis2=2)),
        loglik[:, 0],
        loglik[:, 1],
        tests[:, 0],
        tests[:, 1],
        n,
        events,
        iterations,
        status,
        level,
        f"{method}, {'robust' if robust else 'model'} variance, {interval} interval",
    )


def _check_names(method: str, interval: str, *, robust: bool, weighted: bool) -> None:
    if method not in get_args(Method):
        raise ValueError(f"unknown method {method!r}; allowed: {', '.join(get_args(Method))}")
    if interval not in get_args(LogisticInterval):
        raise ValueError(f"unknown interval {interval!r}; allowed: {', '.join(get_args(LogisticInterval))}")
    if method == "firth" and (robust or weighted):
        raise ValueError("firth comes without weights and robust standard errors")
    if interval == "profile" and robust:
        raise ValueError("a profile interval knows no robust variance; take interval = 'wald'")


@dataclass(frozen=True, slots=True)
class CoefficientTest:
    """Likelihood-ratio tests of one coefficient, one per replicate.

    Attributes
    ----------
    statistic, p_value
        Twice the fall of the (penalised) log-likelihood, chi-square on one degree of freedom.
    constrained_coef
        Coefficients while the one tested is held at 0, (replicates, p).
    n, events, status
        As for :class:`LogisticFit`. Under ``SEPARATION`` the supremum of the likelihood is compared; all but that and
        OK have NaN.
    method
        Method by name.
    """

    statistic: FloatArray
    p_value: FloatArray
    constrained_coef: FloatArray
    n: IntArray
    events: IntArray
    status: IntArray
    method: str


def likelihood_ratio_test(
    outcome: ArrayLike,
    covariates: ArrayLike,
    term: int,
    *,
    method: Method = "ml",
    intercept: bool = True,
    max_iterations: int = 200,
) -> CoefficientTest:
    """Likelihood-ratio test that one coefficient is 0; with ``firth`` the penalised one (Heinze and Schemper 2002).

    Parameters
    ----------
    outcome, covariates, method, intercept, max_iterations
        As for :func:`logistic`.
    term
        Index of the coefficient in the fit, the intercept being 0 if there is one. With ``firth`` it is held at 0 in
        the likelihood whose penalty knows all columns, which is not the fit without the column.

    Returns
    -------
    CoefficientTest
        Arrays of leading shape (replicates,).

    Raises
    ------
    ValueError
        If shapes do not fit or an argument is not allowed; never because of the data.
    """
    from scipy.special import chdtrc

    from cmvsim.estimators.kernels.logistic_tests import fit_held

    fit = logistic(outcome, covariates, method=method, intercept=intercept, max_iterations=max_iterations)
    y = np.ascontiguousarray(outcome, dtype=np.int64)
    x = check_covariates(covariates, y.shape)
    if not 0 <= term < fit.coef.shape[1]:
        raise ValueError(f"term must be a coefficient, 0 to {fit.coef.shape[1] - 1}, not {term!r}")
    held, coef = np.empty(y.shape[0]), np.empty(fit.coef.shape)
    outcome_held = np.empty(y.shape[0], dtype=np.int64)
    fit_held(y, x, term, intercept, method == "firth", max_iterations, held, coef, outcome_held)
    reached = (Status.OK, Status.SEPARATION)
    fine = np.isin(fit.status, reached) & np.isin(outcome_held, reached)
    status = np.where(fine | ~np.isin(fit.status, reached), fit.status, outcome_held)
    statistic = np.where(fine, np.maximum(2.0 * (fit.loglik - held), 0.0), np.nan)
    coef[outcome_held != Status.OK] = np.nan
    p_value = np.asarray(chdtrc(1.0, statistic), dtype=np.float64)
    return CoefficientTest(statistic, p_value, coef, fit.n, fit.events, status, f"{method} likelihood ratio")
