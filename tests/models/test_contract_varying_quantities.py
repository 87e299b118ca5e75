"""Quantities that cannot be negative are never drawn negative: a scenario that allows it is refused."""

from __future__ import annotations

import pytest

from cmvsim.core.errors import InputError
from cmvsim.scenarios import resolve

DURATIONS = (
    "cmv.load.doubling_time",
    "cmv.load.plateau",
    "cmv.load.decay_half_life",
    "cmv.load.treated.half_life",
    "toxicity.corticosteroids.duration",
    "toxicity.tocilizumab.duration",
    "toxicity.anakinra.lag",
    "toxicity.crs.onset",
    "toxicity.neutropenia.start",
)


@pytest.mark.parametrize("path", DURATIONS)
def test_a_normal_duration_without_a_lower_bound_is_refused(path: str) -> None:
    with pytest.raises(InputError, match=path.rpartition(".")[2]):
        resolve("cmv-cart", (f"{path}={{ mean = 4, varies = {{ sd = 3 }} }}",))


@pytest.mark.parametrize(
    "path",
    [
        "cmv.load.doubling_time",
        "cmv.load.decay_half_life",
        "cmv.load.treated.half_life",
        "kinetics.lymphoma.axicabtagene.tmax",
        "kinetics.lymphoma.axicabtagene.contraction",
        "kinetics.lymphoma.axicabtagene.fold",
    ],
)
def test_a_doubling_time_or_half_life_of_zero_is_refused(path: str) -> None:
    with pytest.raises(InputError, match=path.rpartition(".")[2]):
        resolve("cmv-cart", (f"{path}=0",))


@pytest.mark.parametrize("path", DURATIONS)
def test_a_log_normal_or_fixed_duration_is_accepted(path: str) -> None:
    resolve("cmv-cart", (f"{path}={{ median = 4, varies = {{ sdlog = 3 }} }}",))
    resolve("cmv-cart", (f"{path}=4",))
