"""The load of an episode and the assay's report, against their statements."""

from __future__ import annotations

import math
from decimal import ROUND_HALF_UP, Decimal

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from scipy import special
from simulation_build import model

from cmvsim.models.viral_load import LOG10_2, growth_rate, is_self_limited
from cmvsim.simulation.cmv_traits import kernel_parameters
from cmvsim.simulation.kernels import cmv_course, load
from cmvsim.simulation.kernels import layout as at
from cmvsim.simulation.onset import Factors

INF = math.inf
MANY = settings(max_examples=300, deadline=None)
onsets, rises, falls = st.floats(-30, 90), st.floats(0.01, 2), st.floats(0.01, 2)
levels, spans = st.floats(1, 6), st.floats(0, 40)


@MANY
@given(onsets, rises, levels, spans, falls, spans)
def test_natural_course_rises_stays_and_falls(
    onset: float, growth: float, peak: float, plateau: float, decay: float, since: float
) -> None:
    """Piecewise linear through (onset, v0), (top, peak), (end of plateau, peak), then down at `decay`."""
    v0, top = 1.0, onset + (peak - 1.0) / growth
    end, t = top + plateau, onset + since
    expected = np.interp(t, [onset, top, end, end + 100], [v0, peak, peak, peak - 100 * decay])
    assert load.natural(t, onset, v0, growth, peak, end, decay) == pytest.approx(expected, abs=1e-9)
    forever = load.natural(t, onset, v0, growth, peak, INF, decay)
    assert forever == pytest.approx(min(v0 + growth * since, peak), abs=1e-9)


@MANY
@given(onsets, rises, levels, spans, falls)
def test_natural_clearance_is_where_the_load_is_back_at_its_start(
    onset: float, growth: float, peak: float, plateau: float, decay: float
) -> None:
    end = onset + (peak - 1.0) / growth + plateau
    clear = load.clearance(1.0, peak, end, decay, INF, 0.0, 0.0)
    assert clear >= end
    assert load.natural(clear, onset, 1.0, growth, peak, end, decay) == pytest.approx(1.0, abs=1e-9)
    before = end + 0.999 * (clear - end)
    if peak > 1.01:
        assert load.natural(before, onset, 1.0, growth, peak, end, decay) > 1.0
    assert load.clearance(1.0, peak, INF, decay, INF, 0.0, 0.0) == INF


@MANY
@given(onsets, rises, levels, spans, falls, spans, falls, st.floats(0, 1))
def test_the_smaller_course_clears_first(
    onset: float, growth: float, peak: float, plateau: float, decay: float, after: float, treated: float, below: float
) -> None:
    """A drug acts at t from the load there; the episode ends when either course is back at v0, not before."""
    end = onset + (peak - 1.0) / growth + plateau
    alone = load.clearance(1.0, peak, end, decay, INF, 0.0, 0.0)
    t = onset + after
    assume(t < alone)
    value = below * load.natural(t, onset, 1.0, growth, peak, end, decay) + (1 - below) * 1.0
    together = load.clearance(1.0, peak, end, decay, t, value, -treated)
    expected = min(alone, t + max(value - 1.0, 0.0) / treated)
    assert together == pytest.approx(expected, abs=1e-9)
    regrowing = load.clearance(1.0, peak, end, decay, t, value, growth)
    assert regrowing == alone, "regrowth cannot end an episode, and cannot keep a self-limited one alive"


def test_no_bound_before_the_drug_acts() -> None:
    assert load.controlled(10.0, INF, 3.0, -0.1) == INF
    assert load.controlled(12.0, 10.0, 3.0, -0.1) == pytest.approx(2.8, abs=1e-12)


# -- three significant digits ------------------------------------------------------------------------------------
def _decimal(x: float) -> Decimal:
    """The decimal number of three digits nearest to the double `x`, exactly."""
    exact = Decimal(x)
    return exact.quantize(Decimal(1).scaleb(exact.adjusted() - 2), rounding=ROUND_HALF_UP)


@settings(max_examples=2000, deadline=None)
@given(st.floats(-3, 12))
def test_three_digits_is_the_double_nearest_to_the_decimal_text(log10: float) -> None:
    x = 10.0**log10
    expected = _decimal(x)
    distance = abs(Decimal(x) - expected) / Decimal(1).scaleb(expected.adjusted() - 2)
    assume(abs(distance - Decimal("0.5")) > Decimal("1e-9"))  # a tie to 1e-9 of the last digit may go either way
    got = load.three_digits(x)
    assert got == float(str(expected))
    assert float(repr(got)) == got
    assert float(f"{got:.2e}") == got, "a fourth digit is left"


@given(st.integers(100, 999), st.integers(-5, 9))
def test_numbers_of_three_digits_stay_what_they_are(digits: int, power: int) -> None:
    x = float(f"{digits}e{power}")
    assert load.three_digits(x) == x


@pytest.mark.parametrize(
    ("x", "expected"),
    [
        (999.49, 999.0),
        (999.5, 1000.0),
        (1004.9, 1000.0),
        (1005.0, 1010.0),
        (99.95, 100.0),
        (0.12349, 0.123),
        (34.96, 35.0),
        (123456.0, 123000.0),
        (9.994999, 9.99),
        (1000.0, 1000.0),
        (99999.0, 100000.0),
        (1e15, 1e15),
    ],
)
def test_three_digits_by_hand(x: float, expected: float) -> None:
    assert load.three_digits(x) == expected


# -- the report --------------------------------------------------------------------------------------------------
def _report(
    log10_load: float, lod: float, lloq: float, noise: float = 0.0, sd: float = 0.0, offset: float = 0.0, active: bool = True
) -> tuple[int, float]:
    p, s = np.zeros(at.PARAMETERS), np.zeros(at.STATE)
    x = np.zeros(at.FACTORS)
    p[at.V0], p[at.LOD], p[at.LLOQ], p[at.ASSAY_SD], p[at.LOG10_LOD] = -10.0, lod, lloq, sd, math.log10(lod)
    p[at.LOG10_LLOQ] = math.log10(lloq)
    s[at.ACTIVE], s[at.ONSET], s[at.PEAK], s[at.PLATEAU_END] = float(active), 0.0, log10_load, INF
    s[at.KNOT_TIME], x[at.GROWTH], x[at.OFFSET] = INF, 1e6, offset
    return cmv_course.report(s, x, p, 1.0, noise)


@settings(max_examples=1000, deadline=None)
@given(st.floats(-1, 6), st.floats(1, 500), st.floats(1, 3), st.floats(-3, 3))
def test_report_compares_the_reported_number_with_both_limits(log10: float, lod: float, ratio: float, noise: float) -> None:
    """A load that reads as the limit is quantified; what is below never carries a number."""
    lloq = lod * ratio
    code, value = _report(log10, lod, lloq, noise, 0.2, 0.3)
    exact = 10 ** (log10 + 0.3 + 0.2 * noise)
    rounded = float(_decimal(exact))
    assume(all(abs(rounded / cut - 1) > 1e-9 or rounded == cut for cut in (lod, lloq)))
    distance = abs(Decimal(exact) - _decimal(exact)) / Decimal(1).scaleb(_decimal(exact).adjusted() - 2)
    assume(abs(distance - Decimal("0.5")) > Decimal("1e-9"))
    expected = at.QUANTIFIED if rounded >= lloq else at.BELOW_LLOQ if rounded >= lod else at.NOT_DETECTED
    assert code == expected
    assert (value == rounded) if code == at.QUANTIFIED else math.isnan(value)


@pytest.mark.parametrize("lloq", [35.0, 137.0, 250.0, 91.0, 1000.0])
def test_just_below_and_at_the_limit(lloq: float) -> None:
    """Half a unit of the third digit: what rounds to the limit is quantified, what rounds below it is not."""
    unit = 10 ** (math.floor(math.log10(lloq)) - 2)
    below_unit = unit / 10 if lloq == 10 ** round(math.log10(lloq)) else unit
    assert _report(math.log10(lloq), 20.0, lloq) == (at.QUANTIFIED, lloq)
    assert _report(math.log10(lloq - 0.49 * below_unit), 20.0, lloq) == (at.QUANTIFIED, lloq)
    code, value = _report(math.log10(lloq - 0.51 * below_unit), 20.0, lloq)
    assert code == at.BELOW_LLOQ
    assert math.isnan(value)
    assert _report(math.log10(19.94), 20.0, lloq)[0] == at.NOT_DETECTED
    assert _report(math.log10(19.96), 20.0, lloq)[0] == at.BELOW_LLOQ
    assert _report(5.0, 20.0, lloq, active=False)[0] == at.NOT_DETECTED


# -- the laws between patients -----------------------------------------------------------------------------------
def test_growth_doubles_in_the_doubling_time() -> None:
    spec = model().cmv.load
    z = np.linspace(-3, 3, 41)
    doubling = spec.doubling_time.of_normal(z)
    assert ((doubling > 1) & (doubling < 20)).all(), "truncated"
    np.testing.assert_allclose(growth_rate(spec, z) * doubling, LOG10_2, rtol=1e-14)
    assert np.all(np.diff(doubling) > 0)


def test_self_limited_is_logistic_in_the_set_point() -> None:
    """The kernel and the stated law say the same, the shares at both ends included."""
    for share in (0.0, 0.3, 0.7, 1.0):
        of = model(f"cmv.load.self_limited.share={share}")
        p, spec = kernel_parameters(of, Factors(())), of.cmv.load
        for set_point in (0.2, 1.2, 2.5, 4.0):
            logit = p[at.SELF_LOGIT] + p[at.SELF_SLOPE] * (set_point - p[at.SELF_CENTRE])
            slope, centre = float(spec.self_limited.slope), spec.set_point.centre
            expected = special.expit(special.logit(share) + slope * (set_point - centre))
            assert special.expit(logit) == pytest.approx(expected, abs=1e-14)
            for u in (0.0, 0.1, 0.5, 0.9, 0.999):
                assert bool(is_self_limited(spec, np.array(set_point), np.array(u))) == (u < expected)
