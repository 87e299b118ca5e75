"""Recruitment against closed forms, a twin that simulates site by site, and its own promises (prefix, pairing, closing)."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy import integrate, stats

from cmvsim.core.errors import InputError
from cmvsim.core.streams import CHUNK_REPLICATES, Role
from cmvsim.designs.closed_forms import PoissonAccrual, PoissonGammaAccrual
from cmvsim.models.accrual import (
    DAYS_PER_MONTH,
    Enrolment,
    candidates_each,
    date_of,
    day_of,
    enrol,
    expected_mix,
    open_sites,
    population_mix,
)
from cmvsim.planning.accrual import AccrualQuestion, closed_forms, enrolment_days, forecast, recruited
from cmvsim.planning.accrual_sites import probabilities, site_order, smallest_sites
from cmvsim.scenarios import resolve
from cmvsim.scenarios.scenario import Scenario
from cmvsim.simulation.draws import ChunkDraws

K = 4.0
"""Monte Carlo standard errors allowed; each comparison of means also rejects a value 5% off."""
AT_ONCE = tuple(f"accrual.sites.{group}.activation=0" for group in ("adult", "paediatric"))
EQUAL = tuple(f"accrual.sites.{group}.between_sites_cv=0" for group in ("adult", "paediatric"))


def scenario(*overrides: str) -> Scenario:
    return resolve("cmv-cart", overrides).spec


def chunks(spec: Scenario, patients: int, count: int) -> list[Enrolment]:
    return [enrol(spec.accrual, spec.population, ChunkDraws(7, Role.STUDY, chunk, patients)) for chunk in range(count)]


def durations(spec: Scenario, patients: int, count: int) -> np.ndarray:
    return np.concatenate([one.day[:, -1] for one in chunks(spec, patients, count)])


def agrees(sample: np.ndarray, expected: float) -> None:
    """The mean is within K standard errors of the expected one, and a value 5% off would be refused."""
    error = sample.std(ddof=1) / math.sqrt(sample.size)
    assert abs(sample.mean() - expected) < K * error
    assert abs(sample.mean() - 1.05 * expected) > K * error
    assert abs(sample.mean() - 0.95 * expected) > K * error


def silent(done: int, total: int) -> None:
    """No progress."""


# ---- closed forms


def test_equal_sites_open_at_once_give_the_gamma_law() -> None:
    spec = scenario(*AT_ONCE, *EQUAL)
    law = closed_forms(spec)
    assert set(law) == {"poisson"}
    sample = durations(spec, 60, 80)
    agrees(sample, law["poisson"].mean_time(60))
    assert sample.std(ddof=1) == pytest.approx(law["poisson"].sd_time(60), rel=0.04)
    assert stats.kstest(sample, lambda t: np.array([law["poisson"].probability(60, x) for x in t])).pvalue > 1e-3
    wrong = PoissonAccrual(1.05 * law["poisson"].rate)
    assert stats.kstest(sample, lambda t: np.array([wrong.probability(60, x) for x in t])).pvalue < 1e-6


def test_sites_that_differ_give_the_poisson_gamma_law() -> None:
    spec = scenario(
        *AT_ONCE, "accrual.sites.adult.count=12", "accrual.sites.paediatric.count=0",
        "population.strata.ball_child.share=0", "population.strata.dlbcl.share=0.9",
    )  # fmt: skip
    law = closed_forms(spec)["poisson_gamma"]
    assert isinstance(law, PoissonGammaAccrual)
    assert law.shape == pytest.approx(12 / 0.8**2)
    sample = durations(spec, 40, 100)
    agrees(sample, law.mean_time(40))
    assert sample.std(ddof=1) == pytest.approx(law.sd_time(40), rel=0.05)
    assert stats.kstest(sample, lambda t: np.array([law.probability(40, x) for x in t])).pvalue > 1e-3
    for wrong in (PoissonGammaAccrual(1.05 * law.rate, law.shape), PoissonGammaAccrual(law.rate, 2 * law.shape)):
        assert stats.kstest(sample, lambda t, wrong=wrong: np.array([wrong.probability(40, x) for x in t])).pvalue < 1e-6


def test_number_enrolled_by_a_day_is_negative_binomial() -> None:
    spec = scenario(
        *AT_ONCE, "accrual.sites.adult.count=12", "accrual.sites.paediatric.count=0",
        "population.strata.ball_child.share=0", "population.strata.dlbcl.share=0.9",
    )  # fmt: skip
    law, day = closed_forms(spec)["poisson_gamma"], 60.0
    assert isinstance(law, PoissonGammaAccrual)
    count = np.concatenate([(one.day <= day).sum(axis=1) for one in chunks(spec, 90, 100)]).astype(float)
    assert count.max() < 90  # nobody is cut off
    agrees(count, law.mean_count(day))
    assert count.std(ddof=1) == pytest.approx(law.sd_count(day), rel=0.05)
    assert law.sd_count(day) > 1.15 * math.sqrt(law.mean_count(day))  # the spread refuses a plain Poisson law
    for level in (0.1, 0.5, 0.9):
        share = np.mean(count <= law.count_quantile(day, level))
        assert share > level - K * math.sqrt(level * (1 - level) / count.size)


def test_closed_forms_are_consistent_with_each_other() -> None:
    law = PoissonGammaAccrual(2.0, 7.5)
    # the n-th patient comes by t when at least n have come: beta prime against negative binomial
    for n, time in ((1, 0.3), (20, 9.0), (20, 14.0)):
        counted = stats.nbinom.sf(n - 1, 7.5, 7.5 / (7.5 + 2 * time))
        assert law.probability(n, time) == pytest.approx(counted, rel=1e-10)
        assert law.time_quantile(n, law.probability(n, time)) == pytest.approx(time, rel=1e-9)
    mean = integrate.quad(lambda t: 1 - law.probability(20, t), 0, np.inf)[0]
    square = integrate.quad(lambda t: 2 * t * (1 - law.probability(20, t)), 0, np.inf)[0]
    assert law.mean_time(20) == pytest.approx(mean, rel=1e-6)
    assert law.sd_time(20) == pytest.approx(math.sqrt(square - mean**2), rel=1e-5)
    plain, nearly = PoissonAccrual(2.0), PoissonGammaAccrual(2.0, 1e9)
    for ask in (lambda a: a.mean_time(20), lambda a: a.sd_time(20), lambda a: a.time_quantile(20, 0.9)):
        assert ask(nearly) == pytest.approx(ask(plain), rel=1e-5)
    assert nearly.count_quantile(9, 0.9) == plain.count_quantile(9, 0.9)
    assert PoissonGammaAccrual(2.0, 0.9).mean_time(3) == math.inf == PoissonGammaAccrual(2.0, 1.9).sd_time(3)
    two = PoissonGammaAccrual.of_sites((3, 5), (0.4, 0.2), (0.5, 1.0))
    assert two.rate == pytest.approx(2.2)
    assert two.rate**2 / two.shape == pytest.approx(3 * 0.2**2 + 5 * 0.2**2)
    for bad in (lambda: PoissonAccrual(0.0), lambda: law.probability(0, 1.0), lambda: law.time_quantile(3, 1.0)):
        with pytest.raises(InputError):
            bad()
    with pytest.raises(InputError, match="constant-rate formula"):
        PoissonGammaAccrual.of_sites((3,), (0.4,), (0.0,))


def test_a_fixed_delay_adds_itself() -> None:
    late = tuple(text.replace("=0", "=45") for text in AT_ONCE)
    now, later = scenario(*AT_ONCE), scenario(*late)
    for one, other in zip(chunks(now, 30, 2), chunks(later, 30, 2), strict=True):
        np.testing.assert_allclose(other.day, one.day + 45, rtol=1e-12)
        np.testing.assert_array_equal(other.site, one.site)


def test_groups_that_open_on_different_days_add_their_rates() -> None:
    spec = scenario(*EQUAL, "accrual.sites.adult.activation=20", "accrual.sites.paediatric.activation=80")
    law, n = spec.accrual, 60
    sample = durations(spec, n, 80)
    adult, child = 20 * law.rate("adult"), 6 * law.rate("paediatric")
    for day in (110.0, 120.0, 135.0):
        expected = stats.poisson.sf(n - 1, adult * (day - 20) + child * (day - 80))
        share = np.mean(sample <= day)
        assert abs(share - expected) < K * math.sqrt(expected * (1 - expected) / sample.size)
    wrong = stats.poisson.sf(n - 1, 1.05 * (adult * (120.0 - 20) + child * (120.0 - 80)))
    assert abs(np.mean(sample <= 120.0) - wrong) > K * math.sqrt(wrong * (1 - wrong) / sample.size)


def test_sites_that_open_at_random_enrol_the_mean_of_their_open_time() -> None:
    """E count(t) = sum over sites of m E (t - A)+, by integrating the log-normal law of A."""
    spec, day = scenario(), 150.0
    delay = stats.lognorm(0.6, scale=90)
    open_days = integrate.quad(delay.cdf, 0, day)[0]
    expected = open_days * sum(count * spec.accrual.rate(name) for name, count in (("adult", 20), ("paediatric", 6)))
    agrees(np.concatenate([(one.day <= day).sum(axis=1) for one in chunks(spec, 130, 80)]).astype(float), expected)


def test_a_twin_that_simulates_site_by_site_agrees() -> None:
    """Each site's own Poisson process, merged: durations, and who enrolled; by other random numbers given the same sites."""
    spec, n, rng = scenario("accrual.sites.adult.count=4", "accrual.sites.paediatric.count=3"), 50, np.random.default_rng(3)
    ours, twin, by_site, twin_by_site = [], [], np.zeros(7), np.zeros(7)
    for one in chunks(spec, n, 60):
        ours.append(one.day[:, -1])
        by_site += np.bincount(one.site.ravel(), minlength=7)
        for opens, rate in zip(one.sites.opens, one.sites.rate, strict=True):
            times = opens[:, None] + np.cumsum(rng.standard_exponential((7, n)), axis=1) / rate[:, None]
            first = np.argsort(times, axis=None)[:n]
            twin.append(times.ravel()[first[-1]])
            twin_by_site += np.bincount(first // n, minlength=7)
    sample, other = np.concatenate(ours), np.array(twin)
    assert stats.ks_2samp(sample, other).pvalue > 1e-3
    assert stats.ks_2samp(sample, 1.05 * other).pvalue < 1e-3
    share, expected = by_site / by_site.sum(), twin_by_site / twin_by_site.sum()
    np.testing.assert_allclose(share, expected, atol=0.012)
    assert share[:4].min() > 2 * share[4:].max()  # adult sites enrol more, so a site taken at random would be seen


def test_between_sites_the_rate_is_gamma() -> None:
    spec = scenario()
    rate = np.concatenate([one.sites.rate[:, :20].ravel() for one in chunks(spec, 1, 16)]) * DAYS_PER_MONTH
    assert stats.kstest(rate, stats.gamma(1 / 0.64, scale=0.8 * 0.64).cdf).pvalue > 1e-3
    assert stats.kstest(rate, stats.gamma(1 / 0.64, scale=1.05 * 0.8 * 0.64).cdf).pvalue < 1e-3


# ---- who is enrolled, and how many are screened


def test_candidates_screened_are_geometric() -> None:
    spec = scenario("accrual.participation=0.8")
    found = chunks(spec, 40, 40)
    each = np.concatenate([np.diff(one.screened, axis=1, prepend=0.0).ravel() for one in found])
    stratum = np.concatenate([one.stratum.ravel() for one in found])
    for index, share in enumerate((0.35, 0.45, 0.62)):
        own = each[stratum == index]
        agrees(own, 1 / (0.8 * share))
        expected = 0.8 * share
        assert abs(np.mean(own == 1) - expected) < K * math.sqrt(expected * (1 - expected) / own.size)
        assert own.min() == 1
    mix = expected_mix(spec.accrual, spec.population)
    total = np.concatenate([one.screened[:, -1] for one in found])
    agrees(total, 40 * candidates_each(spec.accrual, spec.population, mix))


def test_screened_agrees_with_what_the_population_says() -> None:
    spec = scenario("accrual.sites.paediatric.count=6")
    mix = population_mix(spec.accrual, spec.population)
    assert mix == pytest.approx({"adult": 0.9, "paediatric": 0.1})
    assert math.ceil(250 * candidates_each(spec.accrual, spec.population, mix)) == spec.population.screened(250) == 450


def test_strata_come_from_the_sites_that_serve_them() -> None:
    spec = scenario()
    for one in chunks(spec, 60, 3):
        group, names = one.group, list(spec.population.strata)
        assert set(one.groups) == {"adult", "paediatric"}
        assert (one.stratum[group == one.groups.index("paediatric")] == names.index("ball_child")).all()
        adults = one.stratum[group == one.groups.index("adult")]
        assert set(np.unique(adults)) == {names.index("ball_adult"), names.index("dlbcl")}
    share = np.concatenate([(one.stratum == 2).ravel()[one.group.ravel() == 0] for one in chunks(spec, 60, 20)])
    assert abs(share.mean() - 8 / 9) < K * math.sqrt(8 / 81 / share.size)


# ---- promises


def test_the_first_patients_are_those_of_the_smaller_study() -> None:
    spec = scenario()
    small, large = (enrol(spec.accrual, spec.population, ChunkDraws(5, Role.STUDY, 2, n)) for n in (60, 250))
    for name in ("day", "site", "stratum", "screened", "group"):
        np.testing.assert_array_equal(getattr(small, name), getattr(large, name)[:, :60])
    assert (np.diff(large.day, axis=1) >= 0).all()
    assert (large.day >= np.take_along_axis(large.sites.opens, large.site, axis=1)).all()  # nobody before the site opens


def test_a_further_site_brings_everybody_forward_and_leaves_the_others_alone() -> None:
    few, more = scenario(), scenario("accrual.sites.adult.count=21")
    one, other = (enrol(s.accrual, s.population, ChunkDraws(5, Role.STUDY, 0, 100)) for s in (few, more))
    assert (other.day <= one.day + 1e-9).all()
    assert other.day[:, -1].mean() < one.day[:, -1].mean() - 1
    np.testing.assert_array_equal(one.sites.opens[:, :20], other.sites.opens[:, :20])
    np.testing.assert_array_equal(one.sites.rate[:, 20:], other.sites.rate[:, 21:])  # paediatric sites meet the same chance


def test_nobody_is_enrolled_after_recruitment_closes() -> None:
    free, spec = scenario(), scenario("accrual.closes=2024-12-17")
    closing = day_of("2024-12-17", "2024-04-17")
    for one, all_ in zip(chunks(spec, 120, 2), chunks(free, 120, 2), strict=True):
        reached = np.isfinite(one.day)
        np.testing.assert_array_equal(reached, all_.day <= closing)
        np.testing.assert_array_equal(one.day[reached], all_.day[reached])
        assert 0.1 < reached.mean() < 0.99
        assert (one.site[~reached] == -1).all()
        assert (one.group[~reached] == -1).all()
        assert (one.stratum[~reached] == -1).all()
        last = one.screened[np.arange(64), reached.sum(axis=1) - 1]
        np.testing.assert_array_equal(one.screened[:, -1], last)


def test_the_calendar_of_a_study_is_that_of_the_forecast() -> None:
    spec = scenario()
    found = forecast(spec, AccrualQuestion((30,), None, None, 130, 5), silent)
    for replicate in (0, 63, 64, 129):
        days = enrolment_days(spec, 30, seed=5, replicate=replicate)
        assert days.shape == (30,)
        assert days[-1] == found.duration[replicate]
    np.testing.assert_array_equal(found.first.day[0], enrolment_days(spec, 30, seed=5))


# ---- forecast and number of sites


def value(rows, n, measure, at=0.0, estimator="simulation"):
    (found,) = [r for r in rows if (r.n, r.measure, r.at, r.estimator, r.stratum) == (n, measure, at, estimator, "")]
    return found


def test_the_forecast_of_nested_sizes_is_that_of_each_alone() -> None:
    spec = scenario()
    both = forecast(spec, AccrualQuestion((40, 90), 200.0, None, 200, 1), silent)
    alone = forecast(spec, AccrualQuestion((40,), 200.0, None, 200, 1), silent)
    assert [r for r in both.rows if r.n == 40] == [r for r in alone.rows if r.n == 40 and not r.measure.startswith("expected_e")
                                                   and r.measure != "expected_sites_open"]  # fmt: skip
    median, late = (value(both.rows, 90, name, 0.5) for name in ("duration_quantile", "last_visit_quantile"))
    assert late.value == pytest.approx(median.value + 5 + 90)
    assert median.mcse > 0
    point = next(p for p in both.curve if p.day == 200.0)
    assert point.mean == value(both.rows, 90, "expected_enrolled", 200.0).value
    assert point.low95 <= point.low80 <= point.median <= point.high80 <= point.high95 <= 90


def test_the_curve_and_the_durations_say_the_same() -> None:
    spec = scenario()
    found = forecast(spec, AccrualQuestion((50,), 180.0, None, 500, 1), silent)
    share = value(found.rows, 50, "p_enrolled_by", 180.0)
    assert share.value == np.mean(found.duration <= 180.0)
    days = [point.day for point in found.curve]
    assert days == sorted(set(days))
    assert all(a.mean <= b.mean and a.sites <= b.sites for a, b in zip(found.curve, found.curve[1:], strict=False))
    plain = closed_forms(spec)["poisson"]
    assert value(found.rows, 50, "duration_quantile", 0.9, "poisson").value == plain.time_quantile(50, 0.9)


def test_patients_of_the_retrospective_part_are_not_recruited() -> None:
    spec = resolve("cmv-cart-two-parts").spec
    assert recruited(spec, 250) == 125
    np.testing.assert_array_equal(enrolment_days(spec, 100, seed=1), enrolment_days(scenario(), 50, seed=1))


def test_sites_are_added_in_proportion_and_never_taken_away() -> None:
    order = site_order({"adult": 20, "paediatric": 6}, 52)
    assert (order.count("adult"), order.count("paediatric")) == (40, 12)
    for total in range(1, 53):
        assert abs(order[:total].count("adult") - total * 20 / 26) <= 1
    assert site_order({"adult": 0, "paediatric": 2}, 3) == ("paediatric",) * 3


def test_the_probability_at_a_number_of_sites_is_that_of_the_forecast_with_them() -> None:
    spec = scenario()
    question = AccrualQuestion((120,), 365.0, 0.8, 3 * CHUNK_REPLICATES + 9, 4)
    share = probabilities(spec, question, 30, silent)
    assert (np.diff(share) >= 0).all()
    order = site_order({"adult": 20, "paediatric": 6}, 30)
    for total in (14, 17, 20):
        counts = {name: order[:total].count(name) for name in ("adult", "paediatric")}
        there = scenario(*(f"accrual.sites.{name}.count={count}" for name, count in counts.items()))
        found = forecast(there, question, silent)
        assert value(found.rows, 120, "p_enrolled_by", 365.0).value == share[total - 1]
    assert 0.05 < share[13] < share[19] < 1


def test_the_smallest_number_of_sites_is_enough_and_one_fewer_is_not() -> None:
    spec = scenario()
    found = smallest_sites(spec, AccrualQuestion((120,), 365.0, 0.8, 2000, 4), silent)
    assert found.status == "confirmed"
    assert found.found is not None
    assert found.ci_low <= found.found <= found.ci_high
    assert sum(found.by_group.values()) == found.sites
    share = {point.n: point.value for point in found.confirmation}
    assert share[found.sites] > 0.79
    assert share[found.sites - 1] < 0.8 + 3 * found.confirmation[0].mcse
    assert found.closed_form["sites"] < found.sites  # sites that open late are the reason
    more = smallest_sites(spec, AccrualQuestion((120,), 365.0, 0.95, 2000, 4), silent)
    assert more.sites > found.sites


def test_a_day_before_any_site_opens_cannot_be_met() -> None:
    late = [f"accrual.sites.{group}.activation=40" for group in ("adult", "paediatric")]
    found = smallest_sites(scenario(*late), AccrualQuestion((20,), 30.0, 0.5, 64, 4), silent)
    assert (found.sites, found.status, found.by_group) == (None, "not reached", {"adult": 0, "paediatric": 0})


def test_equal_sites_open_at_once_need_what_the_closed_form_says() -> None:
    spec = scenario(*AT_ONCE, *EQUAL, "accrual.sites.adult.count=10", "accrual.sites.paediatric.count=10",
                    "accrual.sites.paediatric.per_month=0.8")  # fmt: skip
    found = smallest_sites(spec, AccrualQuestion((100,), 200.0, 0.9, 4000, 1), silent)
    rate = 0.8 / DAYS_PER_MONTH
    exact = next(k for k in range(1, 100) if stats.poisson.sf(99, k * rate * 200) >= 0.9)
    assert found.closed_form["sites"] == exact
    assert abs(found.sites - exact) <= 1


def test_dates() -> None:
    assert day_of("2025-04-17", "2024-04-17") == 365
    assert date_of(365.9, "2024-04-17") == "2025-04-17"
    assert date_of(3.0, "") == date_of(math.inf, "2024-04-17") == date_of(1e12, "2024-04-17") == ""


def test_open_sites_without_spread_are_alike() -> None:
    spec = scenario(*AT_ONCE, *EQUAL)
    sites = open_sites(spec.accrual, {"adult": 2, "paediatric": 1}, ChunkDraws(1, Role.STUDY, 0, 1))
    assert (sites.opens == 0).all()
    np.testing.assert_allclose(sites.rate * DAYS_PER_MONTH, np.tile([0.8, 0.8, 0.3], (64, 1)))
    np.testing.assert_allclose(sites.cumulative_rate(10.0), 10 * sites.rate)
