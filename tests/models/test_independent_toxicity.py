"""Kinetics and toxicity of single patients told again from model.md, with scalars, and compared with the arrays."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from statistics import NormalDist

import pytest
from scipy import integrate

from cmvsim.core.streams import Role
from cmvsim.core.value import Between
from cmvsim.models.kinetics import Kinetics
from cmvsim.models.population import Population
from cmvsim.models.toxicity import Toxicity
from cmvsim.scenarios import resolve
from cmvsim.scenarios.scenario import Scenario
from cmvsim.simulation.draws import ChunkDraws

STRESS = (
    "toxicity.expansion_correlation=-0.8",
    "toxicity.icans.per_crs_grade=-0.7",
    "toxicity.crs.any.lymphoma.axicabtagene=1",
    "toxicity.icans.grade_4_share=0",
    "toxicity.icans.onset={ median = 2, varies = { sdlog = 0.9 } }",
    "toxicity.corticosteroids.per_grade=-1",
    "toxicity.tocilizumab.per_grade=0.4",
    "toxicity.anakinra.use.lymphoma.axicabtagene=0.6",
    "population.score_loadings.hematotox=-0.6",
)

NORMAL = NormalDist()


def _expit(x: float) -> float:
    return 1 / (1 + math.exp(-x)) if x > 0 else math.exp(x) / (1 + math.exp(x))


def _solve(marginal: Callable[[float], float], p: float) -> float:
    """Bisection of an increasing marginal probability."""
    if p in {0.0, 1.0}:
        return math.inf if p else -math.inf
    low, high = -60.0, 60.0
    for _ in range(100):
        middle = (low + high) / 2
        low, high = (middle, high) if marginal(middle) < p else (low, middle)
    return (low + high) / 2


def _grid(days: float) -> float:
    return round(days * 2**20) / 2**20


def _law(law: Between, z: float) -> float:
    """The inverse distribution function at a normal variate, truncation included (model.md 0)."""
    if law.spread == 0:
        return law.centre

    def standard(x: float | None, missing: float) -> float:
        if x is None:
            return missing
        return math.log(x / law.centre) / law.spread if law.law == "lognormal" else (x - law.centre) / law.spread

    if law.low is not None or law.high is not None:
        low, high = NORMAL.cdf(standard(law.low, -math.inf)), NORMAL.cdf(standard(law.high, math.inf))
        z = NORMAL.inv_cdf(low + (high - low) * NORMAL.cdf(z))
    return law.centre * math.exp(law.spread * z) if law.law == "lognormal" else law.centre + law.spread * z


@dataclass(frozen=True)
class Cell:
    """Laws of one disease and product, solved by bisection."""

    crs: list[float]
    icans: list[float]
    use: dict[str, float]


def _cell(spec: Scenario, disease: str, product: str) -> Cell:
    tox = spec.toxicity

    def exceed(of: object) -> list[float]:
        whole, severe = (float(getattr(of, name)[disease][product]) for name in ("any", "severe"))
        two, four = float(of.grade_2_share), float(of.grade_4_share)  # type: ignore[attr-defined]
        return [whole, severe + two * (whole - severe), severe, four * severe]

    rho = float(tox.expansion_correlation)
    b = rho / math.sqrt(1 - rho**2) * math.pi / math.sqrt(3)

    def over_expansion(a: float) -> float:
        return float(integrate.quad(lambda z: _expit(a + b * z) * NORMAL.pdf(z), -9, 9, points=[0], limit=200)[0])

    crs = [_solve(over_expansion, p) for p in exceed(tox.crs)]
    edges = [1.0, *exceed(tox.crs), 0.0]
    crs_share = [edges[g] - edges[g + 1] for g in range(5)]
    c = float(tox.icans.per_crs_grade)
    icans = [_solve(lambda a: sum(w * _expit(a + c * g) for g, w in enumerate(crs_share)), p) for p in exceed(tox.icans)]
    worst_share = [0.0] * 5
    for g, w in enumerate(crs_share):
        above = [1.0, *(_expit(a + c * g) if a > -math.inf else 0.0 for a in icans), 0.0]
        for h in range(5):
            worst_share[max(g, h)] += w * (above[h] - above[h + 1])
    use = {}
    for drug in ("corticosteroids", "tocilizumab", "anakinra"):
        course = getattr(tox, drug)
        s, share = float(course.per_grade), crs_share if drug == "tocilizumab" else worst_share
        use[drug] = _solve(
            lambda a, s=s, share=share: sum(w * _expit(a + s * g) for g, w in enumerate(share)),  # type: ignore[misc]
            float(course.use[disease][product]),
        )
    return Cell(crs, icans, use)


@cache
def _setup(overrides: tuple[str, ...]) -> tuple[Scenario, ChunkDraws, Toxicity, dict[tuple[str, str], Cell]]:
    spec = resolve("cmv-cart", overrides).spec
    draws = ChunkDraws(5, Role.STUDY, 0, 60, 16)
    population = Population(spec.population, draws)
    toxicity = Toxicity(spec.toxicity, population, Kinetics(spec.kinetics, population, draws), draws)
    return spec, draws, toxicity, {cell: _cell(spec, *cell) for cell in spec.population.cells}


@pytest.mark.parametrize("overrides", [(), STRESS], ids=["default", "stress"])
def test_each_patient_has_the_toxicity_that_the_page_says(overrides: tuple[str, ...]) -> None:
    """Grades, windows and courses, every branch met by at least ten patients."""
    spec, draws, toxicity, cells = _setup(overrides)
    population, kinetics, tox = toxicity.population, toxicity.kinetics, spec.toxicity
    strata = list(spec.population.strata.values())
    rho = float(tox.expansion_correlation)
    b, c = rho / math.sqrt(1 - rho**2) * math.pi / math.sqrt(3), float(tox.icans.per_crs_grade)
    met = dict.fromkeys(("crs leads", "icans leads", "no toxicity, treated", "tocilizumab", "untreated"), 0)
    for i in range(60 * 16):

        def z(name: str, i: int = i) -> float:
            return float(draws(name)[i])

        disease, product = strata[population.stratum[i]].disease, spec.population.products[population.product[i]]
        cell = cells[disease, product]
        crs = sum(z("toxicity.crs.grade") < _expit(a + b * z("kinetics.cmax")) for a in cell.crs if a > -math.inf)
        icans = sum(z("toxicity.icans.grade") < _expit(a + c * crs) for a in cell.icans if a > -math.inf)
        assert (toxicity.crs_grade[i], toxicity.icans_grade[i]) == (crs, icans)
        onset = {name: _grid(_law(getattr(tox, name).onset, z(f"toxicity.{name}.onset"))) for name in ("crs", "icans")}
        for name, grade in (("crs", crs), ("icans", icans)):
            got = getattr(toxicity, name)
            days = _grid(_law(getattr(tox, name).duration, z(f"toxicity.{name}.duration")))
            first = onset[name] if grade else math.inf
            assert (got.start[i], got.stop[i]) == pytest.approx((first, first + days), abs=2**-19)
        for drug in ("corticosteroids", "tocilizumab", "anakinra"):
            course, got = getattr(tox, drug), toxicity.courses[drug]  # type: ignore[index]
            leads = "icans" if icans > crs and drug != "tocilizumab" else "crs"
            grade = crs if drug == "tocilizumab" else max(crs, icans)
            treated = z(f"toxicity.{drug}.use") < _expit(cell.use[drug] + float(course.per_grade) * grade)
            first = onset[leads] + _grid(_law(course.lag, z(f"toxicity.{drug}.lag"))) if treated else math.inf
            last = first + _grid(_law(course.duration, z(f"toxicity.{drug}.duration")))
            assert (got.start[i], got.stop[i]) == pytest.approx((first, last), abs=2**-18)
            met["untreated"] += not treated
            met[f"{leads} leads" if grade else "no toxicity, treated"] += treated
            met["tocilizumab"] += treated and drug == "tocilizumab" and icans > crs
        name = "duration_high" if population.hematotox_high[i] else "duration_low"
        begins = _grid(_law(tox.neutropenia.start, z("toxicity.neutropenia.start")))
        lasts = _grid(_law(getattr(tox.neutropenia, name), z("toxicity.neutropenia.duration")))
        window = toxicity.neutropenia
        assert (window.start[i], window.stop[i]) == pytest.approx((begins, begins + lasts), abs=2**-18)
        law = spec.kinetics.table[disease][product].cmax
        assert kinetics.cmax[i] == pytest.approx(_law(law, z("kinetics.cmax")), rel=1e-12)
    assert min(met.values()) >= 10, met
