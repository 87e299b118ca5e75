"""The pathway engine: a chunk's patients, one after the other."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from cmvsim.core.records import IntArray
from cmvsim.models.strategies import StrategySpec
from cmvsim.models.viral_load import LOG10_2
from cmvsim.simulation.background import Background
from cmvsim.simulation.draws import ChunkDraws
from cmvsim.simulation.model import Model
from cmvsim.simulation.pathway.episode import Episode
from cmvsim.simulation.pathway.facts import Chance, Shared
from cmvsim.simulation.pathway.health import Life, questionnaires_of
from cmvsim.simulation.pathway.ledger import ledger_of
from cmvsim.simulation.pathway.patient import Patient
from cmvsim.simulation.pathway.records import EpisodeRecord, PatientHistory
from cmvsim.simulation.pathway.stays import Illness, end_of_use, stays_of
from cmvsim.simulation.pathway.strain import strain_of


def simulate_pathway(
    model: Model,
    draws: ChunkDraws,
    *,
    patients: slice | Iterable[int],
    replicate: int,
    never_lost: bool = False,
    strategy: str | Sequence[str] | None = None,
    arm: IntArray | None = None,
    cmv: bool = True,
) -> list[PatientHistory]:
    """Simulate some patients of one replicate of a chunk.

    Parameters
    ----------
    model
        Specifications and baseline hazards.
    draws
        The chunk's chance.
    patients, replicate
        Which of the chunk.
    never_lost
        Full attendance and no end of monitoring but by transplantation.
    strategy
        Name of the strategy, or the names that `arm` counts; by default pre-emptive therapy alone.
    arm
        (P,) index into the names of `strategy`, for all patients of the chunk.
    cmv
        False: nobody's CMV replicates.

    Returns
    -------
    list of PatientHistory
        In the order of `patients`.
    """
    background = background_of(model, draws, never_lost=never_lost, strategy=strategy, arm=arm)
    chosen = range(draws.patients)[patients] if isinstance(patients, slice) else patients
    return list(stories_of(background, chosen, replicate, cmv=cmv))


def stories_of(
    background: Background, patients: Iterable[int], replicate: int, *, cmv: bool = True
) -> Iterator[PatientHistory]:
    """Simulate patients of one replicate one by one, each when it is asked for; parameters as of :func:`simulate_pathway`."""
    model, draws = background.model, background.draws
    assert isinstance(draws, ChunkDraws)
    shared = Shared(background)
    for patient in patients:
        row = patient * draws.replicates + replicate
        chance = Chance(draws, row, replicate)
        person = Patient(model, shared.facts(row), chance, full_attendance=background.never_lost, cmv=cmv)
        person.live()
        yield story_of(person, patient, replicate)


def background_of(
    model: Model,
    draws: ChunkDraws,
    *,
    never_lost: bool = False,
    strategy: str | Sequence[str] | None = None,
    arm: IntArray | None = None,
) -> Background:
    """What is given of the chunk's patients before CMV; parameters as of :func:`simulate_pathway`."""
    return Background(model, draws, never_lost, _plans(model, strategy), arm)


def _plans(model: Model, strategy: str | Sequence[str] | None) -> tuple[StrategySpec, ...]:
    names = () if strategy is None else (strategy,) if isinstance(strategy, str) else tuple(strategy)
    plans = tuple(model.strategies[name] for name in names)
    return plans if any(plan.prophylaxis != "none" for plan in plans) else ()


def story_of(person: Patient, patient: int, replicate: int) -> PatientHistory:
    """The record of what happened, and what is made of it when all is known: resistance, stays, resource use."""
    model, facts, chance = person.model, person.facts, person.chance
    episodes = tuple(_episode(e) for e in person.replication.episodes)
    samples, treatment, letermovir = tuple(person.laboratory.samples), person.treatment.record, person.letermovir.course
    bacterial, fungal = tuple(person.infections.bacterial), person.infections.fungal
    end = end_of_use(model, person.death.time)
    strain = strain_of(model, facts, chance, episodes, treatment.spells, letermovir, samples)
    illness = Illness(treatment, person.disease.time, bacterial, fungal)
    stays = stays_of(model, facts, chance, illness, end)
    return PatientHistory(
        patient=patient,
        replicate=replicate,
        growth=LOG10_2 / chance.of(model.cmv.load.doubling_time, "cmv.doubling_time"),
        offset=person.laboratory.offset,
        follow_up=facts.follow_up,
        episodes=episodes,
        samples=samples,
        treatment=treatment,
        disease=person.disease.time,
        organ=person.disease.organ,
        letermovir=letermovir,
        bacterial=bacterial,
        fungal=fungal,
        death=person.death.time,
        strain=strain,
        stays=stays,
        ledger=ledger_of(model, facts, stays, samples, strain, treatment, letermovir, end),
        questionnaires=questionnaires_of(model, facts, chance, Life(illness, stays, person.death.time)),
    )


def _episode(e: Episode) -> EpisodeRecord:
    knots = tuple((knot.time, knot.log10, knot.slope) for knot in e.knots)
    return EpisodeRecord(e.onset, e.cleared, e.peak, e.plateau_end, e.decay, e.refractory, knots)
