"""What an estimator tends to in large studies: the value that a regression's estimates and intervals are judged against.

Each estimator has its own (hazard, subdistribution hazard and odds ratios differ, and change with what is adjusted for): the
mean over studies of 4,096 patients with every visit made and nobody lost, of ratios on the log scale, of correlations as
Fisher's z. It says what the estimator estimates, not that this is an effect: a naive comparison has a limit too.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from cmvsim.core.records import FloatArray
from cmvsim.core.streams import Role
from cmvsim.data.pooling import pooled
from cmvsim.endpoints import AnalysisSpec, Derived, EstimatorChoice, endpoint
from cmvsim.endpoints.base import by_term, derivation, plan_of
from cmvsim.montecarlo.estimand_values import COHORT_CHUNKS, PATIENTS_PER_REPLICATE, SEED
from cmvsim.simulation.cohort import simulate
from cmvsim.simulation.draws import ChunkDraws
from cmvsim.simulation.model import Model
from cmvsim.simulation.recording import record


@dataclass(frozen=True, slots=True)
class Limit:
    """Large-study value of one term of one estimator, as it is printed, with its Monte Carlo standard error.

    Attributes
    ----------
    studies
        Large studies that gave a value.
    """

    endpoint: str
    estimator: str
    term: str
    value: float
    mcse: float
    studies: int

    def as_dict(self) -> dict[str, Any]:
        """JSON-ready form."""
        return asdict(self)


def limits(
    model: Model,
    plan: AnalysisSpec,
    choices: Sequence[tuple[str, EstimatorChoice]],
    *,
    chunks: int = COHORT_CHUNKS,
    progress: Callable[[int, int], None] | None = None,
) -> tuple[Limit, ...]:
    """Limits of (endpoint, estimator) pairs under a plan, their own changes to it included.

    Parameters
    ----------
    model
        With solved hazards.
    chunks
        Large studies of 4,096 patients.
    """
    if not choices:
        return ()
    needs = frozenset().union(*(endpoint(name).needs for name, _ in choices))
    reads = frozenset().union(*(endpoint(name).reads | choice.reads for name, choice in choices))
    found: dict[tuple[str, str, str], list[float]] = {
        (name, choice.id, term): [] for name, choice in choices for term in choice.terms(plan_of(choice, plan))
    }
    for chunk in range(chunks):
        history = simulate(model, ChunkDraws(SEED, Role.TRUTH, chunk, PATIENTS_PER_REPLICATE), needs=needs, never_lost=True)
        study = pooled(record(history, reads))
        derived: dict[tuple[str, str, str], Derived] = {}
        for name, choice in choices:
            own = plan_of(choice, plan).model_copy(update={"resamples": 0})  # a limit needs no interval
            key = (name, choice.id if choice.derive else "", own.model_dump_json())
            if key not in derived:
                derived[key] = derivation(endpoint(name), choice, study, own)
            for term, estimates in by_term(choice.estimate(derived[key], own, (study.patients,))).items():
                found[name, choice.id, term].append(float(estimates.estimate[0, 0]))
        if progress is not None:
            progress(chunk + 1, chunks)
    scales: Mapping[tuple[str, str], str] = {(name, choice.id): choice.scale for name, choice in choices}
    return tuple(_limit(key, np.array(values), scales[key[:2]]) for key, values in found.items())


def _limit(key: tuple[str, str, str], values: FloatArray, scale: str) -> Limit:
    with np.errstate(divide="ignore", invalid="ignore"):
        scaled = np.log(values) if scale.endswith("ratio") else np.arctanh(values) if scale == "correlation" else values
    scaled = scaled[np.isfinite(scaled)]
    if scaled.size < 2:
        nan = float("nan")
        return Limit(*key, nan, nan, int(scaled.size))
    mean, error = float(scaled.mean()), float(scaled.std(ddof=1) / np.sqrt(scaled.size))
    if scale.endswith("ratio"):
        return Limit(*key, float(np.exp(mean)), float(np.exp(mean)) * error, int(scaled.size))
    if scale == "correlation":
        return Limit(*key, float(np.tanh(mean)), (1 - float(np.tanh(mean)) ** 2) * error, int(scaled.size))
    return Limit(*key, mean, error, int(scaled.size))
