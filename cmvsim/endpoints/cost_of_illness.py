"""Cost of illness of CMV: what an infection adds, from its first day to the end of the window.

Four components make the total: the initial stay, additional stays, surveillance, treatments. Prophylaxis and other drugs
(against toxicity) stand beside it. The primary estimate compares each patient with a clinically significant infection with
patients who on that day were alive, monitored, free of it and in the same state, both from that day on.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, Literal

import numpy as np

from cmvsim.core.records import BoolArray, Estimates, FloatArray, IntArray
from cmvsim.data.study import Study, Topic
from cmvsim.endpoints.analysis import AnalysisSpec
from cmvsim.endpoints.base import Estimand, EstimatorChoice, at_each_size
from cmvsim.endpoints.cost_tables import PER_STRATUM, cost_of
from cmvsim.endpoints.derived import Cost
from cmvsim.endpoints.resampling import patient_counts
from cmvsim.models.history import History, Process

OF_ILLNESS = ("initial_stay", "additional_stays", "surveillance", "treatments")
"""Components of the total."""
BESIDE = ("prophylaxis", "other")
TERMS = ("total", *OF_ILLNESS, *BESIDE)
PARTITION_DAYS = 7
NO_CONTROL = -1
WITH, WITHOUT = "with the infection", "without"


def total_cost(derived: Cost) -> FloatArray:
    """(R, N) observed total over the window; NaN outside the analysis."""
    places = [derived.components.index(name) for name in OF_ILLNESS]
    total = derived.daily[..., places].sum(axis=(2, 3))
    return np.where(derived.inside, total, np.nan)


def history_of(derived: Cost) -> tuple[FloatArray, BoolArray]:
    """(R, N) day until which the cost is known (NaN outside the analysis), and whether that is all of it."""
    horizon = derived.daily.shape[2]
    died = derived.death <= np.minimum(derived.exit, horizon)
    time = np.where(died, derived.death, np.minimum(derived.exit, horizon))
    return np.where(derived.inside, time, np.nan), died | (derived.exit >= horizon)


def matched(derived: Cost, plan: AnalysisSpec) -> dict[str, Estimates]:
    """Attributable cost by risk-set matching, total and by component; bootstrap of patients."""
    from cmvsim.estimators.attributable_cost import attributable_cost

    days = np.arange(1, derived.daily.shape[2] + 1)
    key = np.where(days <= derived.monitored[..., None], derived.key, np.int16(NO_CONTROL))
    got = attributable_cost(
        derived.daily,
        derived.index,
        derived.exit,
        derived.death,
        # the estimator counts days from 0, on which nobody is compared unless prevalent infections count
        np.concatenate([key[..., :1], key], axis=2),
        first_day=1,
        total=[derived.components.index(name) for name in OF_ILLNESS],
        partition_days=PARTITION_DAYS,
        counts=patient_counts(plan, derived.index.shape[1]),
        level=plan.level,
    )
    places = {name: place for place, name in enumerate(("total", *derived.components))}
    return {term: got.component(places[term]) for term in TERMS}


def ever(derived: Cost) -> BoolArray:
    """(R, N) who had the infection in the window."""
    return ~np.isnan(derived.index) & derived.inside


def regression(model: Literal["poisson", "two-part"]) -> Callable[[Cost, AnalysisSpec], dict[str, Estimates]]:
    """Difference of the mean total by recycled predictions, adjusted for the stratum, weighted for censoring."""

    def estimate(derived: Cost, plan: AnalysisSpec) -> dict[str, Estimates]:
        from cmvsim.estimators.cost_regression import cost_difference
        from cmvsim.estimators.costs import uncensored_probability

        time, complete = history_of(derived)
        with np.errstate(divide="ignore", invalid="ignore"):
            weight = np.where(complete & derived.inside, 1.0 / uncensored_probability(time, complete), 0.0)
        total, exposed = total_cost(derived), ever(derived)
        stratum = derived.key[..., 0] // PER_STRATUM
        present = (stratum[..., None] == np.arange(int(stratum.max(initial=0)) + 1)) & (weight > 0)[..., None]
        parts: list[tuple[IntArray, Estimates]] = []
        # a stratum without a patient has no coefficient: replicates with the same strata are fitted together
        patterns, group = np.unique(present.any(axis=1), axis=0, return_inverse=True)
        for which, some in enumerate(patterns):
            rows = np.flatnonzero(group.reshape(-1) == which)
            x = present[rows][..., np.flatnonzero(some)[1:]].astype(np.float64)
            covariates = x if x.shape[-1] else None
            got = cost_difference(total[rows], exposed[rows], covariates, model=model, weights=weight[rows], level=plan.level)
            parts.append((rows, got))
        return {"total": _joined(parts)}

    return estimate


def _joined(parts: list[tuple[IntArray, Estimates]]) -> Estimates:
    """Estimates of groups of replicates, in the order of the replicates."""
    order = np.argsort(np.concatenate([rows for rows, _ in parts]), kind="stable")
    names = ("estimate", "se", "ci_low", "ci_high", "n", "events", "status")
    columns: dict[str, Any] = {name: np.concatenate([getattr(got, name) for _, got in parts])[order] for name in names}
    return replace(parts[0][1], **columns)


def mean_by_group(derived: Cost, plan: AnalysisSpec) -> dict[str, Estimates]:
    """Mean total with and without the infection, each with the censoring weights of its own group (Bang and Tsiatis)."""
    from cmvsim.estimators.costs import mean_cost

    time, complete = history_of(derived)
    horizon = derived.daily.shape[2]
    edges = np.unique(np.minimum(np.arange(0, horizon + PARTITION_DAYS, PARTITION_DAYS), horizon)).astype(np.float64)
    places = [derived.components.index(name) for name in OF_ILLNESS]
    total = derived.daily[..., places].sum(axis=-1)
    costs = np.add.reduceat(total, edges[:-1].astype(np.int64), axis=2)
    had = ever(derived)
    return {
        name: mean_cost(costs, np.where(group & derived.inside, time, np.nan), complete, boundaries=edges, level=plan.level)
        for name, group in ((WITH, had), (WITHOUT, ~had))
    }


def naive_difference(derived: Cost, plan: AnalysisSpec) -> dict[str, Estimates]:
    """Mean observed total of those who ever had the infection minus that of those who never had it."""
    from cmvsim.estimators.costs import ever_never_difference

    return {"total": ever_never_difference(total_cost(derived), ever(derived), level=plan.level)}


def _terms(plan: AnalysisSpec) -> tuple[str, ...]:  # noqa: ARG001 -- the signature of all
    return TERMS


def _total(plan: AnalysisSpec) -> tuple[str, ...]:  # noqa: ARG001
    return ("total",)


def _groups(plan: AnalysisSpec) -> tuple[str, ...]:  # noqa: ARG001
    return (WITH, WITHOUT)


_BESIDE = "the total is that of the four components of the illness; prophylaxis and other drugs stand beside it"
_NAIVE = "who had the infection lived to have it, and costs before it count as its consequence (immortal time)"

_CLINICAL = cost_of("clinically_significant")

ESTIMATORS = (
    EstimatorChoice(
        "matching",
        "Attributable cost of clinically significant infection",
        at_each_size(matched),
        "cost",
        terms=_terms,
        note=_BESIDE,
    ),
    EstimatorChoice(
        "matching_any_dnaemia",
        "Attributable cost of any DNAemia",
        at_each_size(matched),
        "cost",
        derive=cost_of("any_dnaemia"),
        terms=_terms,
        note=_BESIDE,
    ),
    EstimatorChoice(
        "matching_disease",
        "Attributable cost of CMV disease",
        at_each_size(matched),
        "cost",
        derive=cost_of("disease"),
        terms=_terms,
        note=f"disease is rare: seldom estimable; {_BESIDE}",
    ),
    EstimatorChoice(
        "poisson",
        "Difference of cost, Poisson quasi-likelihood",
        at_each_size(regression("poisson")),
        "cost",
        terms=_total,
        note=f"naive: {_NAIVE}",
    ),
    EstimatorChoice(
        "two_part",
        "Difference of cost, two-part model",
        at_each_size(regression("two-part")),
        "cost",
        terms=_total,
        note=f"naive: {_NAIVE}",
    ),
    EstimatorChoice(
        "bang_tsiatis",
        "Mean cost by group, partitioned weights",
        at_each_size(mean_by_group),
        "cost",
        terms=_groups,
        note=f"groups are made by the future: {_NAIVE}",
    ),
    EstimatorChoice(
        "ever_never",
        "Difference of observed cost, ever against never",
        at_each_size(naive_difference),
        "cost",
        terms=_total,
        note=f"naive: {_NAIVE}",
    ),
)


@dataclass(frozen=True, slots=True)
class CostOfIllness:
    """Cost that CMV infection adds."""

    id: str = "cost_of_illness"
    label: str = "Cost of illness of CMV"
    label_fr: str = "coût de la maladie à CMV"
    objective: str = "cost of illness of CMV: prolonged initial stay, additional stays, surveillance, treatments"

    @property
    def estimand(self) -> Estimand:
        """ICH E9(R1) attributes."""
        return Estimand(
            population="CMV-seropositive CAR-T recipients with clinically significant infection, without DNAemia at infusion",
            variable="cost from the first day of the infection to the end of the window, by component",
            intercurrent_events="nothing is spent after death; relapse, new therapy and transplantation: treatment policy",
            summary="mean cost added, against patients free of it on that day and in the same state",
        )

    @property
    def needs(self) -> frozenset[Process]:
        """CMV and resource use."""
        return frozenset({Process.TOXICITY, Process.CMV, Process.FOLLOW_UP, Process.DEATH, Process.RESOURCES})

    @property
    def reads(self) -> frozenset[Topic]:
        """Resource use, stays, and the drugs against toxicity."""
        return frozenset({Topic.RESOURCES, Topic.STAYS, Topic.TOXICITY})

    @property
    def estimators(self) -> tuple[EstimatorChoice, ...]:
        """Risk-set matching first."""
        return ESTIMATORS

    def derive(self, study: Study, plan: AnalysisSpec) -> Cost:
        """Cost per day, with clinically significant infection as the illness."""
        return _CLINICAL(study, plan)

    def latent(self, history: History, plan: AnalysisSpec) -> FloatArray | None:  # noqa: ARG002
        """The cost that CMV adds compares a history with itself without CMV: it is no mean over one history."""
        return None
