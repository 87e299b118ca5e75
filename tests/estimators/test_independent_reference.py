"""Agreement with R's survival, cmprsk, etm and prodlim on shared data, to 1e-8 relative."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from estimators_reference import SHARED, Check, copied_checks, numbers, shared_checks

from cmvsim.core.records import Status
from cmvsim.estimators import (
    aalen_johansen,
    cumulative_incidence_curve,
    kaplan_meier,
    limits,
    proportion_limits,
    survival_curve,
)

R_SCALE = {"log": "log", "log-log": "loglog", "plain": "plain", "logit": "logit", "arcsin": "arcsin"}
FAMILIES = ("aalen_johansen", "kaplan_meier", "proportion_ci")
METHODS = {"wilson with continuity correction": "wilson-corrected", "clopper-pearson one-sided upper": "clopper-pearson"}


def _ours(checks: list[Check]) -> list[Check]:
    return [c for c in checks if c.estimator.startswith(FAMILIES)]


def _close(check: Check, got: object, expected: object) -> None:
    np.testing.assert_allclose(got, expected, rtol=check.rtol, atol=check.atol)


def _close_se(check: Check, got: np.ndarray, expected: np.ndarray) -> None:
    # a variance that is zero up to rounding (1e-17) has a standard error that is zero up to 1e-8
    zero = np.asarray(expected) < 1e-12
    _close(check, got[~zero], np.asarray(expected)[~zero])
    assert np.all(got[zero] < 1e-7)


def _compare_limits(
    check: Check, curve, expected, scale: str, level: float, column: int | None = None, *, on_edges=True
) -> None:
    """Raw limits as R gives them, NA where R has NA; and ours where the status is OK."""
    low, high = limits(curve.estimate, curve.se, interval=scale, level=level)
    theirs_low, theirs_high = numbers(expected["lower"]), numbers(expected["upper"])
    if column is not None:
        theirs_low, theirs_high = theirs_low[:, column], theirs_high[:, column]
    fine = curve.status == Status.OK
    _close(check, low[fine], theirs_low[fine])
    _close(check, high[fine], theirs_high[fine])
    _close(check, curve.ci_low[fine], theirs_low[fine])
    _close(check, curve.ci_high[fine], theirs_high[fine])
    if not on_edges:
        return
    # at exactly 0 or 1 with a standard error of exactly 0 R's answer is the transformation's own: NA, or the
    # point
    exact = ~fine & (curve.se == 0.0) & (theirs_low != 1.0)
    np.testing.assert_array_equal(low[exact], theirs_low[exact])
    np.testing.assert_array_equal(high[exact], theirs_high[exact])


def _incidence_and_survival(check: Check, time, status, expected, scale: str, level: float = 0.95) -> None:
    times, pstate = numbers(expected["times"]), numbers(expected["pstate"])
    se = numbers(expected.get("se_ij", expected.get("std_err")))
    for column in range(1, pstate.shape[1]):
        curve = cumulative_incidence_curve(time, status, times, event=column, variance="ij", interval=scale, level=level)
        _close(check, curve.estimate, pstate[:, column])
        _close_se(check, curve.se, se[:, column])
        np.testing.assert_array_equal(curve.n_at_risk, expected["n_risk"])
        _compare_limits(check, curve, expected, scale, level, column)
        # the batched estimator, one horizon at a time, over a batch of two
        for i, horizon in enumerate(times):
            one = aalen_johansen([time] * 2, [status] * 2, horizon, event=column, variance="ij", interval=scale)
            _close(check, one.estimate, pstate[[i, i], column])
            _close_se(check, one.se, se[[i, i], column])
    free = survival_curve(time, status, times, interval="cloglog", level=level)
    _close(check, free.estimate, pstate[:, 0])
    _close_se(check, free.se, se[:, 0])


def survfit_states(check: Check) -> None:
    rows, args = check.rows, check.args
    time = rows["etime"] if "etime" in rows else rows["time"]
    chosen = rows["sex"] == args["group"][-1] if "group" in args else np.ones(time.size, dtype=bool)
    _incidence_and_survival(check, time[chosen], rows["status"][chosen].astype(int), check.expected, R_SCALE[args["conf_type"]])


def survfit_one_cause(check: Check) -> None:
    scale, expected = R_SCALE[check.args["conf_type"]], check.expected
    curve = cumulative_incidence_curve(
        check.rows["time"],
        check.rows["status"].astype(int),
        expected["times"],
        variance="ij",
        interval=scale,
    )
    _close(check, curve.estimate, expected["cif"])
    _close_se(check, curve.se, expected["se_ij"])
    _compare_limits(check, curve, expected, scale, 0.95)


def _cmprsk(check: Check, time, group, times) -> None:
    for key, expected in check.expected.items():
        label, cause = key.split()
        chosen = group == label
        assert chosen.any()
        status = check.rows["status"][chosen].astype(int)
        curve = cumulative_incidence_curve(time[chosen], status, times, event=int(cause), variance="aalen")
        _close(check, curve.estimate, expected["est"])
        _close(check, curve.se**2, expected["var"])
        for i, horizon in enumerate(times):
            one = aalen_johansen(time[chosen][np.newaxis], status[np.newaxis], horizon, event=int(cause))
            _close(check, one.estimate[0], expected["est"][i])
            _close(check, one.se[0] ** 2, expected["var"][i])


def cmprsk_all(check: Check) -> None:
    time = check.rows["time"]
    if "note" in check.expected:
        assert not check.rows["status"].any()
        assert not cumulative_incidence_curve(time, np.zeros(time.size, dtype=int), time).estimate.any()
        return
    _cmprsk(check, time, np.full(time.size, "1"), check.args["times"])


def cmprsk_mgus(check: Check) -> None:
    _cmprsk(check, check.rows["etime"], check.rows["sex"], check.args["times"])


def cmprsk_ulcer(check: Check) -> None:
    ulcer = np.where(check.rows["ulcer"] == "present", "1", "0")
    _cmprsk(check, check.rows["time"], ulcer, check.args["times"])


def cmprsk_groups(check: Check) -> None:
    _cmprsk(check, check.rows["time"], check.rows["group"], check.args["times"])


def cmprsk_groups_days(check: Check) -> None:
    _cmprsk(check, np.ceil(check.rows["time"] * 4), check.rows["group"], check.args["times"])


def etm_greenwood(check: Check) -> None:
    women = check.rows["sex"] == "F"
    time, status = check.rows["etime"][women], check.rows["status"][women].astype(int)
    curve = cumulative_incidence_curve(time, status, check.args["times"], variance="greenwood")
    _close(check, curve.estimate, check.expected["P"])
    _close(check, curve.se**2, check.expected["var"])
    _close(check, curve.ci_low, check.expected["lower"])
    _close(check, curve.ci_high, check.expected["upper"])


def prodlim(check: Check) -> None:
    curve = cumulative_incidence_curve(
        check.rows["etime"], check.rows["status"].astype(int), check.args["times"], variance="greenwood"
    )
    _close(check, curve.estimate, check.expected["cif"])
    _close(check, curve.se, check.expected["se"])


def etm_truncated(check: Check) -> None:
    args, rows, expected = check.args, check.rows, check.expected
    chosen = rows["group"] == args["group"]
    curve = cumulative_incidence_curve(
        rows["exit"][chosen],
        rows["cause"][chosen].astype(int),
        expected["times"],
        event=args["cause"],
        variance="greenwood",
        entry=rows["entry"][chosen],
    )
    _close(check, curve.estimate, expected["cif"])
    _close(check, curve.se**2, expected["var"])


def survfit_truncated(check: Check) -> None:
    rows, expected = check.rows, check.expected
    strata, times, pstate, se = (np.array(expected[k]) for k in ("strata", "times", "pstate", "se_ij"))
    for group in (0, 1):
        chosen, at = rows["group"] == group, strata == f"group={group}"
        time, cause, entry = rows["exit"][chosen], rows["cause"][chosen].astype(int), rows["entry"][chosen]
        for event in (1, 2, 3):
            curve = cumulative_incidence_curve(time, cause, times[at], event=event, variance="ij", entry=entry)
            _close(check, curve.estimate, pstate[at, event])
            _close_se(check, curve.se, se[at, event])
            np.testing.assert_array_equal(curve.n_at_risk, np.array(expected["n_risk"])[at])
        free = survival_curve(time, cause, times[at], variance="ij", entry=entry)
        _close(check, free.estimate, pstate[at, 0])
        _close_se(check, free.se, se[at, 0])


def weighted_states(check: Check) -> None:
    rows, expected = check.rows, check.expected
    time, status, weights = rows["time"], rows["status"].astype(int), rows[check.args["weights"]]
    for event in (1, 2):
        for i, horizon in enumerate(expected["times"]):
            got = aalen_johansen([time], [status], horizon, event=event, variance="ij", weights=[weights])
            _close(check, got.estimate[0], expected["pstate"][i][event])
            _close(check, got.se[0], expected["se_ij"][i][event])


def _km(check: Check, curve, expected, scale: str, level: float) -> None:
    surv, se = numbers(expected["surv"]), numbers(expected["std_err"])
    _close(check, curve.estimate, surv)
    _close(check, curve.se[surv > 0], se[surv > 0])
    assert np.isnan(se[surv == 0]).all()
    assert not curve.se[surv == 0].any()
    _close(check, curve.n_at_risk, expected["n_risk"])
    # R prints the limits (1, 1) before the first event whatever the scale; ours has its exact bound there
    _compare_limits(check, curve, expected, scale, level, on_edges=False)


def km_right_censored(check: Check) -> None:
    rows, args = check.rows, check.args
    time = rows["etime"] if "etime" in rows else rows["time"]
    event = rows["event"] if "event" in rows else rows["status"] > 0
    if check.id == "km_replicated":
        time, event = (np.repeat(column, rows["wi"].astype(int)) for column in (time, event))
    scale = args.get("conf_type", "log")
    ours = {"log-log": "cloglog"}.get(scale, scale)
    level, times = args.get("conf_level", 0.95), check.expected["times"]
    curve = survival_curve(time, event, times, interval=ours, level=level)
    _km(check, curve, check.expected, R_SCALE[scale], level)
    for i, horizon in enumerate(times):
        one = kaplan_meier([time], [event], horizon, interval=ours, level=level)
        np.testing.assert_allclose(one.estimate[0], curve.estimate[i], rtol=1e-12)
        np.testing.assert_allclose(one.se[0], curve.se[i], rtol=1e-12, atol=1e-14)
        np.testing.assert_allclose(one.ci_low[0], curve.ci_low[i], rtol=1e-11, atol=1e-14)


def km_start_stop(check: Check) -> None:
    rows = check.rows
    curve = survival_curve(rows["stop"], rows["event"], check.expected["times"], entry=rows["start"], interval="log")
    _km(check, curve, check.expected, "log", 0.95)


def km_by_transplant(check: Check) -> None:
    rows, expected = check.rows, check.expected
    strata = np.array(expected["strata"])
    for group in (0, 1):
        chosen, at = rows["transplant"] == group, strata == f"transplant={group}"
        curve = survival_curve(rows["stop"][chosen], rows["event"][chosen], [30, 90, 180], entry=rows["start"][chosen])
        _close(check, curve.estimate, np.array(expected["surv"])[at])
        _close(check, curve.se, np.array(expected["se"])[at])
        np.testing.assert_array_equal(curve.n_at_risk, np.array(expected["n_risk"])[at])


def km_truncated(check: Check) -> None:
    rows, expected = check.rows, check.expected
    strata = np.array(expected["strata"])
    for group in (0, 1):
        chosen, at = rows["group"] == group, strata == f"group={group}"
        for i, horizon in zip(np.flatnonzero(at), np.array(expected["times"])[at], strict=True):
            columns = (rows["exit"][chosen][None], rows["cause"][chosen][None])
            got = kaplan_meier(*columns, horizon, entry=rows["entry"][chosen][None])
            _close(check, got.estimate[0], expected["surv"][i])
            _close(check, got.se[0], expected["se"][i])


def km_weighted(check: Check) -> None:
    rows, args = check.rows, check.args
    curve = survival_curve(
        rows["time"],
        rows["status"] > 0,
        check.expected["times"],
        variance="ij" if "robust" in check.id else "greenwood",
        weights=rows[args["weights"]],
        interval="log",
    )
    _km(check, curve, check.expected, "log", 0.95)


def proportion_intervals(check: Check) -> None:
    x, n = check.rows["x"].astype(int), check.rows["n"].astype(int)
    one_sided = check.id == "exact_one_sided_upper"
    named = check.args["method"]
    method = METHODS.get(named, named.split(",")[0].split(" (")[0])
    level = 2 * check.args["level"] - 1 if one_sided else check.args["level"]
    expected = np.array(check.expected)
    low, high = proportion_limits(x, n, method=method, level=level)
    if not one_sided:
        _close(check, low, expected[:, 0])
    _close(check, high, expected[:, 1])


SPECIAL: dict[str, Callable[[Check], None]] = {
    "aj_cmprsk_by_sex": cmprsk_mgus,
    "aj_etm_greenwood_F": etm_greenwood,
    "prodlim_cif_all": prodlim,
    "cif_by_ulcer": cmprsk_ulcer,
    "cif": cmprsk_groups,
    "cif_heavy_ties": cmprsk_groups_days,
    "aj_aalen_var": cmprsk_all,
    "aj_survfit_log": survfit_one_cause,
    "aj_survfit_log-log": survfit_one_cause,
    "aj_survfit_plain": survfit_one_cause,
    "survfit_lt_aj": survfit_truncated,
    "km_startstop": km_start_stop,
}
GENERAL: dict[str, Callable[[Check], None]] = {
    "aalen_johansen": survfit_states,
    "aalen_johansen_lt": etm_truncated,
    "aalen_johansen_weighted": weighted_states,
    "kaplan_meier": km_right_censored,
    "kaplan_meier_lt": km_truncated,
    "kaplan_meier_td": km_by_transplant,
    "kaplan_meier_weighted": km_weighted,
    "proportion_ci": proportion_intervals,
}


def _run(check: Check) -> None:
    SPECIAL.get(check.id, GENERAL[check.estimator])(check)


@pytest.mark.parametrize("check", _ours(copied_checks()), ids=str)
def test_the_copied_numbers_agree(check: Check) -> None:
    _run(check)


@pytest.mark.skipif(not SHARED.is_dir(), reason="the shared reference folder is not beside this checkout")
@pytest.mark.parametrize("check", _ours(shared_checks()), ids=str)
def test_the_shared_reference_agrees(check: Check) -> None:
    _run(check)


def test_the_copy_covers_every_family_of_variances() -> None:
    names = {c.id for c in copied_checks()}
    assert {"aj_log-log", "aj_aalen_var", "km_any_log", "aj_w", "km_w", "wilson_prop_test"} <= names
    assert len(_ours(copied_checks())) > 50
