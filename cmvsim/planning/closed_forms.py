"""Closed forms that simulated answers are started from and printed beside."""

from __future__ import annotations

import math

from scipy import stats


def precision_patients(incidence: float, half_width: float, level: float) -> int:
    """Patients for a Wald interval of an incidence: z^2 p (1 - p) / w^2.

    Parameters
    ----------
    incidence
        Expected proportion p.
    half_width
        Half-width w of the confidence interval.
    level
        Confidence level.

    Notes
    -----
    Knows neither competing death, missed visits nor the chance of the interval; see e.g. Machin et al., Sample Sizes
    for Clinical, Laboratory and Epidemiology Studies, 4th ed. (2018), ch. 9.
    """
    z = float(stats.norm.ppf(0.5 + level / 2))
    return max(1, math.ceil(z * z * incidence * (1 - incidence) / half_width**2 - 1e-9))


def assured_precision_patients(incidence: float, half_width: float, level: float, probability: float) -> int:
    """Patients so that a Wald interval is narrow enough with a probability.

    The width exceeds w when the observed proportion is nearer to 1/2 than some p*; N solves
    P(width <= w) = probability with the binomial proportion taken as normal.
    """
    z, q = float(stats.norm.ppf(0.5 + level / 2)), float(stats.norm.ppf(probability))
    n = precision_patients(incidence, half_width, level)
    if not 0 < incidence < 1:
        return n
    while n < 10_000_000:
        variance = n * half_width**2 / z**2  # largest p (1 - p) that is narrow enough
        if variance >= 0.25:
            return n
        edge = 0.5 - math.sqrt(0.25 - variance)
        se = math.sqrt(incidence * (1 - incidence) / n)
        gap = (edge - incidence) / se if incidence <= 0.5 else (incidence - (1 - edge)) / se
        if gap >= q:
            return n
        n += max(1, n // 500)
    return n
