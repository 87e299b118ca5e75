"""The History: what happened to each patient under a strategy and a monitoring plan (model.md 0.1).

It holds the latent course (onset, load as a function of time, death) and also the samples taken and the results that
clinicians saw, because care acts on them. Arrays are views with the replicate axis first: R replicates, N patients,
then V visits, K episodes, C courses or J knots. Times are continuous days from infusion; NaN or +inf as documented.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

import numpy as np
from numpy.typing import NDArray

from cmvsim.core.records import FloatArray, IntArray
from cmvsim.models.population import Population
from cmvsim.models.toxicity import Toxicity


class Process(StrEnum):
    """A process of the model that an endpoint may need; only those needed are run."""

    KINETICS = "kinetics"
    TOXICITY = "toxicity"
    VIROME = "virome"
    CMV = "cmv"
    RESISTANCE = "resistance"
    INFECTIONS = "infections"
    FOLLOW_UP = "follow_up"
    DEATH = "death"
    QUALITY_OF_LIFE = "quality_of_life"
    RESOURCES = "resources"


@dataclass(frozen=True, slots=True)
class Episodes:
    """CMV episodes and the piecewise linear log10 load in plasma, smaller of a natural and a controlled course.

    Attributes
    ----------
    start_log10
        v0, the load at onset and the level below which an episode is cleared.
    growth
        (R, N) log10 per day.
    offset
        (R, N) log10 of the sampled matrix over plasma.
    onset, peak, plateau_end, decay, clear
        (R, N, K): onset (NaN: no such episode); peak log10; end of the plateau (+inf: not self-limited); natural decay,
        log10 per day; clearance as it happened (+inf: still replicating at the horizon).
    knot_time, knot_log10, knot_slope, knot_episode
        (R, N, J) controlled course: from its time the load is at most ``log10 + slope (t - time)``, until the next knot
        of the same episode. NaN / -1 where unused. Empty (J = 0) unless the path was asked for.
    """

    start_log10: float
    growth: FloatArray
    offset: FloatArray
    onset: FloatArray
    peak: FloatArray
    plateau_end: FloatArray
    decay: FloatArray
    clear: FloatArray
    knot_time: FloatArray
    knot_log10: FloatArray
    knot_slope: FloatArray
    knot_episode: IntArray

    def first_reaching(self, level_log10: FloatArray, after: float = -np.inf) -> FloatArray:
        """First time from `after` on at which the realised plasma load is at or above a level.

        Parameters
        ----------
        level_log10
            (R, N) or scalar, log10 IU/mL of plasma.
        after
            Earlier times do not count; a load that is above the level at `after` gives `after`.

        Returns
        -------
        ndarray
            (R, N); +inf where the level is never reached.

        Raises
        ------
        ValueError
            If the history was made without its path.
        """
        if self.knot_time.shape[-1] == 0:
            raise ValueError("this history was made without the path of the load")
        level = np.broadcast_to(level_log10, self.growth.shape)
        first = np.full(self.growth.shape, np.inf)
        for episode in range(self.onset.shape[-1]):
            # most patients have no such episode, or one that stays below
            with np.errstate(invalid="ignore"):
                r, n = np.nonzero(np.isfinite(self.onset[..., episode]) & (level <= self.peak[..., episode]))
            if r.size:
                first[r, n] = np.minimum(first[r, n], self._first_in_episode(episode, r, n, level[r, n], after))
        return first

    def _first_in_episode(self, k: int, r: IntArray, n: IntArray, level: FloatArray, after: float) -> FloatArray:
        """First time at or above `level` within episode `k` of patients (r, n) whose peak reaches it.

        On each piece of the controlled course the load must be there by the natural course too.
        """
        plateau_end = self.plateau_end[r, n, k]
        rise = self.onset[r, n, k] + np.maximum(level - self.start_log10, 0.0) / self.growth[r, n]
        with np.errstate(invalid="ignore", divide="ignore"):
            fall = np.where(np.isfinite(plateau_end), plateau_end + (self.peak[r, n, k] - level) / self.decay[r, n, k], np.inf)
        last = np.minimum(fall, self.clear[r, n, k])
        first = np.full(level.shape, np.inf)
        piece_from, value, slope = np.full(level.shape, -np.inf), np.full(level.shape, np.inf), np.zeros(level.shape)
        for j in range(self.knot_time.shape[-1] + 1):
            final = j == self.knot_time.shape[-1]
            mine = np.ones(level.shape, dtype=bool) if final else self.knot_episode[r, n, j] == k
            if not mine.any():
                continue
            until = np.full(level.shape, np.inf) if final else self.knot_time[r, n, j]
            with np.errstate(invalid="ignore", divide="ignore"):
                enters = np.where(value >= level, piece_from, np.where(slope > 0, piece_from + (level - value) / slope, np.inf))
                leaves = np.where((slope < 0) & np.isfinite(value), piece_from + (value - level) / -slope, np.inf)
                start = np.maximum(np.maximum(rise, enters), after)
                hit = mine & (start < until) & (start <= leaves) & (start <= last)
            first = np.where(hit, np.minimum(first, start), first)
            if not final:
                piece_from = np.where(mine, self.knot_time[r, n, j], piece_from)
                value = np.where(mine, self.knot_log10[r, n, j], value)
                slope = np.where(mine, self.knot_slope[r, n, j], slope)
        return first


@dataclass(frozen=True, slots=True)
class ClinicalSamples:
    """Samples as taken and results as reported (before death is known to have truncated them).

    Attributes
    ----------
    nominal
        (V,) planned days.
    time
        (R, N, V) time of the sample; NaN if it was not taken.
    result
        (R, N, V) int8: 0 none, 1 not detected, 2 below the limit of quantification, 3 quantified.
    load
        (R, N, V) reported IU/mL of the matrix at three significant digits; NaN unless quantified.
    matrix, lod, lloq
        Of the assay.
    """

    nominal: FloatArray
    time: FloatArray
    result: NDArray[np.int8]
    load: FloatArray
    matrix: str
    lod: float
    lloq: float


@dataclass(frozen=True, slots=True)
class Observation:
    """End of monitoring, and the events of section 12a that bring it about; (R, N), +inf where it does not happen."""

    relapse: FloatArray
    new_therapy: FloatArray
    hct: FloatArray
    withdrawn: FloatArray
    lost: FloatArray

    @property
    def monitoring_end(self) -> FloatArray:
        """First of new therapy, transplantation, withdrawal and loss (death is not known here)."""
        return np.minimum(np.minimum(self.new_therapy, self.hct), np.minimum(self.withdrawn, self.lost))


@dataclass(frozen=True, slots=True)
class History:
    """What happened in one chunk.

    Attributes
    ----------
    replicates, patients
        R and N.
    horizon
        Last simulated day.
    population
        Baseline traits (flat, patient-major; see :meth:`view`).
    strata, diseases
        Names and diseases of the strata.
    toxicity
        Acute toxicity and the courses of drugs against it (flat, patient-major; drawn when first asked for).
    observation, episodes, samples
        As above; `episodes` and `samples` are None when CMV was not asked for.
    antiviral_start, antiviral_stop
        (R, N, C) courses of first-line antiviral, NaN where there is none.
    death
        (R, N), +inf if beyond the horizon.
    """

    replicates: int
    patients: int
    horizon: float
    population: Population
    strata: tuple[str, ...]
    diseases: tuple[str, ...]
    toxicity: Toxicity
    observation: Observation
    episodes: Episodes | None
    samples: ClinicalSamples | None
    antiviral_start: FloatArray
    antiviral_stop: FloatArray
    death: FloatArray

    def view(self, flat: NDArray[np.generic]) -> NDArray[np.generic]:
        """A flat patient-major array as (R, N[, ...]), without a copy."""
        return np.swapaxes(flat.reshape(self.patients, self.replicates, *flat.shape[1:]), 0, 1)
