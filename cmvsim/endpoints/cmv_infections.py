"""Do bacterial and fungal infections follow CMV? First infection after infusion, CMV status as it changes."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from cmvsim.core.errors import InputError, Problem
from cmvsim.core.records import FloatArray
from cmvsim.data.study import Study, Topic
from cmvsim.endpoints.analysis import AnalysisSpec
from cmvsim.endpoints.base import Estimand, EstimatorChoice
from cmvsim.endpoints.cmv_status import end_of_follow_up, positive_since
from cmvsim.endpoints.derived import DEATH
from cmvsim.endpoints.population import also, anybody, left_out
from cmvsim.endpoints.time_dependent import Onsets, estimators
from cmvsim.models.history import History, Process

INFECTIONS = {"bacterial": "bacterial_infection", "fungal": "fungal_infection"}
"""Terms of the results and the events that they are about."""

ESTIMATORS = estimators(("cmv",), tuple(INFECTIONS), counts=True)


def infections_after_cmv(study: Study, plan: AnalysisSpec) -> Onsets:
    """CMV status and first infections of each patient.

    CMV status begins with the first qualifying sample and does not end. An infection on the day of that sample came under
    the status before it. Infections on or before day 0 are not looked at. Patients with DNAemia at or before infusion are
    left out, or positive from infusion on where the plan counts it.

    Raises
    ------
    InputError
        If infections were not recorded.
    """
    missing = [event for event in INFECTIONS.values() if event not in study.events]
    if missing:
        raise InputError(Problem(f"not recorded: {', '.join(missing)}", "events", "event", "a table events.csv"))
    since, at_baseline = positive_since(study, plan)
    end, cause = end_of_follow_up(study, plan)
    days = [study.events[event].day for event in INFECTIONS.values()]
    widest = max(day.shape[-1] for day in days)
    repeats = np.full((*end.shape, len(days), widest), np.nan)
    for place, day in enumerate(days):
        counts = (day > 0) & (day <= end[..., None])
        repeats[..., place, : day.shape[-1]] = np.where(counts, day, np.nan)
    excluded = left_out(study, plan)
    if plan.prevalent == "exclude":
        excluded = also(excluded, "DNAemia at or before infusion", at_baseline, study)
    excluded = also(excluded, "no follow-up after infusion", end <= 0, study)
    return Onsets(
        exposed=since[..., None],
        outcome=np.fmin.reduce(repeats, axis=-1, initial=np.inf),
        repeats=repeats,
        exit=end,
        died=cause == DEATH,
        inside=~anybody(excluded, study),
        exposures=("cmv",),
        outcomes=tuple(INFECTIONS),
        excluded=excluded,
    )


@dataclass(frozen=True, slots=True)
class CmvInfections:
    """First bacterial and first fungal infection by CMV status; death and the end of follow-up censor."""

    id: str = "cmv_infections"
    label: str = "Infections after CMV"
    label_fr: str = "infections après une réactivation du CMV"
    objective: str = "correlation of CMV reactivation with bacterial or fungal infections"

    @property
    def estimand(self) -> Estimand:
        """ICH E9(R1) attributes."""
        return Estimand(
            population="CMV-seropositive CAR-T recipients without DNAemia at infusion",
            variable="day of the first bacterial, and of the first fungal, infection within the window",
            intercurrent_events="while alive and followed: death and transplantation end the time at risk",
            summary="cause-specific hazard ratio, after the first qualifying CMV sample against before it or never",
        )

    @property
    def needs(self) -> frozenset[Process]:
        """The foundation and infections."""
        return frozenset({Process.TOXICITY, Process.CMV, Process.INFECTIONS, Process.FOLLOW_UP, Process.DEATH})

    @property
    def reads(self) -> frozenset[Topic]:
        """Infections."""
        return frozenset({Topic.INFECTIONS})

    @property
    def estimators(self) -> tuple[EstimatorChoice, ...]:
        """Time-dependent Cox first."""
        return ESTIMATORS

    def derive(self, study: Study, plan: AnalysisSpec) -> Onsets:
        """CMV status and infections; see :func:`infections_after_cmv`."""
        return infections_after_cmv(study, plan)

    def latent(self, history: History, plan: AnalysisSpec) -> FloatArray | None:  # noqa: ARG002 -- no mean of patients
        """None: a hazard ratio is no mean of patients."""
        return None
