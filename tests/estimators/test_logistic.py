"""Logistic regression: R's numbers, closed forms, a plain twin, profile limits, separation."""

from __future__ import annotations

import numpy as np
import pytest
from estimators_reference import Check
from regression_reference import checks, close, copied_ids

from cmvsim.core.records import Status
from cmvsim.estimators.logistic import LogisticFit, likelihood_ratio_test, logistic


def _infert(check: Check) -> tuple[np.ndarray, np.ndarray]:
    rows = check.rows
    return rows["case"][None].astype(int), np.c_[rows["age"], rows["parity"], rows["spontaneous"], rows["induced"]]


def _compare(check: Check, got: LogisticFit, names: dict[str, str]) -> None:
    assert got.status[0] == Status.OK
    for key, name in names.items():
        if key in check.expected:
            close(check, np.ravel(getattr(got, name)[0]), np.ravel(check.expected[key]).tolist())


@pytest.mark.parametrize("check", [c for c in checks(("logistic",)) if c.case.startswith("40")], ids=str)
def test_agrees_with_glm_and_sandwich(check: Check) -> None:
    y, x = _infert(check)
    expected = check.expected
    if check.id == "ml":
        names = {"coef": "coef", "se": "se", "vcov": "covariance", "loglik": "loglik", "loglik_null": "loglik_null"}
        _compare(check, logistic(y, x), names)
    elif check.id == "profile_ci":
        got = logistic(y, x, interval="profile")
        close(check, np.c_[got.ci_low[0], got.ci_high[0]], expected)
    elif check.id == "robust_hc0":
        close(check, logistic(y, x, robust=True).se[0], expected["se"])
        close(check, logistic(y, x, cluster=check.rows["stratum"]).se[0], expected["se_cluster"])
    elif check.id == "lr_test":
        close(check, 2 * (logistic(y, x).loglik - logistic(y, x[:, :2]).loglik), [expected["lr"]])
    elif check.id == "factor_education":
        level = check.rows["education"]
        x = np.c_[level == "6-11yrs", level == "12+ yrs", check.rows["spontaneous"]].astype(float)
        _compare(check, logistic(y, x), {"coef": "coef", "se": "se"})
    else:
        assert check.id == "probability_weights"
        got = logistic(y, x[:, [0, 3]], weights=np.resize([0.5, 1, 2, 1.5], y.size), robust=True)
        _compare(check, got, {"coef": "coef", "se_model": "model_se", "se_hc0": "se"})


@pytest.mark.parametrize("check", [c for c in checks(("logistic",)) if c.case.startswith("41")], ids=str)
def test_agrees_with_firth(check: Check) -> None:
    y, x = check.rows["y"][None].astype(int), np.c_[check.rows["arm"], check.rows["z"]]
    if check.id == "ml_diverges":
        got = logistic(y, x)
        assert got.status[0] == Status.SEPARATION
        assert np.isnan(got.coef).all()
        return
    if check.id == "penalized_lr_arm":
        _penalised_likelihood_ratio(check, y, x)
        return
    if check.id == "firth_intercept_only":
        got = logistic(y, np.ones((y.size, 1)), method="firth", intercept=False)
    else:
        got = logistic(y * (check.id != "firth_all_zero"), x[:, : 2 if check.id == "firth_arm_z" else 1], method="firth")
    assert got.status[0] == Status.OK
    np.testing.assert_allclose(got.coef[0], np.ravel(check.expected["coef"]), rtol=check.rtol, atol=1e-10)
    _compare(check, got, {"se": "se", "penalized_loglik": "loglik"})


def _penalised_likelihood_ratio(check: Check, y: np.ndarray, x: np.ndarray) -> None:
    """Arm held at 0 in the full penalised likelihood."""
    got = likelihood_ratio_test(y, x, 1, method="firth")
    assert got.status[0] == Status.OK
    np.testing.assert_allclose(got.constrained_coef[0], check.expected["constrained_coef"], rtol=1e-8, atol=1e-12)
    close(check, got.statistic[0], check.expected["lr"])
    close(check, got.p_value[0], check.expected["p"])


@pytest.mark.parametrize("unit", [1e-6, 1e6])
def test_properties_a_penalised_test_knows_no_units(unit: float) -> None:
    y, x, _, _ = _data(5, replicates=3)
    own, other = (likelihood_ratio_test(y, x * [1.0, scale, 1.0], 1, method="firth") for scale in (1.0, unit))
    assert (other.status == Status.OK).all()
    np.testing.assert_allclose(other.statistic, own.statistic, rtol=1e-8)
    np.testing.assert_allclose(other.constrained_coef * [1.0, 1.0, unit, 1.0], own.constrained_coef, rtol=1e-6, atol=1e-8)


def test_the_copy_covers_firth() -> None:
    assert {"firth_arm_z", "firth_all_zero", "penalized_lr_arm", "ml_diverges"} <= copied_ids(("logistic",))


def _data(seed: int, replicates: int = 8, n: int = 80):
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(replicates, n, 3))
    x[:, :, 0] = x[:, :, 0] > 0
    y = (rng.random((replicates, n)) < 1 / (1 + np.exp(0.5 - x @ [0.6, -0.4, 0.2]))).astype(int)
    return y, x, rng.uniform(0.3, 2.5, y.shape), rng.integers(0, 25, y.shape)


@pytest.mark.parametrize("weighted", [False, True])
def test_plain_twin(weighted: bool) -> None:
    y, x, weights, cluster = _data(1)
    got = logistic(y, x, weights=weights if weighted else None, cluster=cluster)
    w = weights if weighted else np.ones(y.shape)
    for r in range(y.shape[0]):
        X, b = np.c_[np.ones(y.shape[1]), x[r]], np.zeros(4)
        for _ in range(30):
            mu = 1 / (1 + np.exp(-X @ b))
            information = X.T @ (X * (w[r] * mu * (1 - mu))[:, None])
            b += np.linalg.solve(information, X.T @ (w[r] * (y[r] - mu)))
        bread = np.linalg.inv(information)
        residual = X * (w[r] * (y[r] - mu))[:, None]
        u = np.array([residual[cluster[r] == c].sum(axis=0) for c in np.unique(cluster[r])])
        np.testing.assert_allclose(got.coef[r], b, rtol=1e-9, atol=1e-12)
        np.testing.assert_allclose(got.model_se[r], np.sqrt(np.diag(bread)), rtol=1e-8)
        np.testing.assert_allclose(got.covariance[r], bread @ u.T @ u @ bread, rtol=1e-7, atol=1e-12)
        loglik = (w[r] * np.where(y[r] == 1, np.log(mu), np.log1p(-mu))).sum()
        np.testing.assert_allclose(got.loglik[r], loglik, rtol=1e-10)


@pytest.mark.parametrize("method", ["ml", "firth"])
def test_order_scale_and_labels(method: str) -> None:
    y, x, _, _ = _data(2)
    plain = logistic(y, x, method=method)
    order = np.random.default_rng(3).permutation(y.shape[1])
    np.testing.assert_allclose(logistic(y[:, order], x[:, order], method=method).coef, plain.coef, rtol=1e-7)
    scaled = logistic(y, x * [1.0, 1e4, 1e-3], method=method)
    np.testing.assert_allclose(scaled.coef * [1.0, 1.0, 1e4, 1e-3], plain.coef, rtol=1e-7)
    np.testing.assert_allclose(logistic(1 - y, x, method=method).coef, -plain.coef, rtol=1e-7)


@pytest.mark.parametrize("method", ["ml", "firth"])
def test_profile_limits_invert_the_likelihood_ratio(method: str) -> None:
    """In a saturated 2 x 2 table holding the log odds ratio fixed leaves one parameter: scan it."""
    from scipy.optimize import minimize_scalar

    y = np.array([[1] * 4 + [0] * 16 + [1] * 9 + [0] * 11])
    arm = np.repeat([0.0, 1.0], 20)
    got = logistic(y, arm[:, None], method=method, interval="profile")

    def height(intercept: float, slope: float) -> float:
        p = 1 / (1 + np.exp(-(intercept + slope * arm)))
        X = np.c_[np.ones(40), arm]
        information = X.T @ (X * (p * (1 - p))[:, None])
        penalty = 0.5 * np.log(np.linalg.det(information)) if method == "firth" else 0.0
        return float(np.where(y[0] == 1, np.log(p), np.log1p(-p)).sum() + penalty)

    for limit in (got.ci_low[0, 1], got.ci_high[0, 1]):
        held = -minimize_scalar(lambda a, limit=limit: -height(a, limit), bounds=(-8, 5), method="bounded").fun
        np.testing.assert_allclose(2 * (got.loglik[0] - held), 3.841458820694124, rtol=1e-6)


@pytest.mark.parametrize(("n", "seed"), [(8, 0), (12, 1), (20, 3)])
def test_profile_limits_of_firth_in_small_samples(n: int, seed: int) -> None:
    """Where hardly anybody has the event no limit is lost: the constrained maximum is found again by scipy."""
    from scipy.optimize import minimize

    rng = np.random.default_rng(seed)
    x = np.stack([rng.normal(size=(60, n)), rng.random((60, n)) < 0.2], axis=2).astype(float)
    y = (rng.random((60, n)) < 0.15).astype(int)
    got = logistic(y, x, method="firth", interval="profile")
    fitted = got.status == Status.OK
    assert fitted.sum() > 30
    assert np.isfinite(got.ci_low[fitted]).all()
    assert np.isfinite(got.ci_high[fitted]).all()

    def height(b: np.ndarray, r: int) -> float:
        X = np.c_[np.ones(n), x[r]]
        eta = X @ b
        spread = np.exp(-np.abs(eta)) / (1 + np.exp(-np.abs(eta))) ** 2
        sign, logdet = np.linalg.slogdet(X.T @ (X * spread[:, None]))
        return float(y[r] @ eta - np.logaddexp(0, eta).sum() + 0.5 * logdet) if sign > 0 else -1e9

    def held(r: int, term: int, value: float) -> float:
        """The constrained maximum, followed from the estimate in small steps."""
        free = [a for a in range(3) if a != term]
        others, height_there = got.coef[r, free], np.nan
        options = {"xatol": 1e-9, "fatol": 1e-11, "maxiter": 4000, "maxfev": 4000}
        for at in np.linspace(got.coef[r, term], value, 9)[1:]:

            def fall(rest: np.ndarray, at: float = at) -> float:
                b = np.empty(3)
                b[term], b[free] = at, rest
                return -height(b, r)

            found = minimize(fall, others, method="Nelder-Mead", options=options)
            others, height_there = found.x, -found.fun
        return float(height_there)

    for r in np.flatnonzero(fitted)[:2]:
        for term in range(3):
            for limit in (got.ci_low[r, term], got.ci_high[r, term]):
                np.testing.assert_allclose(2 * (got.loglik[r] - held(r, term, limit)), 3.841458820694124, rtol=1e-5)
                between = 0.5 * (limit + got.coef[r, term])
                assert 2 * (got.loglik[r] - held(r, term, between)) < 3.84


def test_exponentials_are_those_of_the_library() -> None:
    from cmvsim.estimators.kernels.exponential import exponentials

    rng = np.random.default_rng(4)
    values = np.concatenate([rng.normal(size=3000), rng.uniform(-708, 709, 3000), [0.0, -0.0, 1e-300, 1e-17]])
    out = np.empty(values.size)
    exponentials(values, values.size, out, np.empty(values.size))
    assert (np.abs(out - np.exp(values)) <= 2 * np.spacing(np.exp(values))).all()
    beyond = np.array([np.nan, np.inf, -np.inf, 800.0, -800.0])
    exponentials(beyond, 5, out, np.empty(5))
    np.testing.assert_array_equal(out[:5], [np.nan, np.inf, 0.0, np.inf, 0.0])


def test_statuses() -> None:
    y = np.array([[0, 1, 0, 1, 1, 0]] * 5)
    x = np.array([[0.0, 1, 2, 3, 4, 5]] * 5)[:, :, None]
    x[1] = 2.0  # a second constant
    y[2] = [0, 0, 0, 1, 1, 1]
    y[3] = 0
    y[4] = -1
    got = logistic(y, x)
    expected = [Status.OK, Status.NOT_ESTIMABLE, Status.SEPARATION, Status.SEPARATION, Status.EMPTY]
    assert got.status.tolist() == expected
    assert np.isnan(got.coef[1:]).all()
    np.testing.assert_allclose(got.loglik[2:4], 0.0, atol=1e-8)
    penalised = logistic(y, x, method="firth")
    assert penalised.status.tolist() == [Status.OK, Status.NOT_ESTIMABLE, Status.OK, Status.OK, Status.EMPTY]
    np.testing.assert_allclose(got.term(1, exponentiate=True).estimate[0], np.exp(got.coef[0, 1]))


def test_mistakes_of_the_caller_raise() -> None:
    with pytest.raises(ValueError, match="method"):
        logistic([[1]], [[[1.0]]], method="exact")
    with pytest.raises(ValueError, match="firth"):
        logistic([[1]], [[[1.0]]], method="firth", robust=True)
    with pytest.raises(ValueError, match="profile"):
        logistic([[1]], [[[1.0]]], interval="profile", robust=True)
