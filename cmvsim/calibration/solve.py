"""Solving the targets: (A, m) from incidence and timing, death hazards from their two targets by stratum."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from functools import lru_cache
from typing import Any

import numpy as np

from cmvsim.calibration import cache
from cmvsim.calibration.cohort import FRESH, PATIENTS_PER_REPLICATE, Cohort, Seen
from cmvsim.calibration.infections import solve_infections
from cmvsim.calibration.letermovir import needs_letermovir, solve_effect
from cmvsim.calibration.prophylaxis import LetermovirSolution
from cmvsim.calibration.reporting import report_death, report_onset
from cmvsim.calibration.targets import TargetResult
from cmvsim.core.errors import CalibrationError
from cmvsim.core.records import FloatArray
from cmvsim.core.streams import CHUNK_REPLICATES
from cmvsim.models.baseline import Baseline
from cmvsim.models.follow_up import TARGET_DAY
from cmvsim.scenarios.scenario import ResolvedScenario, Scenario
from cmvsim.simulation.death import solve_death_hazards

COHORT_PATIENTS = 98_304
MAX_STEPS = 25
DEATH_ROUNDS = 6


@dataclass(frozen=True, slots=True)
class Calibration:
    """Solved hazards of a scenario and how well they reproduce its targets.

    Attributes
    ----------
    evaluations
        Simulations of the cohort that the solver needed.
    patients
        Size of the cohort solved on, and of the fresh one reported on.
    checks
        What else was published, if it was asked for (:func:`cmvsim.calibration.checks.checked`).
    letermovir
        The two effects of the drug, where they were solved.
    """

    baseline: Baseline
    targets: tuple[TargetResult, ...]
    evaluations: int
    patients: int
    checks: tuple[TargetResult, ...] = ()
    letermovir: LetermovirSolution | None = None

    @classmethod
    def of_dict(cls, tree: Mapping[str, Any]) -> Calibration:
        """Inverse of :meth:`as_dict`."""
        drug = tree["letermovir"]
        return cls(
            Baseline.of_dict(tree["baseline"]),
            tuple(TargetResult.of_dict(row) for row in tree["targets"]),
            tree["evaluations"],
            tree["patients"],
            tuple(TargetResult.of_dict(row) for row in tree["checks"]),
            LetermovirSolution.of_dict(drug) if drug is not None else None,
        )

    def as_dict(self) -> dict[str, Any]:
        """JSON-ready form (``calibration.json``)."""
        return {
            "baseline": self.baseline.as_dict(),
            "evaluations": self.evaluations,
            "patients": self.patients,
            "targets": [asdict(target) for target in self.targets],
            "checks": [asdict(check) for check in self.checks],
            "letermovir": self.letermovir.as_dict() if self.letermovir is not None else None,
        }


def calibrate(scenario: ResolvedScenario, patients: int = COHORT_PATIENTS) -> Calibration:
    """Solve a scenario's targets.

    Parameters
    ----------
    scenario
        Resolved.
    patients
        Size of the fixed cohort; it limits the accuracy, the solver does not.

    Raises
    ------
    CalibrationError
        If a target is out of reach.
    """
    return _calibrate(_Key(scenario), patients)


class _Key:
    """A scenario hashed by its digest, so that one process solves it once."""

    def __init__(self, scenario: ResolvedScenario) -> None:
        self.scenario = scenario

    def __hash__(self) -> int:
        return hash(self.scenario.digest)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Key) and other.scenario.digest == self.scenario.digest


@lru_cache(maxsize=32)
def _calibrate(key: _Key, patients: int) -> Calibration:
    kept = cache.read(key.scenario.digest, patients)
    if kept is not None:
        return Calibration.of_dict(kept)
    solved = _solved(key.scenario, patients)
    cache.write(key.scenario.digest, patients, solved.as_dict())
    return solved


def _solved(scenario: ResolvedScenario, patients: int) -> Calibration:
    own, basis = scenario.spec, basis_of(scenario)
    chunks = max(1, round(patients / (PATIENTS_PER_REPLICATE * CHUNK_REPLICATES)))
    fresh = range(FRESH, FRESH + chunks)
    solver = Solver(basis, Cohort(basis, range(chunks)))
    solved = solver.solve()
    reported = Cohort(basis, fresh)
    seen = reported.see(solver.incidence, solved)
    baseline, seen_own = solved, seen
    if basis is not own:  # death is a target of the scenario itself, at the onset hazard of its basis
        deaths = Solver(own, Cohort(own, range(chunks)))
        baseline = deaths.solve_rest(solved)
        seen_own = Cohort(own, fresh).see(solver.incidence, baseline)
        solver.evaluations += deaths.evaluations
    drug = None
    if needs_letermovir(own):
        drug = solve_effect(basis, own.letermovir, solved, solver.cohort.draws)
        if drug.verdict == "out of reach":
            raise CalibrationError(f"{own.id}: {drug.message}")
        baseline = replace(baseline, letermovir=drug.effect)
    return Calibration(
        baseline,
        (*report_onset(basis, solved, seen, reported.draws), *report_death(own, seen_own)),
        solver.evaluations,
        chunks * PATIENTS_PER_REPLICATE * CHUNK_REPLICATES,
        letermovir=drug,
    )


def basis_of(scenario: ResolvedScenario) -> Scenario:
    """Where the onset hazard is solved: the named basis with this scenario's targets."""
    if scenario.basis is None:
        return scenario.spec
    cmv = scenario.basis.cmv.model_copy(update={"targets": scenario.spec.cmv.targets})
    return scenario.basis.model_copy(update={"cmv": cmv})


class Solver:
    """Quasi-Newton (Broyden) on (log A, log m) against (logit incidence, log median), then death if a factor acts."""

    def __init__(self, scenario: Scenario, cohort: Cohort) -> None:
        self.scenario = scenario
        self.cohort = cohort
        self.incidence, self.timing = scenario.cmv.incidence, scenario.cmv.timing
        self.evaluations = 0
        self._jacobian: FloatArray | None = None  # kept: the second solution is near the first
        self.wanted = np.array([_logit(float(self.incidence.value)), np.log(float(self.timing.value))])

    def solve(self, start: Baseline | None = None) -> Baseline:
        """Hazards that meet the targets on the cohort; from a solution of something near, if there is one.

        Onset is solved where no factor acts on death, then infections and death in turn, and onset once more with all.
        """
        guess = self._death_closed_form()
        if start is not None:
            guess = replace(guess, onset_amplitude=start.onset_amplitude, onset_median=start.onset_median)
        baseline = self._onset(guess, factors=False)
        with_death = self.solve_rest(baseline)
        return self._onset(with_death) if self._factors_act else with_death

    def solve_rest(self, baseline: Baseline) -> Baseline:
        """Infections and death at the given onset hazard; the deaths that infections see are those of the closed form."""
        closed = self._death_closed_form()
        baseline = replace(
            baseline, non_relapse_hazard=closed.non_relapse_hazard, after_relapse_hazard=closed.after_relapse_hazard
        )
        cohort = self.cohort.see_infections(self.incidence, baseline)
        baseline = solve_infections(self.scenario.infections, baseline, cohort, float(self.scenario.study.horizon))
        return self.solve_death(baseline)

    def solve_death(self, baseline: Baseline) -> Baseline:
        """Death hazards that meet their targets at the given onset hazard."""
        closed = self._death_closed_form()
        baseline = replace(
            baseline, non_relapse_hazard=closed.non_relapse_hazard, after_relapse_hazard=closed.after_relapse_hazard
        )
        if self._factors_act:
            self.evaluations += 1
            without = self.cohort.see(self.incidence, baseline, factors=False)
            for _ in range(DEATH_ROUNDS):
                before, baseline = baseline, corrected_death(baseline, self._see(baseline), without)
                if baseline == before:
                    break
        return baseline

    @property
    def _factors_act(self) -> bool:
        return self.scenario.follow_up.death_ratios.act

    def _see(self, baseline: Baseline, *, factors: bool = True) -> Seen:
        self.evaluations += 1
        return self.cohort.see(self.incidence, baseline, factors=factors)

    def _residual(self, x: FloatArray, baseline: Baseline, factors: bool) -> FloatArray:
        moved = replace(baseline, onset_amplitude=float(np.exp(x[0])), onset_median=float(np.exp(x[1])))
        seen = self._see(moved, factors=factors)
        reached = min(max(seen.at(float(self.incidence.day)), 1e-9), 1 - 1e-9)
        found: FloatArray = np.array([_logit(reached), np.log(max(seen.median(float(self.timing.day)), 1e-3))])
        residual: FloatArray = found - self.wanted
        return residual

    def _onset(self, baseline: Baseline, *, factors: bool = True) -> Baseline:
        x = np.log([baseline.onset_amplitude, baseline.onset_median])
        nearest = f = self._residual(x, baseline, factors)
        for _ in range(MAX_STEPS):
            if np.all(np.abs(f) < (5e-4, 5e-4)):
                return replace(baseline, onset_amplitude=float(np.exp(x[0])), onset_median=float(np.exp(x[1])))
            if self._jacobian is None:
                probes = [(self._residual(x + h, baseline, factors) - f) / 0.2 for h in np.eye(2) * 0.2]
                self._jacobian = np.column_stack(probes)
            jacobian = self._jacobian
            step = -_solve(jacobian, f)
            step *= min(1.0, 0.7 / float(np.abs(step).max()))
            new = self._residual(x + step, baseline, factors)
            self._jacobian = jacobian + np.outer(new - f - jacobian @ step, step) / (step @ step)
            x, f = x + step, new
            nearest = min(nearest, f, key=lambda residual: float(np.abs(residual).max()))
        reached, median = _expit(nearest[0] + self.wanted[0]), float(np.exp(nearest[1] + self.wanted[1]))
        raise CalibrationError(
            f"{self.scenario.id}: cmv.targets are out of reach: wanted {float(self.incidence.value):.3g} by day "
            f"{float(self.incidence.day):g} with median detection on day {float(self.timing.value):.3g}; the nearest the "
            f"model comes is {reached:.3g} with median day {median:.3g}"
        )

    def _death_closed_form(self) -> Baseline:
        """Death hazards without factors; first guesses of A and m from the targets."""
        follow_up, hazards = self.scenario.follow_up, []
        for name in self.scenario.population.strata:
            pair = solve_death_hazards(
                float(follow_up.non_relapse_mortality_by_90[name]),
                float(follow_up.death_by_90[name]),
                float(follow_up.relapse_by_90[name]),
                float(follow_up.relapse_shape),
                TARGET_DAY,
                float(follow_up.relapse_ratios.score),
            )
            if not np.isfinite(pair).all():
                raise CalibrationError(
                    f"{self.scenario.id}: follow_up.death_by_90.{name} = {float(follow_up.death_by_90[name]):g} is out of "
                    f"reach with relapse_by_90 = {float(follow_up.relapse_by_90[name]):g} and "
                    f"non_relapse_mortality_by_90 = {float(follow_up.non_relapse_mortality_by_90[name]):g}"
                )
            hazards.append(pair)
        amplitude = -2 * np.log1p(-float(self.incidence.value))
        return Baseline(amplitude, 0.7 * float(self.timing.value), tuple(a for a, _ in hazards), tuple(b for _, b in hazards))


def corrected_death(baseline: Baseline, seen: Seen, without: Seen) -> Baseline:
    """One round of proportional correction of the death hazards, since the factors inflate death.

    The same patients without the factors are the yardstick, not the nominal target: common random numbers cancel the
    chance of the cohort, and the closed form meets the target without factors.

    Parameters
    ----------
    baseline
        Hazards of the round.
    seen, without
        Deaths with the factors at these hazards, and without factors at the hazards of the closed form.
    """
    first, after = list(baseline.non_relapse_hazard), list(baseline.after_relapse_hazard)
    for i in range(len(first)):
        if 0 < seen.non_relapse_death[i] < 1:
            first[i] *= float(np.log1p(-without.non_relapse_death[i]) / np.log1p(-seen.non_relapse_death[i]))
        later, later_without = seen.death[i] - seen.non_relapse_death[i], without.death[i] - without.non_relapse_death[i]
        if later > 0:
            after[i] *= float(later_without / later)
    return replace(baseline, non_relapse_hazard=tuple(first), after_relapse_hazard=tuple(after))


def _solve(jacobian: FloatArray, f: FloatArray) -> FloatArray:
    try:
        return np.asarray(np.linalg.solve(jacobian, f))
    except np.linalg.LinAlgError:
        return np.asarray(np.linalg.lstsq(jacobian, f, rcond=None)[0])


def _logit(p: float) -> float:
    return float(np.log(p) - np.log1p(-p))


def _expit(x: float) -> float:
    return float(1 / (1 + np.exp(-x)))
