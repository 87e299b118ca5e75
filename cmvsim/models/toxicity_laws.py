"""Section 3, intercepts of the logistic laws of toxicity, solved so that published marginal probabilities hold exactly.

Grades depend on expansion (CRS), on the CRS grade (ICANS), and courses of drugs on the grades. What is published is
marginal over those, so each intercept `a` solves  sum_i w_i expit(a + s_i) = p  over the distribution (w, s) of what the
probability depends on.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from scipy import optimize, special

from cmvsim.core.records import FloatArray

GRADES = 4
_HALF_WIDTH, _STEP = 8.5, 0.02
_Z = np.arange(-_HALF_WIDTH, _HALF_WIDTH + _STEP / 2, _STEP)
_DENSITY = np.exp(-(_Z**2) / 2)
_WEIGHTS = _DENSITY / _DENSITY.sum()
"""Trapezoidal rule of the standard normal. Its error decays like exp(-2 pi d / step) with the distance d = pi / b of the
poles of expit(a + b z), so it is below rounding for every slope b below 30, where Gauss-Hermite rules are not."""


@dataclass(frozen=True, slots=True)
class UseLaw:
    """Use of a drug in one cell: its marginal probability, its slope, and whether the CRS grade drives it."""

    probability: float
    per_grade: float
    by_crs: bool


@dataclass(frozen=True, slots=True)
class CellLaws:
    """Solved laws of one disease and product.

    Attributes
    ----------
    crs_cuts, icans_cuts
        (4,) intercepts of grade >= 1, ..., >= 4.
    use
        (drugs, 5) probability of a course by grade 0 to 4 of what drives it.
    """

    crs_cuts: FloatArray
    icans_cuts: FloatArray
    use: FloatArray


def latent_slope(correlation: float) -> float:
    """Slope b of a logit on a standard normal z whose latent, b z + logistic error, correlates with z as stated."""
    return correlation / math.sqrt(1 - correlation**2) * math.pi / math.sqrt(3)


def intercept(probability: float, shifts: FloatArray, weights: FloatArray) -> float:
    """Solve sum_i w_i expit(a + s_i) = p for a; -inf for p = 0 and +inf for p = 1.

    Parameters
    ----------
    probability
        p.
    shifts, weights
        s and w; the weights add up to 1.
    """
    if probability <= 0 or probability >= 1:
        return math.copysign(math.inf, probability - 0.5)
    middle = float(special.logit(probability))
    low, high = middle - float(shifts.max()) - 1, middle - float(shifts.min()) + 1
    return float(
        optimize.brentq(lambda a: float(weights @ special.expit(a + shifts)) - probability, low, high, xtol=1e-14, rtol=1e-14)
    )


def grade_shares(exceedance: FloatArray) -> FloatArray:
    """Probabilities of grades 0 to 4 from those of grade >= 1, ..., >= 4 (last axis)."""
    one, zero = np.ones(exceedance.shape[:-1]), np.zeros(exceedance.shape[:-1])
    return -np.diff(np.stack([one, *np.moveaxis(exceedance, -1, 0), zero], axis=-1), axis=-1)


@lru_cache(maxsize=512)
def solve_cell(
    crs: tuple[float, ...],
    icans: tuple[float, ...],
    per_expansion: float,
    per_crs_grade: float,
    drugs: tuple[UseLaw, ...],
) -> CellLaws:
    """Solve one disease and product.

    Parameters
    ----------
    crs, icans
        Marginal probabilities of grade >= 1, ..., >= 4.
    per_expansion
        Log odds of CRS per standard deviation of log Cmax.
    per_crs_grade
        Log odds of ICANS per CRS grade.
    drugs
        Laws of use.
    """
    grades = np.arange(GRADES + 1.0)
    crs_share = grade_shares(np.array(crs))
    crs_cuts = np.array([intercept(p, per_expansion * _Z, _WEIGHTS) for p in crs])
    icans_cuts = np.array([intercept(p, per_crs_grade * grades, crs_share) for p in icans])
    given = grade_shares(special.expit(icans_cuts + per_crs_grade * grades[:, None]))  # row: CRS grade
    joint = crs_share[:, None] * given
    worst = np.maximum.outer(grades, grades)
    worst_share = np.array([joint[worst == grade].sum() for grade in grades])
    use = np.empty((len(drugs), GRADES + 1))
    for row, law in zip(use, drugs, strict=True):
        shifts = law.per_grade * grades
        row[:] = special.expit(intercept(law.probability, shifts, crs_share if law.by_crs else worst_share) + shifts)
    return CellLaws(crs_cuts, icans_cuts, use)
