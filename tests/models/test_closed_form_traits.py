"""Laws of baseline traits, windows and follow-up against closed forms, with tolerances of 4 to 5 Monte Carlo SE."""

from __future__ import annotations

import math
from functools import cache

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from cmvsim.core.streams import Role
from cmvsim.models.follow_up import FollowUp, exponential_rate, follow_up
from cmvsim.models.population import Population
from cmvsim.models.time_grid import on_grid, study_day
from cmvsim.models.toxicity import courses
from cmvsim.scenarios import resolve
from cmvsim.scenarios.scenario import Scenario
from cmvsim.simulation.draws import ChunkDraws

N = 4000 * 64
SPEC: Scenario = resolve("cmv-cart").spec


@cache
def _draws() -> ChunkDraws:
    return ChunkDraws(1, Role.STUDY, 0, 4000)


@cache
def _population() -> Population:
    return Population(SPEC.population, _draws())


def _near(share: float, expected: float, n: float = N, k: float = 4.5) -> bool:
    return abs(share - expected) < k * math.sqrt(max(expected * (1 - expected), 1e-9) / n)


def _follow_up() -> FollowUp:
    return follow_up(SPEC.follow_up, _population().stratum, tuple(SPEC.population.strata), _draws())


# -- population --------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("index", range(3))
def test_shares_of_strata_products_and_prior_transplantation(index: int) -> None:
    population, name = _population(), list(SPEC.population.strata)[index]
    stratum = SPEC.population.strata[name]
    mine = population.stratum == index
    assert _near(mine.mean(), float(stratum.share))
    for k, product in enumerate(SPEC.population.products):
        expected = float(stratum.products[product]) if product in stratum.products else 0.0
        share = (population.product[mine] == k).mean()
        assert share == expected if expected in {0.0, 1.0} else _near(share, expected, mine.sum())
    assert _near(population.prior_allogeneic_hct[mine].mean(), float(stratum.prior_allogeneic_hct), mine.sum())
    age = population.age[mine]
    low, high = stratum.age
    assert np.array_equal(age, np.floor(age))
    assert (age.min(), age.max()) == (low, high)
    assert abs(age.mean() - (low + high) / 2) < 5 * age.std() / math.sqrt(age.size)
    logs = np.log(population.lymphocytes[mine] / stratum.lymphocytes.centre)
    assert abs(logs.mean()) < 5 * 0.7 / math.sqrt(logs.size)
    assert abs(logs.std() - 0.7) < 5 * 0.7 / math.sqrt(2 * logs.size)


def test_traits_are_linked_by_the_score_as_their_loadings_say() -> None:
    """Correlation of the score with log lymphocytes is the loading; with a binary trait it is biserial."""
    population = _population()
    mine = population.stratum == 2
    z, logs = population.score[mine], np.log(population.lymphocytes[mine])
    assert abs(np.corrcoef(z, logs)[0, 1] + 0.5) < 5 * 0.75 / math.sqrt(mine.sum())
    share = 0.03
    expected = 0.3 * stats.norm.pdf(stats.norm.isf(share)) / share
    prior = z[population.prior_allogeneic_hct[mine]]
    assert abs(prior.mean() - expected) < 5 / math.sqrt(prior.size)
    assert abs(expected) > 20 / math.sqrt(prior.size), "no link would be rejected"


@pytest.mark.parametrize("sites", [1, 7])
def test_sites_enrol_equally_and_parts_have_their_share(sites: int) -> None:
    spec = resolve("cmv-cart", (f"population.sites={sites}", "population.retrospective_share=0.4")).spec.population
    population = Population(spec, _draws())
    assert set(np.unique(population.site)) == set(range(1, sites + 1))
    for site in range(1, sites + 1):
        assert sites == 1 or _near((population.site == site).mean(), 1 / sites)
    assert _near(population.retrospective.mean(), 0.4)
    assert _near(population.female.mean(), 0.39)


# -- toxicity windows --------------------------------------------------------------------------------------------
@pytest.mark.parametrize("drug", ["corticosteroids", "tocilizumab"])
def test_use_start_and_duration_of_courses(drug: str) -> None:
    population, spec = _population(), getattr(SPEC.toxicity, drug)
    windows = courses(SPEC.toxicity, drug, population, _draws())  # type: ignore[arg-type]
    used = np.isfinite(windows.start)
    for index, stratum in enumerate(SPEC.population.strata.values()):
        for k, product in enumerate(SPEC.population.products):
            mine = (population.stratum == index) & (population.product == k)
            if mine.any():
                assert _near(used[mine].mean(), float(spec.use[stratum.disease][product]), mine.sum())
    assert np.array_equal(windows.start[used] * 2**20, np.rint(windows.start[used] * 2**20))
    assert np.array_equal(windows.stop[used] * 2**20, np.rint(windows.stop[used] * 2**20))
    assert np.isinf(windows.stop[~used]).all()
    for values, law in ((windows.start[used], spec.start), (windows.stop[used] - windows.start[used], spec.duration)):
        low, high = (0 if law.low is None else law.low), (math.inf if law.high is None else law.high)
        assert values.min() >= low - 1e-6
        assert values.max() <= high + 1e-6
        base = stats.lognorm(law.spread, scale=law.centre)
        for q in (0.1, 0.5, 0.9):
            cut = base.ppf(base.cdf(low) + q * (base.cdf(high) - base.cdf(low)))
            assert _near((values <= cut + 1e-6).mean(), q, values.size)


def test_both_drugs_are_linked_by_the_severity() -> None:
    """Within one stratum and product the joint use is bivariate normal with correlation loading squared."""
    population = _population()
    steroids, toci = (courses(SPEC.toxicity, drug, population, _draws()) for drug in ("corticosteroids", "tocilizumab"))
    axi = SPEC.population.products.index("axicabtagene")
    mine = (population.stratum == 2) & (population.product == axi)
    both = (np.isfinite(steroids.start) & np.isfinite(toci.start))[mine].mean()
    cut = [stats.norm.isf(p) for p in (0.5, 0.6)]
    joint = stats.multivariate_normal(cov=[[1, 0.36], [0.36, 1]]).cdf([-cut[0], -cut[1]])
    assert _near(both, float(joint), mine.sum())
    assert abs(both - 0.3) > 10 * math.sqrt(0.21 / mine.sum()), "independence would be rejected"


# -- follow-up ---------------------------------------------------------------------------------------------------
def test_marginal_follow_up_by_day_90() -> None:
    times, stratum = _follow_up(), _population().stratum
    for index, name in enumerate(SPEC.population.strata):
        mine = stratum == index
        n = mine.sum()
        p = float(SPEC.follow_up.relapse_by_90[name])
        shape = float(SPEC.follow_up.relapse_shape)
        for day in (30.0, 90.0):
            assert _near((times.relapse[mine] <= day).mean(), 1 - (1 - p) ** ((day / 90) ** shape), n)
        h = float(SPEC.follow_up.hct_by_90[name])
        assert times.hct[mine].min() >= 30.0
        assert _near((times.hct[mine] <= 90).mean(), h, n)
        assert _near((times.hct[mine] <= 60).mean(), 1 - (1 - h) ** 0.5, n)
        stops = np.isfinite(times.new_therapy[mine])
        assert _near(stops.mean(), float(SPEC.follow_up.monitoring_stop[name]), n)
        assert np.array_equal(times.new_therapy[mine][stops], times.relapse[mine][stops])
    assert _near((times.lost <= 90).mean(), float(SPEC.follow_up.lost_by_90))
    assert _near((times.withdrawn <= 90).mean(), float(SPEC.follow_up.withdrawn_by_90))


def test_rate_of_a_probability() -> None:
    assert 1 - math.exp(-exponential_rate(0.3, 90) * 90) == pytest.approx(0.3, abs=1e-14)
    assert exponential_rate(0.0, 90) == 0


# -- time --------------------------------------------------------------------------------------------------------
@given(st.floats(-100, 400))
def test_study_day_contains_the_event(t: float) -> None:
    day = float(study_day(np.array(t)))
    assert day - 1 < t <= day


@given(st.floats(-100, 400), st.floats(0, 400))
def test_the_grid_makes_sums_exact(a: float, b: float) -> None:
    x, y = (float(on_grid(np.array(v))) for v in (a, b))
    assert abs(x - a) <= 2**-21
    assert (x + y) - y == x
