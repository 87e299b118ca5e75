"""Bootstrap of patients: how often each is drawn, from one named stream.

A resample of the study of n patients reads the first n uniforms of the stream of its number, so that it depends on nothing but
the plan's seed, its number and n: not on replicates, their order, or a larger study around it. All replicates share the
resamples; their data differ.
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np

from cmvsim.core.records import FloatArray
from cmvsim.core.streams import Kind, Role, draw, generator
from cmvsim.endpoints.analysis import AnalysisSpec

STREAM = "analysis.bootstrap"


def patient_counts(plan: AnalysisSpec, n: int) -> FloatArray | None:
    """(resamples, n) how often each of n patients is in each resample; None where the plan wants none."""
    return _counts(plan.bootstrap_seed, plan.resamples, n) if plan.resamples else None


@lru_cache(maxsize=8)
def _counts(seed: int, resamples: int, n: int) -> FloatArray:
    counts = np.empty((resamples, n))
    for number in range(resamples):
        uniform = draw(generator(seed, Role.ANALYSIS, 0, STREAM, number), Kind.UNIFORM, n)
        counts[number] = np.bincount((uniform * n).astype(np.int64), minlength=n)
    counts.setflags(write=False)
    return counts
