"""Simon's two-stage design: stop early where the first stage shows too little.

Boundaries are those of Simon (1989), for successes among evaluable patients. With p1 below p0, of an event that is to become
rarer, a success is a patient without the event.
"""

from __future__ import annotations

from functools import cache
from typing import Literal

import numpy as np

from cmvsim.core.errors import InputError, Problem
from cmvsim.core.records import BoolArray, Estimates, FloatArray
from cmvsim.designs.base import Decision, Look, Surroundings, usable
from cmvsim.designs.closed_forms.two_stage import SimonDesign, simon_two_stage
from cmvsim.designs.single_arm_test import RULES, TestedProportion


@cache
def stages(p0: float, p1: float, alpha: float, power: float, criterion: str) -> SimonDesign:
    """Boundaries in successes: events where p1 is above p0, else patients without the event."""
    null, wanted = (p0, p1) if p1 > p0 else (1.0 - p0, 1.0 - p1)
    designs = simon_two_stage(null, wanted, alpha, power)
    return designs.optimal if criterion == "optimal" else designs.minimax


class SimonTwoStage(TestedProportion):
    """Two stages.

    Attributes
    ----------
    p0, p1
        Incidence that is of no interest, and the one that is wanted.
    alpha, power
        Largest probability of a claim at p0, smallest at p1.
    criterion
        "optimal" has the smallest expected number of patients at p0, "minimax" the smallest largest one.
    """

    kind: Literal["simon_two_stage"]
    criterion: Literal["optimal", "minimax"] = "optimal"

    @property
    def stages(self) -> SimonDesign:
        """The boundaries, in successes."""
        return stages(self.p0, self.p1, self.alpha, self.power, self.criterion)

    def successes(self, events: FloatArray, n: FloatArray) -> FloatArray:
        """Successes among n evaluable patients with so many events."""
        return events if self.p1 > self.p0 else n - events

    def goes_on(self, events: FloatArray) -> BoolArray:
        """Whether the second stage is entered after so many events in the first."""
        return np.asarray(self.successes(events, np.full_like(events, float(self.stages.n1))) > self.stages.r1)

    def looks(self, calendar: FloatArray) -> tuple[Look, ...]:  # noqa: ARG002 -- the seam's signature
        """Both stages; patients are evaluable ones."""
        found = self.stages
        return (Look("stage 1", found.n1, found.n1 / found.n), Look("stage 2", found.n))

    def decide(self, estimates: Estimates) -> Decision:
        """A claim: the second stage was reached, with enough successes; `n` and `events` count evaluable patients."""
        n, events = estimates.n.astype(np.float64), estimates.events.astype(np.float64)
        fine = usable(estimates)
        met = fine & (n >= self.stages.n) & (self.successes(events, n) > self.stages.r)
        return Decision(met, np.zeros_like(met), fine)

    def check(self, around: Surroundings, where: str, at: str) -> list[Problem]:
        """Also proportions for which no design of a reasonable size exists."""
        try:
            _ = self.stages
        except InputError as error:
            return [*super().check(around, where, at), *(Problem(p.message, where, at) for p in error.problems)]
        return super().check(around, where, at)

    def sentence(self, around: Surroundings) -> str:
        """Boundaries in words."""
        found = self.stages
        what = "events" if self.p1 > self.p0 else "patients without the event"
        return (
            f"Simon's {self.criterion} two-stage design for {self.endpoint or around.primary}, {100 * self.p1:g}% against "
            f"{100 * self.p0:g}%: stop with at most {found.r1} {what} among the first {found.n1} evaluable patients, claim "
            f"with more than {found.r} among {found.n}; alpha {self.alpha:g}, power {100 * self.power:g}%; "
            f"{RULES[self.evaluable]}"
        )
