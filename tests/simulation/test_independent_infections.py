"""A plain twin of the kernel: windows of a factor are merged, and the cumulative hazard is inverted by bisection."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from infections_build import hazards, spec, twin

from cmvsim.models.windows import Windows
from cmvsim.simulation.event_times import Factor, Hazard
from cmvsim.simulation.infections import infections

day = st.one_of(st.floats(-10, 120), st.integers(-5, 110).map(float))
window = st.tuples(day, st.floats(0, 60)).map(lambda w: (w[0], w[0] + w[1]))
open_window = day.map(lambda start: (start, math.inf))
absent = st.just((math.inf, math.inf))
unknown = st.just((math.nan, math.inf))  # as an episode of CMV that did not happen
factor = st.tuples(
    st.sampled_from([0.2, 0.7, 1.0, 1.3, 4.0]), st.lists(st.one_of(window, open_window, absent, unknown), max_size=4)
)


def _windows(pairs: list[tuple[float, float]]) -> Windows:
    start = np.array([[a] for a, _ in pairs]).reshape(len(pairs), 1)
    return Windows(start, np.array([[b] for _, b in pairs]).reshape(len(pairs), 1))


@settings(max_examples=400, deadline=None)
@given(
    st.one_of(st.just(0.0), st.floats(0, 110), st.just(math.inf)),
    st.floats(1e-3, 4),
    st.floats(1e-3, 5),
    st.lists(st.floats(1, 100), max_size=2, unique=True).map(sorted),
    st.lists(st.sampled_from([0.0, 0.003, 0.02, 0.3]), min_size=3, max_size=3),
    st.lists(factor, max_size=4),
    st.sampled_from([90.0, 104.0, math.inf]),
)
def test_the_kernel_inverts_as_its_twin_does(begin, clock, rate, cuts, base, factors, until) -> None:
    base = base[: len(cuts) + 1]
    hazard = Hazard.of(
        np.array([rate]), [Factor(str(i), ratio, _windows(pairs)) for i, (ratio, pairs) in enumerate(factors)], cuts, base
    )
    got = float(hazard.invert(np.array([clock]), np.array([begin]), until)[0])
    real = [(ratio, [pair for pair in pairs if pair[0] < math.inf]) for ratio, pairs in factors]
    expected = twin(begin, clock, rate, cuts, base, real, until) if begin < until else math.inf
    if math.isfinite(expected) and math.isinf(got):  # the very end of the horizon is a tie of rounding
        assert until - expected < 1e-8
    else:
        assert got == pytest.approx(expected, abs=1e-8, rel=1e-10)


def test_patients_of_a_table_do_not_mix() -> None:
    """A thousand patients with their own windows at once, each as its twin says."""
    rng = np.random.default_rng(8)
    size, most = 1000, 3
    start = np.where(rng.random((most, size)) < 0.6, rng.uniform(-5, 100, (most, size)), np.inf)
    stop = start + rng.exponential(20, (most, size))
    other = rng.uniform(0, 60, size)
    rate, clock, begin = rng.lognormal(0, 0.5, size), rng.exponential(1, size), rng.uniform(0, 30, size)
    factors = [Factor("a", 3.0, Windows(start, stop)), Factor("b", 0.4, Windows(other, other + 15))]
    got = Hazard.of(rate, factors, (28.0,), (0.03, 0.008)).invert(clock, begin, 104.0)
    events = 0
    for i in range(size):
        mine = [(a, b) for a, b in zip(start[:, i], stop[:, i], strict=True) if a < np.inf]
        both = [(3.0, mine), (0.4, [(other[i], other[i] + 15)])]
        expected = twin(begin[i], clock[i], rate[i], [28.0], [0.03, 0.008], both, 104.0)
        assert got[i] == pytest.approx(expected, abs=1e-8)
        events += math.isfinite(expected)
    assert 300 < events < 900, "both outcomes are compared"


def test_whole_histories_of_infections_are_those_of_the_twin() -> None:
    """Recurrence, durations, severity and the order of draws, from the streams themselves."""
    of = spec(
        "infections.bacterial.ratios={ score = 1.5, leukaemia = 2, cmv = 3, neutropenia = 4, corticosteroids = 0.5 }",
        "infections.fungal.ratios={ score = 1.2, leukaemia = 1, cmv = 2, neutropenia = 1, corticosteroids = 3 }",
        "infections.bacterial.episodes=3",
    )
    size, rng = 512, np.random.default_rng(3)
    streams: dict[tuple[str, int], np.ndarray] = {}
    make = {"_severe": rng.random, "_duration": rng.standard_normal}

    def draws(name: str, index: int = 0) -> np.ndarray:
        kind = next((make[end] for end in make if name.endswith(end)), rng.standard_exponential)
        return streams.setdefault((name, index), kind(size))

    def random_windows(rows: int) -> Windows:
        start = np.where(rng.random((rows, size)) < 0.5, rng.uniform(0, 80, (rows, size)), np.inf)
        return Windows(start, start + rng.exponential(15, (rows, size)))

    windows = {"cmv": random_windows(3), "neutropenia": random_windows(2), "corticosteroids": random_windows(1)}
    score, leukaemia = rng.standard_normal(size), rng.random(size) < 0.4
    got = infections(of, hazards((0.03, 0.01), (0.01, 0.02)), score, leukaemia, **windows, draws=draws, horizon=104.0)
    counts = np.zeros(4, dtype=int)
    for i in range(size):
        own = {n: [(a, b) for a, b in zip(w.start[:, i], w.stop[:, i], strict=True) if a < np.inf] for n, w in windows.items()}

        def expected(begin, clock, ratio, hazard, i=i, own=own) -> float:
            factors = [(r, own[n]) for n, r in zip(own, ratio[2:], strict=True)]
            rate = ratio[0] ** score[i] * (ratio[1] if leukaemia[i] else 1.0)
            return twin(begin, clock, rate, [28.0], hazard, factors, 104.0)

        begin, k = 0.0, 0
        while k < 3:
            start = expected(begin, streams["infections.bacterial", k][i], (1.5, 2, 3, 4, 0.5), [0.03, 0.01])
            assert got.bacterial.start[k, i] == pytest.approx(start, abs=1e-8)
            if start == math.inf:
                break
            begin = start + 10 * math.exp(0.5 * streams["infections.bacterial_duration", k][i])
            assert got.bacterial.stop[k, i] == pytest.approx(begin, abs=1e-8)
            assert got.bacterial_severe[k, i] == (streams["infections.bacterial_severe", k][i] < float(of.bacterial.severe))
            k += 1
        counts[k] += 1
        assert np.all(np.isinf(got.bacterial.start[k:, i]) & np.isinf(got.bacterial.stop[k:, i]))
        start = expected(0.0, streams["infections.fungal", 0][i], (1.2, 1, 2, 1, 3), [0.01, 0.02])
        assert got.fungal.start[i] == pytest.approx(start, abs=1e-8)
        if start < math.inf:
            lasts = 42 * math.exp(0.5 * streams["infections.fungal_duration", 0][i])
            assert got.fungal.stop[i] == pytest.approx(start + lasts, abs=1e-8)
            assert got.fungal_severe[i] == (streams["infections.fungal_severe", 0][i] < float(of.fungal.severe))
    assert counts.min() >= 30, "each number of infections occurs"
