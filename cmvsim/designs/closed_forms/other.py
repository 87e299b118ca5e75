"""Smaller closed forms: recurrent counts, assurance, replicates for a Monte Carlo error, detection by visits."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

from cmvsim.designs.closed_forms.basics import (
    critical_value,
    normal_cdf,
    require,
    require_positive,
    require_power,
    require_probability,
    upper_quantile,
)


@dataclass(frozen=True, slots=True)
class Detection:
    """What a visit schedule sees of a first onset with constant hazard.

    Attributes
    ----------
    incidence
        P(onset by the last visit).
    detected
        P(some visit finds it).
    mean_onset
        Mean onset among the onsets by the last visit.
    mean_first_visit
        Mean time of the first visit at or after the onset, among the same: what perfect visits record.
    """

    incidence: float
    detected: float
    mean_onset: float
    mean_first_visit: float


def negative_binomial_size(
    control: float,
    experimental: float,
    dispersion: float,
    *,
    exposure: float = 1.0,
    ratio: float = 1.0,
    alpha: float = 0.05,
    power: float = 0.8,
    sides: int = 2,
) -> tuple[float, float]:
    """Patients per arm to compare two negative-binomial rates.

    Parameters
    ----------
    control, experimental
        Events per unit of exposure in the arms.
    dispersion
        k in variance = mean + k mean^2; 0 is Poisson.
    exposure
        Exposure of each patient.
    ratio
        Patients of the experimental arm per patient of the control arm.
    alpha, power, sides
        Level, power wanted, and whether the level is shared by two sides.

    Returns
    -------
    control, experimental
        Patients of the arms, not rounded.

    Notes
    -----
    Zhu and Lakkis, Statistics in Medicine 33 (2014) 376-387, with the variance at the true rates under both
    hypotheses (their method 2).
    """
    require_positive(control=control, experimental=experimental, exposure=exposure, ratio=ratio)
    require(dispersion >= 0, f"dispersion = {dispersion:g} must not be negative")
    require(control != experimental, "the rates of the arms must differ")
    require_power(power, alpha, sides)
    z = critical_value(alpha, sides) + upper_quantile(1.0 - power)
    variance = (1.0 / control + 1.0 / (ratio * experimental)) / exposure + (1.0 + ratio) * dispersion / ratio
    n = z**2 * variance / math.log(experimental / control) ** 2
    return n, ratio * n


def normal_assurance(events: float, hr: float, sd: float, *, ratio: float = 1.0, alpha: float = 0.05, sides: int = 2) -> float:
    """Probability that the log-rank test claims a benefit when the log hazard ratio is normal around ln(hr).

    Parameters
    ----------
    events
        Events at the analysis.
    hr
        Median of the hazard ratio's distribution.
    sd
        Standard deviation of the log hazard ratio; 0 gives the power.
    ratio, alpha, sides
        As for :func:`cmvsim.designs.closed_forms.schoenfeld_events`. Only claims on the side of `hr` count.

    Notes
    -----
    O'Hagan, Stevens and Campbell, Pharmaceutical Statistics 4 (2005) 187-201: the statistic is normal with mean
    -ln(hr) s and variance 1 + sd^2 s^2, s = sqrt(events r) / (1 + r).
    """
    require_positive(events=events, hr=hr, ratio=ratio)
    require(sd >= 0, f"sd = {sd:g} must not be negative")
    information = math.sqrt(events * ratio) / (1.0 + ratio)
    shift = abs(math.log(hr)) * information - critical_value(alpha, sides)
    return normal_cdf(shift / math.sqrt(1.0 + (sd * information) ** 2))


def replicates_for_mcse(mcse: float, proportion: float = 0.5) -> int:
    """Replicates so that an estimated proportion (coverage, power) has a Monte Carlo standard error.

    Parameters
    ----------
    mcse
        Monte Carlo standard error wanted.
    proportion
        Expected coverage or power; 0.5 is the worst case.

    Notes
    -----
    p (1 - p) / mcse^2; Morris, White and Crowther, Statistics in Medicine 38 (2019) 2074-2102, section 5.3.
    """
    require_positive(mcse=mcse)
    require_probability(proportion=proportion)
    return max(1, math.ceil(proportion * (1.0 - proportion) / mcse**2 - 1e-6))


def visit_detection(hazard: float, visits: Sequence[float], sensitivity: float = 1.0, duration: float = math.inf) -> Detection:
    """Probability that scheduled visits find a first onset that comes with constant hazard.

    Parameters
    ----------
    hazard
        Hazard of the onset from time 0.
    visits
        Times of the visits, increasing.
    sensitivity
        Probability that a visit during the episode finds it, each visit independently.
    duration
        Length of the episode; infinite for one that persists to the last visit.

    Notes
    -----
    Sum over the intervals of onset in which the same visits fall within the episode: P(onset in the interval) times
    1 - (1 - sensitivity)^visits. Later episodes do not count.
    """
    require_positive(hazard=hazard)
    require(len(visits) >= 1 and visits[0] > 0, "at least one visit, after time 0")
    require(all(b > a for a, b in pairwise(visits)), "the visits must increase")
    require(0.0 <= sensitivity <= 1.0, f"sensitivity = {sensitivity:g} must lie between 0 and 1")
    require(duration > 0, f"duration = {duration:g} must be positive")
    last = visits[-1]
    edges = sorted({0.0, *visits, *(v - duration for v in visits if v > duration)})
    detected = first = 0.0
    for start, end in pairwise(edges):
        weight = math.exp(-hazard * start) * -math.expm1(-hazard * (end - start))
        middle = (start + end) / 2.0
        during = sum(1 for v in visits if middle < v <= middle + duration)
        detected += weight * (1.0 - (1.0 - sensitivity) ** during)
        first += weight * next(v for v in visits if v > middle)
    incidence = -math.expm1(-hazard * last)
    mean = 1.0 / hazard - last * math.exp(-hazard * last) / incidence
    return Detection(incidence, detected, mean, first / incidence)
