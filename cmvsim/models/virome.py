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
    Probability,
    Ratio,
)
from cmvsim.core.records import BoolArray, FloatArray
from cmvsim.core.spec import Spec
from cmvsim.core.streams import Draws, day_index
from cmvsim.core.value import Stated
from cmvsim.models.follow_up import TARGET_DAY
from cmvsim.models.monitoring import WholeDay
from cmvsim.models.population import Population
from cmvsim.models.ttv_load import AnellovirusLoadSpec, CarrierPath
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


_GRID = np.arange(-9 * 32, 9 * 32 + 1) / 32
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
        """(P,) TTV log10 copies/mL at `t` (finite, scalar or (P,)); -inf where TTV is not carried, NaN where `t` is."""
        ramp = float(self.spec.anellovirus.load.start) + self._growth * (t - self.anellovirus.acquired)
        path = self._path.at(t)
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
        return self.first_reaching(float(self.spec.anellovirus.load.high) if level is None else level)

    def first_reaching(self, level: float | FloatArray, after: float = -np.inf) -> FloatArray:
        """(P,) first time from `after` on at which the TTV load is at or above a level; +inf: not by the horizon.

        Parameters
        ----------
        level
            Log10 copies/mL, scalar or (P,).
        after
            Earlier times do not count; a load that is above the level at `after` gives `after`.
        """
        wait = np.maximum(level - float(self.spec.anellovirus.load.start), 0.0) / self._growth
        since = np.where(self.anellovirus.baseline, self.inclusion, self.anellovirus.acquired + wait)
        return self._path.first_high(level, np.maximum(since, after), self.horizon)

    @cached_property
    def _path(self) -> CarrierPath:
        law, draws, z = self.spec.anellovirus.load, self.draws, self.population
        return CarrierPath.of(
            law,
            self.inclusion,
            start=correlated(z, float(law.baseline_loading), draws("virome.anellovirus.load")),
            dip=draws("virome.anellovirus.dip"),
            rise=correlated(z, float(law.rise_loading), draws("virome.anellovirus.rise")),
            peak_day=draws("virome.anellovirus.peak_day"),
        )

    @property
    def _growth(self) -> float:
        """Log10 per day after acquisition."""
        return LOG10_2 / float(self.spec.anellovirus.load.doubling_time)

    def _carriage(self, virus: VirusName) -> Carriage:
        carriage: Carriage = getattr(self, virus)
        return carriage


def correlated(population: Population, loading: float, own: FloatArray) -> FloatArray:
    """A standard normal that correlates with the immunosuppression score by `loading` (one-factor Gaussian copula)."""
    return own if loading == 0 else loading * population.score + math.sqrt(1 - loading**2) * own
