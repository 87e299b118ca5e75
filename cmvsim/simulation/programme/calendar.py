"""The calendar of a programme: one SimPy environment in which its patients, its laboratory and its beds meet.

As on a patient's clock, events have absolute times and an order for what happens at once, here a rank and a number
within the rank; insertion never decides.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from enum import IntEnum, auto
from heapq import heappush

from simpy import Environment
from simpy.events import Event, EventPriority, Timeout

NUMBERS = 1 << 40
"""Numbers within a rank are below this."""
OTHERS = 1 << 32
"""From here on they are those of patients outside of the study."""


class Rank(IntEnum):
    """Order of what happens at the same time."""

    REPORT = 10  # a run ends: its results, and a free analyser
    DISCHARGE = auto()
    READY = auto()  # a patient's cells are there
    PATIENT = auto()  # something happens in a patient's own pathway
    RECEIPT = auto()  # a sample reaches the laboratory: in time for a run that starts now
    RUN = auto()
    ADMISSION = auto()


class _Entry(Event):
    """An event of the calendar; those that are awaited keep it going."""

    def __init__(self, calendar: Calendar, awaited: bool) -> None:
        super().__init__(calendar)
        self.awaited = awaited


class Calendar(Environment):
    """Days from the opening of the programme, with what came before."""

    def __init__(self) -> None:
        super().__init__(initial_time=-math.inf)
        self.awaited = 0

    def until(self, time: float, rank: Rank, number: int, *, awaited: bool = True) -> Event:
        """An event at an absolute time, for a process to wait for.

        Parameters
        ----------
        time, rank, number
            When, and its place among what happens then.
        awaited
            Whether the calendar goes on until it has happened.

        Raises
        ------
        ValueError
            If the time is over.
        """
        if math.isnan(time) or time < self.now:
            raise ValueError(f"{rank.name} at {time!r} lies before now ({self.now!r})")
        event = _Entry(self, awaited)
        event._ok, event._value = True, None  # noqa: SLF001  # as SimPy's own Timeout does
        self.awaited += awaited
        heappush(self._queue, (time, EventPriority(rank * NUMBERS + number), next(self._eid), event))
        return event

    def book(self, time: float, rank: Rank, number: int, action: Callable[[], None], *, awaited: bool = True) -> None:
        """Have `action` done at an absolute time."""
        event = self.until(time, rank, number, awaited=awaited)
        assert event.callbacks is not None
        event.callbacks.append(lambda _: action())

    def step(self) -> None:
        """Process the next event."""
        event = self._queue[0][3]
        if isinstance(event, _Entry):
            self.awaited -= event.awaited
        super().step()

    def run_out(self) -> None:
        """Let everything happen until nothing more is awaited; processes that have not begun yet begin first."""
        while self._queue and (self.awaited or self.peek() == -math.inf):
            self.step()

    def timeout(self, delay: float = 0, value: object = None) -> Timeout:
        """Refused: a relative delay."""
        raise TypeError(f"a delay of {delay!r} from now ({value!r}): events are booked at absolute times")
