"""Experiments of one arm that is tested: against a fixed incidence, and in Simon's two stages."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from cmvsim.core.records import Estimates, FloatArray, Request, Status
from cmvsim.core.streams import CHUNK_REPLICATES
from cmvsim.designs.simon_two_stage import SimonTwoStage
from cmvsim.designs.single_arm_test import SingleArm, SingleArmTest
from cmvsim.endpoints import AnalysisSpec, EstimatorChoice, endpoint
from cmvsim.endpoints.derived import TimeToEvent
from cmvsim.endpoints.evaluable import evaluable
from cmvsim.estimators import proportion
from cmvsim.models.accrual import enrol
from cmvsim.montecarlo.experiment import FIELDS, Replicates, RowKey
from cmvsim.planning.experiment import CohortExperiment
from cmvsim.planning.nested import ROLE_CHUNKS
from cmvsim.simulation.draws import ChunkDraws

PROPORTION = "evaluable_proportion"
SPARE = 6.0
"""Patients simulated of a two-stage design: so many standard deviations more than are enrolled on average."""


@dataclass(frozen=True)
class SingleArmExperiment(CohortExperiment):
    """A cohort under the design's strategy, tested at nested sizes.

    Attributes
    ----------
    design
        Name in the scenario, of a single arm.
    """

    design: str = ""

    @cached_property
    def tested(self) -> SingleArm:
        """The design."""
        found = self.scenario.spec.designs[self.design]
        if not isinstance(found, SingleArm):
            raise TypeError(f"the design '{self.design}' tests no single arm")
        return found

    @property
    def strategy(self) -> str:
        """The design's, or the reference strategy."""
        return self.tested.strategy or super().strategy

    @property
    def plan(self) -> AnalysisSpec:
        """The scenario's analysis at the level that goes with the design's alpha."""
        own = self.scenario.spec.analysis
        level = self.tested.level if isinstance(self.tested, SingleArmTest) else own.level
        return own.model_copy(update={"level": level})

    @cached_property
    def choices(self) -> tuple[tuple[str, EstimatorChoice], ...]:
        """The one that decides, then the other of proportion and cumulative incidence; then other endpoints' primary ones."""
        name = self.endpoints[0]
        both = [(name, proportion_choice(self.tested.evaluable)), (name, endpoint(name).estimators[0])]
        if isinstance(self.tested, SingleArmTest) and self.tested.test != "exact":
            both.reverse()
        return (*both, *((other, endpoint(other).estimators[0]) for other in self.endpoints[1:]))

    @property
    def primary(self) -> RowKey:
        """The row that decides."""
        return self.rows[0]

    @cached_property
    def request(self) -> Request:
        """What may change a number of these chunks."""
        plain = super().request
        content = {**plain.content, "design": self.design}
        return Request(plain.verb, plain.scenario, plain.scenario_digest, content, plain.seed)


def proportion_choice(rule: str) -> EstimatorChoice:
    """The plain proportion among evaluable patients, Clopper and Pearson's interval."""

    def estimate(derived: TimeToEvent, plan: AnalysisSpec, sizes: tuple[int, ...]) -> Estimates:
        known, event = evaluable(derived, float(plan.window), rule)
        last = [n - 1 for n in sizes]
        events, n = (np.cumsum(who, axis=1, dtype=np.int64)[:, last] for who in (known & event, known))
        return proportion(events, n, method="clopper-pearson", level=plan.level)

    return EstimatorChoice(PROPORTION, "Proportion among evaluable patients (Clopper-Pearson)", estimate)


STAGE_EXTRAS = ("first_events", "first_enrolled", "enrolled", "overrun", "day", "continued")


@dataclass(frozen=True)
class TwoStageExperiment(CohortExperiment):
    """Simon's design with enrolment until enough patients are evaluable.

    Its one size is what is simulated, enough for all but freak replicates; a replicate that needs more is not estimable.
    Extras: events among the first n1 evaluable patients; patients enrolled for them; in all; patients who would be enrolled
    while the last outcome of the first stage is awaited, were enrolment not paused; day from the start of the study on which
    the last outcome is known, with the pause; whether the second stage was entered.
    """

    design: str = ""

    @cached_property
    def tested(self) -> SimonTwoStage:
        """The design."""
        found = self.scenario.spec.designs[self.design]
        if not isinstance(found, SimonTwoStage):
            raise TypeError(f"the design '{self.design}' has no two stages")
        return found

    @property
    def strategy(self) -> str:
        """The design's, or the reference strategy."""
        return self.tested.strategy or super().strategy

    @cached_property
    def rows(self) -> tuple[RowKey, ...]:
        """One: the proportion among evaluable patients when the study ends."""
        return (RowKey(self.endpoints[0], strategy=self.strategy, estimator=PROPORTION, at=float(self.plan.window)),)

    @property
    def extras(self) -> tuple[str, ...]:
        """What is kept of the stages."""
        return STAGE_EXTRAS

    @cached_property
    def request(self) -> Request:
        """What may change a number of these chunks."""
        plain = super().request
        content = {**plain.content, "design": self.design, "stages": True}
        return Request(plain.verb, plain.scenario, plain.scenario_digest, content, plain.seed)

    def chunk(self, index: int) -> Replicates:
        """Compute 64 replicates."""
        patients = self.sizes[0]
        derived = endpoint(self.endpoints[0]).derive(self.study(index), self.plan)
        if not isinstance(derived, TimeToEvent):
            raise TypeError(f"{self.endpoints[0]} is no time to an event")
        draws = ChunkDraws(self.seed, self.role, self.attempt * ROLE_CHUNKS + index, patients)
        spec = self.scenario.spec
        enrolment = enrol(spec.accrual, spec.population, draws).day
        known, event = evaluable(derived, float(self.plan.window), self.tested.evaluable)
        lag = np.where(known, derived.time, 0.0) - float(spec.study.inclusion)  # from enrolment to the outcome
        result = Replicates.empty(1, 1, len(self.extras))
        for r in range(CHUNK_REPLICATES):
            self._one(result, r, known[r], event[r], enrolment[r], lag[r])
        return result

    def _one(
        self, result: Replicates, r: int, known: FloatArray, event: FloatArray, enrolment: FloatArray, lag: FloatArray
    ) -> None:
        design = self.tested.stages
        places = np.flatnonzero(known)
        if places.size < design.n:
            result.values[r, 0, 0, FIELDS.index("status")] = float(Status.NOT_ESTIMABLE)
            return
        first, last = places[: design.n1], places[: design.n]
        events = float(event[first].sum())
        goes_on = bool(self.tested.goes_on(np.array(events)))
        used = last if goes_on else first
        enrolled = int(used[-1]) + 1
        awaited = float(np.max((enrolment + lag)[: int(first[-1]) + 1]))
        pause = awaited - enrolment[int(first[-1])] if goes_on else 0.0
        done = float(np.max((enrolment + lag)[:enrolled])) + (pause if goes_on else 0.0)
        overrun = float((enrolment <= awaited).sum() - (int(first[-1]) + 1))
        found = proportion(
            np.array([event[used].sum()], dtype=np.int64),
            np.array([used.size], dtype=np.int64),
            method="clopper-pearson",
            level=self.plan.level,
        )
        for column, field in enumerate(FIELDS):
            result.values[r, 0, 0, column] = getattr(found, field)[0]
        result.extras[r, 0] = (events, int(first[-1]) + 1, enrolled, overrun, done, goes_on)


def patients_to_simulate(n: int, share: float) -> int:
    """Patients so that n of them are evaluable in all but freak replicates, if a share is."""
    return math.ceil(n / share + SPARE * math.sqrt(n * (1 - share)) / share) + 1
