"""Planning numbers of gsDesign, rpact, presize, Stata, East and complete enumerations, each to its own tolerance."""

from __future__ import annotations

import copy

import numpy as np
import pytest
from planning_reference import COPY, SHARED, Case, answer, cases

COPIED = cases(COPY)
IN_SHARED = cases(SHARED)


def _check(case: Case) -> None:
    got = answer(case)
    for key, expected in case["expected"].items():
        np.testing.assert_allclose(got[key], expected, rtol=0, atol=case["tol"] + 1e-12, err_msg=f"{case['id']} {key}")


def test_the_copy_holds_every_kind_and_names_its_sources() -> None:
    assert len(COPIED) == 65
    assert len({case["kind"] for case in COPIED}) == 23
    assert all(case["source"] for case in COPIED)


@pytest.mark.parametrize("case", COPIED, ids=[case["id"] for case in COPIED])
def test_copied_number(case: Case) -> None:
    _check(case)


@pytest.mark.skipif(not IN_SHARED, reason="the shared reference folder is not here")
def test_shared_numbers_all() -> None:
    assert {case["id"] for case in IN_SHARED} == {case["id"] for case in COPIED}
    for case in IN_SHARED:
        _check(case)


@pytest.mark.parametrize("case", COPIED, ids=[case["id"] for case in COPIED])
def test_a_wrong_number_is_noticed(case: Case) -> None:
    """Every expected value, moved by three tolerances, must fail."""
    wrong = copy.deepcopy(case)
    step = 3 * case["tol"] if case["tol"] else 1
    for key, value in case["expected"].items():
        wrong["expected"] = {key: (np.asarray(value) + step).tolist()}
        with pytest.raises(AssertionError):
            _check(wrong)
