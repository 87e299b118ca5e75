"""The Experiment of a randomised study: each patient is simulated under the strategy assigned, and the arms are compared."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from cmvsim.core.records import FloatArray, IntArray, Request
from cmvsim.core.streams import Role
from cmvsim.data.study import Study, Topic
from cmvsim.designs import Randomised
from cmvsim.endpoints import AnalysisSpec, EstimatorChoice, endpoint
from cmvsim.endpoints.comparison import compared_by, comparison_choice, incidence_by_arm
from cmvsim.models.baseline import Baseline
from cmvsim.models.history import History, Process
from cmvsim.models.population import Population
from cmvsim.montecarlo.experiment import RowKey
from cmvsim.planning.experiment import chunks_request, solved_model
from cmvsim.planning.nested import NestedStudies
from cmvsim.scenarios import ResolvedScenario
from cmvsim.simulation.cohort import ALL, simulate
from cmvsim.simulation.draws import ChunkDraws
from cmvsim.simulation.model import Model
from cmvsim.simulation.recording import record

BY_ARM = "by_arm"
"""Estimator of the rows that hold each arm's own incidence; their strategy is the arm's."""
PATIENTS = "patients"
"""Extras ``patients <strategy>``: how many were assigned to each arm."""


def randomisation_strata(model: Model, draws: ChunkDraws, factors: tuple[str, ...]) -> IntArray:
    """(R, N) randomisation stratum of each patient: the combination of the factors, 0 without any."""
    population = Population(model.population, draws)
    code = np.zeros(draws.patients * draws.replicates, dtype=np.int64)
    for factor in factors:
        if factor == "stratum":
            mine, count = population.stratum.astype(np.int64), len(model.population.strata)
        elif factor == "disease":
            of_stratum = [stratum.disease for stratum in model.population.strata.values()]
            names = tuple(dict.fromkeys(of_stratum))
            mine = np.array([names.index(name) for name in of_stratum], dtype=np.int64)[population.stratum]
            count = len(names)
        elif factor == "site":
            mine, count = population.site.astype(np.int64) - 1, int(float(model.population.sites))
        elif factor == "sex":
            mine, count = population.female.astype(np.int64), 2
        else:
            raise ValueError(f"patients cannot be stratified by {factor!r}")
        code = code * count + mine
    return code.reshape(draws.patients, draws.replicates).T


def randomised(
    model: Model,
    design: Randomised,
    draws: ChunkDraws,
    needs: frozenset[Process],
    *,
    path: bool = False,
    cmv: bool = True,
) -> tuple[History, IntArray]:
    """Randomise a chunk's patients and simulate each under the strategy assigned: the history, and (R, N) arms."""
    arm = design.assign(randomisation_strata(model, draws, design.stratify), draws)
    made = simulate(model, draws, needs=needs, path=path, strategy=design.strategies, arm=arm.T.ravel(), cmv=cmv)
    return made, arm


def comparative_plan(analysis: AnalysisSpec, design: Randomised) -> AnalysisSpec:
    """The analysis with the design's arms and strata."""
    return analysis.model_copy(update={"arms": design.arms, "strata": design.stratify})


@dataclass(frozen=True)
class TrialExperiment(NestedStudies):
    """A randomised study of two arms at nested sizes, all arms together.

    Rows are, for each endpoint, its comparison (all of them with `sensitivity`), and the incidence in each arm.

    Attributes
    ----------
    scenario, baseline
        What is simulated.
    sizes
        Ascending; the study of size n is the first n patients randomised, with the same assignments.
    endpoints
        Ids; the design's own comes first.
    design
        Name in the scenario.
    sensitivity
        All comparisons of each endpoint, or the design's only.
    role, attempt
        Which streams: the study's own, or those of a confirmation.
    """

    scenario: ResolvedScenario
    baseline: Baseline
    sizes: tuple[int, ...]
    endpoints: tuple[str, ...]
    design: str
    sensitivity: bool
    seed: int
    role: Role = Role.STUDY
    attempt: int = 0

    @cached_property
    def randomised(self) -> Randomised:
        """The design."""
        found = self.scenario.spec.designs[self.design]
        if not isinstance(found, Randomised):
            raise TypeError(f"the design '{self.design}' has no two arms")
        return found

    @cached_property
    def plan(self) -> AnalysisSpec:
        """The scenario's analysis with the design's arms, strata, and the level that goes with its alpha."""
        own = comparative_plan(self.scenario.spec.analysis, self.randomised)
        return own.model_copy(update={"level": self.randomised.level})

    @cached_property
    def choices(self) -> tuple[tuple[str, EstimatorChoice], ...]:
        """Comparisons of each endpoint, the one that decides first, then the incidence by arm."""
        found: list[tuple[str, EstimatorChoice]] = []
        for name in self.endpoints:
            entry = endpoint(name)
            known = compared_by(entry)
            first = self.randomised.comparison if self.randomised.comparison in known else known[0]
            others = [other for other in known if other != first] if self.sensitivity else []
            found += [(name, comparison_choice(entry, item)) for item in (first, *others)]
            found.append((name, incidence_by_arm(entry)))
        return tuple(found)

    def key(self, name: str, choice: EstimatorChoice, term: str) -> RowKey:
        """A comparison has its own term, an incidence by arm the strategy of the arm."""
        at = float(self.plan.window)
        if choice.id == BY_ARM:
            return RowKey(name, strategy=term, estimator=BY_ARM, at=at)
        return RowKey(name, estimator=choice.id, term=term, at=at)

    @property
    def primary(self) -> RowKey:
        """The row that decides."""
        return self.rows[0]

    @property
    def extras(self) -> tuple[str, ...]:
        """Samples analysed, and patients of each arm."""
        return ("samples", *(f"{PATIENTS} {name}" for name in self.randomised.arms))

    def extra_values(self, study: Study) -> dict[str, FloatArray]:
        """Samples, and patients assigned to each arm, of the first 1, 2, ... patients."""
        arm = study.subjects.covariates["arm"]
        counts = {f"{PATIENTS} {name}": np.cumsum(arm == g, axis=1) for g, name in enumerate(self.randomised.arms)}
        return {**super().extra_values(study), **counts}

    @property
    def reads(self) -> frozenset[Topic]:
        """Baseline columns too, where a stratified comparison looks at them."""
        columns = frozenset({Topic.BASELINE}) if {"site", "sex"} & set(self.randomised.stratify) else frozenset()
        return super().reads | columns

    @cached_property
    def request(self) -> Request:
        """What may change a number of these chunks."""
        asked = {"endpoints": list(self.endpoints), "sensitivity": self.sensitivity, "design": self.design}
        return chunks_request(self, self.baseline, asked)

    @cached_property
    def model(self) -> Model:
        """The specifications with the solved hazards."""
        return solved_model(self.scenario, self.baseline, self.needs)

    def study(self, index: int) -> Study:
        """The recorded studies of a chunk, at the largest size, with the arm of each patient."""
        draws = self.draws(index)
        history, arm = randomised(self.model, self.randomised, draws, self.needs)
        return record(history, self.reads, arms=self.randomised.arms, arm=arm)

    def whole_study(self, index: int) -> Study:
        """The studies of a chunk with all their tables, as `simulate --design` writes them."""
        draws = self.draws(index)
        history, arm = randomised(solved_model(self.scenario, self.baseline, ALL), self.randomised, draws, ALL)
        return record(history, arms=self.randomised.arms, arm=arm)

    @property
    def simulated_by(self) -> tuple[str, ...]:
        """The design."""
        return ("--design", self.design)


@dataclass(frozen=True)
class WithoutEffect(TrialExperiment):
    """The same trial with both arms on the control strategy: what is concluded of it is the type I error of superiority."""

    @cached_property
    def request(self) -> Request:
        """What may change a number of these chunks."""
        plain = super().request
        return Request(plain.verb, plain.scenario, plain.scenario_digest, {**plain.content, "null": True}, plain.seed)

    def study(self, index: int) -> Study:
        """The recorded studies of a chunk, with the arm of each patient, which makes no difference."""
        history, arm = self._same(self.model, index, self.needs)
        return record(history, self.reads, arms=self.randomised.arms, arm=arm)

    def whole_study(self, index: int) -> Study:
        """With all tables."""
        history, arm = self._same(solved_model(self.scenario, self.baseline, ALL), index, ALL)
        return record(history, arms=self.randomised.arms, arm=arm)

    def _same(self, model: Model, index: int, needs: frozenset[Process]) -> tuple[History, IntArray]:
        """Everybody under the control strategy, and the arms that they are assigned to."""
        draws, design = self.draws(index), self.randomised
        arm = design.assign(randomisation_strata(model, draws, design.stratify), draws)
        return simulate(model, draws, needs=needs, strategy=design.arms[0]), arm
