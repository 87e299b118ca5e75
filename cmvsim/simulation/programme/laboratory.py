"""The PCR laboratory that all patients share: receipt, queue, runs in batches, results (model.md 20)."""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Callable, Generator, Iterator
from dataclasses import dataclass, field

from simpy.events import Event

from cmvsim.models.capacity import HOURS, WEEK, WEEKDAYS, LaboratorySpec, part_of_day
from cmvsim.simulation.programme.calendar import Calendar, Rank
from cmvsim.simulation.programme.steps import StepRecorder

Duration = Callable[[], float]


@dataclass(eq=False, slots=True)
class Specimen:
    """A sample on its way; calendar days, +inf: not yet.

    Attributes
    ----------
    report
        Told when there is a result; None: the sample of a patient outside of the study.
    """

    received: float
    report: Callable[[Specimen], None] | None = field(default=None, repr=False)
    started: float = math.inf
    reported: float = math.inf


@dataclass(frozen=True, slots=True)
class Timetable:
    """When runs may start.

    Attributes
    ----------
    weekdays
        Opening days, 0 = Monday.
    times
        Parts of an opening day at which a run may start, ascending; None: at any time of it.
    monday
        The first Monday: day 0 or one of the six days before.
    """

    weekdays: frozenset[int]
    times: tuple[float, ...] | None = None
    monday: int = 0

    @classmethod
    def of(cls, spec: LaboratorySpec, monday: int = 0) -> Timetable:
        """The timetable of a laboratory."""
        times = None if spec.runs_at is None else tuple(sorted({part_of_day(time) for time in spec.runs_at.value}))
        return cls(frozenset(WEEKDAYS.index(day) for day in spec.opening_days.value), times, monday)

    def is_open(self, day: int) -> bool:
        """Whether a day of the programme is an opening day."""
        return (day - self.monday) % WEEK in self.weekdays

    def at_any_time(self, now: float) -> bool:
        """Whether a run may start now because it may at any time of this day."""
        return self.times is None and self.is_open(math.floor(now))

    def starts(self, since: int) -> Iterator[float]:
        """Times from a day on, for ever, at which waiting samples are to be looked at."""
        day = since
        while True:
            if self.is_open(day):
                yield from (day + part for part in self.times or (0.0,))
            day += 1


class SharedLaboratory:
    """First come, first served; a run takes what waits, up to the batch.

    Parameters
    ----------
    calendar
        On which it works.
    timetable
        When runs may start.
    since
        Day on which it opens for the first time.
    duration
        Days from the start of a run to its results, asked for at each start.
    analysers
        Runs at the same time.
    batch
        Samples in a run, at most.

    Attributes
    ----------
    queue
        How many samples wait.
    runs
        When each run started, and its samples.
    """

    def __init__(
        self,
        calendar: Calendar,
        timetable: Timetable,
        since: int,
        duration: Duration,
        *,
        analysers: int = 1,
        batch: float = math.inf,
    ) -> None:
        self.calendar = calendar
        self.timetable = timetable
        self.duration = duration
        self.batch = batch
        self.free = analysers
        self.waiting: deque[Specimen] = deque()
        self.queue = StepRecorder()
        self.runs: list[tuple[float, int]] = []
        calendar.process(self._open(since))

    @classmethod
    def of(cls, spec: LaboratorySpec, calendar: Calendar, since: int, monday: int = 0) -> SharedLaboratory:
        """The laboratory of a scenario."""
        run = float(spec.run) / HOURS
        batch = math.inf if spec.batch is None else float(spec.batch)
        timetable = Timetable.of(spec, monday)
        return cls(calendar, timetable, since, lambda: run, analysers=int(float(spec.analysers)), batch=batch)

    def receive(self, specimen: Specimen) -> None:
        """A sample is there."""
        if specimen.report is not None:
            self.calendar.awaited += 1
        self.waiting.append(specimen)
        self.queue.note(self.calendar.now, len(self.waiting))
        if self.timetable.at_any_time(self.calendar.now):
            self._start_runs()

    def _open(self, since: int) -> Generator[Event, None, None]:
        for start in self.timetable.starts(since):
            yield self.calendar.until(start, Rank.RUN, 0, awaited=False)
            self._start_runs()

    def _start_runs(self) -> None:
        now = self.calendar.now
        while self.free and self.waiting:
            size = int(min(self.batch, len(self.waiting)))
            run = [self.waiting.popleft() for _ in range(size)]
            for specimen in run:
                specimen.started = now
            self.free -= 1
            self.runs.append((now, size))
            self.queue.note(now, len(self.waiting))
            ends = now + self.duration()
            self.calendar.book(ends, Rank.REPORT, len(self.runs), lambda run=run: self._end(run), awaited=False)  # type: ignore[misc]

    def _end(self, run: list[Specimen]) -> None:
        now = self.calendar.now
        self.free += 1
        for specimen in run:
            specimen.reported = now
            if specimen.report is not None:
                self.calendar.awaited -= 1
                specimen.report(specimen)
        if self.timetable.at_any_time(now):
            self._start_runs()
