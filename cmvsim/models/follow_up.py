"""Section 12: relapse and new therapy, transplantation, withdrawal and loss (12a); death (12b).

Relapse is Weibull; transplantation is exponential from its first possible day; withdrawal and loss are exponential.
Death is non-relapse mortality (constant hazard, raised by CMV, severe infection, severe toxicity and the score) or death
after relapse (constant hazard from relapse on). The two death hazards are solved from their targets.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from pydantic import model_validator
from scipy import optimize

from cmvsim.core.errors import Problem, did_you_mean
from cmvsim.core.quantities import Days, Positive, Probability, Ratio
from cmvsim.core.records import FloatArray, IntArray
from cmvsim.core.spec import Spec
from cmvsim.core.streams import Draws
from cmvsim.core.value import Value

TARGET_DAY = 90.0
"""The day that the names ending in ``_by_90`` speak of."""

NODES = 64
"""Of the Gauss-Hermite rule over the score."""


class RelapseRatios(Spec):
    """Ratios on the hazard of relapse.

    Attributes
    ----------
    score
        Per standard deviation of the immunosuppression score. Other than 1, censoring at new therapy depends on the
        score that also acts on CMV.
    """

    score: Ratio


class DeathRatios(Spec):
    """Ratios on the non-relapse hazard of death; where several act they multiply.

    Attributes
    ----------
    clinically_significant
        From the first start of pre-emptive therapy on.
    disease
        From the onset of CMV disease on.
    severe_infection
        While a severe bacterial or fungal infection lasts; two at a time count once.
    severe_toxicity
        While CRS or ICANS of grade 3 or more lasts; both at a time count once.
    score
        Per standard deviation of the immunosuppression score, all the time.
    """

    clinically_significant: Ratio
    disease: Ratio
    severe_infection: Ratio
    severe_toxicity: Ratio
    score: Ratio

    @classmethod
    def none(cls) -> DeathRatios:
        """No factor acts."""
        return cls(**{name: Value(value=1.0) for name in cls.model_fields})

    @property
    def act(self) -> bool:
        """Whether any factor acts, so that the closed form of the two death hazards does not hold."""
        return any(float(ratio) != 1.0 for _, ratio in self)


class FollowUpSpec(Spec):
    """Competing events and the end of monitoring; tables by stratum.

    Attributes
    ----------
    relapse_by_90
        Probability of relapse or progression by day 90, were there no death, over all scores.
    relapse_shape
        Weibull shape of relapse, given the score.
    relapse_ratios
        What acts on the hazard of relapse.
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
    relapse_ratios: RelapseRatios
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


@dataclass(frozen=True, slots=True)
class RelapseLaw:
    """Weibull relapse whose hazard is multiplied by ratio^Z.

    Attributes
    ----------
    scale
        Cumulative hazard by `day` at Z = 0.
    shape
        Weibull shape.
    day
        Of the probability that the law is made from.
    multipliers, weights
        ratio^z at the nodes of a Gauss-Hermite rule for Z, and the nodes' weights; one node without a ratio.
    """

    scale: float
    shape: float
    day: float
    multipliers: FloatArray
    weights: FloatArray

    @classmethod
    def of(cls, relapse: float, shape: float, score_ratio: float, day: float = TARGET_DAY) -> RelapseLaw:
        """The law with which a share `relapse` of all patients has relapsed by `day`, whatever the ratio."""
        scale, one = exponential_rate(relapse, 1.0), np.ones(1)
        if score_ratio == 1.0 or scale == 0.0:
            return cls(scale, shape, day, one, one)
        nodes, weights = np.polynomial.hermite_e.hermegauss(NODES)
        weights = weights / weights.sum()
        multipliers = score_ratio**nodes

        def short(log_scale: float) -> float:
            return float(weights @ np.exp(-np.exp(log_scale) * multipliers)) - (1 - relapse)

        low = high = float(np.log(scale))
        while short(low) < 0:
            low -= 1.0
        while short(high) > 0:
            high += 1.0
        return cls(float(np.exp(optimize.brentq(short, low, high, xtol=1e-14))), shape, day, multipliers, weights)

    def relapse_free(self, t: float) -> float:
        """Probability of no relapse by t, over all scores, were there no death."""
        return float(self.weights @ np.exp(-self.scale * self.multipliers * (t / self.day) ** self.shape))

    def density(self, t: float) -> float:
        """Density of the time of relapse, over all scores, were there no death."""
        hazard = self.scale * self.multipliers
        steep = self.shape / self.day * (t / self.day) ** (self.shape - 1)
        return float(self.weights @ (hazard * np.exp(-hazard * (t / self.day) ** self.shape)) * steep)


def follow_up(
    spec: FollowUpSpec, stratum: IntArray, strata: tuple[str, ...], draws: Draws, score: FloatArray | None = None
) -> FollowUp:
    """Times of relapse, new therapy, transplantation, withdrawal and loss.

    Parameters
    ----------
    score
        Immunosuppression score; needed only where it acts on relapse.
    """
    shape, ratio = float(spec.relapse_shape), float(spec.relapse_ratios.score)
    laws = [RelapseLaw.of(float(spec.relapse_by_90[name]), shape, ratio) for name in strata]
    cumulative = np.array([law.scale for law in laws])[stratum]
    if ratio != 1.0:
        if score is None:
            raise ValueError("the score acts on relapse, but was not given")
        cumulative = cumulative * np.exp(np.log(ratio) * score)
    with np.errstate(divide="ignore"):
        relapse = TARGET_DAY * (draws("follow_up.relapse") / cumulative) ** (1 / shape)
        first_hct = float(spec.hct_from)
        hct_rate = np.array([exponential_rate(float(spec.hct_by_90[name]), TARGET_DAY - first_hct) for name in strata])
        hct = first_hct + draws("follow_up.hct") / hct_rate[stratum]
        lost = draws("follow_up.loss") / exponential_rate(float(spec.lost_by_90), TARGET_DAY)
        withdrawn = draws("follow_up.withdrawal") / exponential_rate(float(spec.withdrawn_by_90), TARGET_DAY)
    stop = np.array([float(spec.monitoring_stop[name]) for name in strata])
    new_therapy = np.where(draws("follow_up.new_therapy") < stop[stratum], relapse, np.inf)
    return FollowUp(relapse, new_therapy, hct, withdrawn, lost)
