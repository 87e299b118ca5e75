"""What a programme's calendar holds when all is over; calendar days from its opening."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from cmvsim.core.records import FloatArray, IntArray
from cmvsim.models.capacity import CapacitySpec
from cmvsim.simulation.pathway.records import PatientHistory
from cmvsim.simulation.programme.beds import BedUse
from cmvsim.simulation.programme.steps import Steps

MONTH = 365.25 / 12


@dataclass(frozen=True)
class Specimens:
    """Samples of the study's patients while alive, in the order of patient and sampling: each (S,).

    Attributes
    ----------
    patient
        Index.
    sampled, received, started, reported
        When taken, received, put into a run, reported; where the turnaround is drawn, received and started are NaN.
    """

    patient: IntArray
    sampled: FloatArray
    received: FloatArray
    started: FloatArray
    reported: FloatArray

    @property
    def turnaround(self) -> FloatArray:
        """Days from sampling to result."""
        return self.reported - self.sampled


@dataclass(frozen=True)
class TreatmentStarts:
    """Treatments that a result started, in those alive: each (C,).

    Attributes
    ----------
    patient
        Index.
    sampled, started
        When the decisive sample was taken, and the treatment started.
    """

    patient: IntArray
    sampled: FloatArray
    started: FloatArray

    @property
    def delay(self) -> FloatArray:
        """Days from the decisive sample to the treatment."""
        return self.started - self.sampled


@dataclass(frozen=True)
class Monthly:
    """A quantity month by month.

    Attributes
    ----------
    month
        (M,) first day of each.
    number
        (M,) values in it.
    mean
        (M,) NaN in a month without any.
    quantiles
        (Q, M) at `levels`.
    """

    month: FloatArray
    number: IntArray
    mean: FloatArray
    quantiles: FloatArray
    levels: tuple[float, ...]


@dataclass(frozen=True)
class Programme:
    """One replicate of a programme.

    Attributes
    ----------
    enrolled, ready, infused
        (P,) when the patient was enrolled, could be infused at the earliest, and was (time 0 of the history).
    queue
        Samples waiting in the laboratory, other patients' among them; empty where the turnaround is drawn.
    runs
        (K, 2) start of each run of the laboratory, and its samples.
    histories
        In the order of patients.
    """

    replicate: int
    capacity: CapacitySpec
    enrolled: FloatArray
    ready: FloatArray
    infused: FloatArray
    specimens: Specimens
    starts: TreatmentStarts
    queue: Steps
    runs: FloatArray
    ward: BedUse
    icu: BedUse
    histories: tuple[PatientHistory, ...]

    @property
    def wait(self) -> FloatArray:
        """(P,) days for which an infusion that was possible waited for a slot (or the next morning)."""
        return self.infused - self.ready

    @property
    def vein_to_vein(self) -> FloatArray:
        """(P,) days from enrolment to infusion."""
        return self.infused - self.enrolled

    @property
    def span(self) -> tuple[float, float]:
        """From the first to the last day on which anybody of the study was infused, sampled or in hospital."""
        ends = [self.infused.max(), *(times.max() for times in (self.specimens.reported, self.ward.until) if times.size)]
        starts = [self.infused.min(), *(times.min() for times in (self.specimens.sampled, self.ward.wanted) if times.size)]
        return float(min(starts)), float(max(ends))


def by_month(at: FloatArray, values: FloatArray, levels: tuple[float, ...] = (0.5, 0.9)) -> Monthly:
    """Values at calendar times, month by month.

    Parameters
    ----------
    at, values
        (N,) days and values; NaN values are left out.
    """
    known = ~np.isnan(values)
    month = np.floor(at[known] / MONTH).astype(np.int64)
    months = np.arange(month.min(), month.max() + 1) if month.size else np.empty(0, dtype=np.int64)
    groups = [values[known][month == m] for m in months]
    quantiles = [np.quantile(group, levels) if group.size else np.full(len(levels), np.nan) for group in groups]
    return Monthly(
        months.astype(np.float64) * MONTH,
        np.array([group.size for group in groups], dtype=np.int64),
        np.array([group.mean() if group.size else np.nan for group in groups]),
        np.array(quantiles, dtype=np.float64).reshape(len(months), len(levels)).T,
        levels,
    )


def months_of(span: tuple[float, float]) -> FloatArray:
    """First days of the months that a span touches, and the end of the last."""
    first, last = int(np.floor(span[0] / MONTH)), int(np.ceil(span[1] / MONTH))
    return np.arange(first, max(last, first + 1) + 1, dtype=np.float64) * MONTH
