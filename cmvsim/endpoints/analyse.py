"""Analysing one study: every endpoint of a plan, every estimator, one row each; nobody dropped silently."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import pandas as pd

from cmvsim.core.errors import InputError, Problem
from cmvsim.core.records import Status
from cmvsim.data.study import Study
from cmvsim.endpoints import ENDPOINTS, endpoint
from cmvsim.endpoints.analysis import AnalysisSpec
from cmvsim.endpoints.base import EVENT, EstimatorChoice, TimeToEvent
from cmvsim.estimators.competing import cumulative_incidence_curve


@dataclass(frozen=True, slots=True)
class ResultRow:
    """One estimate of one study, as in ``estimate --json``."""

    endpoint: str
    estimator: str
    term: str
    stratum: str
    at: float
    estimate: float
    se: float
    ci_low: float
    ci_high: float
    level: float
    n: int
    events: int
    status: str
    excluded: int
    method: str
    note: str

    def as_dict(self) -> dict[str, Any]:
        """JSON-ready form."""
        return asdict(self)


@dataclass(frozen=True, slots=True)
class Analysed:
    """The analysis of one study.

    Attributes
    ----------
    rows
        One per endpoint and estimator.
    flow
        Per endpoint: how many were enrolled, left out by reason, entered, and how their follow-up ended.
    derived
        The primary derivation of each endpoint, for curves.
    """

    rows: tuple[ResultRow, ...]
    flow: dict[str, dict[str, int]]
    derived: dict[str, TimeToEvent]


def analyse(study: Study, plan: AnalysisSpec, endpoints: tuple[str, ...] = ()) -> Analysed:
    """Derive and estimate the endpoints of a plan in one study (a batch of one).

    Raises
    ------
    InputError
        If the plan names an endpoint that does not exist, or does not fit the data.
    """
    names = endpoints or plan.endpoints
    check_plan(study, plan)
    rows, flow, derived = [], {}, {}
    for name in names:
        entry = endpoint(name)
        for choice in entry.estimators:
            chosen = plan.model_copy(update=dict(choice.plan)) if choice.plan else plan
            try:
                variable = entry.derive(study, chosen)
            except InputError as error:
                if choice is entry.estimators[0]:
                    raise
                rows.append(_not_available(name, choice, plan, error))
                continue
            if choice is entry.estimators[0]:
                derived[name] = variable
                flow[name] = participant_flow(variable)
            result = choice.estimate(variable, chosen, (study.patients,))
            rows.append(
                ResultRow(
                    endpoint=name,
                    estimator=choice.id,
                    term="",
                    stratum="",
                    at=float(plan.window),
                    estimate=float(result.estimate[0, 0]),
                    se=float(result.se[0, 0]),
                    ci_low=float(result.ci_low[0, 0]),
                    ci_high=float(result.ci_high[0, 0]),
                    level=result.level,
                    n=int(result.n[0, 0]),
                    events=int(result.events[0, 0]),
                    status=Status(int(result.status[0, 0])).name.lower(),
                    excluded=study.patients - int(result.n[0, 0]),
                    method=result.method,
                    note=choice.note,
                )
            )
    return Analysed(tuple(rows), flow, derived)


def incidence_table(derived: TimeToEvent, plan: AnalysisSpec) -> pd.DataFrame:
    """Cumulative incidence of the event and of the competing events, day by day."""
    time, cause = derived.time[0], derived.cause[0]
    days = np.arange(0, plan.window + 1, dtype=np.float64)
    event = cumulative_incidence_curve(time, cause, days, variance=plan.variance, interval=plan.interval, level=plan.level)
    competing = cumulative_incidence_curve(time, np.where(cause > EVENT, 2, cause), days, event=2, variance=plan.variance)
    inside = event.status == Status.OK
    return pd.DataFrame(
        {
            "day": days,
            "incidence": event.estimate,
            "ci_low": np.where(inside, event.ci_low, np.nan),
            "ci_high": np.where(inside, event.ci_high, np.nan),
            "competing": competing.estimate,
            "at_risk": event.n_at_risk,
        }
    )


def _not_available(name: str, choice: EstimatorChoice, plan: AnalysisSpec, error: InputError) -> ResultRow:
    """A sensitivity analysis that these data cannot serve."""
    nan = float("nan")
    return ResultRow(
        name,
        choice.id,
        "",
        "",
        float(plan.window),
        nan,
        nan,
        nan,
        nan,
        plan.level,
        0,
        0,
        Status.NOT_ESTIMABLE.name.lower(),
        0,
        "",
        error.problems[0].message,
    )


def participant_flow(variable: TimeToEvent) -> dict[str, int]:
    """Counts of one study: enrolled, left out and why, entered, and the end of follow-up."""
    cause = variable.cause[0]
    counts = {"enrolled": int(cause.size)}
    counts |= {f"left out: {why}": int(who[0].sum()) for why, who in variable.excluded.items()}
    counts["in the analysis"] = int((cause >= 0).sum())
    names = ("censored or event-free", "event", "death first", "transplantation first", "relapse first")
    return counts | {
        name: int((cause == code).sum()) for code, name in enumerate(names) if code <= EVENT or (cause == code).any()
    }


def check_plan(study: Study, plan: AnalysisSpec) -> None:
    """Whether the plan's endpoints exist and its definition can be seen in the data.

    Raises
    ------
    InputError
        If not.
    """
    problems = [
        Problem(f"there is no endpoint '{name}'", "analysis", "endpoints", f"known: {', '.join(ENDPOINTS)}")
        for name in plan.endpoints
        if name not in ENDPOINTS
    ]
    level = plan.definition.level
    if level is not None and level < study.samples.lloq:
        problems.append(
            Problem(
                f"at_least = {level:g} is below the assay's limit of quantification ({study.samples.lloq:g} IU/mL)",
                "analysis",
                "definition",
            )
        )
    if not np.isfinite(study.disposition.end).all():
        problems.append(Problem("some patients have no end of monitoring", "disposition", "end_day"))
    if problems:
        raise InputError(problems)
