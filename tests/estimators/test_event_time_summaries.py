"""Cumulative hazards, quantiles, restricted means, contrasts of risks, landmarks: R's numbers, twins, edges."""

from __future__ import annotations

import numpy as np
import pytest
from estimators_reference import Check, numbers
from regression_reference import checks, close

from cmvsim.core.records import Status
from cmvsim.estimators import (
    aalen_johansen,
    cumulative_hazard,
    cumulative_incidence_curve,
    difference_of_risks,
    fleming_harrington_survival,
    kaplan_meier,
    landmark,
    number_needed_to_treat,
    proportion,
    ratio_of_risks,
    restricted_mean_survival_time,
    restricted_mean_time_lost,
    risk_difference,
    risk_ratio,
    survival_curve,
    survival_quantile,
)


@pytest.mark.parametrize("check", checks(("nelson_aalen", "fleming_harrington")), ids=str)
def test_hazards_agree_with_survfit(check: Check) -> None:
    time, event, expected = check.rows["time"][None], check.rows["event"][None].astype(int), check.expected
    for i, horizon in enumerate(expected["times"]):
        if check.estimator == "nelson_aalen":
            got = cumulative_hazard(time, event, horizon)
            close(check, [got.estimate[0], got.se[0]], [expected["cumhaz"][i], expected["std_chaz"][i]])
            continue
        got = fleming_harrington_survival(time, event, horizon)
        close(check, [got.estimate[0], got.se[0]], [expected["surv"][i], expected["std_err"][i]])
        if got.status[0] == Status.OK:
            close(check, [got.ci_low[0], got.ci_high[0]], [expected["lower"][i], expected["upper"][i]])


@pytest.mark.parametrize("check", checks(("quantile", "rmst")), ids=str)
def test_quantiles_and_restricted_means_agree_with_survfit(check: Check) -> None:
    sex, expected = np.unique(check.rows["sex"], return_inverse=True)[1], check.expected
    for g in (0, 1):
        time, event = check.rows["time"][None, sex == g], check.rows["event"][None, sex == g].astype(int)
        if check.estimator == "rmst":
            got = restricted_mean_survival_time(time, event, float(check.args["tau"]))
            close(check, [got.estimate[0], got.se[0]], [expected["rmean"][g], expected["se"][g]])
            continue
        quantiles = survival_quantile(time, event, check.args["probs"])
        close(check, quantiles.estimate[0], expected["quantile"][g])
        close(check, quantiles.ci_low[0], expected["lower"][g])
        close(check, quantiles.ci_high[0], expected["upper"][g])


@pytest.mark.parametrize("check", [c for c in checks(("landmark",)) if c.estimator in ("landmark", "landmark_km")], ids=str)
def test_landmarks_agree_with_survfit(check: Check) -> None:
    rows, expected = check.rows, check.expected
    wait = np.array([float(w) if str(w) not in ("NA", "") else np.nan for w in rows["wait"]])
    wait[rows["transplant"] != 1] = np.nan
    got = landmark(rows["futime"][None], rows["fustat"][None].astype(int), wait, float(check.args["landmark"]))
    if check.estimator == "landmark":
        deaths = (got.cause == 1).sum()
        assert [got.n[0], got.n_exposed[0], deaths] == [expected[k] for k in ("n", "n_tx", "deaths")]
        assert got.n[0] + got.n_before[0] == rows["futime"].size
        return
    surv, se, low, high = (numbers(expected[k]) for k in ("surv", "se", "lower", "upper"))
    for i, (label, horizon) in enumerate(zip(expected["strata"], [90, 365] * 2, strict=True)):
        chosen = got.exposed[0] == int(label[-1])
        curve = survival_curve(got.time[0, chosen], got.cause[0, chosen], [horizon])
        close(check, curve.estimate[0], surv[i])
        if curve.status[0] == Status.OK:
            close(check, [curve.se[0], curve.ci_low[0], curve.ci_high[0]], [se[i], low[i], high[i]])
        else:
            assert np.isnan(se[i])


def _trials(seed: int, replicates: int = 8, n: int = 40):
    rng = np.random.default_rng(seed)
    time, cause = rng.integers(0, 25, (replicates, n)).astype(float), rng.integers(0, 3, (replicates, n))
    time[0] += 0.5  # times that are no integers
    cause[1, :5] = -1
    time[2, :4] = np.nan
    return time, cause


@pytest.mark.parametrize("ties", ["nelson-aalen", "fleming-harrington"])
def test_hazard_twin(ties: str) -> None:
    time, cause = _trials(1)
    got = cumulative_hazard(time, cause, 15.0, event=2, ties=ties)
    for r in range(time.shape[0]):
        whole = (cause[r] >= 0) & np.isfinite(time[r])
        t, k = time[r, whole], cause[r, whole]
        H = V = 0.0
        for u in np.unique(t[(k == 2) & (t <= 15.0)]):
            Y, d = (t >= u).sum(), ((t == u) & (k == 2)).sum()
            shares = [1 / (Y - j) for j in range(d)] if ties == "fleming-harrington" else [1 / Y] * d
            H, V = H + sum(shares), V + sum(s * s for s in shares)
        np.testing.assert_allclose([got.estimate[r], got.se[r]], [H, np.sqrt(V)], rtol=1e-12)
        assert got.n[r] == whole.sum()


def test_closed_form_exponential_hazard_is_covered() -> None:
    """2,000 studies of 60 with hazard 0.02 to day 50: coverage of the true 1.0 is known to 0.5 points."""
    rng = np.random.default_rng(2)
    event, censored = rng.exponential(50.0, (2000, 60)), rng.exponential(80.0, (2000, 60))
    got = cumulative_hazard(np.minimum(event, censored), event <= censored, 50.0)
    assert abs(got.estimate.mean() - 1.0) < 0.03
    assert abs(np.mean((got.ci_low <= 1.0) & (got.ci_high >= 1.0)) - 0.95) < 0.02


def _incidence(time, cause, weight, event):
    """Weighted Aalen-Johansen by the textbook: times and incidence after each."""
    S, F, at, values = 1.0, 0.0, [], []
    for u in np.unique(time[cause > 0]):
        Y = weight[time >= u].sum()
        here = time == u
        F += S * weight[here & (cause == event)].sum() / Y
        S *= 1 - weight[here & (cause > 0)].sum() / Y
        at.append(u)
        values.append(F)
    return np.array(at), np.array(values)


def _area(time, cause, weight, tau, event):
    at, F = _incidence(time, cause, weight, event)
    inside = at < tau
    ends = np.append(at[inside][1:], tau)
    return float((F[inside] * (ends - at[inside])).sum())


@pytest.mark.parametrize("tau", [9.0, 17.3, 40.0])
def test_time_lost_is_the_integral_and_its_variance_the_jackknifes(tau: float) -> None:
    """Variance: squared derivatives of a weighted integral by each patient's weight, taken numerically."""
    time, cause = _trials(3)
    for event in (1, 2):
        got = restricted_mean_time_lost(time, cause, tau, event=event)
        for r in range(time.shape[0]):
            whole = (cause[r] >= 0) & np.isfinite(time[r])
            t, k = time[r, whole], cause[r, whole]
            ones, h = np.ones(t.size), 1e-5
            np.testing.assert_allclose(got.estimate[r], _area(t, k, ones, tau, event), rtol=1e-12)
            influence = [
                (_area(t, k, ones + h * e, tau, event) - _area(t, k, ones - h * e, tau, event)) / (2 * h)
                for e in np.eye(t.size)
            ]
            np.testing.assert_allclose(got.se[r], np.sqrt(np.sum(np.square(influence))), rtol=1e-7)


def test_times_lost_and_mean_survival_time_add_up() -> None:
    time, cause = _trials(4)
    lost = [restricted_mean_time_lost(time, cause, 15.0, event=e) for e in (1, 2)]
    alive = restricted_mean_survival_time(time, cause, 15.0)
    np.testing.assert_allclose(lost[0].estimate + lost[1].estimate + alive.estimate, 15.0, rtol=1e-13)
    grid = np.linspace(0, 15, 15 * 2000 + 1)[:-1] + 15 / 60000
    for r in (0, 3):
        whole = (cause[r] >= 0) & np.isfinite(time[r])
        curve = cumulative_incidence_curve(time[r, whole], cause[r, whole], grid, variance="greenwood")
        np.testing.assert_allclose(lost[0].estimate[r], curve.estimate.mean() * 15, rtol=1e-4)


def test_closed_form_without_censoring() -> None:
    """The restricted mean is then the plain mean of min(T, tau), with the plain variance (divisor n)."""
    time = np.random.default_rng(5).exponential(10.0, (5, 30))
    got = restricted_mean_survival_time(time, np.ones(time.shape, dtype=int), 12.0)
    held = np.minimum(time, 12.0)
    np.testing.assert_allclose(got.estimate, held.mean(axis=1), rtol=1e-12)
    np.testing.assert_allclose(got.se, held.std(axis=1) / np.sqrt(30), rtol=1e-10)


def test_nested_studies_are_the_studies_alone() -> None:
    time, cause = _trials(6)
    nested = restricted_mean_time_lost(time, cause, 15.0, nested=(10, 25, 40))
    for j, n in enumerate((10, 25, 40)):
        alone = restricted_mean_time_lost(time[:, :n], cause[:, :n], 15.0)
        np.testing.assert_array_equal(nested.status[:, j], alone.status)
        np.testing.assert_allclose(nested.se[:, j], alone.se, rtol=1e-12)
        np.testing.assert_allclose(nested.ci_high[:, j], alone.ci_high, rtol=1e-12)


def test_quantile_twin_and_level_stretches() -> None:
    time, cause = _trials(7)
    shares = (0.1, 0.25, 0.5, 0.9)
    got = survival_quantile(time, cause, shares, interval="log", level=0.9)
    for r in range(time.shape[0]):
        whole = (cause[r] >= 0) & np.isfinite(time[r])
        at = np.unique(time[r, whole & (cause[r] > 0)])
        curve = survival_curve(time[r, whole], cause[r, whole], at, interval="log", level=0.9)
        for j, p in enumerate(shares):
            down = np.flatnonzero(curve.estimate <= 1 - p + 1e-9)
            level = down.size and abs(curve.estimate[down[0]] - (1 - p)) < 1e-9
            if down.size and not level:
                assert got.estimate[r, j] == at[down[0]]
            low = np.flatnonzero(curve.ci_low[curve.estimate > 0] <= 1 - p)
            assert got.ci_low[r, j] == (at[low[0]] if low.size else np.inf)
    # S is exactly 1/2 from 2 to 3: the middle, as R; the last stretch ends with the follow-up
    assert survival_quantile([[1.0, 2, 3, 4]], [[1, 1, 1, 1]]).estimate[0, 0] == 2.5
    assert survival_quantile([[1.0, 2, 3, 9]], [[1, 1, 0, 0]]).estimate[0, 0] == 5.5


def test_degenerate_samples_have_a_status() -> None:
    time = np.array([[1.0, 2, 3, 4]] * 4)
    cause = np.array([[1, 0, 1, 0], [0, 0, 0, 0], [-1, -1, -1, -1], [1, 1, 1, 1]])
    expected = [Status.OK, Status.NO_EVENTS, Status.EMPTY]
    hazard = cumulative_hazard(time, cause, 3.5)
    lost, alive = restricted_mean_time_lost(time, cause, 3.5), restricted_mean_survival_time(time, cause, 3.5)
    for got in (hazard, lost, alive, fleming_harrington_survival(time, cause, 3.5)):
        assert got.status[:3].tolist() == expected
        assert np.isnan([got.estimate[2], got.se[2], got.ci_low[2], got.ci_high[2]]).all()
        assert np.isfinite([got.estimate[:2], got.se[:2], got.ci_low[:2], got.ci_high[:2]]).all()
    # one of four is still observed at 3.5: the exact bound is that of a single patient
    bound = aalen_johansen(time, cause, 3.5).ci_high[1]
    np.testing.assert_allclose([lost.ci_high[1], hazard.ci_high[1]], [3.5 * bound, -np.log1p(-bound)], rtol=1e-12)
    assert (alive.estimate[1], alive.ci_high[1]) == (3.5, 3.5)
    median = survival_quantile(time, cause)
    assert median.status[:3, 0].tolist() == expected
    assert np.isnan(median.ci_low[1:3]).all()
    never = survival_quantile(time, [[1, 0, 0, 0]] * 4)
    assert never.status[0, 0] == Status.NOT_ESTIMABLE
    assert np.isnan(never.estimate[0, 0])
    assert never.ci_high[0, 0] == np.inf
    together = restricted_mean_survival_time([[2.0, 2, 2]], [[1, 1, 1]], 5.0)
    assert together.status[0] == Status.NOT_ESTIMABLE


def test_closed_form_contrasts_without_censoring() -> None:
    """All observed to the horizon: the Aalen-Johansen estimates are proportions with Wald's variance."""
    x, n = np.array([[12, 7], [3, 9]]), np.array([40, 50])
    arms = []
    for g in (0, 1):
        cause = (np.arange(n[g]) < x[:, g, None]).astype(int)
        arms.append(aalen_johansen(np.where(cause == 1, 5.0, 20.0), cause, 10.0, variance="greenwood"))
    difference, ratio = difference_of_risks(*arms), ratio_of_risks(*arms)
    wald = risk_difference(x[:, 0], n[0], x[:, 1], n[1], method="wald")
    katz = risk_ratio(x[:, 0], n[0], x[:, 1], n[1])
    for got, expected in ((difference, wald), (ratio, katz)):
        for name in ("estimate", "se", "ci_low", "ci_high", "n", "events"):
            np.testing.assert_allclose(getattr(got, name), getattr(expected, name), rtol=1e-10)


def test_contrasts_at_the_edges() -> None:
    first, second = proportion([0, 0, 5, 0], [20, 0, 20, 20]), proportion([4, 4, 0, 0], [20, 20, 20, 20])
    got, ratio = difference_of_risks(first, second), ratio_of_risks(first, second)
    assert got.status.tolist() == [Status.OK, Status.EMPTY, Status.OK, Status.OK]
    assert ratio.status.tolist() == [Status.NOT_ESTIMABLE, Status.EMPTY, Status.NOT_ESTIMABLE, Status.NOT_ESTIMABLE]
    assert np.isnan(ratio.estimate).all()
    # at an edge the limits of the two are combined as Newcombe's: with Wilson limits that is his method 10
    newcombe = risk_difference([0, 5, 0], 20, [4, 0, 0], 20)
    np.testing.assert_allclose(got.ci_low[[0, 2, 3]], newcombe.ci_low, rtol=1e-12)
    np.testing.assert_allclose(got.ci_high[[0, 2, 3]], newcombe.ci_high, rtol=1e-12)
    other_level = difference_of_risks(first, second, level=0.9)
    assert other_level.status[0] == Status.NOT_ESTIMABLE
    with pytest.raises(ValueError, match="plain"):
        difference_of_risks(risk_ratio(3, 10, 4, 10), risk_ratio(3, 10, 4, 10))


def test_number_needed_to_treat() -> None:
    difference = risk_difference([30, 30, 20], 100, [10, 26, 40], 100, method="wald")
    got = number_needed_to_treat(difference)
    np.testing.assert_allclose(got.estimate, [5.0, 25.0, -5.0])
    np.testing.assert_allclose(got.ci_low[0], 1 / difference.ci_high[0])
    np.testing.assert_allclose(got.ci_high[0], 1 / difference.ci_low[0])
    assert got.through_infinity.tolist() == [False, True, False]
    # benefit from 1/high up through infinity, harm down to 1/low
    np.testing.assert_allclose([got.ci_low[1], got.ci_high[1]], [1 / difference.ci_low[1], 1 / difference.ci_high[1]])
    assert got.ci_low[1] < 0 < got.ci_high[1]
    assert got.ci_low[2] < got.estimate[2] < got.ci_high[2] < 0
    level = number_needed_to_treat(risk_difference(10, 100, 10, 100))
    assert (level.estimate, level.through_infinity) == (np.inf, True)
    assert np.isnan(number_needed_to_treat(risk_difference(0, 0, 10, 100)).estimate)


def test_landmark_leaves_out_and_counts() -> None:
    time = np.array([[5.0, 10, 20, 30, np.nan, 40]])
    got = landmark(time, [[1, 1, 0, 1, 1, -1]], [2.0, 8, 15, np.nan, 3, 1], 10.0)
    assert got.exposed.tolist() == [[-1, -1, 0, 0, -1, -1]]
    assert (got.n[0], got.n_exposed[0], got.n_before[0]) == (2, 0, 2)
    assert got.time[0, 2] == 10.0
    assert got.cause.tolist() == [[-1, -1, 0, 1, -1, -1]]


def test_one_event_kaplan_meier_and_fleming_harrington_are_near() -> None:
    time, cause = _trials(8, n=400)
    ours = fleming_harrington_survival(time, cause, 12.0)
    np.testing.assert_allclose(ours.estimate, kaplan_meier(time, cause, 12.0).estimate, atol=0.01)
    assert np.all(ours.estimate > kaplan_meier(time, cause, 12.0).estimate)


def test_mistakes_of_the_caller_raise() -> None:
    with pytest.raises(ValueError, match="tau"):
        restricted_mean_survival_time([[1.0]], [[1]], 0.0)
    with pytest.raises(ValueError, match="unknown name"):
        cumulative_hazard([[1.0]], [[1]], 1.0, ties="breslow")
    with pytest.raises(ValueError, match="probabilities"):
        survival_quantile([[1.0]], [[1]], [1.0])
