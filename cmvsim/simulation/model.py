"""What the engines need of a scenario."""

from __future__ import annotations

from dataclasses import dataclass

from cmvsim.models.baseline import Baseline
from cmvsim.models.cmv import CmvSpec
from cmvsim.models.follow_up import FollowUpSpec
from cmvsim.models.monitoring import MonitoringSpec
from cmvsim.models.population import PopulationSpec
from cmvsim.models.resistance import ResistanceSpec
from cmvsim.models.toxicity import ToxicitySpec
from cmvsim.models.treatment import TreatmentSpec
from cmvsim.models.virome import ViromeSpec
from cmvsim.scenarios.scenario import Scenario


@dataclass(frozen=True, slots=True)
class Model:
    """The families' specifications and the solved baseline hazards.

    Attributes
    ----------
    inclusion_day, horizon
        First and last simulated day.
    """

    inclusion_day: float
    horizon: float
    population: PopulationSpec
    toxicity: ToxicitySpec
    virome: ViromeSpec
    cmv: CmvSpec
    monitoring: MonitoringSpec
    treatment: TreatmentSpec
    resistance: ResistanceSpec
    follow_up: FollowUpSpec
    baseline: Baseline

    @classmethod
    def of(cls, scenario: Scenario, baseline: Baseline) -> Model:
        """The model of a scenario with its solved hazards."""
        return cls(
            inclusion_day=float(scenario.study.inclusion),
            horizon=float(scenario.study.horizon),
            population=scenario.population,
            toxicity=scenario.toxicity,
            virome=scenario.virome,
            cmv=scenario.cmv,
            monitoring=scenario.monitoring,
            treatment=scenario.preemptive_therapy,
            resistance=scenario.resistance,
            follow_up=scenario.follow_up,
            baseline=baseline,
        )
