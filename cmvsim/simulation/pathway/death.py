"""Death without relapse, at a hazard that the patient's state raises, or after relapse (model.md 12)."""

from __future__ import annotations

import math

from cmvsim.simulation.model import Model
from cmvsim.simulation.pathway.clock import Clock, Rank, Spending
from cmvsim.simulation.pathway.conditions import Condition, Conditions
from cmvsim.simulation.pathway.facts import Chance, Facts


class Death:
    """The death of one patient. It stops nothing: what lies beyond it is cut when a record is made of it.

    Attributes
    ----------
    time
        +inf if beyond the horizon.
    """

    def __init__(self, model: Model, facts: Facts, chance: Chance, clock: Clock, conditions: Conditions) -> None:
        ratios = model.follow_up.death_ratios
        self.clock = clock
        self.conditions = conditions
        self.base = model.baseline.non_relapse_hazard[facts.stratum] * math.pow(float(ratios.score), facts.score)
        self.by_state = {
            Condition.CLINICALLY_SIGNIFICANT: float(ratios.clinically_significant),
            Condition.DISEASE: float(ratios.disease),
            Condition.SEVERE_INFECTION: float(ratios.severe_infection),
            Condition.SEVERE_TOXICITY: float(ratios.severe_toxicity),
        }
        after = model.baseline.after_relapse_hazard[facts.stratum]
        wait = chance("follow_up.death_after_relapse") / after if after > 0 else math.inf
        self.time = self._by_horizon(facts.follow_up.relapse + wait)
        self._exponential = chance("follow_up.non_relapse_death")
        self._without_relapse: Spending | None = None
        conditions.listen(self._changed)

    def threatens(self) -> None:
        """From infusion on."""
        self._without_relapse = Spending(self.clock, Rank.DEATH, self._exponential, self._comes)
        self._changed()

    def _changed(self) -> None:
        if self._without_relapse is not None:
            ratio = math.prod(ratio for state, ratio in self.by_state.items() if state in self.conditions)
            self._without_relapse.go_on_at(self.base * ratio)

    def _comes(self) -> None:
        self._without_relapse = None
        self.time = min(self.time, self.clock.now)

    def _by_horizon(self, time: float) -> float:
        return time if time <= self.clock.horizon else math.inf
