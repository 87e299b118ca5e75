"""Experiments of one arm that is tested: against a fixed incidence, and in Simon's two stages."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np

from cmvsim.core.records import BoolArray, Estimates, FloatArray, Request, Status
from cmvsim.core.streams import Role
from cmvsim.data.pooling import replicates_of
from cmvsim.data.study import Study
from cmvsim.designs.simon_two_stage import SimonTwoStage
from cmvsim.designs.single_arm_test import SingleArm, SingleArmTest
from cmvsim.endpoints import AnalysisSpec, EstimatorChoice, endpoint
from cmvsim.endpoints.derived import TimeToEvent
from cmvsim.endpoints.evaluable import evaluable
from cmvsim.estimators import proportion
from cmvsim.models.accrual import enrol
from cmvsim.models.baseline import Baseline
from cmvsim.montecarlo.experiment import FIELDS, Failure, Replicates, RowKey
from cmvsim.planning.experiment import CohortExperiment
from cmvsim.planning.nested import isolated
from cmvsim.scenarios import ResolvedScenario

PROPORTION = "evaluable_proportion"
PILOT_PATIENTS = 400
MOST_DOUBLINGS = 5
"""Of the patients of a two-stage study that runs out of them; then it is not estimable."""
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

    @property
    def simulated_by(self) -> tuple[str, ...]:
        """The strategy."""
        return ("--strategy", self.strategy)

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

    Its one size is what is simulated, enough for all but freak replicates; where one needs more, more are simulated, of whom
    these are the first.
    Extras: as in :class:`StageOutcome`.
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
    def simulated_by(self) -> tuple[str, ...]:
        """The strategy."""
        return ("--strategy", self.strategy)

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

    def evaluable_share(self) -> float:
        """Share of the patients of the first chunk who are evaluable."""
        derived = endpoint(self.endpoints[0]).derive(self.study(0), self.plan)
        if not isinstance(derived, TimeToEvent):
            raise TypeError(f"{self.endpoints[0]} is no time to an event")
        return float(evaluable(derived, float(self.plan.window), self.tested.evaluable)[0].mean())

    def chunk(self, index: int) -> Replicates:
        """Compute 64 replicates; one that raises fails alone, one that runs out of patients goes on with more of them."""
        study = self
        for _ in range(MOST_DOUBLINGS):
            found = study._once(index)
            if not (found.values[..., FIELDS.index("status")] == Status.NOT_ESTIMABLE).any():
                break
            study = replace(study, sizes=(2 * study.sizes[0],)).few(self.replicates)
        return found

    def _once(self, index: int) -> Replicates:
        """The chunk with the patients there are: of a longer list of patients these are the first."""
        result = Replicates.empty(1, 1, len(self.extras))
        result = replace(result, values=result.values[: self.replicates], extras=result.extras[: self.replicates])
        study, enrolment = self.study(index), self._enrolment(index)
        failures: dict[int, Failure] = {}

        def follow(part: slice) -> list[tuple[StageOutcome, Estimates] | None]:
            return self._followed(replicates_of(study, part), enrolment[part])

        for part, found in isolated(follow, self.replicates, index, self.seed, failures):
            for r, ended in zip(range(*part.indices(self.replicates)), found, strict=True):
                if ended is None:
                    result.values[r, 0, 0, FIELDS.index("status")] = float(Status.NOT_ESTIMABLE)
                    continue
                outcome, estimated = ended
                result.extras[r, 0] = [float(getattr(outcome, name)) for name in STAGE_EXTRAS]
                result.values[r, 0, 0] = [float(getattr(estimated, field)[0]) for field in FIELDS]
        return replace(result, failures=tuple(failures.values()))

    def _enrolment(self, index: int) -> FloatArray:
        """(R, N) days of enrolment, were there no pause."""
        spec = self.scenario.spec
        return enrol(spec.accrual, spec.population, self.draws(index)).day

    def _followed(self, study: Study, enrolment: FloatArray) -> list[tuple[StageOutcome, Estimates] | None]:
        """Each study through its stages, and the proportion when it ends; None where patients run out."""
        derived = endpoint(self.endpoints[0]).derive(study, self.plan)
        if not isinstance(derived, TimeToEvent):
            raise TypeError(f"{self.endpoints[0]} is no time to an event")
        known, event = evaluable(derived, float(self.plan.window), self.tested.evaluable)
        lag = np.where(known, derived.time, 0.0) - float(self.scenario.spec.study.inclusion)  # from enrolment to the outcome
        found: list[tuple[StageOutcome, Estimates] | None] = []
        for r in range(study.replicates):
            outcome = two_stages(self.tested, known[r], event[r], enrolment[r], lag[r])
            if outcome is None:
                found.append(None)
                continue
            counts = [np.array([count], dtype=np.int64) for count in (outcome.events, outcome.n)]
            found.append((outcome, proportion(*counts, method="clopper-pearson", level=self.plan.level)))
        return found


@dataclass(frozen=True, slots=True)
class StageOutcome:
    """How one study in two stages went.

    Attributes
    ----------
    first_events
        Events among the first n1 evaluable patients.
    first_enrolled, enrolled
        Patients enrolled for the first stage, and in all.
    overrun
        Patients who would be enrolled while the last outcome of the first stage is awaited, were enrolment not paused: at most
        the rest of both stages, however many are simulated.
    day
        Day from the start of the study on which the last outcome is known, with the pause.
    continued
        Whether the second stage was entered.
    events, n
        Among evaluable patients when the study ends.
    """

    first_events: int
    first_enrolled: int
    enrolled: int
    overrun: int
    day: float
    continued: bool
    events: int
    n: int


def two_stages(
    design: SimonTwoStage, known: BoolArray, event: BoolArray, enrolment: FloatArray, lag: FloatArray
) -> StageOutcome | None:
    """Follow one study through its stages; None where too few patients are evaluable.

    Parameters
    ----------
    known, event
        (N,) whether a patient is evaluable, and has the event; in the order of enrolment.
    enrolment
        (N,) day of enrolment, were there no pause.
    lag
        (N,) days from enrolment until the patient's outcome is known.
    """
    n1, n = design.stages.n1, design.stages.n
    places = np.flatnonzero(known)
    if places.size < n:
        return None
    first_enrolled = int(places[n1 - 1]) + 1
    events = int(event[places[:n1]].sum())
    goes_on = bool(design.goes_on(np.array(float(events))))
    used = places[:n] if goes_on else places[:n1]
    enrolled = int(used[-1]) + 1
    outcome = enrolment + lag
    awaited = float(outcome[:first_enrolled].max())
    pause = awaited - float(enrolment[first_enrolled - 1])
    later = float(outcome[first_enrolled:enrolled].max()) + pause if goes_on else awaited
    return StageOutcome(
        events,
        first_enrolled,
        enrolled,
        int((enrolment[: places[n - 1] + 1] <= awaited).sum()) - first_enrolled,
        max(awaited, later),
        goes_on,
        int(event[used].sum()),
        int(used.size),
    )


def evaluable_share(scenario: ResolvedScenario, baseline: Baseline, design: str, name: str) -> float:
    """Of patients enrolled, in one chunk of a cohort with streams of its own: how many have to be simulated, no result."""
    pilot = TwoStageExperiment(scenario, baseline, (PILOT_PATIENTS,), (name,), False, 0, Role.TRUTH, design=design)
    return pilot.evaluable_share()


def patients_to_simulate(n: int, share: float) -> int:
    """Patients so that n of them are evaluable in all but freak replicates, if a share is."""
    return math.ceil(n / share + SPARE * math.sqrt(n * (1 - share)) / share) + 1
