"""Cox regression: R's numbers, a plain quadratic-time twin, properties, edges."""

from __future__ import annotations

import numpy as np
import pytest
from estimators_reference import Check
from regression_reference import args, checks, close, codes, copied_ids
from test_group_tests import landmark

from cmvsim.core.records import Status
from cmvsim.estimators.cox import CoxFit, cox

NUMBERS = {
    "coef": "coef",
    "se": "se",
    "vcov": "covariance",
    "score": "score",
    "wald": "wald",
    "lrt": "likelihood_ratio",
    "n": "n",
    "nevent": "events",
    "naive_se": "model_se",
    "robust_score": "robust_score",
}
HEART = {"cox_ss_strata": ["age", "transplant"], "cox_inter": ["age", "surgery", "transplant"]}


def _fit(check: Check) -> CoxFit:
    rows, given = check.rows, args(check)
    options: dict[str, object] = {"ties": given.get("ties", "efron")}
    if check.estimator == "landmark_cox":
        time, cause, exposed, age = landmark(check)
        return cox(time[None], cause[None], np.c_[exposed, age])
    if check.id == "cox_pcm":
        return cox(rows["etime"][None], (rows["status"] == 1)[None], np.c_[rows["age"], rows["sex"] == "M"])
    if check.case.startswith("06"):
        x = np.c_[tuple(rows[name] for name in HEART.get(check.id, ["age", "year", "surgery", "transplant"]))]
        if check.id == "cox_inter":
            x = np.c_[x, x[:, :2] * x[:, 2:]]
        options |= {"strata": rows["surgery"].astype(int)} if "strata" in given else {}
        options |= {"cluster": rows["id"]} if "cluster" in given else {}
        return cox(rows["stop"][None], rows["event"][None].astype(int), x, entry=rows["start"], **options)
    if check.case.startswith("07"):
        gap = given.get("clock") == "gap"
        time = rows["stop"] - rows["start"] if gap else rows["stop"]
        options |= {} if gap else {"entry": rows["start"]}
        options |= {"strata": rows["enum"].astype(int)} if "strata" in given else {}
        x = np.c_[rows["rx"] == 2, rows["number"], rows["size"]]
        return cox(time[None], rows["event"][None].astype(int), x, cluster=rows["id"], **options)
    if check.case.startswith("09"):
        x = np.c_[rows["ulcer"] == "present", rows["logthick"], rows["age"], rows["sex"] == "Male"]
        return cox(rows["time"][None], rows["status"][None].astype(int), x, event=given["cause"])
    if check.case.startswith("15"):
        x, cause = rows["group"][:, None], rows["cause"][None].astype(int)
        return cox(rows["exit"][None], cause, x, event=given["cause"], entry=rows["entry"], **options)
    if "weights" in given:
        x = np.c_[rows["group"], rows["z"]]
        robust = "naive_se" in check.expected
        weights = rows[given["weights"]]
        return cox(rows["time"][None], (rows["status"] == 1)[None], x, weights=weights, robust=robust, **options)
    strata = {"strata": codes(rows["stratum"])} if "cox_strat" in check.id else {}
    return cox(rows["time"][None], rows["status"][None].astype(int), rows["group"][:, None], **options, **strata)


@pytest.mark.parametrize("check", checks(("cox", "landmark_cox")), ids=str)
def test_agrees_with_coxph(check: Check) -> None:
    got, expected = _fit(check), check.expected
    if got.events[0] == 0:
        assert got.status[0] == Status.NO_EVENTS
        assert np.isnan(got.coef).all()
        close(check, got.loglik, [0.0])
        return
    close(check, [got.loglik_null[0], got.loglik[0]], expected["loglik"])
    close(check, got.score[0], expected["score"])
    if np.max(np.abs(expected["coef"])) > 20:  # R stops on the way to infinity
        assert got.status[0] == Status.SEPARATION
        assert np.isnan(got.coef).all()
        return
    assert got.status[0] == Status.OK
    for key, name in NUMBERS.items():
        if key in expected:
            close(check, np.ravel(getattr(got, name)[0]), np.ravel(expected[key]).tolist())


@pytest.mark.parametrize("check", checks(("logrank_td",)), ids=str)
def test_score_test_of_a_time_dependent_group_is_mantel_and_byar(check: Check) -> None:
    rows = check.rows
    cause, x = rows["event"][None].astype(int), rows["transplant"][:, None]
    got = cox(rows["stop"][None], cause, x, entry=rows["start"], ties="breslow")
    close(check, got.score[0], check.expected["score"])


def test_the_copy_covers_ties_weights_strata_and_robust() -> None:
    assert {"cox_w_efron", "cox_robust_w", "cox_strat_breslow", "cox_cause1"} <= copied_ids(("cox",))


def _data(seed: int, replicates: int = 6, n: int = 50):
    rng = np.random.default_rng(seed)
    time = rng.integers(5, 25, (replicates, n)).astype(float)
    entry = time - rng.integers(1, 15, time.shape)
    x = rng.normal(size=(replicates, n, 3))
    x[:, :, 0] = x[:, :, 0] > 0
    cause = rng.integers(0, 3, time.shape)
    return (
        time,
        cause,
        x,
        entry,
        rng.integers(0, 3, time.shape),
        rng.uniform(0.3, 3, time.shape),
        rng.integers(0, 20, time.shape),
    )


def _twin(beta, time, dead, x, entry, strata, w, efron: bool):
    """Log-likelihood, score, information and score residuals by sums over every risk set."""
    risk = np.exp(x @ beta)
    n, p = x.shape
    loglik, U, information, residual = 0.0, np.zeros(p), np.zeros((p, p)), np.zeros((n, p))
    for s in np.unique(strata):
        for t in np.unique(time[dead & (strata == s)]):
            there = (strata == s) & (entry < t) & (time >= t)
            deaths = np.flatnonzero(there & dead & (time == t))
            d = deaths.size
            each = w[deaths].sum() / d
            for k in range(d):
                share = there.astype(float)
                share[deaths] -= (k / d) if efron else 0.0
                mass = share * risk * w
                mean = mass @ x / mass.sum()
                loglik -= each * np.log(mass.sum())
                information += each * ((x - mean).T @ (mass[:, None] * (x - mean))) / mass.sum()
                U += (w[deaths, None] * (x[deaths] - mean)).sum(axis=0) / d
                residual -= (share * risk * each / mass.sum())[:, None] * (x - mean)
                residual[deaths] += (x[deaths] - mean) / d
            loglik += (w[deaths] * (x[deaths] @ beta)).sum()
    return loglik, U, information, residual * w[:, None]


@pytest.mark.parametrize("ties", ["efron", "breslow"])
@pytest.mark.parametrize("full", [False, True])
def test_plain_twin(ties: str, full: bool) -> None:
    time, cause, x, entry, strata, weights, cluster = _data(1)
    if full:
        got = cox(time, cause, x, ties=ties, entry=entry, strata=strata, weights=weights, cluster=cluster)
    else:
        entry, strata, weights = np.full(time.shape, -np.inf), np.zeros(time.shape, dtype=int), np.ones(time.shape)
        got = cox(time, cause, x, ties=ties, cluster=cluster)
    assert (got.status == Status.OK).all()
    for r in range(time.shape[0]):
        columns = (time[r], cause[r] == 1, x[r], entry[r], strata[r], weights[r], ties == "efron")
        loglik, U, information, residual = _twin(got.coef[r], *columns)
        bread = np.linalg.inv(information)
        np.testing.assert_allclose(got.loglik[r], loglik, rtol=1e-10)
        assert np.all(np.abs(U) < 1e-9)
        np.testing.assert_allclose(got.model_se[r] ** 2, np.diag(bread), rtol=1e-8)
        summed = np.array([residual[cluster[r] == c].sum(axis=0) for c in np.unique(cluster[r])])
        np.testing.assert_allclose(got.covariance[r], bread @ summed.T @ summed @ bread, rtol=1e-7, atol=1e-12)
        loglik, U, information, residual = _twin(np.zeros(3), *columns)
        np.testing.assert_allclose(got.loglik_null[r], loglik, rtol=1e-10)
        np.testing.assert_allclose(got.score[r], U @ np.linalg.solve(information, U), rtol=1e-10)


def test_splitting_a_row_changes_nothing() -> None:
    time, cause, x, _, _, _, _ = _data(2)
    whole = cox(time, cause, x)
    cut = np.floor(time / 2)
    split = cox(
        np.concatenate([cut, time], axis=1),
        np.concatenate([np.zeros_like(cause), cause], axis=1),
        np.concatenate([x, x], axis=1),
        entry=np.concatenate([np.full(cut.shape, -1.0), cut], axis=1),
    )
    np.testing.assert_allclose(split.coef, whole.coef, rtol=1e-9)
    np.testing.assert_allclose(split.se, whole.se, rtol=1e-8)


def test_order_scale_and_location_of_covariates() -> None:
    time, cause, x, entry, strata, weights, _ = _data(3)
    options = {"entry": entry, "strata": strata, "weights": weights, "robust": True}
    plain = cox(time, cause, x, **options)
    order = np.random.default_rng(4).permutation(time.shape[1])
    shuffled = {k: v[:, order] if k != "robust" else v for k, v in options.items()}
    np.testing.assert_allclose(cox(time[:, order], cause[:, order], x[:, order], **shuffled).coef, plain.coef, rtol=1e-8)
    scaled = cox(time, cause, x * [1.0, 1e4, 1e-3] + [0.0, 2e4, 5.0], **options)
    np.testing.assert_allclose(scaled.coef * [1.0, 1e4, 1e-3], plain.coef, rtol=1e-7)
    np.testing.assert_allclose(scaled.se * [1.0, 1e4, 1e-3], plain.se, rtol=1e-7)
    flipped = cox(time, cause, x * [-1.0, 1.0, 1.0], **options)
    np.testing.assert_allclose(flipped.coef, plain.coef * [-1.0, 1.0, 1.0], rtol=1e-8)


def test_statuses() -> None:
    time = np.array([[1.0, 2, 3, 4, 5, 6]] * 6)
    cause = np.array([[1, 1, 1, 1, 0, 0]] * 6)
    x = np.array([[0.0, 1, 0, 1, 0, 1]] * 6)[:, :, None]
    x[1] = 1.0  # constant
    x[2, :, 0] = [9, 8, 7, 6, 5, 4]  # the first to die always has the largest
    cause[3] = 0
    cause[4] = -1
    x[5, 0] = np.nan
    got = cox(time, cause, x)
    expected = [Status.OK, Status.NOT_ESTIMABLE, Status.SEPARATION, Status.NO_EVENTS, Status.EMPTY, Status.OK]
    assert got.status.tolist() == expected
    assert got.n.tolist() == [6, 6, 6, 6, 0, 5]
    assert np.isnan(got.coef[1:5]).all()
    np.testing.assert_allclose(got.loglik[2], 0.0, atol=1e-8)
    term = got.term(0, exponentiate=True)
    assert term.status[3] == Status.NOT_ESTIMABLE
    np.testing.assert_allclose(term.estimate[0], np.exp(got.coef[0, 0]))
    assert term.se_scale == "log"


def test_separation_in_one_direction_with_a_second_covariate() -> None:
    rng = np.random.default_rng(5)
    time, cause = rng.permuted(np.tile(np.arange(1.0, 41), (30, 1)), axis=1), np.ones((30, 40), dtype=int)
    arm = (rng.random(time.shape) < 0.5).astype(float)
    cause[arm == 1] = 0
    got = cox(time, cause, np.stack([arm, rng.normal(size=time.shape)], axis=-1))
    assert (got.status == Status.SEPARATION).all()
    # a strong but finite effect is no separation
    cause[:, 0], arm[:, 0], time[:, 0] = 1, 1.0, 0.5
    assert (cox(time, cause, arm[:, :, None]).status == Status.OK).all()


def test_mistakes_of_the_caller_raise() -> None:
    with pytest.raises(ValueError, match="ties"):
        cox([[1.0]], [[1]], [[[1.0]]], ties="exact")
    with pytest.raises(ValueError, match="covariates"):
        cox([[1.0, 2.0]], [[1, 0]], [[[1.0]]])


def test_a_likelihood_level_to_rounding_is_no_maximum() -> None:
    """Whatever the number of patients: the information that remains is the rounding of a mean."""
    for n in range(20, 100):
        days = np.arange(1.0, n + 1)
        # the only exposed patient is censored before the first event: every risk set is constant
        exposed, cause = (days == 1)[None, :, None].astype(float), (days == n // 2)[None].astype(np.int64)
        got = cox(days[None], cause, exposed)
        assert got.status[0] == Status.NOT_ESTIMABLE, n
        # the only exposed patient dies first, with no further event and with some: it rises without end
        for others in (0, 3, 6):
            cause = ((days == 1) | ((days > n // 2) & (days <= n // 2 + others)))[None].astype(np.int64)
            got = cox(days[None], cause, exposed)
            assert got.status[0] == Status.SEPARATION, (n, others)
            assert np.isnan(got.se[0, 0])
