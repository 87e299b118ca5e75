"""Antiviral resistance, which follows CMV and acts on nothing, and what sequencing sees of it (model.md 10)."""

from __future__ import annotations

import math

from scipy import special

from cmvsim.models.resistance import CLASSES, GENES, ChangeClass, Gene
from cmvsim.simulation.model import Model
from cmvsim.simulation.pathway.facts import Chance, Facts, Window
from cmvsim.simulation.pathway.records import EpisodeRecord, Reported, SampleRecord, SequencedRecord, SpellRecord, StrainRecord
from cmvsim.simulation.pathway.treatment import GANCICLOVIRS

Known = dict[Gene, float]


def strain_of(
    model: Model,
    facts: Facts,
    chance: Chance,
    episodes: tuple[EpisodeRecord, ...],
    spells: tuple[SpellRecord, ...],
    letermovir: Window,
    samples: tuple[SampleRecord, ...],
) -> StrainRecord:
    """The changes that the patient's CMV bears, by episode, and those that are seen."""
    spec = model.resistance
    known = [_known(model, facts, chance, k, e, spells, letermovir) for k, e in enumerate(episodes)]
    traits = {
        gene: (
            chance("resistance.polymorphism", g) < float(spec.polymorphism[gene]),
            chance("resistance.unknown", g) < float(spec.unknown[gene]),
        )
        for g, gene in enumerate(GENES)
    }
    return StrainRecord(
        known=tuple(tuple(changes[gene] for gene in GENES) for changes in known),
        polymorphism=tuple(traits[gene][0] for gene in GENES),
        unknown=tuple(traits[gene][1] for gene in GENES),
        sent=tuple(_sent(model, chance, samples, episodes, known, traits)),
    )


def _known(
    model: Model,
    facts: Facts,
    chance: Chance,
    k: int,
    episode: EpisodeRecord,
    spells: tuple[SpellRecord, ...],
    letermovir: Window,
) -> Known:
    """Time from which episode k bears known resistance, by gene."""
    spec = model.resistance
    known: Known = dict.fromkeys(GENES, math.inf)
    if facts.aciclovir and chance("resistance.aciclovir", k) < (change := float(spec.aciclovir.change)):
        gene: Gene = "UL54" if chance("resistance.gene", k) * change < float(spec.aciclovir.ul54) else "UL97"
        known[gene] = episode.onset
    arises = _on_ganciclovir(model, chance("resistance.ganciclovir", k), episode, spells)
    gene = "UL54" if known["UL97"] <= arises else "UL97"
    known[gene] = min(known[gene], arises)
    on_letermovir = letermovir.contains(episode.onset) and model.letermovir.acts
    if on_letermovir and chance("resistance.letermovir", k) < float(spec.letermovir):
        known["UL56"] = episode.onset
    return known


def _on_ganciclovir(model: Model, left: float, episode: EpisodeRecord, spells: tuple[SpellRecord, ...]) -> float:
    """When the clock of ganciclovir is spent; +inf: never."""
    hazard = model.resistance.ganciclovir.hazard
    end = min(episode.cleared, model.horizon)
    for spell in spells:
        a, b = max(spell.start, episode.onset), min(spell.stop, end)
        if spell.drug not in GANCICLOVIRS or a >= b or hazard == 0:
            continue
        if a + left / hazard <= b:
            return a + left / hazard
        left -= hazard * (b - a)
    return math.inf


def _sent(
    model: Model,
    chance: Chance,
    samples: tuple[SampleRecord, ...],
    episodes: tuple[EpisodeRecord, ...],
    known: list[Known],
    traits: dict[Gene, tuple[bool, bool]],
) -> list[SequencedRecord]:
    """The samples sent for sequencing, in order of time."""
    spec = model.resistance.sequencing
    already = [0] * len(known)
    sent = []
    for sample in sorted(samples, key=lambda s: s.time):
        qualifies = sample.reported is Reported.QUANTIFIED and sample.load >= float(spec.send_at)
        # a result read at once may bring a drug that clears the episode at the very time of its sample
        qualifies = qualifies and sample.time < episodes[sample.episode].cleared
        if not qualifies or already[sample.episode] >= float(spec.per_episode):
            continue
        already[sample.episode] += 1
        day = round(sample.time) if sample.planned is None else sample.planned
        log_odds = float(spec.slope) * (math.log10(sample.load) - float(spec.half_load))
        succeeds = chance.on_day("resistance.sequencing", day) < special.expit(log_odds)
        shows: list[tuple[ChangeClass, Gene]] = []
        for gene in GENES if succeeds else ():
            there = (known[sample.episode][gene] <= sample.time, *traits[gene])
            shows += [(change, gene) for change, so in zip(CLASSES, there, strict=True) if so]
        sent.append(SequencedRecord(sample.time, bool(succeeds), tuple(sorted(shows))))
    return sent
