"""Search for the virology with the smallest joint misfit: how the numbers that no paper states were found.

Each candidate law solves every cohort's own incidence and timing anew, so what is fitted is the rest: how high, what
steroids do, and what another matrix sees.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from cmvsim.calibration.joint import Bench, JointRow
from cmvsim.calibration.levers import LEVERS, Law, Lever, moved
from cmvsim.core.errors import CalibrationError
from cmvsim.core.records import FloatArray

PROBE = 0.5
"""Steps of a lever over which its slope is taken."""
LONGEST = 2.0
"""Length of a move, in steps of the levers, at most."""
SHORTEST, GAIN = 0.02, 0.005
"""The search ends with a move shorter than this, or one that gains less."""


@dataclass(frozen=True, slots=True)
class Fit:
    """The best law found.

    Attributes
    ----------
    law
        Entries of the evidence catalogue that it replaces.
    before, after
        The figures under the law started from, and under the best one, on the patients searched on.
    penalty
        Of the best law, see :func:`fit`.
    evaluations
        Laws tried.
    """

    law: Law
    before: tuple[JointRow, ...]
    after: tuple[JointRow, ...]
    penalty: float
    evaluations: int


def fit(
    names: Sequence[str] | None = None,
    *,
    levers: Sequence[Lever] = LEVERS,
    start: Law | None = None,
    patients: int = 32_768,
    evaluations: int = 60,
    weight: float = 0.1,
    tell: Callable[[int, float, Law], None] = lambda *_: None,
) -> Fit:
    """Minimise the sum of squared standardised distances over the levers (Gauss-Newton, moves halved until they gain).

    Parameters
    ----------
    names
        Cohorts; default all.
    levers
        What may move; the start keeps the rest.
    start
        Law to start from; default the catalogue's.
    patients
        Of each cohort, the same for all laws.
    evaluations
        No further move is begun once so many laws have been tried.
    weight
        Of the penalty: the squared distance from the start in steps of each lever. Few figures decide between many numbers;
        what they do not decide stays where it is.
    tell
        Told of every law: how many, its objective (infinite where a cohort's own targets cannot be met), and itself.
    """
    search = _Search(Bench(patients, names, fresh=False), tuple(levers), dict(start or {}), weight, tell)
    x = np.zeros(len(levers))
    z = search.distances(x)
    before = search.rows
    while search.tried < evaluations:
        move = search.move(x, z)
        found = search.gain(x, z, move)
        if found is None:
            break
        gained = search.objective(x, z) - search.objective(*found)
        length = float(np.linalg.norm(found[0] - x))
        x, z = found
        if length < SHORTEST or gained < GAIN:
            break
    best = search.law(x)
    return Fit(best, before, search.bench.rows(best), weight * float(x @ x), search.tried)


@dataclass
class _Search:
    """The distances as a function of the levers, in steps from the start."""

    bench: Bench
    levers: tuple[Lever, ...]
    origin: Law
    weight: float
    tell: Callable[[int, float, Law], None]
    tried: int = 0
    rows: tuple[JointRow, ...] = ()

    def law(self, x: FloatArray) -> Law:
        law = self.origin
        for lever, steps in zip(self.levers, x, strict=True):
            law = moved(law, lever, float(steps))
        return law

    def objective(self, x: FloatArray, z: FloatArray) -> float:
        return float(z @ z) + self.weight * float(x @ x)

    def distances(self, x: FloatArray) -> FloatArray:
        """Distances of all figures that are simulated; infinite where a cohort's own targets are out of reach."""
        self.tried += 1
        law = self.law(x)
        try:
            self.rows = self.bench.rows(law)
            z = np.array([row.figure.distance for row in self.rows])
            z = np.where(np.isnan(z), 0.0, z)
        except CalibrationError:
            z = np.array([np.inf])
        self.tell(self.tried, self.objective(x, z), law)
        return z

    def move(self, x: FloatArray, z: FloatArray) -> FloatArray:
        """Where the distances, were they linear, would have the smallest objective; not farther than is trusted."""
        n = x.size
        slopes = np.zeros((z.size, n))
        for index in range(n):
            for step in (PROBE, -PROBE):
                there = self.distances(x + step * np.eye(n)[index])
                if np.isfinite(there).all():
                    slopes[:, index] = (there - z) / step
                    break
        penalty = np.sqrt(self.weight)
        left = np.vstack([slopes, penalty * np.eye(n)])
        move: FloatArray = np.linalg.lstsq(left, -np.concatenate([z, penalty * x]), rcond=None)[0]
        return move * min(1.0, LONGEST / max(float(np.linalg.norm(move)), 1e-12))

    def gain(self, x: FloatArray, z: FloatArray, move: FloatArray) -> tuple[FloatArray, FloatArray] | None:
        """The longest of the move, its half, its quarter, ... that gains; None if none does."""
        now = self.objective(x, z)
        while float(np.linalg.norm(move)) >= SHORTEST / 2:
            there = self.distances(x + move)
            if self.objective(x + move, there) < now:
                return x + move, there
            move = move / 2
        return None
