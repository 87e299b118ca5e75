"""Questionnaires on health-related quality of life, which act on nothing (model.md 13)."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

from cmvsim.core.records import FloatArray
from cmvsim.models.quality_of_life import (
    ADULT_FROM,
    DAYS_PER_YEAR,
    DIMENSIONS,
    SELF_FROM,
    STATES,
    WORST_OF,
    YOUTH_FROM,
    LatentHealth,
    State,
)
from cmvsim.simulation.model import Model
from cmvsim.simulation.pathway.clock import on_the_grid
from cmvsim.simulation.pathway.facts import Chance, Facts, Window
from cmvsim.simulation.pathway.records import QuestionnaireRecord, StayRecord
from cmvsim.simulation.pathway.stays import Illness


@dataclass(frozen=True, slots=True)
class Life:
    """What a patient's health depends on."""

    illness: Illness
    stays: StayRecord
    death: float


def questionnaires_of(model: Model, facts: Facts, chance: Chance, life: Life) -> tuple[QuestionnaireRecord, ...]:
    """The questionnaires that were due, filled in or not; none if the scales were not converted."""
    health = model.latent_health
    if health is None:
        return ()
    answers = []
    for day in model.quality_of_life.visits.value:
        age = facts.age + max(day, 0) / DAYS_PER_YEAR
        if day >= life.death or day > facts.follow_up.asked_until or age < YOUTH_FROM:
            continue
        instrument = "adult" if age >= ADULT_FROM else "youth"
        proxy, states = age < SELF_FROM, states_at(model, facts, life, float(day))
        if chance.on_day("quality_of_life.missing", day) < _missing(model, states, day):
            answers.append(QuestionnaireRecord(day, instrument, proxy, (), math.nan))
            continue
        levels, vas = _answer(model, health, facts, chance, instrument, states, day)
        answers.append(QuestionnaireRecord(day, instrument, proxy, levels, vas))
    return tuple(answers)


def states_at(model: Model, facts: Facts, life: Life, t: float) -> set[State]:
    """The states that the patient is in."""
    illness, treatment = life.illness, life.illness.treatment
    disease_days = float(model.quality_of_life.cmv_disease_days)
    injury_days = on_the_grid(float(model.resources.cmv.kidney_injury_days))
    infections = [*illness.bacterial, *([illness.fungal] if illness.fungal is not None else [])]
    windows: dict[State, Sequence[Window]] = {
        "hospital": life.stays.hospital,
        "icu": life.stays.icu,
        "severe_crs": [facts.severe_crs],
        "severe_icans": [facts.severe_icans],
        "cmv_treatment": treatment.courses,
        "cmv_disease": [Window(illness.disease, illness.disease + disease_days)],
        "antiviral_toxicity": [
            treatment.neutropenia,
            Window(treatment.kidney_injury, treatment.kidney_injury + injury_days),
        ],
        "infection": [Window(i.start, i.stop) for i in infections],
        "relapse": [Window(facts.follow_up.relapse, math.inf)],
    }
    return {state for state, several in windows.items() if any(window.contains(t) for window in several)}


def _missing(model: Model, states: set[State], day: int) -> float:
    """Probability that a questionnaire which is due is not filled in."""
    spec = model.quality_of_life
    days = [float(d) for d in spec.days.value]
    p = _linear(days, [float(share) for share in spec.missing.share], day)
    odds = float(spec.missing.odds_ratios.hospital) if "hospital" in states else 1.0
    odds *= float(spec.missing.odds_ratios.relapse) if "relapse" in states else 1.0
    return p * odds / (1 - p + p * odds)


def _answer(
    model: Model, health: LatentHealth, facts: Facts, chance: Chance, instrument: str, states: set[State], day: int
) -> tuple[tuple[int, ...], float]:
    """Levels of the five items, and the score of the scale."""
    spec = model.quality_of_life
    r, loading = float(spec.correlation), float(spec.score_loading)
    lasting = loading * facts.score + math.sqrt(1 - loading**2) * chance("quality_of_life.patient")
    mean = _mean(health, facts.stratum, states, day)

    def liability(name: str) -> float:
        own = chance.on_day(f"quality_of_life.{name}", day)
        return mean + health.spread * (math.sqrt(r) * lasting + math.sqrt(1 - r) * own)

    thresholds = (spec.adult if instrument == "adult" else spec.youth).thresholds
    levels = tuple(
        1 + sum(float(cut) < liability(name) for cut in cuts) for name, cuts in zip(DIMENSIONS, thresholds, strict=True)
    )
    score = health.vas_zero - health.vas_slope * liability("vas")
    return levels, float(math.floor(min(max(score, 0.0), 100.0) + 0.5))


def _mean(health: LatentHealth, stratum: int, states: set[State], day: int) -> float:
    """Latent mean: that of the stratum, and of each group of states the largest shift."""
    days = [float(d) for d in health.days]

    def at(values: FloatArray) -> float:
        return _linear(days, [float(x) for x in values], day)

    total = at(health.mean[stratum])
    for group in WORST_OF:
        shifts = [at(health.shift[STATES.index(state), stratum]) for state in group if state in states]
        total += max(shifts, default=0.0)
    return total


def _linear(days: list[float], values: list[float], day: float) -> float:
    """Linear between the days, constant before and after."""
    if day <= days[0]:
        return values[0]
    for (a, b), (x, y) in zip(pairwise(days), pairwise(values), strict=True):
        if day <= b:
            return x + (y - x) * (day - a) / (b - a)
    return values[-1]
