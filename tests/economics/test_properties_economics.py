"""Identities that hold for any draws: frontiers, curves, value of information."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cmvsim.economics import (
    Dominance,
    decision_curves,
    evpi,
    evppi,
    evsi,
    frontier,
    net_health_benefit,
    net_monetary_benefit,
    pairing_audit,
    smooth_net_benefit,
)
from cmvsim.economics.evppi import regression_size
from cmvsim.economics.noise_floor import PERMUTATIONS, noise_floor, permutations
from cmvsim.economics.regression import DRAWS_PER_COLUMN, design_of

WHOLE = st.integers(-5, 5).map(float)
POINTS = st.lists(st.tuples(WHOLE, WHOLE), min_size=1, max_size=7)


@given(POINTS)
def test_properties_the_frontier_holds_what_is_best_at_some_threshold(points: list[tuple[float, float]]) -> None:
    """By brute force over thresholds: on the frontier is what is best at one of them."""
    cost, effect = np.array(points).T
    names = [f"s{k}" for k in range(len(points))]
    rows = {row.strategy: row for row in frontier(names, cost, effect)}
    assert [row.strategy for row in frontier(names, cost, effect)] == [
        names[k] for k in sorted(range(len(points)), key=lambda k: (cost[k], -effect[k], k))
    ]
    thresholds = np.linspace(0.004321, 12.004321, 3000)  # off the ratios of small whole numbers
    nb = net_monetary_benefit(cost, effect, thresholds)
    best = nb.max(axis=0)
    for k, name in enumerate(names):
        ever = bool((nb[k] >= best - 1e-9).any())
        on = rows[name].status is Dominance.FRONTIER
        twin = any((cost[j], effect[j]) == (cost[k], effect[k]) for j in range(k))
        if ever and not twin:
            assert on, points
        if on and not ever:  # exactly on the line between its neighbours: best at their ratio, with them
            ratio = next(row.icer for row in rows.values() if row.against == name)
            assert ratio == pytest.approx(rows[name].icer)
        if twin:
            assert rows[name].status is Dominance.DOMINATED
    ratios = [row.icer for row in rows.values() if row.icer is not None]
    assert all(a <= b + 1e-12 for a, b in itertools.pairwise(ratios))


def test_ties_of_the_frontier() -> None:
    same = frontier(["a", "b", "c"], [1, 1, 1], [2, 2, 1])
    assert [(row.strategy, str(row.status), row.dominated_by) for row in same] == [
        ("a", "ND", ()),
        ("b", "D", ("a",)),
        ("c", "D", ("a",)),
    ]
    line = frontier(["a", "b", "c"], [0, 1, 2], [0, 1, 2])
    assert [row.icer for row in line] == [None, 1, 1]
    above = frontier(["a", "b", "c"], [0, 1.5, 2], [0, 1, 2])
    assert [(row.strategy, str(row.status), row.dominated_by) for row in above] == [
        ("a", "ND", ()),
        ("b", "ED", ("a", "c")),
        ("c", "ND", ()),
    ]
    with pytest.raises(ValueError, match="names"):
        frontier(["a", "a"], [1, 2], [1, 2])
    with pytest.raises(ValueError, match="finite"):
        frontier(["a", "b"], [1, np.nan], [1, 2])


SEEDS, STRATEGIES = st.integers(0, 10_000), st.integers(2, 4)


def draws(seed: int, strategies: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Three inputs, cost and effect that depend on them, cost with noise."""
    rng = np.random.default_rng(seed)
    inputs = rng.standard_normal((300, 3))
    cost = (
        rng.normal(0, 2000, strategies) + inputs @ rng.normal(0, 900, (3, strategies)) + rng.normal(0, 500, (300, strategies))
    )
    effect = rng.normal(0, 0.1, strategies) + inputs @ rng.normal(0, 0.1, (3, strategies))
    return inputs, cost, effect


@settings(max_examples=25, deadline=None)
@given(SEEDS, STRATEGIES)
def test_properties_curves(seed: int, strategies: int) -> None:
    inputs, cost, effect = draws(seed, strategies)
    thresholds = [0, 10_000, 40_000]
    for curves in (decision_curves(cost, effect, thresholds), decision_curves(cost, effect, thresholds, inputs)):
        np.testing.assert_allclose(curves.ceac.sum(axis=1), 1)
        rows = np.arange(3)
        np.testing.assert_array_equal(curves.ceaf, curves.ceac[rows, curves.chosen])
        np.testing.assert_allclose(curves.evpi, curves.expected_loss[rows, curves.chosen], rtol=1e-8, atol=1e-6)
        np.testing.assert_array_equal(curves.net_benefit.argmax(axis=1), curves.chosen)
        assert (curves.expected_loss >= 0).all()
        # losses differ as expected net benefits do
        gap = curves.net_benefit.max(axis=1, keepdims=True) - curves.net_benefit
        np.testing.assert_allclose(curves.expected_loss - curves.evpi[:, None], gap, rtol=1e-8, atol=1e-6)
    nb = net_monetary_benefit(cost, effect, 40_000.0)
    np.testing.assert_allclose(net_health_benefit(cost, effect, 40_000.0), nb / 40_000)
    np.testing.assert_allclose(smooth_net_benefit(nb, inputs).mean(axis=0), nb.mean(axis=0), rtol=1e-9, atol=1e-6)


@settings(max_examples=25, deadline=None)
@given(SEEDS, STRATEGIES)
def test_properties_partial_information(seed: int, strategies: int) -> None:
    inputs, cost, effect = draws(seed, strategies)
    nb = net_monetary_benefit(cost, effect, 20_000.0)
    joint, all_of_it = evppi(nb, inputs), evpi(nb)
    assert 0 <= joint.value <= all_of_it.value + 3 * np.hypot(joint.se, all_of_it.mcse)
    for k in range(3):
        single = evppi(nb, inputs[:, k])
        error = np.sqrt(((joint.influence - single.influence) ** 2).sum()) / 300
        assert joint.value >= single.value - 3 * error - 1e-9 * abs(single.value)
    moved = evppi(nb + 1e4 * inputs[:, :1], inputs)  # what all strategies share is worth nothing to know
    assert moved.value == pytest.approx(joint.value, rel=1e-6, abs=1e-6)
    scaled = evppi(nb, 5 - 100 * inputs)
    assert scaled.value == pytest.approx(joint.value, rel=1e-4, abs=1e-4)  # knots and penalties up to rounding
    assert evppi(3 * nb, inputs).value == pytest.approx(3 * joint.value, rel=1e-9)
    order = np.random.default_rng(0).permutation(nb.shape[1])
    assert evppi(nb[:, order], inputs).value == pytest.approx(joint.value, rel=1e-9, abs=1e-9)


@settings(max_examples=15, deadline=None)
@given(SEEDS, STRATEGIES)
def test_properties_sample_information(seed: int, strategies: int) -> None:
    inputs, cost, effect = draws(seed, strategies)
    nb, sizes = net_monetary_benefit(cost, effect, 20_000.0), (5, 20, 80, 100_000_000)
    rng = np.random.default_rng(1)
    noise = np.cumsum(rng.standard_normal((300, 4)) * np.sqrt(np.diff([0, *sizes])), axis=1) / np.array(sizes)
    got, bound = evsi(nb, (inputs[:, [0]] + noise)[:, :, None], sizes), evppi(nb, inputs[:, 0])
    assert got.falls == ()
    assert got.exceeds(bound) == ()
    assert (np.diff(got.rising) >= -1e-9).all()
    assert got.value[-1] == pytest.approx(bound.value, rel=0.02, abs=1e-3 * bound.se + 1)  # a study of everybody


def test_equal_strategies_are_worth_exactly_nothing() -> None:
    rng = np.random.default_rng(2)
    inputs = rng.standard_normal((500, 3))
    one = 20_000 + 1e4 * inputs[:, [0]] + rng.normal(0, 1000, (500, 1))
    cost, effect = np.repeat(one, 3, axis=1), np.repeat(inputs[:, [1]], 3, axis=1)
    nb = net_monetary_benefit(cost, effect, 30_000.0)
    assert evpi(nb).value == evpi(nb).mcse == 0
    for columns in (inputs[:, 0], inputs):
        got = evppi(nb, columns)
        assert got.value == got.se == 0
    assert (evsi(nb, inputs[:, None, :2], [10]).value == 0).all()
    curves = decision_curves(cost, effect, [0, 30_000], inputs)
    assert (curves.expected_loss == 0).all()
    assert (curves.evpi == 0).all()
    assert (curves.ceac == [1, 0, 0]).all()  # ties go to the first
    (first, _) = pairing_audit(("a", "b", "c"), cost.T)
    assert first.increment == first.sd == first.mcse == 0
    rows = frontier("abc", cost.mean(axis=0), effect.mean(axis=0))
    assert [str(row.status) for row in rows] == ["ND", "D", "D"]


def test_interactions_are_found_and_not_made_up() -> None:
    """Two inputs that matter only together, among ten; then ten of which none matters."""
    rng = np.random.default_rng(4)
    x = rng.standard_normal((3000, 10))
    noise = 600 * rng.standard_normal(3000)
    truth = 500 * x[:, 3] * x[:, 8] + 400 * x[:, 0]
    nb = np.column_stack([np.zeros(3000), truth + noise])
    perfect = np.maximum(truth, 0).mean() - max(truth.mean(), 0)
    got = evppi(nb, x)
    assert got.value == pytest.approx(perfect, abs=3 * got.se)
    assert evppi(nb, x[:, [0, 1, 2, 4, 5, 6, 7, 9]]).value < perfect - 5 * got.se
    assert evpi(nb).value > perfect + 5 * got.se
    nothing = evppi(np.column_stack([np.zeros(3000), 1000 + noise]), x)
    assert nothing.value == 0
    none = evppi(np.column_stack([np.zeros(3000), noise - noise.mean()]), x)
    assert none.value < 0.12 * evpi(np.column_stack([np.zeros(3000), noise])).value


def test_inputs_that_hold_nothing_or_little() -> None:
    rng = np.random.default_rng(3)
    nb = np.column_stack([np.zeros(400), rng.normal(0, 100, 400)])
    assert evppi(nb, np.ones(400)).value == 0
    two = (np.arange(400) % 2).astype(float)
    nb[:, 1] += 1000 * two - 500
    got = evppi(nb, two)
    halves = np.array([nb[two == level, 1].mean() for level in (0, 1)])
    assert got.value == pytest.approx(np.maximum(halves, 0).mean() - max(halves.mean(), 0), rel=1e-9)
    assert evppi(nb, np.column_stack([two, two, two])).value == pytest.approx(got.value, rel=5e-4)  # the same thrice
    assert evppi(nb, rng.exponential(size=400) ** 6).value < 3 * got.se


@pytest.mark.parametrize(("draws", "count"), [(128, 139), (60, 20), (200, 40)])
def test_the_basis_has_never_more_than_a_fifth_as_many_columns_as_draws(draws: int, count: int) -> None:
    rng = np.random.default_rng(6)
    x = rng.standard_normal((draws, count))
    y = 3 * x[:, [count // 2]] + rng.standard_normal((draws, 1))
    design = design_of(x, y)
    assert design.columns.shape[1] <= draws // DRAWS_PER_COLUMN
    fit = design.fit(y)
    assert fit.explained[0] > 0.8, "the input that matters is kept"
    assert fit.degrees[0] <= 1 + draws // DRAWS_PER_COLUMN
    nothing = rng.standard_normal((draws, 1))
    assert design_of(x, nothing).fit(nothing).explained[0] < 0.7, "no interpolation"


def test_too_few_draws_for_the_inputs_are_said() -> None:
    rng = np.random.default_rng(7)
    nb = np.column_stack([np.zeros(128), rng.normal(0, 100, 128)])
    x = rng.standard_normal((128, 139))
    got = evppi(nb, x)
    size = regression_size(got, x)
    assert (size["kept"], size["inputs"], size["draws"], size["too_few_draws"]) == (25, 139, 128, True)
    assert got.value < 0.8 * evpi(nb).value
    many = regression_size(evppi(nb, x[:, :3]), x[:, :3])
    assert (many["kept"], many["too_few_draws"]) == (3, False)


def test_a_group_that_tells_nothing_is_not_above_its_floor() -> None:
    """30 inputs and 200 draws, mean increment 0: nine times in ten below the floor, and inputs that matter far above it."""
    above = []
    for seed in range(15):
        rng = np.random.default_rng(seed)
        x = rng.standard_normal((200, 31))
        nb = np.column_stack([np.zeros(200), 100 * x[:, 30] + rng.normal(0, 100, 200)])
        above.append(float(evppi(nb, x[:, :30]).value) > noise_floor(nb, x[:, :30]))
        if seed < 3:
            assert evppi(nb, x[:, 26:]).value > 1.5 * noise_floor(nb, x[:, 26:])
    assert sum(above) <= 5, "more would come once in 400 times"
    orders = permutations(50)
    assert orders.shape == (PERMUTATIONS, 50)
    assert (np.sort(orders, axis=1) == np.arange(50)).all()
    assert not (orders == np.arange(50)).all(axis=1).any()
