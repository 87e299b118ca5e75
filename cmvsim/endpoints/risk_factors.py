"""Risk factors of CMV reactivation, the study's title: regressions on what is known at infusion and what comes after it.

The primary model is the cause-specific Cox model of the first reactivation (same event, competing events and handling of
prevalent DNAemia as the primary endpoint) with all covariates of the plan in one model; post-infusion covariates change over
time as start-stop rows.

A covariate that does not vary among those at risk when somebody reactivates tells nothing. It is left out of the model of
that replicate: its own term is not estimable, the others are those of the model without it. Separation (a covariate without
an event on one side) is another matter, since the estimate is infinite: the status of all terms says so.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, Literal

import numpy as np

from cmvsim.core.records import BoolArray, Estimates, FloatArray, IntArray, Status
from cmvsim.data.study import Study, Topic
from cmvsim.endpoints.analysis import AnalysisSpec
from cmvsim.endpoints.base import Estimand, EstimatorChoice, at_each_size
from cmvsim.endpoints.covariates import covariates
from cmvsim.endpoints.derived import EVENT, StartStop
from cmvsim.endpoints.risk_factor_rows import ENTRY, at_infusion, at_landmarks, start_stop
from cmvsim.models.history import History, Process


def informative(derived: StartStop) -> BoolArray:
    """(R, P) covariates that vary among the rows at risk on a day on which somebody has the event.

    Days are whole, so that the days of events are counted in a table.
    """
    replicates = derived.time.shape[0]
    shift = -int(ENTRY)
    days = np.zeros((replicates, int(derived.time.max(initial=0.0)) + shift + 1), dtype=np.int64)
    r, row = np.nonzero(derived.cause == EVENT)
    days[r, derived.time[r, row].astype(np.int64) + shift] = 1
    until = np.cumsum(days, axis=1)
    at = [np.take_along_axis(until, edge.astype(np.int64) + shift, axis=1) for edge in (derived.entry, derived.time)]
    r, row = np.nonzero((at[1] > at[0]) & (derived.cause >= 0))
    seen = derived.covariates[r, row]
    varies = np.zeros((replicates, derived.covariates.shape[2]), dtype=bool)
    present, begins = np.unique(r, return_index=True)
    if present.size:
        varies[present] = np.maximum.reduceat(seen, begins, axis=0) > np.minimum.reduceat(seen, begins, axis=0)
    return varies


Fitter = Callable[[StartStop, slice | IntArray, FloatArray, AnalysisSpec], Any]
"""(derived, replicates, covariates, plan) -> a fit with `term`."""


def terms_of(
    derived: StartStop, plan: AnalysisSpec, fit: Fitter, varies: BoolArray, *, offset: int = 0
) -> dict[str, Estimates]:
    """Fit each replicate with the covariates that vary in it, and give all terms.

    Parameters
    ----------
    fit
        Of some replicates with some of the columns.
    varies
        (R, P) which columns vary.
    offset
        Place of the first covariate among the coefficients (1 after an intercept).
    """
    replicates = varies.shape[0]
    entered = derived.entered.sum(axis=1)
    events = (derived.cause == EVENT).sum(axis=1)
    nothing = Status.NOT_ESTIMABLE
    columns = {
        term: Estimates(
            np.full(replicates, np.nan),
            np.full(replicates, np.nan),
            np.full(replicates, np.nan),
            np.full(replicates, np.nan),
            n=entered,
            events=events,
            status=np.where(entered == 0, int(Status.EMPTY), int(nothing)),
            level=plan.level,
            method="",
            se_scale="log",
        )
        for term in derived.terms
    }
    patterns, group = np.unique(varies, axis=0, return_inverse=True)
    method = ""
    for which, kept in enumerate(patterns):
        if not kept.any():
            continue
        rows = np.flatnonzero(group.reshape(-1) == which)
        done = fit(derived, rows, derived.covariates[rows][..., kept], plan)
        for place, column in enumerate(np.flatnonzero(kept)):
            got = done.term(place + offset, exponentiate=True)
            method = got.method
            into = columns[derived.terms[column]]
            for name in ("estimate", "se", "ci_low", "ci_high", "status"):
                getattr(into, name)[rows] = getattr(got, name)
    return {term: replace(values, method=method) for term, values in columns.items()}


def _cox(derived: StartStop, rows: slice | IntArray, x: FloatArray, plan: AnalysisSpec) -> Any:
    from cmvsim.estimators.cox import cox

    return cox(
        derived.time[rows],
        derived.cause[rows],
        x,
        entry=derived.entry[rows],
        level=plan.level,
    )


def _fine_gray(derived: StartStop, rows: slice | IntArray, x: FloatArray, plan: AnalysisSpec) -> Any:
    from cmvsim.estimators.fine_gray import fine_gray

    return fine_gray(derived.time[rows], derived.cause[rows], x, level=plan.level)


def _logistic(method: Literal["ml", "firth"]) -> Fitter:
    def fit(derived: StartStop, rows: slice | IntArray, x: FloatArray, plan: AnalysisSpec) -> Any:
        from cmvsim.estimators.logistic import logistic

        cause = derived.cause[rows]
        outcome = np.where(cause < 0, -1, cause == EVENT)
        return logistic(outcome, x, method=method, level=plan.level)

    return fit


def multivariable(derived: StartStop, plan: AnalysisSpec) -> dict[str, Estimates]:
    """All covariates in one Cox model."""
    return terms_of(derived, plan, _cox, informative(derived))


def univariable(derived: StartStop, plan: AnalysisSpec) -> dict[str, Estimates]:
    """A Cox model for each covariate alone."""
    varies = informative(derived)
    found: dict[str, Estimates] = {}
    for place, term in enumerate(derived.terms):
        one = replace(derived, covariates=derived.covariates[..., place : place + 1], terms=(term,))
        found |= terms_of(one, plan, _cox, varies[:, place : place + 1])
    return found


def _among_all(derived: StartStop) -> BoolArray:
    """(R, P) covariates that vary among all in the analysis."""
    inside = (derived.cause >= 0)[..., np.newaxis]
    high = np.where(inside, derived.covariates, -np.inf).max(axis=1, initial=-np.inf)
    return np.asarray(high > np.where(inside, derived.covariates, np.inf).min(axis=1, initial=np.inf))


def with_baseline(fit: Fitter, offset: int) -> Callable[[StartStop, AnalysisSpec], dict[str, Estimates]]:
    """Estimator of derivations with one row for each patient."""

    def estimate(derived: StartStop, plan: AnalysisSpec) -> dict[str, Estimates]:
        return terms_of(derived, plan, fit, _among_all(derived), offset=offset)

    return estimate


def from_landmarks(fit: Fitter, offset: int) -> Callable[[StartStop, AnalysisSpec], dict[str, Estimates]]:
    """Estimator of derivations with a row for each landmark."""

    def estimate(derived: StartStop, plan: AnalysisSpec) -> dict[str, Estimates]:
        found: dict[str, Estimates] = {}
        for place, day in enumerate(plan.landmarks):
            one = _landmark(derived, place)
            got = terms_of(one, plan, fit, _among_all(one), offset=offset)
            found |= {_at(term, day): values for term, values in got.items()}
        return found

    return estimate


def _landmark(derived: StartStop, place: int) -> StartStop:
    arrays = ("entry", "time", "cause", "covariates", "stratum", "patient")
    return replace(derived, rows=1, **{name: getattr(derived, name)[:, place :: derived.rows] for name in arrays})


def _at(term: str, day: int) -> str:
    return f"{term}, day {day}"


def _all_terms(plan: AnalysisSpec) -> tuple[str, ...]:
    return plan.risk_factors


def _baseline_terms(plan: AnalysisSpec) -> tuple[str, ...]:
    return tuple(c.name for c in covariates(plan.risk_factors) if c.kind == "baseline")


def _landmark_terms(plan: AnalysisSpec) -> tuple[str, ...]:
    return tuple(_at(term, day) for day in plan.landmarks for term in plan.risk_factors)


_AT_INFUSION = "covariates known at infusion"
_COMPLETE = "without patients whose monitoring ended early and free of CMV: biased where that depends on a covariate"

ESTIMATORS = (
    EstimatorChoice("cox", "Cause-specific Cox, all covariates", at_each_size(multivariable), "hazard_ratio", terms=_all_terms),
    EstimatorChoice(
        "cox_unadjusted",
        "Cause-specific Cox, one covariate at a time",
        at_each_size(univariable),
        "hazard_ratio",
        terms=_all_terms,
        note="unadjusted",
    ),
    EstimatorChoice(
        "fine_gray",
        "Fine-Gray, baseline covariates",
        at_each_size(with_baseline(_fine_gray, 0)),
        "subdistribution_hazard_ratio",
        derive=at_infusion(binary=False),
        terms=_baseline_terms,
        note=_AT_INFUSION,
    ),
    EstimatorChoice(
        "logistic",
        "Logistic, baseline covariates",
        at_each_size(with_baseline(_logistic("ml"), 1)),
        "odds_ratio",
        derive=at_infusion(binary=True),
        terms=_baseline_terms,
        note=f"{_AT_INFUSION}; {_COMPLETE}",
    ),
    EstimatorChoice(
        "logistic_firth",
        "Firth logistic, baseline covariates",
        at_each_size(with_baseline(_logistic("firth"), 1)),
        "odds_ratio",
        derive=at_infusion(binary=True),
        terms=_baseline_terms,
        note=f"{_AT_INFUSION}; {_COMPLETE}",
    ),
    EstimatorChoice(
        "landmark_fine_gray",
        "Fine-Gray from a landmark",
        at_each_size(from_landmarks(_fine_gray, 0)),
        "subdistribution_hazard_ratio",
        derive=at_landmarks(binary=False),
        terms=_landmark_terms,
        note="what was known at the landmark",
    ),
    EstimatorChoice(
        "landmark_logistic",
        "Logistic from a landmark",
        at_each_size(from_landmarks(_logistic("ml"), 1)),
        "odds_ratio",
        derive=at_landmarks(binary=True),
        terms=_landmark_terms,
        note=f"what was known at the landmark; {_COMPLETE}",
    ),
    EstimatorChoice(
        "landmark_logistic_firth",
        "Firth logistic from a landmark",
        at_each_size(from_landmarks(_logistic("firth"), 1)),
        "odds_ratio",
        derive=at_landmarks(binary=True),
        terms=_landmark_terms,
        note=f"what was known at the landmark; {_COMPLETE}",
    ),
)


@dataclass(frozen=True, slots=True)
class RiskFactors:
    """Association of baseline and post-infusion covariates with the first reactivation."""

    id: str = "risk_factors"
    label: str = "Risk factors for CMV reactivation"
    label_fr: str = "facteurs de risque de réactivation du CMV"
    objective: str = "risk factors for CMV reactivation"

    @property
    def estimand(self) -> Estimand:
        """ICH E9(R1) attributes."""
        return Estimand(
            population="CMV-seropositive CAR-T recipients without DNAemia at infusion",
            variable="day of the first qualifying sample within the window",
            intercurrent_events="death and transplantation end the time at risk; relapse as the plan says",
            summary="cause-specific hazard ratio of each covariate, all others being equal",
        )

    @property
    def needs(self) -> frozenset[Process]:
        """Covariates of all processes before infection."""
        return frozenset(
            {Process.TOXICITY, Process.CMV, Process.FOLLOW_UP, Process.DEATH, Process.INFECTIONS, Process.RESOURCES}
        )

    @property
    def reads(self) -> frozenset[Topic]:
        """Every part that a covariate may read."""
        return frozenset({Topic.BASELINE, Topic.TOXICITY, Topic.INFECTIONS, Topic.STAYS})

    @property
    def estimators(self) -> tuple[EstimatorChoice, ...]:
        """The Cox model of all covariates first."""
        return ESTIMATORS

    def derive(self, study: Study, plan: AnalysisSpec) -> StartStop:
        """Start-stop rows of the plan's covariates."""
        return start_stop(study, plan)

    def latent(self, history: History, plan: AnalysisSpec) -> FloatArray | None:  # noqa: ARG002
        """A ratio is no mean of patients."""
        return None
