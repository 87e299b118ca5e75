"""What the registered study would report under each draw of the inputs: the data of the value of sample information.

The study is a single-arm cohort under the comparator: it informs how often CMV comes and is treated, not what letermovir does.
Its patients have streams of their own, independent of those on whom the decision is evaluated, and a smaller study is the
beginning of a larger one.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np

from cmvsim.core.errors import CmvsimError
from cmvsim.core.records import FloatArray, Request, Status
from cmvsim.core.streams import CHUNK_REPLICATES, Role
from cmvsim.economics.cohort import model_of
from cmvsim.economics.evaluate import clinical_events
from cmvsim.economics.probabilistic import FIRST_CHUNK, PsaExperiment
from cmvsim.montecarlo.experiment import FIELDS, Failure, Replicates, RowKey
from cmvsim.montecarlo.run import MonteCarloResult
from cmvsim.scenarios.sampling import ParameterDraws
from cmvsim.scenarios.vary import vary
from cmvsim.simulation.draws import ChunkDraws
from cmvsim.simulation.paired import simulate_paired

INFORMS = {
    "single_arm": (
        "accrual.",
        "cmv.",
        "follow_up.",
        "infections.",
        "kinetics.",
        "monitoring.",
        "population.",
        "preemptive_therapy.",
        "resistance.",
        "toxicity.",
        "virome.",
    )
}
"""By kind of study, the inputs that its data can tell something of: of a single arm all that shapes the course of CMV and of
its treatment under the comparator; not letermovir (nor resistance to it), quality of life, days of resource use or prices."""
DRUG = "letermovir"
"""Nobody in a single arm under the comparator takes it: whatever key it stands in, such a study tells nothing of it."""
SUMMARIES = ("reactivation", "clinically_significant", "treated_early")
"""Reported by the study: share with quantified DNAemia and with clinically significant infection in the window, and share
with the latter within two weeks, which tells timing from incidence. Few, because a regression on many summaries of a small
study fits its noise; what else the study records is left out, so that the value computed from these is a lower bound."""
EARLY = 14.0


def informed(design: str, key: str) -> bool:
    """Whether a study of this kind informs an input."""
    return key.startswith(INFORMS[design]) and DRUG not in key


@dataclass(frozen=True)
class StudyExperiment:
    """The study under each draw of a probabilistic analysis.

    Attributes
    ----------
    psa
        Whose parameters are drawn.
    sizes
        Patients, ascending; nested.
    """

    psa: PsaExperiment
    sizes: tuple[int, ...]

    @cached_property
    def rows(self) -> tuple[RowKey, ...]:
        """What the study reports."""
        return tuple(RowKey(name, strategy=self.psa.strategies[0]) for name in SUMMARIES)

    @property
    def extras(self) -> tuple[str, ...]:
        """None."""
        return ()

    @cached_property
    def request(self) -> Request:
        """What may change a number of these studies."""
        content: dict[str, Any] = {**self.psa.request.content, "sizes": list(self.sizes), "summaries": list(SUMMARIES)}
        return Request("study-chunks", self.psa.scenario.id, self.psa.scenario.digest, content, self.psa.seed)

    def chunk(self, index: int) -> Replicates:
        """The studies of draws ``64 * index`` to ``64 * index + 63``."""
        first = index * CHUNK_REPLICATES
        drawn = self.psa.parameters(first + CHUNK_REPLICATES)
        result = Replicates.empty(len(self.sizes), len(self.rows))
        failures = []
        for offset in range(CHUNK_REPLICATES):
            try:
                result.values[offset, :, :, FIELDS.index("estimate")] = self.study(drawn, first + offset)
                result.values[offset, :, :, FIELDS.index("status")] = Status.OK
            except CmvsimError as error:
                failures.append(Failure.of(first + offset, error, self.psa.seed))
        return replace(result, failures=tuple(failures))

    def study(self, drawn: ParameterDraws, draw: int) -> FloatArray:
        """(sizes, summaries) of the study under one draw."""
        varied = vary(self.psa.scenario, drawn.changes(draw))
        model = model_of(varied.spec, self.psa.redraw.baseline(varied, laws="solved"), drawn=True)
        largest = self.sizes[-1]
        chance = ChunkDraws(self.psa.seed, Role.STUDY, FIRST_CHUNK + draw, -(-largest // CHUNK_REPLICATES))
        ((_, patients),) = simulate_paired(model, chance, self.psa.strategies[:1])
        window = float(varied.spec.analysis.window)
        until = np.minimum(patients.after.death, window)
        found = clinical_events(patients, until)
        early = clinical_events(patients, np.minimum(until, EARLY))
        columns = np.stack([found["reactivation"], found["clinically_significant"], early["clinically_significant"]])
        counts = np.cumsum(columns[:, :largest], axis=1)[:, np.array(self.sizes) - 1]
        shares: FloatArray = (counts / np.array(self.sizes)).T
        return shares


def summaries(result: MonteCarloResult, experiment: StudyExperiment, draws: np.ndarray) -> FloatArray:
    """(draws, sizes, summaries) of the draws asked for."""
    columns = [[result.column(size, row, "estimate")[draws] for row in experiment.rows] for size in experiment.sizes]
    table: FloatArray = np.moveaxis(np.array(columns), -1, 0)
    return table
