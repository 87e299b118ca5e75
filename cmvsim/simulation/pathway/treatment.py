"""Pre-emptive therapy on the results that clinicians see: start, choice of drug, toxicity, switch, stop (model.md 8)."""

from __future__ import annotations

import math
from dataclasses import replace

from cmvsim.models.treatment import FIRST_LINE, Antiviral
from cmvsim.simulation.model import Model
from cmvsim.simulation.pathway.clock import Appointment, Clock, Rank, Spending, next_on_grid, on_the_grid
from cmvsim.simulation.pathway.conditions import Condition, Conditions
from cmvsim.simulation.pathway.facts import Chance, Facts, Window
from cmvsim.simulation.pathway.records import Reported, SampleRecord, SpellRecord, TreatmentRecord
from cmvsim.simulation.pathway.replication import Replication

GANCICLOVIRS: tuple[Antiviral, ...] = ("valganciclovir", "ganciclovir")


class PreemptiveTherapy:
    """The treatments of one patient."""

    def __init__(
        self,
        model: Model,
        facts: Facts,
        chance: Chance,
        clock: Clock,
        replication: Replication,
        conditions: Conditions,
    ) -> None:
        self.spec = model.treatment
        self.facts = facts
        self.chance = chance
        self.clock = clock
        self.replication = replication
        self.conditions = conditions
        self.ends_letermovir = "preemptive_therapy" in model.letermovir.stopped_by.value
        self.courses: list[Window] = []
        self.spells: list[SpellRecord] = []
        self.intolerant: set[str] = set()
        self.neutropenia = Window()
        self.kidney_injury = math.inf
        self.treated = False
        self._pending = False
        self._qualifying = 0
        self._negatives = 0
        self._reference = math.inf
        self._set_by = 0
        self._last_day: Appointment | None = None
        toxicity = self.spec.toxicity
        self._marrow = Spending(clock, Rank.TOXICITY, chance("treatment.neutropenia"), self._marrow_fails, whole_steps=True)
        self._kidney = Spending(clock, Rank.TOXICITY, chance("treatment.kidney_injury"), self._kidney_fails, whole_steps=True)
        self._hazards = (toxicity.neutropenia.hazard, toxicity.kidney_injury.hazard)

    # Decisions --------------------------------------------------------------------------------------------------------

    def read(self, sample: SampleRecord) -> None:
        """A result arrives."""
        if self.clock.now > self.facts.follow_up.monitoring_end or self._pending:
            return
        if self.treated:
            self._read_on_treatment(sample)
            return
        high = sample.reported is Reported.QUANTIFIED and sample.load >= float(self.spec.start_at)
        accepted = high and self.chance("treatment.accepted", sample.episode) < float(self.spec.accepted)
        self._qualifying = self._qualifying + 1 if accepted else 0
        if self._qualifying > float(self.spec.confirmations):
            self._decide(self.clock.now, sample.episode, sample.load)

    def cmv_disease(self, episode: int) -> None:
        """CMV disease is treated whatever the results, and also when nobody samples any more."""
        if self.treated or self._pending:
            return
        self._decide(next_on_grid(self.clock.now), episode, math.inf)

    def _decide(self, time: float, episode: int, reference: float) -> None:
        self._pending, self._qualifying = True, 0
        self._set_by, self._reference = episode, reference
        self.clock.book(time + on_the_grid(float(self.spec.delay)), Rank.START, self._start)

    def _read_on_treatment(self, sample: SampleRecord) -> None:
        now, rule = self.clock.now, self.spec.stop_after
        quantified = sample.reported is Reported.QUANTIFIED
        self._negatives = 0 if quantified else self._negatives + 1
        long_enough = now - self.courses[-1].start >= on_the_grid(float(rule.minimum_days))
        if self._negatives >= float(rule.negatives) and long_enough:
            self._stop()
            return
        fails = quantified and sample.load >= self._reference
        if fails and now - self.spells[-1].start >= on_the_grid(float(self.spec.refractory_after)):
            self._reference = sample.load
            self._second_line()

    # Start and stop ---------------------------------------------------------------------------------------------------

    def _start(self) -> None:
        now = self.clock.now
        self._pending, self.treated, self._negatives = False, True, 0
        self.courses.append(Window(now, math.inf))
        if len(self.courses) == 1:
            self.conditions.begin(Condition.CLINICALLY_SIGNIFICANT)
        longest = on_the_grid(float(self.spec.stop_after.maximum_days))
        self._last_day = self.clock.book(now + longest, Rank.STOP, self._stop)
        self._take(self._first_choice())
        self.replication.treatment_starts(ends_letermovir=self.ends_letermovir)

    def _first_choice(self) -> Antiviral:
        """The drug of a new treatment."""
        if self.facts.neutropenia.contains(self.clock.now) or "ganciclovir" in self.intolerant:
            return "maribavir" if "foscarnet" in self.intolerant else "foscarnet"
        u, cumulative = self.chance("treatment.choice", self._set_by), 0.0
        chosen: Antiviral = FIRST_LINE[-1]
        for drug in FIRST_LINE:
            cumulative += float(self.spec.first_line[drug])
            if cumulative > u:
                chosen = drug
                break
        return "valganciclovir" if chosen == "foscarnet" and "foscarnet" in self.intolerant else chosen

    def _stop(self) -> None:
        self.treated = False
        assert self._last_day is not None
        self._last_day.cancel()
        self.courses[-1] = Window(self.courses[-1].start, self.clock.now)
        self._leave()
        self.replication.treatment_stops()

    def _take(self, drug: Antiviral) -> None:
        """A spell of a drug begins."""
        self.spells.append(SpellRecord(drug, len(self.courses) - 1, self.clock.now))
        self._marrow.go_on_at(self._hazards[0] if drug in GANCICLOVIRS else 0.0)
        self._kidney.go_on_at(self._hazards[1] if drug == "foscarnet" else 0.0)

    def _leave(self) -> None:
        """The spell ends."""
        self.spells[-1] = replace(self.spells[-1], stop=self.clock.now)
        self._marrow.go_on_at(0.0)
        self._kidney.go_on_at(0.0)

    # Switches ---------------------------------------------------------------------------------------------------------

    def _switch(self, drug: Antiviral) -> None:
        self._leave()
        self._take(drug)
        self.replication.drug_switched()

    def _second_line(self) -> None:
        """The load has not fallen."""
        drug = self.spells[-1].drug
        if drug in GANCICLOVIRS:
            self._switch("maribavir" if "foscarnet" in self.intolerant else "foscarnet")
        elif drug == "foscarnet":
            self._switch("maribavir")

    def _marrow_fails(self) -> None:
        """Neutropenia on (val)ganciclovir."""
        now, law = self.clock.now, self.spec.toxicity.neutropenia.duration
        self.intolerant.add("ganciclovir")
        self.neutropenia = Window(now, now + on_the_grid(self.chance.of(law, "treatment.neutropenia_duration")))
        self.conditions.begin(Condition.NEUTROPENIA)
        self.clock.book(
            self.neutropenia.stop, Rank.TREATMENT_NEUTROPENIA_ENDS, lambda: self.conditions.end(Condition.NEUTROPENIA)
        )
        self._switch("maribavir" if "foscarnet" in self.intolerant else "foscarnet")

    def _kidney_fails(self) -> None:
        """Kidney injury on foscarnet."""
        self.intolerant.add("foscarnet")
        self.kidney_injury = self.clock.now
        no_ganciclovir = "ganciclovir" in self.intolerant or self.facts.neutropenia.contains(self.clock.now)
        self._switch("maribavir" if no_ganciclovir else "valganciclovir")

    @property
    def record(self) -> TreatmentRecord:
        """What was given."""
        return TreatmentRecord(tuple(self.courses), tuple(self.spells), self.neutropenia, self.kidney_injury)
