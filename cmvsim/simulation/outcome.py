"""The History of a chunk from what the processes leave: views with the replicate axis first, without copies."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from cmvsim.models.history import ClinicalSamples, Disease, Episodes, History, Observation, Treatment
from cmvsim.simulation.aftermath import Aftermath
from cmvsim.simulation.background import Background
from cmvsim.simulation.cmv import CmvOutcome
from cmvsim.simulation.draws import ChunkDraws
from cmvsim.simulation.model import Model


class _Views:
    """(P,), (K, P) or (K, P, C) as (R, N[, K])."""

    def __init__(self, draws: ChunkDraws) -> None:
        self.shape = (draws.patients, draws.replicates)

    def __call__(self, flat: NDArray[Any]) -> NDArray[Any]:
        return np.moveaxis(flat.reshape(*flat.shape[:-1], *self.shape), (-1, -2), (0, 1))


def history_of(
    model: Model, draws: ChunkDraws, background: Background, course: CmvOutcome | None, after: Aftermath, *, path: bool
) -> History:
    """Put together what happened."""
    view, seen, strata = _Views(draws), background.follow_up, model.population.strata
    return History(
        replicates=draws.replicates,
        patients=draws.patients,
        horizon=model.horizon,
        strata=tuple(strata),
        diseases=tuple(stratum.disease for stratum in strata.values()),
        population=background.population,
        kinetics=background.kinetics,
        toxicity=background.toxicity,
        virome=background.virome,
        observation=Observation(
            relapse=view(seen.relapse),
            new_therapy=view(seen.new_therapy),
            hct=view(seen.hct),
            withdrawn=view(seen.withdrawn),
            lost=view(seen.lost),
        ),
        episodes=_episodes(model, course, view) if course is not None and path else None,
        samples=_samples(model, course, view) if course is not None else None,
        treatment=_treatment(course, view) if course is not None else None,
        disease=_disease(model, course, view) if course is not None else None,
        prophylaxis=after.prophylaxis,
        infections=after.infections,
        resistance=after.resistance,
        sequencing=after.sequencing,
        death=view(np.where(after.death <= model.horizon, after.death, np.inf)),
        stays=after.stays,
        ledger=after.ledger,
        questionnaires=after.questionnaires,
    )


def _episodes(model: Model, course: CmvOutcome, view: _Views) -> Episodes:
    e, k = course.episodes, course.knots
    assert e is not None
    assert k is not None
    assert course.growth is not None
    assert course.offset is not None
    return Episodes(
        start_log10=float(model.cmv.load.start_log10),
        growth=view(course.growth),
        offset=view(course.offset),
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


def _samples(model: Model, course: CmvOutcome, view: _Views) -> ClinicalSamples:
    samples, plan = course.samples, model.monitoring
    return ClinicalSamples(
        visits=len(plan.days),
        nominal=samples.nominal,
        time=view(samples.time),
        result=view(samples.code),
        load=view(samples.load),
        extra=view(samples.extra),
        matrix=plan.matrix.value,
        lod=float(plan.lod),
        lloq=float(plan.lloq),
    )


def _treatment(course: CmvOutcome, view: _Views) -> Treatment:
    return Treatment(
        start=view(course.start),
        stop=view(course.stop),
        drug=view(course.spell_drug),
        drug_start=view(course.spell_start),
        drug_stop=view(course.spell_stop),
        neutropenia=view(course.neutropenia),
        neutropenia_stop=view(course.neutropenia_stop),
        kidney_injury=view(course.kidney_injury),
    )


def _disease(model: Model, course: CmvOutcome, view: _Views) -> Disease:
    return Disease(view(course.disease), view(course.organ), tuple(model.cmv.disease.organs))
