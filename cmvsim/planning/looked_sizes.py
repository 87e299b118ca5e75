"""Trials with interim looks at several sizes, of one scenario or of another: what an assurance runs over."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np

from cmvsim.core.records import BoolArray, FloatArray, Request
from cmvsim.core.streams import CHUNK_REPLICATES, Role
from cmvsim.designs import GroupSequential
from cmvsim.models.baseline import Baseline
from cmvsim.montecarlo.experiment import Failure, Replicates, RowKey
from cmvsim.montecarlo.run import MonteCarloResult
from cmvsim.planning.sequential import SequentialExperiment, status_of, stopped
from cmvsim.planning.trial_sequential import CmvLooks, check_looks, planned_events
from cmvsim.scenarios import ResolvedScenario


@dataclass(frozen=True)
class LookedSizes:
    """Group-sequential trials, simulated size by size with the same chance: the smaller is the first patients of the larger.

    Attributes
    ----------
    trials
        Ascending by size; the events planned for each are those of the scenario that it was planned in, whatever then happens.
    role, attempt, replicates
        As of :class:`SequentialExperiment`.
    """

    trials: tuple[CmvLooks, ...]
    seed: int
    role: Role = Role.STUDY
    attempt: int = 0
    replicates: int = CHUNK_REPLICATES

    @classmethod
    def of(
        cls, scenario: ResolvedScenario, baseline: Baseline, design: str, name: str, sizes: tuple[int, ...], seed: int
    ) -> LookedSizes:
        """Trials of these sizes, with the events that the scenario lets expect of each."""
        trials = (CmvLooks(scenario, baseline, design, size, name) for size in sizes)
        planned = tuple(replace(trial, planned=planned_events(trial)) for trial in trials)
        for trial in planned:
            check_looks(trial)
        return cls(planned, seed)

    def under(self, scenario: ResolvedScenario, baseline: Baseline, replicates: int) -> LookedSizes:
        """The same trials where other numbers are true, so many to a chunk."""
        trials = tuple(replace(trial, scenario=scenario, baseline=baseline) for trial in self.trials)
        return replace(self, trials=trials, replicates=replicates)

    @property
    def scenario(self) -> ResolvedScenario:
        """Of the trials."""
        return self.trials[0].scenario

    @property
    def sizes(self) -> tuple[int, ...]:
        """Patients enrolled if nothing is stopped."""
        return tuple(trial.patients for trial in self.trials)

    @cached_property
    def experiments(self) -> tuple[SequentialExperiment, ...]:
        """One per size."""
        return tuple(SequentialExperiment(t, self.seed, self.role, self.attempt, self.replicates) for t in self.trials)

    @property
    def rows(self) -> tuple[RowKey, ...]:
        """One per analysis and look."""
        return self.experiments[0].rows

    @property
    def extras(self) -> tuple[str, ...]:
        """Statistics and counts of the looks."""
        return self.experiments[0].extras

    @cached_property
    def request(self) -> Request:
        """What may change a number of these chunks."""
        each = [item.request for item in self.experiments]
        content = {"sizes of looks": [item.content for item in each]}
        return Request("chunks", each[0].scenario, each[0].scenario_digest, content, self.seed)

    def chunk(self, index: int) -> Replicates:
        """Compute the replicates of a chunk at all sizes; a replicate that raises at one of them fails at that one."""
        parts = [experiment.chunk(index) for experiment in self.experiments]
        failures: dict[int, Failure] = {}
        for part in parts:
            for failure in part.failures:
                failures.setdefault(failure.replicate, failure)
        values, extras = (np.concatenate([getattr(part, name) for part in parts], axis=1) for name in ("values", "extras"))
        return Replicates(values, extras, tuple(failures[r] for r in sorted(failures)))


def shown(result: MonteCarloResult, studies: LookedSizes, size: int, design: GroupSequential) -> tuple[BoolArray, FloatArray]:
    """(replicates,) which trials of a size show the benefit, at whatever look, and their status."""
    trial = studies.trials[studies.sizes.index(size)]
    ended = stopped(result, design.rules(trial.planned), trial.analyses[0], size)
    status = status_of(result, size)
    return ended.claim, status
