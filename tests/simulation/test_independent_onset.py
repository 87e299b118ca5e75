"""First onset: the piecewise inversion against numerical integration, and incidence against its closed form."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from scipy import optimize
from simulation_build import FULL_ATTENDANCE, binomial_se, history, lone, model, single
from simulation_twin_hazard import Factor, Law

from cmvsim.core.streams import Role
from cmvsim.models.time_grid import on_grid
from cmvsim.simulation.background import Background
from cmvsim.simulation.draws import ChunkDraws
from cmvsim.simulation.kernels.hazard import log_factor, next_change, not_yet, spend
from cmvsim.simulation.onset import onset_factors

PATIENTS = 2000  # x 64 replicates: an SE of 0.0014 at an incidence of 0.5
EXACT = settings(max_examples=150, deadline=None)

grid = st.integers(-10 * 2**20, 60 * 2**20).map(lambda k: k / 2**20)
durations = st.integers(0, 40 * 2**20).map(lambda k: k / 2**20)
quarters = st.integers(1, 56).map(lambda k: k / 4)
ratios = st.floats(0.2, 8)


HORIZON = 104.0


@st.composite
def laws(draw: st.DrawFn) -> Law:
    """Three factors as courses have them, letermovir with its rebound, and one for good."""
    step, factors = draw(quarters), []
    for kind in ("course", "course", "rebound", "for good"):
        start = draw(st.one_of(grid, st.just(math.inf)))
        stop = start + draw(durations) if kind != "for good" else math.inf
        within = math.log(draw(ratios))
        after = {"course": within, "rebound": math.log(draw(ratios)), "for good": 0.0}[kind]
        factors.append(Factor(start, stop, within, after, 0.0 if kind == "for good" else draw(quarters), step))
    amplitude, median, shape = draw(st.floats(0.05, 10)), draw(st.floats(2, 60)), draw(st.floats(0.6, 3))
    return Law(amplitude, -5.0, median, shape, HORIZON, tuple(factors))


def _windows(law: Law) -> tuple[np.ndarray, np.ndarray]:
    """The factors as the kernel takes them."""
    traits = np.array([x for f in law.factors for x in (f.start, f.stop, f.within, f.after)])
    return traits, np.array([[f.washout, f.step] for f in law.factors])


def advance(low: float, high: float, clock: float, law: Law, ratio: float = 1.0) -> tuple[float, float]:
    """The kernel's walk: when the clock is spent, and what is left of it."""
    traits, factors = _windows(law)
    law_of_time = law.origin, law.scale, law.shape
    return spend(low, high, not_yet(high, *law_of_time), clock, ratio * law.amplitude, *law_of_time, traits, 0, factors)


def _log_ratio(factor: Factor, t: float) -> float:
    """As stated: full in [start, stop), then declining on the log scale, held from each step's beginning."""
    if math.isinf(factor.start) or t < factor.start or t >= factor.stop + factor.washout:
        return 0.0
    if t < factor.stop:
        return factor.within
    return factor.after * (1 - math.floor((t - factor.stop) / factor.step) * factor.step / factor.washout)


NODES, WEIGHTS = np.polynomial.legendre.leggauss(30)


def _integral(law: Law, low: float, high: float) -> float:
    """Cumulative hazard by Gauss-Legendre quadrature of A w(t) x ratios, finely between the changes."""
    if high <= low:
        return 0.0
    changes = (c for factor in law.factors for c in factor.changes())
    fine = (law.origin + law.scale * k / 4 for k in range(1, 25))
    cuts = sorted({low, high, *(c for c in (*changes, *fine) if low < c < high)})
    total = 0.0
    for a, b in itertools.pairwise(cuts):
        factor = math.exp(math.fsum(_log_ratio(f, (a + b) / 2) for f in law.factors))
        u, v = (((t - law.origin) / law.scale) ** law.shape for t in (a, b))  # in this time the density is exp(-u)
        total += factor * (v - u) / 2 * float(WEIGHTS @ np.exp(-((u + v) / 2 + (v - u) / 2 * NODES)))
    return law.amplitude * total


@EXACT
@given(laws(), st.floats(1e-3, 3))
def test_onset_is_where_the_integrated_hazard_spends_the_clock(law: Law, clock: float) -> None:
    horizon = HORIZON
    onset, left = advance(law.origin, horizon, clock, law)
    whole = _integral(law, law.origin, horizon)
    assume(abs(whole - clock) > 1e-9)
    if whole < clock:
        assert onset == math.inf
        assert left == pytest.approx(clock - whole, abs=1e-9)
        return
    root = optimize.brentq(lambda t: _integral(law, law.origin, t) - clock, law.origin, horizon, xtol=1e-12, rtol=1e-14)
    spent = _integral(law, law.origin, onset)
    assert abs(onset - root) <= 1e-9 or abs(spent - clock) <= 1e-12, (onset, root)
    assert left == 0.0


@EXACT
@given(laws(), st.floats(1e-3, 3), st.floats(-5, 104), st.floats(0.05, 5))
def test_a_clock_spent_in_two_parts_is_the_same_clock(law: Law, clock: float, pause: float, factor: float) -> None:
    """Stopping and going on at the same rate changes nothing; at another rate only what is left counts."""
    whole, _ = advance(law.origin, 104.0, clock, law)
    first, left = advance(law.origin, pause, clock, law)
    assume(abs(_integral(law, law.origin, 104.0) - clock) > 1e-9)
    if first < math.inf:
        assert abs(first - whole) <= 1e-9 or abs(_integral(law, first, whole)) <= 1e-12
        return
    assert left == pytest.approx(clock - _integral(law, law.origin, pause), abs=1e-9)
    second, _ = advance(pause, 104.0, left, law)
    assert second == whole or abs(second - whole) <= 1e-9 or abs(_integral(law, law.origin, second) - clock) <= 1e-12
    later, rest = advance(pause, 104.0, left, law, factor)
    available = factor * _integral(law, pause, 104.0)
    assume(abs(available - left) > 1e-9)
    assert (later < math.inf) == (available > left)
    if later < math.inf:
        assert factor * _integral(law, pause, later) == pytest.approx(left, abs=1e-9)
    else:
        assert rest == pytest.approx(left - available, abs=1e-9)


@EXACT
@given(laws(), st.floats(1e-3, 3), st.floats(-5, 104))
def test_the_twin_spends_and_inverts_the_same_hazard(law: Law, clock: float, low: float) -> None:
    """So that the second account of the whole course stands on an integral that is right."""
    assert law.spent(low, HORIZON) == pytest.approx(_integral(law, low, HORIZON), abs=1e-9)
    t = law.reach(low, 1.0, clock)
    whole = _integral(law, low, HORIZON)
    assume(abs(whole - clock) > 1e-9)
    assert (t < math.inf) == (whole > clock)
    if t < math.inf:
        assert _integral(law, low, t) == pytest.approx(clock, abs=1e-9)


@EXACT
@given(laws(), st.floats(-5, 104))
def test_factors_are_the_stated_step_functions(law: Law, t: float) -> None:
    traits, factors = _windows(law)
    expected = math.fsum(_log_ratio(factor, t) for factor in law.factors)
    assert log_factor(t, traits, 0, factors) == pytest.approx(expected, abs=1e-12)
    assert math.fsum(factor.log_ratio(t) for factor in law.factors) == pytest.approx(expected, abs=1e-12)


@pytest.mark.parametrize(("step", "washout"), [(7, 42), (1, 42.3), (1.1, 30.1), (1.3, 10.7), (2.7, 2.7), (60, 0.05)])
def test_the_walk_over_changes_always_moves_on(step: float, washout: float) -> None:
    """For any allowed wash-out and step, as the engine uses them: a walk that stands still never ends."""
    of = model(f"toxicity.washout_step={step}", f"toxicity.corticosteroids.washout={washout}")
    background = Background(of, ChunkDraws(1, Role.STUDY, 0, 4))
    factors = onset_factors(of, background)
    course = factors.members[1]
    assert course.step == pytest.approx(step, abs=1e-6)
    assert course.washout == pytest.approx(washout, abs=1e-6)
    for stop in on_grid(np.random.default_rng(1).uniform(1, 60, 200)):
        traits = np.array([1.0, float(stop), 1.0, 1.0])
        t, changes = 0.0, 0
        while t < math.inf:
            later = next_change(t, traits, 0, factors.shared[1:2])
            assert later > t, f"a course that stops at {stop!r}: stands still at {t!r}"
            t, changes = later, changes + 1
        assert changes <= 4 + washout / step


def test_the_hazard_is_inverted_at_its_edges() -> None:
    law = Law(2.0, -5.0, 20.0, 1.27, HORIZON, (Factor(math.inf, math.inf, 2.0, 2.0, 14.0, 7.0),) * 2)
    assert advance(-5.0, 104.0, 0.7, law, 0.0) == (math.inf, 0.7)
    assert advance(50.0, 50.0, 0.7, law) == (math.inf, 0.7)
    assert not_yet(-6.0, -5.0, 20.0, 1.27) == 1.0
    assert not_yet(law.median - 5.0, -5.0, law.scale, law.shape) == pytest.approx(0.5, abs=1e-14)


# -- incidence of a cohort against its closed form ---------------------------------------------------------------
def _steroids(ratio: float) -> tuple[str, ...]:
    return (
        "toxicity.corticosteroids.use.lymphoma.axicabtagene=1",
        "toxicity.crs.onset=3",
        "toxicity.icans.onset=3",
        "toxicity.corticosteroids.lag=5",
        "toxicity.corticosteroids.duration=10",
        "toxicity.corticosteroids.washout=28",
        f"cmv.onset.ratios.corticosteroids={ratio}",
        "toxicity.tocilizumab.use.lymphoma.axicabtagene=0",
        "cmv.onset.prevalent=0",
        "cmv.onset.shape=1.4",
        *FULL_ATTENDANCE,
    )


def _incidence(t: float, amplitude: float, ratio: float, law: str) -> float:
    """1 - exp(-cumulative hazard) for steroids on [8, 18) with a wash-out of 28 days; step, none, or continuous."""
    shape, scale = 1.4, 24.0 / math.log(2) ** (1 / 1.4)

    def share(x: float) -> float:
        return -math.expm1(-((max(x + 5, 0) / scale) ** shape))

    def log_ratio(x: float) -> float:
        if x < 8 or x >= 46:
            return 0.0
        if x < 18:
            return math.log(ratio)
        decline = {"steps": math.floor((x - 18) / 7) * 7 / 28, "none": 1.0, "continuous": (x - 18) / 28}[law]
        return math.log(ratio) * (1 - decline)

    cuts = [c for c in (-5, 8, 18, *np.arange(18, 46, 7 if law != "continuous" else 0.05), 46) if c < t] + [t]
    cuts = sorted(set(cuts))
    total = sum(math.exp(log_ratio((a + b) / 2)) * (share(b) - share(a)) for a, b in itertools.pairwise(cuts))
    return -math.expm1(-amplitude * total)


def test_cumulative_incidence_follows_the_windows() -> None:
    """Within 4 SE at seven days, and some day tells the stepped wash-out from none and from a continuous one."""
    of = single(*_steroids(5.0), baseline=lone(amplitude=0.8, median=24.0))
    h = history(of, PATIENTS, path=True)
    assert h.episodes is not None
    onset, n = h.episodes.onset[..., 0], PATIENTS * 64
    rejected = {"none": 0.0, "continuous": 0.0}
    for t in (5.0, 10.0, 18.0, 25.0, 32.0, 46.0, 90.0):
        seen, expected = float((onset <= t).mean()), _incidence(t, 0.8, 5.0, "steps")
        assert abs(seen - expected) < 4 * binomial_se(expected, n), t
        for law, furthest in rejected.items():
            wrong = _incidence(t, 0.8, 5.0, law)
            rejected[law] = max(furthest, abs(seen - wrong) / binomial_se(wrong, n))
    assert min(rejected.values()) > 8, rejected


def test_cumulative_incidence_of_a_frail_population() -> None:
    """The score acts as a log-normal frailty: Gauss-Hermite over Z; the incidence of its mean is rejected."""
    of = single(
        "cmv.onset.ratios.score=2.5", "cmv.onset.prevalent=0", "cmv.onset.shape=1.4", baseline=lone(amplitude=0.5, median=24.0)
    )
    h = history(of, PATIENTS)
    assert h.episodes is not None
    z, weight = np.polynomial.hermite_e.hermegauss(60)
    weight = weight / weight.sum()
    n = PATIENTS * 64
    for t in (10.0, 30.0, 90.0):
        base = 1 - not_yet(t, -5.0, 24.0 / math.log(2) ** (1 / 1.4), 1.4)
        expected = float((weight * -np.expm1(-0.5 * base * 2.5**z)).sum())
        seen = float((h.episodes.onset[..., 0] <= t).mean())
        assert abs(seen - expected) < 4 * binomial_se(expected, n)
        without = -math.expm1(-0.5 * base)
        assert abs(seen - without) > 8 * binomial_se(without, n)


def test_prevalent_share_and_age() -> None:
    """Onsets before inclusion are the prevalent ones: their share, and ages uniform up to 28 days."""
    of = single("cmv.onset.prevalent=0.3", baseline=lone(amplitude=0.5))
    h = history(of, PATIENTS)
    assert h.episodes is not None
    before = h.episodes.onset[..., 0] < -5
    assert abs(before.mean() - 0.3) < 4 * binomial_se(0.3, before.size)
    age = -5 - h.episodes.onset[..., 0][before]
    assert age.min() >= 0
    assert age.max() <= 28
    assert abs(age.mean() - 14) < 4 * 28 / math.sqrt(12 * age.size)
