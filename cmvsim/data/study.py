"""The Study: what a study's tables hold, as arrays with a leading replicate axis.

A real study is a batch of one; a simulated batch has one entry per replicate. No latent quantity lives here: days are
whole days from infusion, loads have three significant digits, and what was not recorded is absent. Arrays are float64
and NaN means *did not happen*, unless said otherwise. Shapes: R replicates, N patients in order of enrolment, V samples
of a patient, K courses or repeats.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import IntEnum, StrEnum

import numpy as np
from numpy.typing import NDArray

from cmvsim.core.records import FloatArray, IntArray

Int8Array = NDArray[np.int8]


class Topic(StrEnum):
    """What a study may record beside its CMV samples, antivirals, relapse, transplantation, CMV disease and disposition.

    An endpoint names what it reads, so that a simulated batch holds no more than its analyses look at.
    """

    BASELINE = "baseline"  # optional columns of subjects
    TOXICITY = "toxicity"  # CRS, ICANS and neutropenia, and the drugs given against them
    VIROME = "virome"
    CAR_T = "car_t"
    SEQUENCING = "sequencing"
    INFECTIONS = "infections"
    QUESTIONNAIRES = "questionnaires"
    STAYS = "stays"
    RESOURCES = "resources"


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
    ONGOING = 6  # it had not ended at the data cut


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


class Change(IntEnum):
    """What sequencing of a gene showed, the gravest of its changes."""

    NONE = 0  # not sequenced, or padding
    FAILED = 1
    NO_CHANGE = 2
    POLYMORPHISM = 3
    UNKNOWN = 4
    KNOWN_RESISTANCE = 5


class Questionnaire(IntEnum):
    """Instrument of a questionnaire that was due."""

    NONE = 0  # none was due, or padding
    EQ_5D_Y = 1
    EQ_5D_5L = 2


@dataclass(frozen=True, slots=True)
class Occurrences:
    """Dated events of one kind, several per patient, in order of time; (R, N, K), NaN where there is none.

    Attributes
    ----------
    day
        Day on which it happened.
    end
        Last day, NaN where it has none, was not recorded or goes on; None where no event of this kind has one.
    grade
        Grade (CTCAE, ASTCT), NaN where it was not graded; None where no event of this kind is graded.
    certainty
        int8 index into :data:`CERTAINTIES`, -1 where it was not said; None where it is not said of this kind.
    severe
        First day of grade 3 or more, NaN where not recorded; None where it is not recorded of this kind.
    """

    day: FloatArray
    end: FloatArray | None = None
    grade: FloatArray | None = None
    certainty: Int8Array | None = None
    severe: FloatArray | None = None

    @classmethod
    def once(cls, day: FloatArray) -> Occurrences:
        """Events that happen once at most, (R, N)."""
        return cls(day[..., np.newaxis])

    @property
    def first(self) -> FloatArray:
        """(R, N) day of the first, NaN if none."""
        if self.day.shape[-1] == 0:
            return np.full(self.day.shape[:-1], np.nan)
        first: FloatArray = self.day[..., 0]
        return first


CERTAINTIES = ("possible", "probable", "proven")


@dataclass(frozen=True, slots=True)
class VirusSamples:
    """Samples tested for one virus of the virome; (R, N, V).

    Attributes
    ----------
    nominal, day
        Planned and actual study day, NaN as in :class:`Samples`.
    result
        int8, :class:`Result`; BELOW_LLOQ also stands for "detected, not quantified".
    load
        Log10 copies/mL, NaN unless quantified.
    """

    nominal: FloatArray
    day: FloatArray
    result: Int8Array
    load: FloatArray


@dataclass(frozen=True, slots=True)
class CellSamples:
    """CAR-T cell concentrations in blood; (R, N, V).

    Attributes
    ----------
    nominal, day
        Planned and actual study day.
    result
        int8, :class:`Result`: QUANTIFIED or BELOW_LLOQ; NONE where missed.
    level
        Concentration in the unit of the patient's product (units differ, so only ranks within a product compare); NaN
        unless quantified.
    units
        Unit of each product, in the order of the labels of the covariate ``product``.
    lloq
        Limit of quantification of each product, likewise.
    """

    nominal: FloatArray
    day: FloatArray
    result: Int8Array
    level: FloatArray
    units: tuple[str, ...]
    lloq: tuple[float, ...]


@dataclass(frozen=True, slots=True)
class Sequencing:
    """Samples sent for sequencing.

    Attributes
    ----------
    day
        (R, N, S) day of the sample, NaN: padding.
    genes
        Names of the G genes.
    change
        (R, N, S, G) int8, :class:`Change`.
    """

    day: FloatArray
    genes: tuple[str, ...]
    change: Int8Array


@dataclass(frozen=True, slots=True)
class Questionnaires:
    """EQ-5D questionnaires that were due; (R, N, V).

    Attributes
    ----------
    nominal, day
        Planned day, and the day on which it was answered (NaN: missed).
    instrument
        int8, :class:`Questionnaire`.
    proxy
        bool: answered by a parent.
    levels
        (R, N, V, 5) int8 answers in the order of :data:`cmvsim.valuation.eq5d.DIMENSIONS`, 0 where there is none.
    vas
        Visual analogue scale 0 to 100, NaN where there is none.
    """

    nominal: FloatArray
    day: FloatArray
    instrument: Int8Array
    proxy: NDArray[np.bool_]
    levels: Int8Array
    vas: FloatArray


@dataclass(frozen=True, slots=True)
class Stays:
    """Days in hospital; (R, N, K) in order of time, NaN where there is none.

    Attributes
    ----------
    start, stop
        First day, and last day + 1 (NaN: still in hospital).
    icu
        bool: a stay in intensive care, which lies within a stay in hospital.
    """

    start: FloatArray
    stop: FloatArray
    icu: NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class Resources:
    """Dated resource use of all studies, one row each, in no order that matters.

    Attributes
    ----------
    row
        int64, replicate x N + patient.
    item, component
        int8 codes of :class:`cmvsim.core.ledger.Item` and of :data:`COMPONENTS`.
    first, last
        First and last day of the use, whole days; equal for an occasion.
    quantity
        In the unit of the item, spread evenly over its days.
    unit_costs
        Of a study that brings its own: (items,) in the order of the codes, NaN where there is none; None: none at all.
    currency
        Of the unit costs.
    year
        Of their prices; None where the study does not say.
    """

    row: IntArray
    item: Int8Array
    component: Int8Array
    first: FloatArray
    last: FloatArray
    quantity: FloatArray
    unit_costs: FloatArray | None = None
    currency: str = "EUR"
    year: int | None = None


COMPONENTS = ("initial_stay", "additional_stays", "surveillance", "treatments", "prophylaxis", "other")
"""What resource use belongs to in a study, which cannot tell a planned day of the initial stay from a prolonged one."""


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

    def followed(self, window: float, closing_window: float) -> FloatArray:
        """(R, N) last day under monitoring, the closing visit forgiven for being early.

        Monitoring that was completed within `closing_window` days before the end of the window lasts to its end. Were those
        who had no event censored on the day of an early closing visit, while the events that such visits find count on it,
        fewer and fewer patients would stand against the events of the last days. A death before the end of the window ends it.
        """
        early = (self.reason == EndReason.COMPLETED) & (self.end >= window - closing_window) & (self.end < window)
        return np.where(early, np.fmin(np.maximum(self.death, self.end), window), self.end)


@dataclass(frozen=True, slots=True)
class Study:
    """A batch of studies, as their tables would record them.

    Attributes
    ----------
    events
        Dated events by name ("relapse", "new_therapy", "hct", "cmv_disease", "crs", "bacterial_infection", ...).
    exposures
        Drug courses by name ("corticosteroids", "tocilizumab", "valganciclovir").
    virome
        Samples by virus ("anellovirus", "pegivirus", "redondovirus"); empty where none were taken.
    car_t, sequencing, questionnaires, stays, resources
        None where the study has no such table, or nobody asked for it.
    """

    subjects: Subjects
    samples: Samples
    disposition: Disposition
    events: Mapping[str, Occurrences] = field(default_factory=dict)
    exposures: Mapping[str, Courses] = field(default_factory=dict)
    virome: Mapping[str, VirusSamples] = field(default_factory=dict)
    car_t: CellSamples | None = None
    sequencing: Sequencing | None = None
    questionnaires: Questionnaires | None = None
    stays: Stays | None = None
    resources: Resources | None = None

    @property
    def replicates(self) -> int:
        """Number of replicates R."""
        return int(self.disposition.end.shape[0])

    @property
    def patients(self) -> int:
        """Patients per replicate, N."""
        return int(self.disposition.end.shape[1])
