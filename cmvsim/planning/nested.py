"""What experiments that analyse recorded studies share: one chunk of them, at nested sizes, with honest failures."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable
from copy import copy
from dataclasses import replace
from functools import cached_property
from typing import TYPE_CHECKING, Any, Self, TypeVar

import numpy as np

from cmvsim.core.records import Estimates, FloatArray, Request
from cmvsim.core.streams import CHUNK_REPLICATES, Role
from cmvsim.data.study import Study, Topic
from cmvsim.endpoints import AnalysisSpec, Derived, EstimatorChoice, endpoint
from cmvsim.endpoints.base import by_term, derivation, plan_of
from cmvsim.models.history import Process
from cmvsim.montecarlo.experiment import FIELDS, Failure, Replicates, RowKey
from cmvsim.scenarios import ResolvedScenario
from cmvsim.simulation.draws import ChunkDraws
from cmvsim.simulation.model import Model

ROLE_CHUNKS = 2**24
"""Chunks set aside for one attempt of a role: attempt k begins at chunk k x 2^24, so that attempts share no streams."""
T = TypeVar("T")


class NestedStudies:
    """Studies that are simulated at the largest size and analysed at each: the study of size n is its first n patients.

    A kind of study says which analyses are made (:attr:`choices`, :attr:`plan`), what their rows are called (:meth:`key`) and
    how it is simulated and recorded (:meth:`study`).
    """

    replicates = CHUNK_REPLICATES
    """Studies of a chunk; fewer only where each has parameters of its own (:meth:`few`)."""

    if TYPE_CHECKING:
        scenario: ResolvedScenario
        sizes: tuple[int, ...]
        seed: int
        role: Role
        attempt: int

    @property
    @abstractmethod
    def plan(self) -> AnalysisSpec:
        """How it is analysed."""

    @property
    @abstractmethod
    def choices(self) -> tuple[tuple[str, EstimatorChoice], ...]:
        """(endpoint, estimator) pairs in the order of the rows."""

    @property
    @abstractmethod
    def request(self) -> Request:
        """What may change a number of these chunks."""

    @property
    @abstractmethod
    def model(self) -> Model:
        """The specifications with the solved hazards."""

    @abstractmethod
    def key(self, name: str, choice: EstimatorChoice, term: str) -> RowKey:
        """What the row of a term is called."""

    @abstractmethod
    def study(self, index: int) -> Study:
        """The recorded studies of a chunk, at the largest size."""

    @abstractmethod
    def whole_study(self, index: int) -> Study:
        """The studies of a chunk with all their tables, as `simulate` writes them; more than the endpoints read."""

    @property
    def simulated_by(self) -> tuple[str, ...]:
        """Options with which `simulate` makes the same patients, beside size, replicate and seed."""
        return ()

    def draws(self, index: int) -> ChunkDraws:
        """Chance of a chunk."""
        return ChunkDraws(self.seed, self.role, self.attempt * ROLE_CHUNKS + index, self.sizes[-1], self.replicates)

    def few(self, replicates: int) -> Self:
        """The same studies, so many of them to a chunk."""
        one = copy(self)
        one.__dict__["replicates"] = replicates
        return one

    def plan_of(self, choice: EstimatorChoice) -> AnalysisSpec:
        """The analysis under an estimator's own changes."""
        return plan_of(choice, self.plan)

    @cached_property
    def plans(self) -> dict[RowKey, AnalysisSpec]:
        """The plan of each row: one per endpoint, estimator and term, at the end of the window."""
        return {
            self.key(name, choice, term): plan
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
        return {
            self.key(name, choice, term): choice for name, choice in self.choices for term in choice.terms(self.plan_of(choice))
        }

    @cached_property
    def scales(self) -> dict[RowKey, str]:
        """What the estimate of each row is."""
        return {key: choice.scale for key, choice in self.choice_of.items()}

    @property
    def needs(self) -> frozenset[Process]:
        """Processes that the endpoints need."""
        return frozenset().union(*(endpoint(name).needs for name, _ in self.choices))

    @property
    def reads(self) -> frozenset[Topic]:
        """Tables that the analyses look at."""
        return frozenset().union(*(endpoint(name).reads | choice.reads for name, choice in self.choices))

    @property
    def extras(self) -> tuple[str, ...]:
        """Samples analysed per study."""
        return ("samples",)

    def extra_values(self, study: Study) -> dict[str, FloatArray]:
        """The extras of the first 1, 2, ... patients, (R, N)."""
        return {"samples": np.cumsum((study.samples.result > 0).sum(axis=-1, dtype=np.int32), axis=1)}

    def chunk(self, index: int) -> Replicates:
        """Compute 64 replicates."""
        study = self.study(index)
        result = Replicates.empty(len(self.sizes), len(self.rows), len(self.extras))
        result = replace(result, values=result.values[: self.replicates], extras=result.extras[: self.replicates])
        last = np.array(self.sizes) - 1
        extra = self.extra_values(study)
        for place, name in enumerate(self.extras):
            result.extras[:, :, place] = extra[name][:, last]
        failures: dict[int, Failure] = {}
        derived: dict[tuple[str, Callable[[Study, AnalysisSpec], Derived] | None, str], Derived] = {}
        row = {key: place for place, key in enumerate(self.rows)}
        for name, choice in self.choices:
            plan = self.plan_of(choice)
            what = (name, choice.derive, plan.model_dump_json())
            if what not in derived:
                derived[what] = derivation(endpoint(name), choice, study, plan)
            here = derived[what]

            def estimate(part: slice, choice: EstimatorChoice = choice, here: Derived = here, plan: AnalysisSpec = plan) -> Any:
                return choice.estimate(here if part == slice(None) else here.of_replicates(part), plan, self.sizes)

            for rows, estimated in isolated(estimate, here.entered.shape[0], index, self.seed, failures):
                for term, estimates in by_term(estimated).items():
                    _fill(result, rows, row[self.key(name, choice, term)], estimates)
        return replace(result, failures=tuple(failures.values()))


def isolated(
    compute: Callable[[slice], T], replicates: int, index: int, seed: int, failures: dict[int, Failure]
) -> list[tuple[slice, T]]:
    """The whole batch at once; if that raises, one replicate at a time, so that only those that raise fail.

    Parameters
    ----------
    compute
        What is computed of the replicates of a slice.
    replicates, index, seed
        Of the chunk.
    failures
        By replicate of the run: what raised is added, a replicate once.

    Returns
    -------
    list of (slice, T)
        What succeeded.
    """
    try:
        return [(slice(None), compute(slice(None)))]
    except MemoryError:
        raise  # it says nothing about the replicates
    except Exception:  # noqa: BLE001 -- whatever a replicate raises is kept and counted, never re-drawn
        done = []
        for r in range(replicates):
            try:
                done.append((slice(r, r + 1), compute(slice(r, r + 1))))
            except Exception as error:  # noqa: BLE001
                replicate = index * CHUNK_REPLICATES + r
                failures.setdefault(replicate, Failure.of(replicate, error, seed))
        return done


def _fill(result: Replicates, rows: slice, row: int, estimates: Estimates) -> None:
    values = result.values[rows, :, row]
    for column, name in enumerate(FIELDS):
        values[..., column] = getattr(estimates, name)
