"""Section 7, monitoring: protocol visits, tests that clinicians ask for, and the assay.

The prospective part follows a schedule. The retrospective part, and with `between_visits` the prospective one too, is
tested when clinicians have a reason: every day has a probability that depends on the phase, on where the patient is,
and on what is going on, and after a detected result tests go on until two are negative.
"""

from __future__ import annotations

import math
from typing import Annotated

from pydantic import Field, model_validator

from cmvsim.core.quantities import Count, Days, NonNegative, Positive, PositiveDays, Probability, Ratio, ViralLoad
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


class TestingPhase(Spec):
    """How readily clinicians test from a day on.

    Attributes
    ----------
    start
        First study day of the phase.
    odds
        Odds of a test on a day, for an outpatient without steroids, CRS or neutropenia and a score of 0.
    """

    start: WholeDay
    odds: Positive


class ClinicalTesting(Spec):
    """Tests that clinicians ask for.

    Attributes
    ----------
    phases
        Odds of a test on a day, by phase; the first begins at or before inclusion.
    inpatient, corticosteroids, crs, neutropenia
        Odds ratios: during the planned initial stay, a steroid course, CRS of grade 2 or more, neutropenia.
    score
        Odds ratio per SD of the immunosuppression score.
    follow_up_every
        After a detected result, days from one test to the next, until two in a row are not detected.
    between_visits
        Whether the prospective part is tested so too, beside its visits.
    """

    phases: Annotated[tuple[TestingPhase, ...], Field(strict=False)]
    inpatient: Ratio
    corticosteroids: Ratio
    crs: Ratio
    neutropenia: Ratio
    score: Ratio
    follow_up_every: PositiveDays
    between_visits: bool

    @model_validator(mode="after")
    def _check(self) -> ClinicalTesting:
        starts = [phase.start for phase in self.phases]
        if not starts or starts != sorted(set(starts)):
            raise ValueError("phases: at least one, each starting after the one before")
        return self


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
        Standard deviation of the measurement within a laboratory, log10.
    assay_sd_between_sites
        Standard deviation of the shift between sites' laboratories, log10; 0 with one central laboratory.
    turnaround
        Days from sample to result.
    clinical
        Tests that clinicians ask for; without it there are none.
    """

    matrix: Stated[Matrix]
    baseline: Stated[Annotated[tuple[WholeDay, ...], Field(strict=False)]]
    schedule: Stated[Schedule]
    jitter: Count
    attendance: Probability
    lod: ViralLoad
    lloq: ViralLoad
    assay_sd_log10: NonNegative
    assay_sd_between_sites: NonNegative
    turnaround: Days
    clinical: ClinicalTesting | None = None

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

    def clinical_days(self, inclusion: float) -> tuple[int, ...]:
        """Whole days on which a clinician may ask for a test."""
        return tuple(range(math.ceil(inclusion), self.days[-1] + 1)) if self.clinical is not None else ()
