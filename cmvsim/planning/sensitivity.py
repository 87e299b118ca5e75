"""How a study's operating characteristics depend on its inputs: tornado, curve and grid, on the same patients throughout.

Every variation is simulated with the same random numbers as the scenario itself, so that differences are between the same
patients. Hazards are held fixed unless a target is varied (:class:`cmvsim.calibration.redraw.Redraw`).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import product
from typing import Any, Literal

import numpy as np

from cmvsim.calibration import Calibration
from cmvsim.calibration.redraw import Redraw
from cmvsim.core.errors import CalibrationError
from cmvsim.core.records import FloatArray, Measure
from cmvsim.core.streams import CHUNK_REPLICATES
from cmvsim.montecarlo import mcse
from cmvsim.montecarlo.experiment import FIELDS
from cmvsim.montecarlo.mcse import Summary
from cmvsim.montecarlo.run import MonteCarloResult, run
from cmvsim.planning.one_analysis import Studies, studies_of, succeeded
from cmvsim.planning.question import Work
from cmvsim.planning.variations import Setting, Variation, varied
from cmvsim.scenarios import ResolvedScenario

Shape = Literal["tornado", "curve", "grid", "one_at_a_time"]
COHORT = 16_384
"""Patients on which varied targets are solved again: more than for draws, as a target's value is what is asked about."""
PER_STUDY: dict[Measure, str] = {
    Measure.POWER: "power",
    Measure.HALF_WIDTH: "mean half-width of the confidence interval",
    Measure.MEAN_ESTIMATE: "mean estimate",
    Measure.P_HALF_WIDTH_LE: "share of studies that meet the half-width wanted",
    Measure.EXPECTED_EVENTS: "mean number of events",
    Measure.EXPECTED_EVALUABLE: "mean number of evaluable patients",
    Measure.P_NOT_ESTIMABLE: "share of studies without an estimate",
}
"""Measures of sensitivity: each is a mean over studies, so that the error of a difference is that of paired means."""


@dataclass(frozen=True, slots=True)
class SensitivityQuestion:
    """What is asked.

    Attributes
    ----------
    design
        Of the scenario; its target half-width, if it has one, is that of ``p_half_width_le``.
    endpoint
        Id.
    patients
        N.
    variations
        Inputs and their values; empty: all uncertain inputs, at their 95% limits.
    measures
        Of :data:`PER_STUDY`, the first being the one that inputs are ordered by.
    half_width
        Wanted, None if there is no target.
    """

    design: str
    endpoint: str
    patients: int
    variations: tuple[Variation, ...]
    measures: tuple[Measure, ...]
    half_width: float | None
    replicates: int
    shape: Shape
    seed: int


@dataclass(frozen=True, slots=True)
class PointResult:
    """A setting of the inputs and what it gives.

    Attributes
    ----------
    setting
        Value of each varied input; empty for the scenario as it is.
    values, differences
        By measure: the figure, and its difference from that of the scenario as it is, in the same studies.
    same
        Every study is the same, down to the last digit, as without the change: judged on the first 64 studies.
    replicates
        Studies simulated.
    """

    setting: Setting
    values: Mapping[Measure, Summary]
    differences: Mapping[Measure, Summary]
    same: bool
    replicates: int


@dataclass(frozen=True, slots=True)
class SensitivityResult:
    """Everything that ``sensitivity`` reports; points in the order of the settings, and what could not be simulated.

    Attributes
    ----------
    scale
        What the estimate is: a probability, a difference, a ratio.
    """

    question: SensitivityQuestion
    base: PointResult
    points: tuple[PointResult, ...]
    unreached: tuple[tuple[Setting, str], ...]
    chunks: int
    scale: str


def settings_of(variations: Sequence[Variation], shape: Shape) -> list[Setting]:
    """All settings to simulate: every combination of a grid, else each value of each input alone."""
    if shape in ("curve", "grid"):
        return [tuple(zip(variations, values, strict=True)) for values in product(*(v.values for v in variations))]
    return [((variation, value),) for variation in variations for value in variation.values]


class Sensitivity:
    """Simulates the settings of one question.

    Parameters
    ----------
    scenario, calibration
        What is varied.
    question, work
        What is asked; stores, workers, progress.
    """

    def __init__(self, scenario: ResolvedScenario, calibration: Calibration, question: SensitivityQuestion, work: Work) -> None:
        self.scenario = scenario
        self.calibration = calibration
        self.redraw = Redraw(scenario, calibration, COHORT)
        self.question = question
        self.work = work
        self.chunks = 0

    def answer(self) -> SensitivityResult:
        """Simulate all settings."""
        asked = self.question
        first = studies_of(
            self.scenario, self.calibration.baseline, asked.design, asked.endpoint, (asked.patients,), asked.seed
        )
        with self.work.progress("the scenario as it is") as tick:
            base = self._run("base", first, asked.replicates, tick)
        own = PointResult((), self._values(base), {}, same=True, replicates=base.replicates)
        points: list[PointResult] = []
        unreached: list[tuple[Setting, str]] = []
        settings = settings_of(asked.variations, asked.shape)
        with self.work.progress(f"{len(settings)} settings of the inputs") as tick:
            for index, setting in enumerate(settings):
                tick(index, len(settings))
                try:
                    points.append(self._point(index, setting, first, base))
                except CalibrationError as error:
                    unreached.append((setting, str(error)))
            tick(len(settings), len(settings))
        return SensitivityResult(asked, own, tuple(points), tuple(unreached), self.chunks, first.scales[first.rows[0]])

    def _point(self, index: int, setting: Setting, first: Studies, base: MonteCarloResult) -> PointResult:
        scenario = varied(self.scenario, setting)
        if not self.redraw.reaches(scenario):
            told = ", ".join(f"{variation.key} = {value}" for variation, value in setting)
            raise CalibrationError(f"{self.scenario.id}: out of reach of the model: {told}")
        experiment = replace(first, scenario=scenario, baseline=self.redraw.baseline(scenario))
        stage = f"setting-{index:04d}"
        found = self._run(stage, experiment, min(CHUNK_REPLICATES, self.question.replicates))
        same = all(
            np.array_equal(self._column(base, name)[: found.replicates], self._column(found, name), equal_nan=True)
            for name in FIELDS
        )
        if not same and found.replicates < self.question.replicates:
            found = self._run(stage, experiment, self.question.replicates)
        values = self._values(base) if same else self._values(found)
        return PointResult(setting, values, self._differences(base, found), same, found.replicates)

    def _column(self, result: MonteCarloResult, name: str) -> FloatArray:
        """A field of the primary analysis of each study."""
        return result.column(self.question.patients, result.experiment.rows[0], name)

    def _run(
        self, stage: str, experiment: Studies, replicates: int, tick: Callable[[int, int], None] | None = None
    ) -> MonteCarloResult:
        result = run(
            experiment,
            replicates=replicates,
            store=self.work.store(stage, experiment),
            jobs=self.work.jobs,
            backend=self.work.backend,
            progress=(lambda done, total, _: tick(done, total)) if tick is not None else None,
        )
        self.chunks += math.ceil(replicates / CHUNK_REPLICATES)
        return result

    def _values(self, result: MonteCarloResult) -> dict[Measure, Summary]:
        found = {}
        for measure in self.question.measures:
            values, status = self._studies(result, measure)
            found[measure] = mcse.mean(values, status)
        return found

    def _differences(self, base: MonteCarloResult, other: MonteCarloResult) -> dict[Measure, Summary]:
        """Paired: study by study, where both have the number."""
        found = {}
        for measure in self.question.measures:
            (was, before), (now, after) = self._studies(base, measure), self._studies(other, measure)
            n = now.size
            both = np.where(mcse.usable(before[:n]), after, before[:n])
            found[measure] = mcse.mean(now - was[:n], both)
        return found

    def _studies(self, result: MonteCarloResult, measure: Measure) -> tuple[FloatArray, FloatArray]:
        """The number of each study whose mean the measure is, and its status."""

        def column(name: str) -> FloatArray:
            return self._column(result, name)

        size, status = self.question.patients, column("status")
        ran = np.zeros(status.size)  # Status.OK: a study without an estimate counts as well
        width = (column("ci_high") - column("ci_low")) / 2
        if measure is Measure.HALF_WIDTH:
            return width, status
        if measure is Measure.MEAN_ESTIMATE:
            return column("estimate"), status
        if measure is Measure.EXPECTED_EVENTS:
            return column("events"), ran
        if measure is Measure.EXPECTED_EVALUABLE:
            return column("n"), ran
        if measure is Measure.P_NOT_ESTIMABLE:
            return (~mcse.usable(status)).astype(np.float64), ran
        design = self.scenario.spec.designs[self.question.design]
        return succeeded(result, size, design, self.question.half_width).astype(np.float64), ran


def swing(result: SensitivityResult, measure: Measure) -> list[tuple[Variation, float, list[PointResult]]]:
    """Inputs varied one at a time, the most influential first: the range of the measure over their values, with the base's."""
    base = result.base.values[measure].value
    by_input: dict[str, list[PointResult]] = {}
    known: dict[str, Variation] = {}
    for point in result.points:
        if len(point.setting) == 1:
            variation = point.setting[0][0]
            known[variation.key] = variation
            by_input.setdefault(variation.key, []).append(point)
    ranges: list[tuple[Variation, float, list[PointResult]]] = []
    for key, points in by_input.items():
        values = [base, *(base + point.differences[measure].value for point in points)]
        ranges.append((known[key], float(np.nanmax(values) - np.nanmin(values)), points))
    return sorted(ranges, key=lambda item: -item[1])


def as_tree(setting: Setting) -> dict[str, Any]:
    """A setting, JSON-ready."""
    return {variation.key: value for variation, value in setting}
