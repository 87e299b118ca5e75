"""What a design is: who gets which strategy, when one looks, and what one decides.

A design is a specification of its own: it sees strata, calendar days and estimates as arrays, never a scenario. What it names
(strategies, endpoints) is checked against :class:`Surroundings`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

import numpy as np

from cmvsim.core.errors import Problem
from cmvsim.core.records import BoolArray, Estimates, FloatArray, IntArray, Status


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What a design may name: filled in by the scenario.

    Attributes
    ----------
    strategies, factors
        Ids of strategies, and baseline factors that randomisation can be stratified by.
    endpoints
        Endpoint ids, each with the ids of the comparisons of two arms that it has (none: it is not compared).
    rates
        Endpoints that are cumulative incidences.
    designs
        Names of the scenario's designs.
    level
        Confidence level of the analysis.
    primary
        Endpoint that is meant where a design names none.
    """

    strategies: tuple[str, ...]
    factors: tuple[str, ...]
    endpoints: Mapping[str, tuple[str, ...]]
    rates: tuple[str, ...]
    designs: tuple[str, ...]
    level: float
    primary: str


@dataclass(frozen=True, slots=True)
class Look:
    """An analysis at a calendar time.

    Attributes
    ----------
    name
        For tables.
    patients
        How many patients must have been enrolled.
    information
        Share of the final information at which it is made; 1 for the final analysis.
    day
        Calendar day; NaN where it is not made on a day.
    """

    name: str
    patients: int
    information: float = 1.0
    day: float = float("nan")


@dataclass(frozen=True, slots=True)
class Decision:
    """What a design concludes of estimates, one entry for each of theirs.

    Attributes
    ----------
    met
        The conclusion that the study is after; None where the design decides nothing.
    against
        The opposite is significant: a two-sided test that rejects on the wrong side. ``met | against`` are all rejections.
    decided
        Where a decision could be made at all; a study without a usable estimate concludes nothing.
    """

    met: BoolArray | None
    against: BoolArray | None = None
    decided: BoolArray | None = None
    notes: Mapping[str, FloatArray] = field(default_factory=dict)


class ListDraws(Protocol):
    """Chance of lists: what is drawn by (replicate, position of a list), whoever the patients are."""

    def listed(self, name: str, index: int, length: int) -> FloatArray:
        """Variates of the stream `name`, (length, replicates): a shorter list is the beginning of a longer one."""
        ...


class Design(Protocol):
    """A study design."""

    @property
    def kind(self) -> str:
        """Its name in scenario files."""
        ...

    @property
    def strategies(self) -> tuple[str, ...]:
        """Strategies of its arms in order, the control first; none: the reference strategy for all."""
        ...

    def assign(self, strata: IntArray, draws: ListDraws) -> IntArray:
        """Arm of each patient.

        Parameters
        ----------
        strata
            (R, N) randomisation stratum, from 0.
        draws
            Chance of the randomisation lists.

        Returns
        -------
        ndarray
            (R, N) int64 index into :attr:`strategies`.
        """
        ...

    def looks(self, calendar: FloatArray) -> tuple[Look, ...]:
        """The analyses, last one final."""
        ...

    def decide(self, estimates: Estimates) -> Decision:
        """The decision on each estimate; arrays of any shape."""
        ...

    def check(self, around: Surroundings, where: str, at: str) -> list[Problem]:
        """Mistakes that only the whole scenario shows; `where` and `at` are file and key path for messages."""
        ...

    def sentence(self, around: Surroundings) -> str:
        """What the design asks, for `scenarios explain`: no capital, no full stop."""
        ...


def usable(estimates: Estimates) -> BoolArray:
    """Where estimate and interval exist."""
    return np.isin(estimates.status, [int(status) for status in Status if status.usable])


def one_final_look(calendar: FloatArray) -> tuple[Look, ...]:
    """The looks of a design that has but one."""
    return (Look("final", int(calendar.shape[-1])),)


def listed_or_none(names: Sequence[str]) -> str:
    """Names for the `allowed` of a problem."""
    return f"allowed: {', '.join(names)}" if names else "there is none"
