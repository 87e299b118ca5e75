"""One patient's pathway: the processes, and who tells whom."""

from __future__ import annotations

import math

from cmvsim.simulation.model import Model
from cmvsim.simulation.pathway.clock import Clock, Rank
from cmvsim.simulation.pathway.conditions import Condition, Conditions
from cmvsim.simulation.pathway.death import Death
from cmvsim.simulation.pathway.disease import CmvDisease
from cmvsim.simulation.pathway.facts import Chance, Facts, Window
from cmvsim.simulation.pathway.infections import Infections
from cmvsim.simulation.pathway.monitoring import ClinicianTesting, Laboratory, Turnaround, protocol_visits, visits_made
from cmvsim.simulation.pathway.prophylaxis import LetermovirCourse
from cmvsim.simulation.pathway.records import SampleRecord
from cmvsim.simulation.pathway.replication import Replication
from cmvsim.simulation.pathway.treatment import PreemptiveTherapy


class Patient:
    """A patient from inclusion to the horizon.

    CMV replicates; samples are taken by plan or because a clinician asks; the laboratory reports; results and disease
    bring treatment, which acts on CMV, may harm, and may end letermovir. Infections and death watch the patient's state
    and act on nothing of this.
    """

    def __init__(
        self,
        model: Model,
        facts: Facts,
        chance: Chance,
        *,
        full_attendance: bool,
        cmv: bool,
        turnaround: Turnaround | None = None,
    ) -> None:
        self.model = model
        self.facts = facts
        self.chance = chance
        self.clock = Clock(model.horizon)
        self.conditions = Conditions()
        self.letermovir = LetermovirCourse(model, facts)
        self.disease = CmvDisease(model, chance, self.clock, self.letermovir, self._falls_ill)
        self.replication = Replication(model, facts, chance, self.clock, self.conditions, self.letermovir, self.disease)
        self.laboratory = Laboratory(model, facts, chance, self.clock, self.replication, self._result, turnaround)
        self.treatment = PreemptiveTherapy(model, facts, chance, self.clock, self.replication, self.conditions)
        self.infections = Infections(model, facts, chance, self.clock, self.conditions)
        self.death = Death(model, facts, chance, self.clock, self.conditions)
        self.testing: ClinicianTesting | None = None
        if cmv:
            self.replication.start()
        self._monitor(full_attendance)
        self._watch_state()

    def live(self) -> None:
        """Let everything happen."""
        self.clock.run_to_horizon()

    def _monitor(self, full_attendance: bool) -> None:
        """Visits, and tests where clinicians ask for them."""
        visits = visits_made(self.model, self.facts, self.chance, full_attendance=full_attendance)
        self.clock.process(protocol_visits(self.clock, visits, self.chance, self.laboratory))
        spec = self.model.monitoring.clinical
        if spec is not None and (self.facts.retrospective or spec.between_visits):
            self.testing = ClinicianTesting(self.model, spec, self.facts, self.chance, self.clock, self.laboratory)
            self.clock.process(self.testing.go_on(without={visit.day for visit in visits}))

    def _watch_state(self) -> None:
        """Windows that raise the hazards of infection and death."""
        facts = self.facts
        self._lasts(facts.neutropenia, Condition.NEUTROPENIA, Rank.NEUTROPENIA_BEGINS, Rank.NEUTROPENIA_ENDS)
        steroids = facts.drugs["corticosteroids"]
        self._lasts(steroids, Condition.CORTICOSTEROIDS, Rank.STEROIDS_BEGIN, Rank.STEROIDS_END)
        self._lasts(facts.severe_crs, Condition.SEVERE_TOXICITY, Rank.SEVERE_CRS_BEGINS, Rank.SEVERE_CRS_ENDS)
        self._lasts(facts.severe_icans, Condition.SEVERE_TOXICITY, Rank.SEVERE_ICANS_BEGINS, Rank.SEVERE_ICANS_ENDS)
        late = float(self.model.infections.early_until)
        self.clock.book(late, Rank.LATE_PERIOD, self.infections.late_period)
        self.clock.book(0.0, Rank.INFUSION, self._infused)

    def _lasts(self, window: Window, condition: Condition, begins: Rank, ends: Rank) -> None:
        if window.exists and math.isfinite(window.start):
            self.clock.book(window.start, begins, lambda: self.conditions.begin(condition))
            self.clock.book(window.stop, ends, lambda: self.conditions.end(condition))

    def _infused(self) -> None:
        """Infections and death are possible from now on."""
        self.clock.process(self.infections.recurrent_bacterial())
        self.clock.process(self.infections.first_fungal())
        self.death.threatens()

    def _result(self, sample: SampleRecord) -> None:
        if self.testing is not None:
            self.testing.hear(sample)
        self.treatment.read(sample)

    def _falls_ill(self) -> None:
        episode = self.replication.running
        assert episode is not None
        self.conditions.begin(Condition.DISEASE)
        self.conditions.begin(Condition.CLINICALLY_SIGNIFICANT)
        self.treatment.cmv_disease(episode.number)
