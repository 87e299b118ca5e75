"""Death: closed forms without factors, and exact inversion of the hazard that factors multiply."""

from __future__ import annotations

import math
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from infections_build import twin
from scipy import integrate, optimize
from scipy import stats as laws
from simulation_build import NO_DISEASE, binomial_se, history, lone, single

from cmvsim.models.baseline import Baseline
from cmvsim.models.follow_up import DeathRatios, RelapseLaw, follow_up
from cmvsim.models.windows import Windows
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


def _clock_draws(non_relapse: Any, after: Any) -> Any:
    return lambda name, _index=0: np.atleast_1d(non_relapse if name == "follow_up.non_relapse_death" else after)


def _spec(**ratios: float) -> Any:
    """A specification whose other ratios are one."""
    table = dict.fromkeys(DeathRatios.model_fields, 1.0) | ratios
    return SimpleNamespace(death_ratios=SimpleNamespace(**table))


def _death(
    clock: float, after_clock: float, hazard: float, after: float, ratio: float, treated: float, relapse: float
) -> float:
    got = death_times(
        _spec(clinically_significant=ratio),
        Baseline(1.0, 1.0, (hazard,), (after,)),
        np.array([0]),
        None,
        np.array([relapse]),
        np.array([treated]),
        None,
        None,
        None,
        _clock_draws(clock, after_clock),
    )
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
        *NO_DISEASE,
        "monitoring.jitter=0",
        "monitoring.attendance=1",
        "monitoring.turnaround=1",
        "preemptive_therapy.delay=2",
        "preemptive_therapy.accepted=1",
        f"follow_up.death_ratios.clinically_significant={ratio}",
        baseline=lone(hazard, 0.0, amplitude=1e-9),
    )
    got = history(of, PATIENTS, path=False)
    assert np.all(got.treatment.start[..., 0] == 3.0), "sampled on day 0, reported on day 1, started on day 3"
    expected = -math.expm1(-(hazard * 3 + hazard * ratio * 87))
    share = float((got.death <= 90).mean())
    assert abs(share - expected) < 4 * binomial_se(expected, N)
    assert abs(share - -math.expm1(-hazard * 90)) > 50 * binomial_se(expected, N)


@pytest.mark.parametrize("ratio", [0.4, 1.0, 1.5, 8.0])
def test_one_step_is_the_closed_form_to_the_last_bit(ratio: float) -> None:
    """E / h before the step, s + (E - h s) / (h ratio) after it, as long as only clinically significant CMV acts."""
    rng, size = np.random.default_rng(5), 20_000
    clock, after = rng.standard_exponential(size), rng.standard_exponential(size)
    treated = np.where(rng.random(size) < 0.5, rng.uniform(-5, 100, size), np.inf)
    relapse = np.where(rng.random(size) < 0.4, rng.uniform(0, 90, size), np.inf)
    stratum = rng.integers(0, 3, size)
    baseline = Baseline(1.0, 1.0, (0.0, 3e-4, 0.02), (0.004, 0.0, 0.01))
    with np.errstate(divide="ignore", invalid="ignore"):
        h = np.array(baseline.non_relapse_hazard)[stratum]
        step = np.maximum(treated, 0.0)
        expected = clock / h
        expected = np.where(expected > step, step + (clock - h * step) / (h * ratio), expected) if ratio != 1 else expected
        expected = np.minimum(expected, relapse + after / np.array(baseline.after_relapse_hazard)[stratum])
    chance, spec = _clock_draws(clock, after), _spec(clinically_significant=ratio)
    got = death_times(spec, baseline, stratum, None, relapse, treated, None, None, None, chance)
    assert got.tobytes() == expected.tobytes()
    # factors of one, or without a window, change nothing
    nothing = Windows(np.full(size, np.inf), np.full(size, np.inf))
    always = Windows(np.zeros((2, size)), np.full((2, size), np.inf))
    others = death_times(spec, baseline, stratum, treated, relapse, treated, treated, always, always, chance)
    assert others.tobytes() == expected.tobytes()
    spec = _spec(clinically_significant=ratio, severe_infection=9.0, disease=4.0)
    never = np.full(size, np.inf)
    assert death_times(spec, baseline, stratum, None, relapse, treated, never, nothing, None, chance).tobytes() == got.tobytes()


def test_all_factors_together_are_those_of_the_twin() -> None:
    rng, size = np.random.default_rng(6), 600

    def some(low: float, high: float, *shape: int) -> np.ndarray:
        return np.where(rng.random(shape) < 0.6, rng.uniform(low, high, shape), np.inf)

    treated, disease, relapse = some(-3, 90, size), some(5, 90, size), some(0, 80, size)
    infected, toxic = some(0, 90, 3, size), some(0, 20, 2, size)
    infection = Windows(infected, infected + rng.exponential(15, (3, size)))
    toxicity = Windows(toxic, toxic + rng.exponential(6, (2, size)))
    clock, after, score = rng.standard_exponential(size), rng.standard_exponential(size), rng.standard_normal(size)
    got = death_times(
        _spec(clinically_significant=2.0, disease=3.0, severe_infection=12.0, severe_toxicity=0.5, score=1.4),
        Baseline(1.0, 1.0, (0.004,), (0.02,)),
        np.zeros(size, dtype=np.int64),
        score,
        relapse,
        treated,
        disease,
        infection,
        toxicity,
        _clock_draws(clock, after),
    )
    of_relapse = 0
    for i in range(size):

        def pairs(windows: Windows, i: int = i) -> list[tuple[float, float]]:
            return [(a, b) for a, b in zip(windows.start[:, i], windows.stop[:, i], strict=True) if a < np.inf]

        factors = [
            (2.0, [(treated[i], np.inf)] if treated[i] < np.inf else []),
            (3.0, [(disease[i], np.inf)] if disease[i] < np.inf else []),
            (12.0, pairs(infection)),
            (0.5, pairs(toxicity)),
        ]
        without = twin(0.0, clock[i], 1.4 ** score[i], [], [0.004], factors, math.inf)
        assert got[i] == pytest.approx(min(without, relapse[i] + after[i] / 0.02), abs=1e-8)
        of_relapse += got[i] != pytest.approx(without)
    assert 100 < of_relapse < 500


@pytest.mark.parametrize("name", DeathRatios.model_fields)
def test_a_factor_that_acts_needs_what_it_acts_on(name: str) -> None:
    one = np.array([1.0])
    arguments = (Baseline(1.0, 1.0, (0.01,), (0.01,)), np.array([0]), None, one, None, None, None, None, _clock_draws(1.0, 1.0))
    assert death_times(_spec(), *arguments) == 100.0
    with pytest.raises(ValueError, match=name):
        death_times(_spec(**{name: 2.0}), *arguments)


def test_windows_and_score_raise_mortality_by_their_ratios() -> None:
    """Severe infection on [20, 35) at ratio 10, and a score of ratio 1.5: the mixture over the score by quadrature."""
    h, rng = 0.002, np.random.default_rng(7)
    score, clock = rng.standard_normal(N), rng.standard_exponential(N)
    never = np.full(N, np.inf)
    window = Windows(np.full(N, 20.0), np.full(N, 35.0))
    got = death_times(
        _spec(severe_infection=10.0, score=1.5),
        Baseline(1.0, 1.0, (h,), (0.0,)),
        np.zeros(N, dtype=np.int64),
        score,
        never,
        None,
        None,
        window,
        None,
        _clock_draws(clock, clock),
    )
    for day, spent in ((20, 20 * h), (30, 20 * h + 100 * h), (90, 75 * h + 150 * h)):
        expected = integrate.quad(lambda z, x=spent: laws.norm.pdf(z) * -math.expm1(-x * 1.5**z), -8, 8)[0]
        share = float((got <= day).mean())
        assert abs(share - expected) < 4 * binomial_se(expected, N)
        assert abs(share - -math.expm1(-spent)) > 5 * binomial_se(expected, N), "a rate at the mean score is not enough"


@pytest.mark.parametrize(("relapse", "ratio"), [(0.4, 1.8), (0.1, 3.0), (0.9, 0.5), (0.5, 6.0)])
def test_the_score_leaves_the_marginal_probability_of_relapse(relapse: float, ratio: float) -> None:
    law = RelapseLaw.of(relapse, 1.3, ratio)

    def free(t: float) -> float:
        def at(z: float) -> float:
            return laws.norm.pdf(z) * math.exp(-law.scale * ratio**z * (t / 90) ** 1.3)

        return integrate.quad(at, -9, 9, epsabs=1e-11, limit=200)[0]

    assert free(90) == pytest.approx(1 - relapse, abs=1e-6)
    assert abs(-math.expm1(-law.scale) - relapse) > 1e-3, "the scale is that of the median score, not of all"
    for t in (10.0, 45.0):
        assert law.relapse_free(t) == pytest.approx(free(t), abs=1e-6)
        assert law.density(t) == pytest.approx((free(t - 1e-3) - free(t + 1e-3)) / 2e-3, rel=1e-4)
    h, after = solve_death_hazards(0.03, 0.03 + 0.3 * relapse, relapse, 1.3, 90.0, ratio)
    without = integrate.quad(lambda t: h * math.exp(-h * t) * free(t), 0, 90)[0]
    assert without == pytest.approx(0.03, abs=1e-6)
    dead = 1 - math.exp(-90 * h) * (free(90) + integrate.quad(lambda t: law.density(t) * math.exp(-after * (90 - t)), 0, 90)[0])
    assert dead == pytest.approx(0.03 + 0.3 * relapse, abs=1e-6)


def test_simulated_relapse_depends_on_the_score_and_keeps_its_share() -> None:
    ratio, rng = 2.0, np.random.default_rng(9)
    of = single("follow_up.relapse_ratios.score=2", baseline=lone(), relapse_by_90=0.4).follow_up
    streams: dict[str, np.ndarray] = {}

    def draws(name: str, _index: int = 0) -> np.ndarray:
        return streams.setdefault(name, rng.random(N) if "new_therapy" in name else rng.standard_exponential(N))

    score, stratum = rng.standard_normal(N), np.zeros(N, dtype=np.int64)
    relapse = follow_up(of, stratum, ("only",), draws, score).relapse
    assert abs(float((relapse <= 90).mean()) - 0.4) < 4 * binomial_se(0.4, N)
    scale = RelapseLaw.of(0.4, float(of.relapse_shape), ratio).scale
    high = score > 1
    expected = integrate.quad(lambda z: laws.norm.pdf(z) * -math.expm1(-scale * ratio**z), 1, 9)[0] / laws.norm.sf(1)
    assert abs(float((relapse[high] <= 90).mean()) - expected) < 4 * binomial_se(expected, int(high.sum()))
    assert expected > 0.55
    with pytest.raises(ValueError, match="score"):
        follow_up(of, stratum, ("only",), draws)
