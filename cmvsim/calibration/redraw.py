"""Hazards of a varied scenario without a new calibration: what a target moves is re-solved, all else is held fixed.

Only a change of a target moves a hazard (docs/model.md 17): a change of the law, of monitoring or of the patients changes
what is seen, not the disease. A *draw* of a law is no such change: what was observed does not depend on which law we believe,
so that the amplitude of onset is solved again under the law drawn (``laws="solved"``). What a target moves is found on a small
fixed cohort under the scenario's own law, relative to the same cohort at the targets unchanged: the answer of the small cohort
carries no offset into the result, and a scenario whose targets are unchanged has exactly the hazards of its calibration.

- incidence and timing of DNAemia move the amplitude and the median of onset;
- infections move their hazards, each on the scale ln(-ln(1 - share));
- death moves its two hazards in the ratio of the closed form, the factors on death acting in proportion;
- letermovir's marginal ratios move its two effects on one patient.
"""

from __future__ import annotations

from dataclasses import replace
from functools import cached_property
from typing import Any, Literal

import numpy as np

from cmvsim.calibration.cohort import SEED, Cohort
from cmvsim.calibration.death_targets import DeathTargets
from cmvsim.calibration.drawn_laws import measurement, with_laws
from cmvsim.calibration.infections import see_infections
from cmvsim.calibration.letermovir import effect_measure
from cmvsim.calibration.other_amplitudes import Detections, amplitude_that_shows
from cmvsim.calibration.prophylaxis import LOWEST_RATIO, LOWEST_SHIFT
from cmvsim.calibration.response import Response
from cmvsim.calibration.solve import Calibration, basis_of, calibrate
from cmvsim.core.records import FloatArray
from cmvsim.core.streams import CHUNK_REPLICATES, Role
from cmvsim.models.baseline import Baseline
from cmvsim.models.cmv import TargetSpec
from cmvsim.models.strategies import LetermovirEffect
from cmvsim.scenarios.scenario import ResolvedScenario, Scenario
from cmvsim.simulation.draws import ChunkDraws

PATIENTS = 4096
FIRST_CHUNK = 2_000_000
"""Other patients than those solved and reported on."""
_ONSET = {"low": (-2.0, -1.4), "high": (1.6, 1.4), "points": (7, 6), "degree": 4}
_LATE = {"low": (-2.2, -2.6), "high": (1.8, 2.0), "points": (5, 6), "degree": 3}
_FUNGAL = {"low": (-3.0, -2.2), "high": (2.4, 2.0), "points": (6, 4), "degree": 3}
_DRUG = {"low": (-2.2, -1.8), "points": (7, 7), "degree": 4}
_RAREST = -4.0
"""Log of a marginal ratio below which a small cohort has too few events to say more."""
LAW_REACH = 3.0
"""Log of the amplitude over the solved one, at most, either way, under a drawn law."""
_LAW_NEAR = 0.05
"""Logit of incidence within which the last, unsimulated, step of the secant is trusted."""
_LAW_STEPS = 8

Laws = Literal["fixed", "solved"]
"""Whether the onset hazard stays as it is when a law changes ("fixed": what would happen), or shows the target under the
changed law too ("solved": what is not known)."""


class Redraw:
    """Hazards of varied scenarios.

    Parameters
    ----------
    scenario, calibration
        As solved; both its law and its targets are what changes are relative to.
    patients
        Size of the fixed cohort, in whole patients of 64 replicates.

    Notes
    -----
    The tables are made when first needed (:meth:`prepare` makes them all) and travel with a pickle; the cohort does not.
    """

    def __init__(self, scenario: ResolvedScenario, calibration: Calibration, patients: int = PATIENTS) -> None:
        self.scenario = scenario
        self.solved = calibration.baseline
        self.patients = max(1, round(patients / CHUNK_REPLICATES)) * CHUNK_REPLICATES

    def __getstate__(self) -> dict[str, Any]:
        """Without the cohort."""
        return {name: value for name, value in self.__dict__.items() if name != "_draws"}

    def prepare(self) -> Redraw:
        """Make all tables, so that copies in other processes share them."""
        _ = self._onset, self._infections, self._death, self._undrawn
        if self.solved.letermovir is not None and self.scenario.spec.letermovir.known_effect is None:
            _ = self._drug
        return self

    def baseline(self, varied: ResolvedScenario, laws: Laws = "fixed") -> Baseline:
        """Hazards of a scenario from :func:`cmvsim.scenarios.vary.vary`.

        The calibration's own where nothing differs that moves them, down to the last bit. A target that is beyond what the
        table reaches has the nearest hazards, see :meth:`reaches`; one that is measured in another way is solved on the large
        cohort.

        Parameters
        ----------
        varied
            The scenario.
        laws
            "fixed": a change of a law moves no hazard. "solved", for draws of what is not known: the amplitude of onset is
            that at which the incidence observed under the changed law, by the target's measurement on the basis of the
            calibration, is the target; of all other hazards, and of the median of onset, a law moves none.
        """
        return self.solve(varied, laws)[0]

    def reaches(self, varied: ResolvedScenario, laws: Laws = "fixed") -> bool:
        """Whether the hazards of :meth:`baseline` meet the varied targets, up to a thousandth of their logit or log.

        Under a drawn law the incidence is met as the weights of the small cohort have it, or, of a target that the study itself
        measures, up to what a secant over the last twentieth of a logit leaves.
        """
        return self.solve(varied, laws)[1]

    def solve(self, varied: ResolvedScenario, laws: Laws = "fixed") -> tuple[Baseline, bool]:
        """:meth:`baseline` and :meth:`reaches` at once."""
        own, new = self.scenario.spec, varied.spec
        baseline, met = self.solved, True
        if new is own:
            return baseline, met
        if laws == "fixed" and measurement(new) != measurement(own):
            return self._solved_anew(new), True
        change, x = _onset_targets(new) - _onset_targets(own), np.zeros(2)
        if change.any():
            x, met = self._onset.moved(change)
        if laws == "solved":
            x, met = self._under_drawn_law(new, x, float(change[0]), met)
        if x.any():
            baseline = self._at_onset(x)
        baseline, infections_met = self._with_infections(baseline, new)
        baseline = self._death.moved(baseline, new.follow_up)
        baseline, drug_met = self._with_drug(baseline, new)
        return baseline, met and infections_met and drug_met

    def _under_drawn_law(self, new: Scenario, x: FloatArray, change: float, met: bool) -> tuple[FloatArray, bool]:
        """Log amplitude that shows the target under the drawn law, found on the small cohort from the table's answer.

        The logit of incidence differs from that of the same cohort at the solved hazards and the undrawn law as the targets
        do.
        """
        basis = basis_of(self.scenario)
        drawn = with_laws(basis, self.scenario.spec, new)
        if drawn is basis and measurement(new) == measurement(self.scenario.spec):
            return x, met
        cohort, target = Cohort(drawn, range(1), self._draws), new.cmv.incidence
        if target.measured_by is None:  # patients leave, whose weights are not known
            return self._by_secant(cohort, target, x, change, met)

        def look(log_amplitude: float) -> Detections:
            return cohort.detections(target, self._at_onset(np.array([log_amplitude, x[1]])))

        def excess(seen: Detections, step: float) -> float:
            return _logit_within(seen.share(step), seen.at_risk(step)) - self._undrawn - change

        amplitude, found = amplitude_that_shows(look, excess, float(x[0]), LAW_REACH)
        return np.array([amplitude, x[1]]), met and found

    def _by_secant(
        self, cohort: Cohort, target: TargetSpec, x: FloatArray, change: float, met: bool
    ) -> tuple[FloatArray, bool]:
        """:meth:`_under_drawn_law` of a target that the study itself measures.

        The last step is not simulated again: an answer moves by whole patients, its secant does not.
        """
        backgrounds = cohort.backgrounds(target, self.solved)

        def miss(log_amplitude: float) -> float:
            hazards = self._at_onset(np.array([log_amplitude, x[1]]))
            seen = cohort.see(target, hazards, factors=False, backgrounds=backgrounds)
            return _logit_within(seen.at(float(target.day)), seen.at_risk) - self._undrawn - change

        low, high = -LAW_REACH, LAW_REACH
        here, slope = float(x[0]), self._onset.slope(x)
        found = miss(here)
        for _ in range(_LAW_STEPS):
            low, high = (low, here) if found > 0 else (here, high)
            step = float(np.clip(-found / slope, -1.5, 1.5))
            there = here + step if low <= here + step <= high else (low + high) / 2
            if abs(found) <= _LAW_NEAR:
                return np.array([there, x[1]]), met
            if high - low < 1e-3:
                break
            then = miss(there)
            if there != here:
                slope = max((then - found) / (there - here), 0.05)
            here, found = there, then
        return np.array([here, x[1]]), False

    def _with_infections(self, baseline: Baseline, new: Scenario) -> tuple[Baseline, bool]:
        own = self.scenario.spec.infections
        late, fungal = self._infections
        change = _bacterial(new) - _bacterial(self.scenario.spec)
        met = True
        if change.any():
            x, met = late.moved(change)
            early_hazard, late_hazard = baseline.bacterial_hazard
            hazards = (early_hazard * float(np.exp(x[0])), late_hazard * float(np.exp(x[1])))
            baseline = replace(baseline, bacterial_hazard=hazards)
        step = float(np.log(float(new.infections.fungal.late_ratio)) - np.log(float(own.fungal.late_ratio)))
        change = np.array([_cloglog(float(new.infections.fungal.whole)) - _cloglog(float(own.fungal.whole)), step])
        if change.any():
            x, fungal_met = fungal.moved(change)
            met = met and fungal_met
            early_hazard, late_hazard = (h * float(np.exp(x[0])) for h in baseline.fungal_hazard)
            baseline = replace(baseline, fungal_hazard=(early_hazard, late_hazard * float(np.exp(step))))
        return baseline, met

    def _with_drug(self, baseline: Baseline, new: Scenario) -> tuple[Baseline, bool]:
        effect = self.solved.letermovir
        if effect is None or new.letermovir.known_effect is not None:
            return baseline, True
        change = _drug_targets(new) - _drug_targets(self.scenario.spec)
        if not change.any():
            return baseline, True
        x, met = self._drug.moved(change)
        moved = LetermovirEffect(
            min(1.0, effect.onset_ratio * float(np.exp(x[0]))), min(0.0, effect.set_point_shift + float(x[1]))
        )
        return replace(baseline, letermovir=moved), met

    def _solved_anew(self, new: Scenario) -> Baseline:
        """Onset on the large cohort, where the targets are measured in another way; infections and death as they were."""
        own = self.scenario.spec
        cmv = own.cmv.model_copy(update={"targets": new.cmv.targets})
        letermovir = own.letermovir.model_copy(update={"targets": new.letermovir.targets})
        changed = own.model_copy(update={"cmv": cmv, "letermovir": letermovir})
        return calibrate(replace(self.scenario, spec=changed)).baseline

    @cached_property
    def _draws(self) -> list[ChunkDraws]:
        return [ChunkDraws(SEED, Role.CALIBRATION, FIRST_CHUNK, self.patients // CHUNK_REPLICATES)]

    @cached_property
    def _onset(self) -> Response:
        basis = basis_of(self.scenario)
        cohort, target, timing = Cohort(basis, range(1), self._draws), basis.cmv.incidence, basis.cmv.timing

        def measure(x: FloatArray) -> FloatArray:
            seen = cohort.see(target, self._at_onset(x))
            reached = seen.at(float(target.day))
            return np.array([_logit(reached) if 0 < reached < 1 else np.nan, np.log(seen.median(float(timing.day)))])

        return Response.of(measure, **_ONSET)  # type: ignore[arg-type]

    @cached_property
    def _undrawn(self) -> float:
        """Logit of incidence on the small cohort at the solved hazards, as :meth:`_under_drawn_law` measures it."""
        basis = basis_of(self.scenario)
        seen = Cohort(basis, range(1), self._draws).see(basis.cmv.incidence, self.solved, factors=False)
        return _logit_within(seen.at(float(basis.cmv.incidence.day)), seen.at_risk)

    def _at_onset(self, x: FloatArray) -> Baseline:
        amplitude, median = (float(v) for v in np.exp(x))
        return replace(
            self.solved,
            onset_amplitude=self.solved.onset_amplitude * amplitude,
            onset_median=self.solved.onset_median * median,
        )

    @cached_property
    def _infections(self) -> tuple[Response, Response]:
        spec, basis = self.scenario.spec, basis_of(self.scenario)
        cohort = Cohort(spec, range(1), self._draws).see_infections(basis.cmv.incidence, self.solved)
        horizon = float(spec.study.horizon)
        bacterial, fungal = np.array(self.solved.bacterial_hazard), np.array(self.solved.fungal_hazard)

        def of_bacterial(x: FloatArray) -> FloatArray:
            hazards = tuple(float(h) for h in bacterial * np.exp(x))
            seen = see_infections(spec.infections, replace(self.solved, bacterial_hazard=hazards), cohort, horizon)
            return np.array([_cloglog(seen.bacterial_early), _cloglog(seen.bacterial_late)])

        def of_fungal(x: FloatArray) -> FloatArray:
            hazards = (float(fungal[0] * np.exp(x[0])), float(fungal[1] * np.exp(x[0] + x[1])))
            seen = see_infections(spec.infections, replace(self.solved, fungal_hazard=hazards), cohort, horizon)
            return np.array([_cloglog(seen.fungal), x[1]])

        return Response.of(of_bacterial, **_LATE), Response.of(of_fungal, **_FUNGAL)  # type: ignore[arg-type]

    @cached_property
    def _death(self) -> DeathTargets:
        return DeathTargets.of(self.scenario.spec)

    @cached_property
    def _drug(self) -> Response:
        effect = self.solved.letermovir
        assert effect is not None
        ratio, shift = float(np.log(effect.onset_ratio)), effect.set_point_shift
        measure = effect_measure(basis_of(self.scenario), self.scenario.spec.letermovir, self.solved, self._draws)

        def answers(x: FloatArray) -> FloatArray:
            with np.errstate(divide="ignore"):
                found: FloatArray = np.log(measure(float(np.exp(ratio + x[0])), shift + float(x[1])))
            return np.where(found > _RAREST, found, np.nan)

        low = (max(_DRUG["low"][0], np.log(LOWEST_RATIO) - ratio), max(_DRUG["low"][1], LOWEST_SHIFT - shift))  # type: ignore[index]
        high = (-ratio, -shift)
        return Response.of(answers, low, high, _DRUG["points"], _DRUG["degree"])  # type: ignore[arg-type]


def _onset_targets(spec: Scenario) -> FloatArray:
    return np.array([_logit(float(spec.cmv.incidence.value)), np.log(float(spec.cmv.timing.value))])


def _bacterial(spec: Scenario) -> FloatArray:
    targets = spec.infections.bacterial
    return np.array([_cloglog(float(targets.early)), _cloglog(float(targets.late))])


def _drug_targets(spec: Scenario) -> FloatArray:
    targets = spec.letermovir.targets
    return np.log([float(targets.any_dnaemia), float(targets.clinically_significant)])


def _logit(p: float) -> float:
    return float(np.log(p) - np.log1p(-p))


def _logit_within(p: float, n: float) -> float:
    """Of a share of n, of which none or all count as half a patient less than that."""
    return _logit(min(max(p, 0.5 / n), 1 - 0.5 / n))


def _cloglog(p: float) -> float:
    return float(np.log(-np.log1p(-p))) if 0 < p < 1 else float("nan")
