"""The truth of each estimator, and the choice of estimators."""

from __future__ import annotations

import math

import numpy as np
import pytest
from planning_setup import experiment, values

from cmvsim.endpoints import endpoint
from cmvsim.montecarlo.estimand_values import estimand_values
from cmvsim.montecarlo.limits import limits

CHUNKS = 3


def test_the_limit_of_a_primary_estimator_is_the_protocol_estimand() -> None:
    made = experiment((40,), endpoints=("cmv_infections",))
    primary = endpoint("cmv_infections").estimators[0]
    own = {limit.term: limit for limit in limits(made.model, made.plan, [("cmv_infections", primary)], chunks=CHUNKS)}
    for value in estimand_values(made.model, (made.plan,), made.strategy, ("cmv_infections",), chunks=CHUNKS):
        limit = own.pop(value.term)
        assert limit.value == pytest.approx(value.value, rel=1e-12)
        # there the SD of the population, here of the sample
        assert limit.mcse == pytest.approx(value.mcse * math.sqrt(CHUNKS / (CHUNKS - 1)), rel=1e-9)
        assert limit.studies == CHUNKS
    assert own == {}


def test_each_estimator_has_its_own_limit() -> None:
    made = experiment((40,), endpoints=("cmv_reactivation",), sensitivity=True)
    found = {limit.estimator: limit.value for limit in limits(made.model, made.plan, made.choices, chunks=CHUNKS)}
    assert found["one_minus_km"] > found["aalen_johansen"]  # deaths taken for censoring
    assert found["relapse_competing"] < found["aalen_johansen"]
    assert found["time_lost"] > 1  # days
    assert limits(made.model, made.plan, (), chunks=CHUNKS) == ()


def test_named_estimators_give_the_numbers_that_they_give_among_all() -> None:
    every = experiment((40, 80), sensitivity=True)
    some = experiment((40, 80), sensitivity=True, estimators=("time_lost", "one_minus_km"))
    assert [key.estimator for key in some.rows] == ["one_minus_km", "time_lost"]  # in the order of the endpoint
    columns = [every.rows.index(key) for key in some.rows]
    np.testing.assert_array_equal(values(some, 1), values(every, 1)[:, :, columns])
    assert some.request.digest != every.request.digest
    assert "estimators" not in every.request.content  # chunks of before keep their digest
