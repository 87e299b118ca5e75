"""Every check of the cases on recurrent events, paths, intervals, repeated measurements and costs is handled."""

from __future__ import annotations

import pytest
import test_costs
import test_gee
import test_interval_censored
import test_interval_parametric
import test_mixed_model
import test_multistate
import test_recurrent
from estimators_reference import shared_checks
from longitudinal_reference import cases
from regression_reference import checks

CASES = ("07", "13", "16", "44", "46")
# Andersen-Gill and Prentice-Williams-Peterson are start-stop Cox regressions with clusters and strata
HANDLED = [
    *(c for c in checks(("cox",)) if c.case.startswith("07")),
    *test_recurrent.REFERENCE,
    *test_multistate.REFERENCE,
    *test_interval_censored.REFERENCE,
    *test_gee.REFERENCE,
    *test_mixed_model.REFERENCE,
    *test_costs.REFERENCE,
    *test_interval_parametric.CHECKS,
]


def test_every_check_is_handled() -> None:
    if not shared_checks():
        pytest.skip("the shared reference folder is absent")
    listed = {str(c) for c in cases(*CASES)}
    assert {c.split("_")[0] for c in listed} == set(CASES)
    handled = {str(c) for c in HANDLED}
    assert handled == listed
    assert {"07_bladder_recurrent-AG", "07_bladder_recurrent-PWP_gap", "46_cost_censoring-ipcw_if_se"} <= handled


def test_the_cost_case_travels_with_the_tests() -> None:
    assert len(cases("46")) == 7
