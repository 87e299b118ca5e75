"""Fine-Gray regression: R's numbers, crr's quadratic-time formulas as twin, properties, edges."""

from __future__ import annotations

import numpy as np
import pytest
from estimators_reference import Check
from regression_reference import args, checks, close, copied_ids

from cmvsim.core.records import Status
from cmvsim.estimators.cox import cox
from cmvsim.estimators.fine_gray import fine_gray

# censoring by group, covariates times functions of time, prediction and expansion: test_prediction
ELSEWHERE = ("crr_cengroup", "crr_tv_quadratic", "crr_predict", "finegray_weights_first")


@pytest.mark.parametrize("check", checks(("fine_gray",), skip=ELSEWHERE), ids=str)
def test_agrees_with_crr(check: Check) -> None:
    rows, expected = check.rows, check.expected
    time, cause, event = rows["time"], rows["status"].astype(int), int(args(check).get("cause", 1))
    if check.case.startswith("09"):
        x = np.c_[rows["ulcer"] == "present", rows["logthick"], rows["age"], rows["sex"] == "Male"].astype(float)
    else:
        x = np.c_[rows["x1"], rows["x2"], rows["x3"]]
    if check.id == "crr_heavy_ties":
        time = np.ceil(time * 5)
    if check.id == "crr_no_censor":
        time, cause, x = time[cause > 0], cause[cause > 0], x[cause > 0]
    got = fine_gray(time[None], cause[None], x, event=event)
    assert got.status[0] == Status.OK
    if check.id == "crr_wald":
        ratio = got.coef[0]
        table = np.c_[ratio, np.exp(ratio), got.se[0], ratio / got.se[0], got.p_value[0]]
        close(check, table, expected["coef"])
        terms = [got.term(a, exponentiate=True) for a in range(3)]
        close(check, [[t.ci_low[0], t.ci_high[0]] for t in terms], [row[2:] for row in expected["conf"]])
        return
    for key, ours in (("coef", got.coef[0]), ("se", got.se[0]), ("var", got.covariance[0])):
        close(check, ours, expected[key])
    close(check, [got.loglik_null[0], got.loglik[0]], [expected["loglik_null"], expected["loglik"]])
    if "inv_inf" in expected:
        close(check, got.model_se[0] ** 2, np.diag(expected["inv_inf"]).tolist())


def test_the_copy_covers_ties_and_no_censoring() -> None:
    assert {"crr_heavy_ties", "crr_no_censor", "crr_failcode2"} <= copied_ids(("fine_gray",))


def _data(seed: int, replicates: int = 5, n: int = 60, days: int = 20):
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(replicates, n, 3))
    x[:, :, 0] = x[:, :, 0] > 0
    return rng.integers(0, days, (replicates, n)).astype(float), rng.integers(0, 3, (replicates, n)), x


def _twin(beta, time, cause, x):
    """Log-likelihood, score, information and influences by the double sums of Fine and Gray (1999)."""
    n, p = x.shape
    times = np.unique(time)
    left, G = {}, 1.0
    for u in times:
        left[u] = G
        G *= 1 - ((time == u) & (cause == 0)).sum() / (time >= u).sum()
    own, risk = np.array([left[t] for t in time]), np.exp(x @ beta)
    loglik, U, information, influence = 0.0, np.zeros(p), np.zeros((p, p)), np.zeros((n, p))
    weights, means, hazards = {}, {}, {}
    for t in np.unique(time[cause == 1]):
        w = np.where(time >= t, 1.0, np.where(cause == 2, left[t] / own, 0.0)) * risk
        d = (time == t) & (cause == 1)
        weights[t], means[t], hazards[t] = w, w @ x / w.sum(), d.sum() / w.sum()
        loglik += (x[d] @ beta).sum() - d.sum() * np.log(w.sum())
        U += (x[d] - means[t]).sum(axis=0)
        information += hazards[t] * (x - means[t]).T @ (w[:, None] * (x - means[t]))
        influence += d[:, None] * (x - means[t]) - hazards[t] * w[:, None] * (x - means[t])
    for u in times:
        Y, censored = (time >= u).sum(), (time == u) & (cause == 0)
        before = (time < u) & (cause == 2)
        q = sum(
            (hazards[s] * (weights[s][before, None] * (x[before] - means[s])).sum(axis=0) for s in means if s >= u), np.zeros(p)
        )
        influence += censored[:, None] * q / Y - (time >= u)[:, None] * censored.sum() * q / Y**2
    return loglik, U, information, influence


@pytest.mark.parametrize("days", [6, 1000])
def test_quadratic_twin(days: int) -> None:
    time, cause, x = _data(1, days=days)
    got = fine_gray(time, cause, x)
    assert (got.status == Status.OK).all()
    for r in range(time.shape[0]):
        loglik, U, information, influence = _twin(got.coef[r], time[r], cause[r], x[r])
        bread = np.linalg.inv(information)
        np.testing.assert_allclose(got.loglik[r], loglik, rtol=1e-10)
        assert np.all(np.abs(U) < 1e-9)
        np.testing.assert_allclose(got.model_se[r] ** 2, np.diag(bread), rtol=1e-8)
        np.testing.assert_allclose(got.covariance[r], bread @ influence.T @ influence @ bread, rtol=1e-7, atol=1e-12)
        np.testing.assert_allclose(got.loglik_null[r], _twin(np.zeros(3), time[r], cause[r], x[r])[0], rtol=1e-10)


def test_without_competing_events_it_is_cox() -> None:
    time, cause, x = _data(2)
    cause = np.minimum(cause, 1)
    ours, theirs = fine_gray(time, cause, x), cox(time, cause, x, ties="breslow", robust=True)
    np.testing.assert_allclose(ours.coef, theirs.coef, rtol=1e-9)
    np.testing.assert_allclose(ours.se, theirs.se, rtol=1e-9)


def test_order_scale_and_labels() -> None:
    time, cause, x = _data(3)
    plain = fine_gray(time, cause, x)
    order = np.random.default_rng(4).permutation(time.shape[1])
    shuffled = fine_gray(time[:, order], cause[:, order], x[:, order])
    np.testing.assert_allclose(shuffled.coef, plain.coef, rtol=1e-8)
    np.testing.assert_allclose(shuffled.se, plain.se, rtol=1e-8)
    scaled = fine_gray(time / 3, cause, x * [1.0, 1e4, 1e-3] + [0.0, 2e4, 5.0])
    np.testing.assert_allclose(scaled.coef * [1.0, 1e4, 1e-3], plain.coef, rtol=1e-7)
    np.testing.assert_allclose(scaled.se * [1.0, 1e4, 1e-3], plain.se, rtol=1e-7)
    other = fine_gray(time, np.where(cause == 2, 7, cause), x)
    np.testing.assert_array_equal(other.coef, plain.coef)


def test_statuses() -> None:
    time = np.array([[1.0, 2, 3, 4, 5, 6]] * 6)
    cause = np.array([[1, 1, 2, 1, 0, 1]] * 6)
    x = np.array([[0.0, 1, 0, 1, 0, 1]] * 6)[:, :, None]
    x[1] = 1.0
    x[2, :, 0] = [9, 8, 3, 6, 5, 4]
    cause[3] = [0, 2, 2, 0, 0, 2]
    cause[4] = -1
    time[5, 0] = np.nan
    x[5, 1] = 0.5
    got = fine_gray(time, cause, x)
    expected = [Status.OK, Status.NOT_ESTIMABLE, Status.SEPARATION, Status.NO_EVENTS, Status.EMPTY, Status.OK]
    assert got.status.tolist() == expected
    assert got.n.tolist() == [6, 6, 6, 6, 0, 5]
    assert np.isnan(got.coef[1:5]).all()
    # an earlier competing row with a larger covariate stays at risk: no separation
    x[2, :, 0] = [9, 8, 7.5, 6, 5, 4]
    assert fine_gray(time[2:3], cause[2:3], x[2:3]).status[0] == Status.OK
    assert got.term(0).status[3] == Status.NOT_ESTIMABLE


def test_mistakes_of_the_caller_raise() -> None:
    with pytest.raises(ValueError, match="event"):
        fine_gray([[1.0]], [[1]], [[[1.0]]], event=0)
