"""Measures of performance: Morris' example as published by rsimsum, and by hand."""

from __future__ import annotations

import csv
import math
from pathlib import Path

import numpy as np
import pytest

from cmvsim.core.records import FloatArray, Measure, Status
from cmvsim.endpoints import ENDPOINTS
from cmvsim.montecarlo import mcse
from cmvsim.montecarlo.mcse import Summary
from cmvsim.planning.claims import CLAIMS
from cmvsim.planning.performance import Replicated, Truth, link_of, null_of, performance
from cmvsim.planning.verdicts import Tolerance, tolerances, word_of
from cmvsim.qualification import closed_forms

SHARED = Path(__file__).parents[3] / "shared" / "reference" / "rsimsum_MIsim.csv"
Z = 1.959963984540054

# planning.json R82 and R84: rsimsum's MIsim (1,000 studies, true value 0.5), to 1e-6
PUBLISHED = {
    "CC": {
        "bias": 0.01676616,
        "bias_mcse": 0.00477868,
        "empse": 0.15111499,
        "empse_mcse": 0.00338072,
        "modse": 0.14709627,
        "mse": 0.02309401,
        "mse_mcse": 0.00113384,
        "relerr_modse_pct": -2.659384,
        "coverage": 0.943,
        "power": 0.946,
        "be_coverage": 0.94,
    },
    "MI_LOGT": {
        "bias": 0.0009231,
        "bias_mcse": 0.00417441,
        "empse": 0.13200644,
        "empse_mcse": 0.00295323,
        "modse": 0.13494128,
        "mse": 0.01740913,
        "mse_mcse": 0.00088128,
        "relerr_modse_pct": 2.223259,
        "coverage": 0.949,
        "power": 0.969,
        "be_coverage": 0.949,
    },
}


def replicated(estimate: FloatArray, se: FloatArray, **more: object) -> Replicated:
    ok = np.full(estimate.shape, float(Status.OK))
    return Replicated(estimate, se, estimate - Z * se, estimate + Z * se, ok, **more)  # type: ignore[arg-type]


def measured(of: Replicated, truth: float, **more: object) -> dict[Measure, Summary]:
    return dict(performance(of, Truth(truth), **more))  # type: ignore[arg-type]


@pytest.mark.skipif(not SHARED.exists(), reason="the shared reference is not here")
@pytest.mark.parametrize("method", PUBLISHED)
def test_independent_rsimsum(method: str) -> None:
    with SHARED.open(encoding="utf-8") as file:
        rows = [row for row in csv.DictReader(file) if row["method"] == method]
    assert len(rows) == 1000
    of = replicated(np.array([float(row["b"]) for row in rows]), np.array([float(row["se"]) for row in rows]))
    found = measured(of, 0.5, null=0.0)
    got = {
        "bias": found[Measure.BIAS].value,
        "bias_mcse": found[Measure.BIAS].mcse,
        "empse": found[Measure.EMPIRICAL_SE].value,
        "empse_mcse": mcse.standard_deviation(of.estimate, of.status, normal=True).mcse,
        "modse": found[Measure.MODEL_SE].value,
        "mse": found[Measure.MSE].value,
        "mse_mcse": found[Measure.MSE].mcse,
        "relerr_modse_pct": 100 * found[Measure.RELATIVE_SE_ERROR].value,
        "coverage": found[Measure.COVERAGE].value,
        "power": found[Measure.POWER].value,
        "be_coverage": found[Measure.COVERAGE_BIAS_ELIMINATED].value,
    }
    assert got == pytest.approx(PUBLISHED[method], abs=1e-6)


def test_independent_number_of_studies_for_an_error() -> None:
    """planning.json R85, from Morris 2019."""
    expected = {"coverage_95_mcse_005": 1900, "power_80_mcse_01": 1600, "worst_mcse_01": 2500}
    assert closed_forms.answer("n_sim", {}) == expected
    # ... and the error that our coverage carries after so many studies
    ok = np.full(1900, float(Status.OK))
    assert mcse.proportion(np.arange(1900) < 1805, ok).mcse == pytest.approx(0.005, rel=0.01)


def test_ratios_are_judged_on_the_log_scale() -> None:
    ratio = np.array([1.0, 2.0, 4.0, 8.0])
    of = Replicated(
        ratio, np.full(4, math.log(2)), ratio / 4, ratio * 4, np.zeros(4), link="log", scale="hazard_ratio"
    )  # intervals of +-2 log 2
    found = measured(of, 2.0, null=1.0, null_holds=True)
    middle = 2**1.5
    assert found[Measure.MEAN_ESTIMATE].value == pytest.approx(middle)
    assert found[Measure.BIAS].value == pytest.approx(math.log(middle / 2))
    assert found[Measure.RELATIVE_BIAS].value == pytest.approx(middle / 2 - 1)
    assert found[Measure.EMPIRICAL_SE].value == pytest.approx(math.log(2) * np.std([0, 1, 2, 3], ddof=1))
    assert found[Measure.MODEL_SE].value == pytest.approx(math.log(2))
    assert found[Measure.STANDARDISED_BIAS].value == pytest.approx(0.5 / np.std([0, 1, 2, 3], ddof=1))
    assert found[Measure.COVERAGE].value == 1.0  # 8/4 = 2 is the truth
    assert found[Measure.CI_WIDTH].value == pytest.approx(4 * math.log(2))
    assert found[Measure.TYPE1].value == pytest.approx(0.25)  # only 8/4 > 1
    assert Measure.POWER not in found


def test_a_p_value_is_its_own_test() -> None:
    p = np.array([0.01, 0.04, 0.06, np.nan])
    nothing = np.full(4, np.nan)
    of = Replicated(p, nothing, nothing, nothing, np.array([0.0, 0.0, 0.0, Status.NOT_ESTIMABLE]), scale="p_value")
    found = dict(performance(of, None, null=math.nan, null_holds=True))
    assert set(found) == {Measure.P_NOT_ESTIMABLE, Measure.TYPE1}
    row = found[Measure.TYPE1]
    assert (row.value, row.low, row.high) == (0.5, 0.5, 0.75)  # as planned: who failed did not reject
    assert found[Measure.P_NOT_ESTIMABLE].value == 0.25


def test_a_ratio_of_zero_is_no_number_of_a_mean_but_counts_in_coverage() -> None:
    ratio = np.array([0.0, 1.0, 1.0])
    of = Replicated(ratio, np.ones(3), np.array([0.0, 0.2, 0.2]), np.array([9.0, 5.0, 5.0]), np.ones(3), "log", "odds_ratio")
    found = measured(of, 1.0)
    assert (found[Measure.BIAS].n_ok, found[Measure.BIAS].n_failed) == (2, 1)
    assert found[Measure.COVERAGE].value == 1.0
    assert found[Measure.COVERAGE].n_ok == 3


@pytest.mark.parametrize(
    ("value", "error", "word"),
    [
        (0.95, 0.005, "holds"),
        (0.93, 0.005, "unclear"),
        (0.90, 0.005, "fails"),
        (0.999, 0.005, "holds"),
        (0.95, math.nan, "unclear"),
    ],
)
def test_verdicts_wait_for_enough_replicates(value: float, error: float, word: str) -> None:
    (coverage,) = [item for item in tolerances(0.05) if item.measure is Measure.COVERAGE]
    assert (coverage.low, coverage.high) == (pytest.approx(0.925), 1.0)
    assert word_of(value, error, coverage) == word


def test_a_tolerance_has_two_ends() -> None:
    item = Tolerance(Measure.STANDARDISED_BIAS, -0.25, 0.25, "")
    assert [word_of(x, 0.01, item) for x in (-0.3, -0.2, 0.0, 0.2, 0.3)] == ["fails", "holds", "holds", "holds", "fails"]


def test_every_estimator_that_compares_says_what_it_claims() -> None:
    comparing = {
        (name, choice.id) for name, entry in ENDPOINTS.items() for choice in entry.estimators if null_of(choice) is not None
    }
    assert set(CLAIMS) == comparing
    assert {choice.id for e in ENDPOINTS.values() for choice in e.estimators if link_of(choice) == "fisher-z"} == {
        "spearman",
        "point_biserial",
    }
