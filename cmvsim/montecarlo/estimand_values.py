"""Estimand values: what is true of (scenario, strategy), from one large cohort of its own.

Latent: the endpoint's functional of the realised course. Protocol: the same derivation on the study's tables with full
attendance and no end of monitoring but by death or transplantation, same draws. Neither belongs to a replicate, so the
cohort's seed is fixed.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Literal, get_args

import numpy as np

from cmvsim.core.streams import CHUNK_REPLICATES, Role
from cmvsim.data import Study
from cmvsim.endpoints import AnalysisSpec, endpoint
from cmvsim.endpoints.base import EVENT
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
    """

    endpoint: str
    strategy: str
    kind: Kind
    value: float
    mcse: float
    patients: int
    relapse: str = "treatment_policy"

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
    keys: list[tuple[str, AnalysisSpec, Kind]] = [
        (name, plan, kind) for plan in truths for name in endpoints for kind in get_args(Kind)
    ]
    sums = {(name, plan.relapse, kind): np.zeros(2) for name, plan, kind in keys}
    total = chunks * PATIENTS_PER_REPLICATE * CHUNK_REPLICATES
    for chunk in range(chunks):
        draws = ChunkDraws(SEED, Role.TRUTH, chunk, PATIENTS_PER_REPLICATE)
        as_done = simulate(model, draws, path=True)
        followed = record(simulate(model, draws, never_lost=True), complete=False)
        for name, plan, kind in keys:
            sums[name, plan.relapse, kind] += _events_and_patients(name, plan, kind, as_done, followed)
        if progress is not None:
            progress((chunk + 1) * PATIENTS_PER_REPLICATE * CHUNK_REPLICATES, total)
    return tuple(_value(name, strategy, kind, plan.relapse, *sums[name, plan.relapse, kind]) for name, plan, kind in keys)


def _events_and_patients(name: str, plan: AnalysisSpec, kind: Kind, as_done: History, followed: Study) -> tuple[float, float]:
    """Sum of the functional and number of patients of one chunk."""
    if kind == "latent":
        latent = endpoint(name).latent(as_done, plan)
        inside = ~np.isnan(latent)
        return float(latent[inside].sum()), float(inside.sum())
    cause = endpoint(name).derive(followed, plan).cause
    return float((cause == EVENT).sum()), float((cause >= 0).sum())


def _value(name: str, strategy: str, kind: Kind, relapse: str, events: float, patients: float) -> EstimandValue:
    if patients == 0:
        return EstimandValue(name, strategy, kind, float("nan"), float("nan"), 0, relapse)
    p = events / patients
    return EstimandValue(name, strategy, kind, float(p), float(np.sqrt(p * (1 - p) / patients)), int(patients), relapse)
