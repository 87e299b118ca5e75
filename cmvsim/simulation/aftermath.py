"""What follows the CMV course: resistance, infections, death, stays and ledger, questionnaires (model.md 10 to 14)."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from cmvsim.core.ledger import Ledger
from cmvsim.core.records import BoolArray, FloatArray
from cmvsim.models.history import Process
from cmvsim.models.infections import Infections
from cmvsim.models.prophylaxis import Prophylaxis
from cmvsim.models.quality_of_life import Questionnaires
from cmvsim.models.resistance import Resistance, Sequencing
from cmvsim.models.resources import Stays
from cmvsim.models.treatment import ANTIVIRALS
from cmvsim.models.windows import Windows
from cmvsim.simulation.background import Background
from cmvsim.simulation.cmv import CmvOutcome
from cmvsim.simulation.death import death_times
from cmvsim.simulation.draws import ChunkDraws
from cmvsim.simulation.infections import infections
from cmvsim.simulation.ledger import ledger
from cmvsim.simulation.model import Model
from cmvsim.simulation.onset import grid_days
from cmvsim.simulation.quality_of_life import HealthStates, disease_windows, responses
from cmvsim.simulation.resistance import resistance, sent_samples, sequence
from cmvsim.simulation.stays import Antivirals, Care, InfectionOnsets, hospital_stays

GANCICLOVIR = tuple(1 + ANTIVIRALS.index(drug) for drug in ("valganciclovir", "ganciclovir"))


@dataclass(frozen=True, slots=True)
class Aftermath:
    """Flat; None where it was not asked for.

    Attributes
    ----------
    death
        (P,) +inf where nobody died or death was not asked for.
    prophylaxis
        Letermovir as taken: ended by pre-emptive therapy where that came first.
    """

    death: FloatArray
    prophylaxis: Prophylaxis | None = None
    infections: Infections | None = None
    resistance: Resistance | None = None
    sequencing: Sequencing | None = None
    stays: Stays | None = None
    ledger: Ledger | None = None
    questionnaires: Questionnaires | None = None


def unfold(
    model: Model, draws: ChunkDraws, background: Background, course: CmvOutcome | None, runs: frozenset[Process]
) -> Aftermath:
    """Run what was asked for after the CMV course, in the order of the model.

    The ledger needs the samples sent for sequencing, and no resistance: that may be left out.
    """
    taken = background.prophylaxis
    if taken is not None and course is not None and "preemptive_therapy" in model.letermovir.stopped_by.value:
        taken = taken.stopped_at(course.first_treatment)
    changes, seen = (
        _resistance(model, draws, background, course, taken) if Process.RESISTANCE in runs and course else (None, None)
    )
    found = _infections(model, draws, background, course) if Process.INFECTIONS in runs else None
    died = np.full(draws.patients * draws.replicates, np.inf)
    if Process.DEATH in runs:
        died = _death(model, draws, background, course, found)
    stays, used, answers = None, None, None
    if runs & {Process.RESOURCES, Process.QUALITY_OF_LIFE}:
        assert course is not None
        sent = seen.sent if seen is not None else _sent(model, course)
        care = _care(model, background, course, found, taken, sent, died)
        stays = hospital_stays(model.resources, care, draws)
        used = ledger(model.resources, care, stays) if Process.RESOURCES in runs else None
        if Process.QUALITY_OF_LIFE in runs:
            answers = _answers(model, draws, background, course, found, stays, died)
    return Aftermath(died, taken, found, changes, seen, stays, used, answers)


def _episodes(course: CmvOutcome) -> Windows:
    """(K, P) open CMV episodes, +inf where there is none."""
    assert course.episodes is not None
    onset, clear = course.episodes[..., 0], course.episodes[..., 4]
    return Windows(np.where(np.isnan(onset), np.inf, onset), np.where(np.isnan(clear), np.inf, clear))


def _resistance(
    model: Model, draws: ChunkDraws, background: Background, course: CmvOutcome, taken: Prophylaxis | None
) -> tuple[Resistance, Sequencing]:
    """Section 10; patients without an episode have no strain that could change."""
    open_cmv, on_ganciclovir = _episodes(course), np.isin(course.spell_drug, GANCICLOVIR)
    start = np.where(on_ganciclovir, course.spell_start, np.inf)
    stop = np.where(on_ganciclovir, np.nan_to_num(course.spell_stop, nan=np.inf), np.inf)
    changes = resistance(
        model.resistance,
        draws,
        background.population.aciclovir,
        open_cmv.start,
        open_cmv.stop,
        Windows(start, stop),
        Windows(taken.start, taken.stop) if taken is not None and model.letermovir.acts else None,
        model.horizon,
    )
    samples = course.samples
    planned = int((~np.isnan(samples.nominal)).sum())
    days = (*(int(day) for day in samples.nominal[:planned]), *(int(day) for day in samples.clinical))
    return changes, sequence(model.resistance, draws, days, samples.time, samples.load, changes)


def _sent(model: Model, course: CmvOutcome) -> BoolArray:
    """(V, P) samples sent for sequencing, whatever it shows: a test like others to the ledger."""
    open_cmv, samples = _episodes(course), course.samples
    return sent_samples(model.resistance, samples.time, samples.load, open_cmv.start, open_cmv.stop)


def neutropenic_windows(background: Background, course: CmvOutcome | None) -> Windows:
    """(W, P) neutropenia after CAR-T cells, and on (val)ganciclovir."""
    first = background.toxicity.neutropenia
    if course is None or not np.isfinite(course.neutropenia).any():
        return first
    return Windows(np.stack([first.start, course.neutropenia]), np.stack([first.stop, course.neutropenia_stop]))


def leukaemic(model: Model, background: Background) -> np.ndarray:
    """(P,) whether the patient's disease is leukaemia."""
    return np.array([s.disease == "leukaemia" for s in model.population.strata.values()])[background.population.stratum]


def infection_windows(
    model: Model, background: Background, course: CmvOutcome | None
) -> tuple[Windows | None, Windows | None, Windows | None]:
    """Open CMV episodes, neutropenia and corticosteroids, as far as they act on infections; None where they do not."""
    kinds = (model.infections.bacterial.ratios, model.infections.fungal.ratios)

    def acts(name: str) -> bool:
        return any(float(getattr(ratios, name)) != 1 for ratios in kinds)

    return (
        _episodes(course) if acts("cmv") and course is not None else None,
        neutropenic_windows(background, course) if acts("neutropenia") else None,
        background.toxicity.courses["corticosteroids"] if acts("corticosteroids") else None,
    )


def _infections(model: Model, draws: ChunkDraws, background: Background, course: CmvOutcome | None) -> Infections:
    """Section 11."""
    return infections(
        model.infections,
        model.baseline,
        background.population.score,
        leukaemic(model, background),
        *infection_windows(model, background, course),
        draws,
        model.horizon,
    )


def severe_toxicity(background: Background) -> Windows:
    """(2, P) CRS and ICANS of grade 3 or more."""
    crs, icans = background.toxicity.severe_crs, background.toxicity.severe_icans
    return Windows(np.stack([crs.start, icans.start]), np.stack([crs.stop, icans.stop]))


def _death(
    model: Model, draws: ChunkDraws, background: Background, course: CmvOutcome | None, found: Infections | None
) -> FloatArray:
    """Section 12b, with the factors that act."""
    ratios, population = model.follow_up.death_ratios, background.population
    return death_times(
        model.follow_up,
        model.baseline,
        population.stratum,
        population.score if float(ratios.score) != 1 else None,
        background.follow_up.relapse,
        course.clinically_significant if course is not None else None,
        course.disease if course is not None else None,
        found.severe if found is not None else None,
        severe_toxicity(background) if float(ratios.severe_toxicity) != 1 else None,
        draws,
    )


def _care(
    model: Model,
    background: Background,
    course: CmvOutcome,
    found: Infections | None,
    taken: Prophylaxis | None,
    sent: BoolArray,
    died: FloatArray,
) -> Care:
    """Everything that uses resources."""
    begun = np.where(np.isnan(course.start), np.inf, course.start)
    index = np.zeros(course.spell_start.shape, dtype=np.int64)
    for row in begun[1:]:  # a spell belongs to the last treatment begun by its start
        with np.errstate(invalid="ignore"):
            index += course.spell_start >= row
    samples = course.samples
    return Care(
        planned=background.stay,
        death=died,
        horizon=model.horizon,
        antivirals=Antivirals(course.spell_drug, course.spell_start, course.spell_stop, index) if index.size else None,
        disease=course.disease if np.isfinite(course.disease).any() else None,
        neutropenia=Windows(course.neutropenia[None], course.neutropenia_stop[None]),
        kidney_injury=course.kidney_injury[None],
        infections=InfectionOnsets(found.any.start, found.any_severe) if found is not None else None,
        toxicity={str(drug): course for drug, course in background.toxicity.courses.items()},
        letermovir=Windows(taken.start, taken.stop) if taken is not None else None,
        adherence=taken.adherence if taken is not None else None,
        test=samples.time,
        test_extra=samples.extra,
        sequenced=np.where(sent, samples.time, np.nan),
    )


def _antiviral_toxicity(model: Model, course: CmvOutcome) -> Windows:
    """(2, P) neutropenia on (val)ganciclovir, and kidney injury on foscarnet for as long as it keeps in hospital."""
    injured = course.kidney_injury + grid_days(model.resources.cmv.kidney_injury_days)
    return Windows(np.stack([course.neutropenia, course.kidney_injury]), np.stack([course.neutropenia_stop, injured]))


def health_states(
    model: Model, background: Background, course: CmvOutcome, found: Infections | None, stays: Stays
) -> HealthStates:
    """What weighs on the health of patients, and when (section 13)."""
    t = background.toxicity
    return HealthStates(
        relapse=background.follow_up.relapse,
        hospital=stays.in_hospital,
        icu=stays.in_icu,
        severe_crs=t.severe_crs,
        severe_icans=t.severe_icans,
        cmv_treatment=Windows(np.where(np.isnan(course.start), np.inf, course.start), np.nan_to_num(course.stop, nan=np.inf)),
        cmv_disease=disease_windows(model.quality_of_life, course.disease),
        antiviral_toxicity=_antiviral_toxicity(model, course),
        infection=found.any if found is not None else None,
    )


def _answers(
    model: Model,
    draws: ChunkDraws,
    background: Background,
    course: CmvOutcome,
    found: Infections | None,
    stays: Stays,
    died: FloatArray,
) -> Questionnaires:
    """Section 13."""
    if model.latent_health is None:
        raise ValueError("quality of life was not converted to the latent scale")
    return responses(
        model.quality_of_life,
        model.latent_health,
        background.population,
        health_states(model, background, course, found, stays),
        died,
        np.minimum(background.follow_up.withdrawn, background.follow_up.lost),  # asked after a new therapy too
        draws,
    )
