"""Precision and sample size of a cohort study: the work behind ``cmvsim power``."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from cmvsim.calibration import Calibration
from cmvsim.core.errors import InputError, Problem
from cmvsim.core.streams import CHUNK_REPLICATES, Role
from cmvsim.designs import PrecisionTarget
from cmvsim.endpoints import AnalysisSpec
from cmvsim.models.baseline import Baseline
from cmvsim.montecarlo import mcse
from cmvsim.montecarlo.estimand_values import EstimandValue, estimand_values
from cmvsim.montecarlo.experiment import RowKey
from cmvsim.montecarlo.run import MonteCarloResult, run
from cmvsim.montecarlo.stopping import Stopping, doubling_checkpoints
from cmvsim.planning.characteristics import Row, characteristics, half_widths
from cmvsim.planning.closed_forms import assured_precision_patients, precision_patients
from cmvsim.planning.criteria import Criterion, NarrowEnough
from cmvsim.planning.experiment import CohortExperiment
from cmvsim.planning.nested import NestedStudies
from cmvsim.planning.question import Answer, Point, PowerResult, Question, Work, why_different
from cmvsim.planning.search import Crossing, find_crossing, isotonic
from cmvsim.planning.sizes import LARGEST, grid_around, local_grid
from cmvsim.planning.what_if import REPLICATES as WHAT_IF_REPLICATES
from cmvsim.planning.what_if import WhatIf, variants
from cmvsim.scenarios import ResolvedScenario

CONFIRMED_WITHIN = 0.01
MAX_CONFIRMATIONS = 30
WIDEST = 16
"""A search goes no further than so many times the largest size that it began with."""


class Planner:
    """Runs the stages of one question: truth, nested curve, local grid, confirmation.

    Parameters
    ----------
    scenario, calibration
        What is simulated.
    question
        What is asked.
    work
        Stores, workers, progress.
    """

    def __init__(self, scenario: ResolvedScenario, calibration: Calibration, question: Question, work: Work) -> None:
        self.scenario = scenario
        self.baseline = calibration.baseline
        self.question = question
        self.work = work
        self.chunks = 0
        self._replicates = question.replicates

    @property
    def primary(self) -> RowKey:
        """The analysis whose precision is asked for: the primary estimator of the first endpoint, its first term."""
        return self._experiment((1,)).rows[0]

    def answer(self) -> PowerResult:
        """Run all stages."""
        estimands = self._truth()
        sizes = self.question.sizes or (
            self._starting_grid(estimands) if self.question.search else (self.scenario.spec.study.patients,)
        )
        result = self._run("study", sizes)
        answers: tuple[Answer, ...] = ()
        reported: dict[int, MonteCarloResult] = dict.fromkeys(sizes, result)
        if self.question.search:
            answer, found = self._search(result, estimands)
            answers = (answer,)
            if found is not None and answer.n is not None and answer.n not in reported:
                reported[answer.n] = found
        rows = [row for size in sorted(reported) for row in self._rows(reported[size], size, estimands)]
        return PowerResult(
            self.question,
            tuple(sorted(reported)),
            tuple(rows),
            estimands,
            answers,
            self._curve(reported),
            result.replicates,
            result.stopped,
            tuple(result.failures()),
            self._what_if(answers[0].n if answers and answers[0].n is not None else sizes[-1]),
            self.chunks,
        )

    def _truth(self) -> tuple[EstimandValue, ...]:
        model = self._experiment((1,)).model
        with self.work.progress("estimand values on a large cohort") as tick:
            plans = [self.scenario.spec.analysis, *self._plans().values()]
            return estimand_values(model, plans, self.primary.strategy, self.question.endpoints, progress=tick)

    def _plans(self) -> dict[RowKey, AnalysisSpec]:
        """The plan of each analysis."""
        return self._experiment((1,)).plans

    def _experiment(self, sizes: tuple[int, ...], role: Role = Role.STUDY, attempt: int = 0) -> NestedStudies:
        return self._at(self.scenario, self.baseline, sizes, role, attempt)

    def _at(
        self,
        scenario: ResolvedScenario,
        baseline: Baseline,
        sizes: tuple[int, ...],
        role: Role = Role.STUDY,
        attempt: int = 0,
    ) -> NestedStudies:
        """The experiment, of this scenario or another."""
        return CohortExperiment(
            scenario,
            baseline,
            sizes,
            self.question.endpoints,
            self.question.sensitivity,
            self.question.seed,
            role,
            attempt,
        )

    def _run(self, stage: str, sizes: tuple[int, ...], role: Role = Role.STUDY, attempt: int = 0) -> MonteCarloResult:
        experiment = self._experiment(sizes, role, attempt)
        stopping = None
        if self.question.mcse_target is not None and stage == "study":
            stopping = Stopping(self.question.mcse_target, self._worst_mcse, doubling_checkpoints(self.question.replicates))
        label = f"{stage}: n = {sizes[0]}" + (f" to {sizes[-1]}" if len(sizes) > 1 else "")
        replicates = self._replicates if stage != "study" else self.question.replicates
        result = self._execute(stage, label, experiment, replicates, stopping)
        if stage == "study":
            self._replicates = result.replicates
        return result

    def _execute(
        self, stage: str, label: str, experiment: NestedStudies, replicates: int, stopping: Stopping | None = None
    ) -> MonteCarloResult:
        with self.work.progress(label) as tick:
            result = run(
                experiment,
                replicates=replicates,
                store=self.work.store(stage, experiment),
                jobs=self.work.jobs,
                backend=self.work.backend,
                stopping=stopping,
                progress=lambda done, total, _rate: tick(done, total),
            )
        self.chunks += math.ceil(result.replicates / CHUNK_REPLICATES)
        return result

    def _worst_mcse(self, result: MonteCarloResult) -> float:
        """Largest MCSE of the criterion over the sizes (of the expected half-width when there is no target)."""
        return float(np.max([self._criterion(result, size).mcse for size in result.experiment.sizes]))

    def _criterion(self, result: MonteCarloResult, size: int) -> mcse.Summary:
        if self.question.target is None:
            return mcse.mean(half_widths(result, size, self.primary), result.column(size, self.primary, "status"))
        return self.criterion.summary(result, size)

    def _rows(self, result: MonteCarloResult, size: int, estimands: tuple[EstimandValue, ...]) -> list[Row]:
        target = self.question.target
        return characteristics(
            result,
            (size,),
            estimands,
            half_width=target.half_width if target else None,
            level=self.scenario.spec.analysis.level,
            handling={key: plan.truth.relapse for key, plan in self._plans().items()},
            scales=self._experiment((1,)).scales,
        )

    def _what_if(self, n: int) -> tuple[WhatIf, ...]:
        """The study of `n` patients at the ends of the published interval of the incidence."""
        found = []
        for index, (value, scenario, baseline) in enumerate(variants(self.scenario)):
            experiment = self._at(scenario, baseline, (n,))
            stage, replicates = f"what-if-{index}", min(self._replicates, WHAT_IF_REPLICATES)
            result = self._execute(stage, f"{stage}: incidence target {value:g}, n = {n}", experiment, replicates)
            status = result.column(n, self.primary, "status")
            estimate = mcse.mean(result.column(n, self.primary, "estimate"), status).value
            width = mcse.mean(half_widths(result, n, self.primary), status).value
            share = self._criterion(result, n).value if self.question.target is not None else None
            found.append(WhatIf(value, n, estimate, width, share, replicates))
        return tuple(found)

    def _curve(self, reported: dict[int, MonteCarloResult]) -> tuple[Point, ...]:
        points = []
        for size in sorted(reported):
            summary = self._criterion(reported[size], size)
            points.append(Point(size, summary.value, summary.mcse))
        return tuple(points)

    # --- the search -------------------------------------------------------------------------------------------------

    @property
    def criterion(self) -> Criterion:
        """What N is looked for."""
        if self.question.target is None:
            raise InputError("a sample size is looked for, but no precision is wanted: give --half-width")
        return NarrowEnough(self.primary, self.question.target)

    @property
    def _target(self) -> PrecisionTarget:
        criterion = self.criterion
        assert isinstance(criterion, NarrowEnough)
        return criterion.target

    def _expected(self, estimands: tuple[EstimandValue, ...]) -> float:
        """The true incidence, as the protocol sees it."""
        return next(v.value for v in estimands if v.endpoint == self.question.endpoints[0] and v.kind == "protocol")

    def _starting_grid(self, estimands: tuple[EstimandValue, ...]) -> tuple[int, ...]:
        """Sizes around the closed form."""
        target, incidence = self._target, self._expected(estimands)
        if not math.isfinite(incidence):
            raise InputError(f"nobody in the scenario belongs to the population of {self.primary.endpoint}")
        grid = grid_around(self._closed_form(incidence))
        if grid[-1] > LARGEST:
            raise InputError(
                Problem(
                    f"±{100 * target.half_width:g} points need about {self._closed_form(incidence):,} patients",
                    "--half-width",
                    allowed=f"studies of up to {LARGEST:,} patients are simulated",
                )
            )
        return grid

    def _closed_form(self, incidence: float) -> int:
        return assured_precision_patients(
            incidence, self._target.half_width, self.scenario.spec.analysis.level, self._target.probability
        )

    def _search(self, coarse: MonteCarloResult, estimands: tuple[EstimandValue, ...]) -> tuple[Answer, MonteCarloResult | None]:
        criterion, bracket = self.criterion, self._bracket(coarse)
        if bracket is None:
            return self._answer(estimands, None, None, "not reached", ()), None
        low, high = bracket
        fine = self._run("local", local_grid(low, high))
        grid = fine.experiment.sizes
        met = np.column_stack([criterion.met(fine, size) for size in grid])
        crossing = find_crossing(grid, met, criterion.probability, self.question.seed)
        if crossing is None:
            return self._answer(estimands, None, None, "not reached", ()), None
        step = max(1, round(0.02 * crossing.n))
        n, points, confirmed = self._confirm(min(s for s in grid if s >= crossing.n), step)
        if n not in grid:
            fine = self._run("answer", (n,))
        answer = self._answer(estimands, crossing, n, "confirmed" if confirmed else "not confirmed", points)
        return answer, fine

    def _bracket(self, coarse: MonteCarloResult) -> tuple[int, int] | None:
        """Sizes around the crossing, wide enough for the interval; the grid is extended where the crossing is outside."""
        sizes, criterion = coarse.experiment.sizes, self.criterion
        largest = min(LARGEST, WIDEST * sizes[-1])
        result = coarse
        for attempt in range(20):
            curve = isotonic(np.array([criterion.met(result, size).mean() for size in sizes]))
            above = np.flatnonzero(curve >= criterion.probability)
            if above.size and (above[0] > 0 or sizes[0] <= 2):
                j = int(above[0])
                gap = max(sizes[j] - sizes[max(j - 1, 0)], round(0.04 * sizes[j]), 2)
                return max(1, sizes[max(j - 1, 0)] - gap), sizes[j] + gap
            if self.question.sizes is not None and not above.size:
                return None  # the user's own grid ends before the target is reached
            if above.size:
                lower = max(1, sizes[0] // 2)
                sizes = tuple(sorted({*range(lower, sizes[0], max(1, lower // 5)), sizes[0]}))
            else:
                if sizes[-1] * 2 > largest:
                    return None
                sizes = grid_around(sizes[-1] * 2)
            result = self._run(f"widened-{attempt}", sizes)
        return None

    def _confirm(self, n: int, step: int) -> tuple[int, tuple[Point, ...], bool]:
        """New streams at N - step, N, N + step: accept, or move N up and try again on further new streams."""
        points: tuple[Point, ...] = ()
        for attempt in range(MAX_CONFIRMATIONS):
            sizes = tuple(size for size in (n - step, n, n + step) if size > 0)
            result = self._run(f"confirmation-{attempt}", sizes, Role.CONFIRMATION, attempt)
            points = tuple(Point(size, s.value, s.mcse) for size in sizes for s in (self.criterion.summary(result, size),))
            here = next(point for point in points if point.n == n)
            if here.value - 1.959963984540054 * here.mcse > self.criterion.probability - CONFIRMED_WITHIN:
                return n, points, True
            if attempt < MAX_CONFIRMATIONS - 1:
                n += step
        return n, points, False

    def _closed(self, estimands: tuple[EstimandValue, ...]) -> dict[str, Any]:
        """The nearest closed form, as written with the answer."""
        incidence, target = self._expected(estimands), self._target
        return {
            "name": "Wald precision with assurance",
            "n": self._closed_form(incidence),
            "incidence": incidence,
            "without_assurance": precision_patients(incidence, target.half_width, self.scenario.spec.analysis.level),
        }

    def _reasons(self) -> tuple[str, ...]:
        """Why the answer is not that of the closed form."""
        return why_different(self.scenario)

    def _answer(
        self,
        estimands: tuple[EstimandValue, ...],
        crossing: Crossing | None,
        n: int | None,
        status: str,
        points: tuple[Point, ...],
    ) -> Answer:
        return Answer(
            endpoint=self.question.endpoints[0],
            criterion=self.criterion.as_dict(),
            n=n,
            found=crossing.n if crossing else None,
            ci_low=crossing.low if crossing else None,
            ci_high=crossing.high if crossing else None,
            interval_method=crossing.method if crossing else "",
            status=status,
            confirmation=points,
            closed_form=self._closed(estimands),
            why_different=self._reasons(),
            enrolled=n,
            screened=self.scenario.spec.population.screened(n) if n is not None else None,
        )
