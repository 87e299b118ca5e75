"""What a design is: who gets which strategy, when one looks, and what one decides."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from cmvsim.core.records import Estimates, FloatArray, IntArray
from cmvsim.core.streams import Draws


@dataclass(frozen=True, slots=True)
class Look:
    """An analysis at a calendar time: a name and how many patients it waits for."""

    name: str
    patients: int


@dataclass(frozen=True, slots=True)
class Decision:
    """What a design concludes of estimates, per replicate; `met` is None when the design decides nothing."""

    met: IntArray | None


class Design(Protocol):
    """A study design."""

    def assign(self, n: int, strata: IntArray, draws: Draws) -> IntArray:
        """Index of the strategy of each patient, (R, n)."""
        ...

    def looks(self, calendar: FloatArray) -> tuple[Look, ...]:
        """The analyses, last one final."""
        ...

    def decide(self, estimates: Estimates) -> Decision:
        """The decision of each replicate."""
        ...
