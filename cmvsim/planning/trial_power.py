"""Power and sample size of a randomised comparison: the planner with other criteria, truths and closed forms."""

from __future__ import annotations

import math
from dataclasses import dataclass, fields, replace
from typing import Any

from cmvsim.calibration import Calibration
from cmvsim.core.errors import InputError, Problem
from cmvsim.core.streams import Role
from cmvsim.designs import Randomised
from cmvsim.endpoints.comparison import COMPARISONS
from cmvsim.models.baseline import Baseline
from cmvsim.montecarlo import mcse
from cmvsim.montecarlo.contrast_values import contrast_values
from cmvsim.montecarlo.estimand_values import EstimandValue
from cmvsim.montecarlo.run import MonteCarloResult
from cmvsim.planning.characteristics import Row
from cmvsim.planning.criteria import Concludes
from cmvsim.planning.detectable import Detectable, detectable_effect
from cmvsim.planning.power import Planner
from cmvsim.planning.question import PowerResult, Question, Work
from cmvsim.planning.sizes import LARGEST, grid_around
from cmvsim.planning.trial import BY_ARM, TrialExperiment, WithoutEffect
from cmvsim.planning.trial_characteristics import trial_characteristics
from cmvsim.planning.trial_closed_forms import Expected, closed_forms, nearest, why_trial_differs
from cmvsim.planning.trial_type1 import Contrast, Type1, edge_of_null, type1_of
from cmvsim.planning.what_if import REPLICATES as WHAT_IF_REPLICATES
from cmvsim.planning.what_if import variants
from cmvsim.scenarios import ResolvedScenario

DEFAULT_POWER = 0.80


@dataclass(frozen=True, slots=True)
class TrialWhatIf:
    """The comparison at another incidence, the drug's effect as it is solved there.

    Attributes
    ----------
    target
        Value of the incidence target instead of the scenario's.
    control, estimate
        Mean incidence of the control arm, and mean comparison.
    power
        Share of studies that reach the conclusion.
    """

    target: float
    n: int
    control: float
    estimate: float
    power: float
    replicates: int


class TrialPlanner(Planner):
    """Runs the stages of one question about a randomised design.

    Parameters
    ----------
    scenario, calibration, question, work
        As for :class:`Planner`; the question's design is randomised, and its first endpoint is the design's.
    """

    def __init__(self, scenario: ResolvedScenario, calibration: Calibration, question: Question, work: Work) -> None:
        super().__init__(scenario, calibration, question, work)
        design = scenario.spec.designs[question.design]
        if not isinstance(design, Randomised):
            raise TypeError(f"the design '{question.design}' has no two arms")
        self.design = design

    @property
    def power(self) -> float:
        """Power wanted: the question's, the design's, or 0.8."""
        return self.question.power or self.design.power or DEFAULT_POWER

    @property
    def criterion(self) -> Concludes:
        """The design's conclusion with the power wanted."""
        return Concludes(self.primary, self.design, self.power)

    def answer(self) -> PowerResult:
        """Run all stages, or those of the smallest detectable effect."""
        if not self.question.detectable:
            answer = super().answer()
            return replace(answer, type1=self._type1(answer), chunks=self.chunks) if self.question.type1 else answer
        estimands = self._truth()
        size = (self.question.sizes or (self.scenario.spec.study.patients,))[-1]
        result = self._run("study", (size,))
        found = self._detectable(size, result)
        return PowerResult(
            self.question,
            (size,),
            tuple(self._rows(result, size, estimands)),
            estimands,
            (),
            self._curve({size: result}),
            result.replicates,
            result.stopped,
            tuple(result.failures()),
            (),
            self.chunks,
            found,
        )

    def _detectable(self, size: int, result: MonteCarloResult) -> Detectable:
        def power_at(stage: str, scenario: ResolvedScenario, baseline: Baseline, role: Role, attempt: int) -> mcse.Summary:
            if stage == "study":
                return self.criterion.summary(result, size)
            experiment = self._at(scenario, baseline, (size,), role, attempt)
            ran = self._execute(stage, f"{stage}: n = {size}", experiment, self._replicates)
            return self.criterion.summary(ran, size)

        def truth_at(scenario: ResolvedScenario, baseline: Baseline) -> tuple[EstimandValue, ...]:
            return self._contrasts(self._at(scenario, baseline, (1,)))

        return detectable_effect(self.scenario, self.baseline, self.design, size, self.power, power_at, truth_at)

    def _type1(self, answer: PowerResult) -> Type1:
        """At the size that was found, or at those asked for."""
        found = answer.answers[0].n if answer.answers else None
        sizes = (found,) if found is not None else answer.sizes

        def contrast_at(scenario: ResolvedScenario, baseline: Baseline) -> Contrast:
            values = self._contrasts(self._at(scenario, baseline, (1,)))
            own = {v.strategy: v for v in values if v.kind == "protocol" and v.endpoint == self.question.endpoints[0]}
            control, experimental = (own[arm].value for arm in self.design.arms)
            contrast = next(v for name, v in own.items() if name not in self.design.arms)
            return Contrast(control, experimental, contrast.value, contrast.mcse)

        edge = edge_of_null(self.scenario, self.baseline, self.design, contrast_at)
        experiment = self._at(edge.scenario, edge.baseline, sizes)
        if edge.truth is None:
            values = {field.name: getattr(experiment, field.name) for field in fields(experiment)}
            experiment = WithoutEffect(**values)
        label = f"type I error: n = {sizes[0]}" + (f" to {sizes[-1]}" if len(sizes) > 1 else "")
        result = self._execute("type1", label, experiment, self._replicates)
        return type1_of(result, self.design, edge)

    def _truth(self) -> tuple[EstimandValue, ...]:
        return self._contrasts(self._at(self.scenario, self.baseline, (1,)))

    def _contrasts(self, experiment: TrialExperiment) -> tuple[EstimandValue, ...]:
        """Estimand values of all endpoints and their first comparison."""
        pairs: dict[str, str] = {}
        for key in experiment.rows:
            if key.estimator != BY_ARM:
                pairs.setdefault(key.endpoint, key.estimator)
        with self.work.progress("estimand values on a large cohort") as tick:
            return contrast_values(experiment.model, experiment.plan, tuple(pairs.items()), progress=tick)

    def _at(
        self,
        scenario: ResolvedScenario,
        baseline: Baseline,
        sizes: tuple[int, ...],
        role: Role = Role.STUDY,
        attempt: int = 0,
    ) -> TrialExperiment:
        return TrialExperiment(
            scenario,
            baseline,
            sizes,
            self.question.endpoints,
            self.question.design,
            self.question.sensitivity,
            self.question.seed,
            role,
            attempt,
        )

    def _criterion(self, result: MonteCarloResult, size: int) -> mcse.Summary:
        return self.criterion.summary(result, size)

    def _rows(self, result: MonteCarloResult, size: int, estimands: tuple[EstimandValue, ...]) -> list[Row]:
        return trial_characteristics(result, (size,), self.design, estimands)

    def _incidences(self, estimands: tuple[EstimandValue, ...]) -> Expected:
        """What the protocol would see in each arm with every visit made."""
        name = self.question.endpoints[0]
        at = {v.strategy: v.value for v in estimands if v.endpoint == name and v.kind == "protocol"}
        control, experimental = (at.get(arm, float("nan")) for arm in self.design.arms)
        return Expected(control, experimental, float(self.scenario.spec.analysis.window))

    def _closed(self, estimands: tuple[EstimandValue, ...]) -> dict[str, Any]:
        expected = self._incidences(estimands)
        every, name = closed_forms(self.design, expected, self.power), nearest(self.design)
        return {
            "name": name,
            "n": every[name],
            "control": expected.control,
            "experimental": expected.experimental,
            "others": {other: n for other, n in every.items() if other != name},
        }

    def _reasons(self) -> tuple[str, ...]:
        return why_trial_differs(self.scenario, self.design)

    def _starting_grid(self, estimands: tuple[EstimandValue, ...]) -> tuple[int, ...]:
        """Sizes around the closed form, for as many more as are not at risk at infusion."""
        closed = self._closed(estimands)
        n = closed["n"]
        if n is None:
            item = COMPARISONS[self.primary.estimator]
            text = f"{100 * closed['control']:.1f}% and {100 * closed['experimental']:.1f}%"
            raise InputError(
                Problem(
                    f"no number of patients shows what the design is after: the incidences are {text}, {item.label.lower()}",
                    f"designs.{self.question.design}",
                    allowed="a scenario in which the experimental arm does better, or -n to see the power as it is",
                )
            )
        grid = grid_around(n)
        if grid[-1] > LARGEST:
            raise InputError(
                Problem(
                    f"a power of {self.power:g} needs about {n:,} patients",
                    "--power",
                    allowed=f"studies of up to {LARGEST:,} patients are simulated",
                )
            )
        return grid

    def _what_if(self, n: int) -> tuple[TrialWhatIf, ...]:  # type: ignore[override]
        """The study of `n` patients at the ends of the published interval of the incidence."""
        found = []
        for index, (value, scenario, baseline) in enumerate(variants(self.scenario)):
            experiment = self._at(scenario, baseline, (n,))
            stage, replicates = f"what-if-{index}", min(self._replicates, WHAT_IF_REPLICATES)
            result = self._execute(stage, f"{stage}: incidence target {value:g}, n = {n}", experiment, replicates)
            control_row = next(key for key in experiment.rows if key.estimator == BY_ARM)
            control, estimate = (
                mcse.mean(result.column(n, key, "estimate"), result.column(n, key, "status")).value
                for key in (control_row, experiment.primary)
            )
            found.append(TrialWhatIf(value, n, control, estimate, self.criterion.summary(result, n).value, replicates))
        return tuple(item for item in found if math.isfinite(item.power))
