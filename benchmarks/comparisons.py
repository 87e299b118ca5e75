"""Benchmark rows of the comparisons of groups and summaries of event times: ours and a public peer, in the same run."""

from __future__ import annotations

import warnings
from collections.abc import Callable

import numpy as np

from benchmarks.estimators import Row, _best, _row, _trials
from cmvsim.estimators import (
    bootstrap,
    cumulative_hazard,
    fisher_exact,
    kendall,
    mantel_haenszel,
    odds_ratio,
    rank_sum,
    relative_risk,
    resampling_counts,
    restricted_mean_survival_time,
    restricted_mean_time_lost,
    risk_difference,
    risk_ratio,
    spearman,
    standardised_risks,
    survival_quantile,
)

PATIENTS = 150
REPLICATES = 10_000
PEER_REPLICATES = 30

Listed = list[tuple[str, Callable[[], object], str | None, Callable[[int], object] | None]]


def rows() -> list[Row]:
    """Time every estimator, best of several repetitions after a first call that compiles."""
    found = []
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for name, ours, peer_name, peer in [*_tables(), *_measurements(), *_event_times(), *_adjusted()]:
            timed = None if peer is None or peer_name is None else (peer_name, _per_data_set(peer))
            found.append(_row(f"{name}, n = {PATIENTS}", ours, REPLICATES, timed))
        found.append(_bootstrap_row())
    return found


def _per_data_set(peer: Callable[[int], object]) -> float:
    def some() -> None:
        for r in range(PEER_REPLICATES):
            peer(r)

    return _best(some, 2) / PEER_REPLICATES


def _tables() -> Listed:
    from scipy.stats import fisher_exact as scipy_fisher
    from statsmodels.stats.contingency_tables import StratifiedTable, Table2x2
    from statsmodels.stats.proportion import confint_proportions_2indep

    rng = np.random.Generator(np.random.PCG64(5))
    m = PATIENTS // 2
    a, b = rng.binomial(m, 0.35, REPLICATES), rng.binomial(m, 0.2, REPLICATES)
    strata = rng.binomial(m // 5, 0.3, (2, REPLICATES, 5))

    def table(r: int) -> np.ndarray:
        return np.array([[a[r], m - a[r]], [b[r], m - b[r]]])

    def stratified(r: int) -> object:
        n = m // 5
        tables = [np.array([[x, n - x], [y, n - y]], dtype=float) for x, y in zip(*strata[:, r], strict=True)]
        return StratifiedTable(tables).oddsratio_pooled_confint()

    peer = "statsmodels confint_proportions_2indep"
    return [
        (
            "risk difference, Newcombe",
            lambda: risk_difference(a, m, b, m),
            peer,
            lambda r: confint_proportions_2indep(a[r], m, b[r], m, method="newcomb", compare="diff"),
        ),
        # no peer: statsmodels' score interval of a difference gives wrong limits, or none
        ("risk difference, Miettinen-Nurminen", lambda: risk_difference(a, m, b, m, method="miettinen-nurminen"), None, None),
        (
            "risk ratio, Katz",
            lambda: risk_ratio(a, m, b, m),
            "statsmodels Table2x2",
            lambda r: Table2x2(table(r)).riskratio_confint(),
        ),
        (
            "risk ratio, Koopman",
            lambda: risk_ratio(a, m, b, m, method="koopman"),
            peer,
            lambda r: confint_proportions_2indep(a[r], m, b[r], m, method="score", compare="ratio", correction=False),
        ),
        (
            "odds ratio, Woolf",
            lambda: odds_ratio(a, m, b, m),
            "statsmodels Table2x2",
            lambda r: Table2x2(table(r)).oddsratio_confint(),
        ),
        ("Fisher's exact test", lambda: fisher_exact(a, m, b, m), "scipy fisher_exact", lambda r: scipy_fisher(table(r))),
        (
            "Mantel-Haenszel odds ratio, 5 strata",
            lambda: mantel_haenszel(strata[0], m // 5, strata[1], m // 5, measure="odds-ratio"),
            "statsmodels StratifiedTable",
            stratified,
        ),
    ]


def _measurements() -> Listed:
    from scipy.stats import kendalltau, mannwhitneyu, spearmanr

    rng = np.random.Generator(np.random.PCG64(6))
    x = rng.normal(size=(REPLICATES, PATIENTS))
    y = np.round(0.5 * x + rng.normal(size=x.shape), 1)
    group = np.arange(PATIENTS) % 2
    return [
        ("Spearman, ties", lambda: spearman(x, y), "scipy spearmanr", lambda r: spearmanr(x[r], y[r])),
        ("Kendall, ties", lambda: kendall(x, y), "scipy kendalltau", lambda r: kendalltau(x[r], y[r])),
        (
            "Wilcoxon rank sum, ties",
            lambda: rank_sum(y, group),
            "scipy mannwhitneyu",
            lambda r: mannwhitneyu(y[r, group == 0], y[r, group == 1], method="asymptotic"),
        ),
    ]


def _event_times() -> Listed:
    from statsmodels.duration.survfunc import SurvfuncRight

    time, cause = _trials(REPLICATES, PATIENTS)
    return [
        ("Nelson-Aalen at a horizon", lambda: cumulative_hazard(time, cause, 90.0), None, None),
        ("restricted mean survival time", lambda: restricted_mean_survival_time(time, cause, 90.0), None, None),
        ("restricted mean time lost to a cause", lambda: restricted_mean_time_lost(time, cause, 90.0), None, None),
        (
            "median survival with limits",
            lambda: survival_quantile(time, cause),
            "statsmodels SurvfuncRight.quantile_ci",
            lambda r: SurvfuncRight(time[r], cause[r] > 0).quantile_ci(0.5),
        ),
    ]


def _adjusted() -> Listed:
    from statsmodels.api import GLM, add_constant, families

    rng = np.random.Generator(np.random.PCG64(7))
    x = rng.normal(size=(REPLICATES, PATIENTS, 3))
    x[:, :, 0] = np.arange(PATIENTS) % 2
    y = (rng.random((REPLICATES, PATIENTS)) < 1.0 / (1.0 + np.exp(1.0 - x @ [0.5, 0.3, -0.2]))).astype(np.int64)
    return [
        ("standardised risks (g-computation), 3 covariates", lambda: standardised_risks(y, x), None, None),
        (
            "modified Poisson, 3 covariates, robust",
            lambda: relative_risk(y, x),
            "statsmodels GLM Poisson, HC0",
            lambda r: GLM(y[r], add_constant(x[r]), family=families.Poisson()).fit(cov_type="HC0"),
        ),
    ]


def _bootstrap_row() -> Row:
    from scipy.stats import bootstrap as scipy_bootstrap

    rng = np.random.Generator(np.random.PCG64(8))
    x = rng.exponential(size=PATIENTS)
    indices = rng.integers(0, PATIENTS, (2000, PATIENTS))

    def peer() -> None:
        scipy_bootstrap((x,), np.mean, n_resamples=2000, method="BCa", random_state=rng)

    def ours() -> object:
        return bootstrap(lambda w: w @ x / w.sum(axis=1), resampling_counts(indices, PATIENTS))

    return _row(f"BCa of a mean, 2,000 resamples, one data set, n = {PATIENTS}", ours, 1, ("scipy bootstrap", _best(peer, 2)))


if __name__ == "__main__":
    for row in rows():
        versus = "" if row.peer is None else f"  {row.peer} {row.peer_us:.1f} us, {row.ratio:.0f} x"
        print(f"{row.name:<62} {row.per_trial_us:12.4f} us{versus}")
