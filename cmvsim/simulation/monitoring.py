"""Section 7 for a chunk: samples as planned, tests that clinicians ask for, and the noise of the assay."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from cmvsim.core.records import BoolArray, FloatArray
from cmvsim.core.streams import day_index
from cmvsim.core.value import Value
from cmvsim.models.monitoring import ClinicalTesting
from cmvsim.models.windows import Windows
from cmvsim.simulation.background import Background
from cmvsim.simulation.draws import ChunkDraws
from cmvsim.simulation.model import Model

MODERATE = 2
"""Grade of CRS from which clinicians test more."""


@dataclass(frozen=True, slots=True)
class PlannedSamples:
    """Samples known before anybody knows of CMV: V visits of the protocol, then D days of possible clinical tests.

    Attributes
    ----------
    nominal
        (V + D,) planned day, NaN for the clinical ones.
    clinical
        (D,) whole days of possible clinical tests.
    time, code, load
        (V + D, P) of samples taken whatever is found; NaN / "none" where there is none.
    due
        (D, P) clinical tests made whatever is found.
    last
        (P,) time of the last of all these samples, -inf if there is none.
    """

    nominal: FloatArray
    clinical: NDArray[np.int64]
    time: FloatArray
    code: NDArray[np.int8]
    load: FloatArray
    due: BoolArray
    last: FloatArray

    @property
    def extra(self) -> BoolArray:
        """(V + D, P) taken because CMV had been detected before: clinical tests that were not due."""
        planned = np.zeros((self.time.shape[0] - self.clinical.size, self.time.shape[1]), dtype=np.bool_)
        return np.concatenate([planned, ~self.due & ~np.isnan(self.time[planned.shape[0] :])])


def planned_samples(model: Model, draws: ChunkDraws, background: Background, *, full_attendance: bool) -> PlannedSamples:
    """Plan the samples of all patients of a chunk.

    Visits are made on whole days; those at or before infusion by everybody, on the day.
    """
    from cmvsim.simulation.kernels.visits import plan_visits

    plan = model.monitoring
    attendance, jitter = float(plan.attendance), float(plan.jitter)
    later = tuple(day_index(day) for day in plan.days if day > 0)
    none = np.empty((0, 0))
    moved = draws.together("monitoring.jitter", later) if jitter > 0 else none
    missed = draws.together("monitoring.attendance", later) if attendance < 1 and not full_attendance else none
    clinical = np.array(plan.clinical_days(model.inclusion_day), dtype=np.int64)
    until = background.monitored_until
    rows, size = len(plan.days) + clinical.size, until.size
    times, code, load = np.empty((rows, size)), np.empty((rows, size), dtype=np.int8), np.empty((rows, size))
    last, days = np.empty(size), np.array(plan.days, dtype=np.float64)
    retrospective = float(model.population.retrospective_share) > 0
    follows = ~background.population.retrospective if retrospective else np.empty(0, dtype=np.bool_)
    plan_visits(days, moved, jitter, missed, attendance, follows, until, times, code, load, last)
    due = np.empty((clinical.size, size), dtype=np.bool_)
    planned = PlannedSamples(np.concatenate([days, np.full(clinical.size, np.nan)]), clinical, times, code, load, due, last)
    if plan.clinical is not None:
        _plan_clinical(plan.clinical, draws, background, planned)
    return planned


def _plan_clinical(testing: ClinicalTesting, draws: ChunkDraws, background: Background, planned: PlannedSamples) -> None:
    """Fill in the tests that clinicians ask for whatever was found."""
    from cmvsim.simulation.kernels.visits import plan_tests

    population, toxicity = background.population, background.toxicity
    days = planned.clinical
    starts = np.array([phase.start for phase in testing.phases])
    by_phase = np.array([float(phase.odds) for phase in testing.phases])
    odds = by_phase[np.maximum(np.searchsorted(starts, days, side="right") - 1, 0)]
    own = np.ones(population.stratum.shape)
    if float(testing.score) != 1:
        own = np.exp(math.log(float(testing.score)) * population.score)
    if not testing.between_visits:
        own = np.where(population.retrospective, own, np.nan)
    reasons: tuple[tuple[Value, Callable[[], Windows]], ...] = (
        (testing.inpatient, lambda: background.stay.hospital),
        (testing.corticosteroids, lambda: toxicity.courses["corticosteroids"]),
        (testing.crs, lambda: toxicity.from_grade("crs", MODERATE)),
        (testing.neutropenia, lambda: toxicity.neutropenia),
    )
    acting = [(float(ratio), window()) for ratio, window in reasons if float(ratio) != 1]
    none = np.empty((0, own.size))
    plan_tests(
        days,
        odds,
        draws.together("monitoring.clinical", tuple(day_index(int(day)) for day in days)),
        own,
        np.array([ratio for ratio, _ in acting]),
        np.stack([window.start for _, window in acting]) if acting else none,
        np.stack([window.stop for _, window in acting]) if acting else none,
        background.monitored_until,
        planned.time.shape[0] - days.size,
        planned.time,
        planned.code,
        planned.load,
        planned.due,
        planned.last,
    )


def follow_up_every(model: Model, background: Background) -> FloatArray:
    """(P,) days from one test to the next in follow-up; +inf for patients whom clinicians do not test."""
    clinical, retrospective = model.monitoring.clinical, background.population.retrospective
    if clinical is None:
        return np.full(retrospective.shape, np.inf)
    every = float(clinical.follow_up_every)
    return np.where(retrospective | clinical.between_visits, every, np.inf)


def assay_noise(model: Model, draws: ChunkDraws) -> FloatArray:
    """(V + D, P) noise of the samples, standard normal."""
    days, clinical = model.monitoring.days, model.monitoring.clinical_days(model.inclusion_day)
    if float(model.monitoring.assay_sd_log10) == 0:
        return np.zeros((len(days) + len(clinical), draws.patients * draws.replicates))
    noise = draws.together("monitoring.noise", tuple(day_index(day) for day in days))
    if not clinical:
        return noise
    return np.concatenate([noise, draws.together("monitoring.clinical_noise", tuple(day_index(day) for day in clinical))])


def matrix_offset(model: Model, draws: ChunkDraws) -> FloatArray:
    """(P,) log10 of the load in the sampled matrix over that in plasma."""
    law = model.cmv.matrices[model.monitoring.matrix.value].offset
    size = draws.patients * draws.replicates
    return law.of_normal(draws("cmv.matrix_offset")) if law.spread else np.full(size, law.centre)


def reported_offset(offset: FloatArray, model: Model, draws: ChunkDraws, background: Background) -> FloatArray:
    """(P,) log10 of what the site's laboratory reports over plasma: the offset of the matrix and the site's shift."""
    between = float(model.monitoring.assay_sd_between_sites)
    if between == 0:
        return offset
    sites = int(float(model.population.sites))
    shifts = between * np.stack([draws.shared("monitoring.site", site) for site in range(1, sites + 1)])
    replicate = np.tile(np.arange(draws.replicates), draws.patients)
    found: FloatArray = offset + shifts[background.population.site - 1, replicate]
    return found
