"""Estimators: pure, batched functions from arrays with a leading replicate axis to ``Estimates``.

Nothing is compiled on import: numba is loaded by :mod:`cmvsim.estimators.kernels` at the first call that
needs it, and the compiled code is cached on disk.
"""

from cmvsim.estimators.association import Correlation, kendall, pearson, spearman
from cmvsim.estimators.attributable_cost import AttributableCost, attributable_cost
from cmvsim.estimators.bootstrap import Bootstrap, bootstrap, resampling_counts, resampling_indices
from cmvsim.estimators.competing import (
    CumulativeIncidenceCurve,
    aalen_johansen,
    cumulative_incidence_curve,
)
from cmvsim.estimators.contrasts import NumberNeeded, difference_of_risks, number_needed_to_treat, ratio_of_risks
from cmvsim.estimators.cost_regression import cost_difference
from cmvsim.estimators.costs import ever_never_difference, mean_cost, uncensored_probability
from cmvsim.estimators.cox import CoxFit, cox
from cmvsim.estimators.fine_gray import FineGrayFit, fine_gray
from cmvsim.estimators.fine_gray_extended import CompetingRows, expand_competing, fine_gray_extended
from cmvsim.estimators.fisher import FisherTest, fisher_exact
from cmvsim.estimators.gee import GeeFit, gee, gee_working
from cmvsim.estimators.group_tests import GroupTest, gray, logrank
from cmvsim.estimators.hazards import cumulative_hazard, fleming_harrington_survival
from cmvsim.estimators.interval_censored import IntervalCensoredFit, interval_censored
from cmvsim.estimators.interval_parametric import IntervalRegressionFit, interval_regression
from cmvsim.estimators.intervals import limits, normal_quantile
from cmvsim.estimators.landmark import Landmark, landmark
from cmvsim.estimators.logistic import CoefficientTest, LogisticFit, likelihood_ratio_test, logistic
from cmvsim.estimators.mixed_model import MixedModelFit, mixed_model
from cmvsim.estimators.multistate import TransitionProbabilities, transition_probabilities
from cmvsim.estimators.prediction import PredictedIncidence, predict_cause_specific, predict_fine_gray
from cmvsim.estimators.proportions import proportion, proportion_limits, proportion_test
from cmvsim.estimators.quantiles import SurvivalQuantile, survival_quantile
from cmvsim.estimators.recurrent import mean_cumulative
from cmvsim.estimators.relative_risk import RelativeRiskFit, relative_risk
from cmvsim.estimators.restricted_mean import restricted_mean_survival_time, restricted_mean_time_lost
from cmvsim.estimators.standardisation import StandardisedRisks, standardised_risks
from cmvsim.estimators.stratified import mantel_haenszel, mantel_haenszel_test
from cmvsim.estimators.survival import SurvivalCurve, kaplan_meier, survival_curve
from cmvsim.estimators.two_proportions import TableTest, chi_square, odds_ratio, phi_coefficient, risk_difference, risk_ratio
from cmvsim.estimators.two_samples import MeanDifference, RankSum, rank_sum, welch

__all__ = [
    "AttributableCost",
    "Bootstrap",
    "CoefficientTest",
    "CompetingRows",
    "Correlation",
    "CoxFit",
    "CumulativeIncidenceCurve",
    "FineGrayFit",
    "FisherTest",
    "GeeFit",
    "GroupTest",
    "IntervalCensoredFit",
    "IntervalRegressionFit",
    "Landmark",
    "LogisticFit",
    "MeanDifference",
    "MixedModelFit",
    "NumberNeeded",
    "PredictedIncidence",
    "RankSum",
    "RelativeRiskFit",
    "StandardisedRisks",
    "SurvivalCurve",
    "SurvivalQuantile",
    "TableTest",
    "TransitionProbabilities",
    "aalen_johansen",
    "attributable_cost",
    "bootstrap",
    "chi_square",
    "cost_difference",
    "cox",
    "cumulative_hazard",
    "cumulative_incidence_curve",
    "difference_of_risks",
    "ever_never_difference",
    "expand_competing",
    "fine_gray",
    "fine_gray_extended",
    "fisher_exact",
    "fleming_harrington_survival",
    "gee",
    "gee_working",
    "gray",
    "interval_censored",
    "interval_regression",
    "kaplan_meier",
    "kendall",
    "landmark",
    "likelihood_ratio_test",
    "limits",
    "logistic",
    "logrank",
    "mantel_haenszel",
    "mantel_haenszel_test",
    "mean_cost",
    "mean_cumulative",
    "mixed_model",
    "normal_quantile",
    "number_needed_to_treat",
    "odds_ratio",
    "pearson",
    "phi_coefficient",
    "predict_cause_specific",
    "predict_fine_gray",
    "proportion",
    "proportion_limits",
    "proportion_test",
    "rank_sum",
    "ratio_of_risks",
    "relative_risk",
    "resampling_counts",
    "resampling_indices",
    "restricted_mean_survival_time",
    "restricted_mean_time_lost",
    "risk_difference",
    "risk_ratio",
    "spearman",
    "standardised_risks",
    "survival_curve",
    "survival_quantile",
    "transition_probabilities",
    "uncensored_probability",
    "welch",
]
