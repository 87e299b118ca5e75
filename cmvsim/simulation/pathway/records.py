"""One patient's story, as plain records. Times are days from infusion; +inf: did not happen by the horizon."""

from __future__ import annotations

import math
from dataclasses import dataclass
from enum import IntEnum

from cmvsim.simulation.pathway.facts import FollowUpTimes, Window


class Reported(IntEnum):
    """What a sample showed."""

    NOT_DETECTED = 1
    BELOW_LIMIT = 2
    QUANTIFIED = 3


@dataclass(frozen=True, slots=True)
class SampleRecord:
    """A sample with its result.

    Attributes
    ----------
    planned
        Nominal day of a visit; None for a test that a clinician asked for.
    load
        Reported IU/mL at three significant digits; NaN unless quantified.
    extra
        Taken only because CMV had been detected before.
    episode
        Index of the episode that was running; -1 if none.
    """

    time: float
    planned: int | None
    reported: Reported
    load: float
    extra: bool
    episode: int


@dataclass(frozen=True, slots=True)
class EpisodeRecord:
    """An episode; `cleared` is +inf where it runs at the horizon."""

    onset: float
    cleared: float
    peak: float
    plateau_end: float
    decay: float
    refractory: bool
    knots: tuple[tuple[float, float, float], ...]


@dataclass(frozen=True, slots=True)
class SpellRecord:
    """Time on one drug against CMV; `course` counts the treatments."""

    drug: str
    course: int
    start: float
    stop: float = math.inf


@dataclass(frozen=True, slots=True)
class InfectionRecord:
    """A bacterial or fungal infection."""

    start: float
    stop: float
    severe: bool


@dataclass(frozen=True, slots=True)
class TreatmentRecord:
    """Pre-emptive therapy and what it did.

    Attributes
    ----------
    courses
        Treatments, switches included.
    spells
        Of one drug each.
    neutropenia
        On (val)ganciclovir.
    kidney_injury
        On foscarnet.
    """

    courses: tuple[Window, ...]
    spells: tuple[SpellRecord, ...]
    neutropenia: Window
    kidney_injury: float


@dataclass(frozen=True, slots=True)
class StayRecord:
    """Stays as they were, cut at death and horizon, disjoint and in order."""

    hospital: tuple[Window, ...]
    icu: tuple[Window, ...]
    planned: Window


@dataclass(frozen=True, slots=True, order=True)
class LedgerRow:
    """A span with a rate per day, or an occasion with a count (start = stop)."""

    item: str
    component: str
    start: float
    stop: float
    rate: float


@dataclass(frozen=True, slots=True)
class SequencedRecord:
    """A sample sent for sequencing, and the changes seen: class and gene."""

    time: float
    succeeded: bool
    shows: tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True)
class StrainRecord:
    """Resistance and what sequencing saw of it; genes in the order of :data:`cmvsim.models.resistance.GENES`.

    Attributes
    ----------
    known
        By episode, then gene: time from which it bears known resistance, +inf: never.
    polymorphism, unknown
        By gene: changes of the patient's strain.
    sent
        Samples sent for sequencing.
    """

    known: tuple[tuple[float, ...], ...]
    polymorphism: tuple[bool, ...]
    unknown: tuple[bool, ...]
    sent: tuple[SequencedRecord, ...]


@dataclass(frozen=True, slots=True)
class QuestionnaireRecord:
    """A questionnaire that was due; without levels it was not filled in."""

    day: int
    instrument: str
    proxy: bool
    levels: tuple[int, ...]
    vas: float


@dataclass(frozen=True, slots=True)
class PatientHistory:
    """What happened to one patient; CMV, treatment and infections unfold to the horizon, death cuts what is made of them.

    Attributes
    ----------
    patient, replicate
        Index of the patient, and of the replicate, in the chunk.
    growth, offset
        Log10 per day; log10 of the sampled matrix over plasma.
    letermovir
        As taken.
    """

    patient: int
    replicate: int
    growth: float
    offset: float
    follow_up: FollowUpTimes
    episodes: tuple[EpisodeRecord, ...]
    samples: tuple[SampleRecord, ...]
    treatment: TreatmentRecord
    disease: float
    organ: int
    letermovir: Window
    bacterial: tuple[InfectionRecord, ...]
    fungal: InfectionRecord | None
    death: float
    strain: StrainRecord
    stays: StayRecord
    ledger: tuple[LedgerRow, ...]
    questionnaires: tuple[QuestionnaireRecord, ...]
