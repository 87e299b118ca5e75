"""Sections 5 to 8 for a chunk: traits by numpy, the time-ordered course by the kernels."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import special

from cmvsim.core.records import BoolArray, FloatArray, IntArray
from cmvsim.core.streams import Draws, day_index
from cmvsim.models.population import Population
from cmvsim.models.toxicity import Windows
from cmvsim.models.viral_load import LOG10_2, growth_rate
from cmvsim.simulation.kernels import layout as at
from cmvsim.simulation.model import Model


@dataclass(frozen=True, slots=True)
class CmvOutcome:
    """What the CMV course leaves, flat (P = patients x replicates first).

    Attributes
    ----------
    growth, offset
        (P,) NaN for patients without an episode.
    visit, code, load
        (P, V) time, result code and reported load of samples as taken.
    courses
        (P, C, 2) start and stop of antiviral courses.
    episodes
        (P, K, 5) onset, peak, end of plateau, decay, clearance; None unless the path was asked for.
    knots
        (P, J, 4) controlled course: time, log10, slope, episode; None unless the path was asked for.
    """

    growth: FloatArray
    offset: FloatArray
    visit: FloatArray
    code: NDArray[np.int8]
    load: FloatArray
    courses: FloatArray
    episodes: FloatArray | None
    knots: FloatArray | None

    @property
    def first_treatment(self) -> FloatArray:
        """(P,) start of the first course, +inf if none."""
        first = self.courses[:, 0, 0]
        return np.where(np.isnan(first), np.inf, first)


def simulate_cmv(model: Model, draws: Draws, population: Population, windows: dict[str, Windows],
                 monitored_until: FloatArray, *, path: bool, full_attendance: bool) -> CmvOutcome:
    """Run onset, load, monitoring and treatment for all patients of a chunk.

    Parameters
    ----------
    monitored_until
        (P,) end of monitoring by section 12a.
    path
        Keep episodes and knots.
    full_attendance
        Every visit is made.
    """
    visit = visit_times(model, draws, monitored_until, full_attendance)
    code = np.where(np.isnan(visit), np.int8(at.NONE), np.int8(at.NOT_DETECTED))
    load = np.full(visit.shape, np.nan)
    rate, onset = first_onset_times(model, draws, population, windows)
    ever = np.flatnonzero(onset < np.inf)
    parameters = kernel_parameters(model)
    traits = _traits(model, draws, population, windows, ever, rate, onset, monitored_until)
    k = int(float(model.cmv.onset.episodes))
    most = 1 + int((model.horizon + 60) // float(model.treatment.stop_after.minimum_days))
    kept = 2 * most + k if path else 0
    course = np.full((ever.size, most, 2), np.nan)
    episode = np.full((ever.size, k, 5), np.nan)
    knot = np.full((ever.size, kept, 4), np.nan)
    mine_code, mine_load = code[ever], load[ever]
    from cmvsim.simulation.kernels.cmv_course import run_patients

    run_patients(traits, parameters, visit[ever], _noise(model, draws, ever), mine_code, mine_load, course, episode, knot)
    code[ever], load[ever] = mine_code, mine_load
    return CmvOutcome(
        growth=_spread(traits[:, at.GROWTH], ever, onset.size), offset=_offset(model, draws), visit=visit, code=code,
        load=load, courses=_spread(course, ever, onset.size),
        episodes=_spread(episode, ever, onset.size) if path else None,
        knots=_spread(knot, ever, onset.size) if path else None)


def _spread(part: FloatArray, rows: IntArray, size: int) -> FloatArray:
    """Put the rows of patients with episodes back among all, NaN elsewhere."""
    whole = np.full((size, *part.shape[1:]), np.nan)
    whole[rows] = part
    return whole


def visit_times(model: Model, draws: Draws, monitored_until: FloatArray, full_attendance: bool) -> FloatArray:
    """(P, V) times of the samples as taken, NaN where there is none. Visits are made on whole days."""
    plan = model.monitoring
    times = np.empty((monitored_until.size, len(plan.days)))
    attendance, jitter = float(plan.attendance), float(plan.jitter)
    for column, day in enumerate(plan.days):
        made = np.full(monitored_until.shape, float(day))
        if day > 0:
            if jitter > 0:
                made += np.floor(draws("monitoring.jitter", day_index(day)) * (2 * jitter + 1)) - jitter
            if attendance < 1 and not full_attendance:
                made[draws("monitoring.attendance", day_index(day)) >= attendance] = np.nan
            made[made > monitored_until] = np.nan
        times[:, column] = made
    return times


def _noise(model: Model, draws: Draws, rows: IntArray) -> FloatArray:
    """(A, V) assay noise of the visits, standard normal."""
    days = model.monitoring.days
    if float(model.monitoring.assay_sd_log10) == 0:
        return np.zeros((rows.size, len(days)))
    return np.stack([draws("monitoring.noise", day_index(day))[rows] for day in days], axis=1)


def first_onset_times(model: Model, draws: Draws, population: Population,
                      windows: dict[str, Windows]) -> tuple[FloatArray, FloatArray]:
    """(P,) hazard amplitude of each patient (windows apart) and first onset, +inf beyond the horizon."""
    onset_spec = model.cmv.onset
    ratios = onset_spec.ratios
    log_rate = math.log(float(ratios.score)) * population.score if float(ratios.score) != 1 else np.zeros_like(population.score)
    if float(ratios.prior_allogeneic_hct) != 1:
        log_rate = log_rate + math.log(float(ratios.prior_allogeneic_hct)) * population.prior_allogeneic_hct
    rate = model.baseline.onset_amplitude * np.exp(log_rate)
    p = kernel_parameters(model)
    steroids, toci = windows["corticosteroids"], windows["tocilizumab"]
    onset = np.empty(rate.shape)
    from cmvsim.simulation.kernels.first_onset import first_onsets

    first_onsets(draws("cmv.onset", 0), rate, steroids.start, steroids.stop, toci.start, toci.stop,
                 p[at.ORIGIN], p[at.SCALE], p[at.SHAPE], p[at.S_LOG], p[at.S_WASH], p[at.C_LOG], p[at.C_WASH], p[at.STEP],
                 model.horizon, onset)
    prevalent = _prevalent(model, draws)
    age = float(onset_spec.prevalent_age) * draws("cmv.prevalent_age")
    return rate, np.where(prevalent, model.inclusion_day - age, onset)


def _prevalent(model: Model, draws: Draws) -> BoolArray:
    return draws("cmv.prevalent") < float(model.cmv.onset.prevalent)


def _offset(model: Model, draws: Draws) -> FloatArray:
    """(P,) log10 of the sampled matrix over plasma."""
    law = model.cmv.matrices[model.monitoring.matrix.value].offset
    if law.spread == 0:
        return np.full(draws("cmv.prevalent").shape, law.centre)
    return law.of_normal(draws("cmv.matrix_offset"))


def _traits(model: Model, draws: Draws, population: Population, windows: dict[str, Windows], rows: IntArray,
            rate: FloatArray, onset: FloatArray, monitored_until: FloatArray) -> FloatArray:
    """(A, T) traits of the patients who ever have an episode, in the kernel's layout."""
    load, episodes = model.cmv.load, int(float(model.cmv.onset.episodes))
    steroids, toci = windows["corticosteroids"], windows["tocilizumab"]
    traits = np.empty((rows.size, at.EPISODE_TRAITS + episodes * at.TRAITS_PER_EPISODE))
    traits[:, at.RATE] = rate[rows]
    traits[:, at.GROWTH] = growth_rate(load, draws("cmv.doubling_time")[rows])
    traits[:, at.OFFSET] = _offset(model, draws)[rows]
    traits[:, at.S_START], traits[:, at.S_STOP] = steroids.start[rows], steroids.stop[rows]
    traits[:, at.C_START], traits[:, at.C_STOP] = toci.start[rows], toci.stop[rows]
    traits[:, at.FIRST_ONSET] = onset[rows]
    traits[:, at.MONITORED_UNTIL] = monitored_until[rows]
    by_score = float(load.set_point_shift.score)
    for k in range(episodes):
        e = traits[:, at.EPISODE_TRAITS + k * at.TRAITS_PER_EPISODE:]
        set_point = load.set_point.of_normal(draws("cmv.set_point", k)[rows])
        e[:, at.E_CLOCK] = draws("cmv.onset", k)[rows]
        e[:, at.E_SET_POINT] = set_point + by_score * population.score[rows] if by_score else set_point
        e[:, at.E_PLATEAU] = load.plateau.of_normal(draws("cmv.plateau", k)[rows])
        e[:, at.E_SELF] = draws("cmv.self_limited", k)[rows]
        e[:, at.E_DECAY] = LOG10_2 / load.decay_half_life.of_normal(draws("cmv.decay", k)[rows])
        e[:, at.E_TREATED_DECAY] = LOG10_2 / load.treated.half_life.of_normal(draws("treatment.half_life", k)[rows])
        e[:, at.E_ACCEPTED] = draws("treatment.accepted", k)[rows] < float(model.treatment.accepted)
        e[:, at.E_REGROWS] = draws("treatment.regrowth", k)[rows] < float(load.treated.regrowth)
    return traits


def kernel_parameters(model: Model) -> FloatArray:
    """The parameters in the kernel's layout."""
    onset, load, plan, care = model.cmv.onset, model.cmv.load, model.monitoring, model.treatment
    shape = float(onset.shape)
    p = np.zeros(at.PARAMETERS)
    p[at.V0], p[at.LAG] = float(load.start_log10), float(load.treated.lag)
    p[at.START_AT], p[at.DELAY], p[at.TURNAROUND] = float(care.start_at), float(care.delay), float(plan.turnaround)
    p[at.NEGATIVES] = float(care.stop_after.negatives)
    p[at.MIN_DAYS], p[at.MAX_DAYS] = float(care.stop_after.minimum_days), float(care.stop_after.maximum_days)
    p[at.HORIZON], p[at.ORIGIN] = model.horizon, model.inclusion_day
    p[at.SCALE] = model.baseline.onset_median / math.log(2.0) ** (1 / shape)
    p[at.SHAPE], p[at.RE_EPISODE], p[at.ANTIVIRAL] = shape, float(onset.re_episode), float(onset.ratios.antiviral)
    p[at.S_LOG], p[at.S_WASH] = math.log(float(onset.ratios.corticosteroids)), float(model.toxicity.corticosteroids.washout)
    p[at.C_LOG], p[at.C_WASH] = math.log(float(onset.ratios.tocilizumab)), float(model.toxicity.tocilizumab.washout)
    p[at.STEP], p[at.SHIFT] = float(model.toxicity.washout_step), float(load.set_point_shift.corticosteroids)
    p[at.SELF_LOGIT] = float(special.logit(float(load.self_limited.share)))
    p[at.SELF_SLOPE], p[at.SELF_CENTRE] = float(load.self_limited.slope), load.set_point.centre
    p[at.LOD], p[at.LLOQ], p[at.ASSAY_SD] = float(plan.lod), float(plan.lloq), float(plan.assay_sd_log10)
    p[at.LOG10_LOD] = math.log10(float(plan.lod))
    return p
