"""How the two death hazards of a stratum answer to its two targets, in closed form and fast enough for every draw."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from scipy import optimize

from cmvsim.core.records import FloatArray
from cmvsim.models.baseline import Baseline
from cmvsim.models.follow_up import TARGET_DAY, FollowUpSpec, RelapseLaw
from cmvsim.scenarios.scenario import Scenario

NODES = 96
HIGHEST = 10.0
"""Per day: beyond, death follows relapse at once."""


@dataclass(frozen=True)
class Stratum:
    """Relapse of a stratum at the nodes of a quadrature rule on [0, 90].

    Attributes
    ----------
    days, weights, free
        Nodes, weights, and the probability of no relapse by then, were there no death.
    at_end
        That probability on day 90.
    targets
        Death without relapse, and death, that the solved hazards belong to.
    """

    days: FloatArray
    weights: FloatArray
    free: FloatArray
    at_end: float
    targets: tuple[float, float]

    def hazards(self, non_relapse: float, death: float) -> tuple[float, float]:
        """Hazards without factors, as :func:`cmvsim.simulation.death.solve_death_hazards`; the nearest possible ones.

        Survival is exp(-h t) [S(t) + integral of f(s) exp(-a (t - s))], S and f being those of relapse. By parts the integral
        is F(t) - a times that of F(s) exp(-a (t - s)), which needs no density: f has a pole at 0 for shapes below 1.
        """

        def without_relapse(h: float) -> float:
            return float(self.weights @ (h * np.exp(-h * self.days) * self.free)) - non_relapse

        first = float(optimize.brentq(without_relapse, 0.0, HIGHEST, xtol=1e-14)) if non_relapse > 0 else 0.0
        last, relapsed = TARGET_DAY, 1 - self.free

        def too_many(after: float) -> float:
            later = (1 - self.at_end) - after * float(self.weights @ (relapsed * np.exp(-after * (last - self.days))))
            return 1 - float(np.exp(-first * last)) * (self.at_end + later) - death

        if too_many(0.0) >= 0:
            return first, 0.0
        if too_many(HIGHEST) <= 0:
            return first, HIGHEST
        return first, float(optimize.brentq(too_many, 0.0, HIGHEST, xtol=1e-14))


@dataclass(frozen=True)
class DeathTargets:
    """Answers of all strata, in the scenario's order."""

    strata: dict[str, Stratum]

    @classmethod
    def of(cls, scenario: Scenario) -> DeathTargets:
        """With the relapse and the targets of a scenario as solved."""
        follow_up = scenario.follow_up
        nodes, weights = np.polynomial.legendre.leggauss(NODES)
        days, weights = TARGET_DAY * (nodes + 1) / 2, TARGET_DAY * weights / 2
        strata = {}
        for name in scenario.population.strata:
            law = RelapseLaw.of(
                float(follow_up.relapse_by_90[name]), float(follow_up.relapse_shape), float(follow_up.relapse_ratios.score)
            )
            free = np.array([law.relapse_free(float(day)) for day in days])
            strata[name] = Stratum(days, weights, free, law.relapse_free(TARGET_DAY), _targets(follow_up, name))
        return cls(strata)

    def moved(self, baseline: Baseline, follow_up: FollowUpSpec) -> Baseline:
        """Hazards at other targets: those solved, times the ratio of the closed forms without factors.

        The factors multiply the hazard, and death by day 90 is rare enough that what they do to it is in proportion.
        """
        first, after = list(baseline.non_relapse_hazard), list(baseline.after_relapse_hazard)
        for index, (name, stratum) in enumerate(self.strata.items()):
            new = _targets(follow_up, name)
            if new == stratum.targets:
                continue
            was, now = stratum.hazards(*stratum.targets), stratum.hazards(*new)
            first[index] = first[index] * now[0] / was[0] if was[0] > 0 else now[0]
            after[index] = after[index] * now[1] / was[1] if was[1] > 0 else now[1]
        return replace(baseline, non_relapse_hazard=tuple(first), after_relapse_hazard=tuple(after))


def _targets(follow_up: FollowUpSpec, name: str) -> tuple[float, float]:
    return float(follow_up.non_relapse_mortality_by_90[name]), float(follow_up.death_by_90[name])
