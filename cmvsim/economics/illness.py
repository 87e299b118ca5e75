"""What CMV costs: the truth, from the same patients with and without CMV, beside what the study's estimator would say.

The truth compares a history with itself with CMV switched off, in the patients who have the exposure: what each of them spent
because of CMV, from first to last day of the window. The estimator sees recorded studies of the registered size, without the
counterfactual.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from cmvsim.core.ledger import Component
from cmvsim.core.records import BoolArray, FloatArray, Status
from cmvsim.core.streams import CHUNK_REPLICATES, Role
from cmvsim.economics.evaluate import priced
from cmvsim.economics.settings import EvaluationSettings
from cmvsim.endpoints import endpoint
from cmvsim.endpoints.analysis import AnalysisSpec
from cmvsim.endpoints.base import at_each_size, by_term
from cmvsim.endpoints.cost_of_illness import matched
from cmvsim.endpoints.cost_tables import cost_of
from cmvsim.simulation.cohort import simulate
from cmvsim.simulation.draws import ChunkDraws
from cmvsim.simulation.model import Model
from cmvsim.simulation.paired import PatientCourse, simulate_paired
from cmvsim.simulation.recording import record

EXPOSURES = {
    "matching_any_dnaemia": "any DNAemia",
    "matching": "clinically significant infection",
    "matching_disease": "CMV disease",
}
"""Estimators of the endpoint `cost_of_illness`, and what their illness is."""
DETECTED = 2
"""Code of a sample in which CMV was detected, be it below the limit of quantification."""


@dataclass(frozen=True, slots=True)
class IllnessRow:
    """Cost that CMV adds to a patient with an exposure.

    Attributes
    ----------
    share
        Of the cohort with the exposure in the window.
    truth, truth_se
        Mean attributable cost of those patients, and its standard error.
    estimate, estimate_se
        Mean of the study's estimates, and its Monte Carlo standard error; NaN where no study could estimate it.
    estimable
        Share of studies that could.
    patients, studies
        Of each study, and studies.
    components
        Truth by component of the ledger.
    """

    exposure: str
    share: float
    truth: float
    truth_se: float
    estimate: float
    estimate_se: float
    estimable: float
    patients: int
    studies: int
    components: Mapping[str, float]


def cost_of_illness(
    model: Model, settings: EvaluationSettings, plan: AnalysisSpec, *, patients: int, study: int, seed: int, chunks: int = 1
) -> tuple[IllnessRow, ...]:
    """Truth and estimate by exposure, under the comparator.

    Parameters
    ----------
    plan
        The study's analysis, whose window and price list are taken; intervals are not needed and not computed.
    patients
        Of the cohort with and without CMV, in whole chunks.
    study
        Patients of each study; `chunks` times 64 studies are recorded.
    """
    plan = plan.model_copy(update={"price_list": settings.prices.name, "resamples": 0})
    truths = _truths(model, settings, plan, patients, seed)
    estimates = _estimates(model, settings, plan, study, seed, chunks)
    rows = []
    for name, label in EXPOSURES.items():
        share, value, se, components = truths[name]
        values = estimates[name]
        usable = values[np.isfinite(values)]
        rows.append(
            IllnessRow(
                label,
                share,
                value,
                se,
                float(usable.mean()) if usable.size else float("nan"),
                float(usable.std(ddof=1) / usable.size**0.5) if usable.size > 1 else float("nan"),
                usable.size / values.size,
                study,
                values.size,
                components,
            )
        )
    return tuple(rows)


def _truths(
    model: Model, settings: EvaluationSettings, plan: AnalysisSpec, patients: int, seed: int
) -> dict[str, tuple[float, float, float, dict[str, float]]]:
    """Share exposed, mean attributable cost, its standard error, and components, by estimator."""
    size = -(-patients // CHUNK_REPLICATES)
    draws = ChunkDraws(seed, Role.TRUTH, 0, size)
    reference = settings.strategies[:1]
    ((_, on),) = simulate_paired(model, draws, reference)
    ((_, off),) = simulate_paired(model, draws, reference, cmv=False)
    added = _cost(on, settings, plan) - _cost(off, settings, plan)
    whole = added.sum(axis=0)
    result = {}
    for name, exposed in _exposed(on, plan).items():
        n = int(exposed.sum())
        mean = float(whole[exposed].mean()) if n else float("nan")
        se = float(whole[exposed].std(ddof=1) / n**0.5) if n > 1 else float("nan")
        parts = {str(part): float(added[part.code, exposed].mean()) if n else float("nan") for part in Component}
        result[name] = (float(exposed.mean()), mean, se, parts)
    return result


def _cost(course: PatientCourse, settings: EvaluationSettings, plan: AnalysisSpec) -> FloatArray:
    ledger = course.after.ledger
    assert ledger is not None
    return priced(ledger.between(-np.inf, float(plan.window)), settings.unit_costs[0])


def _exposed(course: PatientCourse, plan: AnalysisSpec) -> dict[str, BoolArray]:
    """(P,) who has each exposure between infusion and the end of the window, in life; prevalent DNAemia is left out."""
    cmv, samples = course.course, course.course.samples
    until = np.minimum(course.after.death, float(plan.window))
    seen = samples.code >= DETECTED
    before = (seen & (samples.time <= 0)).any(axis=0) if plan.prevalent == "exclude" else np.zeros(until.shape, dtype=np.bool_)
    any_dnaemia = (seen & (samples.time > 0) & (samples.time <= until)).any(axis=0)
    start = np.where(cmv.start > 0, cmv.start, np.inf).min(axis=0)
    disease = (cmv.disease > 0) & (cmv.disease <= until)
    found = {
        "matching_any_dnaemia": any_dnaemia,
        "matching": (start <= until) | disease,
        "matching_disease": disease,
    }
    return {name: values & ~before for name, values in found.items()}


def _estimates(
    model: Model, settings: EvaluationSettings, plan: AnalysisSpec, study: int, seed: int, chunks: int
) -> dict[str, FloatArray]:
    """(studies,) estimates of the total by estimator; NaN where a study could not estimate it."""
    entry = endpoint("cost_of_illness")
    choices = [choice for choice in entry.estimators if choice.id in EXPOSURES]
    reads = entry.reads.union(*(choice.reads for choice in choices))
    found: dict[str, list[FloatArray]] = {name: [] for name in EXPOSURES}
    for chunk in range(chunks):
        draws = ChunkDraws(seed, Role.STUDY, chunk, study)
        recorded = record(simulate(model, draws, needs=entry.needs, strategy=settings.strategies[0]), reads)
        for choice in choices:
            derive = choice.derive or cost_of("clinically_significant")
            estimates = by_term(at_each_size(matched)(derive(recorded, plan), plan, (study,)))["total"]
            usable = np.isin(estimates.status[:, 0], [status for status in Status if status.usable])
            found[choice.id].append(np.where(usable, estimates.estimate[:, 0], np.nan))
    return {name: np.concatenate(values) for name, values in found.items()}
