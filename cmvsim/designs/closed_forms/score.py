"""Two proportions whose difference is fixed: maximum likelihood, as score tests need it."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from cmvsim.core.records import FloatArray


def constrained_proportions(
    p1: ArrayLike, p2: ArrayLike, ratio: ArrayLike, difference: ArrayLike
) -> tuple[FloatArray, FloatArray]:
    """Maximum-likelihood proportions q1, q2 with q1 - q2 = `difference`.

    Parameters
    ----------
    p1, p2
        Observed (or expected) proportions.
    ratio
        Patients of arm 2 per patient of arm 1.
    difference
        Fixed difference, in [-1, 1].

    Returns
    -------
    q1, q2
        float64 of the broadcast shape.

    Notes
    -----
    Farrington and Manning, Statistics in Medicine 9 (1990) 1447-1454, and Miettinen and Nurminen (1985), solve a
    cubic for this. The log-likelihood is concave in q2, so its slope is halved here: no branch of the cubic can be
    the wrong one.
    """
    a, b, r, d = np.broadcast_arrays(*(np.asarray(v, dtype=np.float64) for v in (p1, p2, ratio, difference)))
    low, high = np.maximum(0.0, -d), np.minimum(1.0, 1.0 - d)
    with np.errstate(divide="ignore", invalid="ignore"):
        for _ in range(60):
            q = (low + high) / 2.0
            slope = a / (q + d) - (1.0 - a) / (1.0 - q - d) + r * (b / q - (1.0 - b) / (1.0 - q))
            low, high = np.where(slope > 0, q, low), np.where(slope > 0, high, q)
    pooled = (a + r * b) / (1.0 + r)
    q2 = np.where(d == 0.0, pooled, (low + high) / 2.0)
    return np.clip(q2 + d, 0.0, 1.0), q2
