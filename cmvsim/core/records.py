"""Result records that travel between layers: what an estimator returns, what is measured, what was asked."""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum, StrEnum
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cmvsim.core.canonical import digest

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]
BoolArray = NDArray[np.bool_]

NUMBERS_VERSION = 4
"""Raised when the same request gives other numbers; part of every request, listed in CHANGELOG under Changed numbers."""


class Status(IntEnum):
    """How an estimate came about, per replicate."""

    OK = 0
    NO_EVENTS = 1  # estimate 0; the interval is a documented exact bound
    ALL_EVENTS = 2  # estimate 1; the interval is a documented exact bound
    EMPTY = 3  # nobody entered the analysis
    NOT_ESTIMABLE = 4
    SEPARATION = 5
    NOT_CONVERGED = 6
    RAISED = 7  # the replicate raised; kept with its seed and message

    @property
    def usable(self) -> bool:
        """Whether estimate and interval exist."""
        return self in (Status.OK, Status.NO_EVENTS, Status.ALL_EVENTS)


@dataclass(frozen=True, slots=True)
class Estimates:
    """What an estimator returns: every array has the same leading (replicate) axes.

    Attributes
    ----------
    estimate, se, ci_low, ci_high
        float64; NaN where the status says there is none. `se` is on the scale named by `se_scale`.
    n
        Patients who entered the analysis.
    events
        Events of interest that count.
    status
        :class:`Status` codes, int64.
    level
        Confidence level of the interval.
    se_scale
        "plain" unless said otherwise.
    method
        The variance and interval by name, e.g. "aalen variance, cloglog interval".
    """

    estimate: FloatArray
    se: FloatArray
    ci_low: FloatArray
    ci_high: FloatArray
    n: IntArray
    events: IntArray
    status: IntArray
    level: float
    method: str
    se_scale: str = "plain"


class Measure(StrEnum):
    """The enumerated measures of ``results.json``."""

    MEAN_ESTIMATE = "mean_estimate"
    EMPIRICAL_SE = "empirical_se"
    MODEL_SE = "model_se"
    HALF_WIDTH = "half_width"
    HALF_WIDTH_Q80 = "half_width_q80"
    P_HALF_WIDTH_LE = "p_half_width_le"
    BIAS = "bias"
    BIAS_LATENT = "bias_latent"
    COVERAGE = "coverage"
    COVERAGE_LATENT = "coverage_latent"
    EXPECTED_EVENTS = "expected_events"
    EXPECTED_EVALUABLE = "expected_evaluable"
    EXPECTED_SAMPLES = "expected_samples"
    P_NO_EVENT = "p_no_event"
    P_NOT_ESTIMABLE = "p_not_estimable"
    UPPER_BOUND_NO_EVENT = "upper_bound_no_event"
    MEAN_DURATION = "mean_duration"  # days from the start to the last enrolment, of studies that enrol all
    DURATION_QUANTILE = "duration_quantile"  # `at` is the level, over all studies
    LAST_VISIT_QUANTILE = "last_visit_quantile"
    P_ENROLLED_BY = "p_enrolled_by"  # all patients; `at` is the day
    EXPECTED_ENROLLED = "expected_enrolled"
    EXPECTED_SITES_OPEN = "expected_sites_open"
    EXPECTED_SCREENED = "expected_screened"
    SCREENED_QUANTILE = "screened_quantile"
    SHARE_ENROLLED = "share_enrolled"  # at a group of sites
    P_STOP_EFFICACY = "p_stop_efficacy"  # at the look named by `term`, of all studies
    P_STOP_FUTILITY = "p_stop_futility"
    P_STOP_HARM = "p_stop_harm"
    EXPECTED_N = "expected_n"  # patients enrolled when the study stops
    EXPECTED_DURATION = "expected_duration"  # days from the start of the study to its decision
    EXPECTED_OVERRUN = "expected_overrun"  # patients enrolled at the stop whose follow-up was not complete
    CRITICAL_EVENTS = "critical_events"  # the exact test rejects with so many events or fewer, or more
    LOOK_DAY = "look_day"
    LOOK_EVENTS = "look_events"
    BOUNDARY = "boundary"  # of Z, for efficacy
    BOUNDARY_FUTILITY = "boundary_futility"
    RELATIVE_BIAS = "relative_bias"
    STANDARDISED_BIAS = "standardised_bias"  # bias over the empirical SE
    RELATIVE_SE_ERROR = "relative_se_error"  # model SE over empirical SE, minus 1
    MSE = "mse"
    COVERAGE_BIAS_ELIMINATED = "coverage_bias_eliminated"  # of the mean estimate
    CI_WIDTH = "ci_width"
    TYPE1 = "type1"  # share of replicates that reject a true null
    POWER = "power"
    P_AGAINST = "p_against"  # share of studies in which the opposite of what is wanted is significant
    NNT = "nnt"  # number needed to treat at the mean difference of risks
    EXPECTED_PATIENTS = "expected_patients"  # assigned to an arm


@dataclass(frozen=True, slots=True)
class Request:
    """What was asked: everything that may change a number, and nothing that may not.

    Jobs, backend and output place are no part of it.
    """

    verb: str
    scenario: str
    scenario_digest: str
    content: dict[str, Any]
    seed: int
    numbers_version: int = NUMBERS_VERSION

    def as_dict(self) -> dict[str, Any]:
        """JSON-ready form."""
        return {
            "verb": self.verb,
            "scenario": self.scenario,
            "scenario_digest": self.scenario_digest,
            **self.content,
            "seed": self.seed,
            "numbers_version": self.numbers_version,
        }

    @property
    def digest(self) -> str:
        """SHA-256 of the canonical form."""
        return digest(self.as_dict())
