"""Questionnaires of a chunk (section 13), and the expected index of a patient at any time."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import special

from cmvsim.core.records import BoolArray, FloatArray
from cmvsim.core.streams import Draws, day_index
from cmvsim.models.population import Population
from cmvsim.models.quality_of_life import (
    ADULT_FROM,
    DAYS_PER_YEAR,
    DIMENSIONS,
    STATES,
    WORST_OF,
    Instrument,
    LatentHealth,
    QualityOfLifeSpec,
    Questionnaires,
    State,
    instrument_at,
)
from cmvsim.models.windows import Windows
from cmvsim.valuation import ValueSet

VAS_TOP = 100.0


@dataclass(frozen=True, slots=True)
class HealthStates:
    """What weighs on a patient's health, and when: windows (P,) or (W, P), None where there is none at all.

    Attributes
    ----------
    relapse
        (P,): time of relapse, +inf for never; the change lasts from then on.
    """

    relapse: FloatArray
    hospital: Windows | None = None
    icu: Windows | None = None
    severe_crs: Windows | None = None
    severe_icans: Windows | None = None
    cmv_treatment: Windows | None = None
    cmv_disease: Windows | None = None
    antiviral_toxicity: Windows | None = None
    infection: Windows | None = None

    def at(self, state: State, day: float) -> BoolArray:
        """Whether patients are in a state at a time; windows are [start, stop)."""
        if state == "relapse":
            return np.asarray(self.relapse <= day)
        windows: Windows | None = getattr(self, state)
        if windows is None:
            return np.zeros(self.relapse.shape, dtype=np.bool_)
        inside = (windows.start <= day) & (day < windows.stop)
        return np.asarray(inside.any(axis=0)) if inside.ndim > 1 else np.asarray(inside)


def disease_windows(spec: QualityOfLifeSpec, onset: FloatArray) -> Windows:
    """Windows over which CMV disease weighs on health; `onset` (P,) is +inf or NaN where there is no disease."""
    start = np.where(np.isnan(onset), np.inf, onset)
    return Windows(start, start + float(spec.cmv_disease_days))


def patient_effect(spec: QualityOfLifeSpec, population: Population, draws: Draws) -> FloatArray:
    """Standard normal effect of the patient, correlated with the immunosuppression score; larger is worse."""
    loading = float(spec.score_loading)
    own = draws("quality_of_life.patient")
    return own if loading == 0 else loading * population.score + np.sqrt(1 - loading**2) * own


def latent_mean(latent: LatentHealth, population: Population, states: HealthStates, day: float) -> FloatArray:
    """Latent mean (P,) of patients like each one, in the states that each one is in."""
    mean: FloatArray = latent.at(latent.mean, day)[population.stratum]
    shift = latent.at(latent.shift, day)
    for group in WORST_OF:
        worst: FloatArray | None = None  # None: nobody in a state of this group yet
        for state in group:
            inside = states.at(state, day)
            if inside.any():
                added = np.where(inside, shift[STATES.index(state)][population.stratum], -np.inf)
                worst = added if worst is None else np.maximum(worst, added)
        if worst is not None:
            mean = mean + np.where(worst > -np.inf, worst, 0.0)
    return mean


def missing_probability(spec: QualityOfLifeSpec, latent: LatentHealth, states: HealthStates, day: float) -> FloatArray:
    """Probability (P,) that a questionnaire due on this day is not filled in."""
    base = float(latent.at(np.array([float(share) for share in spec.missing.share]), day))
    ratio = np.where(states.at("hospital", day), float(spec.missing.odds_ratios.hospital), 1.0)
    ratio = ratio * np.where(states.at("relapse", day), float(spec.missing.odds_ratios.relapse), 1.0)
    probability: FloatArray = base * ratio / (1 - base + base * ratio)
    return probability


def responses(
    spec: QualityOfLifeSpec,
    latent: LatentHealth,
    population: Population,
    states: HealthStates,
    death: FloatArray,
    monitored_until: FloatArray,
    draws: Draws,
) -> Questionnaires:
    """Answers of all patients at all visits.

    Parameters
    ----------
    latent
        The specification converted to the latent scale.
    death, monitored_until
        (P,): +inf where it does not happen; a questionnaire is due on a day before death and not after the end of
        follow-up.
    """
    days = np.array(spec.visits.value, dtype=np.int64)
    size = population.stratum.size
    instrument = np.zeros((days.size, size), dtype=np.int8)
    proxy = np.zeros((days.size, size), dtype=np.bool_)
    levels = np.zeros((days.size, len(DIMENSIONS), size), dtype=np.int8)
    vas = np.full((days.size, size), np.nan)
    patient = patient_effect(spec, population, draws)
    shared = latent.spread * np.sqrt(float(spec.correlation))
    own = latent.spread * np.sqrt(1 - float(spec.correlation))
    cuts = {kind: spec.items(kind).thresholds for kind in (Instrument.YOUTH, Instrument.ADULT)}
    for v, day in enumerate(spec.visits.value):
        asked = (day < death) & (day <= monitored_until)
        due, by_proxy = instrument_at(population.age, day)
        instrument[v] = np.where(asked, due, Instrument.NONE)
        proxy[v] = asked & by_proxy
        key = day_index(day)
        lost = draws("quality_of_life.missing", key) < missing_probability(spec, latent, states, day)
        filled = (instrument[v] != Instrument.NONE) & ~lost
        young = np.flatnonzero(instrument[v] == Instrument.YOUTH)
        health = latent_mean(latent, population, states, day) + shared * patient
        for d, dimension in enumerate(DIMENSIONS):
            liability = health + own * draws(f"quality_of_life.{dimension}", key)
            level = _level(liability, cuts[Instrument.ADULT][d])
            level[young] = _level(liability[young], cuts[Instrument.YOUTH][d])
            levels[v, d] = np.where(filled, level, 0)
        score = latent.vas_zero - latent.vas_slope * (health + own * draws("quality_of_life.vas", key))
        vas[v] = np.where(filled, np.floor(np.clip(score, 0.0, VAS_TOP) + 0.5), np.nan)
    return Questionnaires(days, instrument, proxy, levels, vas)


def _level(liability: FloatArray, thresholds: FloatArray) -> NDArray[np.int8]:
    """Level of an answer: 1, and one more for each threshold passed."""
    level = np.ones(liability.shape, dtype=np.int8)
    for threshold in thresholds:
        level += liability > threshold
    return level


def expected_index_at(
    spec: QualityOfLifeSpec,
    latent: LatentHealth,
    population: Population,
    states: HealthStates,
    day: float,
    draws: Draws,
    adult: ValueSet,
    youth: ValueSet | None = None,
) -> FloatArray:
    """Expected index (P,) of each patient at a time: what the patient would answer on average, known to be that patient.

    Parameters
    ----------
    day
        Any time, also between visits.
    adult, youth
        Value sets of EQ-5D-5L and, for patients under 16 (also those under 4, to whom no questionnaire is given), of
        EQ-5D-Y-3L; without `youth` everybody is valued by `adult`.

    Notes
    -----
    Death is not looked at: the caller values it.
    """
    correlation = float(spec.correlation)
    health = latent_mean(latent, population, states, day)
    health = health + latent.spread * np.sqrt(correlation) * patient_effect(spec, population, draws)
    own = latent.spread * np.sqrt(1 - correlation)
    index = expected_curve(adult, spec.adult.thresholds, health, own)
    if youth is not None:
        young = population.age + max(day, 0.0) / DAYS_PER_YEAR < ADULT_FROM
        index[young] = expected_curve(youth, spec.youth.thresholds, health[young], own)
    return index


def expected_curve(values: ValueSet, thresholds: FloatArray, health: FloatArray, sd: float) -> FloatArray:
    """Expected index at many latent states: each threshold passed takes off what its level takes off more."""
    index = np.ones(health.shape)
    for cuts, steps in zip(thresholds, np.diff(values.decrements, axis=1), strict=True):
        for cut, step in zip(cuts, steps, strict=True):
            index -= step * special.ndtr((health - cut) / sd)
    return index
