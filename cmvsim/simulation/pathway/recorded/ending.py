"""How monitoring of a patient ended for the study, and until when it knows of the patient (model.md 0.1)."""

from __future__ import annotations

import math
from dataclasses import dataclass

from cmvsim.data.study import EndReason
from cmvsim.simulation.model import Model
from cmvsim.simulation.pathway.facts import Window
from cmvsim.simulation.pathway.records import PatientHistory


@dataclass(frozen=True, slots=True)
class Ending:
    """How monitoring of a patient ended, for the study.

    Attributes
    ----------
    day
        Whole day of the end.
    death
        Whole day of a death that the study learns of, NaN otherwise.
    known
        Time until which the study knows of the patient.
    """

    day: float
    reason: EndReason
    death: float
    known: float

    def knows(self, time: float) -> bool:
        """Whether the study learns of what happens at a time."""
        return time <= self.known

    def day_of(self, time: float) -> float:
        """Study day of what happens at a time, NaN where the study does not learn of it."""
        return float(math.ceil(time)) if self.knows(time) else math.nan


def ending_of(model: Model, story: PatientHistory) -> Ending:
    """The end of monitoring, its reason, and until when the study knows of a patient."""
    last, f = model.monitoring.days[-1], story.follow_up
    closing = [s.time for s in story.samples if s.planned == last and s.time <= story.death]
    whole = max([float(last), *closing])
    until = min(whole, f.withdrawn, f.lost)
    # of what comes at the same time the last of this order is the reason
    ends = (
        (whole, EndReason.COMPLETED),
        (f.lost, EndReason.LOST),
        (f.withdrawn, EndReason.WITHDRAWN),
        (f.new_therapy, EndReason.NEW_THERAPY),
        (f.hct, EndReason.HCT),
        (story.death, EndReason.DEATH),
    )
    first, _, reason = min((time, -order, reason) for order, (time, reason) in enumerate(ends))
    death = float(math.ceil(story.death)) if story.death <= until else math.nan
    if reason is EndReason.LOST:  # a loss shows in visits that are not made: the last contact is the last sample
        contact = max([0.0, *(s.time for s in story.samples if s.time <= f.lost)])
        return Ending(contact, reason, death, contact)
    containing = reason in (EndReason.COMPLETED, EndReason.HCT, EndReason.DEATH)
    day = math.ceil(first) if containing else math.floor(first)
    return Ending(float(day), reason, death, min(until, story.death))


def first_day(span: Window) -> int:
    """Study day on which a span begins: what begins at the very end of a day begins on the next."""
    return math.floor(span.start) + 1
