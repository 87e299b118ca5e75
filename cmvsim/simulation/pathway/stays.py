"""Stays in hospital and in intensive care, when all is known (model.md 14)."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass

from cmvsim.models.time_grid import STEPS_PER_DAY
from cmvsim.simulation.model import Model
from cmvsim.simulation.pathway.clock import on_the_grid
from cmvsim.simulation.pathway.facts import Chance, Facts, Window
from cmvsim.simulation.pathway.records import InfectionRecord, SpellRecord, StayRecord, TreatmentRecord


@dataclass(frozen=True, slots=True)
class Illness:
    """What brings stays: treatment, disease and infections as they unfolded."""

    treatment: TreatmentRecord
    disease: float
    bacterial: tuple[InfectionRecord, ...]
    fungal: InfectionRecord | None


def end_of_use(model: Model, death: float) -> float:
    """The earlier of death and horizon, on the grid, rounded down: nothing is used later."""
    return math.floor(min(death, model.horizon) * STEPS_PER_DAY) / STEPS_PER_DAY


def stays_of(model: Model, facts: Facts, chance: Chance, illness: Illness, end: float) -> StayRecord:
    """The stays of one patient."""
    initial = Window(facts.planned_stay.start, discharge(model, facts, chance, illness))
    hospital, icu = [initial], [facts.planned_icu]
    for stay, intensive in (
        *_for_courses(model, chance, illness.treatment, initial),
        *_for_disease(model, chance, on_the_grid(illness.disease)),
        *_for_kidney(model, illness.treatment.kidney_injury),
        *_for_infections(model, facts, chance, illness),
    ):
        hospital.append(stay)
        icu.append(intensive)
    planned = united([facts.planned_stay], end)
    return StayRecord(united(hospital, end), united(icu, end), planned[0] if planned else Window())


def discharge(model: Model, facts: Facts, chance: Chance, illness: Illness) -> float:
    """Discharge from the initial stay: as planned, or later because of treatment or disease in it."""
    spec, stay = model.resources.cmv, facts.planned_stay
    until = stay.stop
    disease = on_the_grid(illness.disease)
    happenings = [(disease, -1), *((course.start, k) for k, course in enumerate(illness.treatment.courses))]
    for time, k in sorted(happenings):
        inside = stay.start <= time < until
        if k < 0:
            until += _disease_days(model, chance) if inside else 0.0
        elif inside and time < disease:
            until += on_the_grid(chance.of(spec.prolongation_days, "resources.prolongation", k))
    return until


Stays = list[tuple[Window, Window]]
"""Each with its intensive care."""


def _for_courses(model: Model, chance: Chance, treatment: TreatmentRecord, initial: Window) -> Stays:
    """At most one stay for a course of treatment: for its first spell outside the initial stay that needs one."""
    spec, stays = model.resources.cmv, []
    for k in range(len(treatment.courses)):
        u = chance("resources.admission", k)
        spell = next((s for s in treatment.spells if s.course == k and _admits(model, s, initial, u)), None)
        if spell is not None:
            days = on_the_grid(chance.of(spec.admission_days, "resources.admission_days", k))
            stays.append((Window(spell.start, spell.start + days), Window()))
    return stays


def _admits(model: Model, spell: SpellRecord, initial: Window, u: float) -> bool:
    probability = float(getattr(model.resources.cmv.admission, spell.drug))
    return not initial.contains(spell.start) and u < probability


def _disease_days(model: Model, chance: Chance) -> float:
    return on_the_grid(chance.of(model.resources.cmv.disease_days, "resources.disease_days"))


def _for_disease(model: Model, chance: Chance, start: float) -> Stays:
    if start == math.inf:
        return []
    days = _disease_days(model, chance)
    intensive = on_the_grid(float(model.resources.cmv.disease_icu_share) * days)
    return [(Window(start, start + days), Window(start, start + intensive))]


def _for_kidney(model: Model, start: float) -> Stays:
    if start == math.inf:
        return []
    return [(Window(start, start + on_the_grid(float(model.resources.cmv.kidney_injury_days))), Window())]


def _for_infections(model: Model, facts: Facts, chance: Chance, illness: Illness) -> Stays:
    """A severe infection always brings a stay, another one perhaps, outside the planned stay."""
    spec, stays = model.resources.infections, []
    numbered = list(enumerate(illness.bacterial))
    if illness.fungal is not None:
        numbered.append((int(float(model.infections.bacterial.episodes)), illness.fungal))
    for i, infection in numbered:
        start = on_the_grid(infection.start)
        admitted = infection.severe or (
            not facts.planned_stay.contains(start) and chance("resources.infection_admission", i) < float(spec.admission)
        )
        if admitted:
            days = on_the_grid(chance.of(spec.days, "resources.infection_days", i))
            in_icu = infection.severe and chance("resources.infection_icu", i) < float(spec.severe_icu)
            intensive = on_the_grid(float(spec.severe_icu_share) * days) if in_icu else 0.0
            stays.append((Window(start, start + days), Window(start, start + intensive)))
    return stays


def united(windows: Iterable[Window], end: float) -> tuple[Window, ...]:
    """Windows cut at `end`; those that overlap or touch are one; in order."""
    cut = [Window(w.start, min(w.stop, end)) for w in windows]
    merged: list[Window] = []
    for window in sorted((w for w in cut if w.exists), key=lambda w: w.start):
        if merged and window.start <= merged[-1].stop:
            merged[-1] = Window(merged[-1].start, max(merged[-1].stop, window.stop))
        else:
            merged.append(window)
    return tuple(merged)
