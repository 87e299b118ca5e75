"""Death: closed forms without CMV, and exact inversion of the hazard that steps up at the first treatment."""

from __future__ import annotations

import math
from types import SimpleNamespace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import integrate, optimize
from simulation_build import binomial_se, history, lone, single

from cmvsim.models.baseline import Baseline
from cmvsim.simulation.death import death_times, solve_death_hazards

PATIENTS = 2000
N = PATIENTS * 64


@settings(max_examples=60, deadline=None)
@given(st.floats(0.001, 0.3), st.floats(0.005, 0.4), st.floats(0.05, 0.9), st.floats(0.6, 2.5))
def test_solved_hazards_give_both_targets(nrm: float, extra: float, relapse: float, shape: float) -> None:
    """Integrated again as a two-state process: relapse-free, then relapsed, with both hazards acting after relapse."""
    death = nrm + extra * relapse
    h, after = solve_death_hazards(nrm, death, relapse, shape, 90.0)
    if math.isnan(after):
        return
    rate = -math.log1p(-relapse)

    def relapse_free(t: float) -> float:
        return math.exp(-rate * (t / 90) ** shape)

    without = integrate.quad(lambda t: h * math.exp(-h * t) * relapse_free(t), 0, 90, epsabs=1e-12)[0]
    assert without == pytest.approx(nrm, abs=1e-9)

    def relapsed(u: float) -> float:  # by the time s of relapse, s = 90 u^(1/shape): the density is then exponential
        s = 90 * u ** (1 / shape)
        return rate * math.exp(-rate * u) * math.exp(-h * s) * -math.expm1(-(h + after) * (90 - s))

    later = integrate.quad(relapsed, 0, 1, epsabs=1e-12)[0]
    assert without + later == pytest.approx(death, abs=1e-8)


def test_unreachable_and_empty_targets() -> None:
    assert solve_death_hazards(0.0, 0.0, 0.0, 1.3, 90.0) == (0.0, 0.0)
    h, after = solve_death_hazards(0.05, 0.05, 0.0, 1.3, 90.0)
    assert h == pytest.approx(-math.log(0.95) / 90)
    assert after == 0.0
    assert math.isnan(solve_death_hazards(0.05, 0.30, 0.0, 1.3, 90.0)[1]), "nobody relapses, so nobody can die of it"
    assert math.isnan(solve_death_hazards(0.01, 0.60, 0.3, 1.3, 90.0)[1])
    assert math.isnan(solve_death_hazards(0.10, 0.10, 0.5, 1.3, 90.0)[1]), "the relapsed die of other causes too"


def test_simulated_deaths_meet_the_targets() -> None:
    """4 SE; ignoring deaths after relapse, or the non-relapse hazard after it, is far outside."""
    nrm, death, relapse, shape = 0.10, 0.30, 0.45, 1.3
    h, after = solve_death_hazards(nrm, death, relapse, shape, 90.0)
    of = single(baseline=lone(h, after, amplitude=1e-9), relapse_by_90=relapse)
    got = history(of, PATIENTS, path=False)
    relapse_time = got.observation.relapse
    dead = got.death <= 90
    without = dead & (got.death < relapse_time)
    for share, target in ((dead.mean(), death), (without.mean(), nrm), ((relapse_time <= 90).mean(), relapse)):
        assert abs(share - target) < 4 * binomial_se(target, N)
    assert abs(dead.mean() - (1 - math.exp(-h * 90))) > 20 * binomial_se(death, N)


def _clock_draws(non_relapse: float, after: float) -> object:
    return lambda name, _index=0: np.array([non_relapse if name == "follow_up.non_relapse_death" else after])


def _death(
    clock: float, after_clock: float, hazard: float, after: float, ratio: float, treated: float, relapse: float
) -> float:
    spec = SimpleNamespace(death_ratios=SimpleNamespace(clinically_significant=ratio))
    baseline = Baseline(1.0, 1.0, (hazard,), (after,))
    got = death_times(
        spec,
        baseline,
        np.array([0]),
        np.array([relapse]),
        np.array([treated]),  # type: ignore[arg-type]
        _clock_draws(clock, after_clock),
    )  # type: ignore[arg-type]
    return float(got[0])


rates, clocks, factors = st.floats(1e-4, 0.05), st.floats(1e-3, 5), st.floats(0.2, 5)
times = st.one_of(st.floats(0.5, 100), st.just(math.inf))


@settings(max_examples=200, deadline=None)
@given(clocks, clocks, rates, rates, factors, times, times)
def test_death_is_where_the_stepped_hazard_spends_its_clock(
    clock: float, after_clock: float, hazard: float, after: float, ratio: float, treated: float, relapse: float
) -> None:
    got = _death(clock, after_clock, hazard, after, ratio, treated, relapse)

    def spent(t: float) -> float:
        return hazard * min(t, treated) + hazard * ratio * max(t - treated, 0.0)

    root = optimize.brentq(lambda t: spent(t) - clock, 0.0, 1e7, xtol=1e-10)
    assert got == pytest.approx(min(root, relapse + after_clock / after), abs=1e-7)


@pytest.mark.parametrize("treated", [-3.0, -0.5])
def test_treatment_before_infusion_acts_from_infusion_on(treated: float) -> None:
    """The hazard of death runs from day 0: whoever is treated by then dies at clock / (hazard x ratio)."""
    assert _death(0.5, 1.0, 0.01, 1e-9, 2.0, treated, math.inf) == pytest.approx(0.5 / 0.02, abs=1e-9)


def test_a_ratio_of_one_is_no_factor_and_hazards_of_zero_kill_nobody() -> None:
    assert _death(0.5, 1.0, 0.01, 0.02, 1.0, 10.0, math.inf) == 50.0
    assert _death(0.5, 1.0, 0.0, 0.02, 2.0, 10.0, math.inf) == math.inf
    assert _death(0.5, 1.0, 0.0, 0.02, 2.0, math.inf, 30.0) == 80.0
    assert _death(0.5, 1.0, 0.0, 0.0, 2.0, 10.0, 30.0) == math.inf


def test_clinically_significant_cmv_raises_mortality_by_its_ratio() -> None:
    """Treated on day 10 at the latest: survival to 90 by hand, and the ratio of 1 rejected."""
    hazard, ratio = 0.004, 3.0
    of = single(
        "cmv.onset.prevalent=1",
        "cmv.onset.prevalent_age=0",
        "cmv.load.doubling_time=0.01",
        "cmv.load.set_point=5",
        "cmv.load.self_limited.share=0",
        "monitoring.jitter=0",
        "monitoring.attendance=1",
        "monitoring.turnaround=1",
        "preemptive_therapy.delay=2",
        "preemptive_therapy.accepted=1",
        f"follow_up.death_ratios.clinically_significant={ratio}",
        baseline=lone(hazard, 0.0, amplitude=1e-9),
    )
    got = history(of, PATIENTS, path=False)
    assert np.all(got.antiviral_start[..., 0] == 3.0), "sampled on day 0, reported on day 1, started on day 3"
    expected = -math.expm1(-(hazard * 3 + hazard * ratio * 87))
    share = float((got.death <= 90).mean())
    assert abs(share - expected) < 4 * binomial_se(expected, N)
    assert abs(share - -math.expm1(-hazard * 90)) > 50 * binomial_se(expected, N)
