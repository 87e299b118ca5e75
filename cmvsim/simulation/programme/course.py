"""A patient's pathway on the calendar of the programme: the same pathway, whose results come from the shared laboratory."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

from cmvsim.models.capacity import HOURS, LaboratorySpec
from cmvsim.models.time_grid import STEPS_PER_DAY
from cmvsim.simulation.model import Model
from cmvsim.simulation.pathway.clock import next_on_grid, on_the_grid
from cmvsim.simulation.pathway.facts import Chance, Shared
from cmvsim.simulation.pathway.patient import Patient
from cmvsim.simulation.pathway.records import SampleRecord
from cmvsim.simulation.programme.calendar import Calendar, Rank
from cmvsim.simulation.programme.laboratory import SharedLaboratory, Specimen

Arrive = Callable[[float], None]


@dataclass(frozen=True, slots=True)
class SentSample:
    """A sample and its way; `known` is the patient's time of the result, `specimen` None where the turnaround is drawn."""

    sample: SampleRecord
    known: float
    specimen: Specimen | None


class Course:
    """One patient from inclusion to the horizon, advanced with the calendar.

    The patient's own clock keeps the patient's own time, so that nothing is rounded by the calendar; the calendar only
    says whose turn it is.

    Parameters
    ----------
    number
        Index of the patient in the chunk.
    infused
        Calendar time of the patient's time 0.
    laboratory
        The shared one and its specification; None: the turnaround is drawn.
    """

    def __init__(
        self,
        calendar: Calendar,
        model: Model,
        shared: Shared,
        chance: Chance,
        number: int,
        infused: float,
        laboratory: tuple[SharedLaboratory, LaboratorySpec] | None,
    ) -> None:
        self.calendar = calendar
        self.number = number
        self.infused = infused
        self.laboratory = laboratory
        turnaround = self if laboratory is not None else None
        facts = shared.facts(chance.row)
        self.patient = Patient(model, facts, chance, full_attendance=False, cmv=True, turnaround=turnaround)
        self.clock = self.patient.clock
        self._sent: list[SentSample] = []
        self._drawn = on_the_grid(float(model.monitoring.turnaround))
        self._last_result = -math.inf
        self._planned = model.inclusion_day
        calendar.book(infused + model.inclusion_day, Rank.PATIENT, number, lambda: self._go_on(model.inclusion_day))

    # The patient's turn -----------------------------------------------------------------------------------------------

    def _go_on(self, time: float) -> None:
        if time > self._planned:  # a result came in between, and all has been planned anew
            return
        self._planned = math.inf
        self.clock.run_to(time)
        self._plan()

    def _plan(self) -> None:
        """Be called again when something is to happen in the patient's pathway."""
        time = self.clock.peek()
        if time < self._planned:
            self._planned = time
            day = max(self.infused + time, self.calendar.now)
            self.calendar.book(day, Rank.PATIENT, self.number, lambda: self._go_on(time))

    # Samples ----------------------------------------------------------------------------------------------------------

    def send(self, sample: SampleRecord, arrive: Arrive) -> None:
        """A sample leaves for the laboratory; those of the dead, which the patient's clock goes on to take, do not."""
        if self.patient.death.time <= sample.time:
            return
        assert self.laboratory is not None
        laboratory, spec = self.laboratory

        def report(specimen: Specimen) -> None:
            self._result(sample, specimen, arrive)

        specimen = Specimen(max(self.infused + sample.time, self.calendar.now) + float(spec.transport) / HOURS, report)
        self.calendar.book(specimen.received, Rank.RECEIPT, self.number, lambda: laboratory.receive(specimen))

    def _result(self, sample: SampleRecord, specimen: Specimen, arrive: Arrive) -> None:
        """A result is reported; results of one run are read in the order of sampling, a step of the time grid apart."""
        time = max(next_on_grid(specimen.reported - self.infused), self._last_result + 1 / STEPS_PER_DAY, self.clock.now)
        self._last_result = time
        self._sent.append(SentSample(sample, time, specimen))
        arrive(time)
        self._plan()

    @property
    def sent(self) -> tuple[SentSample, ...]:
        """The samples that were reported, but for those of the dead."""
        if self.laboratory is not None:
            return tuple(self._sent)
        alive = [sample for sample in self.patient.laboratory.samples if sample.time < self.patient.death.time]
        return tuple(SentSample(sample, sample.time + self._drawn, None) for sample in alive)
