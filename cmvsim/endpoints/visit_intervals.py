"""What visits leave open: bounds of a cumulative incidence whose event is only seen by samples.

A first qualifying sample shows that the level was reached since the last negative one. Whoever died (or had another
competing event) may have reached it in the gap before, or not. The lower bound takes those patients as free of the event
for good, the upper one as having had it in that gap; each is the nonparametric maximum likelihood estimate of the
interval-censored times, with its mass counted as late, or as early, as the data allow.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from cmvsim.core.errors import InputError, Problem
from cmvsim.core.records import Estimates, FloatArray, Status
from cmvsim.data.study import Result, Study
from cmvsim.endpoints.analysis import AnalysisSpec
from cmvsim.endpoints.base import Estimator, EstimatorChoice, at_each_size
from cmvsim.endpoints.cmv_status import qualifies
from cmvsim.endpoints.derived import CENSORED, EVENT, Intervals, TimeToEvent

LOWER, UPPER = "lower bound", "upper bound"


def between_visits(derive: Callable[[Study, AnalysisSpec], TimeToEvent]) -> Callable[[Study, AnalysisSpec], Intervals]:
    """A derivation of intervals from one of the day of the first qualifying sample.

    The left end is the last negative sample on or after day 0 and before the event or the end of follow-up; infusion where
    there is none. Samples after the window say nothing, but for the closing one, which counts on its last day.

    Raises
    ------
    InputError
        When derived, if the plan's definition is no property of samples.
    """

    def intervals(study: Study, plan: AnalysisSpec) -> Intervals:
        if plan.definition.name == "clinically_significant":
            raise InputError(
                Problem(
                    "visits bound the time of a qualifying sample, not that of clinically significant infection",
                    "analysis",
                    "definition",
                    "a definition by samples",
                )
            )
        whole = derive(study, plan)
        event, censored = whole.cause == EVENT, whole.cause == CENSORED
        competing = whole.cause > EVENT
        negative = last_negative(study, plan, whole.time)
        window = float(plan.window)
        at_infusion = event & (whole.time == 0)  # DNAemia that the plan counts: its time is exact
        left = np.where(event | censored, negative, window)
        left = np.where(at_infusion, 0.0, left)
        right = np.where(event, whole.time, np.inf)
        gap = competing & (negative < whole.time)
        out = whole.cause < 0
        late_left, late_right = np.where(gap, negative, left), np.where(gap, whole.time, right)
        a, b, c, d = (np.where(out, np.nan, ends) for ends in (left, right, late_left, late_right))
        return Intervals(a, b, c, d, whole.excluded)

    return intervals


def last_negative(study: Study, plan: AnalysisSpec, until: FloatArray) -> FloatArray:
    """(R, N) day of the last sample from day 0 to `until` that did not qualify; 0 if there is none."""
    s = study.samples
    closing = (s.nominal == plan.window) & (np.abs(s.day - plan.window) <= plan.closing_window)
    day = np.where(closing, np.minimum(s.day, plan.window), s.day)
    negative = (s.result != Result.NONE) & ~qualifies(study, plan) & (day >= 0) & (day <= until[..., None])
    return np.asarray(np.where(negative, day, 0.0).max(axis=-1, initial=0.0))


def _bounds(derived: Intervals, plan: AnalysisSpec) -> dict[str, Estimates]:
    """Both bounds of each replicate."""
    ends = {LOWER: (derived.left, derived.right), UPPER: (derived.left_late, derived.right_late)}
    return {which: _bound(*pair, which, plan, derived) for which, pair in ends.items()}


def _bound(left: FloatArray, right: FloatArray, which: str, plan: AnalysisSpec, derived: Intervals) -> Estimates:
    from cmvsim.estimators.interval_censored import interval_censored

    replicates = left.shape[0]
    estimate, nothing = np.full(replicates, np.nan), np.full(replicates, np.nan)
    status = np.zeros(replicates, dtype=np.int64)
    for r in range(replicates):
        fit = interval_censored(left[r], right[r])
        smallest, largest = fit.incidence(float(plan.window))
        estimate[r], status[r] = smallest if which == LOWER else largest, int(fit.status)
    n, events = derived.entered.sum(axis=1), derived.endings["event"]
    method = "interval-censored NPMLE, no confidence interval"
    return Estimates(
        np.where(status == Status.OK, estimate, np.nan),
        nothing,
        nothing.copy(),
        nothing.copy(),
        n,
        events,
        status,
        plan.level,
        method,
    )


visit_bounds: Estimator = at_each_size(_bounds)
"""Lower and upper bound, one data set at a time."""


def by_visit_intervals(derive: Callable[[Study, AnalysisSpec], TimeToEvent]) -> EstimatorChoice:
    """The visit-interval bounds of a rate."""
    return EstimatorChoice(
        "visit_intervals",
        "Bounds by visit intervals (interval-censored NPMLE)",
        visit_bounds,
        derive=between_visits(derive),
        terms=lambda _: (LOWER, UPPER),
        batched=False,
        note="bounds of the estimate over what happens between visits, without sampling error",
    )
