"""Named random streams: the same number whenever and by whomever it is asked.

A stream is ``Generator(PCG64DXSM(SeedSequence(seed, spawn_key=(role, chunk, stable_hash(name), index))))``. The key
holds no scenario, strategy, arm, sample size, worker or order, so the same patient under two strategies, or in two
processes, meets the same chance. Every chance decision of the simulation has its own name in :data:`STREAMS`; leaving
a process out shifts no other draw.
"""

from __future__ import annotations

import hashlib
from enum import IntEnum
from functools import lru_cache
from typing import Protocol

import numpy as np

from cmvsim.core.errors import InputError
from cmvsim.core.records import FloatArray

CHUNK_REPLICATES = 64
"""Consecutive replicates that share one set of streams (a stream costs about 10 us to make). Part of the numbers."""

MAX_SEED = 2**128
_KEY_LIMIT = 2**32


class Role(IntEnum):
    """What the random numbers serve; cohorts of different roles are independent."""

    STUDY = 0
    CONFIRMATION = 1
    TRUTH = 2
    CALIBRATION = 3
    DECISION = 4
    PARAMETERS = 5
    ANALYSIS = 6


class Kind(IntEnum):
    """The three samplers whose consumption depends on no parameter."""

    UNIFORM = 0
    NORMAL = 1
    EXPONENTIAL = 2


STREAMS: dict[str, Kind] = {
    # population (model.md 1)
    "population.stratum": Kind.UNIFORM,
    "population.age": Kind.UNIFORM,
    "population.sex": Kind.UNIFORM,
    "population.product": Kind.UNIFORM,
    "population.score": Kind.NORMAL,
    "population.prior_hct": Kind.NORMAL,
    "population.lymphocytes": Kind.NORMAL,
    "population.hematotox": Kind.NORMAL,
    "population.serostatus": Kind.UNIFORM,
    "population.aciclovir": Kind.UNIFORM,
    "population.site": Kind.UNIFORM,
    "population.part": Kind.UNIFORM,
    # CAR-T kinetics (2); noise: index = nominal study day
    "kinetics.cmax": Kind.NORMAL,
    "kinetics.tmax": Kind.NORMAL,
    "kinetics.fold": Kind.NORMAL,
    "kinetics.contraction": Kind.NORMAL,
    "kinetics.persistent_share": Kind.NORMAL,
    "kinetics.persistence": Kind.NORMAL,
    "kinetics.noise": Kind.NORMAL,
    # toxicity, neutropenia and their treatment (3)
    "toxicity.crs.grade": Kind.UNIFORM,
    "toxicity.crs.onset": Kind.NORMAL,
    "toxicity.crs.duration": Kind.NORMAL,
    "toxicity.icans.grade": Kind.UNIFORM,
    "toxicity.icans.onset": Kind.NORMAL,
    "toxicity.icans.duration": Kind.NORMAL,
    "toxicity.neutropenia.start": Kind.NORMAL,
    "toxicity.neutropenia.duration": Kind.NORMAL,
    "toxicity.corticosteroids.use": Kind.UNIFORM,
    "toxicity.corticosteroids.lag": Kind.NORMAL,
    "toxicity.corticosteroids.duration": Kind.NORMAL,
    "toxicity.tocilizumab.use": Kind.UNIFORM,
    "toxicity.tocilizumab.lag": Kind.NORMAL,
    "toxicity.tocilizumab.duration": Kind.NORMAL,
    "toxicity.anakinra.use": Kind.UNIFORM,
    "toxicity.anakinra.lag": Kind.NORMAL,
    "toxicity.anakinra.duration": Kind.NORMAL,
    # virome (4); noise: index = nominal study day
    "virome.anellovirus.baseline": Kind.NORMAL,
    "virome.anellovirus.incident": Kind.EXPONENTIAL,
    "virome.anellovirus.load": Kind.NORMAL,
    "virome.anellovirus.dip": Kind.NORMAL,
    "virome.anellovirus.rise": Kind.NORMAL,
    "virome.anellovirus.peak_day": Kind.NORMAL,
    "virome.anellovirus.noise": Kind.NORMAL,
    "virome.pegivirus.baseline": Kind.NORMAL,
    "virome.pegivirus.incident": Kind.EXPONENTIAL,
    "virome.redondovirus.baseline": Kind.NORMAL,
    "virome.redondovirus.incident": Kind.EXPONENTIAL,
    # CMV onset and load (5, 6); index = episode where a decision is per episode
    "cmv.prevalent": Kind.UNIFORM,
    "cmv.prevalent_age": Kind.UNIFORM,
    "cmv.onset": Kind.EXPONENTIAL,
    "cmv.doubling_time": Kind.NORMAL,
    "cmv.matrix_offset": Kind.NORMAL,
    "cmv.set_point": Kind.NORMAL,
    "cmv.plateau": Kind.NORMAL,
    "cmv.self_limited": Kind.UNIFORM,
    "cmv.decay": Kind.NORMAL,
    "cmv.refractory": Kind.UNIFORM,
    "cmv.disease": Kind.EXPONENTIAL,
    "cmv.disease_organ": Kind.UNIFORM,
    # monitoring (7); index = nominal study day, or day of a clinical test; site: one variate per replicate, index = site
    "monitoring.attendance": Kind.UNIFORM,
    "monitoring.jitter": Kind.UNIFORM,
    "monitoring.noise": Kind.NORMAL,
    "monitoring.clinical": Kind.UNIFORM,
    "monitoring.clinical_noise": Kind.NORMAL,
    "monitoring.site": Kind.NORMAL,
    # pre-emptive therapy (8); index = episode where a decision is per episode
    "treatment.accepted": Kind.UNIFORM,
    "treatment.half_life": Kind.NORMAL,
    "treatment.regrowth": Kind.UNIFORM,
    "treatment.choice": Kind.UNIFORM,
    "treatment.neutropenia": Kind.EXPONENTIAL,
    "treatment.neutropenia_duration": Kind.NORMAL,
    "treatment.kidney_injury": Kind.EXPONENTIAL,
    # resistance (10); index = episode, gene (polymorphism, unknown), or day of the sample (sequencing)
    "resistance.aciclovir": Kind.UNIFORM,
    "resistance.ganciclovir": Kind.EXPONENTIAL,
    "resistance.letermovir": Kind.UNIFORM,
    "resistance.gene": Kind.UNIFORM,
    "resistance.polymorphism": Kind.UNIFORM,
    "resistance.unknown": Kind.UNIFORM,
    "resistance.sequencing": Kind.UNIFORM,
    # bacterial and fungal infections (11); index = infection
    "infections.bacterial": Kind.EXPONENTIAL,
    "infections.bacterial_duration": Kind.NORMAL,
    "infections.bacterial_severe": Kind.UNIFORM,
    "infections.fungal": Kind.EXPONENTIAL,
    "infections.fungal_duration": Kind.NORMAL,
    "infections.fungal_severe": Kind.UNIFORM,
    # follow-up, section 12
    "follow_up.relapse": Kind.EXPONENTIAL,
    "follow_up.new_therapy": Kind.UNIFORM,
    "follow_up.hct": Kind.EXPONENTIAL,
    "follow_up.loss": Kind.EXPONENTIAL,
    "follow_up.withdrawal": Kind.EXPONENTIAL,
    "follow_up.non_relapse_death": Kind.EXPONENTIAL,
    "follow_up.death_after_relapse": Kind.EXPONENTIAL,
    # health-related quality of life (13); index = nominal study day
    "quality_of_life.patient": Kind.NORMAL,
    "quality_of_life.mobility": Kind.NORMAL,
    "quality_of_life.self_care": Kind.NORMAL,
    "quality_of_life.usual_activities": Kind.NORMAL,
    "quality_of_life.pain": Kind.NORMAL,
    "quality_of_life.anxiety": Kind.NORMAL,
    "quality_of_life.vas": Kind.NORMAL,
    "quality_of_life.missing": Kind.UNIFORM,
    # resource use (14); index = course of treatment, or infection
    "resources.initial_stay": Kind.NORMAL,
    "resources.initial_icu": Kind.UNIFORM,
    "resources.icu_days": Kind.NORMAL,
    "resources.prolongation": Kind.NORMAL,
    "resources.admission": Kind.UNIFORM,
    "resources.admission_days": Kind.NORMAL,
    "resources.disease_days": Kind.NORMAL,
    "resources.infection_admission": Kind.UNIFORM,
    "resources.infection_days": Kind.NORMAL,
    "resources.infection_icu": Kind.UNIFORM,
    # strategies, section 15
    "prophylaxis.adherence": Kind.NORMAL,
    "prophylaxis.discontinuation": Kind.EXPONENTIAL,
    # recruitment (19); activation and rate: one variate per replicate, index = group x 2^16 + site; others: per patient in the
    # order of enrolment
    "accrual.activation": Kind.NORMAL,
    "accrual.rate": Kind.UNIFORM,
    "accrual.arrival": Kind.EXPONENTIAL,
    "accrual.site": Kind.UNIFORM,
    "accrual.stratum": Kind.UNIFORM,
    "accrual.screening": Kind.UNIFORM,
    # shared resources (20); other patients': one variate per replicate, index = day of the programme, or number of the stay
    "capacity.manufacturing": Kind.NORMAL,
    "capacity.other_samples": Kind.UNIFORM,
    "capacity.other_ward_admissions": Kind.UNIFORM,
    "capacity.other_ward_stays": Kind.EXPONENTIAL,
    "capacity.other_icu_admissions": Kind.UNIFORM,
    "capacity.other_icu_stays": Kind.EXPONENTIAL,
    # uncertain values of the scenario; one variate per draw, index = stable hash of the input's id, or of its group
    "parameters.value": Kind.NORMAL,
    "parameters.group": Kind.NORMAL,
    # trials of exponential causes, without a model (planning/exponential_trial.py); event: index = cause
    "exponential.entry": Kind.UNIFORM,
    "exponential.event": Kind.EXPONENTIAL,
    "exponential.dropout": Kind.EXPONENTIAL,
    # randomisation lists: one variate per replicate and place of the list (or block); index = stratum
    "design.randomisation": Kind.UNIFORM,
    "design.block_size": Kind.UNIFORM,
    # resampling in analyses
    "analysis.bootstrap": Kind.UNIFORM,
    "analysis.permutation": Kind.UNIFORM,
}
"""Every stream that exists, with its sampler. Names are part of the numbers: a rename changes results."""


@lru_cache(maxsize=256)
def stable_hash(name: str) -> int:
    """First four bytes of SHA-256 of the name (Python's own ``hash`` is salted per process)."""
    return int.from_bytes(hashlib.sha256(name.encode()).digest()[:4], "big")


def day_index(day: int) -> int:
    """Stream index of a nominal study day; days before infusion wrap to the top of the 32-bit range."""
    return day % _KEY_LIMIT


def check_seed(seed: int) -> int:
    """Return the seed, or raise :class:`InputError` when it is outside [0, 2^128)."""
    if not 0 <= seed < MAX_SEED:
        raise InputError(f"seed {seed} is out of range (allowed: 0 to 2^128 - 1)")
    return seed


def generator(seed: int, role: Role, chunk: int, name: str, index: int = 0) -> np.random.Generator:
    """Open the stream `name` of a chunk.

    Parameters
    ----------
    seed
        The run's seed, in [0, 2^128).
    role
        What the numbers serve.
    chunk
        Index of the chunk of 64 replicates, below 2^32.
    name
        A key of :data:`STREAMS`.
    index
        Nominal study day (through :func:`day_index`), episode, dimension, or 0; below 2^32.

    Returns
    -------
    numpy.random.Generator
        At its beginning.

    Raises
    ------
    KeyError
        If the name is not in the list.
    """
    key = stream_key(role, chunk, name, index)
    return np.random.Generator(np.random.PCG64DXSM(np.random.SeedSequence(check_seed(seed), spawn_key=key)))


def stream_key(role: Role, chunk: int, name: str, index: int) -> tuple[int, int, int, int]:
    """Spawn key of a stream; KeyError and ValueError as :func:`generator`."""
    if name not in STREAMS:
        raise KeyError(f"no random stream is named {name!r}")
    key = (int(role), chunk, stable_hash(name), index)
    if not (0 <= key[0] < _KEY_LIMIT and 0 <= chunk < _KEY_LIMIT and 0 <= index < _KEY_LIMIT):
        raise ValueError(f"stream key {key} has an element outside [0, 2^32)")
    return key


_UNIFORM, _NORMAL = Kind.UNIFORM, Kind.NORMAL  # looking a member up by name costs more than the test


def draw(rng: np.random.Generator, kind: Kind, size: int, out: FloatArray | None = None) -> FloatArray:
    """Draw `size` variates of `kind`, into `out` if given: one per patient per decision, in fixed order."""
    if kind is _UNIFORM:
        return rng.random(size, out=out)
    if kind is _NORMAL:
        return rng.standard_normal(size, out=out)
    return rng.standard_exponential(size, out=out)


class Draws(Protocol):
    """Chance, asked by name: standard variates of one chunk as a flat array in patient-major order."""

    def __call__(self, name: str, index: int = 0) -> FloatArray:
        """Variates of the stream `name`: shape (patients x replicates,), replicates of a patient side by side."""
        ...
