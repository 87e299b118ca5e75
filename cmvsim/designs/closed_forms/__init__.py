"""Closed forms and exact methods of study planning, each with its source; nothing here is simulated.

Arguments that describe no study raise :class:`cmvsim.core.errors.InputError`. Sizes in patients per arm or in
events are returned unrounded where the formula is continuous; exact searches return whole numbers.
"""

from __future__ import annotations

from cmvsim.designs.closed_forms.accrual import PoissonAccrual, PoissonGammaAccrual
from cmvsim.designs.closed_forms.event_times import (
    EventSize,
    competing_risks_size,
    event_probability,
    freedman_events,
    lachin_foulkes_power,
    lachin_foulkes_size,
    logrank_size,
    schoenfeld_events,
    schoenfeld_power,
    subdistribution_size,
)
from cmvsim.designs.closed_forms.intervals import (
    BINOMIAL_METHODS,
    DIFFERENCE_METHODS,
    binomial_limits,
    poisson_limits,
    risk_difference_limits,
)
from cmvsim.designs.closed_forms.one_sample import (
    BinomialSizes,
    BinomialTest,
    binomial_test,
    binomial_test_sizes,
    t_test_patients,
    t_test_power,
)
from cmvsim.designs.closed_forms.other import (
    Detection,
    negative_binomial_size,
    normal_assurance,
    replicates_for_mcse,
    visit_detection,
)
from cmvsim.designs.closed_forms.precision import (
    IntervalPerformance,
    PrecisionSizes,
    binomial_coverage,
    incidence_interval_performance,
    precision_sizes,
)
from cmvsim.designs.closed_forms.two_proportions import (
    EXACT_TESTS,
    ArmSizes,
    rejection_probability,
    two_arm_exact_power,
    two_arm_rejections,
    two_proportions_power,
    two_proportions_size,
)
from cmvsim.designs.closed_forms.two_stage import (
    SimonDesign,
    SimonDesigns,
    StageProbabilities,
    sequential_binomial,
    simon_two_stage,
)

__all__ = [
    "BINOMIAL_METHODS",
    "DIFFERENCE_METHODS",
    "EXACT_TESTS",
    "ArmSizes",
    "BinomialSizes",
    "BinomialTest",
    "Detection",
    "EventSize",
    "IntervalPerformance",
    "PoissonAccrual",
    "PoissonGammaAccrual",
    "PrecisionSizes",
    "SimonDesign",
    "SimonDesigns",
    "StageProbabilities",
    "binomial_coverage",
    "binomial_limits",
    "binomial_test",
    "binomial_test_sizes",
    "competing_risks_size",
    "event_probability",
    "freedman_events",
    "incidence_interval_performance",
    "lachin_foulkes_power",
    "lachin_foulkes_size",
    "logrank_size",
    "negative_binomial_size",
    "normal_assurance",
    "poisson_limits",
    "precision_sizes",
    "rejection_probability",
    "replicates_for_mcse",
    "risk_difference_limits",
    "schoenfeld_events",
    "schoenfeld_power",
    "sequential_binomial",
    "simon_two_stage",
    "subdistribution_size",
    "t_test_patients",
    "t_test_power",
    "two_arm_exact_power",
    "two_arm_rejections",
    "two_proportions_power",
    "two_proportions_size",
    "visit_detection",
]
