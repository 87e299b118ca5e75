"""The dated ledger of one patient: what was used, when, and what it belongs to (model.md 14)."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator
from dataclasses import replace

from cmvsim.core.ledger import Component, Item
from cmvsim.models.resources import INTRAVENOUS
from cmvsim.simulation.model import Model
from cmvsim.simulation.pathway.clock import on_the_grid
from cmvsim.simulation.pathway.facts import Facts, Window
from cmvsim.simulation.pathway.records import LedgerRow, SampleRecord, SpellRecord, StayRecord, StrainRecord, TreatmentRecord

RATE_STEPS = 2.0**10


def ledger_of(
    model: Model,
    facts: Facts,
    stays: StayRecord,
    samples: tuple[SampleRecord, ...],
    strain: StrainRecord,
    treatment: TreatmentRecord,
    letermovir: Window,
    end: float,
) -> tuple[LedgerRow, ...]:
    """All rows: spans up to `end`, samples and doses at or before it, visits of a spell before it."""
    spans = [
        *_hospital_days(facts, stays),
        *_days_on_drugs(facts, letermovir, treatment.spells),
        *_growth_factor(model, treatment.neutropenia),
    ]
    occasions = [
        *_tests(samples, strain),
        *(row for spell in treatment.spells for row in _outpatient_care(model, stays, spell, end)),
        *_tocilizumab(model, facts),
    ]
    cut = [replace(span, stop=min(span.stop, end)) for span in spans]
    return tuple(sorted([span for span in cut if span.start < span.stop] + [row for row in occasions if row.start <= end]))


def _span(item: Item, component: Component, window: Window, rate: float = 1.0) -> LedgerRow:
    return LedgerRow(item.value, component.value, window.start, window.stop, round(rate * RATE_STEPS) / RATE_STEPS)


def _occasion(item: Item, component: Component, time: float, count: float = 1.0) -> LedgerRow:
    return _span(item, component, Window(time, time), count)


def _hospital_days(facts: Facts, stays: StayRecord) -> Iterator[LedgerRow]:
    """Days on the ward and in intensive care, by what the stay is."""
    planned = facts.planned_stay
    for stay in stays.hospital:
        after = Component.INITIAL_STAY_PROLONGED if stay.contains(planned.start) else Component.ADDITIONAL_STAYS
        edges = {stay.start, stay.stop, planned.start, planned.stop}
        edges |= {edge for icu in stays.icu for edge in (icu.start, icu.stop)}
        times = sorted(t for t in edges if stay.start <= t <= stay.stop)
        for a, b in itertools.pairwise(times):
            intensive = any(icu.contains(a) for icu in stays.icu)
            component = Component.INITIAL_STAY_PLANNED if planned.contains(a) else after
            yield _span(Item.ICU_DAY if intensive else Item.WARD_DAY, component, Window(a, b))


def _tests(samples: tuple[SampleRecord, ...], strain: StrainRecord) -> Iterator[LedgerRow]:
    for sample in samples:
        because = Component.SURVEILLANCE_EXTRA if sample.extra else Component.SURVEILLANCE_PLANNED
        yield _occasion(Item.CMV_PCR, because, sample.time)
    for sent in strain.sent:
        yield _occasion(Item.SEQUENCING, Component.SURVEILLANCE_EXTRA, sent.time)


def _outpatient_care(model: Model, stays: StayRecord, spell: SpellRecord, end: float) -> Iterator[LedgerRow]:
    """What an outpatient on a drug against CMV needs."""
    spec = model.resources.outpatient
    by_vein = spell.drug in INTRAVENOUS
    sessions = (
        (Item.DAY_HOSPITAL if by_vein else Item.CONSULTATION, spec.day_hospital_every if by_vein else spec.consultation_every),
        (Item.BLOOD_TEST, getattr(spec.blood_test_every, spell.drug)),
    )
    for item, every in sessions:
        step, j = on_the_grid(float(every)), 0
        while (time := spell.start + j * step) < min(spell.stop, end):
            if not any(stay.contains(time) for stay in stays.hospital):
                yield _occasion(item, Component.TREATMENTS, time)
            j += 1


def _days_on_drugs(facts: Facts, letermovir: Window, spells: tuple[SpellRecord, ...]) -> Iterator[LedgerRow]:
    """Drugs that are counted by the day."""
    for spell in spells:
        yield _span(Item(f"{spell.drug}_day"), Component.TREATMENTS, Window(spell.start, spell.stop))
    if facts.letermovir is not None:
        yield _span(Item.LETERMOVIR_DAY, Component.PROPHYLAXIS, letermovir, facts.letermovir.adherence)
    for item, drug in ((Item.STEROID_DAY, "corticosteroids"), (Item.ANAKINRA_DAY, "anakinra")):
        yield _span(item, Component.OTHER, facts.drugs[drug])


def _growth_factor(model: Model, neutropenia: Window) -> Iterator[LedgerRow]:
    """For the first days of a neutropenia on ganciclovir."""
    until = min(neutropenia.stop, neutropenia.start + on_the_grid(float(model.resources.support.gcsf_days)))
    yield _span(Item.GCSF_DAY, Component.TREATMENTS, Window(neutropenia.start, until))


def _tocilizumab(model: Model, facts: Facts) -> Iterator[LedgerRow]:
    """Doses, all at the start of the course."""
    start = facts.drugs["tocilizumab"].start
    if math.isfinite(start):
        yield _occasion(Item.TOCILIZUMAB_DOSE, Component.OTHER, start, float(model.resources.support.tocilizumab_doses))
