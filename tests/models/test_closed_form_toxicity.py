"""Grades, drugs and neutropenia: published marginals, solved intercepts, and times, with tolerances of 4 to 5 SE."""

from __future__ import annotations

import math
from functools import cache

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import integrate, special, stats

from cmvsim.core.streams import Role
from cmvsim.models.kinetics import Kinetics
from cmvsim.models.population import Population
from cmvsim.models.toxicity import DRUGS, Drug, Toxicity
from cmvsim.models.toxicity_laws import UseLaw, intercept, latent_slope, solve_cell
from cmvsim.scenarios import resolve
from cmvsim.simulation.draws import ChunkDraws

SPEC = resolve("cmv-cart").spec
CELLS = SPEC.population.cells
AXI = CELLS.index(("lymphoma", "axicabtagene"))

# any, grade 3 or more, as published; courses of corticosteroids and tocilizumab
PUBLISHED = {
    ("leukaemia", "tisagenlecleucel"): ((0.59, 0.187), (0.20, 0.069), (0.22, 0.34)),
    ("leukaemia", "brexucabtagene"): ((0.89, 0.24), (0.60, 0.25), (0.65, 0.70)),
    ("lymphoma", "axicabtagene"): ((0.86, 0.08), (0.57, 0.24), (0.50, 0.60)),
    ("lymphoma", "tisagenlecleucel"): ((0.60, 0.05), (0.18, 0.03), (0.12, 0.16)),
}


@cache
def _toxicity(*overrides: str, patients: int = 4000, seed: int = 1) -> Toxicity:
    spec = resolve("cmv-cart", overrides).spec
    draws = ChunkDraws(seed, Role.STUDY, 0, patients)
    population = Population(spec.population, draws)
    return Toxicity(spec.toxicity, population, Kinetics(spec.kinetics, population, draws), draws)


def _near(share: float, expected: float, n: float, k: float = 4.5) -> bool:
    return abs(share - expected) < k * math.sqrt(max(expected * (1 - expected), 1e-9) / n)


# -- solved intercepts -------------------------------------------------------------------------------------------
@given(st.floats(1e-4, 1 - 1e-4), st.floats(-0.99, 0.99))
def test_intercepts_give_the_marginal_probability_by_another_quadrature(p: float, correlation: float) -> None:
    slope = latent_slope(correlation)
    laws = solve_cell((p, p, p, p), (0.0,) * 4, slope, 0.0, ())

    def integrand(z: float) -> float:
        return 1 / (1 + math.exp(-laws.crs_cuts[0] - slope * z)) * math.exp(-z * z / 2) / math.sqrt(2 * math.pi)

    turn = float(np.clip(-laws.crs_cuts[0] / slope if abs(slope) > 1e-3 else 0.0, -8, 8))
    marginal = sum(integrate.quad(integrand, a, b, epsabs=1e-13, limit=400)[0] for a, b in ((-9, turn), (turn, 9)))
    assert marginal == pytest.approx(p, abs=1e-9)


@given(st.floats(-0.99, 0.99))
def test_the_slope_is_that_of_the_stated_latent_correlation(correlation: float) -> None:
    b = latent_slope(correlation)
    assert b / math.sqrt(b**2 + math.pi**2 / 3) == pytest.approx(correlation, abs=1e-12)


@given(st.lists(st.floats(0.01, 1), min_size=5, max_size=5), st.floats(-3, 3), st.floats(1e-6, 1 - 1e-6))
def test_an_intercept_over_grades_is_exact(weights: list[float], slope: float, p: float) -> None:
    share = np.array(weights) / sum(weights)
    shifts = slope * np.arange(5.0)
    assert share @ special.expit(intercept(p, shifts, share) + shifts) == pytest.approx(p, rel=1e-10, abs=1e-13)


def test_certain_and_impossible_courses_need_no_solution() -> None:
    laws = solve_cell((0.9, 0.5, 0.1, 0.05), (0.5, 0.2, 0.1, 0.0), 0.7, 1.0, (UseLaw(0.0, 1.5, False), UseLaw(1.0, 1.5, True)))
    assert laws.use.tolist() == [[0.0] * 5, [1.0] * 5]
    assert laws.icans_cuts[3] == -math.inf


# -- grades ------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("cell", range(4))
def test_grades_have_their_published_shares(cell: int) -> None:
    toxicity = _toxicity()
    mine = toxicity.population.cell == cell
    crs, icans, _ = PUBLISHED[CELLS[cell]]
    for grades, (whole, severe), (two, four) in (
        (toxicity.crs_grade, crs, (0.5, 0.25)),
        (toxicity.icans_grade, icans, (0.45, 0.2)),
    ):
        for grade, share in enumerate((whole, severe + two * (whole - severe), severe, four * severe), start=1):
            assert _near((grades[mine] >= grade).mean(), share, mine.sum())
        assert grades.min() == 0
        assert grades.max() == 4


def test_crs_rises_with_expansion_as_its_latent_correlation_says() -> None:
    """Mean of the standardised log peak among patients with CRS of grade 3 or more, by quadrature; 0.25 is rejected."""
    toxicity = _toxicity()
    mine = (toxicity.population.cell == AXI) & (toxicity.crs_grade >= 3)
    found = toxicity.kinetics.z_expansion[mine].mean()

    def expected(correlation: float) -> float:
        b = correlation / math.sqrt(1 - correlation**2) * math.pi / math.sqrt(3)
        z = np.linspace(-8, 8, 4001)
        density = stats.norm.pdf(z) * (z[1] - z[0])
        low, high = -20.0, 20.0
        for _ in range(80):  # bisection
            middle = (low + high) / 2
            low, high = (middle, high) if (density * special.expit(middle + b * z)).sum() < 0.08 else (low, middle)
        return float((z * density * special.expit(low + b * z)).sum() / 0.08)

    se = 1 / math.sqrt(mine.sum())
    assert abs(found - expected(0.35)) < 4.5 * se
    assert abs(found - expected(0.25)) > 4.5 * se


def test_icans_rises_with_crs_by_the_stated_odds() -> None:
    toxicity = _toxicity(patients=8000)
    mine = toxicity.population.cell == AXI
    crs, icans = toxicity.crs_grade[mine], toxicity.icans_grade[mine]
    for grade in (1, 3):
        logits, variance = [], 0.0
        for level in (0, 2):
            some = icans[crs == level] >= grade
            logits.append(special.logit(some.mean()))
            variance += 1 / some.sum() + 1 / (~some).sum()
        assert abs(logits[1] - logits[0] - 2 * 0.9) < 4.5 * math.sqrt(variance)
        assert 4.5 * math.sqrt(variance) < 0.6, "a log odds ratio of 0.6 per grade is rejected"


def test_without_correlation_expansion_is_not_drawn_for_the_grade() -> None:
    toxicity = _toxicity("toxicity.expansion_correlation=0", patients=50)
    _ = toxicity.icans_grade
    assert "kinetics.cmax" not in {name for name, _ in toxicity.draws.drawn}  # type: ignore[attr-defined]


# -- drugs -------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("cell", range(4))
def test_use_of_drugs_by_product_is_the_published_one(cell: int) -> None:
    toxicity = _toxicity()
    mine = toxicity.population.cell == cell
    for drug, share in zip(("corticosteroids", "tocilizumab"), PUBLISHED[CELLS[cell]][2], strict=True):
        used = np.isfinite(toxicity.courses[drug].start)[mine]  # type: ignore[index]
        assert _near(used.mean(), share, mine.sum())
    rescued = np.isfinite(toxicity.courses["anakinra"].start)[mine].mean()
    expected = float(SPEC.toxicity.anakinra.use[CELLS[cell][0]][CELLS[cell][1]])
    assert _near(rescued, expected, mine.sum())


@pytest.mark.parametrize(("drug", "slope"), [("corticosteroids", 1.5), ("tocilizumab", 2.0)])
def test_use_of_drugs_rises_with_the_grade_by_the_stated_odds(drug: Drug, slope: float) -> None:
    toxicity = _toxicity()
    mine = toxicity.population.cell == AXI
    used = np.isfinite(toxicity.courses[drug].start)[mine]
    crs, worst = toxicity.crs_grade[mine], np.maximum(toxicity.crs_grade, toxicity.icans_grade)[mine]
    leading = crs if drug == "tocilizumab" else worst
    logits, variance = [], 0.0
    for grade in (1, 2):
        some = used[leading == grade]
        logits.append(special.logit(some.mean()))
        variance += 1 / some.sum() + 1 / (~some).sum()
    assert abs(logits[1] - logits[0] - slope) < 4.5 * math.sqrt(variance)
    assert 4.5 * math.sqrt(variance) < 0.25
    if drug == "tocilizumab":  # given CRS, ICANS says nothing more
        shares = [used[(crs == 1) & (worst == w)] for w in (1, 3)]
        gap = shares[0].mean() - shares[1].mean()
        assert abs(gap) < 4.5 * math.sqrt(sum(0.25 / share.size for share in shares))


@pytest.mark.parametrize(("drug", "day", "rejected"), [("corticosteroids", 7.0, 6.7), ("tocilizumab", 5.0, 5.7)])
def test_first_doses_have_the_median_day_they_were_solved_for(drug: Drug, day: float, rejected: float) -> None:
    """The lags are rounded to 0.05 days, which moves the median by less than 0.05."""
    start = _toxicity(patients=8000).courses[drug].start
    start = start[np.isfinite(start)]
    se = math.sqrt(0.25 / start.size) / stats.gaussian_kde(start[:5000])(day)[0]
    assert abs(np.median(start) - day) < 0.05 + 4.5 * se < abs(rejected - day)


def test_steroid_courses_have_the_stated_lengths() -> None:
    """60% above three days (assumed), 14 of 40 with nine days or more (published)."""
    course = _toxicity().courses["corticosteroids"]
    used = np.isfinite(course.start)
    days = course.stop[used] - course.start[used]
    assert _near((days > 3).mean(), 0.60, days.size, k=5)
    assert abs((days >= 9).mean() - 0.35) < 0.003 + 4.5 * math.sqrt(0.2275 / days.size)
    assert days.max() <= 90


@pytest.mark.parametrize("share", [0, 1])
def test_a_drug_for_nobody_or_for_all(share: int) -> None:
    overrides = [f"toxicity.corticosteroids.use.{disease}.{product}={share}" for disease, product in CELLS]
    start = _toxicity(*overrides, patients=50).courses["corticosteroids"].start
    assert np.isfinite(start).mean() == share


def test_treatment_leaves_expansion_and_grades_alone() -> None:
    some, none = _toxicity(patients=100), _toxicity("toxicity.corticosteroids.per_grade=0", patients=100)
    assert not np.array_equal(some.courses["corticosteroids"].start, none.courses["corticosteroids"].start)
    for name in ("crs_grade", "icans_grade"):
        assert np.array_equal(getattr(some, name), getattr(none, name))
    assert np.array_equal(some.kinetics.cmax, none.kinetics.cmax)


# -- times -------------------------------------------------------------------------------------------------------
def test_windows_of_crs_and_icans_begin_and_last_as_published() -> None:
    """CRS: median day 3 and 8 days, none from day 14 on. ICANS: 0.7% after day 14."""
    toxicity = _toxicity()
    for windows, grades in ((toxicity.crs, toxicity.crs_grade), (toxicity.icans, toxicity.icans_grade)):
        assert np.array_equal(np.isfinite(windows.start), grades >= 1)
        assert np.array_equal(np.isfinite(windows.stop), grades >= 1)
    crs = toxicity.crs.start[toxicity.crs_grade >= 1]
    assert crs.max() <= 14
    cut = stats.norm.cdf(math.log(14 / 3) / 0.55)
    assert _near((crs <= 3).mean(), 0.5 / cut, crs.size)
    days = (toxicity.crs.stop - np.where(np.isfinite(toxicity.crs.start), toxicity.crs.start, 0))[toxicity.crs_grade >= 1]
    assert _near((days <= 8).mean(), 0.5 / stats.norm.cdf(math.log(42 / 8) / 0.65), days.size)
    icans = toxicity.icans.start[toxicity.icans_grade >= 1]
    assert _near((icans > 14).mean(), 0.007, icans.size)
    assert _near((icans <= 6).mean(), 0.5, icans.size, k=5)


def test_windows_of_severe_toxicity_are_those_of_the_severe() -> None:
    toxicity = _toxicity(patients=100)
    for severe, any_grade, grades in (
        (toxicity.severe_crs, toxicity.crs, toxicity.crs_grade),
        (toxicity.severe_icans, toxicity.icans, toxicity.icans_grade),
    ):
        assert 0 < (grades >= 3).sum() < (grades >= 1).sum()
        assert np.array_equal(severe.start, np.where(grades >= 3, any_grade.start, np.inf))
        assert np.array_equal(severe.stop, np.where(grades >= 3, any_grade.stop, np.inf))


@pytest.mark.parametrize(
    ("high", "median", "sdlog", "published"), [(True, 12.0, 0.57, (0.88, 0.48)), (False, 5.5, 0.45, (0.46, 0.05))]
)
def test_neutropenia_lasts_as_published_by_score(
    high: bool, median: float, sdlog: float, published: tuple[float, float]
) -> None:
    """Median exactly; the published shares with 7 and 14 days within 17 points (no log-normal has all three)."""
    toxicity = _toxicity()
    windows = toxicity.neutropenia
    assert np.isfinite(windows.stop).all()
    days = (windows.stop - windows.start)[toxicity.population.hematotox_high == high]
    assert _near((days <= median).mean(), 0.5 / stats.norm.cdf(math.log(60 / median) / sdlog), days.size)
    assert abs((days >= 7).mean() - published[0]) < 0.17
    assert abs((days >= 14).mean() - published[1]) < 0.1


@pytest.mark.parametrize("drug", DRUGS)
def test_operational_times_of_toxicity_are_on_the_grid(drug: Drug) -> None:
    toxicity = _toxicity(patients=100)
    for windows in (toxicity.courses[drug], toxicity.crs, toxicity.icans, toxicity.neutropenia):
        for times in (windows.start, windows.stop):
            finite = times[np.isfinite(times)]
            assert finite.size > 100
            assert np.array_equal(finite * 2**20, np.rint(finite * 2**20))
        some = np.isfinite(windows.start)
        assert (windows.stop[some] >= windows.start[some]).all()


def test_nothing_of_toxicity_is_drawn_before_it_is_asked_for() -> None:
    spec, draws = resolve("cmv-cart").spec, ChunkDraws(1, Role.STUDY, 0, 5)
    population = Population(spec.population, draws)
    toxicity = Toxicity(spec.toxicity, population, Kinetics(spec.kinetics, population, draws), draws)
    courses = toxicity.courses
    assert list(courses) == list(DRUGS)
    assert draws.drawn == ()

    def drawn() -> set[str]:
        return {name for name, _ in draws.drawn if name.startswith(("toxicity", "kinetics"))}

    _ = toxicity.crs_grade
    assert drawn() == {"toxicity.crs.grade", "kinetics.cmax"}
    _ = courses["tocilizumab"]
    assert drawn() == {
        "toxicity.crs.grade",
        "kinetics.cmax",
        "toxicity.crs.onset",
        *(f"toxicity.tocilizumab.{what}" for what in ("use", "lag", "duration")),
    }
    _ = courses["corticosteroids"]
    assert not any("anakinra" in name or "neutropenia" in name for name in drawn())
    assert courses["tocilizumab"] is toxicity.courses["tocilizumab"]
