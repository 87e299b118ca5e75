"""CMV disease within the window: the first that is proven or probable."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from cmvsim.core.records import FloatArray
from cmvsim.data.study import Study, Topic
from cmvsim.endpoints.analysis import AnalysisSpec
from cmvsim.endpoints.base import Estimand, EstimatorChoice
from cmvsim.endpoints.cmv_status import end_of_follow_up, first_disease, first_qualifying
from cmvsim.endpoints.derived import EVENT, EXCLUDED, TimeToEvent
from cmvsim.endpoints.incidence import INCIDENCE, by_parts
from cmvsim.endpoints.latent import latent_competing, latent_first
from cmvsim.endpoints.population import also, left_out
from cmvsim.models.history import History, Process


def disease_within_window(study: Study, plan: AnalysisSpec) -> TimeToEvent:
    """Day and cause per patient; disease on the day of death counts.

    Patients with DNAemia at or before infusion are left out, or, where the plan counts it, followed like the others: it is no
    disease. Disease at or before infusion is prevalent likewise, and is an event on day 0 where the plan counts it.
    """
    first = first_disease(study)
    time, cause = end_of_follow_up(study, plan)
    counted = (first > 0) & (first <= time)
    cause = np.where(counted, np.int8(EVENT), cause)
    time = np.where(counted, first, time)
    before = first <= 0
    excluded = left_out(study, plan)
    if plan.prevalent == "exclude":
        _, at_baseline = first_qualifying(study, plan)
        excluded = also(excluded, "DNAemia at or before infusion", at_baseline, study)
        excluded = also(excluded, "CMV disease at or before infusion", before, study)
    else:
        time = np.where(before, 0.0, time)
        cause = np.where(before, np.int8(EVENT), cause)
    for who in excluded.values():
        cause[who] = EXCLUDED
    return TimeToEvent(time, cause, excluded)


ESTIMATORS = (*INCIDENCE, *by_parts(disease_within_window))


@dataclass(frozen=True, slots=True)
class CmvDisease:
    """First proven or probable CMV disease in the window; death and transplantation compete."""

    id: str = "cmv_disease"
    label: str = "CMV disease"
    label_fr: str = "maladie à CMV"
    objective: str = "rate of CMV disease"

    @property
    def estimand(self) -> Estimand:
        """ICH E9(R1) attributes."""
        return Estimand(
            population="CMV-seropositive CAR-T recipients without DNAemia at infusion",
            variable="day of the first proven or probable CMV disease within the window",
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
        """Day and cause per patient; see :func:`disease_within_window`."""
        return disease_within_window(study, plan)

    def latent(self, history: History, plan: AnalysisSpec) -> FloatArray:
        """Whether CMV disease began in the window before a competing event."""
        assert history.disease is not None
        first = history.disease.time
        value = ((first > 0) & (first <= plan.window) & (first <= latent_competing(history, plan))).astype(np.float64)
        if plan.prevalent == "count":
            return np.where(first <= 0, 1.0, value)
        _, prevalent = latent_first(history, plan)
        return np.where(prevalent | (first <= 0), np.nan, value)
