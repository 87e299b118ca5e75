"""The Experiment of a cohort study: simulate, record, derive and estimate, for nested sample sizes at once."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np

from cmvsim.calibration.quality_of_life import convert
from cmvsim.core.records import Estimates, Request
from cmvsim.core.streams import CHUNK_REPLICATES, Role
from cmvsim.data.study import Study, Topic
from cmvsim.endpoints import AnalysisSpec, Derived, EstimatorChoice, endpoint
from cmvsim.endpoints.base import Estimated, by_term, derivation, plan_of
from cmvsim.models.baseline import Baseline
from cmvsim.models.history import Process
from cmvsim.models.strategies import reference_strategy
from cmvsim.montecarlo.experiment import FIELDS, Failure, Replicates, RowKey
from cmvsim.scenarios import ResolvedScenario
from cmvsim.simulation.cohort import ALL, simulate
from cmvsim.simulation.draws import ChunkDraws
from cmvsim.simulation.model import Model
from cmvsim.simulation.recording import record

ROLE_CHUNKS = 2**24
"""Chunks set aside for one attempt of a role: attempt k begins at chunk k x 2^24, so that attempts share no streams."""


@dataclass(frozen=True)
class CohortExperiment:
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

    def plan_of(self, choice: EstimatorChoice) -> AnalysisSpec:
        """The analysis under an estimator's own changes."""
        return plan_of(choice, self.plan)

    @property
    def strategy(self) -> str:
        """Id of the reference strategy."""
        return reference_strategy(self.scenario.spec.strategies) or next(iter(self.scenario.spec.strategies))

    @cached_property
    def plans(self) -> dict[RowKey, AnalysisSpec]:
        """The plan of each row: one per endpoint, estimator and term, at the end of the window."""
        return {
            RowKey(name, strategy=self.strategy, estimator=choice.id, term=term, at=float(self.plan.window)): plan
            for name, choice in self.choices
            for plan in [self.plan_of(choice)]
            for term in choice.terms(plan)
        }

    @cached_property
    def rows(self) -> tuple[RowKey, ...]:
        """One per endpoint, estimator and term."""
        return tuple(self.plans)

    @cached_property
    def choice_of(self) -> dict[RowKey, EstimatorChoice]:
        """The estimator of each row."""
        known = {(name, choice.id): choice for name, choice in self.choices}
        return {key: known[key.endpoint, key.estimator] for key in self.rows}

    @cached_property
    def scales(self) -> dict[RowKey, str]:
        """What the estimate of each row is."""
        return {key: choice.scale for key, choice in self.choice_of.items()}

    @property
    def extras(self) -> tuple[str, ...]:
        """Samples analysed per study."""
        return ("samples",)

    @cached_property
    def request(self) -> Request:
        """What may change a number of these chunks."""
        return Request(
            "chunks",
            self.scenario.id,
            self.scenario.digest,
            {
                "sizes": list(self.sizes),
                "endpoints": list(self.endpoints),
                "sensitivity": self.sensitivity,
                "role": self.role.name,
                "attempt": self.attempt,
                **({"estimators": list(self.estimators)} if self.estimators else {}),
                "baseline": self.baseline.as_dict(),
            },
            self.seed,
        )

    @cached_property
    def model(self) -> Model:
        """The specifications with the solved hazards; answers to questionnaires where an endpoint needs them."""
        needs_health = any(Process.QUALITY_OF_LIFE in endpoint(name).needs for name in self.endpoints)
        health = convert(self.scenario.spec.quality_of_life) if needs_health else None
        return Model.of(self.scenario.spec, self.baseline, health)

    def study(self, index: int) -> Study:
        """The recorded studies of a chunk, at the largest size."""
        needs: frozenset[Process] = frozenset().union(*(endpoint(name).needs for name in self.endpoints))
        reads: frozenset[Topic] = frozenset().union(*(endpoint(name).reads | choice.reads for name, choice in self.choices))
        draws = ChunkDraws(self.seed, self.role, self.attempt * ROLE_CHUNKS + index, self.sizes[-1])
        return record(simulate(self.model, draws, needs=needs), reads)

    def whole_study(self, index: int) -> Study:
        """The studies of a chunk with all their tables, as `simulate` writes them; more than the endpoints read."""
        spec = self.scenario.spec
        model = Model.of(spec, self.baseline, convert(spec.quality_of_life))
        draws = ChunkDraws(self.seed, self.role, self.attempt * ROLE_CHUNKS + index, self.sizes[-1])
        return record(simulate(model, draws, needs=ALL))

    def chunk(self, index: int) -> Replicates:
        """Compute 64 replicates."""
        study = self.study(index)
        result = Replicates.empty(len(self.sizes), len(self.rows), len(self.extras))
        last = np.array(self.sizes) - 1
        result.extras[:, :, 0] = np.cumsum((study.samples.result > 0).sum(axis=-1, dtype=np.int32), axis=1)[:, last]
        failures: dict[int, Failure] = {}
        derived: dict[tuple[str, str, str], Derived] = {}
        row = {(key.endpoint, key.estimator, key.term): place for place, key in enumerate(self.rows)}
        for name, choice in self.choices:
            plan = self.plan_of(choice)
            key = (name, choice.id if choice.derive else "", plan.model_dump_json())
            if key not in derived:
                derived[key] = derivation(endpoint(name), choice, study, plan)
            for rows, estimated in _estimate(choice, derived[key], plan, self.sizes, index, self.seed, failures):
                for term, estimates in by_term(estimated).items():
                    _fill(result, rows, row[name, choice.id, term], estimates)
        return replace(result, failures=tuple(failures.values()))


def _estimate(
    choice: EstimatorChoice,
    derived: Derived,
    plan: AnalysisSpec,
    sizes: tuple[int, ...],
    index: int,
    seed: int,
    failures: dict[int, Failure],
) -> Sequence[tuple[slice, Estimated]]:
    """The whole batch at once; if that raises, one replicate at a time, so that only those that raise fail."""
    try:
        return [(slice(None), choice.estimate(derived, plan, sizes))]
    except Exception:  # noqa: BLE001 -- whatever a replicate raises is kept and counted, never re-drawn
        done = []
        for r in range(derived.entered.shape[0]):
            one = slice(r, r + 1)
            try:
                done.append((one, choice.estimate(derived.of_replicates(one), plan, sizes)))
            except Exception as error:  # noqa: BLE001
                replicate = index * CHUNK_REPLICATES + r
                failures.setdefault(replicate, Failure.of(replicate, error, seed))
        return done


def _fill(result: Replicates, rows: slice, row: int, estimates: Estimates) -> None:
    values = result.values[rows, :, row]
    for column, name in enumerate(FIELDS):
        values[..., column] = getattr(estimates, name)
