"""Tables behind the figures of one study: incidences day by day, questionnaires by visit, costs by component."""

from __future__ import annotations

import numpy as np
import pandas as pd

from cmvsim.core.records import FloatArray, Status
from cmvsim.endpoints.analysis import AnalysisSpec
from cmvsim.endpoints.derived import DEATH, EVENT, HCT, RELAPSE, Cost, Derived, Longitudinal, TimeToEvent
from cmvsim.estimators.competing import cumulative_incidence_curve
from cmvsim.estimators.intervals import normal_quantile

COMPETING = {DEATH: "death", HCT: "transplantation", RELAPSE: "relapse"}


def curve_table(derived: Derived, plan: AnalysisSpec) -> pd.DataFrame | None:
    """The table of a derived variable of one study; None for kinds that need no figure of their own."""
    if isinstance(derived, TimeToEvent):
        return incidence_table(derived, plan)
    if isinstance(derived, Longitudinal):
        return profile_table(derived, plan)
    if isinstance(derived, Cost):
        return cost_table(derived)
    return None


def incidence_table(derived: TimeToEvent, plan: AnalysisSpec) -> pd.DataFrame:
    """Cumulative incidence of the event and of the competing events, day by day.

    Returns
    -------
    DataFrame
        Columns ``day, incidence, ci_low, ci_high, competing, at_risk``, and one for each competing event that happened
        (``death, transplantation, relapse``); together with the incidence they are at most 1. Limits are NaN where only an
        exact bound exists.
    """
    time, cause = derived.time[0], derived.cause[0]
    days = np.arange(0, plan.window + 1, dtype=np.float64)
    event = cumulative_incidence_curve(time, cause, days, variance=plan.variance, interval=plan.interval, level=plan.level)
    competing = cumulative_incidence_curve(time, np.where(cause > EVENT, 2, cause), days, event=2, variance=plan.variance)
    inside = event.status == Status.OK
    columns = {
        "day": days,
        "incidence": event.estimate,
        "ci_low": np.where(inside, event.ci_low, np.nan),
        "ci_high": np.where(inside, event.ci_high, np.nan),
        "competing": competing.estimate,
        "at_risk": event.n_at_risk,
    }
    for code, name in COMPETING.items():
        if (cause == code).any():
            own = cumulative_incidence_curve(time, cause, days, event=code, variance=plan.variance)
            columns[name] = own.estimate
    return pd.DataFrame(columns)


def profile_table(derived: Longitudinal, plan: AnalysisSpec) -> pd.DataFrame:
    """Mean of the measurement by visit, instrument and exposure, with its Wald interval; unadjusted, as observed."""
    z = normal_quantile(plan.level)
    rows = []
    for code, group in enumerate(derived.groups):
        mine = derived.group[0] == code
        for exposed in (0, 1):
            for visit, day in enumerate(derived.days):
                value = derived.value[0, :, visit]
                values = value[mine & (derived.exposed[0, :, visit] == exposed) & ~np.isnan(value)]
                mean, half = _mean_and_half(values, z)
                rows.append((group, exposed, day, values.size, mean, mean - half, mean + half))
    return pd.DataFrame(rows, columns=["group", "exposed", "day", "n", "mean", "ci_low", "ci_high"])


def _mean_and_half(values: FloatArray, z: float) -> tuple[float, float]:
    if values.size == 0:
        return float("nan"), float("nan")
    half = z * float(values.std(ddof=1)) / np.sqrt(values.size) if values.size > 1 else float("nan")
    return float(values.mean()), half


def cost_table(derived: Cost) -> pd.DataFrame:
    """Mean cost per patient by component over the whole time, of those with the illness and without: no comparison."""
    total = derived.daily[0].sum(axis=1)
    ill = ~np.isnan(derived.index[0])
    rows = []
    for who, name in ((ill, "with the illness"), (~ill, "without")):
        members = who & derived.inside[0]
        for c, component in enumerate(derived.components):
            mean = float(total[members, c].mean()) if members.any() else float("nan")
            rows.append((name, component, int(members.sum()), mean))
    return pd.DataFrame(rows, columns=["group", "component", "n", "mean_cost"])
