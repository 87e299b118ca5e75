"""Value sets against numbers from two other programs (all states of each set: count, sum, extremes; single profiles).

The numbers here come from ``reference/eq5d.json`` of the shared material, itself compared between the R packages eq5d and
eq5dsuite; the whole file is checked where it is present.
"""

from __future__ import annotations

import itertools
import json
from pathlib import Path

import numpy as np
import pytest

from cmvsim.core.errors import InputError
from cmvsim.models import quality_of_life as law
from cmvsim.valuation import DIMENSIONS, ValueSet, levels_of, value_set, value_sets

NEAR = [folder.joinpath("shared", "reference", "eq5d.json") for folder in Path(__file__).resolve().parents]
SHARED = next((path for path in NEAR if path.exists()), None)
SHARED_NAMES = {
    "france_5l": "FR_5L",
    "belgium_y3l": "BE_Y3L",
    "germany_y3l": "DE_Y3L",
    "netherlands_y3l": "NL_Y3L",
    "spain_y3l": "ES_Y3L",
}
# name: states, minimum, second best, sum, states below 0
ALL_STATES = {
    "france_5l": (3125, -0.525491, 0.97954, 1325.116875, 217),
    "belgium_y3l": (243, -0.47547549, 0.95419984, 85.00307184, 31),
    "germany_y3l": (243, -0.2827, 0.9809, 107.8272, 16),
    "netherlands_y3l": (243, -0.218, 0.972, 117.693, 7),
    "spain_y3l": (243, -0.5392, 0.9487, 74.439, 39),
}
PROFILES = [
    ("france_5l", 11111, 1.0),
    ("france_5l", 21111, 0.96241),
    ("france_5l", 12111, 0.96344),
    ("france_5l", 11121, 0.97802),
    ("france_5l", 22222, 0.85028),
    ("france_5l", 33333, 0.767819),
    ("france_5l", 55555, -0.525491),
    ("belgium_y3l", 12111, 0.95419984),
    ("belgium_y3l", 11121, 0.84329491),
    ("germany_y3l", 11121, 0.8663),
    ("netherlands_y3l", 11121, 0.889),
    ("spain_y3l", 11121, 0.8281),
]


def _all_states(values: ValueSet) -> np.ndarray:
    return np.array(list(itertools.product(range(1, values.decrements.shape[1] + 1), repeat=5)), dtype=np.int8)


@pytest.mark.parametrize("name", sorted(ALL_STATES))
def test_independent_all_states(name: str) -> None:
    number, least, second, total, negative = ALL_STATES[name]
    index = value_set(name).index(_all_states(value_set(name)))
    assert index.size == number
    assert index.min() == pytest.approx(least, abs=1e-9) == value_set(name).worst
    assert np.sort(index)[-2:] == pytest.approx([second, 1.0], abs=1e-12)
    assert index.sum() == pytest.approx(total, abs=1e-6)
    assert int((index < 0).sum()) == negative


@pytest.mark.parametrize(("name", "profile", "utility"), PROFILES)
def test_independent_profiles(name: str, profile: int, utility: float) -> None:
    assert float(value_set(name).index(levels_of(profile))) == pytest.approx(utility, abs=1e-8)


@pytest.mark.skipif(SHARED is None, reason="the shared reference numbers are not here")
@pytest.mark.parametrize("name", sorted(SHARED_NAMES))
def test_independent_shared_reference(name: str) -> None:
    assert SHARED is not None
    reference = json.loads(SHARED.read_text(encoding="utf-8"))["sets"][SHARED_NAMES[name]]
    values = value_set(name)
    short = dict(zip(("MO", "SC", "UA", "PD", "AD"), values.decrements, strict=True))
    for key, coefficient in reference["coefficients_subtracted"].items():
        assert short[key[:2]][int(key[2]) - 1] == -coefficient
    assert (values.citation, values.doi) == (reference["citation"], reference["doi"])
    for row in reference["test_values"]:
        assert float(values.index(levels_of(int(row["profile"])))) == pytest.approx(row["utility"], abs=6e-8)
    index = values.index(_all_states(values))
    assert index.mean() == pytest.approx(reference["all_states"]["mean"], abs=1e-7)


def test_no_french_youth_set_and_every_set_has_its_paper() -> None:
    assert set(value_sets()) == set(ALL_STATES)
    youth = {values.country for values in value_sets().values() if values.instrument == "EQ-5D-Y-3L"}
    assert youth == {"Belgium", "Germany", "Netherlands", "Spain"}
    assert all(values.citation and values.doi.startswith("10.") for values in value_sets().values())
    assert DIMENSIONS == law.DIMENSIONS


def test_levels_two_and_three_of_the_french_set_are_nearly_flat() -> None:
    steps = np.diff(value_set("france_5l").decrements, axis=1)
    assert (steps[:, 1] < 0.03).all()
    assert (steps[:, 2] > 0.1).all()


# -- shapes and refusals -----------------------------------------------------------------------------------------
def test_properties_of_shapes_missing_items_and_axes() -> None:
    values = value_set("france_5l")
    levels = np.array([[[1, 1, 1, 1, 1], [2, 1, 2, 3, 2]], [[5, 5, 5, 5, 5], [1, 0, 1, 1, 1]]], dtype=np.int8)
    index = values.index(levels)
    assert index.shape == (2, 2)
    assert index[0, 1] == pytest.approx(1 - 0.03759 - 0.03313 - 0.04704 - 0.02046)
    assert np.isnan(index[1, 1])
    assert np.array_equal(values.index(np.moveaxis(levels, -1, 0), axis=0), index, equal_nan=True)
    assert np.array_equal(values.index(levels_of([11111, 21232])), index[0])
    assert values.index(np.empty((0, 5), dtype=np.int8)).shape == (0,)


@pytest.mark.parametrize(
    ("name", "levels", "message"),
    [
        ("france_5l", [1, 1, 1, 1, 6], "no level 6"),
        ("belgium_y3l", [1, 1, 4, 1, 1], "no level 4"),
        ("france_5l", [1, 1, -1, 1, 1], "no level -1"),
        ("france_5l", [1, 1, 1, 1], "five whole numbers"),
        ("france_5l", [1.0, 1.0, 1.0, 1.0, 1.0], "five whole numbers"),
    ],
)
def test_levels_that_do_not_exist_are_refused(name: str, levels: list[int], message: str) -> None:
    with pytest.raises(InputError, match=message):
        value_set(name).index(np.array(levels))


def test_unknown_sets_and_profiles_are_refused() -> None:
    with pytest.raises(InputError, match="did you mean 'france_5l'"):
        value_set("france_5L")
    with pytest.raises(InputError, match="five digits"):
        levels_of(123456)


def test_closed_form_expected_index_is_the_average_over_states() -> None:
    values = value_set("spain_y3l")
    p = np.random.default_rng(3).dirichlet(np.ones(3), size=(4, 5))
    states = _all_states(values)
    weight = np.prod([p[:, d][:, states[:, d] - 1] for d in range(5)], axis=0)
    assert values.expected(p) == pytest.approx(weight @ values.index(states), abs=1e-12)


@pytest.mark.parametrize(
    "decrements",
    [np.zeros((5, 5)), np.array([[0, 0.2, 0.1]] * 5), np.array([[0.1, 0.2, 0.3]] * 5)],
    ids=["levels", "order", "level-1"],
)
def test_a_table_that_is_no_value_set_is_refused(decrements: np.ndarray) -> None:
    with pytest.raises(ValueError, match="made_up"):
        ValueSet("made_up", "EQ-5D-Y-3L", "", "", "", decrements)
