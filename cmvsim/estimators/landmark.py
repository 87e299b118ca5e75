"""Landmark analysis: only patients followed beyond the landmark, in the groups they belong to by then.

A patient is never in the group of something that happens later, which is what immortal-time bias comes from.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from cmvsim.core.records import FloatArray, IntArray


@dataclass(frozen=True, slots=True)
class Landmark:
    """Rows of a landmark analysis, for any estimator of event times; shapes as given.

    Attributes
    ----------
    time
        Time since the landmark; NaN for those not in the analysis.
    cause
        As given; -1 for those not in the analysis.
    exposed
        1 exposed by the landmark, 0 not yet or never, -1 not in the analysis.
    n, n_exposed
        Patients in the analysis, and exposed among them, (replicates,).
    n_before
        Patients of the data whose follow-up ended at or before the landmark: they are left out, and counted.
    """

    time: FloatArray
    cause: IntArray
    exposed: IntArray
    n: IntArray
    n_exposed: IntArray
    n_before: IntArray


def landmark(time: ArrayLike, cause: ArrayLike, exposure_time: ArrayLike, at: float) -> Landmark:
    """Choose and code the patients of a landmark analysis, replicate by replicate.

    Parameters
    ----------
    time
        Time of event or censoring, shape (replicates, patients). NaN is not in the analysis.
    cause
        Integers of the same shape: 0 censored, 1, 2, ... the causes, -1 not in the analysis.
    exposure_time
        When each patient becomes exposed, broadcast to `time`; NaN or infinite: never.
    at
        The landmark, in the unit of `time`.

    Returns
    -------
    Landmark
        Those with ``time > at``; exposed if ``exposure_time <= at``.

    Raises
    ------
    ValueError
        If shapes do not fit.
    """
    times, causes = np.asarray(time, dtype=np.float64), np.asarray(cause, dtype=np.int64)
    if times.ndim != 2 or causes.shape != times.shape:
        raise ValueError(f"time and cause must both be (replicates, patients), not {times.shape}, {causes.shape}")
    starts = np.broadcast_to(np.asarray(exposure_time, dtype=np.float64), times.shape)
    known = (causes >= 0) & ~np.isnan(times)
    stays = known & (times > at)
    exposed = np.where(stays, (starts <= at).astype(np.int64), -1)
    return Landmark(
        np.where(stays, times - at, np.nan),
        np.where(stays, causes, -1),
        exposed,
        stays.sum(axis=1),
        (exposed == 1).sum(axis=1),
        (known & ~stays).sum(axis=1),
    )
