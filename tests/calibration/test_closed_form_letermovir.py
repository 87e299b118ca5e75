"""The joint solution of letermovir's two effects, against measures whose solution is known in closed form."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy import optimize, special

from cmvsim.calibration.prophylaxis import marginal_hazard_ratio, solve_letermovir
from cmvsim.core.errors import CalibrationError
from cmvsim.core.value import Uncertain, Value
from cmvsim.models.strategies import LetermovirTargets

MEAN, SD, LOD, TREATED, AMPLITUDE = 1.2, 0.8, 1.3, 2.4, 0.6
"""Episodes are Poisson with normal set-points; those above LOD are detected, those above TREATED are treated."""


def above(level: float, shift: float) -> float:
    return float(special.ndtr((MEAN + shift - level) / SD))


def thinned(ratio: float, shift: float) -> tuple[float, float]:
    """Thinning of a Poisson process: its hazard ratios are exact."""
    return ratio * above(LOD, shift) / above(LOD, 0), ratio * above(TREATED, shift) / above(TREATED, 0)


def in_closed_form(any_dnaemia: float, treated: float) -> tuple[float, float]:
    """The shift from the ratio of the ratios, which no onset ratio changes; then the onset ratio."""

    def excess(shift: float) -> float:
        found = thinned(1.0, shift)
        return math.log(found[1] / found[0]) - math.log(treated / any_dnaemia)

    shift = float(optimize.brentq(excess, -4.0, 1.0, xtol=1e-12))
    return any_dnaemia * above(LOD, 0) / above(LOD, shift), shift


@pytest.mark.parametrize(
    "wanted", [(0.60, 0.40), (0.45, 0.25), (0.30, 0.30), (0.10, 0.02), (0.90, 0.80), (1.0, 1.0), (0.05, 0.049)]
)
def test_both_effects_are_found(wanted):
    ratio, shift = in_closed_form(*wanted)
    assert ratio <= 1 + 1e-9
    solution = solve_letermovir(thinned, wanted, tolerance=1e-6)
    assert solution.verdict == "met"
    assert solution.effect.onset_ratio == pytest.approx(ratio, rel=1e-4)
    assert solution.effect.set_point_shift == pytest.approx(shift, abs=1e-4)
    assert solution.achieved == pytest.approx(wanted, rel=1e-6)
    assert solution.evaluations <= 20
    assert f"{solution.effect.onset_ratio:.3g}" in solution.message
    assert "out of reach" not in solution.message


@pytest.mark.parametrize("wanted", [(0.60, 0.10), (0.95, 0.20), (0.20, 0.50), (0.50, 0.60), (1.3, 1.2), (0.9, 0.01)])
def test_out_of_reach_is_told_with_the_nearest_point(wanted):
    """No ratio of at most 1 with a shift of at most 0 gives these: a search over the whole square finds none nearer."""
    solution = solve_letermovir(thinned, wanted)
    assert solution.verdict == "out of reach"
    assert solution.message.startswith("letermovir.targets are out of reach: wanted ")
    assert f"{wanted[0]:.3g} for any DNAemia and {wanted[1]:.3g}" in solution.message
    assert solution.effect.onset_ratio <= 1
    assert solution.effect.set_point_shift <= 0

    def distance(ratio: float, shift: float) -> float:
        return float(np.sum(np.log(np.array(thinned(ratio, shift)) / wanted) ** 2))

    grid = min(distance(ratio, shift) for ratio in np.geomspace(0.05, 1, 60) for shift in np.linspace(-3, 0, 120))
    found = distance(solution.effect.onset_ratio, solution.effect.set_point_shift)
    assert found <= grid * 1.01
    assert found > 1e-3


def test_out_of_reach_but_inside_what_is_not_known_is_told_apart():
    def target(value: float, sdlog: float) -> Value:
        return Value(value=value, uncertain=Uncertain(kind="lognormal", parameters=(value, sdlog)))

    wanted = LetermovirTargets(any_dnaemia=target(0.60, 0.25), clinically_significant=target(0.15, 0.40))
    assert solve_letermovir(thinned, wanted).verdict == "inside interval"
    assert "inside their intervals" in solve_letermovir(thinned, wanted).message
    narrow = LetermovirTargets(any_dnaemia=target(0.60, 0.01), clinically_significant=target(0.15, 0.40))
    assert solve_letermovir(thinned, narrow).verdict == "out of reach"
    within = LetermovirTargets(any_dnaemia=target(0.60, 0.25), clinically_significant=target(0.35, 0.40))
    assert solve_letermovir(thinned, within).verdict == "met"
    unknown = LetermovirTargets(any_dnaemia=Value(value=0.60), clinically_significant=Value(value=0.15))
    assert solve_letermovir(thinned, unknown).verdict == "out of reach"


def test_shared_frailty_makes_the_conditional_ratio_stronger_than_the_marginal_one():
    """With a gamma frailty of variance v the marginal cumulative hazard is log(1 + v H) / v."""
    v = 2.0

    def marginal(ratio: float, shift: float) -> tuple[float, float]:
        hazards = [[AMPLITUDE * 4 * r * above(level, s) for level in (LOD, TREATED)] for r, s in ((ratio, shift), (1.0, 0.0))]
        with_drug, without = (np.log1p(v * np.array(h)) for h in hazards)
        found = with_drug / without
        return float(found[0]), float(found[1])

    ratio, shift = 0.55, -0.35
    wanted = marginal(ratio, shift)
    assert wanted[0] > thinned(ratio, shift)[0] + 0.02
    solution = solve_letermovir(marginal, wanted, tolerance=1e-6)
    assert solution.effect.onset_ratio == pytest.approx(ratio, rel=1e-4)
    assert solution.effect.set_point_shift == pytest.approx(shift, abs=1e-4)


def test_a_measure_without_a_value_is_an_error():
    with pytest.raises(CalibrationError, match="nobody has the event without the drug"):
        solve_letermovir(lambda ratio, shift: (0.5, float("nan")), (0.6, 0.25))


# -- on a finite cohort, whose measure is a step function ------------------------------------------------------------
def cohort(size: int):
    """First episodes above each level and death, simulated with the same chance for any effect."""
    rng = np.random.default_rng(3)
    clocks, z = rng.exponential(size=(6, size)), rng.normal(size=(6, size))
    death = rng.exponential(300.0, size=size)

    def first(ratio: float, shift: float, level: float) -> np.ndarray:
        onset = 90 * np.cumsum(clocks, axis=0) / (AMPLITUDE * ratio)  # constant hazard, unit mean over 90 days x AMPLITUDE
        seen = np.where(MEAN + SD * z + shift > level, onset, np.inf)
        return seen.min(axis=0)

    def measure(ratio: float, shift: float) -> tuple[float, float]:
        found = [
            marginal_hazard_ratio(first(ratio, shift, level), death, first(1.0, 0.0, level), death, 90.0)
            for level in (LOD, TREATED)
        ]
        return found[0], found[1]

    return measure, first, death


def test_independent_simulation_gives_the_ratios_of_thinning():
    size = 60_000
    measure, first, death = cohort(size)
    expected = thinned(0.7, -0.4)
    for found, exact, level in zip(measure(0.7, -0.4), expected, (LOD, TREATED), strict=True):
        events = [int((first(r, s, level) <= np.minimum(death, 90)).sum()) for r, s in ((0.7, -0.4), (1.0, 0.0))]
        se = math.sqrt(1 / events[0] + 1 / events[1])  # of the log ratio, were the groups independent: an upper bound
        assert abs(math.log(found / exact)) < 4 * se
    # a ratio of incidences is another thing
    assert abs(math.log(measure(0.7, -0.4)[0] / expected[1])) > 0.3


def test_a_step_function_is_solved_too():
    measure, _, _ = cohort(60_000)
    wanted = (0.45, 0.25)
    solution = solve_letermovir(measure, wanted)
    assert solution.verdict == "met"
    ratio, shift = in_closed_form(*wanted)
    # the cohort's chance: about 5,000 and 1,000 events
    assert solution.effect.onset_ratio == pytest.approx(ratio, rel=0.08)
    assert solution.effect.set_point_shift == pytest.approx(shift, abs=0.06)


# -- the measure of one pair of groups -------------------------------------------------------------------------------
def test_nelson_aalen_by_hand():
    inf = np.inf
    event = np.array([10.0, 20.0, inf, 20.0, 95.0])
    end = np.array([inf, 20.0, 15.0, inf, inf])  # an event at the end of risk counts
    without = np.array([10.0, inf, inf, inf, inf])
    hazard = 1 / 5 + 2 / 3
    assert marginal_hazard_ratio(event, end, without, np.full(5, inf), 90.0) == pytest.approx(hazard / (1 / 5))
    assert math.isnan(marginal_hazard_ratio(event, end, np.full(5, inf), end, 90.0))
    # what competes earlier takes the patient out of risk
    early = np.array([5.0, inf, inf, inf, inf])
    assert marginal_hazard_ratio(without, early, without, np.full(5, inf), 90.0) == 0.0


def test_it_is_the_hazard_ratio_whatever_competes():
    """Constant hazards 0.02 x 0.5 against 0.02, and a drug that also halves a competing death of 0.02."""
    rng = np.random.default_rng(4)
    n = 200_000
    event = rng.exponential(size=n)
    death = rng.exponential(size=n)
    found = marginal_hazard_ratio(event / 0.01, death / 0.01, event / 0.02, death / 0.02, 90.0)
    assert abs(math.log(found / 0.5)) < 4 * math.sqrt(2 / 60_000)
    share = [(e <= np.minimum(d, 90)).mean() for e, d in ((event / 0.01, death / 0.01), (event / 0.02, death / 0.02))]
    assert abs(share[0] / share[1] - 0.5) > 0.2
