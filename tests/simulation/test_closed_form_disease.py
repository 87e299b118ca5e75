"""CMV disease: its hazard over linear pieces of the load against adaptive quadrature, and shares by closed form."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
from scipy import integrate, optimize
from simulation_build import binomial_se, history, lone, single

from cmvsim.simulation.kernels import layout as at
from cmvsim.simulation.kernels.disease import spend_disease

V0, H, KAPPA, REFERENCE = 1.0, 0.02, 0.5, 3.0
INF = math.inf
PATIENTS = 1000
N = PATIENTS * 64


def _load(t: float, c: dict[str, float]) -> float:
    """Section 6: the smaller of the natural and the controlled course."""
    top = c["onset"] + (c["peak"] - V0) / c["growth"]
    if t < top:
        natural = V0 + c["growth"] * (t - c["onset"])
    elif t <= c["plateau_end"]:
        natural = c["peak"]
    else:
        natural = c["peak"] - c["decay"] * (t - c["plateau_end"])
    controlled = c["knot_value"] + c["knot_slope"] * (t - c["knot_time"]) if c["knot_time"] < INF else INF
    return min(natural, controlled)


def _kinks(c: dict[str, float], a: float, b: float) -> list[float]:
    """Times at which load or factor change their form, crossings of the two courses included."""
    top = c["onset"] + (c["peak"] - V0) / c["growth"]
    found = [top, c["plateau_end"], c["from"], c["to"]]
    if c["knot_time"] < INF:

        def gap(t: float) -> float:
            return _load(t, c | {"knot_time": INF}) - (c["knot_value"] + c["knot_slope"] * (t - c["knot_time"]))

        grid = sorted({a, b, *(t for t in found if a < t < b)})
        for low, high in itertools.pairwise(grid):
            inner = high - 1e-12 * max(1.0, abs(high))
            if gap(low) * gap(inner) < 0:
                found.append(optimize.brentq(gap, low, inner, xtol=1e-13))
    return sorted({t for t in found if a < t < b})


def _spent(c: dict[str, float], a: float, b: float) -> float:
    def hazard(t: float) -> float:
        ratio = c["ratio"] if c["from"] <= t < c["to"] else 1.0
        return H * ratio * 10 ** (KAPPA * (_load(t, c) - REFERENCE))

    edges = [a, *_kinks(c, a, b), b]
    return sum(integrate.quad(hazard, x, y, epsabs=1e-13, epsrel=1e-12)[0] for x, y in itertools.pairwise(edges))


def _course(rng: np.random.Generator, treated: str) -> tuple[dict[str, float], float]:
    """A random episode, and a time at which it is looked at: before treatment, while falling on it, or regrowing."""
    c = {
        "onset": rng.uniform(-5, 40),
        "growth": rng.uniform(0.05, 0.8),
        "peak": rng.uniform(V0, 5.5),
        "decay": rng.uniform(0.05, 0.5),
        "knot_time": INF,
        "knot_value": 0.0,
        "knot_slope": 0.0,
        "ratio": rng.choice([1.0, 0.3, 2.5]),
    }
    top = c["onset"] + (c["peak"] - V0) / c["growth"]
    c["plateau_end"] = top + rng.exponential(10) if rng.random() < 0.6 else INF
    c["from"] = rng.uniform(-5, 50) if rng.random() < 0.6 else INF
    c["to"] = c["from"] + rng.exponential(20)
    if treated == "untreated":
        return c, c["onset"] + rng.choice([0.0, 1.0]) * rng.exponential(15)
    t = c["onset"] + rng.exponential(15)
    c |= {"knot_value": _load(t, c), "knot_time": t, "knot_slope": -rng.uniform(0.05, 0.6)}
    if treated == "regrowing":
        later = t + rng.exponential(10)
        c |= {"knot_value": _load(later, c), "knot_time": later, "knot_slope": c["growth"]}
    return c, c["knot_time"] + rng.choice([0.0, 1.0]) * rng.exponential(5)


def _kernel(c: dict[str, float], t: float, until: float, clock: float) -> tuple[float, float]:
    s, x, p = np.zeros(at.STATE), np.zeros(at.FACTORS + at.TRAITS_PER_FACTOR), np.zeros(at.PARAMETERS)
    s[at.ACTIVE] = 1.0
    s[at.ONSET], s[at.PEAK], s[at.PLATEAU_END], s[at.DECAY] = c["onset"], c["peak"], c["plateau_end"], c["decay"]
    s[at.KNOT_TIME], s[at.KNOT_VALUE], s[at.KNOT_SLOPE] = c["knot_time"], c["knot_value"], c["knot_slope"]
    x[at.GROWTH], x[at.LETERMOVIR_FROM], x[at.LETERMOVIR_TO], x[at.LETERMOVIR_DISEASE] = (
        c["growth"],
        c["from"],
        c["to"],
        c["ratio"],
    )
    p[at.V0], p[at.DISEASE_HAZARD], p[at.DISEASE_SLOPE], p[at.DISEASE_REFERENCE] = V0, H, KAPPA, REFERENCE
    time, left = spend_disease(s, x, p, t, until, clock)
    return float(time), float(left)


@pytest.mark.parametrize("treated", ["untreated", "falling", "regrowing"])
def test_the_clock_of_disease_is_spent_as_quadrature_says(treated: str) -> None:
    rng = np.random.default_rng(4)
    crossings = windows = 0
    for _ in range(150):
        c, t = _course(rng, treated)
        until = t + rng.exponential(30)
        expected = _spent(c, t, until)
        time, left = _kernel(c, t, until, 1e6)
        assert time == INF
        assert 1e6 - left == pytest.approx(expected, rel=1e-6, abs=2e-9)
        clock = expected * rng.uniform(0.05, 0.95)
        time, left = _kernel(c, t, until, clock)
        assert left == 0.0
        assert t <= time <= until
        assert _spent(c, t, time) == pytest.approx(clock, rel=1e-7, abs=1e-10)
        assert _kernel(c, t, until, expected * 1.001 + 1e-9)[0] == INF
        windows += t < c["from"] < until
        crossings += len(_kinks(c, t, until)) - len(_kinks(c | {"knot_time": INF}, t, until))
    assert windows > 10
    assert crossings > 5 or treated == "untreated"


def test_spending_in_parts_is_spending_at_once() -> None:
    """Other events interrupt the clock; what is left goes on."""
    rng = np.random.default_rng(8)
    for _ in range(100):
        c, t = _course(rng, "falling")
        until, clock = t + 25.0, 10.0
        for low, high in itertools.pairwise(sorted([t, *rng.uniform(t, until, 4), until])):
            clock = _kernel(c, low, high, clock)[1]
        assert clock == pytest.approx(_kernel(c, t, until, 10.0)[1], abs=1e-11)


PERSISTENT = (
    "study.inclusion=0",
    "cmv.onset.prevalent=1",
    "cmv.onset.prevalent_age=0",
    "cmv.onset.episodes=1",
    "cmv.load.self_limited.share=0",
    "monitoring.assay_sd_log10=0",
    "preemptive_therapy.accepted=0",
    "preemptive_therapy.delay=0",
)


def test_disease_of_a_growing_then_steady_load() -> None:
    """Everybody's load grows from infusion to its set-point: 4 SE; the hazard at the set-point throughout is wrong."""
    growth, peak, hazard, mu = math.log10(2) / 4.0, 3.6, 0.03, 0.006
    of = single(
        *PERSISTENT,
        "cmv.load.start_log10=1",
        "cmv.load.doubling_time=4",
        f"cmv.load.set_point={peak}",
        f"cmv.disease.hazard={hazard}",
        "cmv.disease.slope=0.5",
        "cmv.disease.reference_log10=3",
        baseline=lone(mu, amplitude=1e-9),
    )
    h = history(of, PATIENTS, path=False)
    assert h.disease is not None
    c, k = 0.5 * growth * math.log(10), 10 ** (0.5 * (peak - 3))
    top = (peak - 1) / growth

    def spent(t: float) -> float:
        rising = hazard * 10 ** (0.5 * (1 - 3)) * math.expm1(c * min(t, top)) / c
        return rising + hazard * k * max(t - top, 0.0)

    for day in (14, 30, 90):
        expected = -math.expm1(-spent(day))
        share = float((h.disease.time <= day).mean())
        assert abs(share - expected) < 4 * binomial_se(expected, N)
        assert abs(share - -math.expm1(-hazard * k * day)) > 10 * binomial_se(expected, N)

    def competing(t: float) -> float:  # death is not changed by disease here
        rate = hazard * (10 ** (0.5 * (1 + growth * t - 3)) if t < top else k)
        return rate * math.exp(-spent(t) - mu * t)

    before_death = integrate.quad(competing, 0, 90, points=[top])[0]
    seen = float(((h.disease.time <= 90) & (h.disease.time <= h.death)).mean())
    assert abs(seen - before_death) < 4 * binomial_se(before_death, N)
    assert abs(seen - -math.expm1(-spent(90))) > 20 * binomial_se(before_death, N)


def test_organs_have_their_shares() -> None:
    of = single(*PERSISTENT, "cmv.load.set_point=5", "cmv.disease.hazard=0.05", baseline=lone(amplitude=1e-9))
    h = history(of, 200, path=False)
    assert h.disease is not None
    ill = np.isfinite(h.disease.time)
    assert np.array_equal(h.disease.organ >= 0, ill)
    for i, share in enumerate(float(v) for v in of.cmv.disease.organs.values()):
        assert abs(float((h.disease.organ[ill] == i).mean()) - share) < 4 * binomial_se(share, int(ill.sum()))
