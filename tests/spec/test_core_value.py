"""Values: laws between patients against scipy, quantiles of what is not known, and what each type accepts."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import TypeAdapter, ValidationError
from scipy import stats

from cmvsim.core.quantities import Count, Days, PositiveDays, Probability, VaryingDays, VaryingLog10, ViralLoad
from cmvsim.core.value import Between, Uncertain, Value

U = (np.arange(200_000) + 0.5) / 200_000
Z = stats.norm.ppf(U)


def truncated(law, low, high):
    """The law between two bounds by scipy, independent of the code under test: (mean, sd, quantile function)."""
    below = law.cdf(low) if low is not None else 0.0
    above = law.cdf(high) if high is not None else 1.0
    mass = above - below
    mean = law.expect(lambda x: x, lb=low, ub=high) / mass
    second = law.expect(lambda x: x * x, lb=low, ub=high) / mass
    return mean, math.sqrt(second - mean**2), lambda u: law.ppf(below + u * mass)


@pytest.mark.parametrize(("low", "high"), [(None, None), (0.5, None), (None, 2.0), (0.4, 1.9), (-3.0, -1.0)])
def test_truncated_normal_against_scipy(low, high):
    drawn = Between(law="normal", centre=1.2, spread=0.6, low=low, high=high).of_normal(Z)
    reference = stats.truncnorm(
        (-np.inf if low is None else (low - 1.2) / 0.6), (np.inf if high is None else (high - 1.2) / 0.6), loc=1.2, scale=0.6
    )
    assert drawn.mean() == pytest.approx(reference.mean(), abs=2e-4)
    assert drawn.std() == pytest.approx(reference.std(), rel=2e-3)
    assert drawn.min() >= (low if low is not None else -np.inf)
    assert drawn.max() <= (high if high is not None else np.inf)


@pytest.mark.parametrize(
    ("centre", "spread", "low", "high"),
    [(4.3, 0.84, 1.0, 20.0), (7.0, 0.4, 2.0, 10.0), (5.4, 1.845, None, 90.0), (3.5, 0.4, None, None), (5.0, 0.3, 6.0, None)],
)
def test_truncated_lognormal_against_scipy(centre, spread, low, high):
    drawn = Between(law="lognormal", centre=centre, spread=spread, low=low, high=high).of_normal(Z)
    mean, sd, quantile = truncated(stats.lognorm(s=spread, scale=centre), low, high)
    assert drawn.mean() == pytest.approx(mean, rel=2e-3)
    assert drawn.std() == pytest.approx(sd, rel=5e-3)
    assert np.allclose(np.quantile(drawn, [0.1, 0.5, 0.9]), quantile(np.array([0.1, 0.5, 0.9])), rtol=1e-3)


def test_between_keeps_order_and_the_untruncated_law_its_centre():
    law = Between(law="lognormal", centre=4.3, spread=0.84, low=1.0, high=20.0)
    assert np.all(np.diff(law.of_normal(Z)) >= 0)
    assert Between(law="lognormal", centre=4.3, spread=0.84).of_normal(np.zeros(1))[0] == 4.3
    assert Between(law="normal", centre=-2.0, spread=0.5).of_normal(np.array([2.0]))[0] == -1.0


def test_without_spread_all_patients_are_alike():
    assert np.all(Between(law="normal", centre=3.0, spread=0.0, low=0.0, high=5.0).of_normal(np.array([-2.0, 0.0, 2.0])) == 3.0)


@pytest.mark.parametrize(
    ("kind", "parameters", "law"),
    [
        ("beta", (24.0, 55.0), stats.beta(24, 55)),
        ("normal", (1.0, 0.5), stats.norm(1, 0.5)),
        ("lognormal", (1.3, 0.3), stats.lognorm(s=0.3, scale=1.3)),
        ("gamma", (4.0, 0.5), stats.gamma(4, scale=0.5)),
        ("interval95", (2.0, 6.0), stats.norm(4, 4 / (2 * stats.norm.ppf(0.975)))),
    ],
)
def test_uncertain_quantiles_against_scipy(kind, parameters, law):
    u = np.array([[0.01, 0.3], [0.5, 0.999]])
    found = Uncertain(kind=kind, parameters=parameters)
    assert np.allclose(found.quantile(u), law.ppf(u), rtol=1e-12)
    assert found.interval95() == pytest.approx(tuple(law.ppf([0.025, 0.975])))


def test_interval95_is_its_own_interval():
    assert Uncertain(kind="interval95", parameters=(1.2, 4.0)).interval95() == pytest.approx((1.2, 4.0))


# ---- the four ways to write a number


def read(kind, raw):
    return TypeAdapter(kind).validate_python(raw)


def message(kind, raw):
    with pytest.raises(ValidationError) as caught:
        read(kind, raw)
    (item,) = caught.value.errors()
    return item["msg"], item["ctx"]["allowed"]


def test_a_number_a_table_and_an_assumption():
    assert read(Probability, 0.3) == Value(value=0.3)
    assert read(Probability, 1).value == 1.0
    assert read(Probability, {"value": 0.3, "assumed": "why"}).assumed == "why"
    uncertain = read(Probability, {"value": 0.3, "uncertain": {"beta": [24, 55]}}).uncertain
    assert uncertain == Uncertain(kind="beta", parameters=(24.0, 55.0))
    table = read(Probability, {"value": 0.3, "uncertain": {"lognormal": {"median": 1.3, "sdlog": 0.3}}}).uncertain
    assert table == Uncertain(kind="lognormal", parameters=(1.3, 0.3))
    assert read(Probability, Value(value=0.3)) == Value(value=0.3)
    assert float(read(Days, 3)) == 3.0


@pytest.mark.parametrize("raw", [3, {"value": 3}, {"mean": 3, "varies": {"sd": 0}}])
def test_the_same_in_all_patients(raw):
    assert np.all(read(VaryingDays, raw).of_normal(np.array([-1.0, 1.0])) == 3.0)


@pytest.mark.parametrize(
    "raw",
    [
        3,
        {"median": 4.3, "varies": {"sdlog": 0.84, "low": 1, "high": 20}, "assumed": "why"},
        {"mean": 1.2, "varies": {"sd": 0.6, "low": 0.0}, "uncertain": {"normal": [1.2, 0.1]}, "evidence": "x"},
    ],
)
def test_the_resolved_form_reads_back(raw):
    law = read(VaryingDays, raw)
    assert read(VaryingDays, law.model_dump(mode="json")) == law


@pytest.mark.parametrize(
    ("kind", "raw", "allowed"),
    [
        (Probability, 1.0000001, "from 0 to 1"),
        (Probability, -1e-9, "from 0 to 1"),
        (Days, -0.1, "at least 0"),
        (PositiveDays, 0, "above 0"),
        (ViralLoad, 0, "above 0, IU/mL"),
        (Count, 1.5, "a whole number"),
        (Count, -1, "of at least 0"),
        (Days, math.inf, "days"),
        (Days, math.nan, "days"),
        (VaryingDays, -1, "at least 0"),
    ],
)
def test_out_of_range(kind, raw, allowed):
    text, hint = message(kind, raw)
    assert text.endswith("is not allowed")
    assert allowed in hint


@pytest.mark.parametrize("raw", [True, None, "3", [3], (3,), b"3", 3j])
def test_no_number(raw):
    assert message(Days, raw)[0].endswith("is not a number")


@pytest.mark.parametrize("raw", [{"median": -4, "varies": {"sdlog": 1}}, {"median": 0, "varies": {"sdlog": 1}}])
def test_a_median_is_positive(raw):
    assert "above 0" in message(VaryingLog10, raw)[1]


@settings(max_examples=60, deadline=None)
@given(st.floats(0, 1))
def test_any_proportion_is_kept_to_the_bit(p):
    assert read(Probability, p).value == p


@settings(max_examples=60, deadline=None)
@given(st.floats(0.1, 50), st.floats(0.01, 2), st.floats(0.5, 0.99), st.floats(0.01, 0.49))
def test_a_truncated_law_stays_inside(centre, spread, upper, lower):
    low, high = (float(stats.lognorm(s=spread, scale=centre).ppf(p)) for p in (lower, upper))
    drawn = Between(law="lognormal", centre=centre, spread=spread, low=low, high=high).of_normal(np.linspace(-8, 8, 101))
    assert np.all((drawn >= low * (1 - 1e-9)) & (drawn <= high * (1 + 1e-9)))
