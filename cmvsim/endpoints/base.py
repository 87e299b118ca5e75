"""What an endpoint is: an estimand, what it needs, a derivation from tables, estimators, and a latent functional."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Protocol

import numpy as np

from cmvsim.core.records import Estimates, FloatArray
from cmvsim.data.study import Study, Topic
from cmvsim.endpoints.analysis import AnalysisSpec
from cmvsim.endpoints.derived import Derived
from cmvsim.models.history import History, Process

Sizes = tuple[int, ...]
Estimated = Estimates | Mapping[str, Estimates]
"""One result, or one for each term of a model; arrays (R, sizes)."""
Estimator = Callable[[Any, AnalysisSpec, Sizes], Estimated]
"""(derived, plan, sizes): `derived` is of the kind that its endpoint derives."""


@dataclass(frozen=True, slots=True)
class Estimand:
    """Attributes of an estimand (ICH E9(R1))."""

    population: str
    variable: str
    intercurrent_events: str
    summary: str


def _one_term(plan: AnalysisSpec) -> tuple[str, ...]:  # noqa: ARG001 -- the signature of all
    return ("",)


@dataclass(frozen=True, slots=True)
class EstimatorChoice:
    """One way to estimate an endpoint.

    Attributes
    ----------
    id, label
        Its name in results, and in tables.
    estimate
        (derived, plan, sizes) -> Estimates with arrays (R, len(sizes)): the study of size n is its first n patients. With
        several terms: Estimates by term.
    scale
        What the number is, which says how it is printed.
    plan
        What it changes in the AnalysisSpec before derivation (a sensitivity analysis).
    derive
        A derivation of its own, where the estimator needs another kind of variable than the endpoint's primary one.
    terms
        Names of its terms under a plan; ("",) for a single number.
    batched
        False: a library on one data set at a time; left out of Monte Carlo unless named.
    note
        What a reader must know ("biased: shown for comparison").
    reads
        Parts of a study's tables that it looks at beside those of its endpoint.
    """

    id: str
    label: str
    estimate: Estimator
    scale: str = "probability"
    plan: Mapping[str, Any] = field(default_factory=dict)
    derive: Callable[[Study, AnalysisSpec], Derived] | None = None
    terms: Callable[[AnalysisSpec], tuple[str, ...]] = _one_term
    batched: bool = True
    note: str = ""
    reads: frozenset[Topic] = frozenset()


SCALES = (
    "probability",
    "risk_difference",
    "hazard_ratio",
    "subdistribution_hazard_ratio",
    "odds_ratio",
    "risk_ratio",
    "correlation",
    "mean",
    "mean_difference",
    "cost",
    "count",
    "p_value",
)
"""What an estimate may be. Ratios are estimated and printed as ratios; their standard errors are on the log scale."""


class Endpoint(Protocol):
    """One endpoint of the protocol: the same entry serves a real study, a simulated one, and a batch."""

    @property
    def id(self) -> str:
        """Name in files."""
        ...

    @property
    def label(self) -> str:
        """Name in tables and figures."""
        ...

    @property
    def label_fr(self) -> str:
        """The label in French, as it goes on in a sentence behind "de"."""
        ...

    @property
    def objective(self) -> str:
        """What the protocol asks."""
        ...

    @property
    def estimand(self) -> Estimand:
        """What is estimated."""
        ...

    @property
    def needs(self) -> frozenset[Process]:
        """Processes of the model that must run."""
        ...

    @property
    def reads(self) -> frozenset[Topic]:
        """Parts of a study's tables that the derivation looks at beside those that are always there."""
        ...

    @property
    def estimators(self) -> tuple[EstimatorChoice, ...]:
        """The first is primary."""
        ...

    def derive(self, study: Study, plan: AnalysisSpec) -> Derived:
        """The variable of the primary estimator, from study tables.

        Raises
        ------
        InputError
            If the study has not recorded what the endpoint is about.
        """
        ...

    def latent(self, history: History, plan: AnalysisSpec) -> FloatArray | None:
        """Per patient (R, N): what truly happened, whose mean is the estimand; NaN outside the population.

        None where the estimand is no mean of patients (a hazard ratio, a correlation): coverage is then judged against the
        limit of the same estimator in a large cohort.
        """
        ...


def derivation(entry: Endpoint, choice: EstimatorChoice, study: Study, plan: AnalysisSpec) -> Derived:
    """The variable that an estimator of an endpoint needs."""
    return choice.derive(study, plan) if choice.derive is not None else entry.derive(study, plan)


def plan_of(choice: EstimatorChoice, plan: AnalysisSpec) -> AnalysisSpec:
    """The plan under an estimator's own changes."""
    return plan.model_copy(update=dict(choice.plan)) if choice.plan else plan


def by_term(estimated: Estimated) -> Mapping[str, Estimates]:
    """Results by term; a single number has the term ""."""
    return {"": estimated} if isinstance(estimated, Estimates) else estimated


def at_each_size(estimate: Callable[[Any, AnalysisSpec], Estimated]) -> Estimator:
    """An estimator of nested sizes from one of a whole study, (derived, plan) -> Estimates of shape (R,)."""

    def nested(derived: Any, plan: AnalysisSpec, sizes: Sizes) -> Estimated:
        done = [by_term(estimate(derived.first(n), plan)) for n in sizes]
        stacked = {term: _stack([at[term] for at in done]) for term in done[0]}
        return stacked[""] if list(stacked) == [""] else stacked

    return nested


def _stack(parts: list[Estimates]) -> Estimates:
    names = ("estimate", "se", "ci_low", "ci_high", "n", "events", "status")
    if len(parts) == 1:
        arrays: dict[str, Any] = {name: getattr(parts[0], name)[:, np.newaxis] for name in names}
    else:
        arrays = {name: np.stack([getattr(part, name) for part in parts], axis=1) for name in names}
    return replace(parts[0], **arrays)
