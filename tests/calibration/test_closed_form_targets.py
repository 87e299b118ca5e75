"""Verdicts, distances and the curve they are read off, against hand calculation and the estimators."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cmvsim.calibration.cohort import as_planned, cumulative_incidence, median_detection, median_error, nodes
from cmvsim.calibration.targets import distance, verdict
from cmvsim.endpoints.derived import EVENT, RELAPSE
from cmvsim.estimators.competing import aalen_johansen
from cmvsim.scenarios import resolve


def logit(p: float) -> float:
    return math.log(p / (1 - p))


@pytest.mark.parametrize(
    ("achieved", "mcse", "published", "expected"),
    [
        (0.300, 0.001, (0.2, 0.4), "met"),
        (0.3057, 0.001, (0.2, 0.4), "met"),  # 4 sqrt(2) = 5.66 errors of one cohort, and 0.05% of the figure
        (0.3060, 0.001, (0.2, 0.4), "inside interval"),
        (0.2, 0.001, (0.2, 0.4), "inside interval"),
        (0.1999, 0.001, (0.2, 0.4), "out of reach"),
        (0.3060, 0.001, None, "out of reach"),
        (math.nan, math.nan, (0.2, 0.4), "not simulated"),
    ],
)
def test_verdicts(achieved: float, mcse: float, published: tuple[float, float] | None, expected: str) -> None:
    assert verdict(0.3, published, achieved, mcse) == expected


@pytest.mark.parametrize(
    ("measure", "wanted", "published", "achieved", "expected"),
    [
        (
            "share_reaching",
            0.22,
            (0.144, 0.309),
            0.20,
            (logit(0.20) - logit(0.22)) / ((logit(0.309) - logit(0.144)) / 3.919928),
        ),
        ("incidence_with_steroids", 0.5, (0.4, 0.6), 0.6, 1.959964),
        ("treated_share", 0.07, (0.02, 0.14), 0.07, 0.0),
        ("odds_ratio_steroids", 8.4, (2.4, 36.6), 4.0, math.log(4 / 8.4) / (math.log(36.6 / 2.4) / 3.919928)),
        ("peak_median", 127.0, (127 / 2, 127 * 2), 254.0, 1.959964),
        ("median_detection", 19.0, (9.0, 31.0), 19.0 * 31 / 9, 3.919928),
        ("disease_share", 0.0, (0.0, 0.0113), 0.0, 0.0),
        ("disease_share", 0.0, (0.0, 0.0113), 0.0113, 1.644854),
        ("disease_share", 0.005, (0.0, 0.011), 0.002, 0.0),
    ],
)
def test_distances(measure: str, wanted: float, published: tuple[float, float], achieved: float, expected: float) -> None:
    assert distance(measure, wanted, published, achieved) == pytest.approx(expected, rel=1e-6, abs=1e-9)


def test_a_share_of_nobody_has_a_distance() -> None:
    assert distance("share_reaching", 0.1, (0.05, 0.2), 0.0) < -20


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 2**32 - 1), st.integers(5, 60))
def test_the_curve_from_counts_is_the_aalen_johansen_estimate(seed: int, last: int) -> None:
    generator = np.random.default_rng(seed)
    n = 200
    time, cause = generator.integers(0, last + 1, n), generator.integers(0, RELAPSE + 1, n)
    exits = np.array([np.bincount(time[cause == k], minlength=last + 1) for k in range(RELAPSE + 1)], dtype=float)
    curve = cumulative_incidence(exits)
    for day in (0, last // 2, last):
        found = aalen_johansen(
            time[None].astype(float), cause[None], float(day), variance="aalen", interval="plain", level=0.95, nested=(n,)
        )
        assert curve[day] == pytest.approx(found.estimate[0, 0], abs=1e-12)


def test_the_median_is_read_off_between_visits() -> None:
    events = np.zeros(29)
    events[[7, 14, 28]] = [10, 20, 30]
    days = nodes(events)
    assert days.tolist() == [0, 7, 14, 28]
    detected = np.cumsum(events)[days.astype(int)] / 100
    assert median_detection(days, detected, 28) == 14
    assert median_detection(days, detected, 14) == pytest.approx(7 + 7 * 5 / 20)
    # 60 of 100 detected, around day 21 2.14 a day: half of sqrt(0.6 / 100) over that density
    assert median_error(days, detected, 21, 28, 100) == pytest.approx(0.5 * math.sqrt(0.6 / 100) / (0.30 / 14))


def test_jitter_is_taken_out_of_the_curve_and_nobody_is_lost() -> None:
    plan = resolve("kampouri-2024").spec.monitoring
    assert float(plan.jitter) == 1
    events = np.arange(85, dtype=float)
    moved = as_planned(events, plan)
    assert moved.sum() == events.sum()
    assert (moved[6], moved[7], moved[8], moved[9]) == (0, 6 + 7 + 8, 0, 9)
    assert (moved[83], moved[84]) == (0, 83 + 84)
    assert moved[EVENT] == events[EVENT]
