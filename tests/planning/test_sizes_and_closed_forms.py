"""Sizes as typed, grids, and closed forms against statsmodels, brute force and exact enumeration."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy import stats
from statsmodels.stats.proportion import samplesize_confint_proportion

from cmvsim.core.errors import InputError
from cmvsim.planning.closed_forms import assured_precision_patients, precision_patients
from cmvsim.planning.sizes import LARGEST, grid_around, local_grid, parse_sizes

P_AND_W = [(p, w) for p in (0.02, 0.1, 0.3, 0.5, 0.8, 0.97) for w in (0.02, 0.06, 0.1)]


@pytest.mark.parametrize(
    ("text", "sizes"),
    [
        ("250", (250,)),
        ("100,150", (100, 150)),
        ("60:300:60", (60, 120, 180, 240, 300)),
        ("60:290:60", (60, 120, 180, 240)),
        ("5:8", (5, 6, 7, 8)),
        ("7:7:3", (7,)),
        ("300,60:180:60,60", (60, 120, 180, 300)),
        (" 20 , 10 ", (10, 20)),
        ("1", (1,)),
        (str(LARGEST), (LARGEST,)),
        ("010", (10,)),
    ],
)
def test_sizes_are_read_with_both_ends(text: str, sizes: tuple[int, ...]) -> None:
    assert parse_sizes(text) == sizes


@pytest.mark.parametrize(
    "text",
    [
        "",
        " ",
        "abc",
        "2.5",
        "-5",
        "1e3",
        "100,",
        ",100",
        "100;200",
        "60:",
        ":60",
        "60:300:",
        "60:300:10:1",
        "60 300",
        "1_000",
        "60: 300",
        "0",
        "0:10",
        "300:60",
        "60:300:0",
        str(LARGEST + 1),
        f"1:{LARGEST + 1}:1000",
        "100,0",
        "100,abc",
        "²",
        "١٠:٥",
    ],
)
def test_every_mistake_is_an_input_error(text: str) -> None:
    with pytest.raises(InputError) as caught:
        parse_sizes(text)
    problem = caught.value.problems[0]
    assert problem.where == "-n"
    assert problem.allowed


@pytest.mark.parametrize("n", [1, 2, 5, 12, 13, 40, 60, 100, 250, 999, 5000, 60_000])
def test_the_starting_grid_spans_the_closed_form(n: int) -> None:
    grid = grid_around(n)
    assert list(grid) == sorted(set(grid))
    assert grid[0] >= 1
    assert grid[0] <= max(0.62 * n, 1)
    assert grid[-1] >= 1.6 * n - 1
    assert len(set(np.diff(grid))) <= 1
    assert len(grid) <= 25


@pytest.mark.parametrize(("low", "high"), [(1, 1), (-5, 3), (100, 160), (100, 161), (200, 1000), (3, 40_000)])
def test_the_local_grid_is_fine_and_ends_near_its_bound(low: int, high: int) -> None:
    grid = local_grid(low, high)
    assert grid[0] == max(1, low)
    step = grid[1] - grid[0] if len(grid) > 1 else 1
    assert high - step < grid[-1] <= high
    assert len(grid) <= 121
    if high - low <= 60:
        assert list(grid) == list(range(max(1, low), high + 1))


@pytest.mark.parametrize("level", [0.9, 0.95, 0.99])
@pytest.mark.parametrize(("p", "w"), P_AND_W)
def test_precision_agrees_with_statsmodels(p: float, w: float, level: float) -> None:
    assert precision_patients(p, w, level) == max(1, math.ceil(samplesize_confint_proportion(p, w, alpha=1 - level) - 1e-9))


def test_precision_by_hand() -> None:
    assert precision_patients(0.3, 0.06, 0.95) == 225  # 1.96^2 0.21 / 0.06^2 = 224.1
    assert precision_patients(0.5, 0.1, 0.95) == 97  # 96.04
    assert precision_patients(0.5, 0.05, 0.95) == 385


def normal_assurance(n: int, p: float, w: float, level: float) -> float:
    """P(Wald half-width <= w), the observed proportion taken as normal; both tails, by bisection on the width itself."""
    z = stats.norm.ppf(0.5 + level / 2)
    if z * math.sqrt(0.25 / n) <= w:
        return 1.0
    low, high = 0.0, 0.5
    for _ in range(80):
        middle = (low + high) / 2
        low, high = (middle, high) if z * math.sqrt(middle * (1 - middle) / n) <= w else (low, middle)
    law = stats.norm(p, math.sqrt(p * (1 - p) / n))
    return float(law.cdf(low) + law.sf(1 - low))


def exact_assurance(n: int, p: float, w: float, level: float) -> float:
    x = np.arange(n + 1)
    half = stats.norm.ppf(0.5 + level / 2) * np.sqrt(x / n * (1 - x / n) / n)
    return float(stats.binom.pmf(x, n, p)[half <= w].sum())


@pytest.mark.parametrize(
    ("p", "w", "probability"),
    [
        (0.3, 0.06, 0.8),
        (0.3, 0.06, 0.5),
        (0.3, 0.06, 0.95),
        (0.2, 0.05, 0.8),
        (0.1, 0.05, 0.9),
        (0.7, 0.06, 0.8),
        (0.85, 0.08, 0.6),
    ],
)
def test_assured_precision_is_the_first_size_of_the_normal_form(p: float, w: float, probability: float) -> None:
    n = assured_precision_patients(p, w, 0.95, probability)
    assert normal_assurance(n, p, w, 0.95) >= probability
    assert normal_assurance(n - 1, p, w, 0.95) < probability


@pytest.mark.parametrize(("p", "w", "probability"), [(0.3, 0.06, 0.8), (0.3, 0.06, 0.95), (0.2, 0.05, 0.8), (0.7, 0.06, 0.8)])
def test_assured_precision_is_near_exact_enumeration(p: float, w: float, probability: float) -> None:
    """The exact probability is a sawtooth: the normal form lies within 2 patients of where it crosses."""
    n = assured_precision_patients(p, w, 0.95, probability)
    met = [size for size in range(n // 2, 2 * n) if exact_assurance(size, p, w, 0.95) >= probability]
    first = met[0]
    stable = next(size for size in met if all(exact_assurance(s, p, w, 0.95) >= probability for s in range(size, 2 * n)))
    assert first - 2 <= n <= stable + 2
    # and a size 3% smaller or larger is told apart from it
    assert not first - 2 <= round(0.97 * first) - 2
    assert stable + 2 < round(1.03 * stable) + 2


@pytest.mark.parametrize("probability", [0.5, 0.8, 0.99])
def test_assurance_costs_patients_and_more_of_it_costs_more(probability: float) -> None:
    plain = precision_patients(0.3, 0.06, 0.95)
    assert assured_precision_patients(0.3, 0.06, 0.95, probability) >= plain
    more = assured_precision_patients(0.3, 0.06, 0.95, min(0.999, probability + 0.01))
    assert more >= assured_precision_patients(0.3, 0.06, 0.95, probability)
    worst = math.ceil(stats.norm.ppf(0.975) ** 2 * 0.25 / 0.06**2)
    assert more <= worst + 1  # no observed proportion is wider than 1/2


@pytest.mark.parametrize("incidence", [0.0, 1.0])
def test_an_incidence_without_spread_has_a_closed_form_too(incidence: float) -> None:
    """A simulated incidence can be exactly 0 (an endpoint that does not occur): no division by its spread."""
    assert assured_precision_patients(incidence, 0.06, 0.95, 0.8) == 1
