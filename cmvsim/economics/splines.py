"""Penalised cubic splines in one input, in coordinates where data and roughness are both diagonal.

The basis is that of B-splines with knots at quantiles of the distinct values, the penalty the integral of the squared second
derivative (Wood SN, Generalized Additive Models, 2nd ed. 2017, chapter 5). It is rotated (Demmler and Reinsch) so that its
columns have mean 0, are orthonormal over the draws, and each has one number for its roughness, the smoothest first: shrinking
is then a product by column, and products of the first columns of two inputs are their smoothest interactions.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.interpolate import BSpline
from scipy.linalg import eigh

from cmvsim.core.records import FloatArray

SIZE = 12
"""Columns at most of a spline in one input; the penalty, not this number, decides how smooth it is."""

FLAT = 1e-10
"""Of the largest eigenvalue: directions below it hold no information on the draws."""


@dataclass(frozen=True, eq=False, slots=True)
class SplineBasis:
    """Basis of a smooth function of one input, without the constant.

    Attributes
    ----------
    columns
        (draws, p): mean 0 and orthonormal over the draws (mean of products 0 or 1).
    roughness
        (p,): the integral of the squared second derivative of each column, inputs scaled to [0, 1]; 0 for a straight line.
    """

    columns: FloatArray
    roughness: FloatArray
    low: float
    high: float
    knots: FloatArray
    degree: int
    rotation: FloatArray
    shift: FloatArray

    def at(self, x: FloatArray) -> FloatArray:
        """The columns at other values of the input, which are clipped to its range: (points, p)."""
        if not self.columns.shape[1]:
            return np.empty((x.size, 0))
        return _b_splines(_scaled(x, self.low, self.high), self.knots, self.degree) @ self.rotation - self.shift


def spline_basis(x: FloatArray, size: int = SIZE) -> SplineBasis:
    """Basis for the draws of one input.

    Parameters
    ----------
    x
        (draws,), finite.
    size
        Columns at most, 1 a straight line; an input of few distinct values has fewer, a constant none.
    """
    low, high = float(x.min()), float(x.max())
    distinct = np.unique(_scaled(x, low, high)) if high > low else np.zeros(1)
    if distinct.size < 2:
        return SplineBasis(np.empty((x.size, 0)), np.empty(0), low, high, np.empty(0), 0, np.empty((0, 0)), np.empty(0))
    degree = min(3, size, distinct.size - 1)
    inside = max(0, min(size + 1, distinct.size) - degree - 1)
    inner = np.unique(np.quantile(distinct, np.arange(1, inside + 1) / (inside + 1)))
    knots = np.concatenate([np.zeros(degree + 1), inner, np.ones(degree + 1)])
    raw = _b_splines(_scaled(x, low, high), knots, degree)
    shift = raw.mean(axis=0)
    centred = raw - shift
    whiten = whitening(centred.T @ centred / x.size)
    roughness, turn = eigh(whiten.T @ _second_derivatives(knots, degree) @ whiten)
    rotation = whiten @ turn
    return SplineBasis(centred @ rotation, np.maximum(roughness, 0), low, high, knots, degree, rotation, shift @ rotation)


def whitening(gram: FloatArray) -> FloatArray:
    """W (p, r) with W' gram W = 1, leaving out directions without information."""
    values, vectors = eigh(gram)
    kept = values > FLAT * max(float(values[-1]), 0.0) if values.size else np.zeros(0, dtype=bool)
    return vectors[:, kept] / np.sqrt(values[kept])


def _scaled(x: FloatArray, low: float, high: float) -> FloatArray:
    return np.clip((x - low) / (high - low), 0.0, 1.0)


def _b_splines(x: FloatArray, knots: FloatArray, degree: int) -> FloatArray:
    matrix: FloatArray = BSpline.design_matrix(x, knots, degree).toarray()
    return matrix


def _second_derivatives(knots: FloatArray, degree: int) -> FloatArray:
    """Integrals of products of second derivatives of the B-splines, exact: they are straight lines between the knots."""
    count = knots.size - degree - 1
    if degree < 2:
        return np.zeros((count, count))
    breaks = np.unique(knots)
    nodes, weights = np.polynomial.legendre.leggauss(2)
    half = np.diff(breaks) / 2
    points = (breaks[:-1, None] + half[:, None] * (1 + nodes)).ravel()
    second = BSpline(knots, np.eye(count), degree).derivative(2)(points)
    integral: FloatArray = np.einsum("q,qi,qj->ij", (half[:, None] * weights).ravel(), second, second)
    return integral
