"""The two-arm design: what it decides, what it refuses, and that it and the comparisons agree on their scales."""

from __future__ import annotations

import numpy as np
import pytest

from cmvsim.core.errors import InputError
from cmvsim.core.records import Estimates, Status
from cmvsim.designs import DESIGNS, Surroundings, TwoArm
from cmvsim.endpoints.comparison import COMPARISONS, TESTS

ARMS = {"kind": "two_arm", "arms": ["a", "b"]}


def design(**keys):
    return TwoArm.parse({**ARMS, **keys})


def estimates(low, high, status=Status.OK):
    low, high = np.atleast_1d(np.asarray(low, float)), np.atleast_1d(np.asarray(high, float))
    counts = np.full(low.shape, 9)
    return Estimates((low + high) / 2, (high - low) / 4, low, high, counts, counts, np.full(low.shape, int(status)), 0.95, "")


def test_superiority_is_an_interval_below_no_difference():
    found = design().decide(estimates([-0.1, -0.1, 0.01], [-0.01, 0.01, 0.1]))
    assert found.met.tolist() == [True, False, False]
    assert found.against.tolist() == [False, False, True]
    ratio = design(comparison="cox").decide(estimates([0.2, 0.5, 1.2], [0.9, 1.1, 3.0]))
    assert ratio.met.tolist() == [True, False, False]
    assert ratio.against.tolist() == [False, False, True]


def test_non_inferiority_is_an_interval_below_the_margin():
    ni = design(hypothesis="non_inferiority", margin=0.05)
    assert ni.decide(estimates([-0.1, -0.02], [0.04, 0.06])).met.tolist() == [True, False]
    assert design(hypothesis="non_inferiority", margin=2, comparison="cox").decide(estimates(0.5, 1.9)).met.all()


@pytest.mark.parametrize("status", [Status.EMPTY, Status.NOT_ESTIMABLE, Status.SEPARATION, Status.NOT_CONVERGED, Status.RAISED])
def test_a_study_without_an_estimate_concludes_nothing(status):
    found = design().decide(estimates(-0.2, -0.1, status))
    assert not found.met.any()
    assert not found.against.any()
    assert not found.decided.any()


def test_the_level_of_the_interval_goes_with_alpha_and_sides():
    assert design().level == pytest.approx(0.95)
    assert design(alpha=0.025, sides=1).level == pytest.approx(0.95)
    assert design(alpha=0.05, sides=1).level == pytest.approx(0.90)
    assert design(alpha=0.05, sides=1).alpha_side == pytest.approx(0.05)


def test_arm_sizes_follow_the_ratio():
    assert design(ratio=[1, 2], block_sizes=[6]).arm_sizes(300) == (100, 200)
    assert sum(design().arm_sizes(333)) == 333


@pytest.mark.parametrize(
    ("keys", "says"),
    [
        ({"arms": ["a", "a"]}, "both arms are 'a'"),
        ({"block_sizes": [3]}, "a block of 3 cannot hold 1:1"),
        ({"ratio": [1, 2], "block_sizes": [4]}, "multiples of 3"),
        ({"margin": 0.1}, "non_inferiority"),
        ({"hypothesis": "non_inferiority"}, "needs a margin"),
        ({"hypothesis": "non_inferiority", "margin": -0.05}, "above 0"),
        ({"hypothesis": "non_inferiority", "margin": 5}, "five points"),
        ({"hypothesis": "non_inferiority", "margin": 0.9, "comparison": "cox"}, "above 1"),
        ({"alpha": 0.3, "sides": 1}, "no test"),
    ],
)
def test_what_is_no_design_is_refused_in_words(keys, says):
    with pytest.raises(InputError, match=says):
        design(**keys)


def test_names_that_the_scenario_has_not_are_told():
    around = Surroundings(("a", "c"), ("stratum",), {"x": ("risk_difference",), "y": ()}, ("x",), ("d",), 0.95, "x")
    problems = design(stratify=["site"], endpoint="y").check(around, "f", "designs.d")
    assert [(p.at, p.message) for p in problems] == [
        ("designs.d.arms", "there is no strategy 'b'"),
        ("designs.d.stratify", "patients cannot be stratified by 'site'"),
        ("designs.d.endpoint", "y cannot be compared between two arms"),
    ]
    assert not TwoArm.parse({**ARMS, "arms": ["a", "c"]}).check(around, "f", "d")


def test_design_and_comparison_agree_on_what_no_difference_is():
    """The design cannot look at the endpoints: its own list of differences must be theirs."""
    for name, item in COMPARISONS.items():
        if name not in TESTS:
            assert design(comparison=name).no_difference == item.no_difference, name


def test_the_registry_names_each_design_by_its_kind():
    assert all(name in str(kind.model_fields["kind"].annotation) for name, kind in DESIGNS.items())
