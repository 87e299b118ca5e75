"""Section 4, persistent viruses: anellovirus (TTV), pegivirus (HPgV-1) and redondovirus.

Each virus is looked for at one site. A patient carries it at baseline, or acquires it at an exactly inverted, piecewise
constant hazard; both are linked to the immunosuppression score. The TTV load is piecewise linear on the log10 scale.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property, lru_cache
from typing import Annotated, Literal, get_args

import numpy as np
from pydantic import Field, model_validator
from scipy import optimize, special

from cmvsim.core.errors import Problem
from cmvsim.core.quantities import (
    Correlation,
    Days,
    Log10Copies,
    NonNegative,
    PositiveDays,
    Probability,
    Ratio,
    StudyDay,
    VaryingDays,
    VaryingLog10Copies,
)
from cmvsim.core.records import BoolArray, FloatArray
from cmvsim.core.spec import Spec
from cmvsim.core.streams import Draws, day_index
from cmvsim.core.value import Stated
from cmvsim.models.follow_up import TARGET_DAY
from cmvsim.models.monitoring import WholeDay
from cmvsim.models.population import Population
from cmvsim.models.viral_load import LOG10_2

Site = Literal["blood", "oropharynx"]
VirusName = Literal["anellovirus", "pegivirus", "redondovirus"]
VIRUSES: tuple[VirusName, ...] = get_args(VirusName)


class IncidentSpec(Spec):
    """Acquisition by those who do not carry the virus at baseline.

    Attributes
    ----------
    by_90
        Probability of acquisition by day 90 among the baseline-negative, averaged over their scores, by site.
    early
        Days from infusion of the first period.
    early_ratio
        Ratio of the hazard in the first period to the hazard after it.
    score_ratio
        Hazard ratio per standard deviation of the immunosuppression score.
    """

    by_90: dict[Site, Probability]
    early: Days
    early_ratio: Ratio
    score_ratio: Ratio


class VirusSpec(Spec):
    """One virus of the virome.

    Attributes
    ----------
    sampled
        Where it is looked for.
    baseline
        Probability of carriage before lymphodepletion, by site.
    score_loading
        Correlation of the latent carriage at baseline with the immunosuppression score.
    """

    sampled: Stated[Site]
    baseline: dict[Site, Probability]
    score_loading: Correlation
    incident: IncidentSpec

    @model_validator(mode="after")
    def _check(self) -> VirusSpec:
        for name, table in (("baseline", self.baseline), ("incident.by_90", self.incident.by_90)):
            if self.sampled.value not in table:
                raise ValueError(f"{name} has no probability for the sampled site, {self.sampled.value}")
        if any(float(value) >= 1 for value in self.incident.by_90.values()):
            raise ValueError("incident.by_90: a probability of 1 by day 90 has no finite hazard")
        if abs(float(self.score_loading)) >= 1:
            raise ValueError("score_loading must lie between -1 and 1, the ends excluded")
        return self


class AnellovirusLoadSpec(Spec):
    """TTV log10 load: dip after lymphodepletion, rise to a peak, decline.

    Attributes
    ----------
    baseline
        Load before lymphodepletion.
    dip
        How far below the baseline load the nadir is.
    nadir_day
        Day of the nadir.
    rise
        How far above the baseline load the peak is.
    peak_day
        Day of the peak.
    decline_half_life
        Of the load after the peak.
    baseline_loading, rise_loading
        Correlation of the baseline load and of the rise with the immunosuppression score.
    start
        Load at acquisition, in those who acquire it.
    doubling_time
        Of the load after acquisition, until it meets the path of a carrier.
    lod, assay_sd_log10
        Limit of detection and standard deviation of the measurement.
    high
        Load from which TTV counts as high.
    """

    baseline: VaryingLog10Copies
    dip: VaryingLog10Copies
    nadir_day: StudyDay
    rise: VaryingLog10Copies
    peak_day: VaryingDays
    decline_half_life: PositiveDays
    baseline_loading: Correlation
    rise_loading: Correlation
    start: Log10Copies
    doubling_time: PositiveDays
    lod: Log10Copies
    assay_sd_log10: NonNegative
    high: Log10Copies

    @model_validator(mode="after")
    def _check(self) -> AnellovirusLoadSpec:
        law = self.peak_day
        earliest = law.centre if law.spread == 0 else law.low if law.low is not None else 0.0
        if earliest <= float(self.nadir_day):
            raise ValueError(
                f"the peak may fall on day {earliest:g}, not after the nadir (day {float(self.nadir_day):g}): "
                f"give peak_day a 'low' above it"
            )
        return self


class AnellovirusSpec(VirusSpec):
    """Torque teno virus: the one whose load is followed."""

    load: AnellovirusLoadSpec


class ViromeSpec(Spec):
    """Persistent viruses other than CMV.

    Attributes
    ----------
    visits
        Nominal days of the research samples; days after the horizon are left out.
    """

    visits: Stated[Annotated[tuple[WholeDay, ...], Field(strict=False)]]
    anellovirus: AnellovirusSpec
    pegivirus: VirusSpec
    redondovirus: VirusSpec

    @model_validator(mode="after")
    def _check(self) -> ViromeSpec:
        if list(self.visits.value) != sorted(set(self.visits.value)):
            raise ValueError("visits are distinct days in ascending order")
        return self

    def check(self, inclusion: float, where: str) -> list[Problem]:
        """Problems of days that lie before inclusion."""
        problems = []
        if any(day < inclusion for day in self.visits.value):
            problems.append(Problem("a research sample is planned before inclusion", where, "virome.visits"))
        if float(self.anellovirus.load.nadir_day) <= inclusion:
            problems.append(Problem("the nadir comes after inclusion", where, "virome.anellovirus.load.nadir_day"))
        return problems


_GRID = np.arange(-9 * 256, 9 * 256 + 1) / 256
"""Scores at which incidence is averaged: the trapezoidal rule converges geometrically on a smooth, decaying integrand
(Trefethen & Weideman, SIAM Review 2014)."""


@lru_cache(maxsize=256)
def unit_hazard(by_90: float, exposure: float, score_log_ratio: float, baseline: float, loading: float) -> float:
    """Later-period hazard at score 0 with which a share `by_90` of the baseline-negative acquire the virus by day 90.

    Parameters
    ----------
    by_90
        Probability by day 90, averaged over the law of the score among the baseline-negative.
    exposure
        Cumulative hazard to day 90 in units of the later-period hazard.
    score_log_ratio
        Log hazard ratio per standard deviation of the score, gamma.
    baseline, loading
        Probability of carriage at baseline and its correlation r with the score: among the negative the score has
        density proportional to phi(z) Phi((Phi^-1(1 - baseline) - r z) / sqrt(1 - r^2)).

    Notes
    -----
    Solves  E[ 1 - exp(-h exposure exp(gamma Z)) | negative ] = by_90.
    """
    if by_90 == 0 or baseline == 1 or exposure == 0:
        return 0.0
    if score_log_ratio == 0:
        return -math.log1p(-by_90) / exposure
    cut = special.ndtri(1 - baseline)
    weight = np.exp(-(_GRID**2) / 2) * special.ndtr((cut - loading * _GRID) / math.sqrt(1 - loading**2))
    weight /= weight.sum()

    def excess(log_amount: float) -> float:
        with np.errstate(over="ignore"):
            return float(weight @ -np.expm1(-np.exp(log_amount + score_log_ratio * _GRID))) - by_90

    reach = 50 + 9 * abs(score_log_ratio)
    return math.exp(float(optimize.brentq(excess, -reach, reach, xtol=1e-13))) / exposure


@dataclass(frozen=True)
class Carriage:
    """Carriage of one virus at its sampled site, each trait drawn when first asked for; flat arrays, patient-major."""

    name: VirusName
    spec: VirusSpec
    population: Population
    draws: Draws
    horizon: float

    @cached_property
    def baseline(self) -> BoolArray:
        """(P,) carried before lymphodepletion."""
        latent = correlated(self.population, float(self.spec.score_loading), self.draws(f"virome.{self.name}.baseline"))
        return np.asarray(latent > special.ndtri(1 - self._baseline_share))

    @cached_property
    def acquired(self) -> FloatArray:
        """(P,) time of acquisition, +inf for carriers at baseline and where it is not acquired by the horizon."""
        incident = self.spec.incident
        early, ratio = float(incident.early), float(incident.early_ratio)
        hazard, by_score = self.hazard, float(incident.score_ratio)
        if hazard == 0:
            return np.full(self.baseline.shape, np.inf)
        needed = self.draws(f"virome.{self.name}.incident") / hazard
        if by_score != 1:
            needed = needed * np.exp(-math.log(by_score) * self.population.score)
        time = np.where(needed <= ratio * early, needed / ratio, early + (needed - ratio * early))
        return np.where(self.baseline | (time > self.horizon), np.inf, time)

    @property
    def hazard(self) -> float:
        """Hazard per day after the early period, at score 0."""
        incident = self.spec.incident
        early, ratio = float(incident.early), float(incident.early_ratio)
        exposure = ratio * min(early, TARGET_DAY) + max(TARGET_DAY - early, 0.0)
        by_90 = float(incident.by_90[self.spec.sampled.value])
        loading = float(self.spec.score_loading)
        return unit_hazard(by_90, exposure, math.log(float(incident.score_ratio)), self._baseline_share, loading)

    def positive(self, t: float | FloatArray) -> BoolArray:
        """(P,) carried at `t` (scalar or (P,); NaN: no)."""
        return np.asarray((self.baseline & ~np.isnan(t)) | (self.acquired <= t))

    @property
    def _baseline_share(self) -> float:
        return float(self.spec.baseline[self.spec.sampled.value])


@dataclass(frozen=True)
class Virome:
    """The virome of a chunk, drawn when first asked for; flat arrays, patient-major.

    Attributes
    ----------
    inclusion, horizon
        First and last simulated day; the dip of the TTV load begins at inclusion.
    """

    spec: ViromeSpec
    population: Population
    draws: Draws
    inclusion: float
    horizon: float

    @cached_property
    def anellovirus(self) -> Carriage:
        """TTV carriage."""
        return Carriage("anellovirus", self.spec.anellovirus, self.population, self.draws, self.horizon)

    @cached_property
    def pegivirus(self) -> Carriage:
        """HPgV-1 carriage."""
        return Carriage("pegivirus", self.spec.pegivirus, self.population, self.draws, self.horizon)

    @cached_property
    def redondovirus(self) -> Carriage:
        """Redondovirus carriage."""
        return Carriage("redondovirus", self.spec.redondovirus, self.population, self.draws, self.horizon)

    @property
    def visits(self) -> tuple[int, ...]:
        """Nominal days of the research samples, up to the horizon."""
        return tuple(day for day in self.spec.visits.value if day <= self.horizon)

    def baseline(self, virus: VirusName) -> BoolArray:
        """(P,) `virus` carried before lymphodepletion."""
        return self._carriage(virus).baseline

    def acquired(self, virus: VirusName) -> FloatArray:
        """(P,) time of acquisition of `virus`, +inf: never, or a carrier at baseline."""
        return self._carriage(virus).acquired

    def positive(self, virus: VirusName, t: float | FloatArray) -> BoolArray:
        """(P,) `virus` carried at `t` (scalar or (P,))."""
        return self._carriage(virus).positive(t)

    def load(self, t: float | FloatArray) -> FloatArray:
        """(P,) TTV log10 copies/mL at `t` (scalar or (P,)); -inf where TTV is not carried, NaN where `t` is."""
        ramp = float(self.spec.anellovirus.load.start) + self._growth * (t - self.anellovirus.acquired)
        path = self._path(t)
        value = np.where(self.anellovirus.baseline, path, np.minimum(path, ramp))
        return np.where(self.anellovirus.positive(t) | np.isnan(path), value, -np.inf)

    def observed(self, day: int, time: FloatArray | None = None) -> FloatArray:
        """(P,) measured TTV log10 copies/mL of the research sample planned for `day`.

        Parameters
        ----------
        day
            Nominal day: the key of the noise.
        time
            (P,) when the sample was taken, NaN where it was not; by default on the nominal day in everybody.

        Returns
        -------
        ndarray
            -inf below the limit of detection, NaN without a sample.
        """
        assay = self.spec.anellovirus.load
        noise = self.draws("virome.anellovirus.noise", day_index(day))
        measured = self.load(float(day) if time is None else time) + float(assay.assay_sd_log10) * noise
        return np.where(measured < float(assay.lod), -np.inf, measured)

    def first_high(self, level: float | None = None) -> FloatArray:
        """(P,) first time from inclusion at which the TTV load is at or above `level`; +inf: not by the horizon.

        Parameters
        ----------
        level
            Log10 copies/mL; by default the scenario's high load.
        """
        level = float(self.spec.anellovirus.load.high) if level is None else level
        wait = max(level - float(self.spec.anellovirus.load.start), 0.0) / self._growth
        since = np.where(self.anellovirus.baseline, self.inclusion, self.anellovirus.acquired + wait)
        first = self._path_first_high(level, since)
        return np.where(first <= self.horizon, first, np.inf)

    @cached_property
    def _knots(self) -> tuple[tuple[FloatArray, FloatArray], ...]:
        """(time, log10 load) at lymphodepletion, nadir and peak of each patient, were TTV carried throughout."""
        law, stream = self.spec.anellovirus.load, "virome.anellovirus"
        start = law.baseline.of_normal(correlated(self.population, float(law.baseline_loading), self.draws(f"{stream}.load")))
        nadir = start - law.dip.of_normal(self.draws(f"{stream}.dip"))
        peak = start + law.rise.of_normal(correlated(self.population, float(law.rise_loading), self.draws(f"{stream}.rise")))
        return (
            (np.full(start.shape, self.inclusion), start),
            (np.full(start.shape, float(law.nadir_day)), nadir),
            (law.peak_day.of_normal(self.draws(f"{stream}.peak_day")), peak),
        )

    @property
    def _growth(self) -> float:
        """Log10 per day after acquisition."""
        return LOG10_2 / float(self.spec.anellovirus.load.doubling_time)

    @property
    def _decline(self) -> float:
        """Log10 per day after the peak."""
        return LOG10_2 / float(self.spec.anellovirus.load.decline_half_life)

    def _path(self, t: float | FloatArray) -> FloatArray:
        """Load of a carrier at `t`: constant to inclusion, linear between the knots, declining after the peak."""
        (t0, y0), (t1, y1), (t2, y2) = self._knots
        falling = y0 + (y1 - y0) * ((np.maximum(t, t0) - t0) / (t1 - t0))
        rising = y1 + (y2 - y1) * ((t - t1) / (t2 - t1))
        after = y2 - self._decline * (t - t2)
        return np.where(t < t1, falling, np.where(t < t2, rising, after))

    def _path_first_high(self, level: float, since: FloatArray) -> FloatArray:
        """First time from `since` (+inf: never) at which the path is at or above `level`: one crossing per rising piece."""
        ever = since < np.inf
        at = np.where(ever, since, self.horizon)
        first = np.where(ever & (self._path(at) >= level), since, np.inf)
        for (a, ya), (b, yb) in zip(self._knots, self._knots[1:], strict=False):
            crosses = ever & (ya < level) & (yb >= level) & (since <= b)
            share = np.divide(level - ya, yb - ya, out=np.ones_like(ya), where=crosses)
            crossing = np.maximum(a + (b - a) * share, since)
            first = np.where(crosses, np.minimum(first, crossing), first)
        return first

    def _carriage(self, virus: VirusName) -> Carriage:
        carriage: Carriage = getattr(self, virus)
        return carriage


def correlated(population: Population, loading: float, own: FloatArray) -> FloatArray:
    """A standard normal that correlates with the immunosuppression score by `loading` (one-factor Gaussian copula)."""
    return own if loading == 0 else loading * population.score + math.sqrt(1 - loading**2) * own
