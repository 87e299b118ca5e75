"""Properties that hold whatever the numbers: monotone, symmetric, inverse to each other, never above the level."""

from __future__ import annotations

import math
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import integrate, stats
from statsmodels.stats.proportion import confint_proportions_2indep

from cmvsim.core.errors import InputError
from cmvsim.designs import closed_forms as cf
from cmvsim.estimators import proportion_limits

PROPORTION = st.floats(0.02, 0.98)


@given(p0=PROPORTION, p1=PROPORTION, alpha=st.sampled_from([0.01, 0.025, 0.05, 0.1]), n=st.integers(1, 150))
@settings(max_examples=150, deadline=None, derandomize=True)
def test_exact_binomial_test_keeps_its_level_and_is_the_largest_that_does(p0: float, p1: float, alpha: float, n: int) -> None:
    if abs(p0 - p1) < 1e-6:
        return
    test = cf.binomial_test(n, p0, p1, alpha)
    assert test.attained <= alpha
    if test.side == "greater":
        larger, power = stats.binom.sf(test.critical - 2, n, p0), stats.binom.sf(test.critical - 1, n, p1)
    else:
        larger, power = stats.binom.cdf(test.critical + 1, n, p0), stats.binom.cdf(test.critical, n, p1)
    assert larger > alpha
    assert test.power == pytest.approx(power, abs=1e-10)
    mirrored = cf.binomial_test(n, 1 - p0, 1 - p1, alpha)
    assert mirrored.power == pytest.approx(test.power, abs=1e-9)


@pytest.mark.parametrize(
    ("p0", "p1", "alpha", "power"),
    [(0.3, 0.5, 0.025, 0.8), (0.4, 0.25, 0.05, 0.9), (0.01, 0.08, 0.05, 0.8), (0.02, 0.002, 0.1, 0.7)],
)
def test_first_and_stable_size_bracket_the_sawtooth(p0: float, p1: float, alpha: float, power: float) -> None:
    sizes = cf.binomial_test_sizes(p0, p1, alpha, power)
    reached = {n: cf.binomial_test(n, p0, p1, alpha).power >= power for n in range(1, 3 * sizes.stable)}
    assert reached[sizes.first]
    assert not any(reached[n] for n in range(1, sizes.first))
    assert all(reached[n] for n in range(sizes.stable, 3 * sizes.stable))
    assert sizes.stable == 1 or not reached[sizes.stable - 1]


def _simon_by_brute_force(p0: float, p1: float, alpha: float, power: float, largest: int) -> tuple[tuple, tuple]:
    designs = []
    for n in range(2, largest + 1):
        for n1 in range(1, n):
            x = np.arange(n1 + 1)
            w0, w1 = stats.binom.pmf(x, n1, p0), stats.binom.pmf(x, n1, p1)
            for r in range(n):
                t0, t1 = w0 * stats.binom.sf(r - x, n - n1, p0), w1 * stats.binom.sf(r - x, n - n1, p1)
                designs += [
                    (n1 + (1 - w0[: r1 + 1].sum()) * (n - n1), n, r1, n1, r)
                    for r1 in range(n1)
                    if t0[r1 + 1 :].sum() <= alpha and t1[r1 + 1 :].sum() >= power
                ]
    optimal, minimax = min(designs), min(designs, key=lambda d: (d[1], d[0]))
    return optimal, minimax


def test_simon_against_four_nested_loops() -> None:
    got = cf.simon_two_stage(0.1, 0.5, 0.1, 0.8)
    for mine, slow in zip((got.optimal, got.minimax), _simon_by_brute_force(0.1, 0.5, 0.1, 0.8, 16), strict=True):
        assert (mine.n, mine.r1, mine.n1, mine.r) == slow[1:]
        assert mine.expected_n == pytest.approx(slow[0])
        assert mine.attained <= 0.1
        assert mine.power >= 0.8


def test_two_stages_are_a_sequential_design() -> None:
    design = cf.simon_two_stage(0.2, 0.4).optimal
    stages = cf.sequential_binomial([design.n1, design.n], [design.r1, design.r], [design.n1 + 1, design.r + 1], [0.2, 0.4])
    np.testing.assert_allclose(stages.upper.sum(axis=0), [design.attained, design.power], atol=1e-12)
    np.testing.assert_allclose((stages.upper + stages.lower).sum(axis=0), 1.0, atol=1e-12)
    assert stages.expected_n[0] == pytest.approx(design.expected_n)


@pytest.mark.parametrize("method", ["wilson", "clopper-pearson", "agresti-coull"])
@pytest.mark.parametrize(("p", "half_width", "probability"), [(0.07, 0.08, 0.8), (0.45, 0.11, 0.95)])
def test_precision_sizes_against_plain_enumeration(method: str, p: float, half_width: float, probability: float) -> None:
    got = cf.precision_sizes(p, half_width, method=method, probability=probability)
    mean, chance = {}, {}
    for n in range(1, 2 * got.assured_stable + 20):
        x = np.arange(n + 1)
        low, high = proportion_limits(x, np.full_like(x, n), method=method)
        weight = stats.binom.pmf(x, n, p)
        mean[n], chance[n] = weight @ (high - low), weight[high - low <= 2 * half_width + 1e-12].sum()
    assert got.expected_width == next(n for n in mean if mean[n] <= 2 * half_width)
    assert got.assured == next(n for n in chance if chance[n] >= probability - 1e-12)
    assert got.assured_stable == 1 + max(n for n in chance if chance[n] < probability - 1e-12)
    assert got.expected_width <= got.assured <= got.assured_stable


@pytest.mark.parametrize("n", [7, 40, 113])
def test_clopper_pearson_covers_always_and_wald_does_not(n: int) -> None:
    for p in (0.01, 0.2, 0.5, 0.77):
        assert cf.binomial_coverage(n, p, method="clopper-pearson").coverage >= 0.95
        mirrored = cf.binomial_coverage(n, 1 - p)
        assert mirrored.coverage == pytest.approx(cf.binomial_coverage(n, p).coverage, abs=1e-9)
    assert cf.binomial_coverage(n, 0.01, method="wald").coverage < 0.9


def test_incidence_edges_exact_cover_more_than_single_points() -> None:
    exact = cf.incidence_interval_performance(25, 0.05)
    point = cf.incidence_interval_performance(25, 0.05, edges="degenerate")
    assert exact.coverage - point.coverage == pytest.approx(0.95**25, abs=1e-12)
    full, point = (cf.incidence_interval_performance(5, 0.95, edges=edges) for edges in ("exact", "degenerate"))
    assert full.coverage - point.coverage == pytest.approx(0.95**5, abs=1e-12)


def test_poisson_limits_are_the_rates_whose_tails_are_two_and_a_half_percent() -> None:
    low, high = cf.poisson_limits(4)
    assert stats.poisson.sf(3, low) == pytest.approx(0.025)
    assert stats.poisson.cdf(4, high) == pytest.approx(0.025)
    assert cf.poisson_limits(0)[0] == 0


@pytest.mark.parametrize("method", cf.DIFFERENCE_METHODS)
@pytest.mark.parametrize(("n1", "n2"), [(1, 1), (9, 31), (40, 40)])
def test_difference_limits_turn_over_with_the_arms(n1: int, n2: int, method: str) -> None:
    x1, x2 = np.arange(n1 + 1)[:, None], np.arange(n2 + 1)[None, :]
    low, high = cf.risk_difference_limits(x1, n1, x2, n2, method=method)
    back_low, back_high = cf.risk_difference_limits(x2, n2, x1, n1, method=method)
    np.testing.assert_allclose(low, -back_high, atol=1e-8)
    np.testing.assert_allclose(high, -back_low, atol=1e-8)
    assert np.all((low >= -1 - 1e-12) & (low <= high) & (high <= 1 + 1e-12))
    if method not in ("agresti-caffo", "plus-four"):  # these are not centred on the observed difference
        observed = x1 / n1 - x2 / n2
        assert np.all((low - 1e-9 <= observed) & (observed <= high + 1e-9))


def test_difference_limits_as_published() -> None:
    """Newcombe (1998), table II, 56/70 - 48/80 and 9/10 - 3/10; statsmodels has plus-four right."""
    for args, method, expected in [
        ((56, 70, 48, 80), "newcombe", (0.0524, 0.3339)),
        ((56, 70, 48, 80), "miettinen-nurminen", (0.0528, 0.3382)),
        ((9, 10, 3, 10), "newcombe", (0.1705, 0.8090)),
        ((9, 10, 3, 10), "miettinen-nurminen", (0.1700, 0.8406)),
    ]:
        np.testing.assert_allclose(cf.risk_difference_limits(*args, method=method), expected, atol=6e-5)
    other = confint_proportions_2indep(56, 70, 48, 80, method="agresti-caffo")
    np.testing.assert_allclose(cf.risk_difference_limits(56, 70, 48, 80, method="plus-four"), other, atol=1e-12)


@given(p1=PROPORTION, p2=PROPORTION, ratio=st.floats(0.3, 3), null=st.sampled_from([0.0, -0.05, 0.1]))
@settings(max_examples=100, deadline=None, derandomize=True)
def test_size_and_power_of_two_proportions_are_inverse(p1: float, p2: float, ratio: float, null: float) -> None:
    if abs(p1 - p2 - null) < 0.01:
        return
    size = cf.two_proportions_size(p1, p2, difference0=null, ratio=ratio, power=0.9)
    assert cf.two_proportions_power(size.arm1, p1, p2, difference0=null, ratio=ratio) == pytest.approx(0.9)
    turned = cf.two_proportions_size(p2, p1, difference0=-null, ratio=1 / ratio, power=0.9)
    assert turned.total == pytest.approx(size.total, rel=1e-6)
    assert cf.two_proportions_size(p1, p2, difference0=null, ratio=ratio, power=0.95).total > size.total


@pytest.mark.parametrize(("n1", "n2"), [(12, 12), (30, 17)])
def test_fisher_keeps_its_level_and_agrees_with_scipy(n1: int, n2: int) -> None:
    rejected = cf.two_arm_rejections(n1, n2, test="fisher")
    for p in np.linspace(0.01, 0.99, 50):
        assert cf.rejection_probability(rejected, p, p) <= 0.05
    for x1 in range(0, n1 + 1, 3):
        for x2 in range(0, n2 + 1, 2):
            assert rejected[x1, x2] == (stats.fisher_exact([[x1, n1 - x1], [x2, n2 - x2]])[1] <= 0.05)
    pooled = cf.two_arm_rejections(n1, n2, test="pooled")
    assert cf.rejection_probability(pooled, 0.7, 0.2) > cf.rejection_probability(rejected, 0.7, 0.2)
    np.testing.assert_array_equal(cf.two_arm_rejections(n2, n1, test="fisher"), rejected.T)


def test_event_probability_against_a_numerical_integral() -> None:
    hazards, times, lost = (0.025, 0.04, 0.015), (0.0, 6.0, 12.0), 0.01

    def density(t: float) -> float:
        spent = sum(h * max(0.0, min(t, end) - start) for h, start, end in zip(hazards, times, (6, 12, math.inf), strict=True))
        hazard = hazards[sum(t >= start for start in times) - 1]
        within = min(1.0, max(0.0, (30.0 - t) / 12.0))  # still followed: entry uniform on (0, 12), end at 30
        return hazard * math.exp(-spent - lost * t) * within

    by_hand = integrate.quad(density, 0, 30, points=[6, 12, 18])[0]
    assert cf.event_probability(hazards, 12, 18, lost=lost, times=times) == pytest.approx(by_hand, abs=1e-9)
    assert cf.event_probability(0.1, 0, 5) == pytest.approx(1 - math.exp(-0.5))
    assert cf.event_probability(0.1, 1e-4, 5) == pytest.approx(cf.event_probability(0.1, 0, 5), abs=1e-5)


def test_event_formulas_are_symmetric_monotone_and_inverse() -> None:
    assert cf.schoenfeld_events(0.6, ratio=2) == pytest.approx(cf.schoenfeld_events(1 / 0.6, ratio=0.5))
    assert cf.freedman_events(0.6, ratio=2) == pytest.approx(cf.freedman_events(1 / 0.6, ratio=0.5))
    assert cf.schoenfeld_power(cf.schoenfeld_events(0.7, ratio=3, power=0.85), 0.7, ratio=3) == pytest.approx(0.85)
    trial = {"accrual": 12, "followup": 6, "ratio": 2, "lost": 0.01}
    size = cf.lachin_foulkes_size(0.1, 0.06, power=0.87, **trial)
    assert cf.lachin_foulkes_power(size.n, 0.1, 0.06, **trial) == pytest.approx(0.87)
    sizes = [cf.logrank_size(0.1, hr, accrual=12, followup=6).n for hr in (0.5, 0.6, 0.7, 0.8)]
    assert all(a < b for a, b in pairwise(sizes))


def test_competing_cause_costs_patients_and_not_events() -> None:
    without = cf.competing_risks_size(0.3, 0.15, 0, accrual=2, followup=1)
    with_it = cf.competing_risks_size(0.3, 0.15, 0.4, accrual=2, followup=1)
    assert with_it.events == pytest.approx(without.events)
    assert with_it.n > without.n
    assert without.n == pytest.approx(cf.logrank_size(0.3, 0.5, accrual=2, followup=1).n)


def test_dropout_and_a_competing_cause_add_up() -> None:
    both = cf.competing_risks_size(0.3, 0.15, 0.1, lost=0.05, accrual=2, followup=1)
    assert both.n == pytest.approx(cf.competing_risks_size(0.3, 0.15, 0.15, accrual=2, followup=1).n)


def test_lachin_foulkes_with_unequal_arms_by_hand() -> None:
    """All enter together and are followed for 5: event probabilities 1 - exp(-5 hazard)."""
    control, experimental, pooled = (1 - math.exp(-5 * h) for h in (0.1, 0.04, (0.1 + 2 * 0.04) / 3))
    null, alternative = 4.5 / pooled, 3 / control + 1.5 / experimental
    z = stats.norm.ppf(0.975) * math.sqrt(null) + stats.norm.ppf(0.8) * math.sqrt(alternative)
    got = cf.lachin_foulkes_size(0.1, 0.04, accrual=0, followup=5, ratio=2)
    assert got.n == pytest.approx((z / math.log(0.4)) ** 2)


def test_subdistribution_size_by_hand() -> None:
    size, hr = cf.subdistribution_size(0.36, 0.2)
    assert hr == pytest.approx(0.5)  # ln 0.8 / ln 0.64
    assert size.events == pytest.approx(cf.schoenfeld_events(0.5))
    assert size.n == pytest.approx(size.events / 0.28)


def test_negative_binomial_without_dispersion_is_poisson_and_ratio_mirrors() -> None:
    z = stats.norm.ppf(0.975) + stats.norm.ppf(0.8)
    poisson = z**2 * (1 / 0.8 + 1 / 0.5) / math.log(0.8 / 0.5) ** 2
    assert cf.negative_binomial_size(0.8, 0.5, 0)[0] == pytest.approx(poisson)
    control, experimental = cf.negative_binomial_size(0.8, 0.5, 0.3, ratio=2)
    assert cf.negative_binomial_size(0.5, 0.8, 0.3, ratio=0.5) == pytest.approx((experimental, control))


def test_assurance_lies_between_power_and_one_half() -> None:
    powers = [cf.normal_assurance(100, 0.6, sd) for sd in (0, 0.1, 0.3, 1, 100)]
    assert powers[0] == pytest.approx(cf.schoenfeld_power(100, 0.6))
    assert all(a > b for a, b in pairwise(powers))
    assert powers[-1] == pytest.approx(0.5, abs=0.01)


def test_t_power_grows_and_its_size_is_the_smallest() -> None:
    n = cf.t_test_patients(5, 15, power=0.9)
    assert cf.t_test_power(n, 5, 15) >= 0.9 > cf.t_test_power(n - 1, 5, 15)
    assert cf.t_test_power(20, 0, 15) == pytest.approx(0.05)
    assert cf.t_test_power(20, -5, 15, sides=1) == cf.t_test_power(20, 5, 15, sides=1)


def test_visit_detection_of_short_episodes_against_simulation() -> None:
    visits, duration = np.array([7.0, 14, 28, 35]), 9.0
    got = cf.visit_detection(0.03, visits.tolist(), 0.6, duration)
    onset = np.random.default_rng(1).exponential(1 / 0.03, 400_000)[:, None]
    during = ((visits >= onset) & (visits <= onset + duration)).sum(axis=1)
    share = 1 - np.mean(0.4**during)
    assert got.detected == pytest.approx(share, abs=4 * 0.45 / math.sqrt(400_000))
    persistent = cf.visit_detection(0.03, visits.tolist(), 1.0)
    assert persistent.detected == pytest.approx(persistent.incidence)
    assert got.detected < persistent.detected


@pytest.mark.parametrize(
    "call",
    [
        lambda: cf.binomial_test(20, 0.3, 0.3),
        lambda: cf.binomial_test_sizes(0.3, 0.3001),
        lambda: cf.simon_two_stage(0.3, 0.2),
        lambda: cf.simon_two_stage(0.3, 0.31),
        lambda: cf.sequential_binomial([20, 10], [1, 1], [5, 5], [0.1]),
        lambda: cf.sequential_binomial([10, 20], [5, 1], [5, 5], [0.1]),
        lambda: cf.precision_sizes(0.3, 0.0001),
        lambda: cf.binomial_limits(5, 4),
        lambda: cf.risk_difference_limits(5, 4, 1, 4),
        lambda: cf.risk_difference_limits(1, 4, 1, 4, method="wrong"),
        lambda: cf.two_proportions_size(0.2, 0.2),
        lambda: cf.two_proportions_size(0.2, 0.3, power=0.01),
        lambda: cf.two_arm_rejections(10, 10, test="wrong"),
        lambda: cf.schoenfeld_events(1.0),
        lambda: cf.schoenfeld_events(0.5, power=0.01),
        lambda: cf.schoenfeld_events(0.5, sides=3),
        lambda: cf.event_probability((0.1, 0.2), 1, 1),
        lambda: cf.event_probability(0.1, 0, 0),
        lambda: cf.visit_detection(0.1, [5, 5]),
        lambda: cf.t_test_power(1, 1, 1),
    ],
)
def test_what_describes_no_study_is_refused(call: object) -> None:
    with pytest.raises(InputError):
        call()  # type: ignore[operator]
