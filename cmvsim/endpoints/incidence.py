"""Rates: estimators of the cumulative incidence of a first event, shared by the endpoints that ask for one."""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal

import numpy as np

from cmvsim.core.records import Estimates, FloatArray, Status
from cmvsim.data.study import Study, Topic
from cmvsim.endpoints.analysis import AnalysisSpec
from cmvsim.endpoints.base import Estimator, EstimatorChoice, Sizes, at_each_size
from cmvsim.endpoints.derived import EVENT, EXCLUDED, GroupedTimeToEvent, TimeToEvent
from cmvsim.endpoints.population import PARTS, also, part_of

Derive = Callable[[Study, AnalysisSpec], TimeToEvent]


def aalen_johansen_at_window(derived: TimeToEvent, plan: AnalysisSpec, sizes: Sizes) -> Estimates:
    """Cumulative incidence at the end of the window."""
    from cmvsim.estimators.competing import aalen_johansen

    return aalen_johansen(
        derived.time,
        derived.cause,
        float(plan.window),
        variance=plan.variance,
        interval=plan.interval,
        level=plan.level,
        nested=sizes,
    )


def crude_proportion(method: Literal["wilson", "clopper-pearson"]) -> Estimator:
    """Proportion with an event among those who entered, however long they were followed."""

    def estimate(derived: TimeToEvent, plan: AnalysisSpec, sizes: Sizes) -> Estimates:
        from cmvsim.estimators.proportions import proportion

        last = [n - 1 for n in sizes]
        happened = np.cumsum(derived.cause == EVENT, axis=1)[:, last]
        entered = np.cumsum(derived.cause >= 0, axis=1)[:, last]
        return proportion(happened, entered, method=method, level=plan.level)

    return estimate


def one_minus_kaplan_meier(derived: TimeToEvent, plan: AnalysisSpec, sizes: Sizes) -> Estimates:
    """1 - KM with competing events censored: biased upwards, shown because it is often done."""
    from cmvsim.estimators.survival import kaplan_meier

    event = np.where(derived.cause < 0, -1, derived.cause == EVENT)
    survival = kaplan_meier(derived.time, event, float(plan.window), interval=plan.interval, level=plan.level, nested=sizes)
    return Estimates(
        1 - survival.estimate,
        survival.se,
        1 - survival.ci_high,
        1 - survival.ci_low,
        survival.n,
        survival.events,
        survival.status,
        survival.level,
        "1 - Kaplan-Meier, " + survival.method,
    )


def _time_lost(derived: TimeToEvent, plan: AnalysisSpec) -> dict[str, Estimates]:
    """Restricted mean time lost to the event within the window, in days."""
    from cmvsim.estimators.restricted_mean import restricted_mean_time_lost

    return {"days": restricted_mean_time_lost(derived.time, derived.cause, float(plan.window), level=plan.level)}


CRUDE = "biased downwards: who is censored counts as free of the event"

INCIDENCE = (
    EstimatorChoice("aalen_johansen", "Cumulative incidence (Aalen-Johansen)", aalen_johansen_at_window),
    EstimatorChoice("crude_wilson", "Crude proportion, Wilson", crude_proportion("wilson"), note=CRUDE),
    EstimatorChoice(
        "crude_clopper_pearson", "Crude proportion, Clopper-Pearson", crude_proportion("clopper-pearson"), note=CRUDE
    ),
    EstimatorChoice(
        "one_minus_km", "1 - Kaplan-Meier", one_minus_kaplan_meier, note="biased: treats competing deaths as censored"
    ),
    EstimatorChoice(
        "relapse_competing", "Cumulative incidence, relapse competing", aalen_johansen_at_window, plan={"relapse": "competing"}
    ),
    EstimatorChoice(
        "relapse_censored", "Cumulative incidence, censored at relapse", aalen_johansen_at_window, plan={"relapse": "censor"}
    ),
    EstimatorChoice(
        "time_lost",
        "Restricted mean time lost to the event",
        at_each_size(_time_lost),  # an area summed over the times of more patients differs in the last bit
        scale="mean",
        terms=lambda _: ("days",),
        note="days of the window after the event, averaged over all patients",
    ),
)
"""The first is primary wherever a rate is asked for."""


def by_part(derive: Derive) -> Callable[[Study, AnalysisSpec], GroupedTimeToEvent]:
    """A derivation that keeps the parts of the study apart, from one of both together.

    Raises
    ------
    InputError
        When derived, if the parts were not recorded.
    """

    def grouped(study: Study, plan: AnalysisSpec) -> GroupedTimeToEvent:
        group = part_of(study, "the parts of the study are to be combined")
        whole = derive(study, plan.model_copy(update={"parts": "pooled"}))
        excluded = also(dict(whole.excluded), "part of the study not recorded", group < 0, study)
        cause = np.where(group < 0, np.int8(EXCLUDED), whole.cause).astype(np.int8)
        return GroupedTimeToEvent(whole.time, cause, np.where(cause < 0, -1, group), PARTS, excluded)

    return grouped


def inverse_variance(derived: GroupedTimeToEvent, plan: AnalysisSpec, sizes: Sizes) -> Estimates:
    """Cumulative incidences of the parts combined with inverse-variance weights on the complementary log-log scale.

    A part with nobody in it has no weight: with one part only, the result is that part's own. A part in which nobody or
    everybody had the event has no finite value on this scale, so that the combination is not estimable.

    Notes
    -----
    theta = log(-log(1 - F)), se(theta) = se(F) / ((1 - F) |log(1 - F)|); fixed-effect weights 1 / se(theta)^2. The standard
    error given is that of F, by the delta method; the limits are theta +- z se(theta), taken back.
    """
    from cmvsim.estimators.intervals import normal_quantile

    parts = [aalen_johansen_at_window(derived.only(g), plan, sizes) for g in range(len(derived.groups))]
    theta, se = (np.stack(list(arrays)) for arrays in zip(*(_cloglog(part) for part in parts), strict=True))
    filled = np.stack([part.status != Status.EMPTY for part in parts])
    fine = np.stack([part.status == Status.OK for part in parts])
    with np.errstate(invalid="ignore", divide="ignore", over="ignore"):
        weight = np.where(filled, 1 / se**2, 0.0)
        total = weight.sum(axis=0)
        middle = np.where(filled, weight * theta, 0.0).sum(axis=0) / total
        spread = 1 / np.sqrt(total)
        z = normal_quantile(plan.level)
        estimate, low, high = (-np.expm1(-np.exp(middle + k * spread)) for k in (0, -z, z))
        plain_se = (1 - estimate) * -np.log1p(-estimate) * spread
    status = np.where(np.all(fine | ~filled, axis=0), int(Status.OK), int(Status.NOT_ESTIMABLE)).astype(np.int64)
    values = np.where(status == Status.OK, np.stack([estimate, plain_se, low, high]), np.nan)
    for g, part in enumerate(parts):  # alone: as it is, with its exact bounds
        alone = filled[g] & (filled.sum(axis=0) == 1)
        values = np.where(alone, np.stack([part.estimate, part.se, part.ci_low, part.ci_high]), values)
        status = np.where(alone, part.status, status)
    nobody = ~filled.any(axis=0)
    estimate, plain_se, low, high = np.where(nobody, np.nan, values)
    status = np.where(nobody, int(Status.EMPTY), status)
    n, events = (np.sum([getattr(part, name) for part in parts], axis=0) for name in ("n", "events"))
    method = f"{parts[0].method}; parts by inverse variance, cloglog scale"
    return Estimates(estimate, plain_se, low, high, n, events, status, plan.level, method)


def _cloglog(part: Estimates) -> tuple[FloatArray, FloatArray]:
    """Estimate and standard error on the complementary log-log scale."""
    with np.errstate(divide="ignore", invalid="ignore"):
        log_free = np.log1p(-part.estimate)
        return np.log(-log_free), part.se / ((1 - part.estimate) * -log_free)


def by_parts(derive: Derive) -> tuple[EstimatorChoice, ...]:
    """Analyses of a study with a retrospective and a prospective part, beside the pooled one.

    Where a study does not say which part its patients belong to they are not available; where it has no retrospective part
    both equal the primary analysis.
    """
    return (
        EstimatorChoice(
            "prospective",
            "Cumulative incidence, prospective part alone",
            aalen_johansen_at_window,
            plan={"parts": "prospective"},
            reads=frozenset({Topic.BASELINE}),
        ),
        EstimatorChoice(
            "inverse_variance",
            "Cumulative incidence, inverse-variance over the parts",
            inverse_variance,
            derive=by_part(derive),
            reads=frozenset({Topic.BASELINE}),
        ),
    )
