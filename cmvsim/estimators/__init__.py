"""Estimators: pure, batched functions from arrays with a leading replicate axis to ``Estimates``.

Nothing is compiled on import: numba is loaded by :mod:`cmvsim.estimators.kernels` at the first call that
needs it, and the compiled code is cached on disk.
"""

from cmvsim.estimators.competing import (
    CumulativeIncidenceCurve,
    aalen_johansen,
    cumulative_incidence_curve,
)
from cmvsim.estimators.cox import CoxFit, cox
from cmvsim.estimators.fine_gray import FineGrayFit, fine_gray
from cmvsim.estimators.group_tests import GroupTest, gray, logrank
from cmvsim.estimators.intervals import limits, normal_quantile
from cmvsim.estimators.logistic import LogisticFit, logistic
from cmvsim.estimators.proportions import proportion, proportion_limits
from cmvsim.estimators.survival import SurvivalCurve, kaplan_meier, survival_curve

__all__ = [
    "CoxFit",
    "CumulativeIncidenceCurve",
    "FineGrayFit",
    "GroupTest",
    "LogisticFit",
    "SurvivalCurve",
    "aalen_johansen",
    "cox",
    "cumulative_incidence_curve",
    "fine_gray",
    "gray",
    "kaplan_meier",
    "limits",
    "logistic",
    "logrank",
    "normal_quantile",
    "proportion",
    "proportion_limits",
    "survival_curve",
]
