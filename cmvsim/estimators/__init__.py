"""Estimators: pure, batched functions from arrays with a leading replicate axis to ``Estimates``.

Nothing is compiled on import: numba is loaded by :mod:`cmvsim.estimators.kernels` at the first call that
needs it, and the compiled code is cached on disk.
"""

from cmvsim.estimators.attributable_cost import AttributableCost, attributable_cost
from cmvsim.estimators.competing import (
    CumulativeIncidenceCurve,
    aalen_johansen,
    cumulative_incidence_curve,
)
from cmvsim.estimators.cost_regression import cost_difference
from cmvsim.estimators.costs import ever_never_difference, mean_cost, uncensored_probability
from cmvsim.estimators.cox import CoxFit, cox
from cmvsim.estimators.fine_gray import FineGrayFit, fine_gray
from cmvsim.estimators.gee import GeeFit, gee, gee_working
from cmvsim.estimators.group_tests import GroupTest, gray, logrank
from cmvsim.estimators.interval_censored import IntervalCensoredFit, interval_censored
from cmvsim.estimators.intervals import limits, normal_quantile
from cmvsim.estimators.logistic import LogisticFit, logistic
from cmvsim.estimators.mixed_model import MixedModelFit, mixed_model
from cmvsim.estimators.multistate import TransitionProbabilities, transition_probabilities
from cmvsim.estimators.proportions import proportion, proportion_limits
from cmvsim.estimators.recurrent import mean_cumulative
from cmvsim.estimators.survival import SurvivalCurve, kaplan_meier, survival_curve

__all__ = [
    "AttributableCost",
    "CoxFit",
    "CumulativeIncidenceCurve",
    "FineGrayFit",
    "GeeFit",
    "GroupTest",
    "IntervalCensoredFit",
    "LogisticFit",
    "MixedModelFit",
    "SurvivalCurve",
    "TransitionProbabilities",
    "aalen_johansen",
    "attributable_cost",
    "cost_difference",
    "cox",
    "cumulative_incidence_curve",
    "ever_never_difference",
    "fine_gray",
    "gee",
    "gee_working",
    "gray",
    "interval_censored",
    "kaplan_meier",
    "limits",
    "logistic",
    "logrank",
    "mean_cost",
    "mean_cumulative",
    "mixed_model",
    "normal_quantile",
    "proportion",
    "proportion_limits",
    "survival_curve",
    "transition_probabilities",
    "uncensored_probability",
]
