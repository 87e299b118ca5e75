"""A cohort of any size under every strategy, chunk by chunk; a smaller cohort is the beginning of a larger one."""

from __future__ import annotations

from collections.abc import Callable

from cmvsim.calibration.quality_of_life import convert
from cmvsim.core.streams import CHUNK_REPLICATES, Role
from cmvsim.economics.evaluate import Outcomes, evaluate, joined
from cmvsim.economics.settings import EvaluationSettings
from cmvsim.models.baseline import Baseline
from cmvsim.scenarios.scenario import Scenario
from cmvsim.simulation.draws import ChunkDraws
from cmvsim.simulation.model import Model

PATIENTS_IN_CHUNK = 256
"""Of each of a chunk's 64 replicates: enough for arrays to pay, few enough for the cache of a processor."""


def model_of(scenario: Scenario, baseline: Baseline, *, drawn: bool = False) -> Model:
    """The solved model, with quality of life on the latent scale; `drawn`: of a draw of parameters, converted quickly."""
    return Model.of(scenario, baseline, convert(scenario.quality_of_life, quick=drawn))


def evaluate_cohort(
    model: Model,
    settings: EvaluationSettings,
    patients: int,
    seed: int,
    *,
    first_chunk: int = 0,
    role: Role = Role.DECISION,
    cmv: bool = True,
    tick: Callable[[int, int], None] | None = None,
) -> Outcomes:
    """Simulate and value `patients` patients under every strategy.

    Parameters
    ----------
    first_chunk
        Where the cohort's chunks begin: cohorts with other numbers are independent.
    role
        Decisions have streams of their own, independent of any study's.
    tick
        Called with patients done and patients in all.
    """
    size = PATIENTS_IN_CHUNK * CHUNK_REPLICATES
    parts = []
    for index, done in enumerate(range(0, patients, size)):
        wanted = min(size, patients - done)
        draws = ChunkDraws(seed, role, first_chunk + index, -(-wanted // CHUNK_REPLICATES))
        parts.append(evaluate(model, draws, settings, cmv=cmv).first(wanted))
        if tick is not None:
            tick(done + wanted, patients)
    return joined(parts)
