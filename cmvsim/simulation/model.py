"""What the engines need of a scenario."""

from __future__ import annotations

from dataclasses import dataclass

from cmvsim.models.accrual import AccrualSpec
from cmvsim.models.baseline import Baseline
from cmvsim.models.cmv import CmvSpec
from cmvsim.models.follow_up import FollowUpSpec
from cmvsim.models.infections import InfectionsSpec
from cmvsim.models.kinetics import KineticsSpec
from cmvsim.models.monitoring import MonitoringSpec
from cmvsim.models.population import PopulationSpec
from cmvsim.models.quality_of_life import LatentHealth, QualityOfLifeSpec
from cmvsim.models.resistance import ResistanceSpec
from cmvsim.models.resources import ResourcesSpec
from cmvsim.models.strategies import LetermovirSpec, StrategySpec
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
    latent_health
        Section 13 on the latent scale; needed by the process quality of life only.
    accrual
        Recruitment; needed where patients share the hospital's calendar, by no patient's own course.
    """

    inclusion_day: float
    horizon: float
    population: PopulationSpec
    kinetics: KineticsSpec
    toxicity: ToxicitySpec
    virome: ViromeSpec
    cmv: CmvSpec
    monitoring: MonitoringSpec
    treatment: TreatmentSpec
    infections: InfectionsSpec
    resistance: ResistanceSpec
    follow_up: FollowUpSpec
    letermovir: LetermovirSpec
    strategies: dict[str, StrategySpec]
    resources: ResourcesSpec
    quality_of_life: QualityOfLifeSpec
    baseline: Baseline
    latent_health: LatentHealth | None = None
    accrual: AccrualSpec | None = None

    @classmethod
    def of(cls, scenario: Scenario, baseline: Baseline, latent_health: LatentHealth | None = None) -> Model:
        """The model of a scenario with its solved hazards, and quality of life converted if it is to be simulated."""
        return cls(
            inclusion_day=float(scenario.study.inclusion),
            horizon=float(scenario.study.horizon),
            population=scenario.population,
            kinetics=scenario.kinetics,
            toxicity=scenario.toxicity,
            virome=scenario.virome,
            cmv=scenario.cmv,
            monitoring=scenario.monitoring,
            treatment=scenario.preemptive_therapy,
            infections=scenario.infections,
            resistance=scenario.resistance,
            follow_up=scenario.follow_up,
            letermovir=scenario.letermovir,
            strategies=scenario.strategies,
            resources=scenario.resources,
            quality_of_life=scenario.quality_of_life,
            baseline=baseline,
            latent_health=latent_health,
            accrual=scenario.accrual,
        )
