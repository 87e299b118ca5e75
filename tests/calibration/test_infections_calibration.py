"""Hazards of infection and of death solved with factors that act, on synthetic windows."""

from __future__ import annotations

import math
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from cmvsim.calibration.cohort import Seen
from cmvsim.calibration.infections import InfectionChunk, see_infections, solve_infections
from cmvsim.calibration.solve import DEATH_ROUNDS, corrected_death
from cmvsim.core.errors import CalibrationError
from cmvsim.core.streams import Role
from cmvsim.models.baseline import Baseline
from cmvsim.models.follow_up import TARGET_DAY, DeathRatios
from cmvsim.models.infections import InfectionsSpec
from cmvsim.models.windows import Windows
from cmvsim.scenarios import resolve
from cmvsim.simulation.death import death_times, solve_death_hazards
from cmvsim.simulation.draws import ChunkDraws

OTHERS = Baseline(0.7, 13.0, (3e-4,), (5e-3,))
PATIENTS = 256  # x 64 a chunk
SIZE = PATIENTS * 64
ONES = "{ score = 1, leukaemia = 1, cmv = 1, neutropenia = 1, corticosteroids = 1 }"
NO_FACTORS = (f"infections.bacterial.ratios={ONES}", f"infections.fungal.ratios={ONES}")
ASSUMED_DEATH = (4e-4, 3e-3)  # per day, and per unit of the score's ratio


def _spec(*overrides: str) -> InfectionsSpec:
    return resolve("cmv-cart", overrides).spec.infections


def _windows(rng: np.random.Generator, share: Any, first: float, last: float, lasts: float) -> Windows:
    start = np.where(rng.random(SIZE) < share, rng.uniform(first, last, SIZE), np.inf)
    return Windows(start, start + rng.exponential(lasts, SIZE))


def _cohort(chunks: range, deaths: float = 1.5e-3) -> list[InfectionChunk]:
    """Windows that depend on the score, as shared causes do; death and transplantation by a constant hazard."""
    found = []
    for chunk in chunks:
        rng, draws = np.random.default_rng([11, chunk]), ChunkDraws(0, Role.CALIBRATION, chunk, PATIENTS)
        score = draws("population.score")
        share = 1 / (1 + np.exp(0.9 - 0.7 * score))
        found.append(
            InfectionChunk(
                score,
                rng.random(SIZE) < 0.2,
                _windows(rng, share, 5, 80, 25),
                _windows(rng, share, 2, 8, 14),
                _windows(rng, 0.3, 2, 10, 6),
                rng.standard_exponential(SIZE) / deaths if deaths else np.full(SIZE, np.inf),
                draws,
            )
        )
    return found


def _allowed(p: float, n: int) -> float:
    return 4 * math.sqrt(2) * math.sqrt(p * (1 - p) / n) + 1e-3 * p


def test_targets_are_met_where_solved_and_on_fresh_patients() -> None:
    spec = _spec()
    cohort, fresh = _cohort(range(4)), _cohort(range(100, 104))
    solved = solve_infections(spec, OTHERS, cohort, 104.0)
    for name, target, got, n in see_infections(spec, solved, cohort, 104.0).rows(spec):
        assert abs(got - float(target)) <= max(5e-4 * float(target), 1.001 / n), name
    guess = solve_infections(_spec(*NO_FACTORS), OTHERS, cohort, 104.0)
    naive = see_infections(spec, guess, fresh, 104.0).rows(spec)
    for (name, target, got, n), (*_, uncorrected, _) in zip(
        see_infections(spec, solved, fresh, 104.0).rows(spec), naive, strict=True
    ):
        wanted = float(target)
        assert abs(got - wanted) < _allowed(wanted, n), name
        assert uncorrected - wanted > 2 * _allowed(wanted, n), "factors that are not corrected for would be seen"
    assert (solved.onset_amplitude, solved.non_relapse_hazard) == (OTHERS.onset_amplitude, OTHERS.non_relapse_hazard)
    assert solved.fungal_hazard[1] == pytest.approx(solved.fungal_hazard[0] * float(spec.fungal.late_ratio), rel=1e-12)
    assert solve_infections(spec, OTHERS, _cohort(range(4)), 104.0) == solved


def test_without_factors_and_death_the_closed_form_is_the_solution() -> None:
    spec = _spec(*NO_FACTORS, "infections.bacterial.duration=0.001")
    solved = solve_infections(spec, OTHERS, _cohort(range(4), deaths=0.0), 104.0)
    p = 0.22
    se = math.sqrt(p / (1 - p) / (4 * SIZE)) / -math.log1p(-p)  # of ln h, by the delta method
    assert math.log(solved.bacterial_hazard[0] / (-math.log1p(-p) / 28)) == pytest.approx(0, abs=4 * se)
    assert math.log(solved.bacterial_hazard[1] / (-math.log1p(-0.08) / 62)) == pytest.approx(0, abs=4 * 1.6 * se)
    seen = see_infections(spec, solved, _cohort(range(4), deaths=0.0), 104.0)
    early = 100 * (solved.bacterial_hazard[0] + solved.fungal_hazard[0] * (1 - 28 * solved.fungal_hazard[0] / 2))
    assert seen.density_early == pytest.approx(early, rel=0.03)


def test_death_competes_and_the_late_share_is_of_those_still_followed() -> None:
    """Shares by hand at given hazards under a strong death hazard; other denominators are rejected."""
    spec, mu, h = _spec(*NO_FACTORS, "infections.bacterial.duration=0.001"), 0.02, (0.01, 0.005)
    base = Baseline(1.0, 1.0, (), (), h, (0.0, 0.0))
    seen = see_infections(spec, base, _cohort(range(4), deaths=mu), 104.0)
    early = h[0] / (h[0] + mu) * -math.expm1(-(h[0] + mu) * 28)
    late = h[1] / (h[1] + mu) * -math.expm1(-(h[1] + mu) * 62)
    assert abs(seen.bacterial_early - early) < 4 * math.sqrt(early / (4 * SIZE))
    assert abs(seen.bacterial_late - late) < 4 * math.sqrt(late / seen.patients_late)
    assert abs(seen.bacterial_early - -math.expm1(-28 * h[0])) > 0.03
    assert abs(seen.bacterial_late - late * math.exp(-28 * mu)) > 0.03
    assert seen.patients_late == pytest.approx(4 * SIZE * math.exp(-28 * mu), rel=0.02)


def test_targets_of_zero_and_targets_out_of_reach() -> None:
    cohort = _cohort(range(1))
    solved = solve_infections(_spec("infections.bacterial.late=0", "infections.fungal.whole=0"), OTHERS, cohort, 104.0)
    assert solved.bacterial_hazard[0] > 0
    assert solved.bacterial_hazard[1] == 0
    assert solved.fungal_hazard == (0.0, 0.0)
    long = ("infections.bacterial.duration=500", "infections.bacterial.early=0.5", "infections.bacterial.late=0.9")
    with pytest.raises(CalibrationError, match=r"bacterial_late = 0\.9 \(0\.[0-9]+ reached\)"):
        solve_infections(_spec(*long), OTHERS, cohort, 104.0)


# ---- death: the proportional correction of solve.py with every factor at once

STRATA = 3
NRM, DEATH, RELAPSE, SHAPE = (0.03, 0.02, 0.06), (0.13, 0.06, 0.12), (0.4, 0.2, 0.3), 1.3
BASE_CASE = {"clinically_significant": 1.5, "disease": 3.0, "severe_infection": 25.0, "severe_toxicity": 2.0, "score": 1.0}
STRONG = {"clinically_significant": 8.0, "disease": 10.0, "severe_infection": 60.0, "severe_toxicity": 5.0, "score": 2.5}


class _Deaths:
    """A cohort of 98,304 patients whose windows are given."""

    def __init__(self, seed: int) -> None:
        rng, n = np.random.default_rng(seed), 98_304
        self.stratum, self.score = rng.integers(0, STRATA, n), rng.standard_normal(n)
        scale = -np.log1p(-np.array(RELAPSE))[self.stratum]
        self.relapse = 90 * (rng.standard_exponential(n) / scale) ** (1 / SHAPE)
        frail = 1 / (1 + np.exp(1.5 - 0.8 * self.score))
        self.treated = np.where(rng.random(n) < 0.4 * frail, rng.uniform(10, 80, n), np.inf)
        self.disease = np.where(rng.random(n) < 0.1, self.treated + 5, np.inf)
        infected = np.where(rng.random((2, n)) < frail, rng.uniform(0, 90, (2, n)), np.inf)
        self.infection = Windows(infected, infected + rng.lognormal(2.3, 0.5, (2, n)))
        toxic = np.where(rng.random(n) < 0.15, rng.uniform(1, 8, n), np.inf)
        self.toxicity = Windows(toxic, toxic + rng.lognormal(1.5, 0.5, n))
        self.clocks = {name: rng.standard_exponential(n) for name in ("non_relapse_death", "death_after_relapse")}

    def see(self, baseline: Baseline, ratios: dict[str, float]) -> Seen:
        death = death_times(
            SimpleNamespace(death_ratios=SimpleNamespace(**ratios)),  # type: ignore[arg-type]
            baseline,
            self.stratum,
            self.score,
            self.relapse,
            self.treated,
            self.disease,
            self.infection,
            self.toxicity,
            lambda name, _index=0: self.clocks[name.removeprefix("follow_up.")],
        )
        dead, sizes = death <= TARGET_DAY, np.bincount(self.stratum, minlength=STRATA)
        shares = [np.bincount(self.stratum[who], minlength=STRATA) / sizes for who in (dead, dead & (death <= self.relapse))]
        return Seen(0, np.zeros(1), np.zeros(1), np.zeros(1), shares[0], shares[1], sizes.astype(np.float64))


@pytest.mark.parametrize("ratios", [BASE_CASE, STRONG], ids=["base case", "strong"])
def test_the_correction_of_death_converges_with_every_factor(ratios: dict[str, float]) -> None:
    pairs = [solve_death_hazards(*targets, SHAPE, TARGET_DAY) for targets in zip(NRM, DEATH, RELAPSE, strict=True)]
    closed = Baseline(1.0, 1.0, tuple(h for h, _ in pairs), tuple(a for _, a in pairs))
    cohort, fresh = _Deaths(1), _Deaths(2)
    without = cohort.see(closed, dict.fromkeys(DeathRatios.model_fields, 1.0))
    assert np.all(cohort.see(closed, ratios).non_relapse_death > 1.3 * without.non_relapse_death), "the factors inflate death"
    solved, steps = closed, []
    for _ in range(DEATH_ROUNDS):
        before, solved = solved, corrected_death(solved, cohort.see(solved, ratios), without)
        steps.append(np.abs(np.log(np.array(solved.non_relapse_hazard) / before.non_relapse_hazard)).max())
    fewest = (without.non_relapse_death * without.strata_sizes).min()
    assert steps[-1] < 3 / fewest < 0.01 < steps[0], "what is left is a patient or two of the cohort"
    seen, anew = cohort.see(solved, ratios), fresh.see(solved, ratios)
    for i in range(STRATA):
        # the same cohort: what is left is the solver's, a few patients at most
        assert abs(seen.non_relapse_death[i] - without.non_relapse_death[i]) < 2e-3 * NRM[i] + 2 / seen.strata_sizes[i]
        assert abs(seen.death[i] - without.death[i]) < 2e-3 * DEATH[i] + 2 / seen.strata_sizes[i]
        n = int(seen.strata_sizes[i])
        assert abs(anew.non_relapse_death[i] - NRM[i]) < _allowed(NRM[i], n)
        assert abs(anew.death[i] - DEATH[i]) < _allowed(DEATH[i], n)
