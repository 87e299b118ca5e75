"""Cases of cumulative incidence, survival and single proportions."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from cmvsim.core.records import BoolArray, FloatArray, Status
from cmvsim.estimators import (
    aalen_johansen,
    cumulative_incidence_curve,
    kaplan_meier,
    proportion_limits,
    survival_curve,
)
from cmvsim.qualification.cases import Case, Comparison, numbers

SCALES = {"log": "log", "log-log": "loglog", "plain": "plain"}
SURVIVAL_SCALES = {"log": "log", "log-log": "cloglog", "plain": "plain"}
METHODS = {
    "wilson with continuity correction": "wilson-corrected",
    "clopper-pearson one-sided upper": "clopper-pearson",
    "agresti-coull, not clipped": "agresti-coull",
    "jeffreys (0/1 at the boundary)": "jeffreys",
}
ROUNDED_ZERO = 1e-7
"""A variance of 0 up to rounding (1e-17) has a standard error of 0 up to 1e-8."""


def _errors(case: Case, name: str, expected: FloatArray, got: FloatArray) -> Iterator[Comparison]:
    zero = expected < 1e-12
    yield case.compare(name, expected[~zero], got[~zero])
    if zero.any():
        yield case.compare(f"{name}, where it is 0", np.zeros(int(zero.sum())), got[zero], atol=ROUNDED_ZERO)


def _limits(case: Case, curve: Any, low: FloatArray, high: FloatArray, name: str) -> Iterator[Comparison]:
    """Where the status is OK; at 0 and 1 the package gives exact bounds, R what the transformation leaves."""
    fine: BoolArray = curve.status == Status.OK
    if fine.any():
        yield case.compare(f"{name}, lower limit", low[fine], curve.ci_low[fine])
        yield case.compare(f"{name}, upper limit", high[fine], curve.ci_high[fine])


def incidence(case: Case) -> Iterator[Comparison]:
    """Aalen-Johansen with R's infinitesimal-jackknife standard errors, or with cmprsk's variance."""
    time, status = case.data["time"], case.data["status"].astype(int)
    if "variance" in case.args:
        yield from _cmprsk(case, time, status)
        return
    expected, scale = case.expected, SCALES[case.args["conf_type"]]
    times, states, se = (numbers(expected[key]) for key in ("times", "pstate", "se_ij"))
    low, high = numbers(expected["lower"]), numbers(expected["upper"])
    for k in range(1, states.shape[1]):
        curve = cumulative_incidence_curve(time, status, times, event=k, variance="ij", interval=scale)  # type: ignore[arg-type]
        yield case.compare(f"incidence of event {k}", states[:, k], curve.estimate)
        yield from _errors(case, f"its standard error ({k})", se[:, k], curve.se)
        yield from _limits(case, curve, low[:, k], high[:, k], f"incidence of event {k}")
        yield case.same("patients at risk", expected["n_risk"], curve.n_at_risk)
    free = survival_curve(time, status, times, interval="cloglog")
    yield case.compare("free of all events", states[:, 0], free.estimate)


def _cmprsk(case: Case, time: FloatArray, status: Any) -> Iterator[Comparison]:
    times = case.args["times"]
    if "note" in case.expected:  # R has no curve without an event
        yield case.same(
            "incidence without an event", np.zeros(len(times)), cumulative_incidence_curve(time, status, times).estimate
        )
        return
    for key, expected in case.expected.items():
        cause = int(key.split()[1])
        for i, horizon in enumerate(times):
            one = aalen_johansen(time[None], status[None], horizon, event=cause)
            yield case.compare(f"incidence of event {cause} at {horizon:g}", expected["est"][i], one.estimate[0])
            yield case.compare(f"its variance ({cause}) at {horizon:g}", expected["var"][i], one.se[0] ** 2)


def weighted_incidence(case: Case) -> Iterator[Comparison]:
    """Aalen-Johansen with case weights."""
    time, status, weights = case.data["time"], case.data["status"].astype(int), case.data[case.args["weights"]]
    for event in (1, 2):
        for i, horizon in enumerate(case.expected["times"]):
            got = aalen_johansen([time], [status], horizon, event=event, variance="ij", weights=[weights])
            at = f"event {event} at {horizon:g}"
            yield case.compare(f"incidence of {at}", case.expected["pstate"][i][event], got.estimate[0])
            yield case.compare(f"standard error of {at}", case.expected["se_ij"][i][event], got.se[0])


def _survival(case: Case, curve: Any) -> Iterator[Comparison]:
    expected = case.expected
    surv, se = numbers(expected["surv"]), numbers(expected["std_err"])
    yield case.compare("survival", surv, curve.estimate)
    if (surv > 0).any():  # at survival 0 R has no standard error
        yield case.compare("standard error", se[surv > 0], curve.se[surv > 0])
    yield case.compare("at risk", expected["n_risk"], curve.n_at_risk)
    yield from _limits(case, curve, numbers(expected["lower"]), numbers(expected["upper"]), "survival")


def survival(case: Case) -> Iterator[Comparison]:
    """Kaplan-Meier with Greenwood's variance, curve and single horizons."""
    data, scale = case.data, SURVIVAL_SCALES[case.args.get("conf_type", "log")]
    time, event = data["time"], data["status"] > 0
    if case.name == "km_replicated":
        time, event = (np.repeat(column, data["wi"].astype(int)) for column in (time, event))
    times = case.expected["times"]
    yield from _survival(case, survival_curve(time, event, times, interval=scale))  # type: ignore[arg-type]
    alone = [kaplan_meier([time], [event], horizon).estimate[0] for horizon in times]
    yield case.compare("survival, one day at a time", case.expected["surv"], alone)


def weighted_survival(case: Case) -> Iterator[Comparison]:
    """Kaplan-Meier with case weights, Greenwood or robust."""
    data = case.data
    curve = survival_curve(
        data["time"],
        data["status"] > 0,
        case.expected["times"],
        variance="ij" if "robust" in case.id else "greenwood",
        weights=data[case.args["weights"]],
        interval="log",
    )
    yield from _survival(case, curve)


def proportions(case: Case) -> Iterator[Comparison]:
    """Limits of single proportions."""
    x, n = case.data["x"].astype(int), case.data["n"].astype(int)
    named, level = case.args["method"], case.args["level"]
    one_sided = "one-sided" in named
    low, high = proportion_limits(x, n, method=METHODS.get(named, named), level=2 * level - 1 if one_sided else level)
    expected = numbers(case.expected)
    if not one_sided:
        yield case.compare("lower limit", expected[:, 0], low)
    yield case.compare("upper limit", expected[:, 1], high)


COMPUTE: dict[str, Callable[[Case], Iterator[Comparison]]] = {
    "aalen_johansen": incidence,
    "aalen_johansen_weighted": weighted_incidence,
    "kaplan_meier": survival,
    "kaplan_meier_weighted": weighted_survival,
    "proportion_ci": proportions,
}
