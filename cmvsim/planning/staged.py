"""Answers of designs that the search for a precision does not serve: one arm tested, Simon's stages, interim looks."""

from __future__ import annotations

import math
from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import asdict, dataclass, replace
from functools import cached_property
from typing import Any, Protocol

import numpy as np

from cmvsim.calibration import Calibration
from cmvsim.core.errors import InputError, Problem
from cmvsim.core.records import Measure
from cmvsim.core.streams import CHUNK_REPLICATES, Role
from cmvsim.designs import GroupSequential, SimonTwoStage, SingleArmTest
from cmvsim.designs.closed_forms.one_sample import binomial_test
from cmvsim.models.baseline import Baseline
from cmvsim.montecarlo import mcse
from cmvsim.montecarlo.experiment import Experiment, Failure
from cmvsim.montecarlo.run import Backend, MonteCarloResult, run
from cmvsim.planning.characteristics import Row
from cmvsim.planning.sequential import SequentialExperiment, sequential_rows
from cmvsim.planning.single_arm import (
    PILOT_PATIENTS,
    PROPORTION,
    SingleArmExperiment,
    TwoStageExperiment,
    evaluable_share,
    patients_to_simulate,
)
from cmvsim.planning.sizes import LARGEST
from cmvsim.planning.staged_detectable import detectable_answer
from cmvsim.planning.staged_rows import (
    ENUMERATION,
    claims,
    facts_of,
    next_size,
    power_of,
    sequential_answer,
    single_rows,
    two_stage_rows,
    why_sequential,
    why_tested,
)
from cmvsim.planning.trial_sequential import CmvLooks, check_looks, planned_events
from cmvsim.runs.chunk_store import ChunkStore
from cmvsim.scenarios import ResolvedScenario

STAGED = (SingleArmTest, SimonTwoStage, GroupSequential)
"""Designs answered here."""
CONFIRMED_WITHIN = 0.01
MAX_CONFIRMATIONS = 30
MAX_FORETOLD = 6
Z95 = 1.959963984540054
Answered = tuple[list[Row], dict[str, Any], tuple[str, ...], dict[str, list[float]]]
"""Rows, facts, reasons, and what figures show."""


class StageWork(Protocol):
    """What is needed of the caller: chunk stores by name, workers, and a voice."""

    jobs: int
    backend: Backend

    def store(self, name: str, experiment: Experiment) -> ChunkStore:
        """The store of a stage."""
        ...

    def progress(self, label: str) -> AbstractContextManager[Callable[[int, int], None]]:
        """A context that yields a function (done, total)."""
        ...


@dataclass(frozen=True, slots=True)
class StagedQuestion:
    """What is asked.

    Attributes
    ----------
    design, kind
        Its name in the scenario, and what it is.
    endpoint
        Id.
    sizes
        Patients enrolled, ascending; empty for Simon's design, whose boundaries say how many are evaluated.
    power
        Power that N is looked for with; None: it is reported at the sizes.
    detectable
        Look for the incidence nearest to the fixed one that the size detects with `power`, instead.
    """

    design: str
    kind: str
    endpoint: str
    sizes: tuple[int, ...]
    power: float | None
    replicates: int
    seed: int
    detectable: bool = False

    def as_dict(self) -> dict[str, Any]:
        """What goes into the request: everything that may change a number but the seed."""
        more = {"detectable": True} if self.detectable else {}
        plain = {key: item for key, item in asdict(self).items() if key not in ("seed", "detectable")}
        return {**plain, "sizes": list(self.sizes), **more}


@dataclass(frozen=True, slots=True)
class Failed:
    """Replicates of one run that raised, in their order.

    Attributes
    ----------
    stage
        Name of the run: "study", "null-420", "confirmation-0".
    """

    stage: str
    experiment: Experiment
    failures: tuple[Failure, ...]


@dataclass(frozen=True, slots=True)
class StagedResult:
    """Everything that is reported.

    Attributes
    ----------
    facts
        Numbers that the sentences name: boundaries, events planned, sizes found.
    why
        Why closed forms say otherwise.
    pictured
        For the figures.
    """

    question: StagedQuestion
    rows: tuple[Row, ...]
    facts: dict[str, Any]
    why: tuple[str, ...]
    pictured: dict[str, list[float]]
    failed: tuple[Failed, ...]
    chunks: int


class StagedPlanner:
    """Runs the experiments of one question."""

    def __init__(self, scenario: ResolvedScenario, calibration: Calibration, question: StagedQuestion, work: StageWork) -> None:
        self.scenario, self.calibration, self.baseline = scenario, calibration, calibration.baseline
        self.question = question
        self.work = work
        self.chunks = 0
        self.failed: list[Failed] = []
        self.design = scenario.spec.designs[question.design]

    def answer(self) -> StagedResult:
        """Run all stages."""
        if self.question.detectable and isinstance(self.design, SingleArmTest | SimonTwoStage):
            rows, facts, why, pictured = detectable_answer(self, self.design)
        elif isinstance(self.design, SingleArmTest):
            rows, facts, why, pictured = self._tested(self.design)
        elif isinstance(self.design, SimonTwoStage):
            rows, facts, why, pictured = self._two_stages(self.design)
        elif isinstance(self.design, GroupSequential):
            rows, facts, why, pictured = self._sequential(self.design)
        else:
            raise TypeError(f"the design '{self.question.design}' has no stages")
        return StagedResult(self.question, tuple(rows), facts, why, pictured, tuple(self.failed), self.chunks)

    def execute(self, stage: str, label: str, experiment: Experiment) -> MonteCarloResult:
        """Run an experiment, keeping count of its chunks and of what raised."""
        with self.work.progress(label) as tick:
            result = run(
                experiment,
                replicates=self.question.replicates,
                store=self.work.store(stage, experiment),
                jobs=self.work.jobs,
                backend=self.work.backend,
                progress=lambda done, total, _rate: tick(done, total),
            )
        self.chunks += math.ceil(result.replicates / CHUNK_REPLICATES)
        raised = tuple(result.failures())
        self.failed += [Failed(stage, experiment, raised)] if raised else []
        return result

    def one_arm(
        self,
        scenario: ResolvedScenario,
        baseline: Baseline,
        sizes: tuple[int, ...],
        role: Role = Role.STUDY,
        attempt: int = 0,
    ) -> SingleArmExperiment | TwoStageExperiment:
        """Studies of one arm, of this scenario or another; two stages have as many patients as they may need."""
        asked = self.question
        common = (asked.endpoint,), False, asked.seed, role, attempt
        if isinstance(self.design, SimonTwoStage):
            patients = patients_to_simulate(self.design.stages.n, self._share)
            return TwoStageExperiment(scenario, baseline, (patients,), *common, design=asked.design)
        return SingleArmExperiment(scenario, baseline, sizes, *common, design=asked.design)

    # --- one test -----------------------------------------------------------------------------------------------------

    def _single(self, sizes: tuple[int, ...], role: Role = Role.STUDY, attempt: int = 0) -> Experiment:
        return self.one_arm(self.scenario, self.baseline, sizes, role, attempt)

    def _tested(self, design: SingleArmTest) -> Answered:
        sizes = self.question.sizes
        facts = facts_of(design)
        if self.question.power is not None:
            sizes = self._grid(design, self.question.power)
        result = self.execute(
            "study", f"study: n = {sizes[0]}" + (f" to {sizes[-1]}" if len(sizes) > 1 else ""), self._single(sizes)
        )
        rows = [row for size in sizes for row in single_rows(result, design, size)]
        if self.question.power is not None:
            facts |= self._found(design, result, self.question.power)
        curve = [row for row in rows if row.measure == Measure.POWER]
        deciding = result.experiment.rows[0].estimator
        pictured = {
            "n": [float(row.n) for row in curve if row.estimator == deciding],
            "power": [row.value for row in curve if row.estimator == deciding],
            "mcse": [row.mcse for row in curve if row.estimator == deciding],
            "enumerated": [row.value for row in curve if row.estimator == ENUMERATION],
        }
        return rows, facts, why_tested(result, sizes[-1]), pictured

    def _grid(self, design: SingleArmTest, power: float) -> tuple[int, ...]:
        """All sizes, or every few, around the smallest with exact power at the simulated incidence."""
        pilot = self.execute("pilot", f"pilot: n = {PILOT_PATIENTS}", self._single((PILOT_PATIENTS,)))
        key = next(key for key in pilot.experiment.rows if key.estimator == PROPORTION)
        status = pilot.column(PILOT_PATIENTS, key, "status")
        incidence = mcse.mean(pilot.column(PILOT_PATIENTS, key, "estimate"), status).value
        share = mcse.mean(pilot.column(PILOT_PATIENTS, key, "n"), status).value / PILOT_PATIENTS
        null = design.null_incidence
        if (incidence >= null) if design.direction == "below" else (incidence <= null):
            raise InputError(
                Problem(
                    f"the incidence is {100 * incidence:.1f}% in this scenario, which is not {design.direction} "
                    f"{100 * null:g}%: no number of patients shows it",
                    f"designs.{self.question.design}",
                )
            )
        n = 4
        while n < PILOT_PATIENTS * 50 and binomial_test(n, null, incidence, design.alpha / design.sides).power < power:
            n = math.ceil(n * 1.05)
        middle = n / max(share, 0.05)
        low, high = max(2, int(0.7 * middle)), int(1.45 * middle) + 5
        return tuple(range(low, high + 1, max(1, (high - low) // 120)))

    def _found(self, design: SingleArmTest, result: MonteCarloResult, power: float) -> dict[str, Any]:
        """First size of the curve with the power, and the first from which it is never short again, confirmed anew."""
        sizes = result.experiment.sizes
        met = np.array([power_of(result, design, size).value >= power for size in sizes])
        if not met.any() or not met[-1]:
            return {"first": None, "stable": None, "n": None, "wanted": power, "confirmation": [], "confirmed": False}
        short = np.flatnonzero(~met)
        first, stable = sizes[int(np.argmax(met))], sizes[int(short[-1]) + 1 if short.size else 0]
        n, points, held = self._confirm(design, stable, power)
        return {
            "first": first,
            "stable": stable,
            "n": n,
            "wanted": power,
            "confirmation": points,
            "confirmed": held,
        }

    def _confirm(self, design: SingleArmTest, n: int, power: float) -> tuple[int, list[dict[str, float]], bool]:
        """New streams at N - step, N, N + step: accepted, or N moves up and is tried on further new streams."""
        step = max(1, round(0.02 * n))
        points: list[dict[str, float]] = []
        for attempt in range(MAX_CONFIRMATIONS):
            sizes = tuple(size for size in (n - step, n, n + step) if size > 0)
            study = self._single(sizes, Role.CONFIRMATION, attempt)
            again = self.execute(f"confirmation-{attempt}", f"confirmation: n = {n}", study)
            found = {size: power_of(again, design, size) for size in sizes}
            points = [{"n": size, "value": item.value, "mcse": item.mcse} for size, item in found.items()]
            if found[n].value - Z95 * found[n].mcse > power - CONFIRMED_WITHIN:
                return n, points, True
            if attempt < MAX_CONFIRMATIONS - 1:
                n += step
        return n, points, False

    # --- Simon --------------------------------------------------------------------------------------------------------

    def _two_stages(self, design: SimonTwoStage) -> Answered:
        experiment = self.one_arm(self.scenario, self.baseline, ())
        patients = experiment.sizes[0]
        result = self.execute("study", f"study: {design.stages.n} evaluable patients", experiment)
        rows = two_stage_rows(result, design)
        why = (
            "patients who are not evaluable are replaced: more are enrolled than the boundaries count",
            f"{100 * rows[0].value:.1f}% of evaluable patients have the event here, neither p0 nor p1",
            "who is not evaluable is not a random sample",
        )
        enrolled = result.extra_column(patients, "enrolled")
        known = enrolled[~np.isnan(enrolled)]
        values, counts = np.unique(known, return_counts=True)
        return rows, facts_of(design), why, {"enrolled": values.tolist(), "share": (counts / max(known.size, 1)).tolist()}

    @cached_property
    def _share(self) -> float:
        """Of patients enrolled, in the first chunk of a cohort: how many have to be simulated, no result."""
        share = evaluable_share(self.scenario, self.baseline, self.question.design, self.question.endpoint)
        if share < 0.02:
            raise InputError(
                Problem("hardly a patient is evaluable in this scenario", f"designs.{self.question.design}.evaluable")
            )
        return share

    # --- interim looks ------------------------------------------------------------------------------------------------

    def _sequential(self, design: GroupSequential) -> Answered:
        rows: list[Row] = []
        facts: dict[str, Any] = {"looks": []}
        pictured: dict[str, list[float]] = {}
        sizes = self.question.sizes
        confirmed: MonteCarloResult | None = None
        if self.question.power is not None:
            told, confirmed = self._size_for(design, self.question.power)
            facts |= told
            sizes = (int(facts["n"]),)
        for size in sizes:
            trial = self._looked_at(size)
            check_looks(trial)
            # the search chose the size on its own streams: what is reported is the confirmation on new ones
            found = confirmed or self.execute(
                f"study-{size}", f"study: n = {size}, all looks", SequentialExperiment(trial, self.question.seed)
            )
            mine, looked, shown = sequential_answer(found, trial, design)
            rows += mine
            if design.hypothesis == "superiority":
                empty = SequentialExperiment(replace(trial, null=True), self.question.seed, Role.CONFIRMATION)
                null = self.execute(f"null-{size}", f"no effect: n = {size}, all looks", empty)
                rules = design.rules(trial.planned)
                rows += [r for name in trial.analyses for r in sequential_rows(null, rules, name, measure=Measure.TYPE1)]
            facts["looks"].append(looked)
            pictured = shown
        return rows, facts, why_sequential(design), pictured

    def _looked_at(self, size: int) -> CmvLooks:
        """The trial of a size, with the events planned for it."""
        trial = CmvLooks(self.scenario, self.baseline, self.question.design, size, self.question.endpoint)
        return replace(trial, planned=planned_events(trial))

    def _size_for(self, design: GroupSequential, power: float) -> tuple[dict[str, Any], MonteCarloResult]:
        """Patients with the power: simulated sizes, each foretold from the one before, then confirmed on new streams."""
        n = self.question.sizes[-1]
        for _ in range(MAX_FORETOLD):
            trial = self._looked_at(n)
            tried = self.execute(f"search-{n}", f"search: n = {n}", SequentialExperiment(trial, self.question.seed))
            foretold = next_size(tried, trial, design, power)
            if foretold is None or foretold > LARGEST:
                where = f"designs.{self.question.design}"
                raise InputError(Problem(f"no trial of up to {LARGEST:,} patients has power {power:g} in this scenario", where))
            close, n = abs(foretold - n) <= max(1, 0.01 * n), foretold
            if close:
                break
        step, attempts = max(1, round(0.02 * n)), MAX_CONFIRMATIONS
        for attempt in range(attempts):
            trial = self._looked_at(n)
            again = SequentialExperiment(trial, self.question.seed, Role.CONFIRMATION, attempt)
            result = self.execute(f"confirmation-{attempt}", f"confirmation: n = {n}", again)
            found = claims(result, trial, design)
            held = found.value - Z95 * found.mcse > power - CONFIRMED_WITHIN
            if held or attempt == attempts - 1:
                break
            n += step
        points = [{"n": n, "value": found.value, "mcse": found.mcse}]
        return {"n": n, "wanted": power, "confirmation": points, "confirmed": held}, result
