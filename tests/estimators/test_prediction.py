"""Predicted incidence, the extended Fine-Gray model and its weighted rows: R's numbers, identities, edges."""

from __future__ import annotations

import numpy as np
import pytest
from estimators_reference import Check
from regression_reference import checks, close, copied_ids

from cmvsim.core.records import Status
from cmvsim.estimators import (
    cox,
    cumulative_incidence_curve,
    expand_competing,
    fine_gray,
    fine_gray_extended,
    predict_cause_specific,
    predict_fine_gray,
)

KINDS = ("fine_gray_tv", "fine_gray_predict", "fine_gray_expand", "csc_predict")


def _columns(check: Check):
    rows = check.rows
    return rows["time"][None], rows["status"][None].astype(int), np.c_[rows["x1"], rows["x2"], rows["x3"]]


@pytest.mark.parametrize("check", checks(("fine_gray_predict", "csc_predict")), ids=str)
def test_predictions_agree_with_r(check: Check) -> None:
    expected = check.expected
    if check.estimator == "fine_gray_predict":
        got = predict_fine_gray(*_columns(check), check.args["newdata"], expected["times"])
        close(check, got.incidence[0].T, expected["cif"])
        return
    rows = check.rows
    x = np.c_[rows["ulcer"] == "present", rows["logthick"], rows["age"], rows["sex"] == "Male"].astype(float)
    who = [[0, 0, 50, 0], [1, 1, 60, 1]]
    assert check.args["newdata"] == "(0,0,50,0),(1,1,60,1)"
    got = predict_cause_specific(rows["time"][None], rows["status"][None].astype(int), x, who, check.args["times"])
    close(check, got.incidence[0], expected["cif"])


@pytest.mark.parametrize("check", [c for c in checks(("fine_gray",)) if c.id in ("crr_cengroup", "crr_tv_quadratic")], ids=str)
def test_extended_model_agrees_with_crr(check: Check) -> None:
    time, cause, x = _columns(check)
    if check.id == "crr_tv_quadratic":
        got = fine_gray_extended(time, cause, x, changing=x[:, [0, 0]], time_functions=lambda t: np.c_[t, t * t])
        keys = (("coef", got.coef[0]), ("se", got.se[0]), ("var", got.covariance[0]))
    else:
        # crr's sandwich with several censoring groups is not reproduced: its standard errors are 0.05% to 0.2% off
        # ours, which adds the influence of each group's own censoring; see the jackknife below
        got = fine_gray_extended(time, cause, x[:, :2], censoring_group=(check.rows["x3"] > 0.5).astype(int))
        keys = (("coef", got.coef[0]),)
        np.testing.assert_allclose(got.se[0], check.expected["se"], rtol=2e-3)
    assert got.status[0] == Status.OK
    for key, ours in keys:
        close(check, ours, check.expected[key])
    close(check, [got.loglik_null[0], got.loglik[0]], [check.expected["loglik_null"], check.expected["loglik"]])
    if "inv_inf" in check.expected:
        close(check, got.model_se[0] ** 2, np.diag(check.expected["inv_inf"]).tolist())


@pytest.mark.parametrize("check", checks(("fine_gray_expand",)), ids=str)
def test_rows_agree_with_finegray(check: Check) -> None:
    time, cause, _ = _columns(check)
    got, expected = expand_competing(time[0], cause[0]), check.expected
    chosen = np.isin(got.patient + 1, np.unique(expected["id"]))
    assert (got.patient[chosen] + 1).tolist() == expected["id"]
    close(check, np.maximum(got.start[chosen], 0.0), expected["start"])
    close(check, got.stop[chosen], expected["stop"])
    close(check, got.weight[chosen], expected["wt"])
    assert got.event[chosen].astype(int).tolist() == expected["status"]


def test_the_copy_covers_the_extensions() -> None:
    assert {"crr_cengroup", "crr_tv_quadratic", "crr_predict", "finegray_weights_first"} <= copied_ids(("fine_gray",))


def _data(seed: int, replicates: int = 4, n: int = 60, days: int = 25):
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(replicates, n, 2))
    x[:, :, 0] = x[:, :, 0] > 0
    return rng.integers(0, days, (replicates, n)).astype(float), rng.integers(0, 3, (replicates, n)), x


def test_without_extensions_it_is_the_fast_one() -> None:
    time, cause, x = _data(1)
    plain, extended = fine_gray(time, cause, x), fine_gray_extended(time, cause, x)
    for name in ("coef", "covariance", "model_se", "loglik", "loglik_null", "score", "likelihood_ratio", "wald"):
        np.testing.assert_allclose(getattr(extended, name), getattr(plain, name), rtol=1e-7, atol=1e-9)
    np.testing.assert_array_equal(extended.n, plain.n)
    same = fine_gray_extended(time, cause, x[:, :, :1], changing=x[:, :, 1:], time_functions=lambda t: np.ones((t.size, 1)))
    np.testing.assert_allclose(same.coef, plain.coef, rtol=1e-7)


def test_the_sandwich_by_censoring_group_is_near_the_jackknife() -> None:
    time, cause, x = _data(2, replicates=1, n=160, days=400)
    group = (np.arange(160) % 3 == 0).astype(int)
    early = (group == 1) & (time[0] > 120)
    time[0, early], cause[0, early] = 120 + np.arange(early.sum()) % 40, 0
    got = fine_gray_extended(time, cause, x, censoring_group=group)
    without = [
        fine_gray_extended(
            np.delete(time, i, 1), np.delete(cause, i, 1), np.delete(x, i, 1), censoring_group=np.delete(group, i)
        ).coef[0]
        for i in range(160)
    ]
    jackknife = np.sqrt(159 / 160 * ((without - np.mean(without, axis=0)) ** 2).sum(axis=0))
    np.testing.assert_allclose(got.se[0], jackknife, rtol=0.06)
    # and the groups matter
    assert np.abs(got.coef - fine_gray(time, cause, x).coef).max() > 1e-3


def test_weighted_rows_in_a_cox_program_give_fine_gray() -> None:
    for seed in (3, 4):
        time, cause, x = _data(seed, replicates=1)
        rows, plain = expand_competing(time[0], cause[0]), fine_gray(time, cause, x)
        start = np.where(np.isinf(rows.start), -1.0, rows.start)
        columns = (rows.stop[None], rows.event[None].astype(int), x[0, rows.patient][None])
        got = cox(*columns, entry=start[None], weights=rows.weight[None], ties="breslow")
        np.testing.assert_allclose(got.coef, plain.coef, rtol=1e-7)
        np.testing.assert_allclose(got.loglik, plain.loglik, rtol=1e-9)


def test_cause_specific_predictions_add_up_and_average_to_the_incidence() -> None:
    time, cause, x = _data(5)
    times = np.array([3.0, 10.0, 18.0])
    by_cause = [
        predict_cause_specific(time, cause, x, [[0, 0], [1, 0.5]], times, event=e, product_limit=True).incidence for e in (1, 2)
    ]
    total = by_cause[0] + by_cause[1]
    assert np.all((total > 0) & (total < 1) & (np.diff(total, axis=2) > 0).all())
    # a covariate without effect: the prediction is the Aalen-Johansen estimate (balanced, so that the fit is exactly 0)
    t, k = np.repeat(time[0], 2), np.repeat(cause[0], 2)
    balanced = np.tile([-1.0, 1.0], time.shape[1])[:, None]
    flat = predict_cause_specific(t[None], k[None], balanced, [[0.0]], times, ties="breslow", product_limit=True)
    curve = cumulative_incidence_curve(t, k, times)
    np.testing.assert_allclose(flat.incidence[0, 0], curve.estimate, rtol=1e-10)
    grey = predict_fine_gray(t[None], k[None], balanced, [[0.0]], times).incidence[0, 0]
    np.testing.assert_allclose(grey, curve.estimate, atol=0.02)


def test_degenerate_samples_have_a_status() -> None:
    time = np.array([[1.0, 2, 3, 4, 5, 6]] * 4)
    cause = np.array([[1, 1, 2, 1, 0, 1]] * 4)
    x = np.array([[0.0, 1, 0, 1, 0, 1]] * 4)[:, :, None]
    x[1] = 1.0
    cause[2] = [0, 2, 2, 0, 0, 2]
    cause[3] = -1
    expected = [Status.OK, Status.NOT_ESTIMABLE, Status.NO_EVENTS, Status.EMPTY]
    got = fine_gray_extended(time, cause, x)
    assert got.status.tolist() == expected
    assert np.isnan(got.coef[1:]).all()
    for predict in (predict_fine_gray, predict_cause_specific):
        predicted = predict(time[1:], cause[1:], x[1:], [[0.5]], [3.0])
        assert predicted.status.tolist() == expected[1:]
        assert np.isnan(predicted.incidence).all()
    x[0, :, 0] = [9, 8, 3, 6, 5, 4]
    assert fine_gray_extended(time[:1], cause[:1], x[:1]).status[0] == Status.SEPARATION
    nothing = expand_competing([np.nan], [1])
    assert nothing.patient.size == 0


def test_mistakes_of_the_caller_raise() -> None:
    time, cause, x = _data(6)
    with pytest.raises(ValueError, match="come together"):
        fine_gray_extended(time, cause, x, changing=x)
    with pytest.raises(ValueError, match="functions of time"):
        fine_gray_extended(time, cause, x, changing=x, time_functions=lambda t: t)
    with pytest.raises(ValueError, match="profiles"):
        predict_fine_gray(time, cause, x, [[1.0]], [2.0])
