"""Section 15 for a chunk: who gets letermovir, from when to when as planned, and how strongly it acts in each patient.

Courses are laid down before the loop of CMV begins: they depend on baseline, toxicity, the measured virome and section
12a. Only the stop at the start of pre-emptive therapy is a matter of the loop (:meth:`Prophylaxis.stopped_at`).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence

import numpy as np

from cmvsim.core.records import BoolArray, FloatArray, IntArray
from cmvsim.core.streams import Draws
from cmvsim.models.follow_up import TARGET_DAY, FollowUp, exponential_rate
from cmvsim.models.population import Population
from cmvsim.models.prophylaxis import Prophylaxis, without
from cmvsim.models.strategies import LetermovirEffect, LetermovirSpec, StrategySpec, WhoSpec
from cmvsim.models.time_grid import on_grid
from cmvsim.models.toxicity import Drug
from cmvsim.models.windows import Windows

MeasuredTtv = Callable[[int], FloatArray]
"""Measured log10 load of TTV on a planned day: (P,), NaN or -inf where no sample was taken or nothing was detected."""
SHORTEST = 1.0
"""Days: who took a first dose counts as having taken it for a day."""


def prophylaxis(
    strategies: StrategySpec | Sequence[StrategySpec],
    spec: LetermovirSpec,
    effect: LetermovirEffect,
    population: Population,
    toxicity: Mapping[Drug, Windows],
    follow_up: FollowUp,
    ttv_measured: MeasuredTtv | None,
    draws: Draws,
    horizon: float,
    *,
    arm: IntArray | None = None,
) -> Prophylaxis:
    """Courses of prophylaxis under a strategy, or under the strategy of each patient's arm.

    Parameters
    ----------
    strategies
        One strategy, or one for each arm.
    effect
        Solved or given; ``LetermovirEffect(1, 0)`` for a drug that does nothing.
    toxicity
        Courses by drug; only ``"corticosteroids"`` is read, (P,) or (W, P).
    follow_up
        Times of section 12a, for the events that end a course.
    ttv_measured
        The virome's assay; needed by strategies that measure TTV only.
    horizon
        A course that would begin on it or later does not exist.
    arm
        (P,) index into `strategies`; None with one strategy. A patient has the same chance in every arm.

    Returns
    -------
    Prophylaxis
    """
    plans = (strategies,) if isinstance(strategies, StrategySpec) else tuple(strategies)
    size = population.stratum.size
    if arm is None:
        if len(plans) != 1:
            raise ValueError("several strategies need the arm of each patient")
        arm = np.zeros(size, dtype=np.int64)
    start, stop, dose = _by_arm(plans, arm, population, toxicity, ttv_measured, horizon)
    if not np.isfinite(start).any():
        none = np.zeros(size)
        return Prophylaxis(start, stop, none, none, none, none, none, none)
    stop = np.minimum(stop, start + _other_reasons(spec, draws))
    adherence = np.clip(spec.adherence.of_normal(draws("prophylaxis.adherence")), 0.0, 1.0)
    courses = Prophylaxis(
        start,
        stop,
        dose,
        adherence,
        log_ratio=adherence * math.log(effect.onset_ratio),
        shift=adherence * effect.set_point_shift,
        log_rebound=adherence * spec.log_rebound,
        log_disease=adherence * spec.log_disease,
    )
    courses = without(courses, ~np.isfinite(start))
    for name, times in (("hct", follow_up.hct), ("new_therapy", follow_up.new_therapy)):
        if name in spec.stopped_by.value:
            courses = courses.stopped_at(on_grid(times))
    return courses


def _by_arm(
    plans: Sequence[StrategySpec],
    arm: IntArray,
    population: Population,
    toxicity: Mapping[Drug, Windows],
    ttv_measured: MeasuredTtv | None,
    horizon: float,
) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Start, planned stop and dose of everybody under the strategy of the patient's arm."""
    size = arm.size
    start, stop, dose = np.full(size, np.inf), np.full(size, np.inf), np.zeros(size)
    for index, plan in enumerate(plans):
        if plan.prophylaxis == "none":
            continue
        first, last = _planned(plan, population, toxicity, ttv_measured)
        mine = (arm == index) & (first < last) & (first < horizon)
        start = np.where(mine, first, start)
        stop = np.where(mine, last, stop)
        dose = np.where(mine, _value(plan.dose), dose)
    return start, stop, dose


def _other_reasons(spec: LetermovirSpec, draws: Draws) -> FloatArray:
    """Days from the first dose to a stop for other reasons than plan."""
    rate = exponential_rate(float(spec.discontinued_by_90), TARGET_DAY)
    clock = draws("prophylaxis.discontinuation")
    return np.maximum(on_grid(clock / rate), SHORTEST) if rate > 0 else np.full(clock.shape, np.inf)


def _planned(
    plan: StrategySpec, population: Population, toxicity: Mapping[Drug, Windows], ttv_measured: MeasuredTtv | None
) -> tuple[FloatArray, FloatArray]:
    """Start and planned stop of everybody under one strategy, +inf for those it does not concern."""
    assert plan.who is not None
    assert plan.start is not None
    delay = float(on_grid(np.float64(_value(plan.start.delay))))
    start = np.full(population.stratum.size, float(on_grid(np.float64(_value(plan.start.day)))))
    if plan.start.trigger is not None:
        trigger = toxicity[plan.start.trigger].start
        start = np.maximum(start, (trigger.min(axis=0) if trigger.ndim > 1 else trigger) + delay)
    if plan.who.ttv is not None:
        start = np.maximum(start, float(on_grid(np.float64(plan.who.ttv.known))) + delay)
    start = np.where(_chosen(plan.who, population, ttv_measured), start, np.inf)
    stop = start + float(on_grid(np.float64(_value(plan.duration))))
    if plan.latest_stop is not None:
        stop = np.minimum(stop, float(on_grid(np.float64(_value(plan.latest_stop)))))
    return start, stop


def _chosen(who: WhoSpec, population: Population, ttv_measured: MeasuredTtv | None) -> BoolArray:
    """Whom a strategy selects, by what was measured."""
    rule = who.baseline
    if rule is not None:
        points = np.zeros(population.stratum.size)
        if rule.lymphocytes_below is not None:
            points += population.lymphocytes < float(rule.lymphocytes_below)
        if rule.prior_allogeneic_hct:
            points += population.prior_allogeneic_hct
        if rule.hematotox_high:
            points += _hematotox_high(population)
        return np.asarray(points >= float(rule.points))
    if who.ttv is not None:
        if ttv_measured is None:
            raise ValueError("a strategy measures TTV, but the virome is not simulated")
        # a missing sample (NaN) is not high
        return np.asarray(ttv_measured(who.ttv.day) >= float(who.ttv.log10_at_least))
    return np.ones(population.stratum.size, dtype=np.bool_)


def _hematotox_high(population: Population) -> BoolArray:
    high = getattr(population, "hematotox_high", None)
    if high is None:
        raise ValueError("a strategy selects by CAR-HEMATOTOX, which the population does not have")
    return np.asarray(high, dtype=np.bool_)


def _value(value: object) -> float:
    return float(value)  # type: ignore[arg-type]  # a strategy with a drug has all of them (StrategySpec)
