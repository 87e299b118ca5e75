"""Discounting by named rules: effective annual rates, one or two stages.

What happens on day d is worth ``(1 + r) ** -(d / 365.25)`` of what happens today; what accrues over time is worth the integral
of that function. With two stages the discount factor is continuous at the switch: after it only the rate is smaller.
"""

from __future__ import annotations

import math
import tomllib
from dataclasses import dataclass
from functools import cache
from importlib import resources
from types import MappingProxyType
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from cmvsim.core.errors import InputError, Problem, did_you_mean
from cmvsim.core.records import FloatArray

DAYS_PER_YEAR = 365.25


@dataclass(frozen=True, slots=True)
class Discounting:
    """A discounting rule.

    Attributes
    ----------
    name
        By which it is asked for.
    rate
        Effective annual rate.
    later, switch
        The rate after `switch` years; without them the rate stays.
    source
        Who asks for it.
    """

    name: str
    rate: float
    later: float | None = None
    switch: float = math.inf
    source: str = ""

    def __post_init__(self) -> None:
        if min(self.rate, self.rate if self.later is None else self.later) <= -1 or self.switch < 0:
            raise ValueError("discount rates are above -1, and a switch is not before time 0")
        if (self.later is None) != math.isinf(self.switch):
            raise ValueError("a later rate and the years after which it holds go together")

    def factor(self, years: ArrayLike) -> FloatArray:
        """Discount factor of events at these times in years."""
        t = np.asarray(years, dtype=np.float64)
        if self.later is None:
            one: FloatArray = np.exp(-math.log1p(self.rate) * t)
            return one
        first, second = np.minimum(t, self.switch), np.maximum(t - self.switch, 0.0)
        two: FloatArray = np.exp(-math.log1p(self.rate) * first - math.log1p(self.later) * second)
        return two

    def factor_at_day(self, day: ArrayLike) -> FloatArray:
        """Discount factor of events on these days."""
        return self.factor(np.asarray(day, dtype=np.float64) / DAYS_PER_YEAR)

    def accrued(self, start: ArrayLike, stop: ArrayLike) -> FloatArray:
        """Integral of the discount factor from start to stop, in years: the worth of one unit a year."""
        return self._integral(np.asarray(stop, dtype=np.float64)) - self._integral(np.asarray(start, dtype=np.float64))

    def accrued_days(self, start: ArrayLike, stop: ArrayLike) -> FloatArray:
        """The same in days: the worth of one unit a day from day `start` to day `stop`."""
        first, last = (np.asarray(day, dtype=np.float64) / DAYS_PER_YEAR for day in (start, stop))
        days: FloatArray = DAYS_PER_YEAR * self.accrued(first, last)
        return days

    def annuity(self, start: float, stop: float) -> float:
        """Worth of one unit a year, paid all the time from year `start` to year `stop`."""
        return float(self.accrued(start, stop))

    def annuity_due(self, years: int) -> float:
        """Worth of one unit at the beginning of each year."""
        return float(self.factor(np.arange(years)).sum())

    def annuity_immediate(self, years: int) -> float:
        """Worth of one unit at the end of each year."""
        return float(self.factor(np.arange(1, years + 1)).sum())

    def years_lived(self, hazard: float, start: float, years: float) -> float:
        """Worth of the years that somebody alive at year `start` lives in the following `years`, expected.

        Parameters
        ----------
        hazard
            Of death, constant, per year.
        """
        early = min(max(self.switch - start, 0.0), years)
        late = self.rate if self.later is None else self.later
        lived = _decaying(hazard + math.log1p(self.rate), early)
        then = math.exp(-hazard * early) * float(self.factor(start + early))
        return float(self.factor(start)) * lived + then * _decaying(hazard + math.log1p(late), years - early)

    def _integral(self, t: FloatArray) -> FloatArray:
        if self.later is None:
            return _exponential_integral(self.rate, t)
        early = _exponential_integral(self.rate, np.minimum(t, self.switch))
        late = _exponential_integral(self.later, np.maximum(t - self.switch, 0.0))
        whole: FloatArray = early + self.factor(self.switch) * late
        return whole


def _decaying(rate: float, length: float) -> float:
    """Integral of exp(-rate t) over [0, length]."""
    return length if rate == 0 else -math.expm1(-rate * length) / rate


def _exponential_integral(rate: float, t: FloatArray) -> FloatArray:
    """Integral of (1 + rate) ** -s from 0 to t."""
    continuous = math.log1p(rate)
    integral: FloatArray = np.array(t, dtype=np.float64) if continuous == 0 else -np.expm1(-continuous * t) / continuous
    return integral


def past_first_year(rate: float) -> Discounting:
    """The rule of evaluations whose first year is not discounted: 1 for a year, then falling at this rate from there.

    It has no step at the end of the year, so what is simulated (a year at most) and what comes after it go together.
    """
    return Discounting("past the first year", 0.0, later=rate, switch=1.0)


def discounting(name: str) -> Discounting:
    """Look a rule up by its name.

    Raises
    ------
    InputError
        If there is none of that name.
    """
    rules = discounting_rules()
    if name not in rules:
        raise InputError(Problem(f"there is no discounting rule '{name}'", allowed=did_you_mean(name, rules)))
    return rules[name]


@cache
def discounting_rules() -> MappingProxyType[str, Discounting]:
    """All rules that ship with the package."""
    text = resources.files("cmvsim.valuation").joinpath("discounting.toml").read_text(encoding="utf-8")
    return MappingProxyType({name: _rule(name, entry) for name, entry in tomllib.loads(text).items()})


def _rule(name: str, entry: dict[str, Any]) -> Discounting:
    later = None if "later" not in entry else float(entry["later"])
    return Discounting(name, float(entry["rate"]), later, float(entry.get("switch", math.inf)), entry["source"])


UNDISCOUNTED = Discounting("none", 0.0, source="no discounting")
