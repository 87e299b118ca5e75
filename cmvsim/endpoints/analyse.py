"""Analysing one study: every endpoint of a plan, every estimator, one row each; nobody dropped silently."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from cmvsim.core.errors import InputError, Problem
from cmvsim.core.records import Estimates, Status
from cmvsim.data.study import Study
from cmvsim.endpoints import ENDPOINTS, endpoint
from cmvsim.endpoints.analysis import AnalysisSpec
from cmvsim.endpoints.base import EstimatorChoice, by_term, derivation, plan_of
from cmvsim.endpoints.comparison import of_arms
from cmvsim.endpoints.covariates import covariates
from cmvsim.endpoints.derived import Derived
from cmvsim.endpoints.visits import named_value_sets
from cmvsim.valuation import price_list

LOOKED_UP: dict[str, Callable[[AnalysisSpec], object]] = {
    "risk_factors": lambda plan: covariates(plan.risk_factors),
    "hrql": named_value_sets,
    "cost_of_illness": lambda plan: None if plan.price_list == "study" else price_list(plan.price_list),
}
"""What endpoints look up by a name of the plan."""


@dataclass(frozen=True, slots=True)
class ResultRow:
    """One estimate of one study, as in ``estimate --json``; ratios as ratios, with the standard error of their log."""

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
    scale: str
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
        One per endpoint, estimator and term.
    flow
        Per endpoint: how many were enrolled, left out by reason, entered, and how their follow-up ended.
    derived
        The primary derivation of each endpoint, for figures.
    """

    rows: tuple[ResultRow, ...]
    flow: dict[str, dict[str, int]]
    derived: dict[str, Derived]


def _nobody(done: int, total: int) -> None:
    """Who is told of progress where nobody asked."""


def analyse(
    study: Study, plan: AnalysisSpec, endpoints: tuple[str, ...] = (), tick: Callable[[int, int], None] = _nobody
) -> Analysed:
    """Derive and estimate the endpoints of a plan in one study (a batch of one).

    Parameters
    ----------
    endpoints
        Ids; without them those of the plan.
    tick
        Told after each estimator how many are done, and how many there are.

    Raises
    ------
    InputError
        If the plan names an endpoint that does not exist, or the first cannot be had from the data; what the others need and
        the study has not recorded is said in a row of theirs.
    """
    names = endpoints or plan.endpoints
    check_plan(study, plan, names)
    rows: list[ResultRow] = []
    flow, derived = {}, {}
    done, total = 0, sum(len(choices_of(name, study, plan)) for name in names)
    for name in names:
        entry = endpoint(name)
        made: dict[str, Derived] = {}
        for choice in choices_of(name, study, plan):
            tick(done, total)
            done += 1
            chosen = plan_of(choice, plan)
            primary = choice is entry.estimators[0]
            key = f"{choice.id if choice.derive else ''} {chosen.model_dump_json()}"
            try:
                variable = made[key] if key in made else derivation(entry, choice, study, chosen)
            except InputError as error:
                if primary and name == names[0]:
                    raise
                rows.append(_not_available(name, choice, plan, error))
                if primary:
                    break  # what the endpoint is about was not recorded
                continue
            made[key] = variable
            if primary:
                derived[name], flow[name] = variable, participant_flow(variable)
            for term, result in by_term(choice.estimate(variable, chosen, (study.patients,))).items():
                rows.append(result_row(name, choice, term, result, variable, float(chosen.window)))
    tick(total, total)
    return Analysed(tuple(rows), flow, derived)


def choices_of(name: str, study: Study, plan: AnalysisSpec) -> tuple[EstimatorChoice, ...]:
    """Estimators of an endpoint in a study: its own, and where the study has arms those that compare them."""
    entry = endpoint(name)
    randomised = len(study.subjects.labels.get("arm", ())) > 1 or bool(plan.arms)
    return (*entry.estimators, *(of_arms(entry, plan) if randomised else ()))


def result_row(name: str, choice: EstimatorChoice, term: str, result: Estimates, variable: Derived, at: float) -> ResultRow:
    """A row of what an estimator gave for one study, at a day."""
    return ResultRow(
        endpoint=name,
        estimator=choice.id,
        term=term,
        stratum="",
        at=at,
        estimate=float(result.estimate[0, 0]),
        se=float(result.se[0, 0]),
        ci_low=float(result.ci_low[0, 0]),
        ci_high=float(result.ci_high[0, 0]),
        level=result.level,
        n=int(result.n[0, 0]),
        events=int(result.events[0, 0]),
        status=Status(int(result.status[0, 0])).name.lower(),
        excluded=variable.entered.shape[1] - int(result.n[0, 0]),
        scale=choice.scale,
        method=result.method,
        note=choice.note,
    )


def _not_available(name: str, choice: EstimatorChoice, plan: AnalysisSpec, error: InputError) -> ResultRow:
    """A sensitivity analysis that these data cannot serve."""
    nan = float("nan")
    return ResultRow(
        endpoint=name,
        estimator=choice.id,
        term="",
        stratum="",
        at=float(plan.window),
        estimate=nan,
        se=nan,
        ci_low=nan,
        ci_high=nan,
        level=plan.level,
        n=0,
        events=0,
        status=Status.NOT_ESTIMABLE.name.lower(),
        excluded=0,
        scale=choice.scale,
        method="",
        note=error.problems[0].message,
    )


def participant_flow(variable: Derived) -> dict[str, int]:
    """Counts of one study: enrolled, left out and why, entered, and the end of follow-up."""
    counts = {"enrolled": int(variable.entered.shape[1])}
    counts |= {f"left out: {why}": int(who[0].sum()) for why, who in variable.excluded.items()}
    counts["in the analysis"] = int(variable.entered[0].sum())
    return counts | {what: int(number[0]) for what, number in variable.endings.items()}


def check_plan(study: Study, plan: AnalysisSpec, names: tuple[str, ...] = ()) -> None:
    """Whether the plan's endpoints exist, with the names they look up, and its definition can be seen in the data.

    Parameters
    ----------
    names
        The endpoints asked for, when other than those of the plan.

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
    for name in names or plan.endpoints:
        if name in LOOKED_UP:  # a misspelt name is a mistake of the plan, not something the study has not recorded
            try:
                LOOKED_UP[name](plan)
            except InputError as error:
                problems += error.problems
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
