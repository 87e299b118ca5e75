"""Bacterial infections, one at a time, and the first fungal one (model.md 11)."""

from __future__ import annotations

import math
from collections.abc import Generator

from simpy.events import Event

from cmvsim.models.infections import InfectionRatios
from cmvsim.simulation.model import Model
from cmvsim.simulation.pathway.clock import Clock, Rank, Spending
from cmvsim.simulation.pathway.conditions import Condition, Conditions
from cmvsim.simulation.pathway.facts import Chance, Facts
from cmvsim.simulation.pathway.records import InfectionRecord

Flow = Generator[Event, None, None]


class InfectionHazard:
    """The hazard of one kind of infection, as the patient is now."""

    def __init__(
        self, hazards: tuple[float, ...], ratios: InfectionRatios, facts: Facts, clock: Clock, conditions: Conditions
    ) -> None:
        constant = math.pow(float(ratios.score), facts.score) * (float(ratios.leukaemia) if facts.leukaemia else 1.0)
        self.hazards = [hazard * constant for hazard in hazards]
        self.by_state = {
            Condition.CMV: float(ratios.cmv),
            Condition.NEUTROPENIA: float(ratios.neutropenia),
            Condition.CORTICOSTEROIDS: float(ratios.corticosteroids),
        }
        self.clock = clock
        self.conditions = conditions
        self.waiting: Spending | None = None
        self.late = False
        conditions.listen(self.changed)

    @property
    def now(self) -> float:
        """Per day."""
        return self.hazards[self.late] * math.prod(r for state, r in self.by_state.items() if state in self.conditions)

    def changed(self) -> None:
        """The patient's state changed."""
        if self.waiting is not None:
            self.waiting.go_on_at(self.now)

    def becomes_late(self) -> None:
        """The late period begins."""
        self.late = True
        self.changed()

    def next_infection(self, exponential: float, rank: Rank) -> Event:
        """Wait for an infection from now on."""
        event = self.clock.event()

        def comes() -> None:
            self.waiting = None
            event.succeed()

        self.waiting = Spending(self.clock, rank, exponential, comes)
        self.changed()
        return event


class Infections:
    """The infections of one patient."""

    def __init__(self, model: Model, facts: Facts, chance: Chance, clock: Clock, conditions: Conditions) -> None:
        self.spec = model.infections
        self.chance = chance
        self.clock = clock
        self.conditions = conditions
        base = model.baseline
        self.of_bacteria = InfectionHazard(base.bacterial_hazard, self.spec.bacterial.ratios, facts, clock, conditions)
        self.of_fungi = InfectionHazard(base.fungal_hazard, self.spec.fungal.ratios, facts, clock, conditions)
        self.bacterial: list[InfectionRecord] = []
        self.fungal: InfectionRecord | None = None

    def late_period(self) -> None:
        """The late hazards hold from now on."""
        self.of_bacteria.becomes_late()
        self.of_fungi.becomes_late()

    def recurrent_bacterial(self) -> Flow:
        """From infusion on, one infection after the other; during one there is no hazard."""
        spec = self.spec.bacterial
        for k in range(int(float(spec.episodes))):
            yield self.of_bacteria.next_infection(self.chance("infections.bacterial", k), Rank.BACTERIAL_BEGINS)
            days = self.chance.of(spec.duration, "infections.bacterial_duration", k)
            severe = self.chance("infections.bacterial_severe", k) < float(spec.severe)
            infection = InfectionRecord(self.clock.now, self.clock.now + days, severe)
            self.bacterial.append(infection)
            yield from self._lasts(infection, Rank.BACTERIAL_ENDS)

    def first_fungal(self) -> Flow:
        """From infusion on, the first."""
        spec = self.spec.fungal
        yield self.of_fungi.next_infection(self.chance("infections.fungal"), Rank.FUNGAL_BEGINS)
        days = self.chance.of(spec.duration, "infections.fungal_duration")
        severe = self.chance("infections.fungal_severe") < float(spec.severe)
        self.fungal = InfectionRecord(self.clock.now, self.clock.now + days, severe)
        yield from self._lasts(self.fungal, Rank.FUNGAL_ENDS)

    def _lasts(self, infection: InfectionRecord, rank: Rank) -> Flow:
        if infection.severe:
            self.conditions.begin(Condition.SEVERE_INFECTION)
        yield self.clock.until(infection.stop, rank)
        if infection.severe:
            self.conditions.end(Condition.SEVERE_INFECTION)
