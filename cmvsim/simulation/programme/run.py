"""A programme from enrolment on: all patients of a replicate on one calendar (model.md 20)."""

from __future__ import annotations

import math
from collections.abc import Generator, Sequence

import numpy as np
from simpy.events import Event

from cmvsim.core.records import FloatArray
from cmvsim.models.capacity import WEEK, CapacitySpec, LaboratorySpec, part_of_day
from cmvsim.simulation.background import Background
from cmvsim.simulation.draws import ChunkDraws
from cmvsim.simulation.model import Model
from cmvsim.simulation.pathway.clock import on_the_grid
from cmvsim.simulation.pathway.engine import story_of
from cmvsim.simulation.pathway.facts import Chance, Shared
from cmvsim.simulation.pathway.records import PatientHistory, Reported
from cmvsim.simulation.programme.beds import use_of_beds
from cmvsim.simulation.programme.calendar import OTHERS, Calendar, Rank
from cmvsim.simulation.programme.course import Course
from cmvsim.simulation.programme.infusions import Slots
from cmvsim.simulation.programme.laboratory import SharedLaboratory, Specimen
from cmvsim.simulation.programme.others import Others
from cmvsim.simulation.programme.record import Programme, Specimens, TreatmentStarts
from cmvsim.simulation.programme.steps import StepRecorder

WARM_UP_WEEKS = 8
"""The laboratory works for other patients so long before the first of the study: its queue is what it is in the long run."""


def run_programme(
    model: Model,
    draws: ChunkDraws,
    enrolled_at: FloatArray,
    capacity: CapacitySpec,
    *,
    replicate: int = 0,
    first_weekday: int = 0,
    shared: Shared | None = None,
) -> Programme:
    """Simulate the patients of a replicate from their enrolment on, with what they share.

    Parameters
    ----------
    model
        Specifications and baseline hazards.
    draws
        The chunk's chance.
    enrolled_at
        (patients,) days from the opening of the programme at which patient 0, 1, ... of the chunk is enrolled. +inf: never,
        the patient takes no part.
    capacity
        What there is room for; a part that is missing is unlimited, and without a laboratory a result takes
        ``monitoring.turnaround``.
    replicate
        Which of the chunk.
    first_weekday
        Day of the week of day 0, 0 = Monday.
    shared
        Facts of the chunk's patients, if they are at hand.

    Returns
    -------
    Programme
        Of the patients with a finite time of enrolment, in their order.

    Raises
    ------
    ValueError
        If there are more times than patients in the chunk, a time is negative, or none is finite.
    """
    times = np.asarray(enrolled_at, dtype=np.float64)
    if times.ndim != 1 or times.size > draws.patients or not np.isfinite(times).any() or not (times >= 0).all():
        raise ValueError(f"enrolled_at: one time of at least 0 for each of at most {draws.patients} patients is needed")
    programme = _Run(model, draws, times, capacity, replicate, -first_weekday, shared)
    programme.calendar.run_out()
    return programme.record()


class _Run:
    """The processes of one replicate."""

    def __init__(
        self,
        model: Model,
        draws: ChunkDraws,
        enrolled: FloatArray,
        capacity: CapacitySpec,
        replicate: int,
        monday: int,
        shared: Shared | None,
    ) -> None:
        # visits are at the same time of the day with and without a laboratory, so that the two can be compared
        self.morning = part_of_day(capacity.laboratory.sampled_at.value) if capacity.laboratory is not None else 0.0
        capacity = capacity.in_force
        self.model, self.draws, self.capacity, self.replicate = model, draws, capacity, replicate
        self.calendar = Calendar()
        self.shared = shared or Shared(Background(model, draws))
        self.others = Others(draws, replicate)
        self.patients = [int(patient) for patient in np.flatnonzero(np.isfinite(enrolled))]
        self.enrolled = enrolled[self.patients]
        self.ready = np.array([self._ready(patient, float(enrolled[patient])) for patient in self.patients])
        self.infused = np.full(self.ready.shape, np.nan)
        self.courses: dict[int, Course] = {}
        self.since = WEEK * (math.floor(float(self.enrolled.min()) / WEEK) - WARM_UP_WEEKS)
        self.laboratory: tuple[SharedLaboratory, LaboratorySpec] | None = None
        if capacity.laboratory is not None:
            spec = capacity.laboratory
            self.laboratory = (SharedLaboratory.of(spec, self.calendar, self.since, monday), spec)
            if float(spec.other_samples) > 0:
                self.calendar.process(self._other_samples(self.laboratory[0], float(spec.other_samples)))
        infusions = capacity.infusions
        slots = infusions.slots_per_week if infusions is not None else None
        self.slots = Slots(float(slots) if slots is not None else None, monday)
        for place, ready in enumerate(self.ready):
            # the slot is fixed when lymphodepletion could begin: the clinic plans it and the infusion together
            time = float(ready) + model.inclusion_day
            self.calendar.book(time, Rank.READY, place, lambda place=place: self._give_slot(place))  # type: ignore[misc]

    def _chance(self, patient: int) -> Chance:
        return Chance(self.draws, patient * self.draws.replicates + self.replicate, self.replicate)

    def _ready(self, patient: int, enrolled: float) -> float:
        """The earliest infusion: the product is there, and lymphodepletion has been given."""
        spec = self.capacity.infusions
        days = 0.0
        if spec is not None and spec.manufacturing is not None:
            days = self._chance(patient).of(spec.manufacturing, "capacity.manufacturing")
        return enrolled + max(days, -self.model.inclusion_day)

    def _give_slot(self, place: int) -> None:
        patient = self.patients[place]
        earliest = float(self.ready[place]) - self.morning
        self.infused[place] = infused = self.slots.take(earliest) + self.morning
        self.courses[place] = Course(
            self.calendar, self.model, self.shared, self._chance(patient), patient, infused, self.laboratory
        )

    def _other_samples(self, laboratory: SharedLaboratory, mean: float) -> Generator[Event, None, None]:
        """Other patients' samples, on opening days."""
        day = self.since
        while True:
            if laboratory.timetable.is_open(day):
                for number, time in enumerate(self.others.times("capacity.other_samples", day, mean)):
                    yield self.calendar.until(time, Rank.RECEIPT, OTHERS + number, awaited=False)
                    laboratory.receive(Specimen(time))
            day += 1
            yield self.calendar.until(day, Rank.RECEIPT, OTHERS, awaited=False)

    def record(self) -> Programme:
        """What happened."""
        courses = [self.courses[place] for place in range(len(self.patients))]
        stories = tuple(story_of(course.patient, course.number, self.replicate) for course in courses)
        specimens = _specimens(courses)
        since = math.floor(float(self.infused.min()) + self.model.inclusion_day)
        ward, icu = (_stays(courses, stories, icu=icu) for icu in (False, True))
        until = max([*specimens.reported, *(stop for _, _, stop in ward)], default=-math.inf)
        laboratory = self.laboratory[0] if self.laboratory is not None else None
        queue, runs = (laboratory.queue, laboratory.runs) if laboratory is not None else (StepRecorder(), [])
        return Programme(
            replicate=self.replicate,
            capacity=self.capacity,
            enrolled=self.enrolled,
            ready=self.ready,
            infused=self.infused,
            specimens=specimens,
            starts=_starts(self.model, courses, stories),
            queue=queue.steps,
            runs=np.array(runs, dtype=np.float64).reshape(len(runs), 2),
            ward=use_of_beds("ward", self.capacity.ward, ward, self.others, since, until),
            icu=use_of_beds("icu", self.capacity.icu, icu, self.others, since, until),
            histories=stories,
        )


def _stays(courses: Sequence[Course], stories: Sequence[PatientHistory], *, icu: bool) -> list[tuple[int, float, float]]:
    """Stays on the calendar; a bed on the ward is kept for who is in intensive care."""
    return [
        (course.number, course.infused + window.start, course.infused + window.stop)
        for course, story in zip(courses, stories, strict=True)
        for window in (story.stays.icu if icu else story.stays.hospital)
    ]


def _specimens(courses: Sequence[Course]) -> Specimens:
    rows = [(course, sent) for course in courses for sent in course.sent]
    none = Specimen(math.nan, None, math.nan, math.nan)
    return Specimens(
        np.array([course.number for course, _ in rows], dtype=np.int64),
        np.array([course.infused + sent.sample.time for course, sent in rows]),
        np.array([(sent.specimen or none).received for _, sent in rows]),
        np.array([(sent.specimen or none).started for _, sent in rows]),
        np.array([course.infused + sent.known for course, sent in rows]),
    )


def _starts(model: Model, courses: Sequence[Course], stories: Sequence[PatientHistory]) -> TreatmentStarts:
    """Treatments begun the planned delay after a result that called for one, and not for CMV disease."""
    delay = on_the_grid(float(model.treatment.delay))
    rows = []
    for course, story in zip(courses, stories, strict=True):
        decisive = {
            sent.known: sent.sample
            for sent in course.sent
            if sent.sample.reported is Reported.QUANTIFIED and sent.sample.load >= float(model.treatment.start_at)
        }
        for treatment in story.treatment.courses:
            sample = decisive.get(treatment.start - delay)
            if sample is not None and treatment.start < story.death:
                rows.append((course.number, course.infused + sample.time, course.infused + treatment.start))
    return TreatmentStarts(
        np.array([row[0] for row in rows], dtype=np.int64),
        np.array([row[1] for row in rows]),
        np.array([row[2] for row in rows]),
    )
