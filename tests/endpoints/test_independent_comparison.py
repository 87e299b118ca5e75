"""Comparisons of two arms against the estimators they are made of, called by hand, and against each other."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from scipy import stats

from cmvsim.core.errors import InputError
from cmvsim.core.records import Status
from cmvsim.core.streams import Role
from cmvsim.data.study import Disposition, Samples, Study, Subjects
from cmvsim.endpoints import AnalysisSpec, endpoint
from cmvsim.endpoints.arms import arm_of, strata_of
from cmvsim.endpoints.comparison import COMPARISONS, TESTS, compared_by, comparison_choice, incidence_by_arm, of_arms
from cmvsim.endpoints.derived import GroupedBinary, GroupedTimeToEvent
from cmvsim.estimators.competing import aalen_johansen
from cmvsim.estimators.group_tests import gray, logrank
from cmvsim.estimators.two_proportions import risk_difference
from cmvsim.simulation.draws import ChunkDraws

PLAN = AnalysisSpec(endpoints=("cmv_reactivation",), window=90, arms=("control", "drug"), strata=("stratum",))
SIZES = (80, 160)


def grouped(seed=3, replicates=40, patients=160, ratio=0.6):
    """Two arms, two strata, two causes, censoring; whole days."""
    draws = ChunkDraws(seed, Role.STUDY, 0, patients, replicates)
    shape = (patients, replicates)
    u, v, w, s = (draws(name).reshape(shape).T for name in ("cmv.onset", "follow_up.loss", "follow_up.hct", "population.sex"))
    group = np.broadcast_to(np.arange(patients) % 2, u.shape).astype(np.int64)
    event, death, lost = np.ceil(120 * u / np.where(group == 1, ratio, 1)), np.ceil(400 * v), np.ceil(300 * w)
    time = np.minimum(np.minimum(event, death), np.minimum(lost, 90))
    cause = np.select([event <= time, death <= time], [1, 2], 0).astype(np.int8)
    return GroupedTimeToEvent(time, cause, group, PLAN.arms, {}, (s < 0.3).astype(np.int64))


def test_the_risk_difference_is_that_of_two_aalen_johansen_estimates():
    made = grouped()
    found = COMPARISONS["risk_difference"].compare(made, PLAN, SIZES)
    for column, n in enumerate(SIZES):
        arms = [aalen_johansen(made.time[:, :n], np.where(made.group[:, :n] == g, made.cause[:, :n], -1), 90.0) for g in (0, 1)]
        np.testing.assert_allclose(found.estimate[:, column], arms[1].estimate - arms[0].estimate, atol=1e-14)
        se = np.hypot(arms[0].se, arms[1].se)
        np.testing.assert_allclose(found.se[:, column], se, rtol=1e-12)
        np.testing.assert_allclose(found.ci_high[:, column], arms[1].estimate - arms[0].estimate + 1.959963984540054 * se)
    assert (found.n == np.array(SIZES)).all()


@pytest.mark.parametrize(
    ("name", "test", "stratified"),
    [("gray_test", gray, False), ("log_rank", logrank, False), ("log_rank_stratified", logrank, True)],
)
def test_the_interval_of_a_test_agrees_with_its_p_value(name, test, stratified):
    """|log ratio| / se is the root of the statistic, so that the interval excludes 1 exactly where p < alpha."""
    made = grouped()
    found = COMPARISONS[name].compare(made, PLAN, (160,))
    strata = made.stratum if stratified else None
    p = test(made.time, made.cause.astype(np.int64), made.group, strata=strata, n_groups=2).p_value
    z = np.log(found.estimate[:, 0]) / found.se[:, 0]
    np.testing.assert_allclose(2 * stats.norm.sf(np.abs(z)), p, rtol=1e-9)
    outside = (found.ci_high[:, 0] < 1) | (found.ci_low[:, 0] > 1)
    np.testing.assert_array_equal(outside, p < 0.05)
    assert 0.05 < outside.mean() < 0.95
    if name != "log_rank_stratified":
        printed = COMPARISONS["gray_p" if name == "gray_test" else "log_rank_p"].compare(made, PLAN, (160,))
        np.testing.assert_array_equal(printed.estimate[:, 0], p)


def test_all_comparisons_point_the_same_way():
    """A drug that prevents: every difference is below 0, every ratio below 1, on average and in most studies."""
    made = grouped(ratio=0.4)
    for name in compared_by(endpoint("cmv_reactivation")):
        item = COMPARISONS[name]
        found = item.compare(made, PLAN, (160,))
        assert (found.status == Status.OK).all(), name
        assert (found.estimate < item.no_difference).mean() > 0.9, name
        assert (found.ci_low <= found.estimate).all(), name
        assert (found.estimate <= found.ci_high).all(), name


def test_one_step_ratios_are_near_the_fitted_ones_where_the_effect_is_small():
    made = grouped(ratio=0.95, replicates=60)
    for one_step, fitted in (("log_rank", "cox"), ("log_rank_stratified", "cox_stratified"), ("gray_test", "fine_gray")):
        a, b = (np.log(COMPARISONS[name].compare(made, PLAN, (160,)).estimate[:, 0]) for name in (one_step, fitted))
        assert np.abs(a - b).max() < 0.15 * max(1.0, np.abs(b).max()), one_step
        assert np.corrcoef(a, b)[0, 1] > 0.99, one_step


def test_crude_differences_count_events_of_both_arms():
    made = grouped()
    yes, drug = made.cause == 1, made.group == 1
    counts = [(yes & drug).sum(1), drug.sum(1), (yes & ~drug).sum(1), (~drug).sum(1)]
    for name, method in (("newcombe", "newcombe"), ("miettinen_nurminen", "miettinen-nurminen"), ("farrington_manning", "mee")):
        found = COMPARISONS[name].compare(made, PLAN, (160,))
        expected = risk_difference(*counts, method=method)
        np.testing.assert_array_equal(found.ci_low[:, 0], expected.ci_low)
        np.testing.assert_array_equal(found.estimate[:, 0], expected.estimate)
    # the same of a yes-or-no variable
    binary = GroupedBinary(yes.astype(np.int8), made.group, made.groups, {}, made.stratum)
    for name in ("newcombe", "mantel_haenszel"):
        one, other = (COMPARISONS[name].compare(d, PLAN, SIZES).ci_high for d in (made, binary))
        np.testing.assert_array_equal(one, other)


def test_mantel_haenszel_weighs_the_strata():
    """One replicate by hand: sum of (a k - b m) / N over sum of m k / N."""
    made = grouped(replicates=3)
    found = COMPARISONS["mantel_haenszel"].compare(made, PLAN, (160,)).estimate[:, 0]
    for r in range(3):
        over = under = 0.0
        for s in (0, 1):
            a, m, b, k = (
                np.sum(what[r] & (made.stratum[r] == s))
                for what in (
                    (made.cause == 1) & (made.group == 1),
                    made.group == 1,
                    (made.cause == 1) & (made.group == 0),
                    made.group == 0,
                )
            )
            over += (a * k - b * m) / (m + k)
            under += m * k / (m + k)
        assert found[r] == pytest.approx(over / under, abs=1e-14)


def test_an_arm_without_events_has_a_difference_and_no_ratio_by_regression():
    made = grouped(replicates=2)
    none = replace(made, cause=np.where((made.group == 1) & (made.cause == 1), 0, made.cause).astype(np.int8))
    difference = COMPARISONS["risk_difference"].compare(none, PLAN, (160,))
    assert (difference.status == Status.OK).all()
    assert (difference.ci_high < 0).all()
    assert np.isfinite(difference.ci_low).all()
    assert (COMPARISONS["cox"].compare(none, PLAN, (160,)).status == Status.SEPARATION).all()
    assert (COMPARISONS["log_rank"].compare(none, PLAN, (160,)).status == Status.OK).all()


def study(arm, labels=("control", "drug")):
    n = len(arm)
    whole = np.zeros((1, n))
    subjects = Subjects(
        stratum=(np.arange(n)[np.newaxis] % 2).astype(np.int8),
        strata=("s", "t"),
        diseases=("leukaemia", "lymphoma"),
        covariates={"arm": np.array([arm], dtype=float)} if labels else {},
        labels={"arm": labels} if labels else {},
    )
    samples = Samples(
        np.full((1, n, 1), 30.0),
        np.full((1, n, 1), 30.0),
        np.ones((1, n, 1), np.int8),
        np.full((1, n, 1), np.nan),
        "plasma",
        150.0,
    )
    return Study(subjects, samples, Disposition(whole + 90, np.zeros((1, n), np.int8), whole + np.nan))


def test_arms_are_those_of_the_plan_in_its_order():
    made = study([0, 1, 1, np.nan])
    assert arm_of(made, PLAN)[1].tolist() == [[0, 1, 1, -1]]
    turned = PLAN.model_copy(update={"arms": ("drug", "control")})
    assert arm_of(made, turned)[1].tolist() == [[1, 0, 0, -1]]
    unsaid = PLAN.model_copy(update={"arms": ()})
    assert arm_of(made, unsaid)[0] == ("control", "drug")
    derived = comparison_choice(endpoint("cmv_reactivation"), "cox").derive(made, PLAN)
    assert derived.excluded["arm not recorded"].tolist() == [[False, False, False, True]]
    assert derived.cause.tolist() == [[0, 0, 0, -1]]


@pytest.mark.parametrize(
    ("made", "says"),
    [
        (study([0, 1], ()), "were not recorded"),
        (study([0, 1], ("control", "other")), "nobody was assigned to the arm 'drug'"),
    ],
)
def test_a_study_without_the_arms_says_so(made, says):
    with pytest.raises(InputError, match=says):
        arm_of(made, PLAN)


def test_three_arms_without_a_plan_are_not_compared():
    with pytest.raises(InputError, match="not 3"):
        arm_of(study([0, 1, 2], ("a", "b", "c")), PLAN.model_copy(update={"arms": ()}))


def test_strata_combine_factors():
    made = study([0, 1, 0, 1])
    assert strata_of(made, ("stratum",)).tolist() == [[0, 1, 0, 1]]
    assert strata_of(made, ("stratum", "disease")).tolist() == [[0, 3, 0, 3]]
    with pytest.raises(InputError, match="'sex' was not recorded"):
        strata_of(made, ("sex",))


def test_every_rate_has_comparisons_and_tests_decide_nothing():
    known = compared_by(endpoint("cmv_disease"))
    assert known[0] == "risk_difference"
    assert not TESTS & set(known)
    assert compared_by(endpoint("hrql")) == ()
    assert of_arms(endpoint("hrql"), PLAN) == ()
    assert set(compared_by(endpoint("cmv_polymerase_mutation"))) == {
        "newcombe",
        "miettinen_nurminen",
        "farrington_manning",
        "mantel_haenszel",
    }
    unstratified = {c.id for c in of_arms(endpoint("cmv_disease"), PLAN.model_copy(update={"strata": ()}))}
    assert not any(COMPARISONS[name].stratified for name in unstratified if name in COMPARISONS)


def test_the_incidence_by_arm_is_that_of_the_arm_alone():
    made = grouped()
    found = incidence_by_arm(endpoint("cmv_reactivation")).estimate(made, PLAN, SIZES)
    alone = aalen_johansen(made.time, np.where(made.group == 1, made.cause, -1), 90.0)
    np.testing.assert_allclose(found["drug"].estimate[:, 1], alone.estimate, atol=1e-14)
    assert list(found) == ["control", "drug"]


def test_a_plan_without_arms_is_written_as_before():
    plain = AnalysisSpec(endpoints=("cmv_reactivation",))
    assert not {"arms", "strata"} & set(plain.model_dump())
    assert PLAN.model_dump()["arms"] == ("control", "drug")
