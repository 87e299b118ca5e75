"""The primary endpoint, CMV reactivation within 3 months, and the two rates by disease."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np

from cmvsim.core.records import BoolArray, Estimates, FloatArray
from cmvsim.data.study import Study, Topic
from cmvsim.endpoints.analysis import AnalysisSpec
from cmvsim.endpoints.base import Estimand, Estimator, EstimatorChoice, Sizes
from cmvsim.endpoints.cmv_status import end_of_follow_up, first_qualifying
from cmvsim.endpoints.derived import EVENT, EXCLUDED, TimeToEvent
from cmvsim.endpoints.population import also, left_out
from cmvsim.models.history import History, Process


def aalen_johansen_at_window(derived: TimeToEvent, plan: AnalysisSpec, sizes: Sizes) -> Estimates:
    """Cumulative incidence at the end of the window."""
    from cmvsim.estimators.competing import aalen_johansen

    return aalen_johansen(
        derived.time,
        derived.cause,
        float(plan.window),
        variance=plan.variance,
        interval=plan.interval,
        level=plan.level,
        nested=sizes,
    )


def crude_proportion(method: Literal["wilson", "clopper-pearson"]) -> Estimator:
    """Proportion with an event among those who entered, however long they were followed."""

    def estimate(derived: TimeToEvent, plan: AnalysisSpec, sizes: Sizes) -> Estimates:
        from cmvsim.estimators.proportions import proportion

        last = [n - 1 for n in sizes]
        happened = np.cumsum(derived.cause == EVENT, axis=1)[:, last]
        entered = np.cumsum(derived.cause >= 0, axis=1)[:, last]
        return proportion(happened, entered, method=method, level=plan.level)

    return estimate


def one_minus_kaplan_meier(derived: TimeToEvent, plan: AnalysisSpec, sizes: Sizes) -> Estimates:
    """1 - KM with competing events censored: biased upwards, shown because it is often done."""
    from cmvsim.estimators.survival import kaplan_meier

    event = np.where(derived.cause < 0, -1, derived.cause == EVENT)
    survival = kaplan_meier(derived.time, event, float(plan.window), interval=plan.interval, level=plan.level, nested=sizes)
    return Estimates(
        1 - survival.estimate,
        survival.se,
        1 - survival.ci_high,
        1 - survival.ci_low,
        survival.n,
        survival.events,
        survival.status,
        survival.level,
        "1 - Kaplan-Meier, " + survival.method,
    )


ESTIMATORS = (
    EstimatorChoice("aalen_johansen", "Cumulative incidence (Aalen-Johansen)", aalen_johansen_at_window),
    EstimatorChoice("crude_wilson", "Crude proportion, Wilson", crude_proportion("wilson")),
    EstimatorChoice("crude_clopper_pearson", "Crude proportion, Clopper-Pearson", crude_proportion("clopper-pearson")),
    EstimatorChoice(
        "one_minus_km", "1 - Kaplan-Meier", one_minus_kaplan_meier, note="biased: treats competing deaths as censored"
    ),
    EstimatorChoice(
        "relapse_competing", "Cumulative incidence, relapse competing", aalen_johansen_at_window, plan={"relapse": "competing"}
    ),
    EstimatorChoice(
        "relapse_censored", "Cumulative incidence, censored at relapse", aalen_johansen_at_window, plan={"relapse": "censor"}
    ),
)


@dataclass(frozen=True, slots=True)
class Reactivation:
    """First qualifying CMV sample in the window; death and transplantation compete.

    Parameters
    ----------
    disease
        Only patients of this disease; None for all.
    """

    id: str
    label: str
    objective: str
    disease: str | None = None

    @property
    def estimand(self) -> Estimand:
        """ICH E9(R1) attributes."""
        who = f"CMV-seropositive CAR-T recipients with {self.disease}" if self.disease else "CMV-seropositive CAR-T recipients"
        return Estimand(
            population=f"{who} without DNAemia at infusion",
            variable="day of the first qualifying sample within the window",
            intercurrent_events="as the plan says; by default death and transplantation compete, relapse: treatment policy",
            summary="cumulative incidence at the end of the window",
        )

    @property
    def needs(self) -> frozenset[Process]:
        """All processes of the foundation."""
        return frozenset({Process.TOXICITY, Process.CMV, Process.FOLLOW_UP, Process.DEATH})

    @property
    def reads(self) -> frozenset[Topic]:
        """Nothing beside the tables that are always there."""
        return frozenset()

    @property
    def estimators(self) -> tuple[EstimatorChoice, ...]:
        """Aalen-Johansen first."""
        return ESTIMATORS

    def derive(self, study: Study, plan: AnalysisSpec) -> TimeToEvent:
        """Day and cause per patient, from the tables.

        Order within a day: sample, treatment start, relapse, death; so an event on the day of death counts.
        """
        first, at_baseline = first_qualifying(study, plan)
        time, cause = end_of_follow_up(study, plan)
        counted = first <= time
        time = np.where(counted, first, time)
        cause = np.where(counted, np.int8(EVENT), cause)
        if plan.prevalent == "count":
            time = np.where(at_baseline, 0.0, time)
            cause = np.where(at_baseline, np.int8(EVENT), cause)
        excluded = left_out(study, plan, self.disease)
        if plan.prevalent == "exclude":
            excluded = also(excluded, "DNAemia at or before infusion", at_baseline, study)
        for who in excluded.values():
            cause[who] = EXCLUDED
        return TimeToEvent(time, cause, excluded)

    def latent(self, history: History, plan: AnalysisSpec) -> FloatArray:
        """Whether the realised, error-free load reached the level in the window before a competing event."""
        first, prevalent = _latent_time(history, plan)
        competing = history.death.copy()
        if plan.hct == "competing":
            competing = np.minimum(competing, history.observation.hct)
        if plan.relapse == "competing":
            competing = np.minimum(competing, history.observation.relapse)
        happened = (first > 0) & (first <= plan.window) & (first <= competing)
        value = happened.astype(np.float64)
        value = np.where(prevalent, 1.0 if plan.prevalent == "count" else np.nan, value)
        if self.disease is not None:
            mine = np.array([name == self.disease for name in history.diseases])[history.view(history.population.stratum)]
            value = np.where(mine, value, np.nan)
        return value


def _latent_time(history: History, plan: AnalysisSpec) -> tuple[FloatArray, BoolArray]:
    """True time of first reaching the definition's level after infusion (+inf if never), and who has DNAemia at infusion."""
    s = history.samples
    assert s is not None
    name = plan.definition.name
    prevalent = _reaching(history, s.lod if name == "detected" else s.lloq) <= 0
    if name == "clinically_significant":
        return history.clinically_significant, prevalent
    level = {"detected": s.lod, "quantifiable": s.lloq}.get(name, plan.definition.level)
    assert level is not None
    return _reaching(history, level), prevalent


def _reaching(history: History, level: float) -> FloatArray:
    """First time from infusion on at which the true load in the sampled matrix is at or above `level` IU/mL."""
    if history.episodes is None:
        raise ValueError("a latent functional needs a history with the path of the load")
    return history.episodes.first_reaching(np.log10(level) - history.episodes.offset, after=0.0)
