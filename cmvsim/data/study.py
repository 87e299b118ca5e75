"""The Study: what a study's tables hold, as arrays with a leading replicate axis.

A real study is a batch of one; a simulated batch has one entry per replicate. No latent quantity lives here: days are
whole days from infusion, loads have three significant digits, and what was not recorded is absent. Arrays are float64
and NaN means *did not happen*, unless said otherwise. Shapes: R replicates, N patients in order of enrolment, V samples
of a patient, K courses or repeats.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import IntEnum

import numpy as np
from numpy.typing import NDArray

from cmvsim.core.records import FloatArray

Int8Array = NDArray[np.int8]


class Result(IntEnum):
    """What the laboratory reported of a planned sample."""

    NONE = 0  # no sample: missed, not due any more, or padding
    NOT_DETECTED = 1
    BELOW_LLOQ = 2
    QUANTIFIED = 3


class EndReason(IntEnum):
    """Why monitoring of a patient ended."""

    COMPLETED = 0
    DEATH = 1
    HCT = 2
    NEW_THERAPY = 3
    WITHDRAWN = 4
    LOST = 5


@dataclass(frozen=True, slots=True)
class Subjects:
    """One entry per patient.

    Attributes
    ----------
    stratum
        (R, N) int8, index into `strata`.
    strata
        Names of the strata.
    diseases
        Disease of each stratum ("leukaemia", "lymphoma"), same length as `strata`.
    covariates
        Baseline columns by name, (R, N) float64 (coded as the data dictionary says); only those that were asked for.
    labels
        Texts of coded covariates: ``{"product": ("axicabtagene", ...)}``.
    patients
        Patient identifiers of a real study, length N; empty for a batch.
    """

    stratum: Int8Array
    strata: tuple[str, ...]
    diseases: tuple[str, ...]
    covariates: Mapping[str, FloatArray] = field(default_factory=dict)
    labels: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    patients: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Samples:
    """CMV samples, negatives included, all of one matrix.

    Attributes
    ----------
    nominal, day
        (R, N, V) planned and actual study day (`nominal` may be a broadcast view; NaN for clinical samples).
    result
        (R, N, V) int8, :class:`Result`.
    load
        (R, N, V) IU/mL at three significant digits, NaN unless quantified.
    matrix
        "plasma" or "whole_blood".
    lloq
        Lower limit of quantification, IU/mL.
    """

    nominal: FloatArray
    day: FloatArray
    result: Int8Array
    load: FloatArray
    matrix: str
    lloq: float


@dataclass(frozen=True, slots=True)
class Courses:
    """Courses of one drug: (R, N, K) first day and last day + 1 of each, NaN where there is none."""

    start: FloatArray
    stop: FloatArray


@dataclass(frozen=True, slots=True)
class Disposition:
    """End of monitoring and vital status.

    Attributes
    ----------
    end
        (R, N) last day on which the patient was under CMV monitoring.
    reason
        (R, N) int8, :class:`EndReason`.
    death
        (R, N) day of death, NaN if alive at the end of the study.
    """

    end: FloatArray
    reason: Int8Array
    death: FloatArray


@dataclass(frozen=True, slots=True)
class Study:
    """A batch of studies, as their tables would record them.

    Attributes
    ----------
    events
        Dated events by name ("relapse", "new_therapy", "hct", "cmv_disease"): (R, N) day of the first, NaN if none.
    exposures
        Drug courses by name ("corticosteroids", "tocilizumab", "valganciclovir").
    """

    subjects: Subjects
    samples: Samples
    disposition: Disposition
    events: Mapping[str, FloatArray] = field(default_factory=dict)
    exposures: Mapping[str, Courses] = field(default_factory=dict)

    @property
    def replicates(self) -> int:
        """Number of replicates R."""
        return int(self.disposition.end.shape[0])

    @property
    def patients(self) -> int:
        """Patients per replicate, N."""
        return int(self.disposition.end.shape[1])
