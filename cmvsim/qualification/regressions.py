"""Cases of group tests and regressions."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from cmvsim.core.records import IntArray, Status
from cmvsim.estimators import (
    cox,
    expand_competing,
    fine_gray,
    fine_gray_extended,
    gray,
    likelihood_ratio_test,
    logistic,
    logrank,
    predict_fine_gray,
)
from cmvsim.qualification.cases import Case, Comparison, numbers

COX = {
    "coef": "coef",
    "se": "se",
    "score": "score",
    "wald": "wald",
    "lrt": "likelihood_ratio",
    "n": "n",
    "nevent": "events",
    "naive_se": "model_se",
    "robust_score": "robust_score",
}
TO_INFINITY = 20
"""A coefficient beyond this is R on its way to infinity; the package says separation."""
CENSORING_GROUPS_RTOL = 2e-3
"""With several censoring groups crr's sandwich is another one: the package adds the influence of each group's own censoring."""


def _codes(values: Any) -> IntArray:
    codes: IntArray = np.unique(values, return_inverse=True)[1]
    return codes


def _status(case: Case, expected: Status, got: Any) -> Comparison:
    return case.same(f"status ({expected.name})", [int(expected)], got)


def group_test(case: Case) -> Iterator[Comparison]:
    """Gray's test, stratified or weighted."""
    data, args = case.data, case.args
    time, cause, group = data["time"], data["status"].astype(int), data["group"]
    if case.name == "pairwise_gray":
        for pair, expected in case.expected.items():
            chosen = np.isin(group, list(pair))
            got = gray(time[chosen][None], cause[chosen][None], _codes(group[chosen]))
            yield case.compare(f"{pair}: statistic, p, df", expected, [got.statistic[0], got.p_value[0], got.df[0]])
        return
    if case.name == "gray_heavy_ties":
        time = np.ceil(time * 4)
    strata = _codes(data[args["strata"]]) if "strata" in args else None
    if "rows" not in case.expected:  # R has no test without an event
        yield _status(case, Status.NO_EVENTS, gray(time[None], cause[None], _codes(group)).status)
        return
    for label, expected in zip(case.expected["rows"], case.expected["values"], strict=True):
        options: dict[str, Any] = {"rho": float(args.get("rho", 0)), "strata": strata, "event": int(label)}
        got = gray(time[None], cause[None], _codes(group), **options)
        yield case.compare(f"event {label}: statistic, p, df", expected, [got.statistic[0], got.p_value[0], got.df[0]])


def logrank_test(case: Case) -> Iterator[Comparison]:
    """Log-rank test, plain or stratified."""
    data, expected = case.data, case.expected
    strata = _codes(data[case.args["strata"]]) if "strata" in case.args else None
    got = logrank(data["time"][None], data["status"][None].astype(int), _codes(data["group"]), strata=strata)
    if not got.events[0]:  # R gives a statistic of 0 where nothing happened
        yield _status(case, Status.NO_EVENTS, got.status)
        return
    yield case.compare("statistic", expected["chisq"], got.statistic[0])
    for name, ours in (("obs", got.observed), ("exp", got.expected)):
        theirs = numbers(expected.get(name, expected.get(f"{name}_total")))
        yield case.compare(f"{name}. events by group", theirs.sum(axis=1) if theirs.ndim == 2 else theirs, ours[0])
    yield case.compare("variance", expected["var"], got.covariance[0])


def cox_regression(case: Case) -> Iterator[Comparison]:
    """Cox regression: ties, weights, strata, robust variance."""
    data, args, expected = case.data, case.args, case.expected
    options: dict[str, Any] = {"ties": args.get("ties", "efron")}
    x = np.asarray(data["group"], dtype=float)[:, None]
    if "weights" in args:
        x = np.c_[data["group"], data["z"]].astype(float)
        options |= {"weights": data[args["weights"]], "robust": "naive_se" in expected}
    if "cox_strat" in case.id:
        options["strata"] = _codes(data["stratum"])
    cause = (data["status"] == 1).astype(int)
    got = cox(data["time"][None], cause[None], x, **options)
    if not got.events[0]:
        yield _status(case, Status.NO_EVENTS, got.status)
        return
    yield case.compare("log-likelihood without and with covariates", expected["loglik"], [got.loglik_null[0], got.loglik[0]])
    yield case.compare("score statistic", expected["score"], got.score[0])
    if np.max(np.abs(numbers(expected["coef"]))) > TO_INFINITY:
        yield _status(case, Status.SEPARATION, got.status)
        return
    for key, name in COX.items():
        if key in expected:
            yield case.compare(key, np.ravel(numbers(expected[key])), np.ravel(getattr(got, name)[0]))


def _fine_gray_columns(case: Case) -> tuple[Any, Any, Any]:
    data = case.data
    return data["time"], data["status"].astype(int), np.c_[data["x1"], data["x2"], data["x3"]]


def subdistribution(case: Case) -> Iterator[Comparison]:
    """Fine-Gray regression."""
    if case.name in EXTENDED:
        yield from EXTENDED[case.name](case)
        return
    time, cause, x = _fine_gray_columns(case)
    expected = case.expected
    if case.name == "crr_heavy_ties":
        time = np.ceil(time * 5)
    if case.name == "crr_no_censor":
        time, cause, x = time[cause > 0], cause[cause > 0], x[cause > 0]
    got = fine_gray(time[None], cause[None], x, event=int(case.args.get("cause", 1)))
    if case.name == "crr_wald":
        beta, se = got.coef[0], got.se[0]
        yield case.compare("table of coefficients", expected["coef"], np.c_[beta, np.exp(beta), se, beta / se, got.p_value[0]])
        terms = [got.term(k, exponentiate=True) for k in range(3)]
        limits = [[term.ci_low[0], term.ci_high[0]] for term in terms]
        yield case.compare("limits of the ratios", [row[2:] for row in expected["conf"]], limits)
        return
    yield from _crr(case, got)
    yield case.compare("se", expected["se"], got.se[0])
    yield case.compare("covariance", expected["var"], got.covariance[0])


def _crr(case: Case, got: Any) -> Iterator[Comparison]:
    expected = case.expected
    yield case.compare("coef", expected["coef"], got.coef[0])
    likelihoods = [expected["loglik_null"], expected["loglik"]]
    yield case.compare("log-likelihood without and with covariates", likelihoods, [got.loglik_null[0], got.loglik[0]])
    yield case.compare("inverse information", np.diag(numbers(expected["inv_inf"])), got.model_se[0] ** 2)


def _time_varying(case: Case) -> Iterator[Comparison]:
    time, cause, x = _fine_gray_columns(case)
    got = fine_gray_extended(time[None], cause[None], x, changing=x[:, [0, 0]], time_functions=lambda t: np.c_[t, t * t])
    yield from _crr(case, got)
    yield case.compare("se", case.expected["se"], got.se[0])


def _censoring_groups(case: Case) -> Iterator[Comparison]:
    time, cause, x = _fine_gray_columns(case)
    group = (case.data["x3"] > 0.5).astype(int)
    got = fine_gray_extended(time[None], cause[None], x[:, :2], censoring_group=group)
    yield from _crr(case, got)
    yield case.compare("se (crr has another sandwich)", case.expected["se"], got.se[0], rtol=CENSORING_GROUPS_RTOL)


def _predictions(case: Case) -> Iterator[Comparison]:
    time, cause, x = _fine_gray_columns(case)
    got = predict_fine_gray(time[None], cause[None], x, case.args["newdata"], case.expected["times"])
    yield case.compare("incidence of two patients", case.expected["cif"], got.incidence[0].T)


def _weighted_rows(case: Case) -> Iterator[Comparison]:
    time, cause, _ = _fine_gray_columns(case)
    got, expected = expand_competing(time, cause), case.expected
    chosen = np.isin(got.patient + 1, np.unique(expected["id"]))
    columns = {"start": np.maximum(got.start, 0.0), "stop": got.stop, "status": got.event, "wt": got.weight}
    for name, column in columns.items():
        yield case.compare(name, expected[name], column[chosen])


EXTENDED: dict[str, Callable[[Case], Iterator[Comparison]]] = {
    "crr_tv_quadratic": _time_varying,
    "crr_cengroup": _censoring_groups,
    "crr_predict": _predictions,
    "finegray_weights_first": _weighted_rows,
}


def logistic_regression(case: Case) -> Iterator[Comparison]:
    """Logistic regression under separation: refused by maximum likelihood, estimated by Firth's."""
    y, x, expected = case.data["y"][None].astype(int), np.c_[case.data["arm"], case.data["z"]], case.expected
    if case.name == "ml_diverges":
        yield _status(case, Status.SEPARATION, logistic(y, x).status)
        return
    if case.name == "penalized_lr_arm":
        test = likelihood_ratio_test(y, x, 1, method="firth")
        yield case.compare("coefficients with the arm at 0", expected["constrained_coef"], test.constrained_coef[0])
        yield case.compare("statistic and p", [expected["lr"], expected["p"]], [test.statistic[0], test.p_value[0]])
        return
    if case.name == "firth_intercept_only":
        got = logistic(y, np.ones((y.size, 1)), method="firth", intercept=False)
    else:
        columns = 2 if case.name == "firth_arm_z" else 1
        got = logistic(y * (case.name != "firth_all_zero"), x[:, :columns], method="firth")
    yield case.compare("coef", np.ravel(numbers(expected["coef"])), got.coef[0], atol=1e-10)
    for key, ours in (("se", got.se[0]), ("penalized_loglik", got.loglik)):
        if key in expected:
            yield case.compare(key, np.ravel(numbers(expected[key])), ours)


COMPUTE: dict[str, Callable[[Case], Iterator[Comparison]]] = {
    "gray_test": group_test,
    "gray_test_stratified": group_test,
    "logrank": logrank_test,
    "logrank_stratified": logrank_test,
    "cox": cox_regression,
    "cox_weighted": cox_regression,
    "cox_stratified": cox_regression,
    "fine_gray": subdistribution,
    "fine_gray_tv": subdistribution,
    "fine_gray_predict": subdistribution,
    "fine_gray_expand": subdistribution,
    "logistic": logistic_regression,
    "logistic_firth": logistic_regression,
    "logistic_firth_lrt": logistic_regression,
}
