"""The Experiment of a cohort study: simulate, record, derive and estimate, for nested sample sizes at once."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from cmvsim.calibration.quality_of_life import convert
from cmvsim.core.records import Request
from cmvsim.core.streams import Role
from cmvsim.data.study import Study
from cmvsim.endpoints import AnalysisSpec, EstimatorChoice, endpoint
from cmvsim.models.baseline import Baseline
from cmvsim.models.history import Process
from cmvsim.models.strategies import reference_strategy
from cmvsim.montecarlo.experiment import RowKey
from cmvsim.planning.nested import NestedStudies
from cmvsim.scenarios import ResolvedScenario
from cmvsim.simulation.cohort import ALL, simulate
from cmvsim.simulation.model import Model
from cmvsim.simulation.recording import record


@dataclass(frozen=True)
class CohortExperiment(NestedStudies):
    """A single-arm cohort under one strategy, analysed at nested sample sizes.

    Attributes
    ----------
    scenario, baseline
        What is simulated.
    sizes
        Ascending; the study of size n is the first n patients of the largest.
    endpoints
        Ids.
    sensitivity
        All batched estimators of each endpoint, or its primary one only.
    role, attempt
        Which streams: the study's own, or those of a confirmation.
    estimators
        Only these, whether primary or not, batched or not; none named: as `sensitivity` says.
    """

    scenario: ResolvedScenario
    baseline: Baseline
    sizes: tuple[int, ...]
    endpoints: tuple[str, ...]
    sensitivity: bool
    seed: int
    role: Role = Role.STUDY
    attempt: int = 0
    estimators: tuple[str, ...] = ()

    @property
    def plan(self) -> AnalysisSpec:
        """How it is analysed."""
        return self.scenario.spec.analysis

    @cached_property
    def choices(self) -> tuple[tuple[str, EstimatorChoice], ...]:
        """(endpoint, estimator) pairs in the order of the rows."""
        return tuple(
            (name, choice)
            for name in self.endpoints
            for place, choice in enumerate(endpoint(name).estimators)
            if (choice.id in self.estimators if self.estimators else place == 0 or (self.sensitivity and choice.batched))
        )

    @property
    def strategy(self) -> str:
        """Id of the reference strategy."""
        return reference_strategy(self.scenario.spec.strategies) or next(iter(self.scenario.spec.strategies))

    def key(self, name: str, choice: EstimatorChoice, term: str) -> RowKey:
        """Endpoint, estimator and term, at the end of the window."""
        return RowKey(name, strategy=self.strategy, estimator=choice.id, term=term, at=float(self.plan.window))

    @cached_property
    def request(self) -> Request:
        """What may change a number of these chunks."""
        asked = {"endpoints": list(self.endpoints), "sensitivity": self.sensitivity}
        return chunks_request(self, self.baseline, asked | ({"estimators": list(self.estimators)} if self.estimators else {}))

    @cached_property
    def model(self) -> Model:
        """The specifications with the solved hazards; answers to questionnaires where an endpoint needs them."""
        return solved_model(self.scenario, self.baseline, self.needs)

    def study(self, index: int) -> Study:
        """The recorded studies of a chunk, at the largest size."""
        draws = self.draws(index)
        return record(simulate(self.model, draws, needs=self.needs, strategy=self.strategy), self.reads)

    def whole_study(self, index: int) -> Study:
        """The studies of a chunk with all their tables, as `simulate` writes them; more than the endpoints read."""
        draws = self.draws(index)
        return record(simulate(solved_model(self.scenario, self.baseline, ALL), draws, needs=ALL, strategy=self.strategy))


def chunks_request(studies: NestedStudies, baseline: Baseline, asked: Mapping[str, Any]) -> Request:
    """What may change a number of the chunks of nested studies: the scenario, its hazards, sizes, streams, what is asked."""
    return Request(
        "chunks",
        studies.scenario.id,
        studies.scenario.digest,
        {
            **asked,
            "sizes": list(studies.sizes),
            "role": studies.role.name,
            "attempt": studies.attempt,
            "baseline": baseline.as_dict(),
        },
        studies.seed,
    )


def solved_model(scenario: ResolvedScenario, baseline: Baseline, needs: frozenset[Process]) -> Model:
    """The specifications with the solved hazards; answers to questionnaires where an endpoint needs them."""
    health = convert(scenario.spec.quality_of_life) if Process.QUALITY_OF_LIFE in needs else None
    return Model.of(scenario.spec, baseline, health)
