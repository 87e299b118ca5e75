"""Estimand values of a comparison: each strategy's own on one large cohort, and their contrast in the same patients.

Everybody of the cohort is simulated under both strategies with the same chance. A difference of risks is the mean over patients
of the difference of what happened, so that its Monte Carlo error is that of a paired comparison. The value of a ratio is the
limit of its estimator: the mean over large studies, in which every patient is in both arms, on the log scale.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np

from cmvsim.core.records import FloatArray
from cmvsim.core.streams import CHUNK_REPLICATES, Role
from cmvsim.data import Study
from cmvsim.data.pooling import pooled
from cmvsim.endpoints import AnalysisSpec, endpoint
from cmvsim.endpoints.base import by_term
from cmvsim.endpoints.comparison import COMPARISONS, Comparison, comparison_choice
from cmvsim.endpoints.derived import EVENT, Binary, GroupedTimeToEvent, TimeToEvent
from cmvsim.models.history import History
from cmvsim.montecarlo.estimand_values import COHORT_CHUNKS, PATIENTS_PER_REPLICATE, SEED, EstimandValue, Kind
from cmvsim.simulation.cohort import simulate
from cmvsim.simulation.draws import ChunkDraws
from cmvsim.simulation.model import Model
from cmvsim.simulation.recording import record

Outcomes = dict[tuple[str, Kind], tuple[FloatArray, FloatArray]]
"""By endpoint and kind: what happened to each patient (1, 0, NaN outside the population) under control and experimental."""


def contrast_values(
    model: Model,
    plan: AnalysisSpec,
    endpoints: Sequence[tuple[str, str]],
    *,
    chunks: int = COHORT_CHUNKS,
    progress: Callable[[int, int], None] | None = None,
) -> tuple[EstimandValue, ...]:
    """Latent and protocol values of each endpoint under each strategy, and of their contrast.

    Parameters
    ----------
    model
        With solved hazards.
    plan
        With the arms, the control first; read under its own truth (:attr:`AnalysisSpec.truth`).
    endpoints
        (endpoint, comparison) pairs.
    chunks
        Size of the cohort in chunks of 4,096 patients.

    Returns
    -------
    tuple of EstimandValue
        Of each endpoint: those of the strategies, then the contrast, whose `strategy` is the comparison's term
        ("letermovir - preemptive").
    """
    plan = plan.truth
    sums: dict[tuple[str, str, Kind], FloatArray] = {}
    total = chunks * PATIENTS_PER_REPLICATE * CHUNK_REPLICATES
    needs = frozenset().union(*(endpoint(name).needs for name, _ in endpoints))
    reads = frozenset().union(*(endpoint(name).reads for name, _ in endpoints))
    for chunk in range(chunks):
        draws = ChunkDraws(SEED, Role.TRUTH, chunk, PATIENTS_PER_REPLICATE)
        done, followed = [], []
        for arm in plan.arms:
            done.append(simulate(model, draws, needs=needs, path=True, strategy=arm))
            followed.append(record(simulate(model, draws, needs=needs, never_lost=True, strategy=arm), reads))
        for name in dict.fromkeys(name for name, _ in endpoints):
            items = [COMPARISONS[compared] for other, compared in endpoints if other == name]
            for key, moments in _moments(name, items, plan, done, followed):
                sums[key] = sums.get(key, np.zeros(4)) + moments
        if progress is not None:
            progress((chunk + 1) * PATIENTS_PER_REPLICATE * CHUNK_REPLICATES, total)
    ratios = {COMPARISONS[c].term(plan.arms) for _, c in endpoints if COMPARISONS[c].no_difference == 1}
    return tuple(_value(key, moments, plan.relapse, ratio=key[1] in ratios) for key, moments in sums.items())


def _moments(
    name: str, items: Sequence[Comparison], plan: AnalysisSpec, done: Sequence[History], followed: Sequence[Study]
) -> list[tuple[tuple[str, str, Kind], FloatArray]]:
    """Sum, sum of squares, weight and patients of each value in one chunk."""
    found: list[tuple[tuple[str, str, Kind], FloatArray]] = []
    latent = [endpoint(name).latent(history, plan) for history in done]
    protocol = [_happened(name, plan, study) for study in followed]
    kinds: list[tuple[Kind, list[FloatArray]]] = [("latent", [v for v in latent if v is not None]), ("protocol", protocol)]
    for kind, values in kinds:
        for arm, value in zip(plan.arms, values, strict=False):
            found.append(((name, arm, kind), _of(value)))
        differences = {item.term(plan.arms) for item in items if item.no_difference == 0}
        if len(values) == len(plan.arms):
            found += [((name, term, kind), _of(values[1] - values[0])) for term in differences]
    ratios = {item.term(plan.arms): item for item in reversed(items) if item.no_difference == 1}
    found += [((name, term, "protocol"), _limit(name, item, plan, followed)) for term, item in ratios.items()]
    return found


def _happened(name: str, plan: AnalysisSpec, study: Study) -> FloatArray:
    """1 or 0 of each patient in the analysis, NaN of others."""
    derived = endpoint(name).derive(study, plan)
    if isinstance(derived, Binary):
        return np.where(derived.entered, derived.value == 1, np.nan)
    if isinstance(derived, TimeToEvent):
        return np.where(derived.entered, derived.cause == EVENT, np.nan)
    raise TypeError(f"{name}: arms are compared by times to an event, or by yes or no")


def _of(values: FloatArray) -> FloatArray:
    inside = values[~np.isnan(values)]
    return np.array([inside.sum(), (inside**2).sum(), inside.size, inside.size])


def _limit(name: str, item: Comparison, plan: AnalysisSpec, followed: Sequence[Study]) -> FloatArray:
    """The log ratio of one large study of everybody in both arms."""
    choice = comparison_choice(endpoint(name), item.id)
    assert choice.derive is not None
    parts = []
    for place, study in enumerate(followed):
        arm = np.full(study.subjects.stratum.shape, float(place))
        subjects = replace(study.subjects, covariates={**study.subjects.covariates, "arm": arm}, labels={"arm": plan.arms})
        parts.append(choice.derive(pooled(replace(study, subjects=subjects)), plan))
    control, experimental = parts
    assert isinstance(control, GroupedTimeToEvent)
    assert isinstance(experimental, GroupedTimeToEvent)
    both = GroupedTimeToEvent(
        np.concatenate([control.time, experimental.time], axis=1),
        np.concatenate([control.cause, experimental.cause], axis=1),
        np.concatenate([control.group, experimental.group], axis=1),
        plan.arms,
        stratum=None
        if control.stratum is None or experimental.stratum is None
        else np.concatenate([control.stratum, experimental.stratum], axis=1),
    )
    estimated = next(iter(by_term(choice.estimate(both, plan, (both.time.shape[1],))).values()))
    value, n = float(estimated.estimate[0, 0]), float(estimated.n[0, 0])
    if not (np.isfinite(value) and value > 0):
        return np.array([0.0, 0.0, 0.0, n])
    return np.array([np.log(value), np.log(value) ** 2, 1.0, n])


def _value(key: tuple[str, str, Kind], moments: FloatArray, relapse: str, *, ratio: bool) -> EstimandValue:
    name, strategy, kind = key
    first, second, weight, patients = moments
    if weight == 0:
        nan = float("nan")
        return EstimandValue(name, strategy, kind, nan, nan, int(patients), relapse)
    mean = first / weight
    mcse = float(np.sqrt(max(second / weight - mean**2, 0.0) / weight))
    value, mcse = (float(np.exp(mean)), float(np.exp(mean)) * mcse) if ratio else (float(mean), mcse)
    return EstimandValue(name, strategy, kind, value, mcse, int(patients), relapse)
