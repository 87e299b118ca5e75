"""The History: what happened to each patient under a strategy and a monitoring plan (model.md 0.1).

It holds the latent course (onset, load as a function of time, death) and also the samples taken and the results that
clinicians saw, because care acts on them. Arrays are views with the replicate axis first: R replicates, N patients,
then V visits, D days of clinical tests, K episodes, C treatments, S spells or J knots. Times are continuous days from
infusion; NaN or +inf as documented.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

import numpy as np
from numpy.typing import NDArray

from cmvsim.core.ledger import Ledger
from cmvsim.core.records import BoolArray, FloatArray, IntArray
from cmvsim.models.infections import Infections
from cmvsim.models.kinetics import Kinetics
from cmvsim.models.population import Population
from cmvsim.models.prophylaxis import Prophylaxis
from cmvsim.models.quality_of_life import Questionnaires
from cmvsim.models.resistance import Resistance, Sequencing
from cmvsim.models.resources import Stays
from cmvsim.models.toxicity import Toxicity
from cmvsim.models.virome import Virome


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
    visits
        V, how many of the samples are planned visits; the rest are days on which clinicians may test.
    nominal
        (V + D,) planned days, NaN for tests that clinicians ask for.
    time
        (R, N, V + D) time of the sample; NaN if none was taken.
    result
        (R, N, V + D) int8: 0 none, 1 not detected, 2 below the limit of quantification, 3 quantified.
    load
        (R, N, V + D) reported IU/mL of the matrix at three significant digits; NaN unless quantified.
    extra
        (R, N, V + D) taken because CMV had been detected before; no such test would be made without CMV.
    matrix, lod, lloq
        Of the assay.
    """

    visits: int
    nominal: FloatArray
    time: FloatArray
    result: NDArray[np.int8]
    load: FloatArray
    extra: BoolArray
    matrix: str
    lod: float
    lloq: float


@dataclass(frozen=True, slots=True)
class Treatment:
    """Pre-emptive therapy and what it did; (R, N[, C or S]).

    Attributes
    ----------
    start, stop
        (R, N, C) treatments, NaN where there is none; stop is NaN where it outlasts the horizon.
    drug
        (R, N, S) int8, code of each spell of one drug: 0 none, else 1 + the index in
        :data:`cmvsim.models.treatment.ANTIVIRALS`.
    drug_start, drug_stop
        (R, N, S) spells.
    neutropenia
        (R, N) on (val)ganciclovir, and its end; +inf if none.
    kidney_injury
        (R, N) on foscarnet, +inf if none.
    """

    start: FloatArray
    stop: FloatArray
    drug: NDArray[np.int8]
    drug_start: FloatArray
    drug_stop: FloatArray
    neutropenia: FloatArray
    neutropenia_stop: FloatArray
    kidney_injury: FloatArray


@dataclass(frozen=True, slots=True)
class Disease:
    """First CMV disease: (R, N) time, +inf if none, and int8 index of the organ, -1 if none."""

    time: FloatArray
    organ: NDArray[np.int8]
    organs: tuple[str, ...]


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

    Records that are lazily drawn or long are flat, patient-major (P,) or (K, P), and come as they are; :meth:`view` gives
    (R, N[, K]). What was not asked for is None.

    Attributes
    ----------
    replicates, patients
        R and N.
    horizon
        Last simulated day.
    strata, diseases
        Names and diseases of the strata.
    population, kinetics, toxicity, virome
        Flat: sections 1 to 4.
    observation
        Section 12a.
    episodes, samples, treatment, disease
        Sections 5 to 9; `episodes` is None unless the path was asked for.
    prophylaxis
        Flat: letermovir as it was taken.
    infections, resistance, sequencing
        Flat: sections 10 and 11.
    death
        (R, N), +inf if beyond the horizon.
    stays, ledger, questionnaires
        Flat: sections 13 and 14.
    """

    replicates: int
    patients: int
    horizon: float
    strata: tuple[str, ...]
    diseases: tuple[str, ...]
    population: Population
    kinetics: Kinetics
    toxicity: Toxicity
    virome: Virome
    observation: Observation
    episodes: Episodes | None
    samples: ClinicalSamples | None
    treatment: Treatment | None
    disease: Disease | None
    prophylaxis: Prophylaxis | None
    infections: Infections | None
    resistance: Resistance | None
    sequencing: Sequencing | None
    death: FloatArray
    stays: Stays | None
    ledger: Ledger | None
    questionnaires: Questionnaires | None

    @property
    def clinically_significant(self) -> FloatArray:
        """(R, N) first pre-emptive therapy after infusion, or CMV disease; +inf if neither."""
        assert self.treatment is not None
        assert self.disease is not None
        start = np.where(self.treatment.start > 0, self.treatment.start, np.nan)
        first: FloatArray = np.fmin.reduce(start, axis=-1, initial=np.inf)
        return np.minimum(first, np.where(self.disease.time > 0, self.disease.time, np.inf))

    def view(self, flat: NDArray[np.generic]) -> NDArray[np.generic]:
        """A flat patient-major array (P,) or (K, P) as (R, N) or (R, N, K), without a copy."""
        apart = flat.reshape(*flat.shape[:-1], self.patients, self.replicates)
        return apart.T if apart.ndim <= 3 else np.moveaxis(apart, (-1, -2), (0, 1))  # the same, but for the order of (K, L)
