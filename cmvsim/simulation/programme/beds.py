"""Beds that all patients share (model.md 20).

On a ward an admission waits for a bed until its need is over; in intensive care nobody waits, and who finds no bed is
counted as overflow. Nothing else follows: stays act on no patient's course.
"""

from __future__ import annotations

import itertools
import math
from collections import deque
from collections.abc import Generator, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from simpy.events import Event

from cmvsim.core.records import FloatArray
from cmvsim.models.capacity import BedsSpec
from cmvsim.simulation.programme.calendar import OTHERS, Calendar, Rank
from cmvsim.simulation.programme.others import Others
from cmvsim.simulation.programme.steps import StepRecorder, Steps

Unit = Literal["ward", "icu"]
WARM_UP_STAYS = 5
"""Mean stays of other patients before the study begins: the unit is as full as it is in the long run."""


@dataclass(frozen=True)
class BedUse:
    """Use of a unit's beds; calendar days.

    Attributes
    ----------
    beds
        +inf: unlimited.
    occupied, of_study
        Beds taken by anybody, and by the study's patients.
    asking
        Those who have a bed or would need one: what is occupied, those who wait, and the overflow.
    patient, wanted, admitted, until
        (A,) admissions of the study: index of the patient, when a bed was needed, had (NaN: never), and needed until.
    """

    beds: float
    occupied: Steps
    of_study: Steps
    asking: Steps
    patient: FloatArray
    wanted: FloatArray
    admitted: FloatArray
    until: FloatArray

    @property
    def wait(self) -> FloatArray:
        """(A,) days until a bed was had; NaN where none was."""
        return self.admitted - self.wanted

    @property
    def refused(self) -> int:
        """Admissions that found no bed while one was needed."""
        return int(np.isnan(self.admitted).sum())


@dataclass(eq=False, slots=True)
class _Stay:
    """Somebody's need for a bed."""

    wanted: float
    until: float
    patient: int = -1
    admitted: float = math.nan


class Beds:
    """The beds of a unit as patients come and go.

    Parameters
    ----------
    beds
        How many.
    waits
        Whether who finds none waits for one.
    """

    def __init__(self, calendar: Calendar, beds: float, *, waits: bool) -> None:
        self.calendar = calendar
        self.beds = beds
        self.waits = waits
        self.occupied = StepRecorder()
        self.of_study = StepRecorder()
        self.asking = StepRecorder()
        self._count = {"occupied": 0, "of_study": 0, "asking": 0}
        self._waiting: deque[_Stay] = deque()

    def stay(self, stay: _Stay, number: int, *, awaited: bool = True) -> Generator[Event, None, None]:
        """Somebody needs a bed from some time to another."""
        yield self.calendar.until(stay.wanted, Rank.ADMISSION, number, awaited=awaited)
        self._change("asking", 1)
        if self._count["occupied"] < self.beds:
            self._admit(stay)
        elif self.waits:
            self._waiting.append(stay)
        yield self.calendar.until(stay.until, Rank.DISCHARGE, number, awaited=awaited)
        self._change("asking", -1)
        if math.isnan(stay.admitted):
            if self.waits:
                self._waiting.remove(stay)
            return
        self._change("occupied", -1)
        if stay.patient >= 0:
            self._change("of_study", -1)
        self._next()

    def _next(self) -> None:
        """A bed is free for the first who waits and does not leave at this very moment."""
        for waiting in self._waiting:
            if waiting.until > self.calendar.now:
                self._waiting.remove(waiting)
                self._admit(waiting)
                return

    def _admit(self, stay: _Stay) -> None:
        stay.admitted = self.calendar.now
        self._change("occupied", 1)
        if stay.patient >= 0:
            self._change("of_study", 1)

    def _change(self, what: Literal["occupied", "of_study", "asking"], by: int) -> None:
        self._count[what] += by
        recorder: StepRecorder = getattr(self, what)
        recorder.note(self.calendar.now, self._count[what])


def use_of_beds(
    unit: Unit,
    spec: BedsSpec | None,
    stays: Sequence[tuple[int, float, float]],
    others: Others,
    since: int,
    until: float = -math.inf,
) -> BedUse:
    """Lay the stays of a programme's patients into the beds of a unit.

    Parameters
    ----------
    unit
        A ward waits, intensive care overflows.
    spec
        None: unlimited and dedicated.
    stays
        Patient, and calendar days from and to which a bed is needed.
    others
        Chance of patients outside of the study.
    since, until
        Day on which the programme begins, and day up to which the unit is followed at least.
    """
    calendar = Calendar()
    beds = Beds(calendar, math.inf if spec is None else float(spec.beds), waits=unit == "ward")
    known = [_Stay(wanted, until, patient) for patient, wanted, until in stays]
    for number, stay in enumerate(known):
        calendar.process(beds.stay(stay, number))
    calendar.book(until, Rank.DISCHARGE, OTHERS, lambda: None)
    if spec is not None and float(spec.others) > 0:
        calendar.process(_come_and_go(unit, spec, beds, others, since))
    calendar.run_out()
    return BedUse(
        beds.beds,
        beds.occupied.steps,
        beds.of_study.steps,
        beds.asking.steps,
        np.array([stay.patient for stay in known], dtype=np.float64),
        np.array([stay.wanted for stay in known]),
        np.array([stay.admitted for stay in known]),
        np.array([stay.until for stay in known]),
    )


def _come_and_go(unit: Unit, spec: BedsSpec, beds: Beds, others: Others, since: int) -> Generator[Event, None, None]:
    """Patients outside of the study, for ever."""
    assert spec.other_stay is not None
    mean = float(spec.other_stay)
    numbers = itertools.count()
    for day in itertools.count(since - math.ceil(WARM_UP_STAYS * mean)):
        yield beds.calendar.until(day, Rank.ADMISSION, OTHERS, awaited=False)
        for wanted in others.times(f"capacity.other_{unit}_admissions", day, float(spec.others) / mean):
            number = next(numbers)
            until = wanted + mean * others.exponential(f"capacity.other_{unit}_stays", number)
            beds.calendar.process(beds.stay(_Stay(wanted, until), OTHERS + 1 + number, awaited=False))
