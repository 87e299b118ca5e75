"""The primary endpoint, CMV reactivation within 3 months, and the two rates by disease."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial

import numpy as np

from cmvsim.core.records import FloatArray
from cmvsim.data.study import Study, Topic
from cmvsim.endpoints.analysis import AnalysisSpec
from cmvsim.endpoints.base import Estimand, EstimatorChoice
from cmvsim.endpoints.cmv_status import end_of_follow_up, first_qualifying
from cmvsim.endpoints.derived import EVENT, EXCLUDED, TimeToEvent
from cmvsim.endpoints.group_comparison import DISEASES, of_diseases
from cmvsim.endpoints.incidence import INCIDENCE, by_parts
from cmvsim.endpoints.latent import latent_competing, latent_first
from cmvsim.endpoints.population import also, left_out
from cmvsim.endpoints.visit_intervals import by_visit_intervals
from cmvsim.models.history import History, Process


def first_reactivation(study: Study, plan: AnalysisSpec, disease: str | None = None) -> TimeToEvent:
    """Day and cause per patient, from the tables; of one disease, or of all.

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
    excluded = left_out(study, plan, disease)
    if plan.prevalent == "exclude":
        excluded = also(excluded, "DNAemia at or before infusion", at_baseline, study)
    for who in excluded.values():
        cause[who] = EXCLUDED
    return TimeToEvent(time, cause, excluded)


def _estimators(disease: str | None) -> tuple[EstimatorChoice, ...]:
    derive = partial(first_reactivation, disease=disease)
    return (*INCIDENCE, *by_parts(derive), by_visit_intervals(derive))


ESTIMATORS = _estimators(None)
OF_DISEASE = {disease: (*_estimators(disease), *of_diseases(first_reactivation)) for disease in DISEASES}
"""With comparisons of the two diseases beside the rate in each."""


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
    label_fr: str = ""

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
        return ESTIMATORS if self.disease is None else OF_DISEASE.get(self.disease, ESTIMATORS)

    def derive(self, study: Study, plan: AnalysisSpec) -> TimeToEvent:
        """Day and cause per patient, from the tables; see :func:`first_reactivation`."""
        return first_reactivation(study, plan, self.disease)

    def latent(self, history: History, plan: AnalysisSpec) -> FloatArray:
        """Whether the realised, error-free load reached the level in the window before a competing event."""
        first, prevalent = latent_first(history, plan)
        happened = (first > 0) & (first <= plan.window) & (first <= latent_competing(history, plan))
        value = happened.astype(np.float64)
        value = np.where(prevalent, 1.0 if plan.prevalent == "count" else np.nan, value)
        if self.disease is not None:
            mine = np.array([name == self.disease for name in history.diseases])[history.view(history.population.stratum)]
            value = np.where(mine, value, np.nan)
        return value
