"""Risk-set-matched attributable cost: a plain twin, numerical influences, known effects, counts as copies, edges."""

from __future__ import annotations

import numpy as np
import pytest

from cmvsim.core.records import Status
from cmvsim.estimators import attributable_cost, ever_never_difference

NAN = float("nan")


def _data(seed: int, replicates: int = 3, n: int = 24, horizon: int = 20, components: int = 2):
    rng = np.random.default_rng(seed)
    shape = (replicates, n)
    cost = rng.gamma(1.5, 40.0, (*shape, horizon + 1, components))
    index = np.where(rng.random(shape) < 0.5, rng.integers(1, horizon + 4, shape), NAN)
    leaves = np.floor(rng.exponential(40.0, shape)) + 1
    leaves[:, 0] = horizon
    dies = np.where(rng.random(shape) < 0.3, rng.integers(3, horizon + 5, shape), NAN)
    dies[:, 0] = NAN
    keys = np.repeat(rng.integers(0, 2, (*shape, 1)), horizon + 1, axis=2).astype(np.int8)
    keys[:, :, 8:] = np.where(rng.random((*shape, 1)) < 0.2, 1 - keys[:, :, 8:], keys[:, :, 8:])
    return cost, index, leaves, dies, keys


def _twin(cost, index, leaves, dies, keys, weight, days: int = 7):
    """One replicate with case weights, set by set and day by day."""
    n, horizon = index.size, cost.shape[1] - 1
    dead = dies <= leaves
    X = np.minimum(np.where(dead, dies, leaves), horizon)
    complete = (dead & (dies <= horizon)) | (leaves >= horizon)

    hazards = []
    for v in range(horizon + 1):
        out = weight[(v == X) & ~complete].sum()
        hazards.append(out / (weight[v < X].sum() + out) if out > 0 else 0.0)
    before = np.cumprod(np.r_[1.0, 1 - np.array(hazards)])

    def rest(i, t):
        total = np.zeros(cost.shape[2])
        for first in range(0, horizon + 1, days):
            last = min(first + days - 1, horizon)
            if complete[i] or X[i] >= last:
                k = before[int(min(X[i], last))] / before[t]
                for day in range(max(first, t), int(min(last, X[i])) + 1):
                    total += cost[i, day] / k
        return total

    own, control, matched = np.zeros(cost.shape[2]), np.zeros(cost.shape[2]), 0.0
    for i in range(n):
        if not index[i] <= X[i] or weight[i] == 0:
            continue
        t = int(index[i])
        free = [j for j in range(n) if X[j] >= t and not index[j] <= t and keys[j, t] == keys[i, t] and weight[j] > 0]
        if free:
            m = weight[free].sum()
            own += weight[i] * rest(i, t)
            control += weight[i] * sum(weight[j] * rest(j, t) for j in free) / m
            matched += weight[i]
    return own / matched, control / matched


def _replicate(data, r):
    return tuple(a[r] for a in data)


@pytest.mark.parametrize("days", [1, 7, 50])
def test_plain_twin(days: int) -> None:
    data = _data(1)
    got = attributable_cost(*data, partition_days=days)
    assert (got.status == Status.OK).all()
    for r in range(3):
        own, control = _twin(*_replicate(data, r), np.ones(24), days)
        np.testing.assert_allclose(got.own[r], own, rtol=1e-11)
        np.testing.assert_allclose(got.control[r], control, rtol=1e-11)
        np.testing.assert_allclose(got.estimate[r], own - control, rtol=1e-10)


def test_standard_error_is_the_sum_of_squared_numerical_influences() -> None:
    data = _data(2, replicates=2)
    got = attributable_cost(*data)
    for r in range(2):
        influence = []
        for i in range(24):
            ends = []
            for step in (1e-5, -1e-5):
                weight = np.ones(24)
                weight[i] += step
                own, control = _twin(*_replicate(data, r), weight)
                ends.append(own - control)
            influence.append((ends[0] - ends[1]) / 2e-5)
        np.testing.assert_allclose(got.se[r], np.sqrt(np.sum(np.square(influence), axis=0)), rtol=1e-6)


def test_counts_are_copies_of_patients() -> None:
    """A patient drawn twice is two patients, as a case and as a control."""
    data = _data(3)
    counts = np.random.default_rng(4).multinomial(24, np.full(24, 1 / 24), 40)
    for b in (0, 7, 23):
        got = attributable_cost(*data, counts=np.stack([counts[b]] * 2), interval="percentile")
        copied = attributable_cost(*(np.repeat(a, counts[b], axis=1) for a in data))
        fine = (copied.status == Status.OK) & (got.status == Status.OK)
        assert fine.any()
        np.testing.assert_allclose(got.ci_low[fine], copied.estimate[fine], rtol=1e-10)
        np.testing.assert_allclose(got.ci_high[fine], copied.estimate[fine], rtol=1e-10)
    per_replicate = attributable_cost(*data, counts=np.stack([counts] * 3), interval="bca")
    np.testing.assert_array_equal(per_replicate.ci_low, attributable_cost(*data, counts=counts, interval="bca").ci_low)


def test_bootstrap_limits_by_definition() -> None:
    from scipy.stats import norm

    data = tuple(a[:1] for a in _data(5))
    counts = np.random.default_rng(6).multinomial(24, np.full(24, 1 / 24), 120)

    def difference(weight):
        own, control = _twin(*_replicate(data, 0), weight)
        return (own - control)[0]

    boot = np.array([difference(c.astype(float)) for c in counts])
    jackknife = np.array([difference(w) for w in 1.0 - np.eye(24)])
    percentile = attributable_cost(*data, counts=counts, interval="percentile")
    np.testing.assert_allclose(
        [percentile.ci_low[0, 0], percentile.ci_high[0, 0]], np.quantile(boot, [0.025, 0.975]), rtol=1e-9
    )
    assert percentile.se[0, 0] == pytest.approx(boot.std(ddof=1))
    assert percentile.samples[0] == 120
    centre = difference(np.ones(24))
    shift = norm.ppf((boot < centre).mean())
    around = jackknife.mean() - jackknife
    a = (around**3).sum() / (6 * (around**2).sum() ** 1.5)
    tails = norm.cdf([shift + (shift + z) / (1 - a * (shift + z)) for z in norm.ppf([0.025, 0.975])])
    bca = attributable_cost(*data, counts=counts, interval="bca")
    np.testing.assert_allclose([bca.ci_low[0, 0], bca.ci_high[0, 0]], np.quantile(boot, tails), rtol=1e-9)
    normal = attributable_cost(*data, counts=counts)
    assert normal.ci_high[0, 0] == pytest.approx(centre + norm.ppf(0.975) * boot.std(ddof=1))


def test_closed_form_by_hand() -> None:
    """Two reactivators on days 1 and 2 of 0..3, everybody complete; a future case is a control, a past one is not."""
    cost = np.array([[1, 2, 4, 8], [10, 20, 40, 80], [100, 200, 400, 800], [0, 0, 0, 5.0]])[None, :, :, None]
    index, leaves, dies = [[1.0, 2.0, NAN, NAN]], [[9.0] * 4], [[NAN, NAN, NAN, 1.0]]
    keys = np.zeros((1, 4, 4), dtype=int)
    got = attributable_cost(cost, index, leaves, dies, keys)
    # day 1: 14 against the mean of 140, 1400 and 0 (dead that day, its 5 is never read); day 2: 120 against 1200
    assert got.own[0, 0] == pytest.approx((14 + 120) / 2)
    assert got.control[0, 0] == pytest.approx(((140 + 1400 + 0) / 3 + 1200) / 2)
    assert (got.cases[0], got.matched[0], got.controls[0]) == (2, 2, 2.0)
    same_day = attributable_cost(cost, [[1.0, 1.0, NAN, NAN]], leaves, dies, keys)
    assert same_day.control[0, 0] == pytest.approx((1400 + 0) / 2)


def _trial(rng, replicates: int, n: int, *, censored: bool):
    """Stratum 0 reactivates on day 10, stratum 1 (dearer, deadlier, reactivates more often) on day 30."""
    horizon = 60
    shape = (replicates, n)
    stratum = rng.random(shape) < 0.4
    hazard = np.where(stratum, 0.02, 0.005)
    dies = np.floor(np.log(rng.random(shape)) / np.log(1 - hazard))  # the last day alive
    leaves = np.floor(rng.exponential(90.0, shape)) if censored else np.full(shape, 99.0)
    day = np.where(stratum, 30, 10)
    index = np.where(rng.random(shape) < np.where(stratum, 0.5, 0.25), day, NAN)
    index = np.where(index > np.minimum(dies, leaves), NAN, index)
    rate = np.where(stratum, 100.0, 30.0) * rng.gamma(4.0, 0.25, shape)
    days = np.arange(horizon + 1)
    # two weeks later, for eight days
    extra = 200.0 * ((days >= index[:, :, None] + 15) & (days < index[:, :, None] + 23))
    alive = days <= np.minimum(dies, np.where(leaves >= horizon, np.inf, leaves))[:, :, None]
    cost = np.where(alive, rate[:, :, None] + extra, 0.0)[..., None]
    keys = np.repeat(stratum[:, :, None], horizon + 1, axis=2).astype(np.int8)
    return cost, index, leaves, np.where(dies <= horizon, dies, NAN), keys


def test_statistical_known_effect_under_confounding_death_and_censoring() -> None:
    replicates, n = 500, 150
    data = _trial(np.random.default_rng(7), replicates, n, censored=True)
    got = attributable_cost(*data)
    assert (got.status == Status.OK).all()
    # 200 a day for eight days, while alive, over the strata of the reactivators that are seen
    survivors = [(200.0 * (1 - q) ** np.arange(15, 23)).sum() for q in (0.005, 0.02)]
    seen = [0.6 * 0.25 * np.exp(-10 / 90) * 0.995**10, 0.4 * 0.5 * np.exp(-30 / 90) * 0.98**30]
    truth = np.dot(seen, survivors) / sum(seen)
    spread = got.estimate.std()
    np.testing.assert_allclose(got.estimate.mean(), truth, atol=4 * spread / np.sqrt(replicates))
    assert np.sqrt((got.se**2).mean()) == pytest.approx(spread, rel=0.12)
    covered = (got.ci_low <= truth) & (got.ci_high >= truth)
    assert 0.90 < covered.mean() < 0.98
    # what it corrects: costs cut off by censoring and taken for whole, and the naive comparison, are far away
    cost, index, leaves, dies, keys = data
    cut = attributable_cost(cost, index, np.full_like(leaves, 99.0), np.fmin(dies, leaves), keys)
    naive = ever_never_difference(cost.sum(axis=(2, 3)), np.isfinite(index))
    for wrong in (cut.estimate, naive.estimate):
        assert abs(wrong.mean() - truth) > 10 * spread / np.sqrt(replicates)


def test_properties_order_units_and_components() -> None:
    data = _data(8)
    plain = attributable_cost(*data)
    order = np.random.default_rng(9).permutation(24)
    turned = attributable_cost(*(a[:, order] for a in data))
    np.testing.assert_allclose(turned.estimate, plain.estimate, rtol=1e-9)
    np.testing.assert_allclose(turned.se, plain.se, rtol=1e-9)
    total = attributable_cost(data[0].sum(axis=3, keepdims=True), *data[1:])
    np.testing.assert_allclose(total.estimate[:, 0], plain.estimate.sum(axis=1), rtol=1e-9)
    narrow = attributable_cost((1000 * data[0]).astype(np.float32), *data[1:])
    np.testing.assert_allclose(narrow.estimate, 1000 * plain.estimate, rtol=1e-4, atol=1.0)
    assert plain.component(1).events[0] == plain.matched[0]
    # without censoring the partitions do not matter
    whole = (data[0], data[1], np.full((3, 24), 20.0), data[3], data[4])
    np.testing.assert_allclose(attributable_cost(*whole, partition_days=2).se, attributable_cost(*whole).se, rtol=1e-9)


def test_degenerate_statuses() -> None:
    cost, index, leaves, dies, keys = _data(10, replicates=7)
    leaves[1] = NAN
    index[2] = NAN
    keys[3] = -1  # nobody matches
    leaves[4], dies[4] = np.minimum(leaves[4], 19), NAN  # the longest history is censored
    cost[5, :, 15, 1] = NAN
    index[6] = 90.0  # after the horizon
    got = attributable_cost(cost, index, leaves, dies, keys)
    expected = [Status.OK, Status.EMPTY, Status.NO_EVENTS, *[Status.NOT_ESTIMABLE] * 3, Status.NO_EVENTS]
    assert got.status.tolist() == expected
    assert np.isnan(got.estimate[1:]).all()
    assert np.isnan(got.ci_low[1:]).all()
    assert np.isnan(got.own[1:]).all()
    assert (got.cases[3] > 1, got.matched[3]) == (True, 0)
    assert got.n[1] == 0
    assert got.component(0).status[2] == Status.NOT_ESTIMABLE
    boot = np.random.default_rng(11).multinomial(24, np.full(24, 1 / 24), 30)
    again = attributable_cost(cost, index, leaves, dies, keys, counts=boot, interval="bca")
    assert again.status.tolist() == expected
    # samples that leave out every reactivator give no estimate; most such samples, no limits
    lone = (np.arange(24) >= 12).astype(float)
    index[0, 12:] = NAN
    few = attributable_cost(cost[:1], index[:1], leaves[:1], dies[:1], keys[:1], counts=[lone, lone, np.ones(24)])
    assert (few.status[0], few.samples[0]) == (Status.NOT_ESTIMABLE, 1)


def test_mistakes_of_the_caller_raise() -> None:
    data = _data(12)
    for options, message in (
        ({"interval": "basic"}, "unknown interval"),
        ({"interval": "bca"}, "needs the counts"),
        ({"partition_days": 0}, "partition_days"),
        ({"counts": np.ones((5, 3))}, "counts must be"),
        ({"counts": -np.ones((5, 24))}, "not be negative"),
    ):
        with pytest.raises(ValueError, match=message):
            attributable_cost(*data, **options)
    with pytest.raises(ValueError, match="cost must be"):
        attributable_cost(data[0][..., 0], *data[1:])
    with pytest.raises(ValueError, match="as in cost"):
        attributable_cost(*data[:4], data[4][:, :, :3])
