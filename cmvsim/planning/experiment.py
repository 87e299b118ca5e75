"""The Experiment of a cohort study: simulate, record, derive and estimate, for nested sample sizes at once."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np

from cmvsim.core.records import Estimates, Request
from cmvsim.core.streams import CHUNK_REPLICATES, Role
from cmvsim.data.study import Study
from cmvsim.endpoints import AnalysisSpec, EstimatorChoice, TimeToEvent, endpoint
from cmvsim.models.baseline import Baseline
from cmvsim.models.history import Process
from cmvsim.models.strategies import reference_strategy
from cmvsim.montecarlo.experiment import FIELDS, Failure, Replicates, RowKey
from cmvsim.scenarios import ResolvedScenario
from cmvsim.simulation.cohort import simulate
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
        All estimators of each endpoint, or its primary one only.
    role, attempt
        Which streams: the study's own, or those of a confirmation.
    """

    scenario: ResolvedScenario
    baseline: Baseline
    sizes: tuple[int, ...]
    endpoints: tuple[str, ...]
    sensitivity: bool
    seed: int
    role: Role = Role.STUDY
    attempt: int = 0

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
            for choice in (endpoint(name).estimators if self.sensitivity else endpoint(name).estimators[:1])
        )

    def plan_of(self, choice: EstimatorChoice) -> AnalysisSpec:
        """The analysis under an estimator's own changes."""
        return self.plan.model_copy(update=dict(choice.plan)) if choice.plan else self.plan

    @property
    def strategy(self) -> str:
        """Id of the reference strategy."""
        return reference_strategy(self.scenario.spec.strategies) or next(iter(self.scenario.spec.strategies))

    @cached_property
    def rows(self) -> tuple[RowKey, ...]:
        """One per endpoint and estimator, at the end of the window."""
        return tuple(
            RowKey(name, strategy=self.strategy, estimator=choice.id, at=float(self.plan.window))
            for name, choice in self.choices
        )

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
                "baseline": self.baseline.as_dict(),
            },
            self.seed,
        )

    def study(self, index: int) -> Study:
        """The recorded studies of a chunk, at the largest size."""
        needs: frozenset[Process] = frozenset().union(*(endpoint(name).needs for name in self.endpoints))
        draws = ChunkDraws(self.seed, self.role, self.attempt * ROLE_CHUNKS + index, self.sizes[-1])
        return record(simulate(Model.of(self.scenario.spec, self.baseline), draws, needs=needs), complete=False)

    def chunk(self, index: int) -> Replicates:
        """Compute 64 replicates."""
        study = self.study(index)
        result = Replicates.empty(len(self.sizes), len(self.rows), len(self.extras))
        last = np.array(self.sizes) - 1
        result.extras[:, :, 0] = np.cumsum((study.samples.result > 0).sum(axis=-1, dtype=np.int32), axis=1)[:, last]
        failures: dict[int, Failure] = {}
        derived: dict[tuple[str, str], TimeToEvent] = {}
        for row, (name, choice) in enumerate(self.choices):
            plan = self.plan_of(choice)
            key = (name, plan.model_dump_json())
            if key not in derived:
                derived[key] = endpoint(name).derive(study, plan)
            for rows, estimates in _estimate(choice, derived[key], plan, self.sizes, index, self.seed, failures):
                _fill(result, rows, row, estimates)
        return replace(result, failures=tuple(failures.values()))


def _estimate(
    choice: EstimatorChoice,
    derived: TimeToEvent,
    plan: AnalysisSpec,
    sizes: tuple[int, ...],
    index: int,
    seed: int,
    failures: dict[int, Failure],
) -> Sequence[tuple[slice, Estimates]]:
    """The whole batch at once; if that raises, one replicate at a time, so that only those that raise fail."""
    try:
        return [(slice(None), choice.estimate(derived, plan, sizes))]
    except Exception:  # noqa: BLE001 -- whatever a replicate raises is kept and counted, never re-drawn
        done = []
        for r in range(derived.time.shape[0]):
            one = slice(r, r + 1)
            try:
                done.append((one, choice.estimate(TimeToEvent(derived.time[one], derived.cause[one]), plan, sizes)))
            except Exception as error:  # noqa: BLE001
                replicate = index * CHUNK_REPLICATES + r
                failures.setdefault(replicate, Failure.of(replicate, error, seed))
        return done


def _fill(result: Replicates, rows: slice, row: int, estimates: Estimates) -> None:
    values = result.values[rows, :, row]
    for column, name in enumerate(FIELDS):
        values[..., column] = getattr(estimates, name)
