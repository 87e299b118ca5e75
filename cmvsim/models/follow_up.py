"""Section 12: relapse and new therapy, transplantation, withdrawal and loss (12a); death (12b).

Relapse is Weibull; transplantation is exponential from its first possible day; withdrawal and loss are exponential.
Death is non-relapse mortality (constant hazard, raised by clinically significant CMV) or death after relapse (constant
hazard from relapse on). The two death hazards are solved from their targets.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from pydantic import model_validator

from cmvsim.core.errors import Problem, did_you_mean
from cmvsim.core.quantities import Days, Positive, Probability, Ratio
from cmvsim.core.records import FloatArray, IntArray
from cmvsim.core.spec import Spec
from cmvsim.core.streams import Draws

TARGET_DAY = 90.0
"""The day that the names ending in ``_by_90`` speak of."""


class DeathRatios(Spec):
    """Ratios on the non-relapse hazard of death.

    Attributes
    ----------
    clinically_significant
        From the start of pre-emptive therapy on.
    """

    clinically_significant: Ratio


class FollowUpSpec(Spec):
    """Competing events and the end of monitoring; tables by stratum.

    Attributes
    ----------
    relapse_by_90
        Probability of relapse or progression by day 90, were there no death.
    relapse_shape
        Weibull shape of relapse.
    monitoring_stop
        Probability that relapse brings a new therapy that ends CMV monitoring.
    hct_by_90, hct_from
        Probability of allogeneic transplantation by day 90 and its first possible day.
    death_by_90
        Probability of death by day 90 from any cause (a target).
    non_relapse_mortality_by_90
        Cumulative incidence of death without relapse by day 90 (a target).
    """

    relapse_by_90: dict[str, Probability]
    relapse_shape: Positive
    monitoring_stop: dict[str, Probability]
    hct_by_90: dict[str, Probability]
    hct_from: Days
    lost_by_90: Probability
    withdrawn_by_90: Probability
    death_by_90: dict[str, Probability]
    non_relapse_mortality_by_90: dict[str, Probability]
    death_ratios: DeathRatios

    @model_validator(mode="after")
    def _check(self) -> FollowUpSpec:
        for name in ("relapse_by_90", "hct_by_90", "death_by_90"):
            if any(float(value) >= 1 for value in getattr(self, name).values()):
                raise ValueError(f"{name}: a probability of 1 by day 90 has no finite hazard")
        for stratum, nrm in self.non_relapse_mortality_by_90.items():
            if stratum in self.death_by_90 and float(nrm) > float(self.death_by_90[stratum]):
                raise ValueError(
                    f"non_relapse_mortality_by_90.{stratum} ({float(nrm):g}) is above death from any cause "
                    f"({float(self.death_by_90[stratum]):g})"
                )
        if float(self.hct_from) >= TARGET_DAY:
            raise ValueError("hct_from must be before day 90")
        return self

    def check(self, strata: tuple[str, ...], where: str) -> list[Problem]:
        """Problems of tables that do not name exactly the strata."""
        problems = []
        for name in ("relapse_by_90", "monitoring_stop", "hct_by_90", "death_by_90", "non_relapse_mortality_by_90"):
            table = getattr(self, name)
            problems += [
                Problem(f"there is no stratum '{key}'", where, f"follow_up.{name}.{key}", did_you_mean(key, strata))
                for key in table
                if key not in strata
            ]
            problems += [
                Problem(f"the stratum '{key}' is missing", where, f"follow_up.{name}") for key in strata if key not in table
            ]
        return problems


@dataclass(frozen=True, slots=True)
class FollowUp:
    """Section 12a for a chunk: continuous times, +inf where it does not happen; flat arrays."""

    relapse: FloatArray
    new_therapy: FloatArray
    hct: FloatArray
    withdrawn: FloatArray
    lost: FloatArray


def exponential_rate(probability: float, days: float) -> float:
    """Constant hazard with which `probability` have had the event by `days`."""
    return float(-np.log1p(-probability) / days)


def follow_up(spec: FollowUpSpec, stratum: IntArray, strata: tuple[str, ...], draws: Draws) -> FollowUp:
    """Times of relapse, new therapy, transplantation, withdrawal and loss."""
    relapse_rate = np.array([exponential_rate(float(spec.relapse_by_90[name]), 1.0) for name in strata])
    with np.errstate(divide="ignore"):
        relapse = TARGET_DAY * (draws("follow_up.relapse") / relapse_rate[stratum]) ** (1 / float(spec.relapse_shape))
        first_hct = float(spec.hct_from)
        hct_rate = np.array([exponential_rate(float(spec.hct_by_90[name]), TARGET_DAY - first_hct) for name in strata])
        hct = first_hct + draws("follow_up.hct") / hct_rate[stratum]
        lost = draws("follow_up.loss") / exponential_rate(float(spec.lost_by_90), TARGET_DAY)
        withdrawn = draws("follow_up.withdrawal") / exponential_rate(float(spec.withdrawn_by_90), TARGET_DAY)
    stop = np.array([float(spec.monitoring_stop[name]) for name in strata])
    new_therapy = np.where(draws("follow_up.new_therapy") < stop[stratum], relapse, np.inf)
    return FollowUp(relapse, new_therapy, hct, withdrawn, lost)
