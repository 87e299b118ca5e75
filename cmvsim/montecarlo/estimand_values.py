"""Estimand values: what is true of (scenario, strategy), from one large cohort of its own.

Latent: the endpoint's functional of the realised course. Protocol: the same derivation on the study's tables with full
attendance and no end of monitoring but by death or transplantation, same draws. Neither belongs to a replicate, so the
cohort's seed is fixed.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Literal

import numpy as np

from cmvsim.core.records import FloatArray
from cmvsim.core.streams import CHUNK_REPLICATES, Role
from cmvsim.endpoints import AnalysisSpec, endpoint
from cmvsim.endpoints.base import EVENT
from cmvsim.simulation.cohort import simulate
from cmvsim.simulation.draws import ChunkDraws
from cmvsim.simulation.model import Model
from cmvsim.simulation.recording import record

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
    patients
        Who entered the average.
    """

    endpoint: str
    strategy: str
    kind: Literal["latent", "protocol"]
    value: float
    mcse: float
    patients: int

    def as_dict(self) -> dict[str, Any]:
        """JSON-ready form."""
        return asdict(self)


def estimand_values(
    model: Model,
    plan: AnalysisSpec,
    strategy: str,
    endpoints: Sequence[str],
    *,
    chunks: int = COHORT_CHUNKS,
    progress: Callable[[int, int], None] | None = None,
) -> tuple[EstimandValue, ...]:
    """Latent and protocol values of each endpoint.

    Parameters
    ----------
    model
        With solved hazards.
    plan
        Definitions and handling of intercurrent events. Censoring at relapse is an estimator, judged against the
        value under treatment policy.
    chunks
        Size of the cohort in chunks of 4,096 patients.
    """
    truth_plan = plan.model_copy(update={"relapse": "treatment_policy"}) if plan.relapse == "censor" else plan
    sums: dict[tuple[str, str], FloatArray] = {
        (name, kind): np.zeros(2) for name in endpoints for kind in ("latent", "protocol")
    }
    for chunk in range(chunks):
        draws = ChunkDraws(SEED, Role.TRUTH, chunk, PATIENTS_PER_REPLICATE)
        as_done = simulate(model, draws, path=True)
        followed = record(simulate(model, draws, never_lost=True), complete=False)
        for name in endpoints:
            entry = endpoint(name)
            latent = entry.latent(as_done, truth_plan)
            inside = ~np.isnan(latent)
            sums[name, "latent"] += (latent[inside].sum(), inside.sum())
            cause = entry.derive(followed, truth_plan).cause
            sums[name, "protocol"] += ((cause == EVENT).sum(), (cause >= 0).sum())
        if progress is not None:
            progress(
                (chunk + 1) * PATIENTS_PER_REPLICATE * CHUNK_REPLICATES, chunks * PATIENTS_PER_REPLICATE * CHUNK_REPLICATES
            )
    return tuple(_value(name, strategy, kind, *sums[name, kind]) for name in endpoints for kind in ("latent", "protocol"))


def _value(name: str, strategy: str, kind: Literal["latent", "protocol"], events: float, patients: float) -> EstimandValue:
    if patients == 0:
        return EstimandValue(name, strategy, kind, float("nan"), float("nan"), 0)
    p = events / patients
    return EstimandValue(name, strategy, kind, float(p), float(np.sqrt(p * (1 - p) / patients)), int(patients))
