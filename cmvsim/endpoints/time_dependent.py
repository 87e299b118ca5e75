"""Exposures that begin during follow-up: time-dependent regression, landmark analysis, and the naive table beside them.

An exposure of day t acts on the days after t: a row (t, ...] begins there, so that what happens on the day of the positive
sample is not laid to it. The order within a day, sample, treatment, relapse, death, is kept: an outcome on the last day of
follow-up counts.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from itertools import product

import numpy as np

from cmvsim.core.records import BoolArray, Estimates, FloatArray, IntArray, Status
from cmvsim.endpoints.analysis import AnalysisSpec
from cmvsim.endpoints.base import EstimatorChoice, Sizes, at_each_size
from cmvsim.endpoints.derived import CENSORED, EVENT, EXCLUDED, Arrays, Excluded, StartStop

NAIVE = "naive, immortal time: whoever lives and is followed longer has more time for both"


@dataclass(frozen=True, slots=True)
class Onsets(Arrays):
    """When exposures and outcomes began among patients under observation.

    Attributes
    ----------
    exposed
        (R, N, E) day of each exposure, at most `exit`; 0 or less: from infusion on; +inf: never.
    outcome
        (R, N, O) day 1 to `exit` of the first outcome of each kind; +inf: none.
    repeats
        (R, N, O, K) days of all outcomes of each kind, NaN where there is none.
    exit
        (R, N) last day of follow-up.
    died
        (R, N) follow-up ended by death.
    inside
        (R, N) who is in the analysis; each has at least one day of follow-up.
    exposures, outcomes
        Names; one of the two is alone, and the others name the terms of results.
    """

    exposed: FloatArray
    outcome: FloatArray
    repeats: FloatArray
    exit: FloatArray
    died: BoolArray
    inside: BoolArray
    exposures: tuple[str, ...]
    outcomes: tuple[str, ...]
    excluded: Excluded = field(default_factory=dict)

    @property
    def entered(self) -> BoolArray:
        """Patients in the analysis."""
        return self.inside

    @property
    def endings(self) -> Mapping[str, IntArray]:
        """Who had which outcomes."""
        had = np.isfinite(self.outcome) & self.inside[..., None]
        counts: dict[str, IntArray] = {}
        for pattern in product((True, False), repeat=len(self.outcomes)):
            who = self.inside & (had == np.array(pattern)).all(axis=-1)
            mine = [name for name, yes in zip(self.outcomes, pattern, strict=True) if yes]
            words = " and ".join(mine) + (" only" if 0 < len(mine) < len(self.outcomes) else "")
            counts[words or "no event"] = who.sum(axis=1)
        return counts


def start_stop(derived: Onsets, outcome: int = 0) -> StartStop:
    """Rows of a patient until one outcome: one more than there are exposures, those that do not exist with cause -1."""
    stop = np.minimum(derived.outcome[..., outcome], derived.exit)[..., None]
    happened = derived.outcome[..., outcome] <= derived.exit
    cuts = np.clip(np.sort(derived.exposed, axis=-1), 0.0, stop)
    begin = np.concatenate([np.zeros(stop.shape), cuts], axis=-1)
    end = np.concatenate([cuts, stop], axis=-1)
    exists = derived.inside[..., None] & (begin < end)
    cause = np.where(exists, np.int8(CENSORED), np.int8(EXCLUDED))
    cause[exists & (end == stop) & happened[..., None]] = EVENT
    covariates = (derived.exposed[..., None, :] <= begin[..., :, None]).astype(np.float64)
    replicates, patients, rows = begin.shape
    flat = (replicates, patients * rows)
    return StartStop(
        entry=begin.reshape(flat),
        time=end.reshape(flat),
        cause=cause.reshape(flat),
        covariates=covariates.reshape(*flat, -1),
        stratum=np.zeros(flat, dtype=np.int64),
        patient=np.broadcast_to(np.repeat(np.arange(patients), rows), flat),
        terms=derived.exposures,
        rows=rows,
        excluded=derived.excluded,
    )


def terms_of(exposures: tuple[str, ...], outcomes: tuple[str, ...]) -> tuple[str, ...]:
    """Names of the results: outcomes of one exposure, or exposures of one outcome."""
    return outcomes if len(outcomes) > 1 else exposures


def _time_dependent_cox(derived: Onsets, plan: AnalysisSpec) -> dict[str, Estimates]:
    from cmvsim.estimators.cox import cox

    found = {}
    n = derived.inside.sum(axis=1)
    for o, outcome in enumerate(derived.outcomes):
        rows = start_stop(derived, o)
        fit = cox(rows.time, rows.cause, rows.covariates, entry=rows.entry, cluster=rows.patient, level=plan.level)
        for e, exposure in enumerate(derived.exposures):
            name = outcome if len(derived.outcomes) > 1 else exposure
            found[name] = replace(fit.term(e, exponentiate=True), n=n)
    return found


def _landmark_cox(derived: Onsets, plan: AnalysisSpec) -> dict[str, Estimates]:
    from cmvsim.estimators.cox import cox

    found = {}
    for day in plan.landmarks:
        known = (derived.exposed <= day).astype(np.float64)
        for o, outcome in enumerate(derived.outcomes):
            first = derived.outcome[..., o]
            stop = np.minimum(first, derived.exit)
            stays = derived.inside & (stop > day)
            cause = np.where(stays, np.where(first <= derived.exit, EVENT, CENSORED), EXCLUDED)
            fit = cox(np.where(stays, stop - day, np.nan), cause, known, level=plan.level)
            for e, exposure in enumerate(derived.exposures):
                name = outcome if len(derived.outcomes) > 1 else exposure
                found[f"{name}, day {day}"] = fit.term(e, exponentiate=True)
    return found


def _mean_counts(derived: Onsets, plan: AnalysisSpec) -> dict[str, Estimates]:
    """Mean number of outcomes from each landmark to the end of the window: exposed by then minus not exposed."""
    from cmvsim.estimators.recurrent import mean_cumulative

    found = {}
    for day in plan.landmarks:
        if day >= plan.window:
            continue
        stays = derived.inside & (derived.exit > day)
        for o, outcome in enumerate(derived.outcomes):
            since = derived.repeats[..., o, :] - day
            exposed, other = (
                mean_cumulative(
                    np.where(since > 0, since, np.nan),
                    np.where(stays & group, derived.exit - day, np.nan),
                    float(plan.window - day),
                    died=derived.died,
                    interval="plain",
                    level=plan.level,
                )
                for group in (derived.exposed[..., 0] <= day, derived.exposed[..., 0] > day)
            )
            found[f"{outcome}, from day {day}"] = _difference(exposed, other, plan.level)
    return found


def _difference(exposed: Estimates, other: Estimates, level: float) -> Estimates:
    """Difference of two independent means, plain normal limits; not estimable unless both have a variance."""
    from cmvsim.estimators.intervals import normal_quantile

    z = normal_quantile(level)
    estimate, se = exposed.estimate - other.estimate, np.hypot(exposed.se, other.se)
    both = (exposed.status == Status.OK) & (other.status == Status.OK)
    empty = (exposed.status == Status.EMPTY) & (other.status == Status.EMPTY)
    status = np.where(both, int(Status.OK), np.where(empty, int(Status.EMPTY), int(Status.NOT_ESTIMABLE))).astype(np.int64)
    arrays = (np.where(both, a, np.nan) for a in (estimate, se, estimate - z * se, estimate + z * se))
    value, se, low, high = arrays
    n, events = exposed.n + other.n, exposed.events + other.events
    return Estimates(value, se, low, high, n, events, status, level, f"difference of: {exposed.method}")


def _ever_never(which: str) -> Callable[[Onsets, AnalysisSpec, Sizes], dict[str, Estimates]]:
    """Odds ratio, or phi, of having had the exposure and the outcome at any time of follow-up."""

    def estimate(derived: Onsets, plan: AnalysisSpec, sizes: Sizes) -> dict[str, Estimates]:
        from cmvsim.estimators.two_proportions import odds_ratio, phi_coefficient

        last = [n - 1 for n in sizes]
        found = {}
        for o, outcome in enumerate(derived.outcomes):
            had = np.isfinite(derived.outcome[..., o])
            for e, exposure in enumerate(derived.exposures):
                ever = derived.inside & np.isfinite(derived.exposed[..., e])
                never = derived.inside & ~ever
                x1, n1, x2, n2 = (np.cumsum(who, axis=1)[:, last] for who in (ever & had, ever, never & had, never))
                name = outcome if len(derived.outcomes) > 1 else exposure
                table = odds_ratio if which == "odds ratio" else phi_coefficient
                found[f"{name}, {which}"] = table(x1, n1, x2, n2, level=plan.level)
        return found

    return estimate


def estimators(exposures: tuple[str, ...], outcomes: tuple[str, ...], *, counts: bool) -> tuple[EstimatorChoice, ...]:
    """Time-dependent Cox first; landmarks; the ever/never table; mean counts where outcomes recur."""
    terms = terms_of(exposures, outcomes)

    def of_landmarks(plan: AnalysisSpec) -> tuple[str, ...]:
        return tuple(f"{term}, day {day}" for day in plan.landmarks for term in terms)

    def of_counts(plan: AnalysisSpec) -> tuple[str, ...]:
        return tuple(f"{term}, from day {day}" for day in plan.landmarks if day < plan.window for term in terms)

    mean_count = EstimatorChoice(
        "mean_count",
        "Difference of the mean number of events from a landmark on",
        at_each_size(_mean_counts),
        scale="mean_difference",
        terms=of_counts,
        note="events after the landmark per patient, deaths ending the count; exposed by the landmark minus not exposed",
    )
    return (
        EstimatorChoice(
            "time_dependent_cox",
            "Cause-specific hazard ratio, time-dependent exposure",
            at_each_size(_time_dependent_cox),
            scale="hazard_ratio",
            terms=lambda _: terms,
        ),
        EstimatorChoice(
            "landmark_cox",
            "Cause-specific hazard ratio from a landmark",
            at_each_size(_landmark_cox),
            scale="hazard_ratio",
            terms=of_landmarks,
            note="patients event-free and followed at the landmark, by what was known then",
        ),
        *((mean_count,) if counts else ()),
        EstimatorChoice(
            "odds_ratio",
            "Odds ratio, ever against never",
            _ever_never("odds ratio"),
            scale="odds_ratio",
            terms=lambda _: tuple(f"{term}, odds ratio" for term in terms),
            note=NAIVE,
        ),
        EstimatorChoice(
            "phi",
            "Phi coefficient, ever against never",
            _ever_never("phi"),
            scale="correlation",
            terms=lambda _: tuple(f"{term}, phi" for term in terms),
            note=NAIVE,
        ),
    )
