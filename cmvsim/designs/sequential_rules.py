"""The stopping rules of a group-sequential study as arrays: from Z and information at each look to a decision."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from cmvsim.core.records import BoolArray, FloatArray, IntArray
from cmvsim.designs.closed_forms.group_sequential import Boundaries, Spending, boundaries


@dataclass(frozen=True, slots=True)
class Stopped:
    """How each replicate ended, (R,).

    Attributes
    ----------
    look
        Index of the look at which it stopped.
    claim
        It showed the benefit.
    against
        Two-sided rules: the experimental arm was significantly worse.
    futile
        It was given up before its last look.
    """

    look: IntArray
    claim: BoolArray
    against: BoolArray
    futile: BoolArray

    @property
    def rejected(self) -> BoolArray:
        """The null hypothesis was rejected, on either side."""
        return self.claim | self.against


@dataclass(frozen=True, slots=True)
class Rules:
    """Lan-DeMets rules.

    Attributes
    ----------
    planned
        Events at information 1.
    efficacy
        Spending of the type I error of one side.
    sides
        2: the experimental arm may also be found worse, at the mirrored boundary.
    futility
        Spending of the type II error; None: never given up.
    binding
        The efficacy boundary counts on stops for futility.
    fractions
        Planned information of the looks, for which the drift of the futility boundary is found.
    """

    planned: float
    efficacy: Spending
    sides: int = 2
    futility: Spending | None = None
    binding: bool = False
    fractions: tuple[float, ...] = (1.0,)

    @property
    def design(self) -> Boundaries:
        """Boundaries if every look comes with its planned information."""
        return boundaries(self.fractions, self.efficacy, self.futility, binding=self.binding)

    def decide(self, z: FloatArray, events: FloatArray) -> Stopped:
        """Apply the rules.

        Parameters
        ----------
        z
            (R, K) statistics, positive in favour of the experimental arm; NaN is no evidence.
        events
            (R, K) events at each look, which are its information.

        Notes
        -----
        Boundaries follow the information that was seen, not the planned one. A look that brings no new event is not made:
        when the first of several with the same events is due, nobody knows that no event will follow. The last is always
        made, and spends what is left.
        """
        replicates, looks = z.shape
        drift = self.design.drift if self.futility is not None else None
        upper, lower = np.full((replicates, looks), np.inf), np.full((replicates, looks), -np.inf)
        seen, which = np.unique(events, axis=0, return_inverse=True)
        for index, row in enumerate(seen):
            made = _made(row)
            if not made:
                continue
            found = boundaries(row[made] / self.planned, self.efficacy, self.futility, binding=self.binding, drift=drift)
            mine = np.flatnonzero(which.ravel() == index)
            for place, k in enumerate(made):
                upper[mine, k] = found.efficacy[place]
                if place < len(made) - 1:
                    lower[mine, k] = found.futility[place]
        return _first_crossing(z, upper, lower, self.sides)


def _made(events: FloatArray) -> list[int]:
    """Looks that are made: those with new events, short of what the last has, and the last."""
    last = events.size - 1
    if events[last] <= 0:
        return []
    kept = [k for k in range(last) if 0 < events[k] < events[last] and (k == 0 or events[k] > events[k - 1])]
    return [*kept, last]


def _first_crossing(z: FloatArray, upper: FloatArray, lower: FloatArray, sides: int) -> Stopped:
    with np.errstate(invalid="ignore"):
        above = z >= upper
        worse = (z <= -upper) if sides == 2 else np.zeros_like(above)
        below = (z < lower) & ~worse
    ends = above | worse | below
    ends[:, -1] = True
    look = ends.argmax(axis=1)
    row = np.arange(z.shape[0])
    claim, against = above[row, look], worse[row, look]
    futile = below[row, look] & (look < z.shape[1] - 1)
    return Stopped(look.astype(np.int64), claim, against, futile)
