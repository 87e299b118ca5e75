"""Checks of every endpoint: all estimators on small studies, what is biased without any effect of CMV, and limits.

Bias is looked for in large studies (of thousands of patients), where the small-sample bias of a log ratio of few events does
not hide it; what small studies make of the same estimators stands in the table of the page.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import lru_cache
from math import inf, log

import numpy as np

from cmvsim.core.records import FloatArray
from cmvsim.core.streams import CHUNK_REPLICATES, Role
from cmvsim.data.pooling import pooled
from cmvsim.data.study import Study
from cmvsim.endpoints import ENDPOINTS, EstimatorChoice, endpoint
from cmvsim.endpoints import cost_of_illness as costs
from cmvsim.endpoints.base import by_term
from cmvsim.endpoints.cost_tables import Exposure, cost_of
from cmvsim.endpoints.derived import Cost
from cmvsim.montecarlo import estimand_values as truth_module
from cmvsim.montecarlo.estimand_values import EstimandValue
from cmvsim.montecarlo.experiment import Failure, RowKey
from cmvsim.planning.experiment import CohortExperiment
from cmvsim.simulation.cohort import simulate
from cmvsim.simulation.draws import ChunkDraws
from cmvsim.simulation.model import Model
from cmvsim.simulation.recording import record
from tests.verification.common import (
    SEED,
    CheckRow,
    Size,
    baseline_of,
    field,
    mean_and_error,
    model_of,
    near,
    scenario,
    share_and_error,
    within,
)

INFLUENCE = ("analysis.resamples=0",)
"""The bootstrap of the attributable cost repeats it 400 times a study; its limits are checked where it is tested."""
NO_CMV_STAYS = (
    *INFLUENCE,
    "resources.cmv.prolongation_days=0",
    "resources.cmv.admission={valganciclovir=0,ganciclovir=0,foscarnet=0,maribavir=0}",
    "resources.cmv.disease_days=0",
    "resources.cmv.kidney_injury_days=0",
)
"""CMV brings nobody to hospital and keeps nobody there: stays are those of the product, its toxicity and infections."""
OF_CMV = ("surveillance", "treatments")
"""Components that CMV acts on by definition, in any scenario: who is treated is treated."""
STUDIED = ("null", "cmv-cart")
INFECTED, COSTED = 256, 64
"""Patients x 64 of a large study: 16,384 to compare infections, 4,096 to compare costs (sets x controls)."""
FIRST_CHUNK = 3000
"""Patients of no other check."""
NOT_ESTIMABLE = {
    "cmv_polymerase_mutation": "0 or 1 known resistance change among the sequenced of a chunk: a value, without a useful error"
}
"""Primary estimands whose Monte Carlo SE may be 0."""
NEVER_SPENT = {("cost_of_illness", "prophylaxis")}
"""Nobody takes letermovir in the registered study: exactly 0."""
UNBOUNDED = 100.0
"""SE of a log ratio beyond which there was no maximum; one of 40 patients with 7 events had a maximum with 63."""
WIDE = 0.03
"""Coverage of an interval for a rate with few events is conservative, or, with clustered zeros, a little short."""


# --- every estimator of every endpoint ----------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Studied:
    """Replicates of a scenario: `values` has axes (replicate, sample size, row, field)."""

    choices: tuple[EstimatorChoice, ...]
    rows: tuple[RowKey, ...]
    sizes: tuple[int, ...]
    values: FloatArray
    failures: tuple[Failure, ...]


def amount(size: Size) -> tuple[int, tuple[int, ...]]:
    """Chunks of 64 replicates, and sample sizes."""
    chunks = -(-size.replicates // (10 if size.long else 16) // CHUNK_REPLICATES)
    return chunks, (40, 100, 250) if size.long else (40, 100)


@lru_cache(maxsize=4)
def studied(name: str, size: Size) -> Studied:
    """All endpoints with all batched estimators."""
    chunks, sizes = amount(size)
    made = CohortExperiment(scenario(name, INFLUENCE), baseline_of(name, (), size.cohort), sizes, tuple(ENDPOINTS), True, SEED)
    parts = [made.chunk(index) for index in range(chunks)]
    by_id = {(key, choice.id): choice for key, choice in made.choices}
    return Studied(
        tuple(by_id[row.endpoint, row.estimator] for row in made.rows),
        made.rows,
        sizes,
        np.concatenate([part.values for part in parts]),
        tuple(failure for part in parts for failure in part.failures),
    )


def every_endpoint(size: Size) -> Iterator[CheckRow]:
    """(s) No replicate raises; numbers exist where the status says so, and only there."""
    for name in STUDIED:
        got = studied(name, size)
        label = f"{name}, {len(ENDPOINTS)} endpoints, {len(got.rows):,} results of {len(got.values):,} studies"
        yield near(f"{label}: studies that raised", 0, len(got.failures), 0, "degenerate samples give a status")
        status, estimate = field(got.values, "status"), field(got.values, "estimate")
        limits = np.isfinite(field(got.values, "ci_low")) & ~np.isnan(field(got.values, "ci_high"))
        bare = np.array([choice.scale in ("p_value", "count") for choice in got.choices])
        fine = np.isfinite(estimate) & (limits | bare)
        says = np.isin(status, (0, 1, 2))
        yield near(f"{label}: usable without estimate or limits", 0, (says & ~fine).sum(), 0, "the rule of a status")
        yield near(f"{label}: unusable with an estimate", 0, (~says & ~np.isnan(estimate)).sum(), 0, "the rule of a status")
        low, high = field(got.values, "ci_low"), field(got.values, "ci_high")
        with np.errstate(invalid="ignore"):
            outside = says & ~bare & ~((low <= estimate + 1e-9) & (estimate - 1e-9 <= high))
        yield near(f"{label}: estimates outside their limits", 0, outside.sum(), 0, "an interval holds its estimate")
        hazard = np.array([choice.scale == "hazard_ratio" for choice in got.choices])
        wild = says & hazard & ~(field(got.values, "se") < UNBOUNDED)
        source = "no maximum: separation, or nothing to tell, by status"
        yield near(f"{label}: hazard ratios with an SE of the log above {UNBOUNDED:g}", 0, wild.sum(), 0, source)
        last = got.rows.index(next(row for row in got.rows if row.endpoint == "cmv_reactivation"))
        usable, error = share_and_error(says[:, -1, last])
        yield near(f"{name}, N={got.sizes[-1]}: primary endpoint estimated", 1.0, usable, error, "incidence near 0.3", k=1)
    if size.long:
        yield from _coverage_of_rates(size)


def _coverage_of_rates(size: Size) -> Iterator[CheckRow]:
    """Primary intervals of rates against the protocol estimand, at the largest size."""
    got = studied("cmv-cart", size)
    for value in values_of("cmv-cart", size):
        if value.kind == "protocol" and endpoint(value.endpoint).estimators[0].scale == "probability":
            place = _place(got, value.endpoint)
            fine = np.isfinite(field(got.values, "ci_low")[:, -1, place])
            v = got.values[fine, -1, place]
            covered, error = share_and_error((field(v, "ci_low") <= value.value) & (value.value <= field(v, "ci_high")))
            label = f"coverage at N={got.sizes[-1]}: {value.endpoint} (rate {value.value:.3g}, {len(v):,} studies)"
            yield within(label, 0.95 - WIDE, 1.0, covered, error, "nominal 0.95; exact limits of few events cover more")


def _place(got: Studied, name: str) -> int:
    return next(place for place, row in enumerate(got.rows) if row.endpoint == name)


# --- large studies ------------------------------------------------------------------------------------------------------


def large_studies(model: Model, name: str, patients: int, chunks: int) -> Iterator[Study]:
    """Studies of 64 x `patients` patients with what an endpoint needs."""
    entry = endpoint(name)
    for chunk in range(chunks):
        draws = ChunkDraws(SEED, Role.STUDY, FIRST_CHUNK + chunk, patients)
        yield pooled(record(simulate(model, draws, needs=entry.needs), entry.reads))


@lru_cache(maxsize=8)
def infections(name: str, size: Size) -> dict[tuple[str, str], FloatArray]:
    """(estimator, term) -> one value for each large study, ratios as logs."""
    spec, found = scenario(name), {}
    for study in large_studies(model_of(name, (), size.cohort), "cmv_infections", INFECTED, of_large(size)):
        derived = endpoint("cmv_infections").derive(study, spec.spec.analysis)
        for choice in endpoint("cmv_infections").estimators:
            for term, got in by_term(choice.estimate(derived, spec.spec.analysis, (study.patients,))).items():
                value = float(got.estimate[0, 0])
                value = log(value) if choice.scale.endswith("ratio") else value
                found.setdefault((choice.id, term), []).append(value)
    return {key: np.array(column) for key, column in found.items()}


@lru_cache(maxsize=4)
def cost(name: str, size: Size) -> dict[tuple[str, str], FloatArray]:
    """(exposure: method, term) -> one difference for each large study, of costs that CMV does not act on."""
    plan, found = scenario(name, NO_CMV_STAYS).spec.analysis, {}
    model = Model.of(scenario(name, NO_CMV_STAYS).spec, baseline_of(name, (), size.cohort), None)
    exposures: tuple[Exposure, ...] = ("any_dnaemia", "clinically_significant")
    for study in large_studies(model, "cost_of_illness", COSTED, of_large(size)):
        for exposure in exposures:
            derived = without_cmv(cost_of(exposure)(study, plan))
            for method, estimate in (
                ("matching", costs.matched),
                ("ever_never", costs.naive_difference),
                ("poisson", costs.regression("poisson")),
            ):
                for term, got in estimate(derived, plan).items():
                    found.setdefault((f"{exposure}: {method}", term), []).append(float(got.estimate[0]))
    return {key: np.array(column) for key, column in found.items()}


def without_cmv(derived: Cost) -> Cost:
    """The same with nothing spent on the components that are CMV's own."""
    daily = derived.daily.copy()
    for component in OF_CMV:
        daily[..., derived.components.index(component)] = 0.0
    return replace(derived, daily=daily)


def of_large(size: Size) -> int:
    """How many large studies."""
    return size.truth_chunks * 3 // 5


RIGHT = (
    *(("time_dependent_cox", outcome) for outcome in ("bacterial", "fungal")),
    *(("landmark_cox", f"{outcome}, day {day}") for day in (14, 28) for outcome in ("bacterial", "fungal")),
    *(("mean_count", f"{outcome}, from day {day}") for day in (14, 28) for outcome in ("bacterial", "fungal")),
)
NAIVE = (("odds_ratio", "bacterial, odds ratio"), ("odds_ratio", "fungal, odds ratio"), ("phi", "bacterial, phi"))
COMPONENTS = ("total", "initial_stay", "additional_stays", "other")


def immortal_time(size: Size) -> Iterator[CheckRow]:
    """(t) Where CMV acts on nothing, naive comparisons find an effect and the primary ones do not."""
    found = infections("null", size)
    for estimator, term in RIGHT:
        got, error = mean_and_error(found[estimator, term])
        kind = "difference" if estimator == "mean_count" else "log hazard ratio"
        source = f"no effect; {64 * INFECTED:,} patients a study"
        yield near(f"infections, {estimator}, {term}: {kind}", 0.0, got, error, source, k=3.5)
    for estimator, term in NAIVE:
        if "fungal" in term and not size.long:
            continue  # one in thirty-five: needs the long tier
        got, error = mean_and_error(found[estimator, term])
        yield biased(f"infections, {estimator}, {term}", got, error)
    spent = cost("null", size)
    for exposure in ("any_dnaemia", "clinically_significant"):
        for term in COMPONENTS:
            got, error = mean_and_error(spent[f"{exposure}: matching", term])
            source = "no effect on stays, steroids, tocilizumab"
            yield near(f"cost of {exposure}, matching, {term} (EUR)", 0.0, got, error, source, k=3.5)
    # adjusted for censoring, which is half of the bias, Poisson needs more studies to show the rest
    for method in ("ever_never", "poisson") if size.long else ("ever_never",):
        got, error = mean_and_error(spent[f"any_dnaemia: {method}", "total"])
        yield biased(f"cost of any_dnaemia, {method} (EUR)", got, error)


def biased(name: str, got: float, error: float) -> CheckRow:
    """Above 0 by more than 3.5 MCSE."""
    return within(f"naive: {name}", 3.5 * error, inf, got, error, "biased: more than 3.5 MCSE above no effect", k=0)


def confounding(size: Size) -> Iterator[CheckRow]:
    """(u) Where CMV acts on nothing and shares causes with infections, the time-dependent hazard ratio is above 1."""
    shared, none = infections("null-confounded", size), infections("null", size)
    for term, range_ in (("bacterial", (log(1.1), log(1.5))), ("fungal", (0.0, log(1.6)))):
        got, error = mean_and_error(shared["time_dependent_cox", term])
        source = "shared causes: steroids, leukaemia, neutropenia, immunosuppression; no effect of CMV"
        yield within(f"log hazard ratio, {term}", *range_, got, error, source)
        yield biased(f"log hazard ratio, {term}, null-confounded", got, error)
        other, apart = mean_and_error(none["time_dependent_cox", term])
        yield biased(f"log hazard ratio, {term}, above that of null", got - other, float(np.hypot(error, apart)))


# --- estimand values ----------------------------------------------------------------------------------------------------


@lru_cache(maxsize=4)
def values_of(name: str, size: Size) -> tuple[EstimandValue, ...]:
    """Latent and protocol values of all endpoints."""
    plan = scenario(name).spec.analysis
    model = model_of(name, (), size.cohort)
    chunks = size.truth_chunks // 5 + 1
    return truth_module.estimand_values(model, (plan,), "preemptive", tuple(ENDPOINTS), chunks=chunks)


def estimands_of_all(size: Size) -> Iterator[CheckRow]:
    """(v) Every primary term has a finite value and a Monte Carlo SE; latent and protocol rates are near one another."""
    values, plan = values_of("cmv-cart", size), scenario("cmv-cart").spec.analysis
    terms = {(v.endpoint, v.term) for v in values if v.kind == "protocol" and np.isfinite(v.value)}
    wanted = {(name, term) for name, entry in ENDPOINTS.items() for term in entry.estimators[0].terms(plan)}
    missing = len(wanted - terms)
    yield near(f"primary terms of {len(wanted)} without a finite value", 0, missing, 0, "limit of the primary estimator")
    unsure = {(v.endpoint, v.term) for v in values if not v.mcse > 0 and v.endpoint not in NOT_ESTIMABLE} - NEVER_SPENT
    yield near(f"values of {len(values)} without a Monte Carlo SE", 0, len(unsure), 0, "but those declared")
    for v in values:
        if v.kind == "latent" and v.value > 0.01:
            observed = next(other for other in values if other.endpoint == v.endpoint and other.kind == "protocol")
            error = float(np.hypot(v.mcse, observed.mcse)) / v.value
            source = "assay noise finds episodes below the level; visits miss some"
            yield within(f"{v.endpoint}: protocol over latent", 0.85, 1.35, observed.value / v.value, error, source)
