"""CAR-T kinetics against quadrature, the shape the law states, and quantiles of its laws."""

from __future__ import annotations

import itertools
import math
from dataclasses import dataclass

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import integrate, stats

from cmvsim.core.records import FloatArray
from cmvsim.core.streams import STREAMS, Role
from cmvsim.models.kinetics import Kinetics
from cmvsim.models.population import Population
from cmvsim.scenarios import resolve
from cmvsim.simulation.draws import ChunkDraws

SPEC = resolve("cmv-cart").spec
CELLS = SPEC.population.cells


def _kinetics(patients: int, *overrides: str) -> tuple[Kinetics, ChunkDraws]:
    spec = resolve("cmv-cart", overrides).spec
    draws = ChunkDraws(2, Role.STUDY, 0, patients)
    return Kinetics(spec.kinetics, Population(spec.population, draws), draws), draws


@dataclass(frozen=True)
class One:
    """A population of one, whose traits are given."""

    cell = np.zeros(1, dtype=np.int64)


def _given(cmax: float, tmax: float, fold: float, fast: float, share: float, slow: float) -> Kinetics:
    """Kinetics of one patient with given traits: what is cached is not drawn."""
    kinetics = Kinetics(SPEC.kinetics, One(), None)  # type: ignore[arg-type]
    names = ("cmax", "tmax", "fold", "contraction", "persistent_share", "persistence")
    for name, value in zip(names, (cmax, tmax, fold, fast, share, slow), strict=True):
        kinetics.__dict__[name] = np.array([value])
    return kinetics


def _stein(t: float, cmax: float, tmax: float, fold: float, fast: float, share: float, slow: float) -> float:
    """The law as published: R0 exp(rho t), then the two exponentials."""
    if t < tmax:
        return cmax / fold * math.exp(math.log(fold) / tmax * t)
    return cmax * ((1 - share) * math.exp(-fast * (t - tmax)) + share * math.exp(-slow * (t - tmax)))


def traits() -> st.SearchStrategy[tuple[float, ...]]:
    return st.tuples(
        st.floats(1, 1e5),
        st.floats(0.5, 40),
        st.one_of(st.just(1.0), st.floats(1, 1.001), st.floats(1.5, 1e6)),
        st.one_of(st.just(1e-12), st.floats(1e-3, 3)),
        st.floats(1e-6, 0.999),
        st.floats(1e-6, 0.1),
    )


@given(traits(), st.floats(0, 120), st.floats(0, 120))
def test_concentration_and_area_are_those_of_the_published_law(of: tuple[float, ...], t: float, other: float) -> None:
    kinetics = _given(*of)
    assert kinetics.concentration(t)[0] == pytest.approx(_stein(t, *of), rel=1e-10)
    a, b = sorted((t, other))
    cuts = sorted({a, min(max(a, of[1]), b), b})
    area = sum(
        integrate.quad(_stein, low, high, args=of, epsabs=0, epsrel=1e-11, limit=200)[0]
        for low, high in itertools.pairwise(cuts)
    )
    assert kinetics.auc(a, b)[0] == pytest.approx(area, rel=1e-8, abs=1e-9)


def test_areas_add_up_and_count_nothing_before_infusion() -> None:
    kinetics, _ = _kinetics(30)
    whole = kinetics.auc(0, 28)
    np.testing.assert_allclose(kinetics.auc(0, 9.5) + kinetics.auc(9.5, 28), whole, rtol=1e-12)
    np.testing.assert_array_equal(kinetics.auc(-5, 28), whole)
    np.testing.assert_array_equal(kinetics.auc(-5, -1), 0)
    assert (kinetics.auc(0, 27) < whole).all()


def test_the_course_rises_to_the_peak_and_falls_from_it() -> None:
    kinetics, _ = _kinetics(30)
    days = np.linspace(0, 120, 500)[:, None]
    level = kinetics.concentration(days)
    assert level.shape == (500, 30 * 64)
    rising, before = np.diff(level, axis=0) > 0, days[1:] <= kinetics.tmax
    after = days[:-1] >= kinetics.tmax
    assert rising[before].all()
    assert not rising[after].any()
    np.testing.assert_allclose(kinetics.concentration(kinetics.tmax), kinetics.cmax, rtol=1e-14)
    np.testing.assert_allclose(kinetics.concentration(0.0), kinetics.cmax / kinetics.fold, rtol=1e-12)
    assert not kinetics.concentration(-1e-9).any()
    assert (level <= kinetics.cmax * (1 + 1e-12)).all()


@pytest.mark.parametrize("name", ["cmax", "tmax", "fold", "contraction", "persistent_share", "persistence"])
@pytest.mark.parametrize("cell", range(4))
def test_traits_have_the_stated_quantiles(cell: int, name: str) -> None:
    kinetics, _ = _kinetics(2000)
    disease, product = CELLS[cell]
    law = getattr(SPEC.kinetics.table[disease][product], name)
    mine = getattr(kinetics, name)[kinetics.population.cell == cell]
    for q in (0.05, 0.5, 0.9):
        cut = law.centre * math.exp(law.spread * stats.norm.ppf(q))
        assert abs((mine <= cut).mean() - q) < 4.5 * math.sqrt(q * (1 - q) / mine.size)
    assert 4.5 * math.sqrt(0.25 / mine.size) < abs(stats.norm.cdf(math.log(1.2) / law.spread) - 0.5), "20% off is rejected"


def test_published_medians_of_the_peak_are_on_the_scale_of_each_product() -> None:
    """Stein 24,000 copies/µg; labels: 5,460 to 5,840 copies/µg in lymphoma, 38.3 cells/µL with axi-cel."""
    kinetics, _ = _kinetics(2000)
    for cell, low, high, unit in (
        (("leukaemia", "tisagenlecleucel"), 23000, 25000, "copies/µg"),
        (("lymphoma", "tisagenlecleucel"), 5300, 5900, "copies/µg"),
        (("lymphoma", "axicabtagene"), 37, 39.5, "cells/µL"),
    ):
        assert low < np.median(kinetics.cmax[kinetics.population.cell == CELLS.index(cell)]) < high
        assert SPEC.kinetics.assay(*cell).unit == unit


def test_expansion_is_the_log_peak_within_the_product() -> None:
    kinetics, _ = _kinetics(2000)
    for index, (disease, product) in enumerate(CELLS):
        mine = kinetics.population.cell == index
        sdlog = SPEC.kinetics.table[disease][product].cmax.spread
        np.testing.assert_allclose(kinetics.expansion[mine], sdlog * kinetics.z_expansion[mine], rtol=0, atol=1e-12)
    cut, _ = _kinetics(300, "kinetics.lymphoma.axicabtagene.cmax={ median = 38, varies = { sdlog = 1.4, high = 38 } }")
    axi = cut.population.cell == CELLS.index(("lymphoma", "axicabtagene"))
    assert abs((cut.expansion[axi] > 0).mean() - 0.5) < 4.5 * math.sqrt(0.25 / axi.sum()), "of the median as truncated"


def test_the_persistent_share_is_a_share() -> None:
    wide = "kinetics.leukaemia.tisagenlecleucel.persistent_share={ median = 0.5, varies = { sdlog = 2, high = 1 } }"
    kinetics, _ = _kinetics(300, wide)
    assert ((kinetics.persistent_share > 0) & (kinetics.persistent_share <= 1)).all()
    assert (kinetics.concentration(60.0) >= 0).all()


def test_the_assay_adds_its_error_and_stops_at_its_limit() -> None:
    kinetics, _ = _kinetics(1000)
    true, seen = kinetics.concentration(14.0), kinetics.observed(14)
    lloq = np.array([float(SPEC.kinetics.assay(*cell).lloq) for cell in CELLS])[kinetics.population.cell]
    kept = ~np.isnan(seen)
    assert (seen[kept] >= lloq[kept]).all()
    far = true > lloq * math.exp(6 * 0.56)  # never below the limit
    error = np.log(seen[far] / true[far])
    assert abs(error.mean()) < 5 * 0.56 / math.sqrt(far.sum())
    assert abs(error.std() - 0.56) < 5 * 0.56 / math.sqrt(2 * far.sum())
    near = (true < lloq * 2) & (true > lloq / 2)
    expected = stats.norm.cdf(np.log(true[near] / lloq[near]) / 0.56)
    late = np.isnan(kinetics.observed(700))
    gone = stats.norm.cdf(np.log(lloq / kinetics.concentration(700.0)) / 0.56)
    for some, chance in ((kept[near], expected), (late, gone)):
        assert abs((some - chance).mean()) < 5 * math.sqrt((chance * (1 - chance)).mean() / chance.size)
    assert 0.02 < late.mean() < 0.98


def test_the_error_belongs_to_the_planned_day() -> None:
    kinetics, _ = _kinetics(100)

    def error(day: int, time: FloatArray | float | None = None) -> FloatArray:
        return np.log(kinetics.observed(day, time) / kinetics.concentration(float(day) if time is None else time))

    with np.errstate(divide="ignore", invalid="ignore"):
        both = ~np.isnan(error(7)) & ~np.isnan(error(7, 8.0)) & ~np.isnan(error(14))
        assert both.mean() > 0.5
        np.testing.assert_allclose(error(7)[both], error(7, 8.0)[both], atol=1e-9)
        assert abs(np.corrcoef(error(7)[both], error(14)[both])[0, 1]) < 5 / math.sqrt(both.sum())


def test_nothing_is_drawn_before_it_is_asked_for() -> None:
    kinetics, draws = _kinetics(5)
    assert draws.drawn == ()
    _ = kinetics.z_expansion
    assert draws.drawn == (("kinetics.cmax", 0),)
    _ = kinetics.expansion
    names = {name for name, _ in draws.drawn}
    assert {name for name in names if name.startswith("kinetics")} == {"kinetics.cmax"}
    kinetics.concentration(3.0)
    kinetics.observed(7)
    assert {name for name in STREAMS if name.startswith("kinetics")} <= {name for name, _ in draws.drawn}
