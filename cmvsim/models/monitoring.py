"""Section 7, monitoring: protocol visits, attendance, jitter, and the assay."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field, model_validator

from cmvsim.core.quantities import Count, Days, NonNegative, Probability, ViralLoad
from cmvsim.core.spec import Spec
from cmvsim.core.value import Stated
from cmvsim.models.viral_load import Matrix

WholeDay = Annotated[int, Field(ge=-60, le=400)]


class ScheduleItem(Spec):
    """A part of the visit schedule: ``{ every = 7, to = 42 }`` continues from the item before; ``{ at = 90 }`` is one visit."""

    every: Annotated[int, Field(ge=1)] | None = None
    to: WholeDay | None = None
    at: WholeDay | None = None

    @model_validator(mode="after")
    def _check(self) -> ScheduleItem:
        periodic = self.every is not None and self.to is not None and self.at is None
        single = self.at is not None and self.every is None and self.to is None
        if not (periodic or single):
            raise ValueError("a schedule item is { every = days, to = day } or { at = day }")
        return self


Schedule = Annotated[tuple[ScheduleItem, ...], Field(strict=False)]


def nominal_days(schedule: tuple[ScheduleItem, ...]) -> tuple[int, ...]:
    """Planned visit days after infusion, ascending and distinct."""
    days: list[int] = []
    last = 0
    for item in schedule:
        if item.at is not None:
            days.append(item.at)
        else:
            assert item.every is not None
            assert item.to is not None
            days.extend(range(last + item.every, item.to + 1, item.every))
        last = days[-1] if days else last
    return tuple(sorted(set(days)))


class MonitoringSpec(Spec):
    """How CMV is looked for.

    Attributes
    ----------
    baseline
        Days of the samples at or before infusion; taken from everybody, on the day.
    schedule
        Visits after infusion.
    jitter
        A visit is made up to this many whole days early or late (uniform).
    attendance
        Probability that a visit is made.
    lod, lloq
        Limits of detection and quantification, IU/mL of the matrix.
    assay_sd_log10
        Standard deviation of the measurement, log10.
    turnaround
        Days from sample to result.
    """

    matrix: Stated[Matrix]
    baseline: Stated[Annotated[tuple[WholeDay, ...], Field(strict=False)]]
    schedule: Stated[Schedule]
    jitter: Count
    attendance: Probability
    lod: ViralLoad
    lloq: ViralLoad
    assay_sd_log10: NonNegative
    turnaround: Days

    @model_validator(mode="after")
    def _check(self) -> MonitoringSpec:
        if float(self.lod) > float(self.lloq):
            raise ValueError(
                f"the limit of detection ({float(self.lod):g}) is above the limit of quantification "
                f"({float(self.lloq):g} IU/mL)"
            )
        if any(day > 0 for day in self.baseline.value):
            raise ValueError("baseline days are at or before infusion (0 or negative)")
        for index in range(len(self.schedule.value)):
            if len(nominal_days(self.schedule.value[: index + 1])) == len(nominal_days(self.schedule.value[:index])):
                raise ValueError(f"item {index + 1} of the schedule adds no visit")
        days = nominal_days(self.schedule.value)
        if not days or days[0] <= 0:
            raise ValueError("the schedule needs at least one visit, all after day 0")
        gap = min((later - earlier for earlier, later in zip((0, *days), days, strict=False)), default=days[0])
        if 2 * float(self.jitter) >= gap:
            raise ValueError(
                f"a jitter of {float(self.jitter):g} days either way lets visits {gap} days apart change places; "
                f"it must stay below half of the smallest gap"
            )
        return self

    @property
    def days(self) -> tuple[int, ...]:
        """All planned sample days, baseline first."""
        return (*sorted(self.baseline.value), *nominal_days(self.schedule.value))
