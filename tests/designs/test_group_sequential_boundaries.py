"""Group-sequential boundaries against published designs, and against multivariate normal probabilities."""

from __future__ import annotations

import math
from itertools import pairwise

import numpy as np
import pytest
from scipy import stats

from cmvsim.core.errors import InputError
from cmvsim.designs.closed_forms.group_sequential import (
    SPENDING,
    Boundaries,
    Spending,
    boundaries,
    crossing,
    drift_for_power,
    inflation,
)

# R ldbounds and gsDesign (sfLDOF, sfLDPocock) at one-sided 0.025; published in the Lan-DeMets literature to four decimals
PUBLISHED = [
    ("obrien_fleming", 0.025, (0.5, 1), (2.9626, 1.9686)),
    ("obrien_fleming", 0.025, (1 / 3, 2 / 3, 1), (3.7103, 2.5114, 1.9930)),
    ("obrien_fleming", 0.025, (0.25, 0.5, 0.75, 1), (4.3326, 2.9631, 2.3590, 2.0141)),
    ("obrien_fleming", 0.025, (0.2, 0.4, 0.6, 0.8, 1), (4.8769, 3.3570, 2.6803, 2.2898, 2.0310)),
    ("pocock", 0.025, (0.2, 0.4, 0.6, 0.8, 1), (2.4380, 2.4268, 2.4102, 2.3966, 2.3860)),
    ("hwang_shih_decani", 0.025, (1 / 3, 2 / 3, 1), (3.0107, 2.5465, 1.9992)),
]


@pytest.mark.parametrize(("name", "alpha", "times", "expected"), PUBLISHED)
def test_published_boundaries(name: str, alpha: float, times: tuple[float, ...], expected: tuple[float, ...]) -> None:
    found = boundaries(times, Spending(name, alpha, -4.0))  # type: ignore[arg-type]
    np.testing.assert_allclose(found.efficacy, expected, atol=6e-5)
    assert crossing(found, 0.0).power == pytest.approx(alpha, abs=1e-9)


def test_published_design_with_futility() -> None:
    """The default of R gsDesign: three looks, 2.5% and 10%, Hwang-Shih-DeCani -4 and -2, futility that does not bind."""
    efficacy, futility = Spending("hwang_shih_decani", 0.025, -4.0), Spending("hwang_shih_decani", 0.1, -2.0)
    found = boundaries((1 / 3, 2 / 3, 1), efficacy, futility)
    np.testing.assert_allclose(found.efficacy, (3.0107, 2.5465, 1.9992), atol=6e-5)
    np.testing.assert_allclose(found.futility, (-0.2387, 0.9411, 1.9992), atol=6e-5)
    assert crossing(found, found.drift).power == pytest.approx(0.9, abs=1e-8)
    assert (found.drift / (stats.norm.isf(0.025) + stats.norm.isf(0.1))) ** 2 == pytest.approx(1.0699, abs=6e-5)
    # what is overruled costs nothing, what is obeyed gains nothing
    assert crossing(found, 0.0, use_futility=False).power == pytest.approx(0.025, abs=1e-9)
    assert crossing(found, 0.0).power < 0.0234
    bound = boundaries((1 / 3, 2 / 3, 1), efficacy, futility, binding=True)
    assert crossing(bound, 0.0).power == pytest.approx(0.025, abs=1e-9)
    assert bound.efficacy[-1] < found.efficacy[-1]
    assert crossing(bound, bound.drift).power == pytest.approx(0.9, abs=1e-8)


def _by_hand(bounds: Boundaries, drift: float) -> list[float]:
    """Probability of a claim at each look, by rectangles of the multivariate normal distribution."""
    times = np.array(bounds.information)
    covariance = np.sqrt(np.minimum.outer(times, times) / np.maximum.outer(times, times))
    mean = drift * np.sqrt(times)
    found = []
    for k in range(times.size):
        low = np.array([*bounds.futility[:k], bounds.efficacy[k]])
        high = np.array([*bounds.efficacy[:k], np.inf])
        law = stats.multivariate_normal(mean[: k + 1], covariance[: k + 1, : k + 1], abseps=1e-9, releps=1e-9, maxpts=2_000_000)
        found.append(float(law.cdf(high, lower_limit=np.maximum(low, -9.0))))
    return found


@pytest.mark.parametrize("name", SPENDING)
@pytest.mark.parametrize("times", [(0.3, 0.75, 1.1), (0.5, 0.55, 0.9)])
@pytest.mark.parametrize("drift", [0.0, 2.5])
def test_independent_rectangles_of_the_normal_distribution(name: str, times: tuple[float, ...], drift: float) -> None:
    found = boundaries(times, Spending(name, 0.05, 1.5), Spending("pocock", 0.2))  # type: ignore[arg-type]
    np.testing.assert_allclose(crossing(found, drift).upper, _by_hand(found, drift), atol=2e-6)


def test_properties_of_spending() -> None:
    for name in SPENDING:
        for gamma in (-4.0, 0.0, 2.0):
            law = Spending(name, 0.025, gamma)
            spent = [law.spent(t) for t in np.linspace(0, 1, 21)]
            assert spent[0] == 0.0
            assert spent[-1] == law.spent(1.7) == 0.025
            assert all(b > a for a, b in pairwise(spent))
    assert Spending("hwang_shih_decani", 0.025, 0.0).spent(0.3) == pytest.approx(0.0075)
    # an early look may spend so little that nothing can be claimed; what it leaves is spent later
    early = boundaries((0.005, 1.0), Spending("obrien_fleming", 0.025))
    assert math.isinf(early.efficacy[0])
    assert early.efficacy[1] == pytest.approx(1.959964, abs=1e-6)


def test_inflation_and_expected_size() -> None:
    bounds = boundaries((0.5, 1.0), Spending("obrien_fleming", 0.025))
    drift = drift_for_power(bounds, 0.9)
    assert 1.001 < inflation(bounds, 0.025, 0.9) < 1.0074, "below that of O'Brien and Fleming's own boundaries"
    found = crossing(bounds, drift)
    assert found.power == pytest.approx(0.9, abs=1e-9)
    assert found.expected((50.0, 100.0)) == pytest.approx(100 - 50 * found.upper[0])


@pytest.mark.parametrize(
    ("times", "futility"), [((), None), ((0.0, 1.0), None), ((0.5, 0.5), None), ((0.5, 1.0), Spending("pocock", 0.99))]
)
def test_designs_that_are_none_are_refused(times: tuple[float, ...], futility: Spending | None) -> None:
    with pytest.raises(InputError):
        boundaries(times, Spending("pocock", 0.025), futility)
