"""Answers of designs that the search for a precision does not serve: one arm tested, Simon's stages, interim looks."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from dataclasses import asdict, dataclass, field, replace
from typing import Any, Protocol

import numpy as np

from cmvsim.core.errors import InputError, Problem
from cmvsim.core.records import FloatArray, Measure, Status
from cmvsim.core.streams import CHUNK_REPLICATES, Role
from cmvsim.designs import GroupSequential, SimonTwoStage, SingleArmTest
from cmvsim.designs.closed_forms.group_sequential import crossing
from cmvsim.designs.closed_forms.one_sample import binomial_test
from cmvsim.designs.closed_forms.two_stage import sequential_binomial
from cmvsim.montecarlo import mcse
from cmvsim.montecarlo.experiment import Experiment, Failure, RowKey
from cmvsim.montecarlo.mcse import Summary
from cmvsim.montecarlo.run import Backend, MonteCarloResult, run
from cmvsim.models.baseline import Baseline
from cmvsim.planning.characteristics import Row, row_of
from cmvsim.planning.sequential import INTEGRATION, SequentialExperiment, by_look, integrated_rows, sequential_rows, stopped
from cmvsim.planning.single_arm import PROPORTION, SingleArmExperiment, TwoStageExperiment, patients_to_simulate
from cmvsim.planning.trial_sequential import CmvLooks, planned_events
from cmvsim.runs.chunk_store import ChunkStore
from cmvsim.scenarios import ResolvedScenario

ENUMERATION = "enumeration"
STAGED = (SingleArmTest, SimonTwoStage, GroupSequential)
"""Designs answered here."""
PILOT_PATIENTS = 400
QUANTILES = (0.1, 0.5, 0.9)


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
        Power that N is looked for with, of a single test; None: it is reported at the sizes.
    """

    design: str
    kind: str
    endpoint: str
    sizes: tuple[int, ...]
    power: float | None
    replicates: int
    seed: int

    def as_dict(self) -> dict[str, Any]:
        """What goes into the request: everything that may change a number but the seed."""
        return {**{key: item for key, item in asdict(self).items() if key != "seed"}, "sizes": list(self.sizes)}


@dataclass(frozen=True, slots=True)
class Pictured:
    """What the figures show beside the rows: by name, lists of numbers."""

    series: dict[str, list[float]] = field(default_factory=dict)


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
    failures: tuple[Failure, ...]
    chunks: int


class StagedPlanner:
    """Runs the experiments of one question."""

    def __init__(self, scenario: ResolvedScenario, baseline: Baseline, question: StagedQuestion, work: StageWork) -> None:
        self.scenario = scenario
        self.baseline = baseline
        self.question = question
        self.work = work
        self.chunks = 0
        self.failures: list[Failure] = []
        self.design = scenario.spec.designs[question.design]

    def answer(self) -> StagedResult:
        """Run all stages."""
        if isinstance(self.design, SingleArmTest):
            rows, facts, why, pictured = self._tested(self.design)
        elif isinstance(self.design, SimonTwoStage):
            rows, facts, why, pictured = self._two_stages(self.design)
        elif isinstance(self.design, GroupSequential):
            rows, facts, why, pictured = self._sequential(self.design)
        else:
            raise TypeError(f"the design '{self.question.design}' has no stages")
        return StagedResult(self.question, tuple(rows), facts, why, pictured, tuple(self.failures[:5]), self.chunks)

    def _run(self, stage: str, label: str, experiment: Experiment) -> MonteCarloResult:
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
        self.failures += list(result.failures())
        return result

    # --- one test -----------------------------------------------------------------------------------------------------

    def _single(self, sizes: tuple[int, ...], role: Role = Role.STUDY, attempt: int = 0) -> SingleArmExperiment:
        asked = self.question
        return SingleArmExperiment(
            self.scenario, self.baseline, sizes, (asked.endpoint,), False, asked.seed, role, attempt, design=asked.design
        )

    def _tested(self, design: SingleArmTest) -> tuple[list[Row], dict[str, Any], tuple[str, ...], dict[str, list[float]]]:
        sizes = self.question.sizes
        facts: dict[str, Any] = {"null_incidence": design.null_incidence, "direction": design.direction}
        if self.question.power is not None:
            sizes = self._grid(design, self.question.power)
        result = self._run("study", f"study: n = {sizes[0]}" + (f" to {sizes[-1]}" if len(sizes) > 1 else ""), self._single(sizes))
        rows = [row for size in sizes for row in _single_rows(result, design, size)]
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
        return rows, facts, _why_tested(result, design, sizes[-1]), pictured

    def _grid(self, design: SingleArmTest, power: float) -> tuple[int, ...]:
        """All sizes, or every few, around the smallest with the power by the normal approximation at the simulated incidence."""
        pilot = self._run("pilot", f"pilot: n = {PILOT_PATIENTS}", self._single((PILOT_PATIENTS,)))
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
        met = np.array([_power(result, design, size).value >= power for size in sizes])
        if not met.any() or not met[-1]:
            return {"first": None, "stable": None, "wanted": power}
        short = np.flatnonzero(~met)
        first, stable = sizes[int(np.argmax(met))], sizes[int(short[-1]) + 1 if short.size else 0]
        again = self._run("confirmation", f"confirmation: n = {stable}", self._single((stable,), Role.CONFIRMATION))
        confirmed = _power(again, design, stable)
        return {
            "first": first,
            "stable": stable,
            "wanted": power,
            "confirmed": confirmed.value,
            "confirmed_mcse": confirmed.mcse,
        }

    # --- Simon --------------------------------------------------------------------------------------------------------

    def _two_stages(self, design: SimonTwoStage) -> tuple[list[Row], dict[str, Any], tuple[str, ...], dict[str, list[float]]]:
        share = self._evaluable_share(design)
        patients = patients_to_simulate(design.stages.n, share)
        asked = self.question
        experiment = TwoStageExperiment(
            self.scenario, self.baseline, (patients,), (asked.endpoint,), False, asked.seed, design=asked.design
        )
        result = self._run("study", f"study: {design.stages.n} evaluable patients", experiment)
        rows = _two_stage_rows(result, design)
        found = {**asdict(design.stages), "criterion": design.criterion, "p0": design.p0, "p1": design.p1}
        found["success"] = "event" if design.p1 > design.p0 else "no event"
        why = (
            "patients who are not evaluable are replaced: more are enrolled than the boundaries count",
            f"the incidence among evaluable patients is {100 * rows[0].value:.1f}% here, neither p0 nor p1; who is not evaluable "
            "is not a random sample",
        )
        enrolled = result.extra_column(patients, "enrolled")
        known = enrolled[~np.isnan(enrolled)]
        values, counts = np.unique(known, return_counts=True)
        return rows, {"design": found}, why, {"enrolled": values.tolist(), "share": (counts / max(known.size, 1)).tolist()}

    def _evaluable_share(self, design: SimonTwoStage) -> float:
        """Of patients enrolled, in the first chunk of a cohort: how many have to be simulated, no result."""
        pilot = TwoStageExperiment(
            self.scenario, self.baseline, (PILOT_PATIENTS,), (self.question.endpoint,), False, 0, Role.TRUTH, design=self.question.design
        )
        share = pilot.evaluable_share()
        if share < 0.02:
            raise InputError(
                Problem("hardly a patient is evaluable in this scenario", f"designs.{self.question.design}.evaluable")
            )
        del design
        return share

    # --- interim looks ------------------------------------------------------------------------------------------------

    def _sequential(self, design: GroupSequential) -> tuple[list[Row], dict[str, Any], tuple[str, ...], dict[str, list[float]]]:
        rows: list[Row] = []
        facts: dict[str, Any] = {"looks": []}
        pictured: dict[str, list[float]] = {}
        for size in self.question.sizes:
            trial = CmvLooks(self.scenario, self.baseline, self.question.design, size, self.question.endpoint)
            trial = replace(trial, planned=planned_events(trial))
            found = self._run(f"study-{size}", f"study: n = {size}, all looks", SequentialExperiment(trial, self.question.seed))
            mine, told, shown = _sequential_answer(found, trial, design)
            rows += mine
            if design.hypothesis == "superiority":
                empty = SequentialExperiment(replace(trial, null=True), self.question.seed, Role.CONFIRMATION)
                null = self._run(f"null-{size}", f"no effect: n = {size}, all looks", empty)
                rules = design.rules(trial.planned)
                rows += [r for name in trial.analyses for r in sequential_rows(null, rules, name, measure=Measure.TYPE1)]
            facts["looks"].append(told)
            pictured = shown
        return rows, facts, _why_sequential(design), pictured


def _power(result: MonteCarloResult, design: SingleArmTest, size: int, key: RowKey | None = None) -> Summary:
    from cmvsim.core.records import Estimates

    key = key or result.experiment.rows[0]
    fields = {name: result.column(size, key, name) for name in ("estimate", "se", "ci_low", "ci_high", "n", "events", "status")}
    decision = design.decide(Estimates(**fields, level=design.level, method=key.estimator))  # type: ignore[arg-type]
    assert decision.met is not None
    return mcse.proportion(decision.met, fields["status"])


def _single_rows(result: MonteCarloResult, design: SingleArmTest, size: int) -> list[Row]:
    """Power of both tests, who is evaluable, and the exact power at the mean number of evaluable patients."""
    rows = []
    for key in result.experiment.rows:
        status = result.column(size, key, "status")
        ran = np.where(status == Status.RAISED, float(Status.RAISED), float(Status.OK))
        rows.append(row_of(size, key, Measure.POWER, _power(result, design, size, key)))
        rows.append(row_of(size, key, Measure.MEAN_ESTIMATE, mcse.mean(result.column(size, key, "estimate"), status)))
        rows.append(row_of(size, key, Measure.EXPECTED_EVALUABLE, mcse.mean(result.column(size, key, "n"), ran)))
        rows.append(row_of(size, key, Measure.EXPECTED_EVENTS, mcse.mean(result.column(size, key, "events"), ran)))
    own = next(key for key in result.experiment.rows if key.estimator == PROPORTION)
    named = {row.measure: row.value for row in rows if row.estimator == PROPORTION}
    evaluable, incidence = round(named["expected_evaluable"]), named["mean_estimate"]
    if evaluable >= 1 and 0 < incidence < 1 and incidence != design.null_incidence:
        exact = binomial_test(evaluable, design.null_incidence, incidence, design.alpha / design.sides)
        right = (exact.side == "less") == (design.direction == "below")
        key = replace(own, estimator=ENUMERATION)
        rows.append(row_of(size, key, Measure.POWER, Summary(exact.power if right else 0.0, 0.0, 0, 0)))
        rows.append(row_of(size, key, Measure.TYPE1, Summary(exact.attained, 0.0, 0, 0)))
        rows.append(row_of(size, key, Measure.CRITICAL_EVENTS, Summary(float(exact.critical), 0.0, 0, 0)))
    return rows


def _why_tested(result: MonteCarloResult, design: SingleArmTest, size: int) -> tuple[str, ...]:
    own, other = (next(k for k in result.experiment.rows if (k.estimator == PROPORTION) is plain) for plain in (True, False))
    means = {k: mcse.mean(result.column(size, k, "estimate"), result.column(size, k, "status")).value for k in (own, other)}
    return (
        "the number of evaluable patients varies from study to study, which smooths the sawtooth of the exact test",
        f"among evaluable patients the incidence is {100 * means[own]:.1f}%, with censoring taken into account "
        f"{100 * means[other]:.1f}%: who is lost sight of is not like the others",
    )


def _two_stage_rows(result: MonteCarloResult, design: SimonTwoStage) -> list[Row]:
    """Of the simulated design, then of the boundaries at p0, p1 and the simulated incidence."""
    patients, key = result.experiment.sizes[0], result.experiment.rows[0]
    size, found = design.stages.n, design.stages
    status = result.column(patients, key, "status")
    columns = {name: result.extra_column(patients, name) for name in result.experiment.extras}
    n, events = result.column(patients, key, "n"), result.column(patients, key, "events")
    first = columns["first_events"]
    pooled = float(np.nansum(first) / (np.isfinite(first).sum() * found.n1)) if np.isfinite(first).any() else float("nan")
    claim = (n >= found.n) & (design.successes(events, n) > found.r)

    def row(measure: Measure, summary: Summary, term: str = "", estimator: str = PROPORTION) -> Row:
        return row_of(size, replace(key, term=term, estimator=estimator), measure, summary)

    share = mcse.mean(first / found.n1, status)  # of patients whose number no decision has changed
    rows = [row(Measure.MEAN_ESTIMATE, share, "stage 1")]
    rows.append(row(Measure.POWER, mcse.proportion(np.asarray(claim), status)))
    rows.append(row(Measure.P_STOP_FUTILITY, mcse.proportion(columns["continued"] == 0, status), "stage 1"))
    rows.append(row(Measure.EXPECTED_EVALUABLE, mcse.mean(n, status)))
    for name, measure in (
        ("enrolled", Measure.EXPECTED_N),
        ("overrun", Measure.EXPECTED_OVERRUN),
        ("day", Measure.EXPECTED_DURATION),
    ):
        rows.append(row(measure, mcse.mean(columns[name], status)))
    for term, p in (("p0", design.p0), ("p1", design.p1), ("simulated incidence", pooled)):
        if not 0 < p < 1:
            continue
        success = p if design.p1 > design.p0 else 1 - p
        exact = sequential_binomial([found.n1, found.n], [found.r1, found.r], [found.n1 + 1, found.r + 1], [success])

        def known(measure: Measure, value: float, term: str = term) -> Row:
            return row(measure, Summary(float(value), 0.0, 0, 0), term, ENUMERATION)

        rows.append(known(Measure.TYPE1 if term == "p0" else Measure.POWER, exact.upper[1, 0]))
        rows.append(known(Measure.P_STOP_FUTILITY, exact.lower[0, 0]))
        rows.append(known(Measure.EXPECTED_EVALUABLE, exact.expected_n[0]))
    return rows


def _sequential_answer(
    found: MonteCarloResult, trial: CmvLooks, design: GroupSequential
) -> tuple[list[Row], dict[str, Any], dict[str, list[float]]]:
    rules = design.rules(trial.planned)
    rows = [row for name in trial.analyses for row in sequential_rows(found, rules, name)]
    z, events = by_look(found, f"z.{trial.analyses[0]}"), by_look(found, "events")
    final = z[:, -1][np.isfinite(z[:, -1])]
    drift = float(final.mean()) if final.size else 0.0
    shares = events.mean(axis=0) / trial.planned
    # the looks as they came on average, so that the integration is of the same information
    typical = replace(rules, fractions=tuple(float(t) for t in _rising(shares)))
    theory = crossing(typical.design, drift / math.sqrt(typical.fractions[-1]))
    rows += integrated_rows(typical, theory, trial.n, trial.endpoint, trial.names)
    single = rules.sides == 2
    critical = -float(_ndtri(rules.efficacy.total))
    with np.errstate(invalid="ignore"):
        met = z[:, -1] >= critical
    del single
    key = replace(found.experiment.rows[0], term="one look", estimator=trial.analyses[0])
    status = np.where(np.isnan(events).any(axis=1), float(Status.RAISED), float(Status.OK))
    rows.append(row_of(trial.n, key, Measure.POWER, mcse.proportion(met, status)))
    ended = stopped(found, rules, trial.analyses[0])
    shown = {
        "information": [float(t) for t in typical.fractions],
        "efficacy": list(typical.design.efficacy),
        "futility": list(typical.design.futility) if rules.futility is not None else [],
        **{f"z{round(100 * q)}": _quantiles(z, q) for q in QUANTILES},
        "claim": [float(((ended.look == k) & ended.claim).mean()) for k in range(z.shape[1])],
        "futile": [float(((ended.look == k) & ended.futile).mean()) for k in range(z.shape[1])],
        "against": [float(((ended.look == k) & ended.against).mean()) for k in range(z.shape[1])],
    }
    told = {
        "n": trial.n,
        "planned_events": trial.planned,
        "deciding": trial.analyses[0],
        "information": [float(t) for t in typical.fractions],
        "sides": rules.sides,
        "alpha": rules.efficacy.total * rules.sides,
    }
    return rows, told, shown


def _ndtri(p: float) -> float:
    from scipy import special

    return float(special.ndtri(p))


def _rising(shares: FloatArray) -> FloatArray:
    """Mean information of the looks; of looks that bring nothing new hardly anything."""
    rising = np.maximum.accumulate(np.maximum(shares, 1e-3))
    return rising + 1e-6 * np.arange(rising.size)


def _quantiles(z: FloatArray, level: float) -> list[float]:
    return [float(np.nanquantile(column, level)) if np.isfinite(column).any() else math.nan for column in z.T]


def _why_sequential(design: GroupSequential) -> Sequence[str]:
    reasons = [
        "the integration takes the statistics of the looks as a process of independent increments, which Gray's test and "
        "differences of incidences are not: patients short of the horizon enter censored",
        "information is the number of events seen, which is not exactly that of the comparison",
    ]
    if design.hypothesis == "non_inferiority":
        reasons.append("the type I error on the margin is not simulated: no scenario lies on it")
    return tuple(reasons)
