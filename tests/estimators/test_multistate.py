"""Multi-state paths: etm's numbers, the two-state and competing-risks special cases, complete data, edges."""

from __future__ import annotations

import numpy as np
import pytest
from estimators_reference import Check
from longitudinal_reference import cases, ventilation
from regression_reference import close

from cmvsim.core.records import Status
from cmvsim.estimators import cumulative_incidence_curve, survival_curve, transition_probabilities

REFERENCE = cases("13")
NAN = float("nan")


@pytest.mark.parametrize("check", REFERENCE, ids=str)
def test_independent_agrees_with_etm(check: Check) -> None:
    expected = check.expected
    got = transition_probabilities(*ventilation(check), expected.get("times", [1.0]), states=3)
    if check.estimator == "counts":
        assert np.unique(check.rows["id"]).size == expected["n_subjects"]
        for name, count in expected["transitions"].items():
            origin, target = name.split()
            found = got.censored[int(origin)] if target == "cens" else got.transitions[int(origin), int(target)]
            assert found == count
        return
    origin, target = (int(s) for s in check.args["transition"].split())
    close(check, got.probability[:, origin, target], expected["P"])
    close(check, got.variance[:, origin, target], expected["var"])


def _paths(seed: int, n: int, *, censored: bool):
    """Illness and death with recovery, whole days: stays (start, stop, origin, target)."""
    rng = np.random.default_rng(seed)
    rows = []
    for _ in range(n):
        at, state, last = 0.0, 0, rng.integers(5, 30) if censored else 10_000
        while True:
            move = at + np.ceil(rng.exponential(8.0))
            if move > last:
                rows.append((at, float(last), state, -1))
                break
            target = rng.choice([1 - state, 2], p=[0.7, 0.3])
            rows.append((at, move, state, target))
            if target == 2:
                break
            at, state = move, target
    start, stop, origin, target = (np.array(c) for c in zip(*rows, strict=True))
    return start, stop, origin.astype(int), target.astype(int)


def test_closed_form_complete_data_are_proportions() -> None:
    start, stop, origin, target = _paths(1, 80, censored=False)
    times = np.array([1.0, 5.0, 12.0, 30.0])
    got = transition_probabilities(start, stop, origin, target, times, states=3)
    for k, t in enumerate(times):
        inside = [(origin[(start <= t) & (stop > t)] == s).sum() for s in (0, 1)]
        share = np.array([*inside, 80 - sum(inside)]) / 80
        np.testing.assert_allclose(got.occupation[k], share, atol=1e-12)
        np.testing.assert_allclose(got.probability[k, 0], share, atol=1e-12)
    np.testing.assert_allclose(got.initial, [1, 0, 0])
    np.testing.assert_allclose(got.occupation_variance, got.variance[:, 0], rtol=1e-12)
    # at the first moment the increments are one multinomial
    first = transition_probabilities(start, stop, origin, target, [stop.min()], states=3)
    share = first.occupation[0]
    np.testing.assert_allclose(first.variance[0, 0], share * (1 - share) / 80, rtol=1e-12)


def test_closed_form_two_states_are_kaplan_meier_with_greenwood() -> None:
    rng = np.random.default_rng(2)
    time, event = rng.integers(1, 20, 60).astype(float), rng.random(60) < 0.6
    times = np.arange(0.0, 18.0)
    got = transition_probabilities(np.zeros(60), time, np.zeros(60, int), np.where(event, 1, -1), times, states=2)
    curve = survival_curve(time, event.astype(int), times)
    np.testing.assert_allclose(got.probability[:, 0, 0], curve.estimate, rtol=1e-12)
    np.testing.assert_allclose(got.variance[:, 0, 0], curve.se**2, rtol=1e-10, atol=1e-16)
    np.testing.assert_allclose(got.variance[:, 0, 1], curve.se**2, rtol=1e-10, atol=1e-16)


def test_closed_form_competing_risks_are_aalen_johansen_with_greenwood() -> None:
    rng = np.random.default_rng(3)
    time, cause = rng.integers(1, 20, 60).astype(float), rng.integers(0, 3, 60)
    times = np.arange(1.0, 18.0)
    target = np.where(cause == 0, -1, cause)
    got = transition_probabilities(np.zeros(60), time, np.zeros(60, int), target, times, states=3)
    for event in (1, 2):
        curve = cumulative_incidence_curve(time, cause, times, event=event, variance="greenwood")
        np.testing.assert_allclose(got.probability[:, 0, event], curve.estimate, rtol=1e-11)
        np.testing.assert_allclose(np.sqrt(got.variance[:, 0, event]), curve.se, rtol=1e-10, atol=1e-15)


def test_statistical_variance_of_a_transition_probability() -> None:
    truth = transition_probabilities(*_paths(4, 4000, censored=False), [12.0], states=3).probability[0, 0, 1]
    estimates, variances = [], []
    for seed in range(150):
        got = transition_probabilities(*_paths(100 + seed, 60, censored=True), [12.0], states=3)
        estimates.append(got.probability[0, 0, 1])
        variances.append(got.variance[0, 0, 1])
    spread = np.std(estimates)
    assert abs(np.mean(estimates) - truth) < 4 * spread / np.sqrt(150) + 4 * np.sqrt(truth / 4000)
    assert np.sqrt(np.mean(variances)) == pytest.approx(spread, rel=0.2)


def test_properties_rows_add_up_and_products_chain() -> None:
    stays = _paths(5, 50, censored=True)
    early = transition_probabilities(*stays, [7.0], states=3)
    late = transition_probabilities(*stays, [20.0, 9.0], states=3, since=7.0)
    whole = transition_probabilities(*stays, [20.0], states=3)
    np.testing.assert_allclose(whole.probability.sum(axis=2), 1.0)
    np.testing.assert_allclose(early.probability[0] @ late.probability[0], whole.probability[0], rtol=1e-12)
    np.testing.assert_allclose(late.initial.sum(), 1.0)
    assert np.isnan(transition_probabilities(*stays, [3.0], states=3, since=7.0).probability).all()


def test_occupation_variance_is_the_quadratic_form_of_a_mixed_start() -> None:
    """Two states left at once by independent patients: the variances add up with the squared shares."""
    start, stop = np.zeros(10), np.array([1.0] * 3 + [9.0] * 3 + [1.0] * 1 + [9.0] * 3)
    origin, target = np.array([0] * 6 + [1] * 4), np.array([2] * 3 + [-1] * 3 + [2] + [-1] * 3)
    got = transition_probabilities(start, stop, origin, target, [1.0], states=3)
    assert got.occupation[0, 2] == pytest.approx(0.4)
    assert got.occupation_variance[0, 2] == pytest.approx(0.6**2 * 0.5 * 0.5 / 6 + 0.4**2 * 0.25 * 0.75 / 4)


def test_degenerate() -> None:
    empty = transition_probabilities([NAN, 3.0], [2.0, 3.0], [0, 0], [1, 1], [5.0], states=2)
    assert (empty.status, empty.n) == (Status.EMPTY, 0)
    assert np.isnan(empty.probability).all()
    assert np.isnan(empty.occupation).all()
    # nobody is ever in state 1 or 3: their rows are unknown; the absorbing state 2 stays where it is
    got = transition_probabilities([0.0, 0.0], [2.0, 5.0], [0, 0], [2, -1], [3.0], states=4)
    assert np.isnan(got.probability[0, [1, 3]]).all()
    np.testing.assert_array_equal(got.probability[0, 2], [0, 0, 1, 0])
    np.testing.assert_array_equal(got.occupation[0], [0.5, 0, 0.5, 0])
    nothing = transition_probabilities([0.0], [5.0], [0], [0], [3.0], states=2)
    assert (nothing.censored[0], nothing.probability[0, 0, 0], nothing.variance[0, 0, 0]) == (1, 1.0, 0.0)


def test_mistakes_of_the_caller_raise() -> None:
    with pytest.raises(ValueError, match="states must be 0 to 1"):
        transition_probabilities([0.0], [1.0], [0], [2], [1.0], states=2)
    with pytest.raises(ValueError, match="must all be"):
        transition_probabilities([0.0], [1.0, 2.0], [0], [1], [1.0], states=2)
