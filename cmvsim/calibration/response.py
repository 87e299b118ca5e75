"""What a small fixed cohort answers to a few unknowns, as a smooth surface that is tabulated once and inverted at will."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import product

import numpy as np

from cmvsim.core.records import BoolArray, FloatArray

ROUNDS = 60
MET = 1e-9
"""Distance in an answer that counts as none."""


@dataclass(frozen=True)
class Response:
    """Answers y of unknowns x in a box around 0, where the solved unknowns lie, as polynomials.

    A cohort answers in steps of one patient; a polynomial through a grid of them is smooth, can be inverted without another
    simulation, and is used for differences only: the unknowns that move the answers by so much from those at 0.

    Attributes
    ----------
    low, high
        (d,) corners of the box.
    powers
        (terms, d) exponents, in units of the box.
    coefficients
        (terms, answers).
    misfit
        (answers,) root mean square of what the polynomials leave of the table.
    """

    low: FloatArray
    high: FloatArray
    powers: FloatArray
    coefficients: FloatArray
    misfit: FloatArray

    @classmethod
    def of(
        cls,
        measure: Callable[[FloatArray], FloatArray],
        low: Sequence[float],
        high: Sequence[float],
        points: Sequence[int],
        degree: int,
    ) -> Response:
        """Tabulate and fit by least squares.

        Parameters
        ----------
        measure
            Answers at unknowns (d,); what is not finite is left out of the fit.
        low, high
            The box; 0 lies inside.
        points
            Of the grid in each direction, at Chebyshev nodes.
        degree
            Total degree of the polynomials.
        """
        ends = np.array(low, dtype=np.float64), np.array(high, dtype=np.float64)
        axes = [
            (a + b) / 2 - (b - a) / 2 * np.cos(np.pi * (np.arange(n) + 0.5) / n) for a, b, n in zip(*ends, points, strict=True)
        ]
        x = np.array(list(product(*axes)))
        y = np.array([measure(point) for point in x])
        kept = np.isfinite(y).all(axis=1)
        powers = np.array([p for p in product(range(degree + 1), repeat=len(axes)) if sum(p) <= degree], dtype=np.float64)
        terms = _terms(x[kept], *ends, powers)
        coefficients = np.linalg.lstsq(terms, y[kept], rcond=None)[0]
        misfit = np.sqrt(((terms @ coefficients - y[kept]) ** 2).mean(axis=0))
        return cls(*ends, powers, coefficients, misfit)

    def at(self, x: FloatArray) -> FloatArray:
        """Answers at unknowns (d,)."""
        answers: FloatArray = (_terms(x[None], self.low, self.high, self.powers) @ self.coefficients)[0]
        return answers

    def slope(self, x: FloatArray) -> float:
        """Derivative of the first answer by the first unknown."""
        return float(self._jacobian(x)[0, 0])

    def moved(self, change: FloatArray) -> tuple[FloatArray, bool]:
        """Unknowns whose answers differ by `change` (answers,) from those at 0; the nearest in the box, and whether they do.

        No change gives exactly 0. Gauss-Newton within the box, halving a step that does not help.
        """
        x = np.zeros(self.low.size)
        if not change.any():
            return x, True
        wanted = self.at(x) + change
        f = self.at(x) - wanted
        for _ in range(ROUNDS):
            if np.abs(f).max() <= MET:
                return x, True
            step = self._step(x, f)
            for _ in range(12):
                new = np.clip(x + step, self.low, self.high)
                g = self.at(new) - wanted
                if g @ g < f @ f:
                    break
                step = step / 2
            else:
                break
            settled = f @ f - g @ g <= 1e-6 * (f @ f)  # at the nearest point of the box
            x, f = new, g
            if settled:
                break
        return x, bool(np.abs(f).max() <= 1e-3)

    def _jacobian(self, x: FloatArray) -> FloatArray:
        """(answers, d) derivatives."""
        unit = _unit(self.low, self.high)
        table = (x / unit)[:, None] ** np.arange(self.powers.max() + 1)
        exponents = self.powers.astype(np.int64)
        columns = []
        for i in range(x.size):
            slopes = self.powers[:, i] / unit[i]
            for j in range(x.size):
                slopes = slopes * table[j, np.maximum(exponents[:, j] - (i == j), 0)]
            columns.append(slopes @ self.coefficients)
        return np.column_stack(columns)

    def _step(self, x: FloatArray, f: FloatArray) -> FloatArray:
        """Least squares of the linearised answers; what a bound stops stays there and the rest is solved without it."""
        jacobian = self._jacobian(x)
        free: BoolArray = np.ones(x.size, dtype=bool)
        for _ in range(x.size):
            step = np.zeros(x.size)
            step[free] = -np.linalg.lstsq(jacobian[:, free], f, rcond=None)[0]
            stopped = free & (((x <= self.low) & (step < 0)) | ((x >= self.high) & (step > 0)))
            if not stopped.any():
                break
            free &= ~stopped
            if not free.any():
                return np.zeros(x.size)
        return step


def _unit(low: FloatArray, high: FloatArray) -> FloatArray:
    """Lengths in which the polynomials are written."""
    longest: FloatArray = np.maximum(np.abs(low), np.abs(high))
    return longest


def _terms(x: FloatArray, low: FloatArray, high: FloatArray, powers: FloatArray) -> FloatArray:
    """Monomials in units of the box: (points, terms)."""
    scaled = x / _unit(low, high)
    terms: FloatArray = np.prod(scaled[:, None, :] ** powers[None], axis=2)
    return terms
