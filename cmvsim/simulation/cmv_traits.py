"""Sections 5 to 9 for a chunk: what the course of a patient with an episode depends on, in the kernel's layout."""

from __future__ import annotations

import math

import numpy as np
from scipy import special

from cmvsim.core.records import BoolArray, FloatArray, IntArray
from cmvsim.models.viral_load import LOG10_2, growth_rate
from cmvsim.simulation.background import Background
from cmvsim.simulation.draws import ChunkDraws
from cmvsim.simulation.kernels import layout as at
from cmvsim.simulation.model import Model
from cmvsim.simulation.monitoring import follow_up_every
from cmvsim.simulation.onset import Factors, grid_days

MARGIN = 0.05
"""Log10 below the limit of detection from which a sample might still be rounded up to it, and much more."""


def rate_bound(model: Model, rate: FloatArray, log_bound: FloatArray) -> FloatArray:
    """(P,) the amplitude of a further episode is never above it; `log_bound` (P,) of the factors."""
    onset = model.cmv.onset
    highest = float(onset.re_episode) * max(float(onset.ratios.antiviral), 1.0)
    return np.asarray(rate * highest * np.exp(log_bound))


def _highest_set_point(
    model: Model, draws: ChunkDraws, background: Background, rows: IntArray, bound: FloatArray
) -> FloatArray:
    """(A,) no episode of these patients has a set-point above it."""
    load = model.cmv.load
    shift, by_score = float(load.set_point_shift.corticosteroids), float(load.set_point_shift.score)
    highest = load.set_point.of_normal(draws("cmv.set_point", 0)[rows])
    for k in range(1, int(float(model.cmv.onset.episodes))):
        rings = np.flatnonzero(draws("cmv.onset", k)[rows] <= bound[rows] * (1 + 1e-9) + 1e-9)
        highest[rings] = np.maximum(highest[rings], load.set_point.of_normal(draws("cmv.set_point", k)[rows[rings]]))
    if shift > 0:
        highest = highest + shift * (background.toxicity.courses["corticosteroids"].start[rows] < np.inf)
    if by_score:
        highest = highest + by_score * background.population.score[rows]
    if background.prophylaxis is not None:
        highest = highest + np.maximum(background.prophylaxis.shift[rows], 0.0)
    return np.asarray(np.maximum(highest, float(load.start_log10)))


def disease_clock(model: Model, draws: ChunkDraws, background: Background, rows: IntArray, bound: FloatArray) -> FloatArray:
    """(A,) clock of CMV disease; +inf for whom it outlasts viraemia at the highest load from here to the horizon."""
    spec, clock = model.cmv.disease, draws("cmv.disease")[rows]
    course = background.prophylaxis
    ratio = np.exp(np.maximum(course.log_disease[rows], 0.0)) if course is not None else 1.0
    highest = _highest_set_point(model, draws, background, rows, bound)
    days = model.horizon - model.inclusion_day + float(model.cmv.onset.prevalent_age)
    most = float(spec.hazard) * ratio * 10.0 ** (float(spec.slope) * (highest - float(spec.reference_log10))) * days
    return np.where(clock > most * (1 + 1e-9), np.inf, clock)


def may_be_seen(
    model: Model,
    draws: ChunkDraws,
    background: Background,
    rows: IntArray,
    bound: FloatArray,
    offset: FloatArray,
    noise: FloatArray,
) -> BoolArray:
    """Which of the patients `rows` could have a detected sample at all.

    A third of all episodes never rise to the limit of detection, whatever the noise of the patient's samples: nothing is
    seen of them, so nobody is treated, and without the path they leave no trace. The bound is generous: peaks of all
    episodes whose clock may ring, with the steroid shift for whoever has steroids, and the largest noise of any visit.
    """
    highest = noise.max(axis=0)[rows] if noise.size else np.zeros(rows.size)
    peak = _highest_set_point(model, draws, background, rows, bound)
    seen = peak + offset[rows] + float(model.monitoring.assay_sd_log10) * highest
    return np.asarray(seen > math.log10(float(model.monitoring.lod)) - MARGIN)


def course_traits(
    model: Model,
    draws: ChunkDraws,
    background: Background,
    rows: IntArray,
    rate: FloatArray,
    bound: FloatArray,
    onset: FloatArray,
    offset: FloatArray,
    factors: Factors,
) -> FloatArray:
    """(T, A) traits of the patients who ever have an episode, in the kernel's layout."""
    load, episodes = model.cmv.load, int(float(model.cmv.onset.episodes))
    windows = factors.windows(rows)
    first = at.FACTORS + windows.shape[0]
    traits = np.empty((first + episodes * at.TRAITS_PER_EPISODE, rows.size))
    traits[at.FACTORS : first] = windows
    toxicity, course = background.toxicity, background.prophylaxis
    for position, column in (
        (at.RATE, rate),
        (at.BOUND, bound),
        (at.OFFSET, offset),
        (at.FIRST_ONSET, onset),
        (at.STEROIDS_FROM, toxicity.courses["corticosteroids"].start),
        (at.NEUTROPENIA_FROM, toxicity.neutropenia.start),
        (at.NEUTROPENIA_TO, toxicity.neutropenia.stop),
        (at.MONITORED_UNTIL, background.monitored_until),
        (at.FOLLOW_UP_EVERY, follow_up_every(model, background)),
        (at.NEUTROPENIA_CLOCK, draws("treatment.neutropenia")),
        (at.KIDNEY_CLOCK, draws("treatment.kidney_injury")),
    ):
        column.take(rows, out=traits[position], mode="clip")  # in bounds by construction; "clip" spares numpy a copy
    traits[at.LETERMOVIR_SHIFT] = course.shift[rows] if course is not None else 0.0
    traits[at.LETERMOVIR_DISEASE] = np.exp(course.log_disease[rows]) if course is not None else 1.0
    traits[at.GROWTH] = growth_rate(load, draws("cmv.doubling_time")[rows])
    begins = np.arange(rows.size)  # who may begin episode k: all the first, later ones if the clock may ring at all
    for k in range(episodes):
        e = traits[first + k * at.TRAITS_PER_EPISODE :][: at.TRAITS_PER_EPISODE]
        clock = draws("cmv.onset", k)
        if k > 0:
            e[:] = np.nan
            begins = begins[clock[rows[begins]] <= bound[rows[begins]] * (1 + 1e-9) + 1e-9]
        clock.take(rows, out=e[at.E_CLOCK], mode="clip")
        _episode_traits(model, draws, background, k, rows[begins], begins if k > 0 else slice(None), e)
    return traits


def _episode_traits(
    model: Model, draws: ChunkDraws, background: Background, k: int, rows: IntArray, to: IntArray | slice, e: FloatArray
) -> None:
    """Fill columns `to` of the traits `e` of episode `k` for patients `rows`."""
    load, care, by_score = model.cmv.load, model.treatment, float(model.cmv.load.set_point_shift.score)
    set_point = load.set_point.of_normal(draws("cmv.set_point", k)[rows])
    e[at.E_SET_POINT, to] = set_point + by_score * background.population.score[rows] if by_score else set_point
    e[at.E_PLATEAU, to] = load.plateau.of_normal(draws("cmv.plateau", k)[rows])
    e[at.E_SELF, to] = draws("cmv.self_limited", k)[rows]
    e[at.E_DECAY, to] = LOG10_2 / load.decay_half_life.of_normal(draws("cmv.decay", k)[rows])
    e[at.E_TREATED_DECAY, to] = LOG10_2 / load.treated.half_life.of_normal(draws("treatment.half_life", k)[rows])
    e[at.E_ACCEPTED, to] = _below(draws, "treatment.accepted", k, rows, float(care.accepted))
    e[at.E_REGROWS, to] = _below(draws, "treatment.regrowth", k, rows, float(load.treated.regrowth))
    e[at.E_REFRACTORY, to] = _below(draws, "cmv.refractory", k, rows, float(load.treated.refractory))
    e[at.E_CHOICE, to] = draws("treatment.choice", k)[rows]


def _below(draws: ChunkDraws, stream: str, index: int, rows: IntArray, share: float) -> BoolArray | bool:
    """Whether a uniform is below a share; nothing is drawn where everybody's is, or nobody's."""
    return bool(share) if share in (0.0, 1.0) else np.asarray(draws(stream, index)[rows] < share)


def kernel_parameters(model: Model, factors: Factors) -> FloatArray:
    """The parameters in the kernel's layout."""
    from cmvsim.simulation.kernels.hazard import not_yet

    onset, load, plan, care = model.cmv.onset, model.cmv.load, model.monitoring, model.treatment
    shape, first_line, disease = float(onset.shape), care.first_line, model.cmv.disease
    p = np.zeros(at.PARAMETERS)
    p[at.V0], p[at.LAG] = float(load.start_log10), float(load.treated.lag)
    p[at.START_AT], p[at.CONFIRMATIONS] = float(care.start_at), float(care.confirmations)
    p[at.DELAY], p[at.TURNAROUND] = grid_days(care.delay), grid_days(plan.turnaround)
    p[at.NEGATIVES] = float(care.stop_after.negatives)
    p[at.MIN_DAYS], p[at.MAX_DAYS] = grid_days(care.stop_after.minimum_days), grid_days(care.stop_after.maximum_days)
    p[at.REFRACTORY_AFTER] = grid_days(care.refractory_after)
    p[at.VALGANCICLOVIR_BELOW] = float(first_line["valganciclovir"])
    p[at.GANCICLOVIR_BELOW] = float(first_line["valganciclovir"]) + float(first_line["ganciclovir"])
    p[at.NEUTROPENIA_HAZARD], p[at.KIDNEY_HAZARD] = care.toxicity.neutropenia.hazard, care.toxicity.kidney_injury.hazard
    p[at.HORIZON], p[at.ORIGIN] = model.horizon, model.inclusion_day
    p[at.SCALE] = model.baseline.onset_median / math.log(2.0) ** (1 / shape)
    p[at.SHAPE], p[at.RE_EPISODE], p[at.ANTIVIRAL] = shape, float(onset.re_episode), float(onset.ratios.antiviral)
    p[at.SHIFT] = float(load.set_point_shift.corticosteroids)
    p[at.SELF_LOGIT] = float(special.logit(float(load.self_limited.share)))
    p[at.SELF_SLOPE], p[at.SELF_CENTRE] = float(load.self_limited.slope), load.set_point.centre
    p[at.LOD], p[at.LLOQ], p[at.ASSAY_SD] = float(plan.lod), float(plan.lloq), float(plan.assay_sd_log10)
    p[at.LOG10_LOD], p[at.LOG10_LLOQ] = math.log10(float(plan.lod)), math.log10(float(plan.lloq))
    p[at.DISEASE_HAZARD], p[at.DISEASE_SLOPE] = float(disease.hazard), float(disease.slope)
    p[at.DISEASE_REFERENCE] = float(disease.reference_log10)
    # from the earliest start on, each treatment lasts at least the shortest course, and each drug at least that or until
    # it is not tolerated (twice at most) or found wanting
    span = model.horizon - min(plan.days[0], model.inclusion_day)
    p[at.COURSES] = 1 + int(span // p[at.MIN_DAYS])
    p[at.SPELLS] = p[at.COURSES] + 2 + int(span // p[at.REFRACTORY_AFTER])
    p[at.ENDS_LETERMOVIR] = "preemptive_therapy" in model.letermovir.stopped_by.value
    p[at.HORIZON_SURVIVAL] = not_yet(p[at.HORIZON], p[at.ORIGIN], p[at.SCALE], p[at.SHAPE])
    p[at.FIRST_EPISODE] = at.FACTORS + at.TRAITS_PER_FACTOR * len(factors.members)
    return p
