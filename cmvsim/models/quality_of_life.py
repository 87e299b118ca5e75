"""Section 13, health-related quality of life: a latent state of health that five EQ-5D items and the VAS report on.

The latent state grows with *worse* health. Its mean follows a path by stratum and is shifted while something is wrong;
around it patients differ, and so do the answers of one patient. An answer falls on the level whose thresholds the
item's liability lies between (an ordinal probit). Means and changes are stated on the index of a value set;
:mod:`cmvsim.calibration.quality_of_life` converts them to the latent scale.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from enum import IntEnum
from itertools import pairwise
from typing import Annotated, Any, Literal, get_args

import numpy as np
from numpy.typing import NDArray
from pydantic import Field, model_validator
from scipy import special

from cmvsim.core.errors import Problem, did_you_mean
from cmvsim.core.quantities import Correlation, Days, Probability, Ratio, Utility, VasPoints
from cmvsim.core.records import BoolArray, FloatArray
from cmvsim.core.spec import Spec
from cmvsim.core.value import Stated
from cmvsim.models.monitoring import WholeDay

DAYS_PER_YEAR = 365.25
DIMENSIONS = ("mobility", "self_care", "usual_activities", "pain", "anxiety")
State = Literal[
    "hospital",
    "icu",
    "severe_crs",
    "severe_icans",
    "cmv_treatment",
    "cmv_disease",
    "antiviral_toxicity",
    "infection",
    "relapse",
]
STATES: tuple[State, ...] = get_args(State)
WORST_OF: tuple[tuple[State, ...], ...] = (
    ("hospital", "icu", "severe_crs", "severe_icans"),
    ("cmv_treatment", "cmv_disease"),
    ("antiviral_toxicity",),
    ("infection",),
    ("relapse",),
)
"""States that come together by nature: of each group only the largest shift counts; groups add up."""


class Instrument(IntEnum):
    """Questionnaire due at a visit, by age."""

    NONE = 0
    YOUTH = 1
    ADULT = 2


YOUTH_FROM, SELF_FROM, ADULT_FROM = 4.0, 8.0, 16.0
"""Ages of EQ-5D-Y by proxy, of EQ-5D-Y by oneself, and of EQ-5D-5L (EuroQol's rules of use)."""

WholeDays = Annotated[tuple[WholeDay, ...], Field(strict=False)]
Utilities = Annotated[tuple[Utility, ...], Field(strict=False)]
Shares = Annotated[tuple[Probability, ...], Field(strict=False)]


class Changes(Spec):
    """Changes of the mean index while a state lasts; negative is worse.

    Attributes
    ----------
    hospital, icu
        On a ward; in intensive care (in place of the ward's).
    severe_crs, severe_icans
        CRS or ICANS of grade 3 or more (in place of the stay's, where that is smaller).
    cmv_treatment, cmv_disease
        Pre-emptive therapy; CMV disease (in place of the treatment's).
    antiviral_toxicity
        Neutropenia on ganciclovir, kidney injury on foscarnet.
    infection
        Bacterial or fungal infection.
    relapse
        From relapse on.
    """

    hospital: Utility
    icu: Utility
    severe_crs: Utility
    severe_icans: Utility
    cmv_treatment: Utility
    cmv_disease: Utility
    antiviral_toxicity: Utility
    infection: Utility
    relapse: Utility


class Problems(Spec):
    """Share of a general population with any problem, by dimension."""

    mobility: Probability
    self_care: Probability
    usual_activities: Probability
    pain: Probability
    anxiety: Probability


class ItemsSpec(Spec):
    """The answers of a general population (latent mean 0, standard deviation 1), which place an instrument's thresholds.

    Attributes
    ----------
    problems
        Share above level 1, by dimension.
    worse
        Of these, the shares above level 2, 3, ...: the same in each dimension.
    """

    problems: Problems
    worse: Shares

    @model_validator(mode="after")
    def _check(self) -> ItemsSpec:
        ratios = [1.0, *(float(share) for share in self.worse)]
        if any(later >= earlier for earlier, later in pairwise(ratios)) or ratios[-1] <= 0:
            raise ValueError("worse: the shares fall from level to level, and stay above 0")
        for name in DIMENSIONS:
            if not 0 < float(getattr(self.problems, name)) < 1:
                raise ValueError(f"problems.{name} must lie between 0 and 1, for a threshold to exist")
        return self

    @property
    def thresholds(self) -> FloatArray:
        """(5, levels - 1): liabilities above which an answer is worse than level 1, 2, ..."""
        first = np.array([float(getattr(self.problems, name)) for name in DIMENSIONS])
        above = first[:, None] * np.array([1.0, *(float(share) for share in self.worse)])
        cut: FloatArray = -special.ndtri(above)
        return cut


class SpreadSpec(Spec):
    """Spread of the index between patients: its standard deviation where its mean is `mean`."""

    mean: Utility
    sd: Utility

    @model_validator(mode="after")
    def _check(self) -> SpreadSpec:
        if float(self.sd) <= 0:
            raise ValueError("sd must be above 0")
        return self


class VasSpec(Spec):
    """Visual-analogue scale.

    Attributes
    ----------
    index, mean
        Patients with this mean index have this mean score.
    sd
        Standard deviation of the score in patients of one mean, before it is cut at 0 and 100.
    """

    index: Utility
    mean: VasPoints
    sd: VasPoints

    @model_validator(mode="after")
    def _check(self) -> VasSpec:
        if float(self.sd) <= 0:
            raise ValueError("sd must be above 0")
        if not 0 < float(self.mean) < 100:
            raise ValueError("mean must lie between 0 and 100 points")
        return self


class MissingOdds(Spec):
    """Odds ratios of a missing questionnaire."""

    hospital: Ratio
    relapse: Ratio


class MissingSpec(Spec):
    """Questionnaires that are due and not filled in.

    Attributes
    ----------
    share
        On the days of the path, in patients who are neither in hospital nor relapsed; linear between.
    odds_ratios
        Of those who are.
    """

    share: Shares
    odds_ratios: MissingOdds


class QualityOfLifeSpec(Spec):
    """Health-related quality of life.

    Attributes
    ----------
    visits
        Study days of the questionnaires.
    value_set
        On whose index means and changes are stated.
    days, mean_index
        Mean index by stratum on these days, in patients to whom none of `changes` applies; linear between on the latent
        scale, constant before and after.
    changes
        Of the mean index while a state lasts.
    cmv_disease_days
        How long the change of CMV disease lasts, from its onset.
    correlation
        Of two answers of one patient: two items, or two visits.
    score_loading
        Correlation of the patient's effect with the immunosuppression score (positive: worse health).
    adult, youth
        Thresholds of EQ-5D-5L and of EQ-5D-Y-3L.
    """

    visits: Stated[WholeDays]
    value_set: Stated[str]
    days: Stated[WholeDays]
    mean_index: dict[str, Utilities]
    spread: SpreadSpec
    changes: Changes
    cmv_disease_days: Days
    correlation: Correlation
    score_loading: Correlation
    adult: ItemsSpec
    youth: ItemsSpec
    vas: VasSpec
    missing: MissingSpec

    @model_validator(mode="after")
    def _check(self) -> QualityOfLifeSpec:
        for name in ("visits", "days"):
            days = getattr(self, name).value
            if not days or any(later <= earlier for earlier, later in pairwise(days)):
                raise ValueError(f"{name} must be days in ascending order, at least one")
        known = len(self.days.value)
        for stratum, means in self.mean_index.items():
            if len(means) != known:
                raise ValueError(f"mean_index.{stratum} has {len(means)} entries; `days` has {known}")
        if len(self.missing.share) != known:
            raise ValueError(f"missing.share has {len(self.missing.share)} entries; `days` has {known}")
        if not 0 <= float(self.correlation) < 1:
            raise ValueError("correlation must be at least 0 and below 1")
        for name, items, levels in (("adult", self.adult, 5), ("youth", self.youth, 3)):
            if len(items.worse) != levels - 2:
                raise ValueError(f"{name}.worse has {len(items.worse)} entries; {levels} levels need {levels - 2}")
        return self

    def check(self, strata: tuple[str, ...], last: float, value_sets: Iterable[str], where: str) -> list[Problem]:
        """Problems that need the rest of the scenario: strata, the last simulated day, the known value sets."""
        problems = [
            Problem(f"there is no stratum '{key}'", where, f"quality_of_life.mean_index.{key}", did_you_mean(key, strata))
            for key in self.mean_index
            if key not in strata
        ]
        problems += [
            Problem(f"the stratum '{key}' is missing", where, "quality_of_life.mean_index")
            for key in strata
            if key not in self.mean_index
        ]
        problems += [
            Problem(f"a visit on day {day} is after the horizon ({last:g})", where, "quality_of_life.visits")
            for day in self.visits.value
            if day > last
        ]
        if self.value_set.value not in (known := tuple(value_sets)):
            name = self.value_set.value
            problems.append(
                Problem(f"there is no value set '{name}'", where, "quality_of_life.value_set", did_you_mean(name, known))
            )
        return problems

    def items(self, instrument: Instrument) -> ItemsSpec:
        """Thresholds of an instrument."""
        return self.adult if instrument == Instrument.ADULT else self.youth


@dataclass(frozen=True, eq=False, slots=True)
class LatentHealth:
    """Means, changes and spread on the latent scale, as converted from what is stated on the index.

    Attributes
    ----------
    days
        (K,): of the path.
    mean
        (strata, K): latent mean.
    shift
        (states, strata, K): what a state adds to it, in the order of :data:`STATES`.
    spread
        Standard deviation of a liability between patients and answers; 1 in the general population.
    vas_zero, vas_slope
        Score = vas_zero - vas_slope x liability, before it is cut.
    """

    days: FloatArray
    mean: FloatArray
    shift: FloatArray
    spread: float
    vas_zero: float
    vas_slope: float

    def at(self, table: FloatArray, day: float) -> FloatArray:
        """A table (..., K) on a day: linear between the days of the path, constant before and after."""
        position = float(np.interp(day, self.days, np.arange(self.days.size)))
        low = min(int(position), self.days.size - 1)
        high = min(low + 1, self.days.size - 1)
        part = position - low
        value: FloatArray = table[..., low] if part == 0 else (1 - part) * table[..., low] + part * table[..., high]
        return value


@dataclass(frozen=True, slots=True)
class Questionnaires:
    """Answers at the visits of a chunk.

    Attributes
    ----------
    days
        (V,): study days of the visits.
    instrument
        (V, P): :class:`Instrument` that is due; NONE under 4 years, and to nobody who has
        died or left the study.
    proxy
        (V, P): answered by a parent (4 to 7 years).
    levels
        (V, 5, P): answers, 0 where there is none.
    vas
        (V, P): score in whole points, NaN where there is none.
    """

    days: NDArray[np.int64]
    instrument: NDArray[np.int8]
    proxy: BoolArray
    levels: NDArray[np.int8]
    vas: FloatArray

    @property
    def answered(self) -> BoolArray:
        """(V, P): whether the questionnaire was filled in (always wholly)."""
        return self.levels[:, 0] > 0


def instrument_at(age: FloatArray, day: float) -> tuple[NDArray[np.int8], NDArray[np.bool_]]:
    """Questionnaire due on a day, and whether somebody else answers it; `age` in whole years at infusion.

    Before infusion the age is that at infusion: a whole year says nothing of the birthday, and counting days off would
    make everybody a year younger.
    """
    now = age + max(day, 0.0) / DAYS_PER_YEAR
    due = np.where(now < YOUTH_FROM, Instrument.NONE, np.where(now < ADULT_FROM, Instrument.YOUTH, Instrument.ADULT))
    return due.astype(np.int8), (now >= YOUTH_FROM) & (now < SELF_FROM)


def level_probabilities(thresholds: FloatArray, mean: Any, sd: float) -> FloatArray:
    """Probabilities of the levels of five items with normal liabilities.

    Parameters
    ----------
    thresholds
        (5, levels - 1).
    mean
        Of the liability, any shape.
    sd
        Of the liability.

    Returns
    -------
    FloatArray
        (..., 5, levels).
    """
    above = special.ndtr((np.asarray(mean, dtype=np.float64)[..., None, None] - thresholds) / sd)
    ends = (*above.shape[:-1], 1)
    above = np.concatenate([np.ones(ends), above, np.zeros(ends)], axis=-1)
    probabilities: FloatArray = above[..., :-1] - above[..., 1:]
    return probabilities
