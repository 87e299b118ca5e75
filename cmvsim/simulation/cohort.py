"""The cohort engine: the processes of the model in their order (model.md 16), batched over a chunk.

Only the processes that are needed run, and each has its own streams, so leaving one out shifts no other draw.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from cmvsim.core.records import FloatArray
from cmvsim.models.follow_up import follow_up
from cmvsim.models.history import ClinicalSamples, Episodes, History, Observation, Process
from cmvsim.models.kinetics import Kinetics
from cmvsim.models.population import Population
from cmvsim.models.toxicity import Toxicity
from cmvsim.simulation.cmv import CmvOutcome, simulate_cmv
from cmvsim.simulation.death import death_times
from cmvsim.simulation.draws import ChunkDraws
from cmvsim.simulation.model import Model

ALL = frozenset(Process)


def simulate(
    model: Model, draws: ChunkDraws, *, needs: frozenset[Process] = ALL, path: bool = False, never_lost: bool = False
) -> History:
    """Simulate one chunk of patients under pre-emptive therapy alone.

    Parameters
    ----------
    model
        Specifications and baseline hazards.
    draws
        The chunk's chance.
    needs
        Processes to run. CMV and death bring what they depend on.
    path
        Keep the whole course of the load (latent functionals and traces need it; power does not).
    never_lost
        Full attendance and no end of monitoring but by death or transplantation: the plan of the protocol estimand.

    Returns
    -------
    History
    """
    population = Population(model.population, draws)
    strata = tuple(model.population.strata)
    wants_cmv = Process.CMV in needs
    toxicity = Toxicity(model.toxicity, population, Kinetics(model.kinetics, population, draws), draws)
    observation = _observation(model, draws, population, strata, never_lost)
    cmv = (
        simulate_cmv(
            model, draws, population, toxicity.courses, _flat(observation.monitoring_end), path=path, full_attendance=never_lost
        )
        if wants_cmv
        else None
    )
    size = draws.patients * draws.replicates
    treated = cmv.first_treatment if cmv is not None else np.full(size, np.inf)
    death = (
        death_times(model.follow_up, model.baseline, population.stratum, _flat(observation.relapse), treated, draws)
        if Process.DEATH in needs
        else np.full(size, np.inf)
    )
    return _history(model, draws, population, strata, toxicity, observation, cmv, death)


def _flat(view: FloatArray) -> FloatArray:
    """Undo the (R, N) view: the flat patient-major array, without a copy."""
    return view.T.reshape(-1)


def _observation(
    model: Model, draws: ChunkDraws, population: Population, strata: tuple[str, ...], never_lost: bool
) -> Observation:
    """Section 12a, and the end of monitoring that it brings."""
    times = follow_up(model.follow_up, population.stratum, strata, draws)
    never = np.full(times.relapse.shape, np.inf)
    shape = (draws.patients, draws.replicates)
    return Observation(
        relapse=times.relapse.reshape(shape).T,
        new_therapy=(never if never_lost else times.new_therapy).reshape(shape).T,
        hct=times.hct.reshape(shape).T,
        withdrawn=(never if never_lost else times.withdrawn).reshape(shape).T,
        lost=(never if never_lost else times.lost).reshape(shape).T,
    )


def _history(
    model: Model,
    draws: ChunkDraws,
    population: Population,
    strata: tuple[str, ...],
    toxicity: Toxicity,
    observation: Observation,
    cmv: CmvOutcome | None,
    death: FloatArray,
) -> History:
    n, r = draws.patients, draws.replicates

    def view(flat: NDArray[np.float64]) -> FloatArray:
        return np.swapaxes(flat.reshape(n, r, *flat.shape[1:]), 0, 1)

    def courses_view(flat: FloatArray) -> FloatArray:
        return flat.reshape(-1, n, r).T

    diseases = tuple(stratum.disease for stratum in model.population.strata.values())
    none = np.empty((r, n, 0))
    return History(
        replicates=r,
        patients=n,
        horizon=model.horizon,
        population=population,
        strata=strata,
        diseases=diseases,
        toxicity=toxicity,
        observation=observation,
        episodes=_episodes(model, cmv, view) if cmv is not None and cmv.episodes is not None else None,
        samples=_samples(model, cmv, n, r) if cmv is not None else None,
        antiviral_start=courses_view(cmv.start) if cmv is not None else none,
        antiviral_stop=courses_view(cmv.stop) if cmv is not None else none,
        death=np.where(death <= model.horizon, death, np.inf).reshape(n, r).T,
    )


def _episodes(model: Model, cmv: CmvOutcome, view: object) -> Episodes:
    assert callable(view)
    assert cmv.episodes is not None
    assert cmv.knots is not None
    assert cmv.growth is not None
    assert cmv.offset is not None
    e, k = cmv.episodes, cmv.knots
    return Episodes(
        start_log10=float(model.cmv.load.start_log10),
        growth=view(cmv.growth),
        offset=view(cmv.offset),
        onset=view(e[..., 0]),
        peak=view(e[..., 1]),
        plateau_end=view(e[..., 2]),
        decay=view(e[..., 3]),
        clear=view(np.where(np.isnan(e[..., 4]), np.inf, e[..., 4])),
        knot_time=view(k[..., 0]),
        knot_log10=view(k[..., 1]),
        knot_slope=view(k[..., 2]),
        knot_episode=view(np.where(np.isnan(k[..., 3]), -1, k[..., 3]).astype(np.int64)),
    )


def _samples(model: Model, cmv: CmvOutcome, n: int, r: int) -> ClinicalSamples:
    plan = model.monitoring
    return ClinicalSamples(
        nominal=np.array(plan.days, dtype=np.float64),
        time=cmv.visit.reshape(-1, n, r).T,
        result=cmv.code.reshape(-1, n, r).T,
        load=cmv.load.reshape(-1, n, r).T,
        matrix=plan.matrix.value,
        lod=float(plan.lod),
        lloq=float(plan.lloq),
    )
