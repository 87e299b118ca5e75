"""What must hold of infections whatever the numbers."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from infections_build import HORIZON, NO_FACTORS, draws, hazards, never, run, spec

from cmvsim.core.errors import InputError
from cmvsim.models.infections import Infections
from cmvsim.models.windows import Windows
from cmvsim.scenarios import resolve

SIZE = 64 * 8


def _windows(seed: int, rows: int) -> Windows:
    rng = np.random.default_rng(seed)
    start = np.where(rng.random((rows, SIZE)) < 0.7, rng.uniform(-5, 90, (rows, SIZE)), np.inf)
    return Windows(start, start + rng.exponential(25, (rows, SIZE)))


def _bytes(found: Infections) -> bytes:
    arrays = (found.bacterial.start, found.bacterial.stop, found.bacterial_severe)
    return b"".join(a.tobytes() for a in (*arrays, found.fungal.start, found.fungal.stop, found.fungal_severe))


def _ratios(**changed: float) -> tuple[str, str]:
    names = ("score", "leukaemia", "cmv", "neutropenia", "corticosteroids")
    table = ", ".join(f"{name} = {changed.get(name, 1)}" for name in names)
    return tuple(f"infections.{kind}.ratios={{ {table} }}" for kind in ("bacterial", "fungal"))


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 10**6), st.floats(0, 0.3), st.floats(0, 0.3), st.integers(1, 6), st.sampled_from([0.1, 10.0, 60.0]))
def test_nobody_has_an_infection_inside_another(seed: int, early: float, late: float, most: int, lasts: float) -> None:
    of = spec(
        f"infections.bacterial.episodes={most}",
        f"infections.bacterial.duration={{ median = {lasts}, varies = {{ sdlog = 1 }} }}",
    )
    windows = {"cmv": _windows(seed, 3), "neutropenia": _windows(seed + 1, 2), "corticosteroids": _windows(seed + 2, 1)}
    found = run(of, hazards((early, late), (late, early)), size=SIZE, draws=draws(8, seed), score=0.5, **windows)
    start, stop = found.bacterial.start, found.bacterial.stop
    assert start.shape == stop.shape == found.bacterial_severe.shape == (most, SIZE)
    there = np.isfinite(start)
    assert np.array_equal(there, np.isfinite(stop))
    assert np.all(there[1:] <= there[:-1]), "no second without a first"
    assert np.all((start[there] >= 0) & (start[there] <= HORIZON) & (stop[there] > start[there]))
    assert np.all(start[1:][there[1:]] >= stop[:-1][there[1:]])
    assert not found.bacterial_severe[~there].any()
    assert found.severe.start.shape == found.any.start.shape == (most + 1, SIZE)
    assert np.array_equal(np.isfinite(found.severe.start[:-1]), found.bacterial_severe)
    assert np.array_equal(np.isfinite(found.severe.start[-1]), found.fungal_severe)
    assert np.array_equal(found.any.stop[-1], found.fungal.stop)


@pytest.mark.parametrize("name", ["cmv", "neutropenia", "corticosteroids"])
def test_a_factor_of_one_is_no_window_to_the_last_bit(name: str) -> None:
    others = {n: _windows(i, 2) for i, n in enumerate(("cmv", "neutropenia", "corticosteroids")) if n != name}
    of = spec(*_ratios(score=1.5, leukaemia=2, **dict.fromkeys(others, 3)))
    given_hazards = hazards((0.02, 0.01), (0.01, 0.01))
    with_windows = run(of, given_hazards, size=SIZE, **{name: _windows(9, 3)}, **others)
    without = run(of, given_hazards, size=SIZE, **{name: never(SIZE)}, **others)
    needless = run(of, given_hazards, size=SIZE, **{name: None}, **others)
    assert _bytes(with_windows) == _bytes(without) == _bytes(needless)
    acting = spec(*_ratios(score=1.5, leukaemia=2, **{name: 3}, **dict.fromkeys(others, 3)))
    assert _bytes(run(acting, given_hazards, size=SIZE, **{name: _windows(9, 3)}, **others)) != _bytes(without)
    # no window where the factor acts: the same again
    assert _bytes(run(acting, given_hazards, size=SIZE, **{name: never(SIZE)}, **others)) == _bytes(without)
    with pytest.raises(ValueError, match=f"'{name}' acts"):
        run(acting, given_hazards, size=SIZE, **{name: None}, **others)


def test_leaving_a_factor_out_changes_no_draw() -> None:
    """The same streams whatever acts, and the same clocks: only what the factor does differs."""
    asked = []
    for overrides in (_ratios(), _ratios(score=2, leukaemia=2, cmv=2, neutropenia=3, corticosteroids=2)):
        chance = draws(8)
        windows = {n: _windows(i, 2) for i, n in enumerate(("cmv", "neutropenia", "corticosteroids"))}
        found = run(spec(*overrides), hazards((0.03, 0.02), (0.01, 0.01)), size=SIZE, draws=chance, score=0.3, **windows)
        asked.append((set(chance.drawn), found))
    assert asked[0][0] == asked[1][0]
    plain, more = asked[0][1], asked[1][1]
    assert np.all(more.bacterial.start[0] <= plain.bacterial.start[0]), "every ratio is above one"
    both = np.isfinite(plain.fungal.start)
    assert np.all(more.fungal.start[both] <= plain.fungal.start[both])
    length, other = (f.fungal.stop[both] - f.fungal.start[both] for f in (plain, more))
    np.testing.assert_allclose(length, other, rtol=1e-12)
    assert np.array_equal(plain.fungal_severe[both], more.fungal_severe[both])


def test_a_smaller_study_is_a_prefix() -> None:
    of, given_hazards = spec(*NO_FACTORS), hazards((0.03, 0.02), (0.01, 0.01))
    few, many = run(of, given_hazards, size=64 * 5), run(of, given_hazards, size=64 * 9)
    assert few.bacterial.start.tobytes() == np.ascontiguousarray(many.bacterial.start[:, : 64 * 5]).tobytes()
    assert few.fungal.stop.tobytes() == many.fungal.stop[: 64 * 5].tobytes()


def test_hazards_of_zero_infect_nobody_and_unsolved_ones_are_told() -> None:
    chance = draws(8)
    found = run(spec(*NO_FACTORS), hazards((0.0, 0.0)), size=SIZE, draws=chance)
    assert np.all(np.isinf(found.any.start))
    assert ("infections.bacterial", 1) not in chance.drawn, "further streams would decide nothing"
    with pytest.raises(ValueError, match="not solved"):
        run(spec(*NO_FACTORS), hazards((), ()), size=SIZE)


@pytest.mark.parametrize(
    ("override", "says"),
    [
        ("infections.bacterial.early=1", "early: a share of 1 has no finite hazard"),
        ("infections.bacterial.late=1", "late: a share of 1"),
        ("infections.fungal.whole=1", "whole: a share of 1"),
        ("infections.bacterial.episodes=0", "episodes must be at least 1"),
        ("infections.late_until=20", r"late_until \(20\) must be after early_until \(28\)"),
        ("infections.late_until=200", r"reach to day 200, after the horizon \(104\)"),
        ("infections.bacterial.duration=0", "allowed: a number above 0, days"),
        ("infections.bacterial.ratios.cmv=0", "allowed: a number above 0, a ratio"),
    ],
)
def test_what_cannot_be_is_refused(override: str, says: str) -> None:
    with pytest.raises(InputError, match=says):
        resolve("cmv-cart", (override,))
