"""Section 20, shared resources: infusion slots, a PCR laboratory, haematology and intensive-care beds.

What patients of a programme share, and so wait for. Only the pathway engine knows of it, and only on the calendar of a
programme (:mod:`cmvsim.simulation.programme`): the patients of a single study simulated one by one do not meet.
"""

from __future__ import annotations

from typing import Annotated, Literal, get_args

from pydantic import Field, model_validator

from cmvsim.core.quantities import Count, Hours, NonNegative, Positive, PositiveDays, VaryingDays
from cmvsim.core.spec import Spec
from cmvsim.core.value import Stated

Weekday = Literal["monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday"]
WEEKDAYS: tuple[Weekday, ...] = get_args(Weekday)
WEEK = 7
HOURS = 24
Part = Literal["infusions", "laboratory", "ward", "icu"]
PARTS: tuple[Part, ...] = get_args(Part)
ClockTime = Annotated[str, Field(pattern=r"^([01][0-9]|2[0-3]):[0-5][0-9]$")]
"""Time of the day, ``"14:00"``."""


def part_of_day(time: str) -> float:
    """A time of the day as a fraction of it."""
    hours, minutes = time.split(":")
    return (int(hours) + int(minutes) / 60) / HOURS


class InfusionSpec(Spec):
    """From enrolment to infusion.

    Attributes
    ----------
    manufacturing
        Days from enrolment (the cells are collected) to the earliest infusion: vein to vein, without waiting.
    slots_per_week
        Infusions that the programme has room for in a week; without it nobody waits for one.
    """

    manufacturing: VaryingDays | None = None
    slots_per_week: Positive | None = None


class LaboratorySpec(Spec):
    """The PCR laboratory.

    Attributes
    ----------
    opening_days
        Days of the week on which runs start.
    sampled_at
        Time of the day at which visits take place.
    transport
        Hours from sampling to receipt.
    runs_at
        Times of an opening day at which a run may start, which are also the cut-off of what it takes; without them a run
        starts as soon as an analyser is free and a sample is there.
    run
        Hours from the start of a run to its results.
    batch
        Samples in a run, at most; without it there is room for all.
    analysers
        Runs at the same time, at most.
    other_samples
        Samples of patients outside of the study per opening day, on average (Poisson, spread evenly over the day).
    """

    opening_days: Stated[Annotated[tuple[Weekday, ...], Field(strict=False)]]
    sampled_at: Stated[ClockTime]
    transport: Hours
    runs_at: Stated[Annotated[tuple[ClockTime, ...], Field(strict=False)]] | None = None
    run: Hours
    batch: Count | None = None
    analysers: Count
    other_samples: NonNegative

    @model_validator(mode="after")
    def _check(self) -> LaboratorySpec:
        if not self.opening_days.value:
            raise ValueError("opening_days: at least one")
        if self.runs_at is not None and not self.runs_at.value:
            raise ValueError("runs_at: at least one time of the day")
        if float(self.analysers) < 1:
            raise ValueError("analysers: at least one")
        if self.batch is not None and float(self.batch) < 1:
            raise ValueError("batch: at least one sample in a run")
        if self.runs_at is None and float(self.run) == 0:
            raise ValueError("run: a run that takes no time needs times at which it starts (runs_at)")
        most = self.samples_per_opening_day
        if float(self.other_samples) >= most:
            raise ValueError(
                f"other patients' {float(self.other_samples):g} samples per opening day fill the laboratory, which can do "
                f"{most:g}: the queue would grow for ever"
            )
        return self

    @property
    def runs_per_opening_day(self) -> float:
        """Runs that can be done on an opening day, at most."""
        within = HOURS * float(self.analysers) / float(self.run) if float(self.run) > 0 else float("inf")
        return within if self.runs_at is None else min(len(self.runs_at.value) * float(self.analysers), within)

    @property
    def samples_per_opening_day(self) -> float:
        """Samples that can be measured on an opening day, at most; infinite where a run takes all there are."""
        return self.runs_per_opening_day * float(self.batch) if self.batch is not None else float("inf")


class BedsSpec(Spec):
    """Beds of a unit.

    Attributes
    ----------
    beds
        Those that the programme's patients can lie in.
    others
        Beds of these that patients outside of the study occupy, on average, if none were ever turned away; 0 where the
        beds are dedicated to the study.
    other_stay
        Mean of their stays (exponential), needed if there are any.
    """

    beds: Count
    others: NonNegative
    other_stay: PositiveDays | None = None

    @model_validator(mode="after")
    def _check(self) -> BedsSpec:
        if float(self.others) > 0 and self.other_stay is None:
            raise ValueError("other_stay: how long do the others stay?")
        if float(self.others) > 0 and float(self.others) >= float(self.beds):
            raise ValueError(f"others would occupy {float(self.others):g} of {float(self.beds):g} beds: none is left")
        return self


class CapacitySpec(Spec):
    """What a programme has room for; a part that is left out, or not in `limits`, is unlimited.

    Attributes
    ----------
    limits
        Parts that are in force.
    infusions, laboratory, ward, icu
        Slots; PCR laboratory (without it a result takes ``monitoring.turnaround``); beds.
    """

    limits: Annotated[tuple[Part, ...], Field(strict=False)] = PARTS
    infusions: InfusionSpec | None = None
    laboratory: LaboratorySpec | None = None
    ward: BedsSpec | None = None
    icu: BedsSpec | None = None

    @property
    def in_force(self) -> CapacitySpec:
        """The same without the parts that are not in force."""
        return self.model_copy(update={part: None for part in PARTS if part not in self.limits})
