"""Mean cost under censoring: reference numbers, a plain twin, bias of the naive answers, edges."""

from __future__ import annotations

import numpy as np
import pytest
from estimators_reference import Check
from longitudinal_reference import cases, histories
from regression_reference import close

from cmvsim.core.records import Status
from cmvsim.estimators import ever_never_difference, mean_cost, uncensored_probability

REFERENCE = cases("46")
BOUNDARIES = [0, 2, 4, 6, 8, 10]
METHODS = {
    "bang_tsiatis_simple": "simple",
    "ipcw_if_se": "simple",
    "partitioned_bang_tsiatis": "partitioned",
    "lin_1997_interval": "lin",
    "no_censoring_identity": "partitioned",
}
NAN = float("nan")


@pytest.mark.parametrize("check", REFERENCE, ids=str)
def test_independent_reference(check: Check) -> None:
    costs, time, complete = histories(check)
    expected = check.expected
    if check.estimator == "ipcw_km":
        close(check, uncensored_probability(time, complete)[0], expected["K_minus"])
        return
    if check.estimator == "mean_cost_naive":
        for key, method in (("all", "naive-all"), ("complete_case", "naive-complete")):
            close(check, mean_cost(costs, time, complete, method=method).estimate[0], expected[key])
        return
    if check.id == "no_censoring_identity":
        keep = complete[0] == 1
        costs, time, complete = costs[:, keep], time[:, keep], complete[:, keep]
    got = mean_cost(costs, time, complete, method=METHODS[check.id], boundaries=BOUNDARIES)
    assert got.status[0] == Status.OK
    close(check, got.estimate[0], expected["mean"])
    if "se" in expected:
        close(check, got.se[0], expected["se"])
    for key, method in (("per_interval", "partitioned"), ("per_interval_mean", "lin")):
        # each interval by itself: its costs alone, all others 0
        for k, value in enumerate(expected.get(key, [])):
            alone = np.where(np.arange(5) == k, costs, 0.0)
            scale = expected["surv_at_start"][k] if method == "lin" else 1.0
            part = mean_cost(alone, time, complete, method=method, boundaries=BOUNDARIES)
            close(check, part.estimate[0] / scale, value)


def _data(seed: int, replicates: int = 4, n: int = 40):
    """Whole days to 30, many ties, partitions of 5."""
    rng = np.random.default_rng(seed)
    death = np.ceil(rng.exponential(25.0, (replicates, n)))
    censored = np.ceil(rng.exponential(40.0, death.shape))
    time = np.minimum(np.minimum(death, censored), 30.0)
    complete = (death <= censored) | (time == 30)
    time[:, 0], complete[:, 0] = 30.0, True
    ends = np.arange(0, 31, 5)
    length = np.clip(time[:, :, None] - ends[:-1], 0, 5)
    return length * rng.gamma(2.0, 10.0, (*death.shape, 1)) + 100 * (ends[:-1] == 0), time, complete, ends


def _twin(costs, time, complete, ends) -> tuple[float, float]:
    """Partitioned mean and its standard error, by definition; `ends` of one interval is the simple estimator."""
    n = time.size
    moments = np.unique(time[~complete])
    at_risk = [(time > u) | ((time == u) & ~complete) for u in moments]
    Y = np.array([a.sum() for a in at_risk])
    hazard = np.array([((time == u) & ~complete).sum() for u in moments]) / Y
    phi = np.zeros(n)
    for k, end in enumerate(ends):
        X = np.minimum(time, end)
        K = np.array([np.prod(1 - hazard[moments < x]) for x in X])
        weighted = (complete | (time >= end)) * costs[:, k] / K
        phi += weighted
        for u, a, y, h in zip(moments, at_risk, Y, hazard, strict=True):
            G = weighted[u < X].sum() / y
            phi += G * (((time == u) & ~complete) - h * a)
    # the martingale part adds up to 0, so that this is the mean of the weighted costs
    return phi.mean(), np.sqrt(((phi - phi.mean()) ** 2).sum()) / n


def test_plain_twin() -> None:
    costs, time, complete, ends = _data(1)
    partitioned = mean_cost(costs, time, complete, boundaries=ends)
    simple = mean_cost(costs.sum(axis=2), time, complete, method="simple")
    for r in range(time.shape[0]):
        twin = _twin(costs[r], time[r], complete[r], ends[1:])
        np.testing.assert_allclose((partitioned.estimate[r], partitioned.se[r]), twin, rtol=1e-11)
        twin = _twin(costs[r].sum(axis=1, keepdims=True), time[r], complete[r], [np.inf])
        np.testing.assert_allclose((simple.estimate[r], simple.se[r]), twin, rtol=1e-11)


@pytest.mark.parametrize("method", ["simple", "partitioned", "lin"])
def test_standard_error_is_the_jackknife_s_in_large_samples(method: str) -> None:
    costs, time, complete, ends = _data(2, replicates=1, n=300)
    got = mean_cost(costs, time, complete, method=method, boundaries=ends)
    keep = [np.delete(np.arange(300), i) for i in range(300)]
    left_out = mean_cost(costs[0][keep], time[0][keep], complete[0][keep], method=method, boundaries=ends).estimate
    assert got.se[0] == pytest.approx(np.sqrt(299 / 300 * ((left_out - left_out.mean()) ** 2).sum()), rel=0.03)


def test_closed_form_without_censoring_all_but_lin_are_the_mean() -> None:
    costs, time, _, ends = _data(3)
    total = costs.sum(axis=2)
    complete = np.ones(time.shape, dtype=bool)
    for method in ("simple", "partitioned", "lin", "naive-complete", "naive-all"):
        got = mean_cost(costs, time, complete, method=method, boundaries=ends)
        np.testing.assert_allclose(got.estimate, total.mean(axis=1), rtol=1e-12)
        ddof = 1 if method.startswith("naive") else 0
        np.testing.assert_allclose(got.se, total.std(axis=1, ddof=ddof) / np.sqrt(40), rtol=1e-11)


def test_statistical_weighted_means_are_unbiased_and_the_naive_are_not() -> None:
    rng = np.random.default_rng(4)
    replicates, n = 500, 300
    death = np.ceil(rng.exponential(60.0, (replicates, n)))
    censored = np.ceil(rng.exponential(90.0, death.shape))
    rate = rng.gamma(2.0, 5.0, death.shape)
    ends = np.arange(0, 91, 10)
    alive = np.exp(-np.arange(90) / 60.0).sum()  # expected days to 90, a day begun counting
    truth = 10.0 * alive + 100.0

    def costs_to(last):
        return np.clip(last[:, :, None] - ends[:-1], 0, 10) * rate[:, :, None] + 100.0 * (ends[:-1] == 0)

    time = np.minimum(np.minimum(death, censored), 90.0)
    complete = (death <= censored) | (time == 90)
    for method in ("simple", "partitioned"):
        got = mean_cost(costs_to(time), time, complete, method=method, boundaries=ends)
        fine = got.status == Status.OK
        assert fine.mean() > 0.99
        spread = got.estimate[fine].std()
        np.testing.assert_allclose(got.estimate[fine].mean(), truth, atol=4 * spread / np.sqrt(replicates))
        assert np.sqrt((got.se[fine] ** 2).mean()) == pytest.approx(spread, rel=0.08)
        covered = (got.ci_low[fine] <= truth) & (got.ci_high[fine] >= truth)
        assert 0.92 < covered.mean() < 0.97
    for method in ("naive-complete", "naive-all"):
        assert mean_cost(costs_to(time), time, complete, method=method).estimate.mean() < 0.93 * truth


def test_ever_never_is_biased_by_immortal_time() -> None:
    """An event that costs nothing: who lives longer has it more often, and costs more."""
    rng = np.random.default_rng(5)
    death = rng.exponential(60.0, (200, 100))
    event = rng.exponential(60.0, death.shape)
    got = ever_never_difference(10.0 * death, event < death)
    assert got.estimate.mean() > 200
    assert (got.ci_low > 0).mean() > 0.9
    a, b = 10 * death[0][event[0] < death[0]], 10 * death[0][event[0] >= death[0]]
    assert got.se[0] == pytest.approx(np.sqrt(a.var(ddof=1) / a.size + b.var(ddof=1) / b.size))
    assert got.events[0] == a.size


def test_degenerate_statuses() -> None:
    costs, time, complete, ends = _data(6, replicates=4, n=6)
    time[1] = NAN
    time[2], complete[2] = [5, 6, 7, 8, 9, 20], [1, 1, 1, 1, 1, 0]  # the longest is censored
    time[3, 1:] = NAN
    for method in ("simple", "partitioned"):
        got = mean_cost(costs, time, complete, method=method, boundaries=ends)
        assert got.status.tolist() == [Status.OK, Status.EMPTY, Status.NOT_ESTIMABLE, Status.NOT_ESTIMABLE]
        assert np.isnan([*got.estimate[1:], *got.se[1:], *got.ci_low[1:]]).all()
    assert got.n.tolist() == [6, 0, 6, 1]
    assert mean_cost(costs, time, complete, method="lin", boundaries=ends).status[2] == Status.NOT_ESTIMABLE
    costs[0, 1, 2] = NAN
    assert mean_cost(costs, time, complete, boundaries=ends).n[0] == 5
    none = mean_cost(costs[:1], time[:1], np.zeros((1, 6), dtype=bool), method="naive-complete")
    assert none.status[0] == Status.NOT_ESTIMABLE
    one = ever_never_difference([[1.0, 2.0, 3.0], [NAN] * 3], [[True, False, False], [True] * 3])
    assert one.status.tolist() == [Status.NOT_ESTIMABLE, Status.EMPTY]


def test_mistakes_of_the_caller_raise() -> None:
    with pytest.raises(ValueError, match="unknown method 'km'; allowed: simple"):
        mean_cost([[1.0]], [[1.0]], [[1]], method="km")
    with pytest.raises(ValueError, match="needs the boundaries"):
        mean_cost([[1.0]], [[1.0]], [[1]])
    with pytest.raises(ValueError, match="2 ascending times"):
        mean_cost([[1.0]], [[1.0]], [[1]], boundaries=[0, 1, 2])
    with pytest.raises(ValueError, match="costs must be"):
        mean_cost([1.0], [[1.0]], [[1]])
    with pytest.raises(ValueError, match="time and complete"):
        uncensored_probability([1.0], [1])
    with pytest.raises(ValueError, match="cost and ever"):
        ever_never_difference([1.0], [True])
