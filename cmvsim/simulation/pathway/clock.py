"""The patient's clock: absolute times, an explicit order for what happens at once, and hazards that are spent.

SimPy only orders the events; their times are computed by the processes. Relative delays are refused, because sums of
delays round; two events of the same kind at the same time are refused, because insertion would then decide.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from enum import IntEnum, auto
from heapq import heappush

from simpy import Environment
from simpy.events import Event, EventPriority, Timeout

from cmvsim.models.time_grid import STEPS_PER_DAY

Action = Callable[[], None]


class Rank(IntEnum):
    """Order of what happens at the same time. The first nine are those of model.md 16."""

    RESULT = 10  # SimPy's own book-keeping (0 and 1) goes first
    STOP = auto()
    TOXICITY = auto()
    START = auto()
    DRUG_ACTS = auto()
    CLEARANCE = auto()
    DISEASE = auto()
    ONSET = auto()
    SAMPLE = auto()
    # what follows acts on nothing above: windows that raise hazards, infections, death
    NEUTROPENIA_BEGINS = auto()
    NEUTROPENIA_ENDS = auto()
    TREATMENT_NEUTROPENIA_ENDS = auto()
    STEROIDS_BEGIN = auto()
    STEROIDS_END = auto()
    SEVERE_CRS_BEGINS = auto()
    SEVERE_CRS_ENDS = auto()
    SEVERE_ICANS_BEGINS = auto()
    SEVERE_ICANS_ENDS = auto()
    LATE_PERIOD = auto()
    INFUSION = auto()
    BACTERIAL_BEGINS = auto()
    BACTERIAL_ENDS = auto()
    FUNGAL_BEGINS = auto()
    FUNGAL_ENDS = auto()
    DEATH = auto()


class SimultaneousEventsError(RuntimeError):
    """Two events of the same kind at the same time: nothing says which comes first."""


class Appointment(Event):
    """An event with its time, which may be cancelled until it happens."""

    def __init__(self, clock: Clock, time: float, rank: Rank) -> None:
        super().__init__(clock)
        self.clock = clock
        self.time = time
        self.rank = rank
        self.cancelled = False

    def cancel(self) -> None:
        """It will not happen. Cancelling what is past changes nothing."""
        if not self.cancelled and self.callbacks is not None:
            self.cancelled = True
            self.clock.forget(self)


class Clock(Environment):
    """The time of one patient, from before everything to the horizon; what happens at the horizon itself happens."""

    def __init__(self, horizon: float) -> None:
        super().__init__(initial_time=-math.inf)
        self.horizon = horizon
        self._expected: set[tuple[float, Rank]] = set()

    def until(self, time: float, rank: Rank) -> Appointment:
        """An event at an absolute time, for a process to wait for; beyond the horizon it never comes.

        Raises
        ------
        ValueError
            If the time is over.
        SimultaneousEventsError
            If another event of that rank is expected at that time.
        """
        event = Appointment(self, time, rank)
        if math.isnan(time) or time < self.now:
            raise ValueError(f"{rank.name} at {time!r} lies before now ({self.now!r})")
        if time > self.horizon:
            return event
        if (time, rank) in self._expected:
            raise SimultaneousEventsError(f"two of {rank.name} at {time!r}")
        self._expected.add((time, rank))
        event._ok, event._value = True, None  # noqa: SLF001  # as SimPy's own Timeout does
        heappush(self._queue, (time, EventPriority(rank), next(self._eid), event))
        return event

    def book(self, time: float, rank: Rank, action: Action) -> Appointment:
        """Have `action` done at an absolute time."""
        event = self.until(time, rank)

        def happens(_: Event) -> None:
            if not event.cancelled:
                action()

        assert event.callbacks is not None
        event.callbacks.append(happens)
        return event

    def forget(self, event: Appointment) -> None:
        """Another event may take the time of one that is cancelled."""
        self._expected.discard((event.time, event.rank))

    def step(self) -> None:
        """Process the next event."""
        event = self._queue[0][3]
        if isinstance(event, Appointment) and not event.cancelled:
            self.forget(event)
        super().step()

    def run_to_horizon(self) -> None:
        """Let everything happen up to the horizon."""
        while self._queue:
            self.step()

    def run_to(self, time: float) -> None:
        """Let everything happen up to and at a time."""
        while self.peek() <= time and self._queue:
            self.step()

    def timeout(self, delay: float = 0, value: object = None) -> Timeout:
        """Refused: a relative delay."""
        raise TypeError(f"a delay of {delay!r} from now ({value!r}): events are booked at absolute times")


class Spending:
    """A standard exponential that is spent at a rate; the event comes when nothing is left.

    Whenever the rate changes, what was spent so far is taken off and the event is booked anew.

    Parameters
    ----------
    clock, rank, action
        Whose time, and what happens when it is spent.
    exponential
        The standard exponential.
    whole_steps
        The event falls on the next point of the grid of operational times.
    """

    def __init__(self, clock: Clock, rank: Rank, exponential: float, action: Action, *, whole_steps: bool = False) -> None:
        self.clock = clock
        self.rank = rank
        self.left = exponential
        self.action = action
        self.whole_steps = whole_steps
        self.rate = 0.0
        self._since = clock.now
        self._event: Appointment | None = None

    def go_on_at(self, rate: float) -> None:
        """From now on it is spent at `rate` (0: it waits)."""
        if rate == self.rate:
            return
        now = self.clock.now
        if self.rate > 0:
            self.left = max(self.left - self.rate * (now - self._since), 0.0)
        self.rate, self._since = rate, now
        if self._event is not None:
            self._event.cancel()
            self._event = None
        if rate > 0:
            time = now + self.left / rate
            self._event = self.clock.book(next_on_grid(time) if self.whole_steps else time, self.rank, self._spent)

    def _spent(self) -> None:
        self.rate, self.left, self._event = 0.0, math.inf, None
        self.action()


def next_on_grid(time: float) -> float:
    """The first point of the grid of operational times at or after `time`."""
    return math.ceil(time * STEPS_PER_DAY) / STEPS_PER_DAY if math.isfinite(time) else time


def on_the_grid(days: float) -> float:
    """Days rounded to the grid of operational times, halves to even."""
    return round(days * STEPS_PER_DAY) / STEPS_PER_DAY if math.isfinite(days) else days
