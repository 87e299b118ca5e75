"""Estimators on simulated truth: the work behind ``cmvsim validate``.

ADEMP (Morris, White, Crowther 2019): aims, data-generating mechanism (a scenario), estimands (population values of a cohort of
its own), methods (estimators of the endpoints), performance (:mod:`cmvsim.planning.performance`).
"""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass
from functools import cached_property
from typing import Any

import numpy as np

from cmvsim.calibration import Calibration
from cmvsim.core.records import FloatArray
from cmvsim.core.streams import CHUNK_REPLICATES
from cmvsim.endpoints import EstimatorChoice, endpoint
from cmvsim.montecarlo import estimand_values as cohort
from cmvsim.montecarlo.estimand_values import EstimandValue
from cmvsim.montecarlo.experiment import Failure, RowKey
from cmvsim.montecarlo.limits import Limit, limits
from cmvsim.montecarlo.run import MonteCarloResult, run
from cmvsim.planning.characteristics import Row, row_of
from cmvsim.planning.claims import CLAIMS, NULL, NULL_SCENARIOS
from cmvsim.planning.experiment import CohortExperiment
from cmvsim.planning.performance import Link, Replicated, Truth, link_of, null_of, performance
from cmvsim.planning.question import Work
from cmvsim.planning.verdicts import Judged, Verdict, judge, verdicts
from cmvsim.scenarios import ResolvedScenario

PRIMARY_RATE = "aalen_johansen"


@dataclass(frozen=True, slots=True)
class ValidationQuestion:
    """What is asked.

    Attributes
    ----------
    endpoints
        Ids.
    estimators
        Only these; none named: all that are batched.
    sizes
        Ascending.
    """

    endpoints: tuple[str, ...]
    estimators: tuple[str, ...]
    sizes: tuple[int, ...]
    replicates: int
    seed: int

    def as_dict(self) -> dict[str, Any]:
        """What goes into the request."""
        tree = {key: list(item) if isinstance(item, tuple) else item for key, item in asdict(self).items()}
        tree.pop("seed")
        return tree


@dataclass(frozen=True, slots=True)
class ZipData:
    """Intervals of one analysis at one sample size, for the zip plot.

    Attributes
    ----------
    low, high, estimate
        Of the usable replicates, as printed.
    link
        The scale of the standard error, on which they are drawn.
    """

    key: RowKey
    link: Link
    n: int
    low: FloatArray
    high: FloatArray
    estimate: FloatArray
    truth: float


@dataclass(frozen=True, slots=True)
class Validation:
    """What was found in one scenario."""

    scenario: str
    rows: tuple[Row, ...]
    estimands: tuple[EstimandValue, ...]
    limits: tuple[Limit, ...]
    judged: tuple[Judged, ...]
    verdicts: tuple[Verdict, ...]
    failures: tuple[Failure, ...]
    zips: dict[str, tuple[ZipData, ...]]
    replicates: int
    chunks: int


class Validator:
    """Runs one scenario: truth, replicates, measures, verdicts.

    Parameters
    ----------
    scenario, calibration
        What is simulated.
    question
        What is asked.
    work
        Stores, workers, progress.
    """

    def __init__(self, scenario: ResolvedScenario, calibration: Calibration, question: ValidationQuestion, work: Work) -> None:
        self.scenario = scenario
        self.question = question
        self.work = work
        self.experiment = CohortExperiment(
            scenario,
            calibration.baseline,
            question.sizes,
            question.endpoints,
            sensitivity=True,
            seed=question.seed,
            estimators=question.estimators,
        )

    @property
    def alpha(self) -> float:
        """Of tests and intervals."""
        return 1 - self.scenario.spec.analysis.level

    def answer(self) -> Validation:
        """Run all stages."""
        estimands, own = self._estimands, self._limits  # first, as they are quick and tell of mistakes
        result = self._run()
        rows = [row for size in self.question.sizes for row in self._rows(result, size)]
        claimed = frozenset(pair for pair, claim in CLAIMS.items() if claim.claims) if self.scenario.id == NULL else frozenset()
        judged = judge(rows, self.alpha, claimed)
        notes = {(name, choice.id): choice.note for name, choice in self.experiment.choices}
        return Validation(
            self.scenario.id,
            tuple(rows),
            estimands,
            own,
            tuple(judged),
            tuple(verdicts(judged, notes)),
            tuple(result.failures()),
            {name: self._zip(result, name) for name in self.question.endpoints},
            result.replicates,
            math.ceil(result.replicates / CHUNK_REPLICATES),
        )

    # --- truth -----------------------------------------------------------------------------------------------------------

    def _is_rate(self, name: str, choice: EstimatorChoice, term: str) -> bool:
        """Whether an estimator estimates the rate of its endpoint, whose value is a mean over patients."""
        primary = endpoint(name).estimators[0]
        if choice.scale != "probability" or term or primary.scale != "probability":
            return False
        return choice.id == primary.id or primary.id == PRIMARY_RATE

    @cached_property
    def _estimands(self) -> tuple[EstimandValue, ...]:
        made = self.experiment
        rates = {key.endpoint for key, choice in made.choice_of.items() if self._is_rate(key.endpoint, choice, key.term)}
        if not rates:
            return ()
        names = tuple(name for name in made.endpoints if name in rates)
        plans = [plan for key, plan in made.plans.items() if key.endpoint in rates]
        with self.work.progress(f"{self.scenario.id}: estimand values on a large cohort") as tick:
            return cohort.estimand_values(
                made.model, [made.plan, *plans], made.strategy, names, chunks=cohort.COHORT_CHUNKS, progress=tick
            )

    @cached_property
    def _limits(self) -> tuple[Limit, ...]:
        """Of estimators that estimate no rate; a p-value estimates nothing."""
        made = self.experiment
        wanted = {
            (key.endpoint, choice.id): choice
            for key, choice in made.choice_of.items()
            if choice.scale != "p_value" and not self._is_rate(key.endpoint, choice, key.term)
        }
        pairs = [(name, choice) for (name, _), choice in wanted.items()]
        if not pairs:
            return ()
        with self.work.progress(f"{self.scenario.id}: limits in large studies") as tick:
            return limits(made.model, made.plan, pairs, chunks=cohort.COHORT_CHUNKS, progress=tick)

    @cached_property
    def _values(self) -> dict[tuple[str, ...], Truth]:
        """(endpoint, relapse, kind) of rates and (endpoint, estimator, term) of limits -> value."""
        found: dict[tuple[str, ...], Truth] = {}
        for value in self._estimands:
            found[value.endpoint, value.relapse, value.kind] = Truth(value.value, value.mcse)
        for limit in self._limits:
            found[limit.endpoint, limit.estimator, limit.term] = Truth(limit.value, limit.mcse)
        return found

    def _truths(self, key: RowKey) -> tuple[Truth | None, Truth | None]:
        """Protocol (or limit) and latent."""
        if self._is_rate(key.endpoint, self.experiment.choice_of[key], key.term):
            of = (key.endpoint, self.experiment.plans[key].truth.relapse)
            return self._values.get((*of, "protocol")), self._values.get((*of, "latent"))
        return self._values.get((key.endpoint, key.estimator, key.term)), None

    # --- replicates ------------------------------------------------------------------------------------------------------

    def _run(self) -> MonteCarloResult:
        sizes = self.question.sizes
        label = f"{self.scenario.id}: n = {sizes[0]}" + (f" to {sizes[-1]}" if len(sizes) > 1 else "")
        with self.work.progress(label) as tick:
            return run(
                self.experiment,
                replicates=self.question.replicates,
                store=self.work.store(self.scenario.id, self.experiment),
                jobs=self.work.jobs,
                backend=self.work.backend,
                progress=lambda done, total, _rate: tick(done, total),
            )

    def _column(self, result: MonteCarloResult, size: int, key: RowKey) -> Replicated:
        choice = self.experiment.choice_of[key]
        names = ("estimate", "se", "ci_low", "ci_high", "status")
        columns = {name: result.column(size, key, name) for name in names}
        return Replicated(**columns, link=link_of(choice), scale=choice.scale)

    def _rows(self, result: MonteCarloResult, size: int) -> list[Row]:
        rows = []
        for key in self.experiment.rows:
            protocol, latent = self._truths(key)
            found = performance(
                self._column(result, size, key),
                protocol,
                latent=latent,
                null=null_of(self.experiment.choice_of[key]),
                alpha=self.alpha,
                null_holds=self.scenario.id in NULL_SCENARIOS,
            )
            rows += [row_of(size, key, measure, summary) for measure, summary in found]
        return rows

    def _zip(self, result: MonteCarloResult, name: str) -> tuple[ZipData, ...]:
        """Intervals of the first term of the first estimator of an endpoint that has any, at each size."""
        for key in self.experiment.rows:
            protocol, _ = self._truths(key)
            if key.endpoint == name and protocol is not None and np.isfinite(protocol.value):
                made = []
                for size in self.question.sizes:
                    of = self._column(result, size, key)
                    fine = of.usable & ~np.isnan(of.ci_low)
                    made.append(
                        ZipData(key, of.link, size, of.ci_low[fine], of.ci_high[fine], of.estimate[fine], protocol.value)
                    )
                return tuple(made)
        return ()
