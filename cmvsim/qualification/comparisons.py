"""Cases of two proportions, tests of one proportion, the bootstrap's acceleration, and costs under censoring."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from cmvsim.core.records import FloatArray, Status
from cmvsim.estimators import (
    chi_square,
    fisher_exact,
    mean_cost,
    odds_ratio,
    proportion_test,
    risk_difference,
    risk_ratio,
    uncensored_probability,
)
from cmvsim.estimators.bootstrap import jackknife_acceleration
from cmvsim.qualification.cases import Case, Comparison, numbers

METHODS: dict[str, tuple[Callable[..., Any], str]] = {
    "newcombe_method10": (risk_difference, "newcombe"),
    "wald_rd": (risk_difference, "wald"),
    "miettinen_nurminen_rd": (risk_difference, "miettinen-nurminen"),
    "mee_rd": (risk_difference, "mee"),
    "rr_katz_log": (risk_ratio, "katz"),
    "or_woolf": (odds_ratio, "woolf"),
}
FISHER_ATOL = 1.3e-4
"""fisher.test solves for the odds ratio, or for its inverse if that is smaller, to 1.2e-4."""
BOUNDARIES = [0, 2, 4, 6, 8, 10]
COSTS = {
    "bang_tsiatis_simple": "simple",
    "ipcw_if_se": "simple",
    "partitioned_bang_tsiatis": "partitioned",
    "lin_1997_interval": "lin",
    "no_censoring_identity": "partitioned",
}


def _counts(case: Case) -> list[Any]:
    return [case.data[name].astype(int) for name in ("x1", "n1", "x2", "n2")]


def two_proportions(case: Case) -> Iterator[Comparison]:
    """Limits of difference, ratio and odds ratio, where the package gives them."""
    function, method = METHODS[case.name]
    got, expected = function(*_counts(case), method=method), numbers(case.expected)
    fine = got.status <= Status.ALL_EVENTS
    yield case.compare("limits", expected[fine, -2:], np.c_[got.ci_low, got.ci_high][fine])
    if expected.shape[1] == 3:
        yield case.compare("estimate", expected[fine, 0], got.estimate[fine])


def fisher(case: Case) -> Iterator[Comparison]:
    """Fisher's exact test; odds ratios on the side of 1 on which R solves for them."""
    got = fisher_exact(*_counts(case), odds=True)
    yield case.compare("p", [row["p"] for row in case.expected], got.p_value, rtol=1e-8)
    fine = got.status == Status.OK
    theirs = numbers([[row["or_cmle"], *row["ci"]] for row in case.expected])[fine]
    ours = np.c_[got.odds_ratio, got.ci_low, got.ci_high][fine]
    name = "odds ratio and limits, or their inverses"
    yield case.compare(name, _below_one(theirs), _below_one(ours), rtol=0.0, atol=FISHER_ATOL)


def _below_one(values: FloatArray) -> FloatArray:
    with np.errstate(divide="ignore"):
        return np.where(values > 1, 1 / values, values)


def pearson_chi_square(case: Case) -> Iterator[Comparison]:
    """Pearson's test with and without Yates's correction."""
    plain, yates = chi_square(*_counts(case)), chi_square(*_counts(case), yates=True)
    got = np.c_[plain.statistic, plain.p_value, yates.statistic, yates.p_value]
    yield case.compare("statistic, p, statistic and p with Yates", case.expected, got)


def one_proportion(case: Case) -> Iterator[Comparison]:
    """Tests of one proportion against 0.3."""
    x, n = case.data["x"].astype(int), case.data["n"].astype(int)
    method: Any = "exact" if case.kind == "binomial_test" else "score"
    yield case.compare("p", case.expected, proportion_test(x, n, case.args["p0"], method=method), atol=1e-300)


def acceleration(case: Case) -> Iterator[Comparison]:
    """The acceleration of BCa limits of a mean."""
    x = case.data["x"]
    yield case.compare("acceleration", case.expected["a"], jackknife_acceleration((x.sum() - x) / (x.size - 1)))


def costs(case: Case) -> Iterator[Comparison]:
    """Mean costs under censoring."""
    data, expected = case.data, case.expected
    history = np.stack([data[f"cost{k}"] for k in range(1, 6)], axis=-1)[None]
    time, complete = data["time"][None], data["observed"][None].astype(int)
    if case.kind == "ipcw_km":
        yield case.compare("probability of being uncensored", expected["K_minus"], uncensored_probability(time, complete)[0])
        return
    if case.kind == "mean_cost_naive":
        for key, method in (("all", "naive-all"), ("complete_case", "naive-complete")):
            yield case.compare(f"mean, {key}", expected[key], mean_cost(history, time, complete, method=method).estimate[0])  # type: ignore[arg-type]
        return
    if case.name == "no_censoring_identity":
        keep = complete[0] == 1
        history, time, complete = history[:, keep], time[:, keep], complete[:, keep]
    got = mean_cost(history, time, complete, method=COSTS[case.name], boundaries=BOUNDARIES)  # type: ignore[arg-type]
    yield case.compare("mean", expected["mean"], got.estimate[0])
    if "se" in expected:
        yield case.compare("se", expected["se"], got.se[0])
    for key, method in (("per_interval", "partitioned"), ("per_interval_mean", "lin")):
        # each interval by itself: its costs alone, all others 0
        for k, value in enumerate(expected.get(key, [])):
            alone = np.where(np.arange(5) == k, history, 0.0)
            scale = expected["surv_at_start"][k] if method == "lin" else 1.0
            part = mean_cost(alone, time, complete, method=method, boundaries=BOUNDARIES)  # type: ignore[arg-type]
            yield case.compare(f"mean of interval {k + 1}", value, part.estimate[0] / scale)


COMPUTE: dict[str, Callable[[Case], Iterator[Comparison]]] = {
    "risk_difference_ci": two_proportions,
    "risk_ratio_ci": two_proportions,
    "odds_ratio_ci": two_proportions,
    "fisher_exact": fisher,
    "chisq_test": pearson_chi_square,
    "binomial_test": one_proportion,
    "score_test": one_proportion,
    "bca": acceleration,
    **dict.fromkeys(("ipcw_km", "mean_cost_ipcw", "mean_cost_ipcw_partitioned", "mean_cost_lin", "mean_cost_naive"), costs),
}
