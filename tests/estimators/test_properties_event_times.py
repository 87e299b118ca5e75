"""Properties of the event-time estimators that hold for every data set, and their plain-Python twins."""

from __future__ import annotations

import numpy as np
import pytest
from estimators_twins import (
    effective_size_twin,
    greenwood_twin,
    incidence_twin,
    person_time_twin,
)
from hypothesis import given, settings
from hypothesis import strategies as st

from cmvsim.core.records import Estimates, Status
from cmvsim.estimators import aalen_johansen, cumulative_incidence_curve, kaplan_meier, survival_curve
from cmvsim.estimators.intervals import exact_margin

ARRAYS = ("estimate", "se", "ci_low", "ci_high", "n", "events", "status")
VARIANCES = ("aalen", "ij", "greenwood")
HORIZON = 6.0

days = st.integers(0, 9).map(float)
# off the integers, so that the ranks take over from the packed days
moments = st.sampled_from([-1.5, 0.0, 0.25, 1.0, 2.5, 3.5, 4.0, 6.0, 6.5, 9.0, 2.0**40])
causes = st.sampled_from([0, 0, 1, 1, 2, 3, -1])


def patients(times, min_size=1, max_size=25):
    return st.lists(st.tuples(times, causes), min_size=min_size, max_size=max_size).map(
        lambda rows: (np.array([[t for t, _ in rows]]), np.array([[k for _, k in rows]], dtype=np.int64))
    )


either = st.one_of(patients(days), patients(moments))
quick = settings(max_examples=60, deadline=None)


def _identical(a: Estimates, b: Estimates, take_a=..., take_b=...) -> None:
    for name in ARRAYS:
        np.testing.assert_array_equal(getattr(a, name)[take_a], getattr(b, name)[take_b], err_msg=name)


@quick
@given(either, st.sampled_from(VARIANCES), st.sampled_from(["plain", "log", "loglog", "cloglog"]))
def test_incidences_and_limits_are_probabilities(data, variance, interval) -> None:
    got = aalen_johansen(*data, HORIZON, variance=variance, interval=interval)
    if got.status[0] == Status.EMPTY:
        assert got.n[0] == 0
        assert np.isnan([got.estimate[0], got.se[0], got.ci_low[0], got.ci_high[0]]).all()
        return
    assert 0 <= got.ci_low[0] <= got.estimate[0] + 1e-9
    assert got.estimate[0] - 1e-9 <= got.ci_high[0] <= 1
    assert got.se[0] >= 0
    assert (got.status[0] == Status.NO_EVENTS) == (got.events[0] == 0)


@quick
@given(either)
def test_causes_add_up_with_survival(data) -> None:
    time, cause = data
    if not (cause >= 0).any():
        return
    incidences = sum(aalen_johansen(time, cause, HORIZON, event=k).estimate[0] for k in (1, 2, 3))
    assert incidences + kaplan_meier(time, cause, HORIZON).estimate[0] == pytest.approx(1.0, abs=1e-13)


@quick
@given(either, st.randoms(use_true_random=False), st.sampled_from(VARIANCES))
def test_the_order_of_patients_does_not_matter(data, random, variance) -> None:
    time, cause = data
    order = list(range(time.shape[1]))
    random.shuffle(order)
    a = aalen_johansen(time, cause, HORIZON, variance=variance)
    b = aalen_johansen(time[:, order], cause[:, order], HORIZON, variance=variance)
    for name in ARRAYS:
        np.testing.assert_allclose(getattr(a, name), getattr(b, name), rtol=1e-12, atol=1e-12)


@quick
@given(either, st.data(), st.sampled_from(VARIANCES), st.booleans())
def test_a_nested_study_is_bit_identical_to_the_study_alone(data, draw, variance, weighted) -> None:
    time, cause = data
    n = time.shape[1]
    nested = sorted(draw.draw(st.lists(st.integers(0, n), min_size=1, max_size=4)))
    weights = np.linspace(0.5, 2.0, n)[None] if weighted else None
    survival_variance = "ij" if variance == "ij" else "greenwood"
    together = aalen_johansen(time, cause, HORIZON, variance=variance, nested=nested, weights=weights)
    alive = kaplan_meier(time, cause, HORIZON, variance=survival_variance, nested=nested, weights=weights)
    assert together.estimate.shape == (1, len(nested))
    for j, size in enumerate(nested):
        cut = None if weights is None else weights[:, :size]
        alone = aalen_johansen(time[:, :size], cause[:, :size], HORIZON, variance=variance, weights=cut)
        _identical(together, alone, (slice(None), j))
        alone = kaplan_meier(time[:, :size], cause[:, :size], HORIZON, variance=survival_variance, weights=cut)
        _identical(alive, alone, (slice(None), j))


@pytest.mark.parametrize("variance", VARIANCES)
@pytest.mark.parametrize("what", ["weights", "entry", "both"])
def test_nested_sums_of_tied_weights_keep_their_order(variance: str, what: str) -> None:
    """An unstable sort adds the weights of tied patients in an order that depends on n."""
    rng = np.random.Generator(np.random.PCG64(11))
    shape, nested = (20, 200), (7, 50, 133, 200)
    time = rng.integers(0, 30, shape)
    cause = rng.integers(-1, 3, shape)
    cause[:10] = np.where(cause[:10] == 1, 0, cause[:10])  # no events: the exact bound has to agree as well
    columns = {"weights": rng.random(shape), "entry": time - rng.integers(0, 20, shape)}
    columns = columns if what == "both" else {what: columns[what]}
    together = aalen_johansen(time, cause, 20, variance=variance, nested=nested, **columns)
    for j, n in enumerate(nested):
        cut = {name: column[:, :n] for name, column in columns.items()}
        alone = aalen_johansen(time[:, :n], cause[:, :n], 20, variance=variance, **cut)
        _identical(together, alone, (slice(None), j))


@pytest.mark.parametrize("integer_days", [True, False])
def test_a_batch_of_one_equals_a_batch_of_many(integer_days: bool) -> None:
    rng = np.random.Generator(np.random.PCG64(7))
    replicates, n = 700, 70  # more than one block of replicates
    time = rng.exponential(60, (replicates, n))
    time = np.floor(time) if integer_days else time
    cause = rng.integers(-1, 3, time.shape)
    many = aalen_johansen(time, cause, 90, nested=(10, 70))
    alive = kaplan_meier(time, cause, 90, nested=(10, 70))
    for r in range(0, replicates, 37):
        one = slice(r, r + 1)
        _identical(many, aalen_johansen(time[one], cause[one], 90, nested=(10, 70)), one)
        _identical(alive, kaplan_meier(time[one], cause[one], 90, nested=(10, 70)), one)
    # one replicate off the integers sends its whole block through the ranks: the others may not notice
    bent = time.copy()
    bent[0, 0] = 3.5
    _identical(many, aalen_johansen(bent, cause, 90, nested=(10, 70)), slice(1, None), slice(1, None))
    # a transposed view, as the draws come
    _identical(many, aalen_johansen(time.T.copy().T, cause.T.copy().T, 90, nested=(10, 70)))


@quick
@given(either, st.sampled_from(VARIANCES), st.sampled_from([1, 2]))
def test_incidence_twin(data, variance, event) -> None:
    time, cause = data
    twin = incidence_twin(time[0], cause[0], HORIZON, variance, event=event)
    got = aalen_johansen(time, cause, HORIZON, variance=variance, event=event)
    assert (got.n[0], got.events[0]) == (twin.n, twin.events)
    if twin.n:
        assert got.estimate[0] == pytest.approx(twin.estimate, abs=1e-12)
        assert got.se[0] ** 2 == pytest.approx(twin.variance, rel=1e-12, abs=1e-14)


entries = st.lists(st.sampled_from([-2.0, 0.0, 1.0, 2.0, 2.5, 4.0]), min_size=25, max_size=25)
case_weights = st.lists(st.sampled_from([0.0, 0.3, 1.0, 1.7, 4.0]), min_size=25, max_size=25)


@quick
@given(either, entries, case_weights, st.sampled_from(VARIANCES), st.sampled_from(["entry", "weight", "both"]))
def test_late_entry_and_weights_twin(data, entry, weight, variance, what) -> None:
    time, cause = data
    n = time.shape[1]
    start = entry[:n] if what != "weight" else None
    w = weight[:n] if what != "entry" else None
    if variance == "aalen" and w is not None:
        w = [float(round(v)) for v in w]  # the tie form counts patients
    twin = incidence_twin(time[0], cause[0], HORIZON, variance, entry=start, weight=w)
    got = aalen_johansen(
        time,
        cause,
        HORIZON,
        variance=variance,
        entry=None if start is None else [start],
        weights=None if w is None else [w],
    )
    assert (got.n[0], got.events[0]) == (twin.n, twin.events)
    if twin.n:
        assert got.estimate[0] == pytest.approx(twin.estimate, abs=1e-12)
        assert got.se[0] ** 2 == pytest.approx(twin.variance, rel=1e-11, abs=1e-13)


@quick
@given(either)
def test_kaplan_meier_twin(data) -> None:
    time, cause = data
    inside = cause[0] >= 0
    got = kaplan_meier(time, cause, HORIZON)
    S, variance = greenwood_twin(time[0, inside], cause[0, inside] > 0, HORIZON)
    if inside.any():
        assert got.estimate[0] == pytest.approx(S, abs=1e-12)
        assert got.se[0] ** 2 == pytest.approx(variance, rel=1e-12, abs=1e-15)


@quick
@given(either, st.sampled_from(VARIANCES))
def test_the_general_loop_equals_the_packed_sweep(data, variance) -> None:
    time, cause = data
    plain = aalen_johansen(time, cause, HORIZON, variance=variance)
    weighted = aalen_johansen(time, cause, HORIZON, variance=variance, weights=1.0)
    early = aalen_johansen(time, cause, HORIZON, variance=variance, entry=-5.0)
    alive = kaplan_meier(time, cause, HORIZON)
    for name in ARRAYS:
        np.testing.assert_allclose(getattr(plain, name), getattr(weighted, name), rtol=1e-7, atol=1e-7)
        expected = getattr(kaplan_meier(time, cause, HORIZON, weights=1.0), name)
        np.testing.assert_allclose(getattr(alive, name), expected, rtol=1e-7, atol=1e-7)
    for name in ("estimate", "n", "events", "status"):
        np.testing.assert_allclose(getattr(plain, name), getattr(early, name), rtol=1e-12)


@quick
@given(either, st.sampled_from(VARIANCES), st.booleans())
def test_a_curve_is_the_estimator_at_each_time(data, variance, late) -> None:
    time, cause = data
    entry = np.full(time.shape[1], -2.0) if late else None
    batch_entry = None if entry is None else entry[None]
    times = np.array([4.0, -3.0, 0.0, 6.0, 2.2, 100.0])
    curve = cumulative_incidence_curve(time[0], cause[0], times, variance=variance, entry=entry)
    alive = survival_curve(time[0], cause[0], times, entry=entry)
    for i, horizon in enumerate(times):
        one = aalen_johansen(time, cause, horizon, variance=variance, entry=batch_entry)
        other = kaplan_meier(time, cause, horizon, entry=batch_entry)
        for name in ("estimate", "ci_low", "ci_high", "events", "status"):
            np.testing.assert_allclose(getattr(curve, name)[i], getattr(one, name)[0], rtol=1e-6, atol=1e-7, err_msg=name)
            np.testing.assert_allclose(getattr(alive, name)[i], getattr(other, name)[0], rtol=1e-6, atol=1e-7, err_msg=name)
        reached = time[0][(cause[0] >= 0) & (time[0] >= horizon)]
        assert curve.n_at_risk[i] == reached.size


@quick
@given(patients(st.one_of(days, moments)), st.sampled_from(["none", "all"]))
def test_the_effective_size_twin(data, which) -> None:
    time, cause = data
    # make the estimate 0 (no event of interest) or 1 (all who leave early leave by one)
    cause = np.where(cause == 1, 2, cause) if which == "none" else np.where(cause > 0, 1, cause)
    got = aalen_johansen(time, cause, HORIZON)
    if got.status[0] not in {Status.NO_EVENTS, Status.ALL_EVENTS}:
        return
    margin = exact_margin(effective_size_twin(time[0], cause[0], HORIZON))
    width = got.ci_high[0] if got.status[0] == Status.NO_EVENTS else 1 - got.ci_low[0]
    assert width == pytest.approx(float(margin), rel=1e-10)
    weighted = aalen_johansen(time, cause, HORIZON, weights=2.5)
    assert (weighted.ci_low[0], weighted.ci_high[0]) == pytest.approx((got.ci_low[0], got.ci_high[0]))


@quick
@given(patients(days), entries)
def test_the_effective_size_under_late_entry_twin(data, entry) -> None:
    time, cause = data
    cause = np.where(cause == 1, 2, cause)
    start = entry[: time.shape[1]]
    got = aalen_johansen(time, cause, HORIZON, entry=[start])
    if got.status[0] == Status.NO_EVENTS:
        margin = exact_margin(person_time_twin(time[0], cause[0], start, HORIZON))
        assert got.ci_high[0] == pytest.approx(float(margin), rel=1e-10)
        assert got.ci_low[0] == 0
