"""Section 5 for a chunk: each patient's hazard of onset, its factors, and the first onset."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from cmvsim.core.records import FloatArray, IntArray
from cmvsim.core.streams import Draws
from cmvsim.core.value import Value
from cmvsim.models.time_grid import on_grid
from cmvsim.models.windows import Windows
from cmvsim.simulation.background import Background
from cmvsim.simulation.model import Model

ADULT_FROM = 18


@dataclass(frozen=True, slots=True)
class Factor:
    """A factor on the onset hazard: a window, its log ratio, and what follows it.

    Attributes
    ----------
    start, stop
        (P,); +inf where there is no window.
    log_ratio
        Within the window: one number, or (P,).
    after
        Log ratio from which it declines after the window: one number, or (P,).
    washout, step
        Days of the decline, and of each of its steps.
    """

    start: FloatArray
    stop: FloatArray
    log_ratio: float | FloatArray
    after: float | FloatArray = 0.0
    washout: float = 0.0
    step: float = 1.0


@dataclass(frozen=True, slots=True)
class Factors:
    """All factors of a chunk, letermovir first."""

    members: tuple[Factor, ...]

    @property
    def shared(self) -> FloatArray:
        """(F, 2) wash-out and its steps, as the kernels take them."""
        return np.array([[factor.washout, factor.step] for factor in self.members])

    def windows(self, rows: IntArray) -> FloatArray:
        """(4 F, A) start, stop and both log ratios of each factor for patients `rows`, as the kernels take them."""
        found = np.empty((4 * len(self.members), rows.size))
        for j, factor in enumerate(self.members):
            for i, value in enumerate((factor.start, factor.stop, factor.log_ratio, factor.after)):
                found[4 * j + i] = value[rows] if isinstance(value, np.ndarray) else value
        return found

    def log_bound(self, size: int, horizon: float) -> FloatArray:
        """(P,) the log of the product of factors is never above it up to the horizon."""
        bound = np.zeros(size)
        for factor in self.members:
            highest = np.maximum(np.maximum(factor.log_ratio, factor.after if factor.washout > 0 else 0.0), 0.0)
            if np.any(highest > 0):
                bound += np.where(factor.start <= horizon, highest, 0.0)
        return bound


def onset_factors(model: Model, background: Background) -> Factors:
    """The factors that act in this model: those with a ratio of 1 are left out, and what they stand on is not drawn."""
    ratios, toxicity = model.cmv.onset.ratios, background.toxicity
    found, step = [_letermovir(model, background)], grid_days(model.toxicity.washout_step)
    for drug in ("corticosteroids", "tocilizumab", "anakinra"):
        log_ratio = math.log(float(getattr(ratios, drug)))
        if log_ratio:
            course, washout = toxicity.courses[drug], grid_days(getattr(model.toxicity, drug).washout)
            found.append(Factor(course.start, course.stop, log_ratio, log_ratio, washout, step))
    for name in ("severe_crs", "severe_icans"):
        log_ratio = math.log(float(getattr(ratios, name)))
        if log_ratio:
            severe: Windows = getattr(toxicity, name)
            washout = grid_days(model.cmv.onset.severe_toxicity_washout)
            found.append(Factor(severe.start, severe.stop, log_ratio, log_ratio, washout, step))
    found += _virome(model, background)
    log_ratio = math.log(float(ratios.expansion))
    if log_ratio:
        kinetics = background.kinetics
        found.append(_from(kinetics.tmax, log_ratio / math.log(2.0) * kinetics.expansion))
    return Factors(tuple(found))


def _from(start: FloatArray, log_ratio: float | FloatArray) -> Factor:
    """A factor that acts from a time on, for good."""
    return Factor(start, np.full(start.shape, np.inf), log_ratio)


def _letermovir(model: Model, background: Background) -> Factor:
    """Letermovir as planned: the CMV course may end it early, so that it is a factor even where nobody takes it."""
    course = background.prophylaxis
    if course is None:
        never = np.full(background.population.stratum.shape, np.inf)
        return Factor(never, never, 0.0)
    acts, rebound = course.acts, model.letermovir.rebound
    start, stop = (np.where(acts, times, np.inf) for times in (course.start, course.stop))
    return Factor(start, stop, course.log_ratio, course.log_rebound, grid_days(rebound.days), grid_days(rebound.step))


def _virome(model: Model, background: Background) -> list[Factor]:
    ratios, virome = model.cmv.onset.ratios, background.virome
    found = []
    log_high, log_incident = math.log(float(ratios.high_anellovirus)), math.log(float(ratios.incident_virus))
    if log_high:
        found.append(_from(virome.first_high(), log_high))
    if log_incident:
        first = np.minimum(virome.acquired("anellovirus"), virome.acquired("pegivirus"))
        found.append(_from(first, log_incident))
    return found


def onset_rates(model: Model, background: Background) -> FloatArray:
    """(P,) hazard amplitude of each patient, factors with a window apart; 0 for seronegative patients."""
    ratios, population = model.cmv.onset.ratios, background.population
    log_rate = np.zeros(population.stratum.shape)
    if float(ratios.score) != 1:
        log_rate += math.log(float(ratios.score)) * population.score
    diseases = np.array([stratum.disease == "leukaemia" for stratum in model.population.strata.values()])
    traits = (
        (ratios.prior_allogeneic_hct, lambda: population.prior_allogeneic_hct),
        (ratios.leukaemia, lambda: diseases[population.stratum]),
        (ratios.child, lambda: population.age < ADULT_FROM),
        (ratios.lymphopenia, lambda: population.lymphocytes < float(model.cmv.onset.lymphopenia_below)),
    )
    for ratio, has in traits:
        if float(ratio) != 1:
            log_rate += math.log(float(ratio)) * has()
    rate: FloatArray = model.baseline.onset_amplitude * np.exp(log_rate)
    if float(model.population.seropositive_enrolled) < 1:
        rate = np.where(population.seropositive, rate, 0.0)
    return rate


def first_onset_times(
    model: Model, draws: Draws, rate: FloatArray, factors: Factors, log_bound: FloatArray | None = None
) -> FloatArray:
    """(P,) first onset, +inf beyond the horizon; `log_bound` of the factors, if it is known."""
    from cmvsim.simulation.kernels.first_onset import first_onsets
    from cmvsim.simulation.kernels.hazard import not_yet

    spec, shape = model.cmv.onset, float(model.cmv.onset.shape)
    scale = model.baseline.onset_median / math.log(2.0) ** (1 / shape)
    clock = draws("cmv.onset", 0)
    reach = 1 - not_yet(model.horizon, model.inclusion_day, scale, shape)
    if log_bound is None:
        log_bound = factors.log_bound(rate.size, model.horizon)
    bound = rate * np.exp(log_bound) * reach * (1 + 1e-12)
    rows = np.flatnonzero(bound >= clock)  # the others never reactivate, whatever their factors do when
    found = np.empty(rows.size)
    first_onsets(
        clock[rows],
        rate[rows],
        factors.windows(rows),
        factors.shared,
        model.inclusion_day,
        scale,
        shape,
        model.horizon,
        found,
    )
    onset = np.full(rate.shape, np.inf)
    onset[rows] = found
    prevalent = np.flatnonzero((draws("cmv.prevalent") < float(spec.prevalent)) & (rate > 0))
    onset[prevalent] = model.inclusion_day - float(spec.prevalent_age) * draws("cmv.prevalent_age")[prevalent]
    return onset


def grid_days(value: Value) -> float:
    """An operational duration on the grid of times."""
    return float(on_grid(np.float64(float(value))))
