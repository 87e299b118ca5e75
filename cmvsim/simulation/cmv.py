"""Sections 5 to 8 for a chunk: traits by numpy, the time-ordered course by the kernels."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import special

from cmvsim.core.records import BoolArray, FloatArray, IntArray
from cmvsim.core.streams import Draws, day_index
from cmvsim.core.value import Value
from cmvsim.models.population import Population
from cmvsim.models.time_grid import on_grid
from cmvsim.models.toxicity import Drug
from cmvsim.models.viral_load import LOG10_2, growth_rate
from cmvsim.models.windows import Windows
from cmvsim.simulation.draws import ChunkDraws
from cmvsim.simulation.kernels import layout as at
from cmvsim.simulation.model import Model


@dataclass(frozen=True, slots=True)
class CmvOutcome:
    """What the CMV course leaves (P = patients x replicates, flat; V visits and C courses first).

    Attributes
    ----------
    growth, offset
        (P,) of the path: None unless it was asked for; growth is NaN for patients without an episode.
    visit, code, load
        (V, P) time, result code and reported load of samples as taken.
    start, stop
        (C, P) antiviral courses.
    episodes
        (P, K, 5) onset, peak, end of plateau, decay, clearance; None unless the path was asked for.
    knots
        (P, J, 4) controlled course: time, log10, slope, episode; None unless the path was asked for.
    """

    growth: FloatArray | None
    offset: FloatArray | None
    visit: FloatArray
    code: NDArray[np.int8]
    load: FloatArray
    start: FloatArray
    stop: FloatArray
    episodes: FloatArray | None
    knots: FloatArray | None

    @property
    def first_treatment(self) -> FloatArray:
        """(P,) start of the first course, +inf if none."""
        first = self.start[0]
        return np.where(np.isnan(first), np.inf, first)


def simulate_cmv(
    model: Model,
    draws: ChunkDraws,
    population: Population,
    windows: Mapping[Drug, Windows],
    monitored_until: FloatArray,
    *,
    path: bool,
    full_attendance: bool,
) -> CmvOutcome:
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
    from cmvsim.simulation.kernels.cmv_course import run_patients

    size = monitored_until.size
    visit, code, load, last = planned_visits(model, draws, monitored_until, full_attendance)
    parameters = kernel_parameters(model)
    rate, onset = first_onset_times(model, draws, population, windows, parameters)
    # an episode after the last sample leaves no trace but in the path
    ever = np.flatnonzero(onset < np.inf if path else onset <= last)
    offset, noise = _offset(model, draws), _noise(model, draws)
    if not path:
        ever = ever[_may_be_seen(model, draws, population, windows, ever, rate, offset, noise, parameters)]
    traits = _traits(model, draws, population, windows, ever, rate, onset, offset, monitored_until, parameters)
    k = int(float(model.cmv.onset.episodes))
    most = int(parameters[at.COURSES])
    start, stop = np.full((most, size), np.nan), np.full((most, size), np.nan)
    kept = size if path else 0
    episode = np.full((kept, k, 5), np.nan)
    knot = np.full((kept, 2 * most + k, 4), np.nan)
    run_patients(ever, traits, parameters, visit, noise, code, load, start, stop, episode, knot)
    growth = None
    if path:
        growth = np.full(size, np.nan)
        growth[ever] = traits[at.GROWTH]
    return CmvOutcome(
        growth, offset if path else None, visit, code, load, start, stop, episode if path else None, knot if path else None
    )


def planned_visits(
    model: Model, draws: ChunkDraws, monitored_until: FloatArray, full_attendance: bool
) -> tuple[FloatArray, NDArray[np.int8], FloatArray, FloatArray]:
    """(V, P) times of the samples as taken, NaN where there is none, and what they show without CMV.

    That is a code and a load each; the last result is (P,), the time of the last sample, -inf if there is none.

    Visits are made on whole days; those at or before infusion by everybody, on the day.
    """
    from cmvsim.simulation.kernels.visits import plan_visits

    plan = model.monitoring
    attendance, jitter = float(plan.attendance), float(plan.jitter)
    later = tuple(day_index(day) for day in plan.days if day > 0)
    none = np.empty((0, 0))
    moved = draws.together("monitoring.jitter", later) if jitter > 0 else none
    missed = draws.together("monitoring.attendance", later) if attendance < 1 and not full_attendance else none
    shape = (len(plan.days), monitored_until.size)
    times, code, load = np.empty(shape), np.empty(shape, dtype=np.int8), np.empty(shape)
    last = np.empty(monitored_until.size)
    plan_visits(
        np.array(plan.days, dtype=np.float64), moved, jitter, missed, attendance, monitored_until, times, code, load, last
    )
    return times, code, load, last


def visit_times(model: Model, draws: ChunkDraws, monitored_until: FloatArray, full_attendance: bool) -> FloatArray:
    """(P, V) times of the samples as taken, NaN where there is none."""
    return planned_visits(model, draws, monitored_until, full_attendance)[0].T


def _noise(model: Model, draws: ChunkDraws) -> FloatArray:
    """(V, P) assay noise of the visits, standard normal."""
    days = model.monitoring.days
    if float(model.monitoring.assay_sd_log10) == 0:
        return np.zeros((len(days), draws.patients * draws.replicates))
    return draws.together("monitoring.noise", tuple(day_index(day) for day in days))


def first_onset_times(
    model: Model, draws: Draws, population: Population, windows: Mapping[Drug, Windows], p: FloatArray
) -> tuple[FloatArray, FloatArray]:
    """(P,) hazard amplitude of each patient (windows apart) and first onset, +inf beyond the horizon."""
    from cmvsim.simulation.kernels.first_onset import first_onsets

    onset_spec = model.cmv.onset
    rate = _onset_rates(model, draws, population)
    steroids, toci = windows["corticosteroids"], windows["tocilizumab"]
    onset = np.empty(rate.shape)
    first_onsets(
        draws("cmv.onset", 0),
        rate,
        steroids.start,
        steroids.stop,
        toci.start,
        toci.stop,
        p[at.ORIGIN],
        p[at.SCALE],
        p[at.SHAPE],
        p[at.S_LOG],
        p[at.S_WASH],
        p[at.C_LOG],
        p[at.C_WASH],
        p[at.STEP],
        model.horizon,
        onset,
    )
    prevalent = np.flatnonzero(draws("cmv.prevalent") < float(onset_spec.prevalent))
    onset[prevalent] = model.inclusion_day - float(onset_spec.prevalent_age) * draws("cmv.prevalent_age")[prevalent]
    return rate, onset


def _onset_rates(model: Model, draws: Draws, population: Population) -> FloatArray:
    """(P,) hazard amplitude of each patient, windows apart."""
    ratios = model.cmv.onset.ratios
    by_score, by_hct = float(ratios.score), float(ratios.prior_allogeneic_hct)
    if by_score == 1 and by_hct == 1:
        return np.full(draws("cmv.prevalent").shape, model.baseline.onset_amplitude)
    log_rate = math.log(by_score) * population.score if by_score != 1 else np.zeros(draws("cmv.prevalent").shape)
    if by_hct != 1:
        log_rate = log_rate + math.log(by_hct) * population.prior_allogeneic_hct
    return model.baseline.onset_amplitude * np.exp(log_rate)


def _offset(model: Model, draws: Draws) -> FloatArray:
    """(P,) log10 of the sampled matrix over plasma."""
    law = model.cmv.matrices[model.monitoring.matrix.value].offset
    if law.spread == 0:
        return np.full(draws("cmv.prevalent").shape, law.centre)
    return law.of_normal(draws("cmv.matrix_offset"))


def _may_be_seen(
    model: Model,
    draws: Draws,
    population: Population,
    windows: Mapping[Drug, Windows],
    rows: IntArray,
    rate: FloatArray,
    offset: FloatArray,
    noise: FloatArray,
    p: FloatArray,
) -> BoolArray:
    """Which of the patients `rows` could have a detected sample at all.

    A third of all episodes never rise to the limit of detection, whatever the noise of the patient's samples: nothing is
    seen of them, so nobody is treated, and without the path they leave no trace. The bound is generous: peaks of all
    episodes whose clock may ring, with the steroid shift for whoever has steroids, and the largest noise of any visit.
    """
    load = model.cmv.load
    by_score = float(load.set_point_shift.score)
    treated = windows["corticosteroids"].start[rows] < np.inf
    raised = max(p[at.SHIFT], 0.0) * treated
    if by_score:
        raised = raised + by_score * population.score[rows]
    peak = load.set_point.of_normal(draws("cmv.set_point", 0)[rows])
    for k in range(1, int(float(model.cmv.onset.episodes))):
        rings = np.flatnonzero(draws("cmv.onset", k)[rows] <= rate[rows] * p[at.HIGHEST_RATIO] * (1 + 1e-9) + 1e-9)
        peak[rings] = np.maximum(peak[rings], load.set_point.of_normal(draws("cmv.set_point", k)[rows[rings]]))
    highest = noise.max(axis=0)[rows] if noise.size else np.zeros(rows.size)
    seen = np.maximum(peak + raised, p[at.V0]) + offset[rows] + p[at.ASSAY_SD] * highest
    return np.asarray(seen > p[at.LOG10_LOD] - 0.05)


def _traits(
    model: Model,
    draws: Draws,
    population: Population,
    windows: Mapping[Drug, Windows],
    rows: IntArray,
    rate: FloatArray,
    onset: FloatArray,
    offset: FloatArray,
    monitored_until: FloatArray,
    p: FloatArray,
) -> FloatArray:
    """(T, A) traits of the patients who ever have an episode, in the kernel's layout."""
    load, episodes = model.cmv.load, int(float(model.cmv.onset.episodes))
    steroids, toci = windows["corticosteroids"], windows["tocilizumab"]
    traits = np.empty((at.EPISODE_TRAITS + episodes * at.TRAITS_PER_EPISODE, rows.size))
    # `rows` are positions of the arrays they index, so that no index is out of bounds; "clip" spares numpy a copy
    for position, column in (
        (at.RATE, rate),
        (at.OFFSET, offset),
        (at.FIRST_ONSET, onset),
        (at.S_START, steroids.start),
        (at.S_STOP, steroids.stop),
        (at.C_START, toci.start),
        (at.C_STOP, toci.stop),
        (at.MONITORED_UNTIL, monitored_until),
    ):
        column.take(rows, out=traits[position], mode="clip")
    traits[at.GROWTH] = growth_rate(load, draws("cmv.doubling_time")[rows])
    begins = np.arange(rows.size)  # who may begin episode k: all the first, later ones if the clock may ring at all
    for k in range(episodes):
        e = traits[at.EPISODE_TRAITS + k * at.TRAITS_PER_EPISODE :][: at.TRAITS_PER_EPISODE]
        clock = draws("cmv.onset", k)
        if k > 0:
            e[:] = np.nan
            bound = rate[rows[begins]] * p[at.HIGHEST_RATIO] * (1 + 1e-9) + 1e-9
            begins = begins[clock[rows[begins]] <= bound]
        clock.take(rows, out=e[at.E_CLOCK], mode="clip")
        _episode_traits(model, draws, population, k, rows[begins], begins if k > 0 else slice(None), e)
    return traits


def _episode_traits(
    model: Model, draws: Draws, population: Population, k: int, rows: IntArray, to: IntArray | slice, e: FloatArray
) -> None:
    """Fill columns `to` of the traits `e` of episode `k` for patients `rows`."""
    load, by_score = model.cmv.load, float(model.cmv.load.set_point_shift.score)
    set_point = load.set_point.of_normal(draws("cmv.set_point", k)[rows])
    e[at.E_SET_POINT, to] = set_point + by_score * population.score[rows] if by_score else set_point
    e[at.E_PLATEAU, to] = load.plateau.of_normal(draws("cmv.plateau", k)[rows])
    e[at.E_SELF, to] = draws("cmv.self_limited", k)[rows]
    e[at.E_DECAY, to] = LOG10_2 / load.decay_half_life.of_normal(draws("cmv.decay", k)[rows])
    e[at.E_TREATED_DECAY, to] = LOG10_2 / load.treated.half_life.of_normal(draws("treatment.half_life", k)[rows])
    e[at.E_ACCEPTED, to] = draws("treatment.accepted", k)[rows] < float(model.treatment.accepted)
    e[at.E_REGROWS, to] = draws("treatment.regrowth", k)[rows] < float(load.treated.regrowth)


def grid_days(value: Value) -> float:
    """An operational duration on the grid of times."""
    return float(on_grid(np.float64(float(value))))


def kernel_parameters(model: Model) -> FloatArray:
    """The parameters in the kernel's layout."""
    from cmvsim.simulation.kernels.hazard import not_yet

    onset, load, plan, care = model.cmv.onset, model.cmv.load, model.monitoring, model.treatment
    shape = float(onset.shape)
    p = np.zeros(at.PARAMETERS)
    p[at.V0], p[at.LAG] = float(load.start_log10), float(load.treated.lag)
    p[at.START_AT], p[at.DELAY], p[at.TURNAROUND] = float(care.start_at), grid_days(care.delay), grid_days(plan.turnaround)
    p[at.NEGATIVES] = float(care.stop_after.negatives)
    p[at.MIN_DAYS], p[at.MAX_DAYS] = grid_days(care.stop_after.minimum_days), grid_days(care.stop_after.maximum_days)
    p[at.HORIZON], p[at.ORIGIN] = model.horizon, model.inclusion_day
    p[at.SCALE] = model.baseline.onset_median / math.log(2.0) ** (1 / shape)
    p[at.SHAPE], p[at.RE_EPISODE], p[at.ANTIVIRAL] = shape, float(onset.re_episode), float(onset.ratios.antiviral)
    p[at.S_LOG], p[at.S_WASH] = math.log(float(onset.ratios.corticosteroids)), grid_days(model.toxicity.corticosteroids.washout)
    p[at.C_LOG], p[at.C_WASH] = math.log(float(onset.ratios.tocilizumab)), grid_days(model.toxicity.tocilizumab.washout)
    p[at.HIGHEST_RATIO] = p[at.RE_EPISODE] * max(p[at.ANTIVIRAL], 1.0) * math.exp(max(p[at.S_LOG], 0.0) + max(p[at.C_LOG], 0.0))
    p[at.STEP], p[at.SHIFT] = grid_days(model.toxicity.washout_step), float(load.set_point_shift.corticosteroids)
    p[at.SELF_LOGIT] = float(special.logit(float(load.self_limited.share)))
    p[at.SELF_SLOPE], p[at.SELF_CENTRE] = float(load.self_limited.slope), load.set_point.centre
    p[at.LOD], p[at.LLOQ], p[at.ASSAY_SD] = float(plan.lod), float(plan.lloq), float(plan.assay_sd_log10)
    p[at.LOG10_LOD], p[at.LOG10_LLOQ] = math.log10(float(plan.lod)), math.log10(float(plan.lloq))
    p[at.COURSES] = 1 + int((model.horizon - min(plan.days[0], 0)) // grid_days(care.stop_after.minimum_days))
    p[at.HORIZON_SURVIVAL] = not_yet(p[at.HORIZON], p[at.ORIGIN], p[at.SCALE], p[at.SHAPE])
    return p
