"""Solving the targets: (A, m) from incidence and timing, death hazards from their two targets by stratum."""

from __future__ import annotations

from dataclasses import asdict, dataclass, replace
from functools import lru_cache
from typing import Any, Literal

import numpy as np

from cmvsim.calibration.cohort import FRESH, PATIENTS_PER_REPLICATE, Cohort, Seen
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
Verdict = Literal["met", "inside interval", "out of reach"]


@dataclass(frozen=True, slots=True)
class TargetResult:
    """One target: wanted and achieved, the latter on patients other than those solved on."""

    measure: str
    stratum: str
    wanted: float
    published: tuple[float, float] | None
    achieved: float
    mcse: float
    verdict: Verdict


@dataclass(frozen=True, slots=True)
class Calibration:
    """Solved hazards of a scenario and how well they reproduce its targets.

    Attributes
    ----------
    evaluations
        Simulations of the cohort that the solver needed.
    patients
        Size of the cohort solved on, and of the fresh one reported on.
    """

    baseline: Baseline
    targets: tuple[TargetResult, ...]
    evaluations: int
    patients: int

    def as_dict(self) -> dict[str, Any]:
        """JSON-ready form (``calibration.json``)."""
        return {
            "baseline": self.baseline.as_dict(),
            "evaluations": self.evaluations,
            "patients": self.patients,
            "targets": [asdict(target) for target in self.targets],
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
    own, basis = key.scenario.spec, _basis(key.scenario)
    chunks = max(1, round(patients / (PATIENTS_PER_REPLICATE * CHUNK_REPLICATES)))
    fresh = range(FRESH, FRESH + chunks)
    solver = _Solver(basis, Cohort(basis, range(chunks)))
    solved = solver.solve()
    seen = Cohort(basis, fresh).see(solver.incidence, solved)
    baseline, seen_own = solved, seen
    if basis is not own:  # death is a target of the scenario itself, at the onset hazard of its basis
        deaths = _Solver(own, Cohort(own, range(chunks)))
        baseline = deaths.solve_death(solved)
        seen_own = Cohort(own, fresh).see(solver.incidence, baseline)
        solver.evaluations += deaths.evaluations
    return Calibration(
        baseline,
        (*_report_onset(basis, seen), *_report_death(own, seen_own)),
        solver.evaluations,
        chunks * PATIENTS_PER_REPLICATE * CHUNK_REPLICATES,
    )


def _basis(scenario: ResolvedScenario) -> Scenario:
    """Where the onset hazard is solved: the named basis with this scenario's targets."""
    if scenario.basis is None:
        return scenario.spec
    cmv = scenario.basis.cmv.model_copy(update={"targets": scenario.spec.cmv.targets})
    return scenario.basis.model_copy(update={"cmv": cmv})


class _Solver:
    """Quasi-Newton (Broyden) on (log A, log m) against (logit incidence, log median), then death if a factor acts."""

    def __init__(self, scenario: Scenario, cohort: Cohort) -> None:
        self.scenario = scenario
        self.cohort = cohort
        self.incidence = scenario.cmv.target("cumulative_incidence")
        self.timing = scenario.cmv.target("median_detection")
        self.evaluations = 0
        self.wanted = np.array([_logit(float(self.incidence.value)), np.log(float(self.timing.value))])

    def solve(self) -> Baseline:
        """Hazards that meet the targets on the cohort."""
        baseline = self._onset(self._death_closed_form())
        if self._factors_act:
            with_death = self.solve_death(baseline)
            if with_death != baseline:
                baseline = self._onset(with_death)
        return baseline

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

    def _see(self, baseline: Baseline) -> Seen:
        self.evaluations += 1
        return self.cohort.see(self.incidence, baseline)

    def _residual(self, x: FloatArray, baseline: Baseline) -> FloatArray:
        seen = self._see(replace(baseline, onset_amplitude=float(np.exp(x[0])), onset_median=float(np.exp(x[1]))))
        reached = min(max(seen.at(float(self.incidence.day)), 1e-9), 1 - 1e-9)
        found: FloatArray = np.array([_logit(reached), np.log(max(seen.median(float(self.timing.day)), 1e-3))])
        residual: FloatArray = found - self.wanted
        return residual

    def _onset(self, baseline: Baseline) -> Baseline:
        x = np.log([baseline.onset_amplitude, baseline.onset_median])
        f = self._residual(x, baseline)
        jacobian = np.column_stack([(self._residual(x + h, baseline) - f) / 0.2 for h in np.eye(2) * 0.2])
        nearest = f
        for _ in range(MAX_STEPS):
            if np.all(np.abs(f) < (5e-4, 5e-4)):
                return replace(baseline, onset_amplitude=float(np.exp(x[0])), onset_median=float(np.exp(x[1])))
            step = -_solve(jacobian, f)
            step *= min(1.0, 0.7 / float(np.abs(step).max()))
            new = self._residual(x + step, baseline)
            jacobian = jacobian + np.outer(new - f - jacobian @ step, step) / (step @ step)
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


def _report_onset(scenario: Scenario, seen: Seen) -> list[TargetResult]:
    """Incidence and timing in the fresh cohort, with Monte Carlo SEs."""
    incidence, timing = scenario.cmv.target("cumulative_incidence"), scenario.cmv.target("median_detection")
    p = seen.at(float(incidence.day))
    median = seen.median(float(timing.day))
    # delta method: SE of the median = SE of F at the median over the slope of F there
    slope = (seen.at(median + 3.5) - seen.at(median - 3.5)) / 7
    se_median = np.sqrt(p / 2 * (1 - p / 2) / seen.at_risk) / max(slope, 1e-9)
    return [
        _verdict("cumulative_incidence", "", float(incidence.value), incidence.published, p, _se(p, seen.at_risk)),
        _verdict("median_detection", "", float(timing.value), timing.published, median, float(se_median)),
    ]


def _report_death(scenario: Scenario, seen: Seen) -> list[TargetResult]:
    """Death by stratum in the fresh cohort."""
    rows = []
    for i, name in enumerate(scenario.population.strata):
        n = seen.strata_sizes[i]
        if n == 0:
            continue
        for measure, table, got in (
            ("death_by_90", scenario.follow_up.death_by_90, seen.death[i]),
            ("non_relapse_mortality_by_90", scenario.follow_up.non_relapse_mortality_by_90, seen.non_relapse_death[i]),
        ):
            value = table[name]
            interval = value.uncertain.interval95() if value.uncertain else None
            rows.append(_verdict(measure, name, float(value), interval, float(got), _se(float(got), n)))
    return rows


def _verdict(
    measure: str, stratum: str, wanted: float, published: tuple[float, float] | None, achieved: float, mcse: float
) -> TargetResult:
    verdict: Verdict = "out of reach"
    # both cohorts are finite: the one solved on and the fresh one
    if abs(achieved - wanted) <= 4 * np.sqrt(2) * mcse + 5e-4 * wanted:
        verdict = "met"
    elif published is not None and published[0] <= achieved <= published[1]:
        verdict = "inside interval"
    return TargetResult(measure, stratum, wanted, published, achieved, mcse, verdict)


def _solve(jacobian: FloatArray, f: FloatArray) -> FloatArray:
    try:
        return np.asarray(np.linalg.solve(jacobian, f))
    except np.linalg.LinAlgError:
        return np.asarray(np.linalg.lstsq(jacobian, f, rcond=None)[0])


def _se(p: float, n: float) -> float:
    return float(np.sqrt(max(p * (1 - p), 1e-12) / n))


def _logit(p: float) -> float:
    return float(np.log(p) - np.log1p(-p))


def _expit(x: float) -> float:
    return float(1 / (1 + np.exp(-x)))
