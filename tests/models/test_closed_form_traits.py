"""Laws of baseline traits, windows and follow-up against closed forms, with tolerances of 4 to 5 Monte Carlo SE."""

from __future__ import annotations

import math
from functools import cache

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from cmvsim.core.errors import InputError
from cmvsim.core.streams import Role
from cmvsim.models.follow_up import FollowUp, exponential_rate, follow_up
from cmvsim.models.population import Population
from cmvsim.models.time_grid import on_grid, study_day
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
    spec = resolve("cmv-cart-two-parts", (f"population.sites={sites}", "population.retrospective_share=0.4")).spec.population
    population = Population(spec, _draws())
    assert set(np.unique(population.site)) == set(range(1, sites + 1))
    for site in range(1, sites + 1):
        assert sites == 1 or _near((population.site == site).mean(), 1 / sites)
    assert _near(population.retrospective.mean(), 0.4)
    assert _near(population.female.mean(), 0.39)


def test_shares_of_hematotox_aciclovir_and_serostatus() -> None:
    """CAR-HEMATOTOX has its share in each stratum and leans on the score as a latent normal with its loading."""
    spec = resolve("cmv-cart", ("population.seropositive_enrolled=0.65", "population.strata.dlbcl.hematotox_high=0.2")).spec
    population = Population(spec.population, ChunkDraws(1, Role.STUDY, 0, 4000))
    for index, share in enumerate((0.60, 0.60, 0.20)):
        mine = population.stratum == index
        assert _near(population.hematotox_high[mine].mean(), share, mine.sum())
    expected = 0.3 * stats.norm.pdf(stats.norm.isf(0.2)) / 0.2
    high = population.score[(population.stratum == 2) & population.hematotox_high]
    assert abs(high.mean() - expected) < 5 / math.sqrt(high.size)
    assert abs(expected) > 20 / math.sqrt(high.size), "no link would be rejected"
    assert _near(population.aciclovir.mean(), 0.97)
    assert _near(population.seropositive.mean(), 0.65)
    apart = np.corrcoef(population.seropositive, population.score)[0, 1]
    assert abs(apart) < 5 / math.sqrt(N)


def test_serostatus_is_not_drawn_where_all_are_seropositive() -> None:
    draws = ChunkDraws(1, Role.STUDY, 0, 30)
    assert Population(SPEC.population, draws).seropositive.all()
    assert "population.serostatus" not in {name for name, _ in draws.drawn}


def test_cells_are_the_pairs_of_disease_and_product() -> None:
    population = _population()
    strata, products = list(SPEC.population.strata.values()), SPEC.population.products
    assert len(set(SPEC.population.cells)) == len(SPEC.population.cells) == 4
    for index in range(0, N, 997):
        pair = (strata[population.stratum[index]].disease, products[population.product[index]])
        assert SPEC.population.cells[population.cell[index]] == pair


@pytest.mark.parametrize(
    ("enrolled", "candidates", "expected"),
    [(1.0, 0.5, 200), (0.5, 0.5, 100), (0.25, 0.5, 150), (0.8, 0.4, 200), (0.0, 0.5, 200), (1.0, 1.0, 100)],
)
def test_screening_finds_both_kinds_of_patients(enrolled: float, candidates: float, expected: int) -> None:
    """Of 100 enrolled: all seropositive of half the candidates, nobody turned away, seronegative ones scarce, and so on."""
    shares = [f"population.strata.{name}.seropositive_share={candidates}" for name in SPEC.population.strata]
    spec = resolve("cmv-cart", (*shares, f"population.seropositive_enrolled={enrolled}")).spec.population
    assert spec.screened(100) == expected


def test_a_stratum_without_seronegative_candidates_enrols_none() -> None:
    with pytest.raises(InputError, match="no seronegative candidates"):
        resolve("cmv-cart", ("population.strata.dlbcl.seropositive_share=1", "population.seropositive_enrolled=0.9"))


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
