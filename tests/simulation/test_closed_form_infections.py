"""Infections against closed forms: first infections under windows, competing death, and renewals with gaps."""

from __future__ import annotations

import math

import numpy as np
import pytest
from infections_build import HORIZON, NO_FACTORS, N, draws, hazards, run, same, spec
from scipy import integrate, stats
from simulation_build import binomial_se

from cmvsim.models.windows import Windows


def _near(share: float, expected: float, wrong: float, n: int = N) -> None:
    """Within 4 SE of what is expected, and a stated wrong value would be far outside."""
    se = binomial_se(expected, n)
    assert abs(share - expected) < 4 * se, (share, expected)
    assert abs(share - wrong) > 8 * se, (share, wrong)


def test_without_factors_the_first_infection_is_piecewise_exponential() -> None:
    found = run(spec(*NO_FACTORS), hazards((0.01, 0.002), (0.003, 0.001)))
    bacterial, fungal = found.bacterial.start[0], found.fungal.start
    for day, spent in ((14, 0.14), (28, 0.28), (60, 0.28 + 32 * 0.002), (90, 0.28 + 62 * 0.002)):
        _near(float((bacterial <= day).mean()), -math.expm1(-spent), -math.expm1(-0.006 * day))
    _near(float((fungal <= 90).mean()), -math.expm1(-28 * 0.003 - 62 * 0.001), -math.expm1(-90 * 0.002))
    assert not np.any((bacterial > HORIZON) & (bacterial < np.inf))


def test_windows_multiply_the_hazard_while_they_are_open() -> None:
    """CMV on [10, 40), neutropenia on [20, 30), steroids on [25, 50): 1.3, 3 and 2, together their product."""
    ratios = "{ score = 1, leukaemia = 1, cmv = 1.3, neutropenia = 3, corticosteroids = 2 }"
    of = spec(f"infections.bacterial.ratios={ratios}", NO_FACTORS[1])
    found = run(of, hazards((0.01, 0.004)), cmv=same(10, 40), neutropenia=same(20, 30), corticosteroids=same(25, 50))
    early = 0.01 * (10 + 10 * 1.3 + 5 * 3.9 + 3 * 7.8)
    late = 0.004 * (2 * 7.8 + 10 * 2.6 + 10 * 2 + 40)
    for day, spent, wrong in ((28, early, early - 0.01 * 5 * 2.9), (90, early + late, early + 62 * 0.004)):
        _near(float((found.bacterial.start[0] <= day).mean()), -math.expm1(-spent), -math.expm1(-wrong))


def test_overlapping_windows_of_one_factor_count_once() -> None:
    ratios = "{ score = 1, leukaemia = 1, cmv = 1, neutropenia = 3, corticosteroids = 1 }"
    of = spec(f"infections.bacterial.ratios={ratios}", NO_FACTORS[1])
    two = Windows(np.full((2, N), [[5.0], [10.0]]), np.full((2, N), [[20.0], [25.0]]))
    found = run(of, hazards((0.01, 0.0)), neutropenia=two)
    expected = -math.expm1(-0.01 * (8 + 20 * 3))
    _near(float((found.bacterial.start[0] <= 28).mean()), expected, -math.expm1(-0.01 * (8 + 10 * 3 + 10 * 9)))
    merged = run(of, hazards((0.01, 0.0)), neutropenia=same(5, 25))
    np.testing.assert_allclose(found.bacterial.start, merged.bacterial.start, rtol=1e-12)


def test_leukaemia_and_score_act_all_the_time() -> None:
    """Over a standard normal score the share is a mixture; ignoring the mixture is rejected."""
    of = spec(
        "infections.bacterial.ratios={ score = 2.2, leukaemia = 1.6, cmv = 1, neutropenia = 1, corticosteroids = 1 }",
        NO_FACTORS[1],
    )
    h, days = 0.01, 28
    found = run(of, hazards((h, 0.0)), score=draws()("population.score"), leukaemia=True)

    def mixed(rate: float) -> float:
        def density(z: float) -> float:
            return stats.norm.pdf(z) * -math.expm1(-rate * 2.2**z * days)

        return float(integrate.quad(density, -8, 8)[0])

    share = float((found.bacterial.start[0] <= days).mean())
    _near(share, mixed(1.6 * h), -math.expm1(-1.6 * h * days))
    _near(share, mixed(1.6 * h), mixed(h))


def test_first_infection_before_death_is_the_competing_risks_integral() -> None:
    mu, h = 0.004, (0.012, 0.003)
    death = draws(seed=2)("follow_up.non_relapse_death") / mu
    found = run(spec(*NO_FACTORS), hazards(h))

    def density(t: float) -> float:
        spent = h[0] * min(t, 28) + h[1] * max(t - 28, 0)
        return h[0 if t < 28 else 1] * math.exp(-spent - mu * t)

    expected = integrate.quad(density, 0, 90, points=[28])[0]
    start = found.bacterial.start[0]
    _near(float(((start <= 90) & (start <= death)).mean()), expected, -math.expm1(-28 * h[0] - 62 * h[1]))


def test_recurrent_infections_renew_after_their_duration() -> None:
    """With hazard h and duration d, the n-th starts by t with P(Gamma(n, 1/h) <= t - (n - 1) d)."""
    h, d, t = 0.05, 6.0, 40.0
    of = spec(*NO_FACTORS, f"infections.bacterial.duration={d}", "infections.bacterial.episodes=8")
    found = run(of, hazards((h, h)))
    for n in (1, 2, 3, 4):
        expected = stats.gamma.cdf(t - (n - 1) * d, n, scale=1 / h)
        wrong = stats.gamma.cdf(t, n, scale=1 / h) if n > 1 else 0.5  # infections inside one another
        _near(float((found.bacterial.start[n - 1] <= t).mean()), float(expected), float(wrong))
    alive = np.isfinite(found.bacterial.start)
    np.testing.assert_allclose(found.bacterial.stop[alive] - found.bacterial.start[alive], d, atol=1e-12)


def test_the_waiting_time_after_an_infection_meets_the_hazard_of_that_time() -> None:
    """Everybody is infected at once and until day 20; the next comes at the early hazard to 28, then at the late one."""
    of = spec(*NO_FACTORS, "infections.bacterial.duration=20")
    found = run(of, hazards((1e9, 0.004)), horizon=104.0)
    second = found.bacterial.start[1]
    assert np.all((second >= 20) & (second < 20.001)), "the early hazard is still as high"
    third = found.bacterial.start[2]  # the second lasts to day 40: only the late hazard is left
    _near(float((third <= 90).mean()), -math.expm1(-0.004 * 50), -math.expm1(-0.004 * 62))


def test_severity_is_a_share_and_durations_follow_their_law() -> None:
    of = spec(*NO_FACTORS, "infections.bacterial.severe=0.3", "infections.fungal.severe=0.8")
    found = run(of, hazards((0.05, 0.05), (0.03, 0.03)))
    for windows, severe, share, median in (
        (found.bacterial, found.bacterial_severe, 0.3, 10.0),
        (found.fungal, found.fungal_severe, 0.8, 42.0),
    ):
        there = np.isfinite(windows.start)
        n = int(there.sum())
        _near(float(severe[there].mean()), share, 0.55, n)
        assert not severe[~there].any()
        lasts = windows.stop[there] - windows.start[there]
        _near(float((lasts <= median).mean()), 0.5, 0.4, n)
        assert float(np.log(lasts).std()) == pytest.approx(0.5, abs=5 * 0.5 / math.sqrt(2 * n))


def test_the_fungal_infection_is_independent_of_the_bacterial_ones() -> None:
    found = run(spec(*NO_FACTORS), hazards((0.01, 0.01), (0.01, 0.01)))
    a, b = found.bacterial.start[0] <= 50, found.fungal.start <= 50
    assert abs(float((a & b).mean()) - float(a.mean() * b.mean())) < 4 * binomial_se(0.155, N)
