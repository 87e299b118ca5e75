"""From enrolment to infusion: manufacturing, and the first free slot (model.md 20)."""

from __future__ import annotations

import math

from cmvsim.models.capacity import WEEK

WORKING_DAYS = 5
"""Infusions are planned on Mondays to Fridays."""


class Slots:
    """The appointment book of the programme: first come, first served; a slot that nobody takes is lost.

    Of n a week, slot j is on working day floor(5 j / n) since the first Monday.

    Parameters
    ----------
    per_week
        n; None: a slot on every day for everybody.
    monday
        The first Monday: day 0 or one of the six days before.
    """

    def __init__(self, per_week: float | None, monday: int = 0) -> None:
        self.per_week = per_week
        self.monday = monday
        self._next = 0

    def day(self, slot: int) -> int:
        """Day of the programme on which a slot is."""
        assert self.per_week is not None
        weeks, day = divmod(math.floor(WORKING_DAYS * slot / self.per_week), WORKING_DAYS)
        return self.monday + WEEK * weeks + day

    def take(self, earliest: float) -> int:
        """Take the first free slot on or after a time; its day."""
        first = math.ceil(earliest)
        if self.per_week is None:
            return first
        slot = max(self._next, math.floor((first - self.monday) // WEEK * self.per_week))
        while self.day(slot) < first:
            slot += 1
        self._next = slot + 1
        return self.day(slot)
