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
from scipy import special

from cmvsim.core.bracketed_newton import bracketed_newton
from cmvsim.core.records import FloatArray

GRADES = 4
HALF_WIDTH, STEP = 8.5, 0.4
"""Reach of the trapezoidal rule of the standard normal, and its step for slopes up to 1."""


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


def normal_rule(slope: float) -> tuple[FloatArray, FloatArray]:
    """Nodes and weights of the trapezoidal rule of the standard normal, for expit(a + slope z).

    Its error decays like exp(-2 pi d / step + d^2 / 2) with the distance d = pi / slope of the poles, up to d = 2 pi / step:
    below rounding with this step for every slope, where Gauss-Hermite rules are not.
    """
    step = STEP / max(abs(slope), 1.0)
    z = np.arange(-HALF_WIDTH, HALF_WIDTH + step / 2, step)
    density = np.exp(-(z**2) / 2)
    return z, density / density.sum()


def intercepts(probability: FloatArray, shifts: FloatArray, weights: FloatArray) -> FloatArray:
    """Solve sum_i w_i expit(a + s_i) = p for a, row by row; -inf for p = 0 and +inf for p = 1.

    Parameters
    ----------
    probability
        (n,) p.
    shifts, weights
        s and w, (m,) or (n, m); the weights add up to 1.

    Notes
    -----
    Newton's method for the logit of the left-hand side, whose derivative by a lies between 0 and 1.
    """
    found = np.where(probability < 0.5, -np.inf, np.inf)
    inside = np.flatnonzero((probability > 0) & (probability < 1))
    if inside.size == 0:
        return found
    s, w = (np.broadcast_to(x, (probability.size, x.shape[-1]))[inside] for x in (shifts, weights))
    wanted = special.logit(probability[inside])

    def excess(a: FloatArray) -> tuple[FloatArray, FloatArray]:
        chance, other = special.expit(a[:, None] + s), special.expit(-a[:, None] - s)
        reached, missed = (w * chance).sum(axis=1), (w * other).sum(axis=1)
        return np.log(reached / missed) - wanted, (w * chance * other).sum(axis=1) / (reached * missed)

    found[inside] = bracketed_newton(
        excess, wanted - s.max(axis=1) - 1, wanted - s.min(axis=1) + 1, wanted - (w * s).sum(axis=1)
    )
    return found


def intercept(probability: float, shifts: FloatArray, weights: FloatArray) -> float:
    """:func:`intercepts` of one probability."""
    return float(intercepts(np.array([probability]), shifts, weights)[0])


def grade_shares(exceedance: FloatArray) -> FloatArray:
    """Probabilities of grades 0 to 4 from those of grade >= 1, ..., >= 4 (last axis)."""
    one, zero = np.ones(exceedance.shape[:-1]), np.zeros(exceedance.shape[:-1])
    return -np.diff(np.stack([one, *np.moveaxis(exceedance, -1, 0), zero], axis=-1), axis=-1)


@dataclass(frozen=True, slots=True)
class CellMarginals:
    """What is published of one disease and product.

    Attributes
    ----------
    crs, icans
        Marginal probabilities of grade >= 1, ..., >= 4.
    drugs
        Laws of use.
    """

    crs: tuple[float, ...]
    icans: tuple[float, ...]
    drugs: tuple[UseLaw, ...]


def solve_cell(
    crs: tuple[float, ...],
    icans: tuple[float, ...],
    per_expansion: float,
    per_crs_grade: float,
    drugs: tuple[UseLaw, ...],
) -> CellLaws:
    """Solve one disease and product, see :func:`solve_cells`."""
    return solve_cells((CellMarginals(crs, icans, drugs),), per_expansion, per_crs_grade)[0]


@lru_cache(maxsize=128)
def solve_cells(cells: tuple[CellMarginals, ...], per_expansion: float, per_crs_grade: float) -> tuple[CellLaws, ...]:
    """Solve all diseases and products together.

    Parameters
    ----------
    cells
        With laws of the same drugs.
    per_expansion
        Log odds of CRS per standard deviation of log Cmax.
    per_crs_grade
        Log odds of ICANS per CRS grade.
    """
    grades, n = np.arange(GRADES + 1.0), len(cells)
    crs, icans = np.array([cell.crs for cell in cells]), np.array([cell.icans for cell in cells])
    crs_share = grade_shares(crs)
    z, density = normal_rule(per_expansion)
    crs_cuts = intercepts(crs.ravel(), per_expansion * z, density).reshape(n, GRADES)
    by_grade = np.repeat(crs_share, GRADES, axis=0)
    icans_cuts = intercepts(icans.ravel(), per_crs_grade * grades, by_grade).reshape(n, GRADES)
    given = grade_shares(special.expit(icans_cuts[:, None] + per_crs_grade * grades[:, None]))  # row: CRS grade
    joint = crs_share[:, :, None] * given
    worst = np.maximum.outer(grades, grades)
    worst_share = np.stack([joint[:, worst == grade].sum(axis=1) for grade in grades], axis=1)
    laws = [(k, law) for k, cell in enumerate(cells) for law in cell.drugs]
    use = np.empty((0, GRADES + 1))
    if laws:
        shifts = np.array([law.per_grade for _, law in laws])[:, None] * grades
        share = np.stack([crs_share[k] if law.by_crs else worst_share[k] for k, law in laws])
        chance = np.array([law.probability for _, law in laws])
        use = special.expit(intercepts(chance, shifts, share)[:, None] + shifts)
    return tuple(CellLaws(*parts) for parts in zip(crs_cuts, icans_cuts, use.reshape(n, -1, GRADES + 1), strict=True))
