"""Estimand values: what is true of (scenario, strategy), from one large cohort of its own.

Latent: the endpoint's functional of the realised course. Protocol: the same derivation on the study's tables with full
attendance and no end of monitoring but by death or transplantation, same draws; of an estimand that is no mean over patients
(a hazard ratio), the limit of its primary estimator: the mean over large studies of 4,096 patients, of ratios on the log
scale. Neither belongs to a replicate, so the cohort's seed is fixed.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Literal, NamedTuple

import numpy as np

from cmvsim.core.records import FloatArray
from cmvsim.core.streams import CHUNK_REPLICATES, Role
from cmvsim.data import Study
from cmvsim.data.pooling import pooled
from cmvsim.endpoints import AnalysisSpec, endpoint
from cmvsim.endpoints.base import by_term, derivation
from cmvsim.endpoints.derived import EVENT, Binary, TimeToEvent
from cmvsim.models.history import History
from cmvsim.simulation.cohort import simulate
from cmvsim.simulation.draws import ChunkDraws
from cmvsim.simulation.model import Model
from cmvsim.simulation.recording import record

Kind = Literal["latent", "protocol"]

SEED = 0
PATIENTS_PER_REPLICATE = 64
COHORT_CHUNKS = 50  # 204,800 patients: an SE of 0.001 at an incidence of 0.3


@dataclass(frozen=True, slots=True)
class EstimandValue:
    """A population value with its Monte Carlo SE.

    Attributes
    ----------
    kind
        "latent" or "protocol".
    relapse
        How relapse is handled: "treatment_policy" or "competing"; each is an estimand of its own.
    patients
        Who entered the average.
    term
        Of a model with several; "" for a single value.
    """

    endpoint: str
    strategy: str
    kind: Kind
    value: float
    mcse: float
    patients: int
    relapse: str = "treatment_policy"
    term: str = ""

    def as_dict(self) -> dict[str, Any]:
        """JSON-ready form."""
        return asdict(self)


def estimand_values(
    model: Model,
    plans: Sequence[AnalysisSpec],
    strategy: str,
    endpoints: Sequence[str],
    *,
    chunks: int = COHORT_CHUNKS,
    progress: Callable[[int, int], None] | None = None,
) -> tuple[EstimandValue, ...]:
    """Latent and protocol values of each endpoint under each handling of intercurrent events.

    Parameters
    ----------
    model
        With solved hazards.
    plans
        Plans whose truths are wanted (:attr:`AnalysisSpec.truth`), the study's own first.
    chunks
        Size of the cohort in chunks of 4,096 patients.
    """
    truths = list({plan.truth.relapse: plan.truth for plan in plans}.values())
    sums: dict[_Key, FloatArray] = {}
    total = chunks * PATIENTS_PER_REPLICATE * CHUNK_REPLICATES
    needs = frozenset().union(*(endpoint(name).needs for name in endpoints))
    reads = frozenset().union(*(endpoint(name).reads for name in endpoints))
    for chunk in range(chunks):
        draws = ChunkDraws(SEED, Role.TRUTH, chunk, PATIENTS_PER_REPLICATE)
        as_done = simulate(model, draws, needs=needs, path=True, strategy=strategy)
        followed = record(simulate(model, draws, needs=needs, never_lost=True, strategy=strategy), reads)
        for plan in truths:
            for name in endpoints:
                for key, moments in _moments(name, plan, as_done, followed):
                    sums[key] = sums.get(key, np.zeros(4)) + moments
        if progress is not None:
            progress((chunk + 1) * PATIENTS_PER_REPLICATE * CHUNK_REPLICATES, total)
    return tuple(_value(strategy, key, moments) for key, moments in sums.items())


class _Key(NamedTuple):
    endpoint: str
    relapse: str
    kind: Kind
    term: str = ""


def _moments(name: str, plan: AnalysisSpec, as_done: History, followed: Study) -> Iterator[tuple[_Key, FloatArray]]:
    """Weighted sum, sum of squares and weight of a value, and its patients, in one chunk.

    The estimand of a rate is a mean over patients; any other is the limit of its primary estimator, of which a chunk as
    one large study gives one value.
    """
    latent = endpoint(name).latent(as_done, plan)
    if latent is not None:
        inside = latent[~np.isnan(latent)]
        yield _Key(name, plan.relapse, "latent"), _of(inside)
        derived = endpoint(name).derive(followed, plan)
        if isinstance(derived, Binary):
            happened = derived.value[derived.entered] == 1
        elif isinstance(derived, TimeToEvent):
            happened = derived.cause[derived.entered] == EVENT
        else:
            raise TypeError(f"{name}: a rate is derived as times to an event, or as yes or no")
        yield _Key(name, plan.relapse, "protocol"), _of(happened.astype(np.float64))
        return
    large = pooled(followed)
    primary = endpoint(name).estimators[0]
    derived = derivation(endpoint(name), primary, large, plan)
    quick = plan.model_copy(update={"resamples": 0})  # a limit needs no interval
    for term, estimated in by_term(primary.estimate(derived, quick, (large.patients,))).items():
        value, n = float(estimated.estimate[0, 0]), float(estimated.n[0, 0])
        fine = np.isfinite(value) and np.isfinite(float(estimated.ci_low[0, 0]))
        log = primary.scale.endswith("ratio") and value > 0
        scaled = np.log(value) if log else value
        moments = np.array([scaled, scaled**2, 1.0, n]) if fine else np.array([0.0, 0.0, 0.0, n])
        yield _Key(name, plan.relapse, "protocol", term), moments


def _of(values: FloatArray) -> FloatArray:
    return np.array([values.sum(), (values**2).sum(), values.size, values.size])


def _value(strategy: str, key: _Key, moments: FloatArray) -> EstimandValue:
    first, second, weight, patients = moments
    if weight == 0:
        nan = float("nan")
        return EstimandValue(key.endpoint, strategy, key.kind, nan, nan, int(patients), key.relapse, key.term)
    mean = first / weight
    mcse = float(np.sqrt(max(second / weight - mean**2, 0.0) / weight))
    ratio = endpoint(key.endpoint).estimators[0].scale.endswith("ratio")
    value, mcse = (float(np.exp(mean)), float(np.exp(mean)) * mcse) if ratio else (float(mean), mcse)
    return EstimandValue(key.endpoint, strategy, key.kind, value, mcse, int(patients), key.relapse, key.term)
