"""Stopping looks at prefixes in index order, whoever computed them and whatever else is there."""

from __future__ import annotations

from pathlib import Path

import pytest
from montecarlo_toys import MEAN, Means, store_bytes

from cmvsim.montecarlo import mcse
from cmvsim.montecarlo.run import MonteCarloResult, open_store, run
from cmvsim.montecarlo.stopping import Stopping, doubling_checkpoints

EXPERIMENT = Means(sizes=(20,))
# The SD of a mean is 1/sqrt(20), so its MCSE is 0.0050 at 2,000 replicates, 0.0046 at 2,400, 0.0041 at 3,000.
CHECKPOINTS = (2000, 2400, 3000)


def error_of_mean(result: MonteCarloResult) -> float:
    return mcse.mean(result.column(20, MEAN, "estimate"), result.column(20, MEAN, "status")).mcse


@pytest.fixture(scope="module")
def alone(tmp_path_factory: pytest.TempPathFactory) -> tuple[MonteCarloResult, dict[str, bytes]]:
    folder = tmp_path_factory.mktemp("alone")
    rule = Stopping(0.0047, error_of_mean, CHECKPOINTS)
    result = run(EXPERIMENT, replicates=4000, store=open_store(folder, EXPERIMENT), stopping=rule)
    return result, store_bytes(folder)


def test_stops_at_the_declared_checkpoint(alone: tuple[MonteCarloResult, dict[str, bytes]]) -> None:
    result, files = alone
    assert [look.replicates for look in result.judged] == [2000, 2400]
    assert [look.reached for look in result.judged] == [False, True]
    assert (result.stopped, result.replicates) == ("mcse", 2400)
    assert len(result.column(20, MEAN, "estimate")) == 2400
    assert len(files) == 38  # ceil(2400 / 64)


@pytest.mark.parametrize("backend", ["loky", "threading"])
def test_two_workers_and_chunks_beyond_change_nothing(
    tmp_path: Path, backend: str, alone: tuple[MonteCarloResult, dict[str, bytes]]
) -> None:
    result, files = alone
    store = open_store(tmp_path, EXPERIMENT)
    for index in (0, 39, 50):  # as if other workers had been ahead of the checkpoint
        chunk = EXPERIMENT.chunk(index)
        store.put(index, chunk.values, chunk.extras)
    rule = Stopping(0.0047, error_of_mean, CHECKPOINTS)
    again = run(EXPERIMENT, replicates=4000, store=store, stopping=rule, jobs=2, backend=backend)
    assert again.judged == result.judged
    assert store_bytes(tmp_path) == files


def test_the_maximum_ends_a_run_that_never_reaches_the_target(tmp_path: Path) -> None:
    rule = Stopping(1e-9, error_of_mean, CHECKPOINTS)
    result = run(EXPERIMENT, replicates=2100, store=open_store(tmp_path, EXPERIMENT), stopping=rule)
    assert (result.stopped, result.replicates) == ("replicates", 2100)
    assert [look.replicates for look in result.judged] == [2000, 2100]


def test_replicates_alone_never_stops_early(tmp_path: Path) -> None:
    result = run(EXPERIMENT, replicates=2500, store=open_store(tmp_path, EXPERIMENT))
    assert (result.stopped, result.replicates, result.judged) == ("replicates", 2500, ())


@pytest.mark.parametrize("checkpoints", [(1000, 2000), (4000, 2000), (2000, 2000)])
def test_bad_checkpoints_are_refused(checkpoints: tuple[int, ...]) -> None:
    with pytest.raises(ValueError, match="checkpoint"):
        Stopping(0.01, error_of_mean, checkpoints)


def test_a_maximum_below_the_minimum_is_never_judged_early(tmp_path: Path) -> None:
    rule = Stopping(1.0, error_of_mean, CHECKPOINTS)
    result = run(EXPERIMENT, replicates=100, store=open_store(tmp_path, EXPERIMENT), stopping=rule)
    assert result.replicates == 100


def test_doubling_checkpoints() -> None:
    assert doubling_checkpoints(9000) == (2000, 4000, 8000)
    assert doubling_checkpoints(1999) == ()
