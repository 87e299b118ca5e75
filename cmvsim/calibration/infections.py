"""Solving the infection hazards: published shares of infected patients, with the factors acting, on fixed arrays.

What the targets measure, on a cohort whose CMV, toxicity, death and transplantation are at hand:

- bacterial, early: of all patients, the share with at least one infection that starts in (0, early_until];
- bacterial, late: of those alive and not transplanted at early_until, the share with at least one that starts in
  (early_until, late_until];
- fungal: of all patients, the share with one that starts in (0, late_until].

Only starts at or before the end of follow-up (death or transplantation) count: cumulative incidences with these as
competing events, as shares of treated patients are published.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from cmvsim.core.errors import CalibrationError
from cmvsim.core.records import BoolArray, FloatArray
from cmvsim.core.streams import Draws
from cmvsim.core.value import Value
from cmvsim.models.baseline import Baseline
from cmvsim.models.infections import Infections, InfectionsSpec
from cmvsim.models.windows import Windows
from cmvsim.simulation.infections import infections

ROUNDS = 60
LARGEST_STEP, FARTHEST = 2.0, 12.0  # of a log hazard: in one round, and from the first guess
TOLERANCE = 5e-4
"""Relative distance from the target that is good enough, or one patient if that is more."""


@dataclass(frozen=True, slots=True)
class InfectionChunk:
    """What infections depend on in one chunk; flat arrays as :func:`cmvsim.simulation.infections.infections` takes them.

    Attributes
    ----------
    end
        (P,) first of death and transplantation, +inf if neither.
    """

    score: FloatArray
    leukaemia: BoolArray
    cmv: Windows | None
    neutropenia: Windows | None
    corticosteroids: Windows | None
    end: FloatArray
    draws: Draws

    def simulate(self, spec: InfectionsSpec, baseline: Baseline, horizon: float) -> Infections:
        """Infections of the chunk."""
        return infections(
            spec,
            baseline,
            self.score,
            self.leukaemia,
            self.cmv,
            self.neutropenia,
            self.corticosteroids,
            self.draws,
            horizon,
        )


@dataclass(frozen=True, slots=True)
class SeenInfections:
    """What a cohort shows of the targets.

    Attributes
    ----------
    patients, patients_late
        Denominators: all, and those in follow-up when the late period begins.
    bacterial_early, bacterial_late, fungal
        Shares as the targets define them.
    density_early, density_late
        Bacterial and fungal infections that start, per 100 days in follow-up: reported, never solved.
    """

    patients: int
    patients_late: int
    bacterial_early: float
    bacterial_late: float
    fungal: float
    density_early: float
    density_late: float

    def rows(self, spec: InfectionsSpec) -> tuple[tuple[str, Value, float, int], ...]:
        """Measure, target, achieved share and its denominator."""
        return (
            ("bacterial_early", spec.bacterial.early, self.bacterial_early, self.patients),
            ("bacterial_late", spec.bacterial.late, self.bacterial_late, self.patients_late),
            ("fungal", spec.fungal.whole, self.fungal, self.patients),
        )


def see_infections(
    spec: InfectionsSpec, baseline: Baseline, cohort: Sequence[InfectionChunk], horizon: float
) -> SeenInfections:
    """Simulate the infections of a cohort and measure the targets."""
    early, late = float(spec.early_until), float(spec.late_until)
    counts, at_risk, starts, days = np.zeros(3), np.zeros(2), np.zeros(2), np.zeros(2)
    for chunk in cohort:
        found = chunk.simulate(spec, baseline, min(horizon, late))
        bacterial = np.where(found.bacterial.start <= chunk.end, found.bacterial.start, np.inf)
        fungal = np.where(found.fungal.start <= chunk.end, found.fungal.start, np.inf)
        followed = chunk.end > early
        in_late = (bacterial > early) & (bacterial <= late)
        counts += (bacterial <= early).any(axis=0).sum(), in_late.any(axis=0).sum(), (fungal <= late).sum()
        at_risk += chunk.end.size, followed.sum()
        all_early = (bacterial <= early).sum() + (fungal <= early).sum()
        starts += all_early, in_late.sum() + ((fungal > early) & (fungal <= late)).sum()
        days += np.minimum(chunk.end, early).sum(), np.clip(chunk.end - early, 0.0, late - early).sum()
    shares = counts / np.maximum(at_risk[[0, 1, 0]], 1)
    density = 100 * starts / np.maximum(days, 1e-300)
    return SeenInfections(int(at_risk[0]), int(at_risk[1]), *map(float, shares), *map(float, density))


def solve_infections(spec: InfectionsSpec, baseline: Baseline, cohort: Sequence[InfectionChunk], horizon: float) -> Baseline:
    """Baseline with the infection hazards that meet the targets on a fixed cohort.

    Parameters
    ----------
    spec
        With the targets.
    baseline
        Its other hazards are kept.
    cohort
        Chunks with common random numbers; CMV and death are not run again.
    horizon
        Last simulated day.

    Raises
    ------
    CalibrationError
        If a target is out of reach.

    Notes
    -----
    The first guess is the closed form without factors, h = -ln(1 - p) / days. Each round multiplies every hazard by
    ln(1 - p) / ln(1 - p_seen), until all shares are within :data:`TOLERANCE` of their targets (or one patient). The two
    fungal hazards keep their ratio. A share of a finite cohort goes in steps, between which that correction can swing;
    a step out of the range that is still possible is replaced by the middle of the range, since shares rise with their
    hazard. The late bacterial share also depends on the early hazard: its range starts anew until that one is found.
    """
    wanted = np.array([float(spec.bacterial.early), float(spec.bacterial.late), float(spec.fungal.whole)])
    guess = _without_factors(spec, baseline)
    x, low, high = np.zeros(3), np.full(3, -np.inf), np.full(3, np.inf)  # log of hazard over guess, and its range
    for _ in range(ROUNDS):
        baseline = _multiplied(guess, np.exp(x))
        seen = see_infections(spec, baseline, cohort, horizon)
        shares = np.array([seen.bacterial_early, seen.bacterial_late, seen.fungal])
        one_patient = 1.0001 / np.maximum([seen.patients, seen.patients_late, seen.patients], 1)
        good = np.abs(shares - wanted) <= np.maximum(TOLERANCE * wanted, one_patient)
        if good.all():
            return baseline
        if np.abs(x).max() > FARTHEST:
            break
        high, low = np.where(shares > wanted, x, high), np.where(shares > wanted, low, x)
        if not good[0]:
            low[1], high[1] = -np.inf, np.inf
        with np.errstate(divide="ignore", invalid="ignore"):
            step = np.clip(np.log(np.log1p(-wanted) / np.log1p(-shares)), -LARGEST_STEP, LARGEST_STEP)
            step = np.where((x + step <= low) | (x + step >= high), (low + high) / 2 - x, step)
        x = np.where(good, x, x + step)
    told = ", ".join(f"{name} = {float(value):g} ({got:.3g} reached)" for name, value, got, _ in seen.rows(spec))
    raise CalibrationError(f"the targets of infections are out of reach: {told}")


def _multiplied(guess: Baseline, by: FloatArray) -> Baseline:
    early, late = guess.bacterial_hazard
    return replace(
        guess,
        bacterial_hazard=(early * float(by[0]), late * float(by[1])),
        fungal_hazard=tuple(h * float(by[2]) for h in guess.fungal_hazard),
    )


def _without_factors(spec: InfectionsSpec, baseline: Baseline) -> Baseline:
    """Closed form when no factor acts, nobody dies and no infection lasts."""
    early = float(spec.early_until)
    later, ratio = float(spec.late_until) - early, float(spec.fungal.late_ratio)
    fungal = float(-np.log1p(-float(spec.fungal.whole)) / (early + ratio * later))
    bacterial = (
        float(-np.log1p(-float(spec.bacterial.early)) / early),
        float(-np.log1p(-float(spec.bacterial.late)) / later),
    )
    return replace(baseline, bacterial_hazard=bacterial, fungal_hazard=(fungal, fungal * ratio))
