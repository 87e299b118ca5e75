"""What unfolds without CMV and before it (model.md 1 to 4, 12a, 14 planned stay, 15 start): the CMV course is laid on it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from cmvsim.core.records import FloatArray, IntArray
from cmvsim.core.streams import Draws
from cmvsim.models.follow_up import FollowUp, follow_up
from cmvsim.models.kinetics import Kinetics
from cmvsim.models.population import Population
from cmvsim.models.prophylaxis import Prophylaxis
from cmvsim.models.resources import PlannedStay, planned_stay, worst_toxicity
from cmvsim.models.strategies import StrategySpec
from cmvsim.models.toxicity import Toxicity
from cmvsim.models.virome import Virome
from cmvsim.simulation.model import Model
from cmvsim.simulation.prophylaxis import prophylaxis


@dataclass(frozen=True)
class Background:
    """A chunk's patients apart from CMV: lazily drawn, so that what nobody asks for costs nothing.

    Attributes
    ----------
    never_lost
        Nobody leaves monitoring but by transplantation (and death): the plan of the protocol estimand.
    plans, arm
        Strategies with prophylaxis, and (P,) the index of each patient's; empty if nobody gets any.
    """

    model: Model
    draws: Draws
    never_lost: bool = False
    plans: Sequence[StrategySpec] = ()
    arm: IntArray | None = None

    @cached_property
    def population(self) -> Population:
        """Section 1."""
        return Population(self.model.population, self.draws)

    @cached_property
    def kinetics(self) -> Kinetics:
        """Section 2."""
        return Kinetics(self.model.kinetics, self.population, self.draws)

    @cached_property
    def toxicity(self) -> Toxicity:
        """Section 3."""
        return Toxicity(self.model.toxicity, self.population, self.kinetics, self.draws)

    @cached_property
    def virome(self) -> Virome:
        """Section 4."""
        return Virome(self.model.virome, self.population, self.draws, self.model.inclusion_day, self.model.horizon)

    @cached_property
    def follow_up(self) -> FollowUp:
        """Section 12a as it acts."""
        model, population = self.model, self.population
        acts = float(model.follow_up.relapse_ratios.score) != 1
        score = population.score if acts else None
        times = follow_up(model.follow_up, population.stratum, tuple(model.population.strata), self.draws, score)
        if not self.never_lost:
            return times
        never = np.full(times.relapse.shape, np.inf)
        return FollowUp(times.relapse, never, times.hct, never, never)

    @cached_property
    def monitored_until(self) -> FloatArray:
        """(P,) first of new therapy, transplantation, withdrawal and loss."""
        f = self.follow_up
        return np.minimum(np.minimum(f.new_therapy, f.hct), np.minimum(f.withdrawn, f.lost))

    @cached_property
    def stay(self) -> PlannedStay:
        """Section 14: the initial stay as it would be without CMV."""
        t = self.toxicity
        worst, since = worst_toxicity(t.crs_grade, t.crs, t.icans_grade, t.icans)
        return planned_stay(self.model.resources.initial_stay, self.population, worst, self.draws, worst_from=since)

    @cached_property
    def prophylaxis(self) -> Prophylaxis | None:
        """Section 15: letermovir as planned; None if nobody gets any.

        Raises
        ------
        ValueError
            If a strategy gives a drug whose effect is neither stated nor solved.
        """
        if not self.plans:
            return None
        effect = self.model.letermovir.known_effect or self.model.baseline.letermovir
        if effect is None:
            raise ValueError("the effect of letermovir was not solved")
        needs_ttv = any(plan.who is not None and plan.who.ttv is not None for plan in self.plans)
        return prophylaxis(
            self.plans,
            self.model.letermovir,
            effect,
            self.population,
            self.toxicity.courses,
            self.follow_up,
            self.virome.observed if needs_ttv else None,
            self.draws,
            self.model.horizon,
            arm=self.arm,
        )
