"""Published figures read off a scenario's own study: its monitoring, its treatment rule, who leaves it, its tables."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from cmvsim.calibration.cohort import (
    FRESH,
    PATIENTS_PER_REPLICATE,
    as_planned,
    chunk_draws,
    median_detection,
    median_error,
    nodes,
)
from cmvsim.calibration.targets import TWO_SIDED, TargetResult, result_of, se_share
from cmvsim.core.definition import Definition
from cmvsim.core.records import BoolArray, FloatArray
from cmvsim.core.streams import CHUNK_REPLICATES
from cmvsim.data.study import EndReason, Result, Study
from cmvsim.endpoints.analysis import AnalysisSpec
from cmvsim.endpoints.cmv_status import ANTIVIRALS
from cmvsim.endpoints.derived import CENSORED, DEATH, EVENT, EXCLUDED
from cmvsim.endpoints.reactivation import Reactivation
from cmvsim.estimators.competing import aalen_johansen
from cmvsim.models.baseline import Baseline
from cmvsim.models.cmv import BY_DEFINITION, PEAKS, CheckSpec, TargetSpec
from cmvsim.models.monitoring import MonitoringSpec
from cmvsim.scenarios.scenario import ResolvedScenario, Scenario
from cmvsim.simulation.cohort import simulate
from cmvsim.simulation.draws import ChunkDraws
from cmvsim.simulation.model import Model
from cmvsim.simulation.recording import record

PATIENTS = 98_304
DETECTED = Definition(name="detected")
Figure = TargetSpec | CheckSpec
Question = tuple[Definition, int]
Estimate = tuple[float, float]
"""What was achieved, and its Monte Carlo standard error."""
NOT_SIMULATED: Estimate = (float("nan"), float("nan"))


def checked(scenario: ResolvedScenario, baseline: Baseline, patients: int = PATIENTS) -> tuple[TargetResult, ...]:
    """Hold a scenario's checks against its own study, on patients that nothing was solved on.

    Parameters
    ----------
    scenario
        Resolved.
    baseline
        Its solved hazards.
    patients
        Size of the cohort, rounded to chunks of 16,384.
    """
    specs = scenario.spec.cmv.checks
    if not specs:
        return ()
    chunks = max(1, round(patients / (PATIENTS_PER_REPLICATE * CHUNK_REPLICATES)))
    found = measure(scenario.spec, baseline, specs, chunk_draws(range(FRESH, FRESH + chunks)))
    return tuple(result_of(spec, *pair) for spec, pair in zip(specs, found, strict=True))


def measure(scenario: Scenario, baseline: Baseline, figures: Sequence[Figure], draws: Sequence[ChunkDraws]) -> list[Estimate]:
    """Read figures off the tables of one large study.

    Parameters
    ----------
    scenario
        Whose monitoring, treatment rule and follow-up the study has.
    figures
        What to measure.
    draws
        The chance of its patients.

    Returns
    -------
    list
        Of each figure, what was achieved and its Monte Carlo standard error, on the figure's scale; NaN where the model has
        no such process.
    """
    asked = frozenset((_definition(figure), int(float(figure.day))) for figure in figures)
    model = Model.of(scenario, baseline)
    last = float(scenario.monitoring.days[-1])
    patients = Patients.joined([_patients(record(simulate(model, chance)), scenario.analysis, asked, last) for chance in draws])
    return [estimate(figure, patients, scenario.monitoring) for figure in figures]


@dataclass(frozen=True, slots=True)
class Patients:
    """What the checks need of each patient of a study, flat; days, +inf where it did not happen.

    Attributes
    ----------
    entered
        Without DNAemia detected at or before infusion (everybody, if the analysis counts those).
    steroids
        Corticosteroids ever recorded.
    treated, disease, death, relapse
        First day; `disease` is None where the model has no such process.
    known
        Day until which death would be known.
    time, cause
        By question: day and cause with which follow-up for a first sample ends, see :class:`TimeToEvent`.
    peak
        By question: highest quantified load by its day, NaN if none.
    """

    entered: BoolArray
    steroids: BoolArray
    treated: FloatArray
    disease: FloatArray | None
    death: FloatArray
    relapse: FloatArray
    known: FloatArray
    time: dict[Question, FloatArray]
    cause: dict[Question, NDArray[np.int8]]
    peak: dict[Question, FloatArray]

    @classmethod
    def joined(cls, parts: Sequence[Patients]) -> Patients:
        """Chunks one after the other."""

        def column(name: str) -> NDArray[np.generic]:
            return np.concatenate([getattr(part, name) for part in parts])

        def table(name: str) -> dict[Question, NDArray[np.generic]]:
            return {key: np.concatenate([getattr(part, name)[key] for part in parts]) for key in getattr(parts[0], name)}

        plain = {name: column(name) for name in ("entered", "steroids", "treated", "death", "relapse", "known")}
        disease = None if parts[0].disease is None else column("disease")
        return cls(disease=disease, **plain, **{name: table(name) for name in ("time", "cause", "peak")})  # type: ignore[arg-type]


def _definition(figure: Figure) -> Definition:
    return figure.definition if figure.measure in (*BY_DEFINITION, *PEAKS) else DETECTED


def _patients(study: Study, plan: AnalysisSpec, asked: frozenset[Question], last: float) -> Patients:
    """Reduce a chunk's tables."""
    endpoint = Reactivation("check", "", "")

    def follow(question: Question) -> tuple[FloatArray, NDArray[np.int8]]:
        derived = endpoint.derive(study, plan.model_copy(update={"definition": question[0], "window": question[1]}))
        return derived.time.ravel(), np.where(entered, np.maximum(derived.cause.ravel(), CENSORED), EXCLUDED).astype(np.int8)

    samples, end = study.samples, study.disposition
    seen_before = ((samples.result >= Result.BELOW_LLOQ) & (samples.day <= 0)).any(axis=-1).ravel()
    entered = np.ones(seen_before.shape, dtype=bool) if plan.prevalent == "count" else ~seen_before
    followed = {question: follow(question) for question in asked}
    left = np.isin(end.reason, [EndReason.LOST, EndReason.WITHDRAWN, EndReason.COMPLETED])
    return Patients(
        entered=entered,
        steroids=np.isfinite(_first(study, ("corticosteroids",))),
        treated=_first(study, ANTIVIRALS),
        disease=_day(study.events["cmv_disease"].first) if "cmv_disease" in study.events else None,
        death=_day(end.death),
        relapse=_day(study.events["relapse"].first),
        known=np.where(left, end.end, np.fmax(end.end, last)).ravel(),
        time={question: time for question, (time, _) in followed.items()},
        cause={question: cause for question, (_, cause) in followed.items()},
        peak={question: _peak(study, question[1]) for question in asked},
    )


def _day(days: FloatArray) -> FloatArray:
    return np.where(np.isnan(days), np.inf, days).ravel()


def _first(study: Study, drugs: Sequence[str]) -> FloatArray:
    """First day of any of the drugs, +inf if none."""
    first = np.full(study.disposition.end.shape, np.inf)
    for drug in drugs:
        if drug in study.exposures and study.exposures[drug].start.shape[-1]:
            first = np.fmin(first, np.fmin.reduce(study.exposures[drug].start, axis=-1))
    return first.ravel()


def _peak(study: Study, day: int) -> FloatArray:
    """Highest quantified load on days 1 to `day`, NaN if none."""
    s = study.samples
    inside = (s.result == Result.QUANTIFIED) & (s.day > 0) & (s.day <= day)
    peak: FloatArray = np.fmax.reduce(np.where(inside, s.load, np.nan), axis=-1)
    return peak.ravel()


def estimate(figure: Figure, patients: Patients, plan: MonitoringSpec) -> Estimate:
    """One figure, by its measure."""
    day, question = int(float(figure.day)), (_definition(figure), int(float(figure.day)))
    time, cause, entered = patients.time[question], patients.cause[question], patients.entered
    event = cause == EVENT
    if figure.measure == "cumulative_incidence":
        return _aalen_johansen(time, cause, day)
    if figure.measure == "share_reaching":
        return _share(event[entered])
    if figure.measure in ("incidence_with_steroids", "incidence_without_steroids"):
        return _share(event[entered & (patients.steroids == (figure.measure == "incidence_with_steroids"))])
    if figure.measure == "odds_ratio_steroids":
        return _odds_ratio(event[entered], patients.steroids[entered])
    if figure.measure == "median_detection":
        return _median_detection(time, cause, day, plan)
    if figure.measure in PEAKS:
        return _quantile(patients.peak[question][event], float(figure.quantile) if isinstance(figure, CheckSpec) else 0.5)
    if figure.measure == "treated_share":
        return _share(patients.treated <= day)
    if figure.measure == "disease_share":
        return NOT_SIMULATED if patients.disease is None else _share(patients.disease <= day)
    relapse = patients.relapse if figure.measure == "non_relapse_mortality" else np.full(patients.relapse.shape, np.inf)
    return _mortality(patients.death, relapse, patients.known, day)


def _share(happened: BoolArray) -> Estimate:
    if happened.size == 0:
        return NOT_SIMULATED
    p = float(happened.mean())
    return p, se_share(p, happened.size)


def _aalen_johansen(time: FloatArray, cause: NDArray[np.int8], day: int) -> Estimate:
    found = aalen_johansen(
        time[None], cause[None], float(day), variance="aalen", interval="plain", level=0.95, nested=(time.size,)
    )
    return float(found.estimate[0, 0]), float(found.se[0, 0])


def _odds_ratio(event: BoolArray, exposed: BoolArray) -> Estimate:
    """Odds ratio; its log has variance sum 1 / cell (Woolf), with half a patient more per cell where one is empty."""
    cells = np.array([[(event & who).sum(), (~event & who).sum()] for who in (exposed, ~exposed)])
    cells = cells + (0.5 if (cells == 0).any() else 0.0)
    ratio = float(cells[0, 0] * cells[1, 1] / (cells[0, 1] * cells[1, 0]))
    return ratio, ratio * float(np.sqrt((1 / cells).sum()))


def _median_detection(time: FloatArray, cause: NDArray[np.int8], day: int, plan: MonitoringSpec) -> Estimate:
    """Median of detection on the interpolated curve."""
    counts = np.bincount(time[cause == EVENT].astype(np.int64), minlength=day + 1)
    detections = as_planned(counts.astype(np.float64), plan)
    entered = int((cause >= 0).sum())
    if not detections.any():
        return NOT_SIMULATED
    days = nodes(detections)
    detected = np.cumsum(detections)[days.astype(np.int64)] / entered
    median = median_detection(days, detected, day)
    return median, median_error(days, detected, median, day, entered)


def _quantile(values: FloatArray, q: float) -> Estimate:
    """Sample quantile; its error from the order statistics that bound it with 95% (binomial limits)."""
    present = np.sort(values[~np.isnan(values)])
    n = present.size
    if n < 2:
        return NOT_SIMULATED
    half = TWO_SIDED / 2 * np.sqrt(q * (1 - q) / n)
    low, found, high = np.quantile(present, np.clip([q - half, q, q + half], 0, 1))
    return float(found), float((high - low) / TWO_SIDED)


def _mortality(death: FloatArray, relapse: FloatArray, known: FloatArray, day: int) -> Estimate:
    """Death by `day`, relapse competing; within a day relapse comes first."""
    time = np.minimum(np.minimum(death, relapse), np.minimum(known, day))
    cause = np.full(time.shape, CENSORED, dtype=np.int8)
    cause[death <= time] = EVENT
    cause[relapse <= time] = DEATH
    return _aalen_johansen(time, cause, day)
