"""The figure that `explain` quotes: one fixed cohort, near the target it comes from, and moved by the schedule."""

from __future__ import annotations

import math

import pytest

from cmvsim.calibration import calibrate
from cmvsim.planning.preview import CHUNKS, FIRST_CHUNK, PATIENTS_PER_REPLICATE, observed_incidence
from cmvsim.scenarios import resolve

BASE = resolve("cmv-cart")
AS_MEASURED = [
    "monitoring.schedule=[{ every = 7, to = 84 }, { at = 90 }]",
    "monitoring.attendance=1.0",
    "monitoring.jitter=0",
    "follow_up.lost_by_90=0.0001",
    "follow_up.withdrawn_by_90=0.0001",
]


@pytest.fixture(scope="module")
def baseline():
    return calibrate(BASE).baseline


def test_it_belongs_to_the_scenario_and_is_precise(baseline):
    value, mcse = observed_incidence(BASE, baseline)
    assert (value, mcse) == observed_incidence(BASE, baseline)
    patients = CHUNKS * 64 * PATIENTS_PER_REPLICATE
    assert 29_000 <= patients <= 33_000
    assert mcse == pytest.approx(math.sqrt(value * (1 - value) / patients), rel=0.35)


def test_its_patients_are_of_no_other_cohort():
    assert FIRST_CHUNK > 10**6


def test_under_the_targets_own_test_it_is_the_target(baseline):
    value, mcse = observed_incidence(resolve("cmv-cart", AS_MEASURED), baseline)
    assert value == pytest.approx(float(BASE.spec.cmv.target("cumulative_incidence").value), abs=4 * mcse + 0.004)


def test_fewer_visits_and_a_blunter_assay_find_less(baseline):
    value, mcse = observed_incidence(BASE, baseline)
    sparse, _ = observed_incidence(resolve("cmv-cart", ["monitoring.schedule=[{ every = 30, to = 90 }]"]), baseline)
    blunt, _ = observed_incidence(resolve("cmv-cart", ["monitoring.lloq=500", "monitoring.lod=300"]), baseline)
    assert sparse < value - 5 * mcse
    assert blunt < value - 5 * mcse
