"""Log-rank and Gray: R's numbers, plain twins, properties, edges."""

from __future__ import annotations

import numpy as np
import pytest
from estimators_reference import Check
from regression_reference import args, checks, close, codes, copied_ids

from cmvsim.core.records import Status
from cmvsim.estimators.group_tests import gray, logrank


def _columns(check: Check):
    rows = check.rows
    time = rows["etime"] if "etime" in rows else rows["time"]
    cause = (rows["event"] if "event" in rows else rows["status"]).astype(int)
    group = codes(rows["ulcer"] if "ulcer" in rows else rows.get("group", rows.get("sex")))
    if check.id == "gray_heavy_ties":
        time = np.ceil(time * 4)
    strata = args(check).get("strata")
    return time, cause, group, None if strata is None else codes(rows[str(strata)])


@pytest.mark.parametrize("check", checks(("gray_test",)), ids=str)
def test_gray_agrees_with_cmprsk(check: Check) -> None:
    time, cause, group, strata = _columns(check)
    rho = float(args(check).get("rho", 0))
    if check.id == "pairwise_gray":
        for pair, expected in check.expected.items():
            chosen = np.isin(check.rows["group"], list(pair))
            got = gray(time[chosen][None], cause[chosen][None], codes(check.rows["group"][chosen]))
            close(check, [got.statistic[0], got.p_value[0], got.df[0]], expected)
        return
    if "rows" not in check.expected:  # no events, or one group: R has no test
        assert gray(time[None], cause[None], group).status[0] in (Status.NO_EVENTS, Status.NOT_ESTIMABLE)
        return
    for label, expected in zip(check.expected["rows"], check.expected["values"], strict=True):
        got = gray(np.tile(time, (2, 1)), np.tile(cause, (2, 1)), group, rho=rho, strata=strata, event=int(label))
        close(check, got.statistic, [expected[0]] * 2)
        close(check, got.p_value, [expected[1]] * 2)
        assert (got.df == expected[2]).all()
        assert (got.status == Status.OK).all()


@pytest.mark.parametrize("check", checks(("logrank", "landmark_logrank"), skip=("logrank_td",)), ids=str)
def test_logrank_agrees_with_survdiff(check: Check) -> None:
    if check.estimator == "landmark_logrank":
        time, cause, group, strata = *landmark(check)[:3], None
    else:
        time, cause, group, strata = _columns(check)
    if check.id == "logrank_3plus":
        group = codes(check.rows["ph.ecog"])
    expected = check.expected
    got = logrank(time[None], cause[None], group, rho=float(args(check).get("rho", 0)), strata=strata)
    if "error" in expected or not got.events[0]:  # R gives 0 where nothing happened, or an error
        assert got.status[0] == Status.NO_EVENTS
        assert np.isnan(got.statistic[0])
        return
    close(check, got.statistic[0], expected["chisq"])
    for ours, key in ((got.observed, "obs"), (got.expected, "exp")):
        theirs = np.array(expected.get(key, expected.get(f"{key}_total")))
        close(check, ours[0], (theirs.sum(axis=1) if theirs.ndim == 2 else theirs).tolist())
    if "var" in expected:
        close(check, got.covariance[0], expected["var"])


def landmark(check: Check):
    """Time since the landmark, death, exposed by then, age, of those still followed."""
    at, rows = float(args(check)["landmark"]), check.rows
    chosen = rows["futime"] > at
    wait = np.array([np.inf if str(w) in ("NA", "") else float(w) for w in rows["wait"]])
    exposed = (rows["transplant"] == 1) & (wait <= at)
    return rows["futime"][chosen] - at, rows["fustat"][chosen].astype(int), exposed[chosen].astype(int), rows["age"][chosen]


def test_the_copy_covers_both_tests() -> None:
    assert {"gray_strat", "gray_heavy_ties", "pairwise_gray"} <= copied_ids(("gray_test",))
    assert {"logrank_strat", "logrank_cause1"} <= copied_ids(("logrank",))


def _trials(seed: int, replicates: int = 20, n: int = 60, groups: int = 3):
    rng = np.random.default_rng(seed)
    shape = (replicates, n)
    time, cause = rng.integers(0, 30, shape).astype(float), rng.integers(0, 3, shape)
    return time, cause, rng.integers(0, groups, shape), rng.integers(0, 2, shape)


def _logrank_twin(time, event, group, rho: float, k: int):
    U, V, S = np.zeros(k), np.zeros((k, k)), 1.0
    for t in np.unique(time):
        Y = np.array([((time >= t) & (group == g)).sum() for g in range(k)], dtype=float)
        d = np.array([((time == t) & event & (group == g)).sum() for g in range(k)], dtype=float)
        n, deaths = Y.sum(), d.sum()
        U += S**rho * (d - deaths * Y / n)
        if n > 1:
            V += S ** (2 * rho) * deaths * (n - deaths) / (n - 1) * (np.diag(Y / n) - np.outer(Y, Y) / n**2)
        S *= 1 - deaths / n
    return U, V


def _gray_twin(time, cause, group, rho: float, k: int):
    S, F, pooled = np.ones(k), np.zeros(k), 0.0
    U, V, C, v2, v3 = np.zeros(k), np.zeros((k, k)), np.zeros((k, k)), np.zeros((k, k)), np.zeros(k)
    for t in np.unique(time[cause > 0]):
        Y = np.array([((time >= t) & (group == g)).sum() for g in range(k)], dtype=float)
        d1, d2 = (np.array([((time == t) & (cause == c) & (group == g)).sum() for g in range(k)]) for c in (1, 2))
        there = Y > 0
        safe = np.where(there, Y, 1.0)
        after = np.where(there, S * (Y - d1 - d2) / safe, S)
        R = np.where(there, Y / np.where(S > 0, S, 1.0), 0.0)
        T, n1 = R.sum(), d1.sum()
        weight, next_pooled = (1 - pooled) ** rho, pooled + n1 / T
        A = weight * (np.diag(R) - np.outer(R, R) / T)
        C += A * n1 / (T * (1 - pooled))
        U += weight * (d1 - n1 * R * (1 - F) / (R * (1 - F)).sum())
        for q in np.flatnonzero(there):
            ratio = (1 - next_pooled) / after[q] if after[q] > 0 else 0.0
            if n1:
                tie = 1 - (n1 - 1) / (T * S[q] - 1) if n1 > 1 else 1.0
                noise, lift = tie * S[q] * n1 / (T * Y[q]), 1 - ratio
                column = A[:, q] - lift * C[:, q]
                v3[q] += lift**2 * noise
                v2[:, q] += column * lift * noise
                V += np.outer(column, column) * noise
            if d2[q] and after[q] > 0:
                tie = 1 - (d2[q] - 1) / (Y[q] - 1) if d2[q] > 1 else 1.0
                noise = tie * S[q] ** 2 * d2[q] / Y[q] ** 2
                v3[q] += ratio**2 * noise
                v2[:, q] -= ratio**2 * C[:, q] * noise
                V += ratio**2 * np.outer(C[:, q], C[:, q]) * noise
        F, S, pooled = F + np.where(there, S * d1 / safe, 0.0), after, next_pooled
    return U, V + (C * v3) @ C.T + C @ v2.T + v2 @ C.T


@pytest.mark.parametrize("rho", [0.0, 0.7])
@pytest.mark.parametrize("stratified", [False, True])
def test_plain_twins(rho: float, stratified: bool) -> None:
    time, cause, group, strata = _trials(1)
    levels = strata if stratified else np.zeros_like(strata)
    ours = logrank(time, cause, group, rho=rho, strata=strata if stratified else None)
    grays = gray(time, cause, group, rho=rho, strata=strata if stratified else None)
    for r in range(time.shape[0]):
        parts = [levels[r] == s for s in np.unique(levels[r])]
        for got, twin in (
            (ours, [_logrank_twin(time[r, m], cause[r, m] == 1, group[r, m], rho, 3) for m in parts]),
            (grays, [_gray_twin(time[r, m], cause[r, m], group[r, m], rho, 3) for m in parts]),
        ):
            U, V = sum(t[0] for t in twin), sum(t[1] for t in twin)
            np.testing.assert_allclose(got.score[r], U, rtol=1e-10, atol=1e-10)
            np.testing.assert_allclose(got.covariance[r], V, rtol=1e-10, atol=1e-10)
            np.testing.assert_allclose(got.statistic[r], U[:2] @ np.linalg.solve(V[:2, :2], U[:2]), rtol=1e-10)


@pytest.mark.parametrize("test", [logrank, gray])
def test_order_and_labels_do_not_matter(test) -> None:
    time, cause, group, _ = _trials(2)
    plain = test(time, cause, group)
    shuffle = np.random.default_rng(3).permutation(time.shape[1])
    np.testing.assert_allclose(
        test(time[:, shuffle], cause[:, shuffle], group[:, shuffle]).statistic, plain.statistic, rtol=1e-10
    )
    np.testing.assert_allclose(test(time, cause, (group + 1) % 3).statistic, plain.statistic, rtol=1e-9)
    np.testing.assert_allclose(test(time / 7, cause, group).statistic, plain.statistic, rtol=1e-12)
    empty_group = test(time, cause, group, n_groups=5)
    np.testing.assert_allclose(empty_group.statistic, plain.statistic, rtol=1e-12)
    assert (empty_group.df == plain.df).all()


@pytest.mark.parametrize("test", [logrank, gray])
def test_nested_studies_are_the_studies_alone(test) -> None:
    time, cause, group, strata = _trials(4)
    nested = test(time, cause, group, strata=strata, nested=(20, 45, 60))
    for j, n in enumerate((20, 45, 60)):
        alone = test(time[:, :n], cause[:, :n], group[:, :n], strata=strata[:, :n], n_groups=3)
        np.testing.assert_allclose(nested.statistic[:, j], alone.statistic, rtol=1e-12)
        np.testing.assert_array_equal(nested.status[:, j], alone.status)


@pytest.mark.parametrize("test", [logrank, gray])
def test_degenerate_samples_have_a_status(test) -> None:
    time = np.array([[1.0, 2, 3, 4]] * 4)
    cause = np.array([[0, 2, 0, 2], [-1, -1, -1, -1], [1, 1, 0, 2], [1, 2, 1, 0]])
    group = np.array([[0, 1, 0, 1], [0, 1, 0, 1], [0, 0, 0, 0], [0, 1, 1, -1]])
    got = test(time, cause, group)
    assert got.status[:3].tolist() == [Status.NO_EVENTS, Status.EMPTY, Status.NOT_ESTIMABLE]
    assert np.isnan(got.statistic[:3]).all()
    assert np.isnan(got.p_value[:3]).all()
    assert got.n.tolist() == [4, 0, 4, 3]
    missing = test(np.where(time == 4, np.nan, time), cause, group)
    assert missing.n.tolist() == [3, 0, 3, 3]


def test_mistakes_of_the_caller_raise() -> None:
    with pytest.raises(ValueError, match="n_groups"):
        logrank([[1.0]], [[1]], [[3]], n_groups=2)
    with pytest.raises(ValueError, match="event"):
        gray([[1.0]], [[1]], [[0]], event=0)
