"""Search for the virology with the smallest joint misfit: how the numbers that no paper states were found.

Each candidate law solves every cohort's own incidence and timing anew, so what is fitted is the rest: how high, what
steroids do, and what another matrix sees.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from scipy import optimize

from cmvsim.calibration.joint import Bench, JointRow, sum_of_squares
from cmvsim.calibration.levers import LEVERS, Law, Lever, moved
from cmvsim.core.errors import CalibrationError
from cmvsim.core.records import FloatArray

OUT_OF_REACH = 1e3
"""Misfit of a law under which a cohort's own targets cannot be met."""


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
    evaluations: int = 200,
    weight: float = 0.1,
    tell: Callable[[int, float, Law], None] = lambda *_: None,
) -> Fit:
    """Minimise the sum of squared standardised distances over the levers (Nelder and Mead 1965).

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
        At most so many laws.
    weight
        Of the penalty: the squared distance from the start in steps of each lever. Few figures decide between many numbers;
        what they do not decide stays where it is.
    tell
        Told of every law: how many, its objective, and itself.
    """
    bench, origin = Bench(patients, names, fresh=False), dict(start or {})
    tried = 0

    def law_of(x: FloatArray) -> Law:
        law: Law = origin
        for lever, steps in zip(levers, x, strict=True):
            law = moved(law, lever, float(steps))
        return law

    def objective(x: FloatArray) -> float:
        nonlocal tried
        tried += 1
        law = law_of(x)
        try:
            value = sum_of_squares(bench.rows(law)) + weight * float(x @ x)
        except CalibrationError:
            value = OUT_OF_REACH
        tell(tried, value, law)
        return value

    zero = np.zeros(len(levers))
    before = bench.rows(law_of(zero))
    simplex = np.vstack([zero, np.eye(len(levers))])
    found = optimize.minimize(
        objective,
        zero,
        method="Nelder-Mead",
        options={"initial_simplex": simplex, "maxfev": evaluations, "xatol": 0.02, "fatol": 0.005},
    )
    best = law_of(found.x)
    return Fit(best, before, bench.rows(best), weight * float(found.x @ found.x), tried)
