"""From dated resource use to cost per day and component, and to the days that the attributable cost compares."""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from cmvsim.core.definition import Definition
from cmvsim.core.errors import InputError, Problem
from cmvsim.core.records import BoolArray, FloatArray
from cmvsim.data.study import COMPONENTS, EndReason, Resources, Study
from cmvsim.endpoints.analysis import AnalysisSpec
from cmvsim.endpoints.cmv_status import first_disease, first_qualifying
from cmvsim.endpoints.derived import Cost
from cmvsim.endpoints.population import also, anybody, left_out
from cmvsim.valuation import PriceList, price_list, study_prices

Exposure = Literal["any_dnaemia", "clinically_significant", "disease"]
"""What the illness is: a detected sample; treatment or disease; disease."""

PER_STRATUM = 4
"""States of a day within a stratum, in the matching key."""


def cost_of(exposure: Exposure) -> Callable[[Study, AnalysisSpec], Cost]:
    """Derivation of cost per day, with the illness beginning on the first day of an exposure.

    The exposure is that of the endpoint, not the plan's definition of reactivation. Resource use is known until
    withdrawal, loss or the end of the study: a new therapy or transplantation ends CMV monitoring but not costs (treatment
    policy). A patient whose monitoring was completed within the closing window of the end is known to the end.

    The key of a day is the state on the evening before it: stratum, in hospital or not, on corticosteroids or not. So a stay
    or course that the infection brings on its first day does not decide who is compared. From the day after CMV monitoring
    ended a patient is no control.
    """

    def derive(study: Study, plan: AnalysisSpec) -> Cost:
        first, prevalent = first_day(study, plan, exposure)
        end, reason, window = study.disposition.end, study.disposition.reason, float(plan.window)
        left = np.isin(reason, (EndReason.WITHDRAWN, EndReason.LOST, EndReason.ONGOING))
        completed = (reason == EndReason.COMPLETED) & (end >= window - plan.closing_window)
        unfinished = (reason == EndReason.COMPLETED) & ~completed
        known = np.where(left | unfinished, np.minimum(end, window), window)
        death = study.disposition.death
        excluded = left_out(study, plan)
        if plan.prevalent == "exclude":
            excluded = also(excluded, "DNAemia at or before infusion", prevalent, study)
        excluded = also(excluded, "monitoring ended before infusion", (known < 0) | (death < 0), study)
        out = anybody(excluded, study)
        days = np.arange(1.0, window + 1)
        gone = np.where(np.isnan(death), np.inf, death)
        observed = np.where(out, 0.0, np.minimum(known, gone))
        monitored = np.minimum(np.where(completed, np.maximum(end, window), end), window)
        index = np.where(first <= np.minimum(monitored, gone), first, np.nan)
        return Cost(
            daily=daily_cost(study, plan, observed),
            index=np.where(out, np.nan, index),
            exit=np.where(out, np.nan, known),
            death=death,
            monitored=monitored,
            key=matching_key(study, days),
            inside=~out,
            components=COMPONENTS,
            excluded=excluded,
        )

    return derive


def first_day(study: Study, plan: AnalysisSpec, exposure: Exposure) -> tuple[FloatArray, BoolArray]:
    """(R, N) first day of the exposure in the window, +inf if none (0 if prevalent and counted); DNAemia at infusion."""
    name: Literal["detected", "clinically_significant"] = "detected" if exposure == "any_dnaemia" else "clinically_significant"
    if exposure == "disease" and "cmv_disease" not in study.events:
        raise InputError(Problem("CMV disease was not recorded", "analysis", "endpoints", "a table events.csv"))
    first, prevalent = first_qualifying(study, plan.model_copy(update={"definition": Definition(name=name)}))
    if exposure == "disease":
        day = first_disease(study)
        first = np.where((day > 0) & (day <= plan.window), day, np.inf)
    if plan.prevalent == "count" and exposure == "any_dnaemia":
        first = np.where(prevalent, 0.0, first)
    return first, prevalent


def prices_of(plan: AnalysisSpec, resources: Resources) -> PriceList:
    """The unit costs of a plan.

    Raises
    ------
    InputError
        If there is no such list, or it lacks the price of an item that was used.
    """
    if plan.price_list == "study":
        prices = study_prices(resources.unit_costs, resources.currency)
    else:
        prices = price_list(plan.price_list)
    prices.require(int(code) for code in np.unique(resources.item[resources.quantity > 0]))
    return prices


def daily_cost(study: Study, plan: AnalysisSpec, observed: FloatArray) -> FloatArray:
    """(R, N, D, C) cost of days 1 to D of the window by component; a quantity is spread evenly over its days.

    Parameters
    ----------
    study, plan
        With resource use; unit costs and window.
    observed
        (R, N) last day whose cost counts.

    Raises
    ------
    InputError
        If the study has no table of resource use, or a price is missing.
    """
    from cmvsim.estimators.costs import daily_costs

    used = study.resources
    if used is None:
        raise InputError(
            Problem("no resource use was recorded", "analysis", "endpoints", "a table resources.csv for cost_of_illness")
        )
    unit = prices_of(plan, used).unit_costs[used.item]
    length = used.last - used.first + 1
    begin = np.maximum(used.first, 1)
    until = np.minimum(used.last, np.minimum(np.floor(observed), plan.window).reshape(-1)[used.row])
    kept = np.flatnonzero((until >= begin) & (used.quantity > 0) & (unit > 0))
    per_day = used.quantity[kept] * unit[kept] / length[kept]
    first, last = (days[kept].astype(np.int64) - 1 for days in (begin, until))
    component = used.component[kept].astype(np.int64)
    shape = (study.replicates, study.patients, plan.window, len(COMPONENTS))
    return daily_costs(used.row[kept], first, last, component, per_day, (shape[0] * shape[1], *shape[2:])).reshape(shape)


def matching_key(study: Study, days: FloatArray) -> NDArray[np.int16]:
    """(R, N, D) stratum x 4 + in hospital x 2 + on corticosteroids, on the evening before each day.

    Raises
    ------
    InputError
        If stays or corticosteroids were not recorded.
    """
    if study.stays is None:
        raise InputError(Problem("days in hospital were not recorded", "analysis", "endpoints", "a table stays.csv"))
    if "corticosteroids" not in study.exposures:
        raise InputError(Problem("corticosteroids were not recorded", "analysis", "endpoints", "a table exposures.csv"))
    stays, steroids = study.stays, study.exposures["corticosteroids"]
    hospital = _during(stays.start, stays.stop, days - 1)
    exposed = _during(steroids.start, steroids.stop, days - 1)
    stratum = study.subjects.stratum.astype(np.int16)[..., None]
    return stratum * np.int16(PER_STRATUM) + hospital * np.int16(2) + exposed.astype(np.int16)


def _during(start: FloatArray, stop: FloatArray, days: FloatArray) -> BoolArray:
    """(R, N, D) whether a day lies in [start, stop) of any span; without a stop it goes on. `days` follow each other."""
    inside = np.zeros((*start.shape[:2], days.size), dtype=bool)
    # most spans do not exist: only days within those that do are visited
    r, n, k = np.nonzero(start <= days[-1])
    first = np.ceil(np.maximum(start[r, n, k] - days[0], 0)).astype(np.int64)
    ends = np.fmin(stop[r, n, k] - days[0], days.size)
    length = np.maximum(np.ceil(ends).astype(np.int64) - first, 0)
    origin = (r * start.shape[1] + n) * days.size + first
    step = np.arange(length.sum()) - np.repeat(np.cumsum(length) - length, length)
    inside.reshape(-1)[np.repeat(origin, length) + step] = True
    return inside
