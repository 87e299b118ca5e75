"""Mean cumulative function: R's numbers, a plain twin with numerical influences, closed forms, edges."""

from __future__ import annotations

import numpy as np
import pytest
from estimators_reference import Check
from longitudinal_reference import bladder, cases
from regression_reference import close

from cmvsim.core.records import Status
from cmvsim.estimators import mean_cumulative

REFERENCE = [c for c in cases("07") if c.estimator == "mean_cumulative_function"]
HORIZONS = (6, 12, 24, 36, 48)
NAN = float("nan")


@pytest.mark.parametrize("check", REFERENCE, ids=str)
def test_independent_agrees_with_survfit(check: Check) -> None:
    variance, key = ("robust", "se_robust") if check.id == "mcf_by_rx" else ("poisson", "se_poisson")
    got = []
    for arm in (1, 2):
        events, exits = bladder(check, arm)
        for horizon in HORIZONS:
            fit = mean_cumulative(events[None], exits[None], horizon, variance=variance)
            assert fit.status[0] == Status.OK
            got.append((fit.estimate[0], fit.se[0]))
    close(check, [g[0] for g in got], check.expected["mcf"])
    close(check, [g[1] for g in got], check.expected[key])


def _twin(events, exits, entry, died, horizon: float, weight) -> float:
    """The estimator of one replicate with case weights, time by time."""
    there = entry < exits
    times = np.unique(np.concatenate([events.ravel(), exits]))
    total, alive = 0.0, 1.0
    for t in times[times <= horizon]:
        at_risk = there & (entry < t) & (exits >= t)
        Y = weight[at_risk].sum()
        if Y == 0:
            continue
        total += alive * (weight[at_risk, None] * (events[at_risk] == t)).sum() / Y
        alive *= 1 - weight[at_risk & died & (exits == t)].sum() / Y
    return total


def _data(seed: int, replicates: int = 4, n: int = 30):
    rng = np.random.default_rng(seed)
    exits = rng.integers(5, 40, (replicates, n)).astype(float)
    died = rng.random(exits.shape) < 0.4
    events = rng.integers(1, 40, (replicates, n, 4)).astype(float)
    events[rng.random(events.shape) < 0.3] = NAN
    entry = np.where(rng.random(exits.shape) < 0.3, rng.integers(1, 10, exits.shape), -1.0)
    return events, exits, died, entry


@pytest.mark.parametrize("late", [False, True])
@pytest.mark.parametrize("deadly", [False, True])
def test_plain_twin(late: bool, deadly: bool) -> None:
    events, exits, died, entry = _data(1)
    got = mean_cumulative(events, exits, 30, died=died if deadly else None, entry=entry if late else None)
    for r in range(exits.shape[0]):
        inside = np.where((events[r] > entry[r][:, None] if late else True) & (events[r] <= exits[r][:, None]), events[r], NAN)
        rest = (exits[r], entry[r] if late else np.full(30, -np.inf), died[r] & deadly, 30)
        np.testing.assert_allclose(got.estimate[r], _twin(inside, *rest, np.ones(30)), rtol=1e-12)
        influence = []
        for i in range(30):
            up, down = np.ones(30), np.ones(30)
            up[i], down[i] = 1 + 1e-5, 1 - 1e-5
            influence.append((_twin(inside, *rest, up) - _twin(inside, *rest, down)) / 2e-5)
        np.testing.assert_allclose(got.se[r] ** 2, np.sum(np.square(influence)), rtol=1e-7)
        assert got.events[r] == np.isfinite(np.where(inside <= 30, inside, NAN)).sum()


def test_closed_form_nobody_censored() -> None:
    """The plain mean of the patients' counts and its variance, whether they die or not."""
    events, _, died, _ = _data(2)
    exits = np.where(died, 17.0, 50.0)
    counts = ((events <= exits[:, :, None]) & (events <= 30)).sum(axis=2)
    got = mean_cumulative(events, exits, 30, died=died)
    np.testing.assert_allclose(got.estimate, counts.mean(axis=1), rtol=1e-12)
    np.testing.assert_allclose(got.se, counts.std(axis=1) / np.sqrt(30), rtol=1e-12)
    # taking the dead for censored answers what would happen if nobody could die
    assert np.all(mean_cumulative(events, exits, 30).estimate > got.estimate)


def test_statistical_robust_variance_holds_with_frailty_and_poisson_does_not() -> None:
    rng = np.random.default_rng(3)
    replicates, n = 1500, 60
    exits = np.minimum(rng.exponential(120.0, (replicates, n)), 90.0)
    gaps = rng.exponential(1.0, (replicates, n, 25)) / (0.03 * rng.gamma(0.7, 1 / 0.7, (replicates, n, 1)))
    events = np.cumsum(gaps, axis=2)
    robust = mean_cumulative(events, exits, 60.0)
    empirical = robust.estimate.std()
    np.testing.assert_allclose(robust.estimate.mean(), 0.03 * 60, atol=4 * empirical / np.sqrt(replicates))
    assert np.sqrt((robust.se**2).mean()) == pytest.approx(empirical, rel=0.08)
    assert mean_cumulative(events, exits, 60.0, variance="poisson").se.mean() < 0.75 * empirical
    covered = (robust.ci_low <= 1.8) & (robust.ci_high >= 1.8)
    assert 0.91 < covered.mean() < 0.97


def test_properties_order_of_patients_and_of_events() -> None:
    events, exits, died, _ = _data(4)
    plain = mean_cumulative(events, exits, 30, died=died)
    order = np.random.default_rng(5).permutation(30)
    turned = mean_cumulative(events[:, order, ::-1], exits[:, order], 30, died=died[:, order])
    np.testing.assert_allclose(turned.estimate, plain.estimate, rtol=1e-13)
    np.testing.assert_allclose(turned.se, plain.se, rtol=1e-12)


def test_degenerate_statuses() -> None:
    exits = np.array([[90.0, 45.0, 90.0]] * 4)
    events = np.full((4, 3, 2), NAN)
    events[1, 0, 0] = 5.0
    events[2, :, 0] = 5.0  # everybody once, on the same day: nothing varies
    exits[3] = NAN
    got = mean_cumulative(events, exits, 90.0)
    assert got.status.tolist() == [Status.NO_EVENTS, Status.OK, Status.NOT_ESTIMABLE, Status.EMPTY]
    assert got.n.tolist() == [3, 3, 3, 0]
    assert (got.estimate[0], got.ci_low[0], got.se[0]) == (0.0, 0.0, 0.0)
    assert got.ci_high[0] == pytest.approx(-np.log(0.025) / 2.5)
    assert got.estimate[2] == 1.0
    assert np.isnan([got.se[2], got.ci_low[2], got.estimate[3], got.ci_high[3]]).all()
    # a death counts as observed to the horizon
    died = np.array([[False, True, False]])
    assert mean_cumulative(events[:1], exits[:1], 90.0, died=died).ci_high[0] == pytest.approx(-np.log(0.025) / 3)
    plain = mean_cumulative(events[1:2], exits[1:2], 90.0, interval="plain")
    assert plain.ci_low[0] == 0.0


def test_mistakes_of_the_caller_raise() -> None:
    with pytest.raises(ValueError, match="unknown variance 'ij'; allowed: robust"):
        mean_cumulative([[[1.0]]], [[2.0]], 3.0, variance="ij")
    with pytest.raises(ValueError, match="unknown interval"):
        mean_cumulative([[[1.0]]], [[2.0]], 3.0, interval="wald")
    with pytest.raises(ValueError, match="horizon must be positive"):
        mean_cumulative([[[1.0]]], [[2.0]], 0.0)
    with pytest.raises(ValueError, match="events must be"):
        mean_cumulative([[1.0]], [[2.0]], 3.0)
