"""Carriage, acquisition and TTV load against quadrature, closed forms and a plain twin; tolerances of 4.5 Monte Carlo SE."""

from __future__ import annotations

import math
from functools import cache

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import integrate, stats

from cmvsim.core.errors import InputError
from cmvsim.core.records import FloatArray
from cmvsim.core.streams import Role
from cmvsim.models.population import Population
from cmvsim.models.virome import VIRUSES, Virome, unit_hazard
from cmvsim.scenarios import resolve
from cmvsim.simulation.draws import ChunkDraws

PATIENTS = 4000
N = PATIENTS * 64
INCLUSION, HORIZON = -5.0, 104.0
FEW = 300
"""Patients of the tests that walk along a fine grid."""

STRESS = (
    "virome.anellovirus.score_loading=0.6",
    "virome.anellovirus.baseline={ blood = 0.4 }",
    "virome.anellovirus.incident={ by_90 = { blood = 0.5 }, early = 20, early_ratio = 4, score_ratio = 3 }",
)


@cache
def _draws(patients: int = PATIENTS) -> ChunkDraws:
    return ChunkDraws(1, Role.STUDY, 0, patients)


@cache
def _virome(*overrides: str, scenario: str = "cmv-cart", horizon: float = HORIZON, patients: int = PATIENTS) -> Virome:
    spec, draws = resolve(scenario, overrides).spec, _draws(patients)
    return Virome(spec.virome, Population(spec.population, draws), draws, INCLUSION, horizon)


def _near(share: float, expected: float, n: float = N, k: float = 4.5) -> bool:
    return abs(share - expected) < k * math.sqrt(max(expected * (1 - expected), 1e-9) / n)


# -- carriage ----------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize(("virus", "share"), [("anellovirus", 0.75), ("pegivirus", 0.12), ("redondovirus", 0.46)])
def test_baseline_carriage_and_acquisition_of_each_virus(virus: str, share: float) -> None:
    virome = _virome()
    incident = {"anellovirus": 0.68, "pegivirus": 0.03, "redondovirus": 0.05}[virus]
    baseline, acquired = virome.baseline(virus), virome.acquired(virus)  # type: ignore[arg-type]
    assert _near(baseline.mean(), share)
    negative = ~baseline
    assert _near((acquired[negative] <= 90).mean(), incident, negative.sum())
    assert np.isinf(acquired[baseline]).all()
    assert acquired.min() > 0
    assert acquired[np.isfinite(acquired)].max() <= HORIZON


def test_ttv_of_the_population_is_as_targeted() -> None:
    """75% at baseline, 92% by day 90 in the absence of death, above 80% from day 30 on."""
    virome = _virome()
    assert _near(virome.positive("anellovirus", INCLUSION).mean(), 0.75)
    assert _near(virome.positive("anellovirus", 90).mean(), 0.92)
    assert min(virome.positive("anellovirus", day).mean() for day in range(30, 101, 10)) > 0.80
    assert virome.positive("anellovirus", 0).mean() < 0.80, "not from the beginning"
    assert not _near(virome.positive("anellovirus", 60).mean(), 0.92)


def test_redondovirus_is_found_where_it_lives() -> None:
    blood = _virome('virome.redondovirus.sampled="blood"')
    assert _near(blood.positive("redondovirus", 90.0).mean(), 0.005)
    assert _virome().positive("redondovirus", 90.0).mean() > 0.4


def test_a_missing_site_or_an_impossible_probability_is_refused() -> None:
    for override, says in (
        ('virome.pegivirus.sampled="oropharynx"', "no probability for the sampled site"),
        ("virome.anellovirus.incident.by_90.blood=1", "no finite hazard"),
        ("virome.anellovirus.score_loading=1", "between -1 and 1"),
        ("virome.anellovirus.load.nadir_day=70", "not after the nadir"),
        ("virome.anellovirus.load.nadir_day=-6", "nadir"),
        ("virome.visits=[7, 0]", "ascending"),
        ("virome.visits=[-6]", "before inclusion"),
    ):
        with pytest.raises(InputError, match=says):
            resolve("cmv-cart", (override,))


@pytest.mark.parametrize("loading", [0.3, 0.6])
def test_carriage_is_linked_to_the_score(loading: float) -> None:
    """Mean score of the carriers of a trait with share p: r phi(Phi^-1(1 - p)) / p."""
    virome = _virome(f"virome.anellovirus.score_loading={loading}")
    carriers = virome.population.score[virome.baseline("anellovirus")]
    expected = loading * stats.norm.pdf(stats.norm.isf(0.75)) / 0.75
    assert abs(carriers.mean() - expected) < 4.5 / math.sqrt(carriers.size)
    assert expected > 20 / math.sqrt(carriers.size), "no link would be rejected"


# -- acquisition -------------------------------------------------------------------------------------------------------
def _incidence(exposure: float, hazard: float, gamma: float, cut: float, r: float) -> float:
    """E[1 - exp(-hazard exposure exp(gamma Z)) | r Z + sqrt(1 - r^2) X <= cut] by adaptive quadrature over the score."""

    def weight(z: float) -> float:
        return float(stats.norm.pdf(z) * stats.norm.cdf((cut - r * z) / math.sqrt(1 - r * r)))

    def part(f: object) -> float:
        return float(integrate.quad(f, -9, 9, epsabs=1e-12, limit=400)[0])  # type: ignore[arg-type]

    top = part(lambda z: weight(z) * -math.expm1(-hazard * exposure * math.exp(gamma * z)))
    return top / part(weight)


@given(
    st.floats(0.001, 0.99), st.floats(1, 300), st.floats(-1.5, 1.5), st.floats(0.0, 0.98), st.floats(-0.95, 0.95)
)  # fmt: skip
@settings(max_examples=40, deadline=None)
def test_closed_form_hazard_gives_the_incidence_among_the_negative(
    by_90: float, exposure: float, gamma: float, baseline: float, loading: float
) -> None:
    hazard = unit_hazard(by_90, exposure, gamma, baseline, loading)
    cut = float(stats.norm.isf(baseline))
    assert _incidence(exposure, hazard, gamma, cut, loading) == pytest.approx(by_90, rel=1e-7)


def test_hazard_of_the_ends() -> None:
    assert unit_hazard(0.0, 90.0, 0.5, 0.3, 0.3) == 0
    assert unit_hazard(0.3, 90.0, 0.0, 0.3, 0.3) == pytest.approx(-math.log(0.7) / 90, rel=1e-14)
    assert unit_hazard(0.3, 90.0, 1e-9, 0.3, 0.3) == pytest.approx(-math.log(0.7) / 90, rel=1e-6)


def test_acquisition_with_frailty_and_two_periods() -> None:
    """By days 5, 20, 45 and 90, against quadrature; without selection of the negative, or the early ratio, rejected."""
    virome = _virome(*STRESS)
    negative = ~virome.baseline("anellovirus")
    times = virome.acquired("anellovirus")[negative]
    exposure = {5: 20.0, 20: 80.0, 45: 105.0, 90: 150.0}
    gamma, cut = math.log(3), float(stats.norm.isf(0.4))
    hazard = unit_hazard(0.5, 150.0, gamma, 0.4, 0.6)
    assert virome.anellovirus.hazard == pytest.approx(hazard)
    for day, amount in exposure.items():
        expected = _incidence(amount, hazard, gamma, cut, 0.6)
        assert _near((times <= day).mean(), expected, negative.sum()), day
    assert _near((times <= 90).mean(), 0.5, negative.sum())
    unselected = unit_hazard(0.5, 150.0, gamma, 0.4, 0.0)
    assert not _near(_incidence(150.0, unselected, gamma, cut, 0.6), 0.5, negative.sum(), 20)
    assert not _near(_incidence(150.0 * 20 / 90, hazard, gamma, cut, 0.6), (times <= 20).mean(), negative.sum(), 20)


def test_independent_inversion_of_the_cumulative_hazard() -> None:
    """The hazard spent by the time of acquisition is the exponential drawn, for every patient."""
    virome = _virome(*STRESS, horizon=1e9)
    negative = np.flatnonzero(~virome.baseline("anellovirus"))
    t = virome.acquired("anellovirus")[negative]
    amount = np.where(t <= 20, 4 * t, 80 + (t - 20))
    spent = virome.anellovirus.hazard * amount * 3.0 ** virome.population.score[negative]
    drawn = _draws()("virome.anellovirus.incident")[negative]
    kept = np.isfinite(t)
    assert kept.mean() > 0.999
    np.testing.assert_allclose(spent[kept], drawn[kept], rtol=1e-9)


def test_the_score_does_not_act_in_the_null() -> None:
    null = _virome(scenario="null")
    z = null.population.score
    for values in (null.baseline("anellovirus"), null.acquired("anellovirus") <= 90, null.load(80.0) > 4):
        assert abs(np.corrcoef(z, values)[0, 1]) < 4.5 / math.sqrt(N)
    assert np.corrcoef(z, _virome().load(80.0) > 4)[0, 1] > 0.2


# -- load --------------------------------------------------------------------------------------------------------------
def _twin(virome: Virome, i: int, t: float) -> float:
    """TTV load of one patient, from the draws and the page alone."""
    law, d, z = virome.spec.anellovirus.load, _draws(), float(virome.population.score[i])

    def normal(stream: str, r: float) -> FloatArray:
        own = float(d(f"virome.anellovirus.{stream}")[i])
        return np.array(r * z + math.sqrt(1 - r * r) * own)

    start = float(law.baseline.of_normal(normal("load", float(law.baseline_loading))))
    low = start - float(law.dip.of_normal(normal("dip", 0)))
    high = start + float(law.rise.of_normal(normal("rise", float(law.rise_loading))))
    peak = float(law.peak_day.of_normal(normal("peak_day", 0)))
    nadir = float(law.nadir_day)
    if t <= INCLUSION:
        path = start
    elif t <= nadir:
        path = start + (low - start) * (t - INCLUSION) / (nadir - INCLUSION)
    elif t <= peak:
        path = low + (high - low) * (t - nadir) / (peak - nadir)
    else:
        path = high - math.log10(2) / float(law.decline_half_life) * (t - peak)
    if virome.baseline("anellovirus")[i]:
        return path
    since = float(virome.acquired("anellovirus")[i])
    if t < since:
        return -math.inf
    return min(path, float(law.start) + math.log10(2) / float(law.doubling_time) * (t - since))


def test_independent_twin_of_the_load() -> None:
    virome = _virome()
    some = range(0, N, N // 400)
    for t in (-20.0, -5.0, 0.0, 9.99, 10.0, 33.3, 60.0, 80.0, 99.0, 104.0):
        load = virome.load(t)
        np.testing.assert_allclose([load[i] for i in some], [_twin(virome, i, t) for i in some], rtol=1e-12, atol=1e-12)


def test_properties_load_has_no_jump_but_at_acquisition() -> None:
    """Between neighbouring times the load moves no more than its steepest slope allows."""
    virome = _virome(patients=FEW)
    grid = np.arange(-10, 104, 0.25)
    steepest = max(math.log10(2) / 5, 6.0 / 15, 9.0 / 50)
    before = virome.load(float(grid[0]))
    carried = np.zeros(before.shape, dtype=bool)
    for t in grid[1:]:
        now = virome.load(float(t))
        both = np.isfinite(before) & np.isfinite(now)
        assert np.abs(now[both] - before[both]).max() < 0.25 * steepest
        carried |= np.isfinite(before)
        assert not (carried & ~np.isfinite(now)).any(), "carriage is kept"
        before = now
    acquired = virome.acquired("anellovirus")
    new = np.flatnonzero(np.isfinite(acquired))
    at = virome.load(np.where(np.isfinite(acquired), acquired, np.nan))[new]
    assert at.max() <= 1.0
    assert (at == 1.0).mean() > 0.9


@pytest.mark.parametrize("level", [0.5, 2.0, 3.45, 5.0])
def test_first_high_is_the_first_point_of_a_fine_grid(level: float) -> None:
    virome = _virome(
        "virome.anellovirus.load.dip={ mean = 0.3, varies = { sd = 1 } }",
        "virome.anellovirus.load.rise={ mean = 0.2, varies = { sd = 1.5 } }",
        "virome.anellovirus.baseline={ blood = 0.4 }",
        "virome.anellovirus.load.doubling_time=2",
        patients=FEW,
    )
    first = virome.first_high(level)
    seen = np.full(first.shape, np.inf)
    for t in np.arange(INCLUSION, HORIZON + 0.01, 1 / 16):
        seen = np.where(np.isinf(seen) & (virome.load(float(t)) >= level), t, seen)
    assert 0.02 < np.isfinite(seen).mean() < 1
    assert (first <= seen + 1e-9).all(), "no point of the grid is high before"
    reached = np.isfinite(first)
    assert (virome.load(np.where(reached, first, np.nan))[reached] >= level - 1e-9).all(), "and it is high then"
    assert (np.isfinite(seen) == reached).mean() > 0.999
    late = reached & (first > INCLUSION)
    assert level < 1 or late[virome.baseline("anellovirus")].sum() > 100
    assert level == 5 or late[~virome.baseline("anellovirus")].sum() > 100


def test_high_load_uses_the_level_of_the_scenario() -> None:
    virome = _virome("virome.anellovirus.score_loading=0")
    assert np.array_equal(virome.first_high(), virome.first_high(3.45))
    high = virome.first_high()[virome.baseline("anellovirus")] == INCLUSION
    law = stats.truncnorm((1.0 - 3.0) / 1.2, np.inf, 3.0, 1.2)
    assert _near(high.mean(), float(law.sf(3.45)), high.size)


def test_marginal_load_of_carriers_without_a_link() -> None:
    virome = _virome("virome.anellovirus.score_loading=0")
    carriers = virome.load(INCLUSION)[virome.baseline("anellovirus")]
    law = stats.truncnorm((1.0 - 3.0) / 1.2, np.inf, 3.0, 1.2)
    for q in (0.1, 0.5, 0.9):
        assert _near((carriers <= law.ppf(q)).mean(), q, carriers.size)
    r = np.corrcoef(virome.population.score[virome.baseline("anellovirus")], carriers)[0, 1]
    assert 0.45 < r < 0.51


# -- measurement -------------------------------------------------------------------------------------------------------
def test_observed_load_has_the_noise_of_the_assay_and_its_limit() -> None:
    virome = _virome("virome.anellovirus.load.lod=2.0")
    load, seen = virome.load(28.0), virome.observed(28)
    assert not ((seen > -np.inf) & (seen < 2.0)).any()
    assert np.isneginf(seen[np.isneginf(load)]).all()
    clear = load > 3.5
    error = seen[clear] - load[clear]
    assert abs(error.mean()) < 4.5 * 0.2 / math.sqrt(error.size)
    assert abs(error.std() - 0.2) < 4.5 * 0.2 / math.sqrt(2 * error.size)
    positive = np.isfinite(load)
    expected = stats.norm.sf((2.0 - load[positive]) / 0.2)
    assert abs((seen[positive] >= 2.0).mean() - expected.mean()) < 4.5 / math.sqrt(positive.sum())


def test_a_sample_is_keyed_by_its_nominal_day() -> None:
    virome = _virome()
    taken = np.full(N, 30.5)
    taken[::2] = np.nan
    moved = virome.observed(28, taken)
    assert np.isnan(moved[::2]).all()
    plain, kept = virome.observed(28), slice(1, None, 2)
    both = np.isfinite(moved[kept]) & np.isfinite(plain[kept])
    shift = virome.load(30.5)[kept][both] - virome.load(28.0)[kept][both]
    np.testing.assert_allclose(moved[kept][both] - plain[kept][both], shift, atol=1e-12)
    high = virome.load(28.0) > 3
    noise = [virome.observed(day)[high] - virome.load(float(day))[high] for day in (28, 42)]
    assert abs(np.corrcoef(noise)[0, 1]) < 4.5 / math.sqrt(high.sum()), "another day, another error"


def test_viruses_are_drawn_when_asked_for_and_visits_end_with_the_horizon() -> None:
    draws = ChunkDraws(2, Role.STUDY, 0, 10)
    spec = resolve("cmv-cart").spec
    virome = Virome(spec.virome, Population(spec.population, draws), draws, INCLUSION, 60.0)
    assert virome.visits == (0, 7, 14, 21, 28, 42, 60)
    virome.positive("pegivirus", 30.0)
    assert {name for name, _ in draws.drawn} == {"virome.pegivirus.baseline", "virome.pegivirus.incident"}
    assert VIRUSES == ("anellovirus", "pegivirus", "redondovirus")
