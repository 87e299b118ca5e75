"""What a scenario's own monitoring finds, from one fixed cohort: a figure to read, not an operating characteristic."""

from __future__ import annotations

import numpy as np

from cmvsim.core.records import Status
from cmvsim.core.streams import Role
from cmvsim.endpoints import endpoint
from cmvsim.endpoints.base import by_term
from cmvsim.models.baseline import Baseline
from cmvsim.scenarios import ResolvedScenario
from cmvsim.simulation.cohort import simulate
from cmvsim.simulation.draws import ChunkDraws
from cmvsim.simulation.model import Model
from cmvsim.simulation.recording import record

SEED = 0
"""The figure belongs to a scenario, not to a seed."""

FIRST_CHUNK = 1_000_000 + 1
"""Chunks from here on: other patients than those on whom estimand values are computed."""

CHUNKS = 2
PATIENTS_PER_REPLICATE = 240  # 15,360 patients a chunk


def observed_incidence(scenario: ResolvedScenario, baseline: Baseline) -> tuple[float, float]:
    """Mean of the primary endpoint's estimate under the scenario's own schedule, attendance, loss and assay.

    Parameters
    ----------
    scenario
        Resolved.
    baseline
        Its solved hazards.

    Returns
    -------
    value, mcse
        Mean over studies of 240 patients, 30,720 patients in all, and its Monte Carlo standard error; NaN if no study
        could be estimated.
    """
    plan = scenario.spec.analysis
    primary = endpoint(plan.primary)
    model = Model.of(scenario.spec, baseline)
    estimates = []
    for chunk in range(FIRST_CHUNK, FIRST_CHUNK + CHUNKS):
        draws = ChunkDraws(SEED, Role.TRUTH, chunk, PATIENTS_PER_REPLICATE)
        derived = primary.derive(record(simulate(model, draws, needs=primary.needs), primary.reads), plan)
        found = next(iter(by_term(primary.estimators[0].estimate(derived, plan, (PATIENTS_PER_REPLICATE,))).values()))
        usable = np.isin(found.status[:, 0], [code for code in Status if code.usable])
        estimates.append(found.estimate[usable, 0])
    values = np.concatenate(estimates)
    if values.size < 2:
        return float("nan"), float("nan")
    return float(values.mean()), float(values.std(ddof=1) / np.sqrt(values.size))
