"""Benchmark rows of the group tests and regressions: ours and a public peer on the same data, in the same run."""

from __future__ import annotations

import warnings
from collections.abc import Callable

import numpy as np

from benchmarks.estimators import Row, _best, _row, _trials
from cmvsim.estimators.cox import cox
from cmvsim.estimators.fine_gray import fine_gray
from cmvsim.estimators.group_tests import gray, logrank
from cmvsim.estimators.logistic import logistic

PATIENTS = 150
REPLICATES = 5_000
PEER_REPLICATES = 30
ROWS = 1_000_000


def rows() -> list[Row]:
    """Time every estimator, best of several repetitions after a first call that compiles."""
    time, cause = _trials(REPLICATES, PATIENTS)
    rng = np.random.Generator(np.random.PCG64(4))
    x = rng.normal(size=(REPLICATES, PATIENTS, 3))
    x[:, :, 0] = np.arange(PATIENTS) % 2
    group = x[:, :, 0].astype(np.int64)
    y = (rng.random(time.shape) < 1.0 / (1.0 + np.exp(1.0 - x @ [0.5, 0.3, -0.2]))).astype(np.int64)
    logrank_peer, cox_peer, logistic_peer = _peers(time, cause, group, x, y)
    listed: list[tuple[str, Callable[[], object], tuple[str, float] | None]] = [
        ("log-rank, two groups", lambda: logrank(time, cause, group), ("scipy stats.logrank", logrank_peer)),
        ("Gray, two groups, sort included", lambda: gray(time, cause, group), None),
        ("Cox, 3 covariates, Efron", lambda: cox(time, cause, x), ("statsmodels PHReg", cox_peer)),
        ("Cox, 3 covariates, Efron, robust", lambda: cox(time, cause, x, robust=True), None),
        ("Fine-Gray, 3 covariates, full sandwich", lambda: fine_gray(time, cause, x), None),
        ("logistic, 3 covariates", lambda: logistic(y, x), ("statsmodels Logit", logistic_peer)),
        ("logistic, 3 covariates, Firth", lambda: logistic(y, x, method="firth"), None),
    ]
    return [*(_row(f"{name}, n = {PATIENTS}", ours, REPLICATES, peer) for name, ours, peer in listed), *_million()]


def _million() -> list[Row]:
    """One data set of a million rows."""
    time, cause = _trials(1, ROWS)
    x = np.random.Generator(np.random.PCG64(9)).normal(size=(1, ROWS, 3))
    return [
        _row("Cox, 3 covariates, one data set of 1e6 rows", lambda: cox(time, cause, x), 1),
        _row("Fine-Gray, 3 covariates, one data set of 1e6 rows", lambda: fine_gray(time, cause, x), 1),
    ]


def _peers(time: np.ndarray, cause: np.ndarray, group: np.ndarray, x: np.ndarray, y: np.ndarray) -> tuple[float, float, float]:
    """Seconds per data set of scipy's log-rank test and of statsmodels' Cox and logistic regression."""
    from scipy.stats import CensoredData
    from scipy.stats import logrank as scipy_logrank
    from statsmodels.api import Logit, PHReg, add_constant

    def tests() -> None:
        for t, k, g in zip(time[:PEER_REPLICATES], cause[:PEER_REPLICATES], group[:PEER_REPLICATES], strict=True):
            arms = [CensoredData.right_censored(t[g == a], k[g == a] != 1) for a in (0, 1)]
            scipy_logrank(*arms)

    def hazards() -> None:
        for r in range(PEER_REPLICATES):
            PHReg(time[r], x[r], status=cause[r] == 1, ties="efron").fit()

    def odds() -> None:
        for r in range(PEER_REPLICATES):
            Logit(y[r], add_constant(x[r])).fit(disp=0)

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return tuple(_best(call, 2) / PEER_REPLICATES for call in (tests, hazards, odds))  # type: ignore[return-value]


if __name__ == "__main__":
    for row in rows():
        versus = "" if row.peer is None else f"  {row.peer} {row.peer_us:.1f} us, {row.ratio:.0f} x"
        print(f"{row.name:<62} {row.per_trial_us:12.4f} us{versus}")
