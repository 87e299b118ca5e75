"""Infection by a persistent virus after CAR-T: conversion of those negative before infusion, or a rise of the load.

The baseline sample is the last one on or before day 0. Without it nobody can convert: such patients are left out and
counted, as are carriers, but for anellovirus, which nearly everybody carries: a rise of its load by `conversion_rise` log10
over the baseline sample is an infection too.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial

import numpy as np

from cmvsim.core.errors import InputError, Problem
from cmvsim.core.records import BoolArray, Estimates, FloatArray
from cmvsim.data.study import Result, Study, Topic, VirusSamples
from cmvsim.endpoints.analysis import AnalysisSpec
from cmvsim.endpoints.base import Estimand, EstimatorChoice, Sizes
from cmvsim.endpoints.cmv_status import end_of_follow_up
from cmvsim.endpoints.derived import EVENT, EXCLUDED, Binary, Repeated, TimeToEvent
from cmvsim.endpoints.incidence import INCIDENCE
from cmvsim.endpoints.latent import latent_competing
from cmvsim.endpoints.population import also, anybody, left_out
from cmvsim.models.history import History, Process

RISING = "anellovirus"
"""The virus whose load is followed."""


def samples_of(study: Study, virus: str) -> VirusSamples:
    """Samples tested for a virus.

    Raises
    ------
    InputError
        If there are none.
    """
    if virus not in study.virome:
        raise InputError(Problem(f"no samples were tested for {virus}", "virome", "virus", "a table virome.csv"))
    return study.virome[virus]


@dataclass(frozen=True, slots=True)
class Infection:
    """First infection by a virus, were there no end of follow-up; (R, N) each.

    Attributes
    ----------
    day
        Day 1 to `window`, +inf if none. A closing sample made within its window counts at min(day, window).
    sampled
        Had a sample on or before day 0.
    positive
        It was positive.
    unquantified
        It was positive without a load, though a rise over it would have counted.
    """

    day: FloatArray
    sampled: BoolArray
    positive: BoolArray
    unquantified: BoolArray


def first_infection(study: Study, plan: AnalysisSpec, virus: str) -> Infection:
    """Conversion after a negative baseline sample, or for anellovirus a rise over a positive one."""
    s = samples_of(study, virus)
    like = study.disposition.end  # in its order of memory, which is that of the samples
    sampled, at_baseline = np.zeros_like(like, dtype=bool), np.zeros_like(like, dtype=bool)
    latest, load = np.full_like(like, -np.inf), np.full_like(like, np.nan)
    taken = s.result != Result.NONE
    positive = (s.result >= Result.BELOW_LLOQ) & ~np.isnan(s.day)
    visits = range(s.day.shape[-1])
    for v in visits:
        newer = taken[..., v] & (s.day[..., v] <= 0) & (s.day[..., v] > latest)
        sampled |= newer
        latest = np.where(newer, s.day[..., v], latest)
        at_baseline = np.where(newer, positive[..., v], at_baseline)
        load = np.where(newer, s.load[..., v], load)
    first, may = np.full_like(like, np.inf), sampled & ~at_baseline
    day = inside_window(s, plan)
    for v in visits:
        hit = positive[..., v] & may
        if virus == RISING:
            # loads have two decimals: their difference must not miss the threshold by a rounding error
            with np.errstate(invalid="ignore"):
                hit |= positive[..., v] & at_baseline & (np.round(s.load[..., v] - load, 6) >= plan.conversion_rise)
        first = np.where(hit, np.fmin(first, day[..., v]), first)
    unquantified = at_baseline & np.isnan(load) if virus == RISING else np.zeros_like(sampled)
    return Infection(first, sampled, at_baseline, unquantified)


def inside_window(s: VirusSamples, plan: AnalysisSpec) -> FloatArray:
    """(R, N, V) day of the samples that count after infusion, NaN for the others."""
    closing = (s.nominal == plan.window) & (np.abs(s.day - plan.window) <= plan.closing_window)
    day = np.where(closing, np.minimum(s.day, plan.window), s.day)
    return np.where((s.result != Result.NONE) & (day > 0) & (day <= plan.window), day, np.nan)


def infection_within_window(study: Study, plan: AnalysisSpec, virus: str) -> TimeToEvent:
    """Day and cause of the first infection; a sample on the day of death counts."""
    found = first_infection(study, plan, virus)
    time, cause = end_of_follow_up(study, plan)
    counted = found.day <= time
    time = np.where(counted, found.day, time)
    cause = np.where(counted, np.int8(EVENT), cause)
    excluded = also(left_out(study, plan), f"no sample for {virus} on or before infusion", np.asarray(~found.sampled), study)
    if virus == RISING:
        excluded = also(excluded, "baseline load not quantified", found.unquantified, study)
    else:
        excluded = also(excluded, f"{virus} on or before infusion", found.positive, study)
    for who in excluded.values():
        cause[who] = EXCLUDED
    return TimeToEvent(time, cause, excluded)


def ever_positive(study: Study, plan: AnalysisSpec, virus: str) -> Binary:
    """Any positive sample after infusion and in the window, whatever the baseline sample, among those with a sample."""
    s = samples_of(study, virus)
    counts = ~np.isnan(inside_window(s, plan))
    positive = (counts & (s.result >= Result.BELOW_LLOQ)).any(axis=-1)
    excluded = also(left_out(study, plan), f"no sample for {virus} after infusion", np.asarray(~counts.any(axis=-1)), study)
    return Binary(np.where(anybody(excluded, study), -1, positive).astype(np.int8), excluded=excluded)


def proportion_positive(derived: Binary, plan: AnalysisSpec, sizes: Sizes) -> dict[str, Estimates]:
    """Proportion with Wilson limits."""
    return {"any positive": proportion_of(derived.value, plan, sizes)}


def proportion_of(value: np.ndarray, plan: AnalysisSpec, sizes: Sizes) -> Estimates:
    """Proportion of ones among zeros and ones (R, N), at each size, with Wilson limits."""
    from cmvsim.estimators.proportions import proportion

    last = [n - 1 for n in sizes]
    yes, entered = (np.cumsum(what, axis=1)[:, last] for what in (value == 1, value >= 0))
    return proportion(yes, entered, method="wilson", level=plan.level)


def at_visits(study: Study, plan: AnalysisSpec, virus: str) -> Repeated:
    """Positive or not at each planned visit, before infusion and after it, while alive and followed."""
    s = samples_of(study, virus)
    taken = s.result != Result.NONE
    days = np.unique(s.nominal[taken & ~np.isnan(s.nominal)])
    excluded = left_out(study, plan)
    value = np.full((*s.day.shape[:2], days.size), np.nan)
    for place, day in enumerate(days):
        here = taken & (s.nominal == day)
        value[..., place] = np.where(here.any(axis=-1), (here & (s.result >= Result.BELOW_LLOQ)).any(axis=-1), np.nan)
    value[anybody(excluded, study)] = np.nan
    excluded = also(excluded, f"no sample for {virus} at a planned visit", np.asarray(np.isnan(value).all(axis=-1)), study)
    return Repeated(value, tuple(int(day) for day in days), excluded)


def prevalence(derived: Repeated, plan: AnalysisSpec, sizes: Sizes) -> dict[str, Estimates]:
    """Proportion positive at each visit, among those with a sample."""
    codes = np.where(np.isnan(derived.value), -1, derived.value).astype(np.int8)
    return {f"day {day}": proportion_of(codes[..., v], plan, sizes) for v, day in enumerate(derived.days)}


def _estimators(virus: str) -> tuple[EstimatorChoice, ...]:
    return (
        *INCIDENCE,
        EstimatorChoice(
            "any_positive",
            "Any positive sample after infusion",
            proportion_positive,
            derive=partial(ever_positive, virus=virus),
            terms=lambda _: ("any positive",),
            note="descriptive: carriers from before infusion count too",
        ),
        EstimatorChoice(
            "prevalence_by_visit",
            "Proportion positive at each visit",
            prevalence,
            derive=partial(at_visits, virus=virus),
            batched=False,
            note="descriptive: among those sampled at the visit",
        ),
    )


VIRUSES = ("anellovirus", "pegivirus", "redondovirus")
FRENCH = {"anellovirus": "anellovirus", "pegivirus": "pégivirus", "redondovirus": "rédondovirus"}
ESTIMATORS = {virus: _estimators(virus) for virus in VIRUSES}


@dataclass(frozen=True, slots=True)
class VirusInfection:
    """First infection by one virus in the window; death and transplantation compete.

    CMV DNAemia at infusion does not matter here, so that the plan's handling of it changes nothing.
    """

    id: str

    @property
    def label(self) -> str:
        """Name in tables."""
        return f"{self.id.capitalize()} infection"

    @property
    def label_fr(self) -> str:
        """Name in French."""
        return f"infection à {FRENCH[self.id]}"

    @property
    def objective(self) -> str:
        """What the protocol asks."""
        return f"rate of infection by {self.id} within 3 months"

    @property
    def estimand(self) -> Estimand:
        """ICH E9(R1) attributes."""
        rises = self.id == RISING
        who = "with a research sample before infusion" if rises else "negative in the last sample before infusion"
        return Estimand(
            population=f"CAR-T recipients {who}",
            variable=f"day of the first sample positive for {self.id}"
            + (", or with a load risen over the baseline sample by the plan's threshold" if rises else ""),
            intercurrent_events="as the plan says; by default death and transplantation compete, relapse: treatment policy",
            summary="cumulative incidence at the end of the window",
        )

    @property
    def needs(self) -> frozenset[Process]:
        """The foundation, which ends follow-up, and the virome."""
        return frozenset({Process.TOXICITY, Process.CMV, Process.FOLLOW_UP, Process.DEATH, Process.VIROME})

    @property
    def reads(self) -> frozenset[Topic]:
        """Samples tested for it."""
        return frozenset({Topic.VIROME})

    @property
    def estimators(self) -> tuple[EstimatorChoice, ...]:
        """Aalen-Johansen first."""
        return ESTIMATORS[self.id]

    def derive(self, study: Study, plan: AnalysisSpec) -> TimeToEvent:
        """Day and cause per patient; see :func:`infection_within_window`."""
        return infection_within_window(study, plan, self.id)

    def latent(self, history: History, plan: AnalysisSpec) -> FloatArray:
        """Whether the error-free status meets the definition at any time in (0, window] before a competing event.

        The baseline is the true status at the last research visit planned on or before day 0; everybody is outside where
        there is none. For anellovirus positive means a true load at or above the limit of detection.
        """
        competing = latent_competing(history, plan)
        planned = [day for day in history.virome.visits if day <= 0]
        if not planned:
            return np.full(competing.shape, np.nan)
        first, inside = self._true_infection(history, plan, float(max(planned)))
        seen = np.asarray(history.view(first), dtype=np.float64)
        value = ((seen <= plan.window) & (seen <= competing)).astype(np.float64)
        return np.where(history.view(inside), value, np.nan)

    def _true_infection(self, history: History, plan: AnalysisSpec, baseline: float) -> tuple[FloatArray, BoolArray]:
        """(P,) first time from infusion on at which the definition is met, and who may meet it."""
        virome = history.virome
        if self.id != RISING:
            carried = virome.positive(self.id, baseline)  # type: ignore[arg-type]
            return np.maximum(virome.acquired(self.id), 0.0), ~carried  # type: ignore[arg-type]
        lod = float(virome.spec.anellovirus.load.lod)
        load = virome.load(baseline)
        level = np.where(load >= lod, load + plan.conversion_rise, lod)
        return virome.first_reaching(level, after=0.0), np.ones(load.shape, dtype=bool)
