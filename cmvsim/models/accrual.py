"""Section 19, recruitment: when each patient is enrolled, at which site, and how many candidates are screened.

Sites open one after another and then enrol at Poisson rates that differ between sites (Anisimov and Fedorov, Statistics in
Medicine 26 (2007) 4958-4975). The enrolments of all sites together are a Poisson process too, whose cumulative rate is
piecewise linear in time: cumulated standard exponentials are mapped through its inverse, and a uniform says at which of the
open sites a patient was enrolled. So one variate serves one patient, the first n of N patients are the study of n, and a
further site can only bring every enrolment forward.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Annotated, Any, Protocol

import numpy as np
from pydantic import BeforeValidator, Field, WithJsonSchema, model_validator
from pydantic_core import PydanticCustomError
from scipy import special

from cmvsim.core.errors import Problem, did_you_mean, shown
from cmvsim.core.quantities import Count, NonNegative, Positive, Probability, VaryingDays
from cmvsim.core.records import FloatArray, IntArray
from cmvsim.core.spec import Spec
from cmvsim.models.population import PopulationSpec

DAYS_PER_MONTH = 365.25 / 12
MOST_SITES = 2_000
MOST_VARIED = 3.0
SITES_PER_GROUP = 1 << 16
"""Streams of a site are indexed by group x this + place in the group, so that a new site shifts no other's chance."""


def _calendar_date(raw: Any) -> str:
    """A date of TOML or in text, as text; empty for none."""
    if isinstance(raw, str) and not raw:
        return ""
    try:
        return (raw if type(raw) is date else date.fromisoformat(raw)).isoformat()
    except (TypeError, ValueError):
        message = {"message": f"{shown(raw)} is no date", "allowed": "allowed: a date such as 2024-04-17"}
        raise PydanticCustomError("value", "{message}", message) from None


CalendarDate = Annotated[
    str,
    BeforeValidator(_calendar_date),
    WithJsonSchema({"description": "a date such as 2024-04-17; empty for none", "type": "string"}),
]
Strata = Annotated[tuple[str, ...], Field(strict=False)]


class SitesSpec(Spec):
    """Sites that are alike but for chance.

    Attributes
    ----------
    count
        Sites; 0 for none.
    strata
        Strata whose patients they enrol, in the proportions of the population.
    per_month
        Eligible patients of these strata that a site enrols per month once it is open, on average over sites: seropositive
        ones where seropositivity is a condition of enrolment.
    between_sites_cv
        Coefficient of variation of that rate between sites: a Gamma law of shape 1 / cv^2.
    activation
        Days from the start of the study to the opening of a site.
    """

    label: str
    count: Count
    strata: Strata
    per_month: Positive
    between_sites_cv: NonNegative
    activation: VaryingDays

    @model_validator(mode="after")
    def _check(self) -> SitesSpec:
        if not self.strata or len(set(self.strata)) < len(self.strata):
            raise ValueError("strata: at least one, each once")
        if float(self.count) > MOST_SITES:
            raise ValueError(f"count must be at most {MOST_SITES:,}")
        if float(self.between_sites_cv) > MOST_VARIED:
            raise ValueError(f"between_sites_cv must be at most {MOST_VARIED:g}: beyond, most sites never enrol anybody")
        return self


class AccrualSpec(Spec):
    """How patients are recruited.

    Attributes
    ----------
    start
        Date on which the study starts, day 0 of recruitment; without it days have no dates.
    closes
        Date on which recruitment ends whatever was reached; without it, when the last patient is enrolled.
    participation
        Share of eligible patients who take part.
    sites
        Groups of sites.
    """

    start: CalendarDate = ""
    closes: CalendarDate = ""
    participation: Probability
    sites: dict[str, SitesSpec]

    @model_validator(mode="after")
    def _check(self) -> AccrualSpec:
        if float(self.participation) <= 0:
            raise ValueError("participation must be above 0: nobody could be enrolled")
        if self.closes and not self.start:
            raise ValueError("closes is a date: a start is needed too")
        if self.closes and self.closes <= self.start:
            raise ValueError(f"closes ({self.closes}) must be later than start ({self.start})")
        return self

    @property
    def closing_day(self) -> float:
        """Days from the start to the end of recruitment; infinite without one."""
        return day_of(self.closes, self.start) if self.closes else math.inf

    def check(self, population: PopulationSpec, where: str) -> list[Problem]:
        """Problems that only the population shows: strata that do not exist, or that nobody enrols."""
        strata = population.strata
        problems = [
            Problem(f"there is no stratum '{name}'", where, f"accrual.sites.{group}.strata", did_you_mean(name, strata))
            for group, sites in self.sites.items()
            for name in sites.strata
            if name not in strata
        ]
        served = {name for group in self.active(population) for name in self.sites[group].strata}
        if not problems and self.recruits(population):  # a misspelt stratum is one mistake
            problems += [
                Problem(f"no site enrols patients of '{name}'", where, "accrual.sites", "a group with it among its strata")
                for name, stratum in strata.items()
                if float(stratum.share) > 0 and name not in served
            ]
        return problems

    def recruits(self, population: PopulationSpec) -> bool:
        """Whether anybody is recruited: some group has sites and strata with patients, and not all is retrospective."""
        return float(population.retrospective_share) < 1 and any(self.active(population))

    def active(self, population: PopulationSpec) -> tuple[str, ...]:
        """Groups that have sites, and patients to enrol."""
        strata = population.strata
        return tuple(
            name
            for name, sites in self.sites.items()
            if float(sites.count) > 0 and any(s in strata and float(strata[s].share) > 0 for s in sites.strata)
        )

    def counts(self, population: PopulationSpec) -> dict[str, int]:
        """Sites of the groups that recruit."""
        return {name: int(float(self.sites[name].count)) for name in self.active(population)}

    def rate(self, group: str) -> float:
        """Mean number of patients that an open site of the group enrols per day."""
        return float(self.sites[group].per_month) * float(self.participation) / DAYS_PER_MONTH


def day_of(moment: str, start: str) -> float:
    """Days from the start to a date."""
    return float((date.fromisoformat(moment) - date.fromisoformat(start)).days)


def date_of(day: float, start: str) -> str:
    """The date of a day from the start, as text; empty where there is no start or no such day."""
    if not start or not math.isfinite(day):
        return ""
    try:
        return (date.fromisoformat(start) + timedelta(days=math.floor(day))).isoformat()
    except OverflowError:
        return ""


class AccrualDraws(Protocol):
    """Chance of a chunk: per patient, and shared by all patients of a replicate."""

    patients: int
    replicates: int

    def __call__(self, name: str, index: int = 0) -> FloatArray:
        """Flat (patients x replicates,), patient-major."""
        ...

    def shared(self, name: str, index: int = 0) -> FloatArray:
        """One variate per replicate: (replicates,)."""
        ...


@dataclass(frozen=True, slots=True)
class Sites:
    """The sites of a chunk.

    Attributes
    ----------
    group
        (J,) index of the group among those given.
    opens
        (R, J) day on which a site opens.
    rate
        (R, J) patients per day that it enrols from then on.
    """

    group: IntArray
    opens: FloatArray
    rate: FloatArray

    def cumulative_rate(self, day: float) -> FloatArray:
        """Patients expected of each site by a day, given its rate and opening: (R, J)."""
        return self.rate * np.maximum(day - self.opens, 0.0)


def open_sites(spec: AccrualSpec, counts: Mapping[str, int], draws: AccrualDraws) -> Sites:
    """Draw openings and rates.

    Parameters
    ----------
    counts
        Sites by group; group and place in it, not the number of sites, say which variates a site meets.

    Notes
    -----
    Streams `accrual.activation` and `accrual.rate`, one variate per site and replicate. The Gamma rate inverts a uniform:
    m P^-1(a, U) / a with shape a = 1 / cv^2 and P the regularised lower incomplete gamma function.
    """
    place = {name: index for index, name in enumerate(spec.sites)}
    keys = [(name, place[name] * SITES_PER_GROUP + j) for name, count in counts.items() for j in range(count)]
    opens, rate = np.empty((draws.replicates, len(keys))), np.empty((draws.replicates, len(keys)))
    for column, (name, index) in enumerate(keys):
        sites = spec.sites[name]
        opens[:, column] = sites.activation.of_normal(draws.shared("accrual.activation", index))
        rate[:, column] = draws.shared("accrual.rate", index)
    first = 0
    for name, count in counts.items():
        own, cv = slice(first, first + count), float(spec.sites[name].between_sites_cv)
        shape = 1 / cv**2 if cv > 0 else math.inf
        rate[:, own] = spec.rate(name) * (special.gammaincinv(shape, rate[:, own]) / shape if cv > 0 else 1.0)
        first += count
    group = np.repeat(np.arange(len(counts), dtype=np.int64), list(counts.values()))
    return Sites(group, opens, rate)


@dataclass(frozen=True, slots=True)
class Enrolment:
    """Recruitment of a chunk; patients in the order of their enrolment.

    Attributes
    ----------
    day
        (R, N) day of enrolment from the start of the study; infinite for a patient never reached, because recruitment
        closed before.
    site
        (R, N) index into :attr:`sites`; -1 for a patient never reached.
    stratum
        (R, N) index of the stratum; -1 likewise.
    screened
        (R, N) candidates screened for the first 1, 2, ... N patients, those enrolled included.
    """

    groups: tuple[str, ...]
    sites: Sites
    day: FloatArray
    site: IntArray
    stratum: IntArray
    screened: FloatArray

    @property
    def group(self) -> IntArray:
        """(R, N) index into :attr:`groups`; -1 for a patient never reached."""
        return np.where(self.site >= 0, self.sites.group[self.site], -1)


def enrol(spec: AccrualSpec, population: PopulationSpec, draws: AccrualDraws) -> Enrolment:
    """Recruit the patients of a chunk.

    Parameters
    ----------
    draws
        Of N patients. Streams per patient in the order of enrolment: `accrual.arrival`, `accrual.site`, `accrual.stratum`,
        `accrual.screening`.
    """
    counts = spec.counts(population)
    sites = open_sites(spec, counts, draws)
    spent = _by_replicate(draws, "accrual.arrival").cumsum(axis=1)
    day, site = _arrivals(sites, spent, _by_replicate(draws, "accrual.site"))
    reached = day <= spec.closing_day
    site = np.where(reached, site, -1)
    cumulative, each = _strata(spec, population, tuple(counts))
    uniform = _by_replicate(draws, "accrual.stratum")
    group = sites.group[np.maximum(site, 0)]
    stratum = np.zeros(site.shape, dtype=np.int64)
    for cut in range(cumulative.shape[1] - 1):
        stratum += uniform >= cumulative[:, cut][group]
    screened = _screened(each[stratum], _by_replicate(draws, "accrual.screening"))
    return Enrolment(
        tuple(counts),
        sites,
        np.where(reached, day, np.inf),
        site,
        np.where(reached, stratum, -1),
        np.cumsum(np.where(reached, screened, 0.0), axis=1),
    )


def _by_replicate(draws: AccrualDraws, name: str) -> FloatArray:
    """A stream per patient as (R, N)."""
    return draws(name).reshape(draws.patients, draws.replicates).T


def _arrivals(sites: Sites, spent: FloatArray, uniform: FloatArray) -> tuple[FloatArray, IntArray]:
    """Times at which the cumulative rate of all sites reaches `spent`, and the site of each arrival; both (R, N)."""
    order = np.argsort(sites.opens, axis=1, kind="stable")
    opens = np.take_along_axis(sites.opens, order, axis=1)
    total = np.cumsum(np.take_along_axis(sites.rate, order, axis=1), axis=1)  # with the first sites open, per day
    knots = np.zeros_like(opens)
    knots[:, 1:] = np.cumsum(total[:, :-1] * np.diff(opens, axis=1), axis=1)
    open_ = np.zeros(spent.shape, dtype=np.int64)
    for j in range(1, opens.shape[1]):
        open_ += spent >= knots[:, j : j + 1]
    at = np.take_along_axis(total, open_, axis=1)
    with np.errstate(divide="ignore", over="ignore"):  # a rate that underflows enrols nobody, ever
        day = np.take_along_axis(opens, open_, axis=1) + (spent - np.take_along_axis(knots, open_, axis=1)) / at
    place = np.zeros(spent.shape, dtype=np.int64)
    share = uniform * at
    for j in range(opens.shape[1] - 1):
        place += share >= total[:, j : j + 1]
    return day, np.take_along_axis(order, np.minimum(place, open_), axis=1)


def _strata(spec: AccrualSpec, population: PopulationSpec, groups: tuple[str, ...]) -> tuple[FloatArray, FloatArray]:
    """Cumulative shares of the strata within each group (groups, strata), and candidates per patient by stratum."""
    names = tuple(population.strata)
    shares = np.array(
        [[float(population.strata[s].share) if s in spec.sites[g].strata else 0.0 for s in names] for g in groups]
    )
    last = [max(i for i, share in enumerate(row) if share > 0) for row in shares]
    cumulative = np.cumsum(shares, axis=1) / shares.sum(axis=1, keepdims=True)
    for row, index in zip(cumulative, last, strict=True):
        row[index:] = 1.0  # rounding of the sum must not reach a stratum without patients
    each = np.array([population.screened_each(s) for s in population.strata.values()]) / float(spec.participation)
    return cumulative, each


def _screened(each: FloatArray, uniform: FloatArray) -> FloatArray:
    """Candidates screened until one is enrolled: geometric with mean `each`, by inversion."""
    with np.errstate(divide="ignore"):
        failures = np.floor(np.log1p(-uniform) / np.log1p(-1.0 / each))
    return 1.0 + np.where(each > 1.0, failures, 0.0)


def expected_mix(spec: AccrualSpec, population: PopulationSpec) -> dict[str, float]:
    """Share of patients that each group enrols once all sites are open."""
    rates = {name: count * spec.rate(name) for name, count in spec.counts(population).items()}
    return {name: rate / sum(rates.values()) for name, rate in rates.items()}


def population_mix(spec: AccrualSpec, population: PopulationSpec) -> dict[str, float]:
    """Share of the population that each group's strata make up; a stratum of several groups goes to them by their rates."""
    counts = spec.counts(population)
    found = dict.fromkeys(counts, 0.0)
    for name, stratum in population.strata.items():
        serving = {g: counts[g] * spec.rate(g) for g in counts if name in spec.sites[g].strata}
        for group, rate in serving.items():
            found[group] += float(stratum.share) * rate / sum(serving.values())
    return found


def candidates_each(spec: AccrualSpec, population: PopulationSpec, mix: Mapping[str, float]) -> float:
    """Mean number of candidates screened per patient enrolled.

    Parameters
    ----------
    mix
        Share of patients by group.
    """
    cumulative, each = _strata(spec, population, tuple(mix))
    shares = np.diff(cumulative, axis=1, prepend=0.0)
    return float(np.array(list(mix.values())) @ (shares @ each))
