"""Estimators: pure, batched functions from arrays with a leading replicate axis to ``Estimates``.

Nothing is compiled on import: numba is loaded by :mod:`cmvsim.estimators.kernels` at the first call that
needs it, and the compiled code is cached on disk.
"""

from cmvsim.estimators.competing import (
    CumulativeIncidenceCurve,
    aalen_johansen,
    cumulative_incidence_curve,
)
from cmvsim.estimators.intervals import limits, normal_quantile
from cmvsim.estimators.proportions import proportion, proportion_limits
from cmvsim.estimators.survival import SurvivalCurve, kaplan_meier, survival_curve

__all__ = [
    "CumulativeIncidenceCurve",
    "SurvivalCurve",
    "aalen_johansen",
    "cumulative_incidence_curve",
    "kaplan_meier",
    "limits",
    "normal_quantile",
    "proportion",
    "proportion_limits",
    "survival_curve",
]
