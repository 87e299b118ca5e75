"""How CMV is looked for: protocol visits, tests that clinicians ask for, and the laboratory (model.md 7)."""

from __future__ import annotations

import math
from collections.abc import Callable, Generator
from dataclasses import dataclass
from typing import Protocol

from simpy.events import Event

from cmvsim.core.streams import day_index
from cmvsim.models.monitoring import ClinicalTesting
from cmvsim.simulation.model import Model
from cmvsim.simulation.pathway.clock import Clock, Rank, on_the_grid
from cmvsim.simulation.pathway.facts import Chance, Facts
from cmvsim.simulation.pathway.records import Reported, SampleRecord
from cmvsim.simulation.pathway.replication import Replication

Flow = Generator[Event, None, None]


@dataclass(frozen=True, slots=True)
class Visit:
    """A planned visit and the day on which it is made."""

    planned: int
    day: float


class Turnaround(Protocol):
    """How long a sample is on its way: as planned, or as the laboratory that many patients share comes round to it."""

    def send(self, sample: SampleRecord, arrive: Callable[[float], None]) -> None:
        """A sample is sent now; `arrive` is told the time of its result as soon as that is known, at the latest then."""
        ...


@dataclass(frozen=True, slots=True)
class DrawnTurnaround:
    """The same days for every sample."""

    days: float

    def send(self, sample: SampleRecord, arrive: Callable[[float], None]) -> None:
        """The time of the result is known at once."""
        arrive(sample.time + self.days)


class Laboratory:
    """Measures samples and reports in the order of sampling."""

    def __init__(
        self,
        model: Model,
        facts: Facts,
        chance: Chance,
        clock: Clock,
        replication: Replication,
        report: Callable[[SampleRecord], None],
        turnaround: Turnaround | None = None,
    ) -> None:
        self.spec = model.monitoring
        self.chance = chance
        self.clock = clock
        self.replication = replication
        self.report = report
        self.samples: list[SampleRecord] = []
        self.offset = chance.of(model.cmv.matrices[self.spec.matrix.value].offset, "cmv.matrix_offset")
        between = float(self.spec.assay_sd_between_sites)
        self.site_shift = between * chance.of_laboratory(facts.site) if between > 0 else 0.0
        self.turnaround = turnaround or DrawnTurnaround(on_the_grid(float(self.spec.turnaround)))
        self._last_result = -math.inf

    def take(self, noise: float, planned: int | None, *, extra: bool = False) -> None:
        """Take a sample now; its result arrives after the turnaround, not before that of an earlier sample."""
        now, episode = self.clock.now, self.replication.running
        reported, load = Reported.NOT_DETECTED, math.nan
        if episode is not None:
            log10 = episode.load(now) + self.offset + float(self.spec.assay_sd_log10) * noise + self.site_shift
            reported, load = self._read(three_digits(10**log10))
        sample = SampleRecord(now, planned, reported, load, extra, -1 if episode is None else episode.number)
        self.samples.append(sample)
        self.turnaround.send(sample, lambda time: self._expect(sample, time))

    def _expect(self, sample: SampleRecord, time: float) -> None:
        self._last_result = max(time, self._last_result)
        self.clock.book(self._last_result, Rank.RESULT, lambda: self.report(sample))

    def _read(self, load: float) -> tuple[Reported, float]:
        """What is reported of a rounded load."""
        if load >= float(self.spec.lloq):
            return Reported.QUANTIFIED, load
        return (Reported.BELOW_LIMIT if load >= float(self.spec.lod) else Reported.NOT_DETECTED), math.nan


def three_digits(y: float) -> float:
    """Round to three significant digits, halves up."""
    e = math.floor(math.log10(y)) - 2
    n = math.floor(y / 10.0**e + 0.5) if e >= 0 else math.floor(y * 10.0**-e + 0.5)
    return n * 10.0**e if e >= 0 else n / 10.0**-e


def visits_made(model: Model, facts: Facts, chance: Chance, *, full_attendance: bool) -> list[Visit]:
    """Protocol visits that the patient makes, in order."""
    if facts.retrospective:
        return []
    spec = model.monitoring
    jitter, attendance = float(spec.jitter), 1.0 if full_attendance else float(spec.attendance)
    visits = []
    for planned in spec.days:
        if planned <= 0:
            visits.append(Visit(planned, float(planned)))
            continue
        day = planned + math.floor(chance.on_day("monitoring.jitter", planned) * (2 * jitter + 1)) - jitter
        attends = chance.on_day("monitoring.attendance", planned) < attendance
        if attends and day <= facts.follow_up.monitoring_end:
            visits.append(Visit(planned, day))
    return visits


def protocol_visits(clock: Clock, visits: list[Visit], chance: Chance, laboratory: Laboratory) -> Flow:
    """The visits of the schedule, one after the other."""
    for visit in visits:
        yield clock.until(visit.day, Rank.SAMPLE)
        laboratory.take(chance.on_day("monitoring.noise", visit.planned), visit.planned)


class ClinicianTesting:
    """Tests that clinicians ask for, because of the patient's state or because CMV was detected."""

    def __init__(
        self, model: Model, spec: ClinicalTesting, facts: Facts, chance: Chance, clock: Clock, laboratory: Laboratory
    ) -> None:
        self.spec = spec
        self.facts = facts
        self.chance = chance
        self.clock = clock
        self.laboratory = laboratory
        self.days = model.monitoring.clinical_days(model.inclusion_day)
        self.every = on_the_grid(float(spec.follow_up_every))
        self.following_up = False
        self._not_detected = 0

    def hear(self, sample: SampleRecord) -> None:
        """A result arrives: follow-up goes on with a detected one and off with the second in a row that is not."""
        if sample.reported is Reported.NOT_DETECTED:
            self._not_detected += 1
            self.following_up = self.following_up and self._not_detected < 2
        else:
            self._not_detected, self.following_up = 0, True

    def go_on(self, without: set[float]) -> Flow:
        """Day after day, but for the days `without`, on which a visit brings a sample."""
        for day in self.days:
            if day in without or day > self.facts.follow_up.monitoring_end:
                continue
            yield self.clock.until(float(day), Rank.SAMPLE)
            asked = self.chance("monitoring.clinical", day_index(day)) < self._probability(float(day))
            if asked or self._follow_up_is_due():
                self.laboratory.take(self.chance.on_day("monitoring.clinical_noise", day), None, extra=not asked)

    def _follow_up_is_due(self) -> bool:
        return self.following_up and self.clock.now - self.laboratory.samples[-1].time >= self.every

    def _probability(self, t: float) -> float:
        """Probability of a test on a day, by phase and by what is going on."""
        spec, facts = self.spec, self.facts
        odds = next(float(phase.odds) for phase in reversed(spec.phases) if phase.start <= t)
        states = (
            (spec.inpatient, facts.planned_stay),
            (spec.corticosteroids, facts.drugs["corticosteroids"]),
            (spec.crs, facts.moderate_crs),
            (spec.neutropenia, facts.neutropenia),
        )
        for ratio, window in states:
            if window.contains(t):
                odds *= float(ratio)
        odds *= math.pow(float(spec.score), facts.score)
        return odds / (1 + odds)
