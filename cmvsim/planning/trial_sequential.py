"""Looks at a randomised CMV trial: the tables as they stood on the date of each look, analysed by the design's comparison."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise
from typing import Any

import numpy as np

from cmvsim.core.errors import InputError, Problem
from cmvsim.core.records import BoolArray, Estimates, FloatArray, IntArray
from cmvsim.core.streams import Role
from cmvsim.data.cut import cut, known_until
from cmvsim.data.pooling import replicates_of
from cmvsim.data.study import EndReason, Study
from cmvsim.designs.group_sequential import GroupSequential
from cmvsim.endpoints import AnalysisSpec, endpoint
from cmvsim.endpoints.arms import by_arm
from cmvsim.endpoints.comparison import COMPARISONS, Grouped, compared_by
from cmvsim.endpoints.derived import CENSORED, EVENT, GroupedTimeToEvent
from cmvsim.estimators import normal_quantile
from cmvsim.models.accrual import enrol
from cmvsim.models.baseline import Baseline
from cmvsim.models.history import Process
from cmvsim.planning.experiment import solved_model
from cmvsim.planning.nested import ROLE_CHUNKS
from cmvsim.planning.sequential import Looked, SequentialExperiment
from cmvsim.planning.trial import TrialExperiment, WithoutEffect, comparative_plan, randomisation_strata
from cmvsim.scenarios import ResolvedScenario
from cmvsim.simulation.cohort import simulate
from cmvsim.simulation.draws import ChunkDraws
from cmvsim.simulation.model import Model
from cmvsim.simulation.recording import record

BESIDE = ("log_rank", "gray_test")
"""Analysed at each look beside the design's comparison: one has independent increments, the other has not."""
PILOT_SEED, PILOT_CHUNK = 0, 200 * ROLE_CHUNKS
"""Of the chunk from which the number of planned events is expected: part of the design, not of the run."""


@dataclass(frozen=True)
class CmvLooks:
    """A randomised trial of a scenario with the looks of one of its designs.

    Attributes
    ----------
    scenario, baseline
        What is simulated.
    design
        Name of a group-sequential design.
    patients
        Enrolled if it is never stopped.
    primary
        Endpoint compared.
    planned
        Events at information 1; 0 until they are known (:func:`planned_events`).
    null
        Both arms are given the control strategy: what is rejected then is the type I error.
    """

    scenario: ResolvedScenario
    baseline: Baseline
    design: str
    patients: int
    primary: str
    planned: int = 0
    null: bool = False

    @cached_property
    def sequential(self) -> GroupSequential:
        """The design."""
        found = self.scenario.spec.designs[self.design]
        if not isinstance(found, GroupSequential):
            raise TypeError(f"the design '{self.design}' has one look")
        return found

    @cached_property
    def plan(self) -> AnalysisSpec:
        """The scenario's analysis with the design's arms and strata."""
        own = comparative_plan(self.scenario.spec.analysis, self.sequential)
        return own.model_copy(update={"level": self.sequential.level})

    @property
    def endpoint(self) -> str:
        """Id in the rows."""
        return self.primary

    @property
    def n(self) -> int:
        """Patients of both arms."""
        return self.patients

    @cached_property
    def analyses(self) -> tuple[str, ...]:
        """The comparison that decides, then others of event times."""
        known = compared_by(endpoint(self.primary))
        first = self.sequential.comparison
        beside = () if self.sequential.hypothesis == "non_inferiority" else BESIDE
        return (first, *(name for name in beside if name != first and name in known))

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the looks."""
        return self.sequential.looks.names

    @property
    def content(self) -> dict[str, Any]:
        """What may change a number."""
        return {
            "design": self.design,
            "patients": self.patients,
            "endpoint": self.primary,
            "planned": self.planned,
            "null": self.null,
            "baseline": self.baseline.as_dict(),
        }

    @property
    def about(self) -> tuple[str, str]:
        """Name and digest of the scenario."""
        return self.scenario.id, self.scenario.digest

    @property
    def needs(self) -> frozenset[Process]:
        """Processes that the endpoint needs."""
        return endpoint(self.primary).needs

    @cached_property
    def model(self) -> Model:
        """The specifications with the solved hazards."""
        return solved_model(self.scenario, self.baseline, self.needs)

    def looks(self, seed: int, role: Role, index: int) -> tuple[Looked, ...]:
        """The chunk of studies at each look."""
        return self.looked(self.data(ChunkDraws(seed, role, index, self.patients)), slice(None))

    def data(self, draws: ChunkDraws) -> tuple[Study, FloatArray]:
        """Whole studies of a batch, and (R, N) days of enrolment."""
        return self.study(draws), self.enrolment(draws)

    def looked(self, data: tuple[Study, FloatArray], part: slice) -> tuple[Looked, ...]:
        """Some replicates of a batch at each look."""
        study, enrolment = replicates_of(data[0], part), data[1][part]
        infusion = enrolment - float(self.scenario.spec.study.inclusion)
        days = self._days(study, infusion)
        return tuple(self._looked(study, enrolment, infusion, day) for day in days)

    def study(self, draws: ChunkDraws) -> Study:
        """The whole studies, recorded."""
        design = self.sequential
        arm = design.assign(randomisation_strata(self.model, draws, design.stratify), draws)
        if self.null:
            history = simulate(self.model, draws, needs=self.needs, strategy=design.arms[0])
        else:
            history = simulate(self.model, draws, needs=self.needs, strategy=design.arms, arm=arm.T.ravel())
        return record(history, endpoint(self.primary).reads, arms=design.arms, arm=arm)

    def enrolment(self, draws: ChunkDraws) -> FloatArray:
        """(R, N) days of enrolment from the start of the study."""
        return enrol(self.scenario.spec.accrual, self.scenario.spec.population, draws).day

    def derived(self, study: Study) -> GroupedTimeToEvent:
        """Times to the event by arm."""
        found: Grouped = by_arm(endpoint(self.primary))(study, self.plan)
        if not isinstance(found, GroupedTimeToEvent):
            raise TypeError(f"{self.primary} is no time to an event")
        return found

    def _days(self, study: Study, infusion: FloatArray) -> list[FloatArray]:
        """(R,) calendar day of each look."""
        there = np.where(np.isfinite(infusion), infusion, -np.inf).max(axis=1)
        complete = np.maximum(there, 0.0) + self.plan.window + self.plan.closing_window
        looks = self.sequential.looks
        if looks.calendar:
            return [*(np.minimum(day, complete) for day in looks.calendar), complete]
        whole = self.derived(study)
        happened = np.sort(np.where((whole.cause == EVENT) & np.isfinite(infusion), infusion + whole.time, np.inf), axis=1)
        wanted = [int(np.ceil(share * self.planned - 1e-9)) for share in looks.information[:-1]]
        return [*(np.minimum(happened[:, d - 1], complete) if d <= self.patients else complete for d in wanted), complete]

    def _looked(self, study: Study, enrolment: FloatArray, infusion: FloatArray, day: FloatArray) -> Looked:
        known = known_until(infusion, day + 1e-6)  # the event that brings the look about is seen at it
        seen = cut(study, known, enrolment=float(self.scenario.spec.study.inclusion))
        derived = self.derived(seen)
        found = {name: COMPARISONS[name].compare(derived, self.plan, (self.patients,)) for name in self.analyses}
        estimates = {name: _only_size(item) for name, item in found.items()}
        enrolled = enrolment <= (day + self.sequential.delay)[:, None]
        return Looked(
            {name: self._z(name, item) for name, item in estimates.items()},
            estimates,
            (derived.cause == EVENT).sum(axis=1).astype(np.float64),
            day,
            enrolled.sum(axis=1).astype(np.float64),
            (self._complete(seen, derived) & enrolled).sum(axis=1).astype(np.float64),
        )

    def _complete(self, seen: Study, derived: GroupedTimeToEvent) -> BoolArray:
        """Patients of whom no more is awaited: with an event of any cause, followed to the end, or no longer followed."""
        ongoing = seen.disposition.reason == EndReason.ONGOING
        awaited = ongoing & (derived.cause <= CENSORED) & (seen.disposition.end < self.plan.window)
        return np.asarray(~awaited)

    def _z(self, name: str, found: Estimates) -> FloatArray:
        """Distance from the null value in standard errors, positive on the side of the experimental arm.

        By the limit on the side of the null value, which also serves where a standard error is 0 for want of events.
        """
        null = self.sequential.null if name == self.sequential.comparison else COMPARISONS[name].no_difference
        with np.errstate(divide="ignore", invalid="ignore"):
            if COMPARISONS[name].scale == "risk_difference":
                value, low, high = found.estimate, found.ci_low, found.ci_high
            else:
                value, low, high, null = np.log(found.estimate), np.log(found.ci_low), np.log(found.ci_high), np.log(null)
            reach = np.where(value <= null, high - value, value - low)
            z: FloatArray = normal_quantile(self.plan.level) * (null - value) / reach
        return np.where(reach > 0, z, np.nan)


def recorded_trial(experiment: SequentialExperiment) -> TrialExperiment:
    """The same studies without looks, which can be recorded with all their tables."""
    trial = experiment.trial
    if not isinstance(trial, CmvLooks):
        raise TypeError("only trials of a scenario are recorded")
    kind = WithoutEffect if trial.null else TrialExperiment
    what = (trial.scenario, trial.baseline, (trial.patients,), (trial.primary,), trial.design, False)
    return kind(*what, experiment.seed, experiment.role, experiment.attempt)


def _only_size(found: Estimates) -> Estimates:
    """Estimates of one nested size without its axis."""
    names = ("estimate", "se", "ci_low", "ci_high", "n", "events", "status")
    arrays: dict[str, Any] = {name: getattr(found, name)[:, 0] for name in names}
    return Estimates(**arrays, level=found.level, method=found.method, se_scale=found.se_scale)


def planned_events(trial: CmvLooks) -> int:
    """Events at information 1: those of the design, or as many as are expected when nobody is stopped."""
    if trial.sequential.events:
        return trial.sequential.events
    draws = ChunkDraws(PILOT_SEED, Role.TRUTH, PILOT_CHUNK, trial.patients)
    derived = trial.derived(trial.study(draws))
    counts: IntArray = (derived.cause == EVENT).sum(axis=1)
    return max(1, round(float(counts.mean())))


def check_looks(trial: CmvLooks) -> None:
    """Refuse looks that cannot tell more than the one before.

    Raises
    ------
    InputError
        If two looks come with the same number of events, or one on a day on which no simulated trial has seen an event.
    """
    looks, at = trial.sequential.looks, f"designs.{trial.design}.looks"
    wanted = [math.ceil(share * trial.planned - 1e-9) for share in looks.information]
    for k, (one, other) in enumerate(pairwise(wanted)):
        if other <= one:
            told = f"{looks.names[k + 1]} would see no more events than {looks.names[k]}: {other} of {trial.planned} planned"
            raise InputError(Problem(told, "-n", at, "more patients, or fewer looks"))
    if looks.calendar:
        for name, looked in zip(looks.names, trial.looks(PILOT_SEED, Role.TRUTH, PILOT_CHUNK), strict=True):
            if not looked.events.any():
                told = f"{name} sees no event in any of {looked.events.size} simulated trials of {trial.patients} patients"
                raise InputError(Problem(told, "-n", at, "later days, or more patients"))
