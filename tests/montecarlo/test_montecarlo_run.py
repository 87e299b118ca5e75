"""The same bytes for any worker count, backend and order, and after any interruption."""

from __future__ import annotations

import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import joblib
import montecarlo_toys as toys
import numpy as np
import pytest
from montecarlo_toys import MEAN, Breaks, Means, store_bytes
from scipy import stats

from cmvsim.core.errors import InputError
from cmvsim.core.records import Status
from cmvsim.core.streams import CHUNK_REPLICATES
from cmvsim.montecarlo import mcse
from cmvsim.montecarlo.experiment import TRACEBACKS_KEPT, Replicates
from cmvsim.montecarlo.run import MonteCarloResult, open_store, run


def complete(folder: Path, experiment: Means, replicates: int = 300, **options: object) -> MonteCarloResult:
    return run(experiment, replicates=replicates, store=open_store(folder, experiment), **options)


@pytest.mark.parametrize(("jobs", "backend"), [(2, "loky"), (3, "threading")])
def test_workers_and_backend_leave_the_bytes_alone(tmp_path: Path, jobs: int, backend: str) -> None:
    experiment = Means(delay=0.005, limit=0.3)
    alone = complete(tmp_path / "alone", experiment)
    together = complete(tmp_path / "together", experiment, jobs=jobs, backend=backend)
    assert store_bytes(tmp_path / "alone") == store_bytes(tmp_path / "together")
    assert list(alone.failures()) == list(together.failures())
    assert len(list(alone.failures())) > TRACEBACKS_KEPT


def test_seed_changes_the_bytes(tmp_path: Path) -> None:
    complete(tmp_path / "a", Means(seed=1), 64)
    complete(tmp_path / "b", Means(seed=2), 64)
    assert store_bytes(tmp_path / "a") != store_bytes(tmp_path / "b")


def test_order_of_completion_leaves_the_bytes_alone(tmp_path: Path) -> None:
    experiment = Means()
    complete(tmp_path / "forward", experiment)
    store = open_store(tmp_path / "backward", experiment)
    for index in reversed(range(5)):
        chunk = experiment.chunk(index)
        store.put(index, chunk.values, chunk.extras)
    assert store_bytes(tmp_path / "forward") == store_bytes(tmp_path / "backward")


def test_columns_are_the_prefix_of_what_the_chunks_hold(tmp_path: Path) -> None:
    experiment = Means()
    result = complete(tmp_path, experiment, 100)
    whole = [experiment.chunk(index) for index in range(2)]
    for position, size in enumerate(experiment.sizes):
        for row, key in enumerate(experiment.rows):
            expected = np.concatenate([chunk.values[:, position, row] for chunk in whole])[:100]
            for field_index, field in enumerate(("estimate", "se", "ci_low", "ci_high", "n", "events", "status")):
                np.testing.assert_array_equal(result.column(size, key, field), expected[:, field_index])
        extras = np.concatenate([chunk.extras[:, position, 0] for chunk in whole])[:100]
        np.testing.assert_array_equal(result.extra_column(size, "largest"), extras)


def test_only_missing_chunks_are_computed_and_progress_counts_all(tmp_path: Path) -> None:
    experiment = Means()
    complete(tmp_path, experiment, 128)
    before = {path.name: path.stat().st_mtime_ns for path in tmp_path.iterdir()}
    seen: list[tuple[int, int]] = []
    complete(tmp_path, experiment, 300, progress=lambda done, total, _rate: seen.append((done, total)))
    assert seen == [(128, 300), (192, 300), (256, 300), (300, 300)]
    after = {path.name: path.stat().st_mtime_ns for path in tmp_path.iterdir()}
    assert {name: after[name] for name in before} == before


def test_one_job_starts_no_pool(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def forbidden(*_args: object, **_options: object) -> None:
        raise AssertionError("a pool was started")

    monkeypatch.setattr(joblib, "Parallel", forbidden)
    assert complete(tmp_path, Means(), 100).replicates == 100


@pytest.mark.parametrize(("jobs", "backend"), [(1, "loky"), (2, "loky"), (2, "threading")])
def test_keyboard_interrupt_keeps_finished_chunks(tmp_path: Path, jobs: int, backend: str) -> None:
    experiment = Means(delay=0.005)

    def interrupt(done: int, _total: int, _rate: float) -> None:
        if done >= 3 * CHUNK_REPLICATES:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        complete(tmp_path / "cut", experiment, 640, jobs=jobs, backend=backend, progress=interrupt)
    kept = open_store(tmp_path / "cut", experiment)
    assert len(kept.done()) == 3
    assert kept.corrupt == ()
    complete(tmp_path / "cut", experiment, 640)
    complete(tmp_path / "whole", experiment, 640)
    assert store_bytes(tmp_path / "cut") == store_bytes(tmp_path / "whole")


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no SIGKILL")
@pytest.mark.parametrize("jobs", [1, 2])
def test_sigkill_at_a_random_moment_then_continue(tmp_path: Path, jobs: int) -> None:
    experiment = Means()  # the victim's delay is no part of its request
    replicates = 60 * CHUNK_REPLICATES
    cut = tmp_path / "cut"
    command = [sys.executable, toys.__file__, str(cut), str(replicates), str(jobs)]
    victim = subprocess.Popen(command, stderr=subprocess.DEVNULL)
    while not list(cut.glob("chunk-*.npy")) and victim.poll() is None:
        time.sleep(0.005)
    time.sleep(random.random() * 0.4)
    victim.send_signal(signal.SIGKILL)
    assert victim.wait() == -signal.SIGKILL
    store = open_store(cut, experiment)
    assert 0 < len(store.done()) < 60
    run(experiment, replicates=replicates, store=store, jobs=jobs)
    complete(tmp_path / "whole", experiment, replicates)
    assert store_bytes(cut) == store_bytes(tmp_path / "whole")


def test_analysis_failures_are_counted_and_never_drawn_again(tmp_path: Path) -> None:
    """N(0, 1), n=50, the analysis fails whenever the mean exceeds 0.1: P = 1 - Phi(0.1 sqrt(50)) = 0.240."""
    replicates = 6000
    failing, sound = Means(limit=0.1, sizes=(50,)), Means(sizes=(50,))
    result = complete(tmp_path / "failing", failing, replicates)
    truth = complete(tmp_path / "sound", sound, replicates).column(50, MEAN, "estimate")
    estimate, status = result.column(50, MEAN, "estimate"), result.column(50, MEAN, "status")

    failed = status == Status.RAISED
    np.testing.assert_array_equal(failed, truth > 0.1)
    np.testing.assert_array_equal(estimate[~failed], truth[~failed])  # the same draws, one for one
    failures = list(result.failures())
    assert [failure.replicate for failure in failures] == list(np.flatnonzero(failed))
    assert all(failure.message == "ArithmeticError: the mean is too large" for failure in failures)
    assert all(failure.seed == failing.seed for failure in failures)
    with_trace = [position for position, failure in enumerate(failures) if failure.traceback]
    assert with_trace == list(range(TRACEBACKS_KEPT))

    share = stats.norm.sf(0.1 * np.sqrt(50))
    ok = mcse.proportion(np.ones(replicates, bool), status)
    assert abs(ok.value - (1 - share)) < 4 * ok.mcse
    assert abs(ok.value - 1) > 4 * ok.mcse  # were failures left out of the denominator, it would be 1
    # Above the median of N(0, 1/50): a failed replicate does not meet it, so the share is 0.5 - P, not 0.5.
    power = mcse.proportion(estimate > 0, status)
    assert abs(power.value - (0.5 - share)) < 4 * power.mcse
    fitted = mcse.proportion(estimate > 0, status, among="usable")
    assert abs(fitted.value - (0.5 - share) / (1 - share)) < 4 * fitted.mcse
    # The mean of the fitted replicates is that of the truncated normal, not 0.
    bound = 0.1 * np.sqrt(50)
    truncated = -stats.norm.pdf(bound) / stats.norm.cdf(bound) / np.sqrt(50)
    average = mcse.mean(estimate, status)
    assert (average.n_ok, average.n_failed) == (np.count_nonzero(~failed), np.count_nonzero(failed))
    assert abs(average.value - truncated) < 4 * average.mcse
    assert abs(average.value - 0) > 4 * average.mcse


@pytest.mark.parametrize(("jobs", "backend"), [(1, "loky"), (2, "loky"), (2, "threading")])
def test_a_chunk_that_raises_is_64_failed_replicates(tmp_path: Path, jobs: int, backend: str) -> None:
    result = complete(tmp_path / "run", Breaks(), 150, jobs=jobs, backend=backend)
    status = result.column(50, MEAN, "status")
    assert np.all(status[64:128] == Status.RAISED)
    assert np.all(status[:64] == Status.OK)
    assert np.all(np.isnan(result.column(50, MEAN, "estimate")[64:128]))
    failures = list(result.failures())
    assert [failure.replicate for failure in failures] == list(range(64, 128))
    assert failures[0].message == "RuntimeError: the engine broke"
    assert "KeyError: 'inner'" in failures[0].traceback
    assert "montecarlo_toys.py" in failures[0].traceback
    assert str(Path(toys.__file__).parent) not in failures[0].traceback
    complete(tmp_path / "alone", Breaks(), 150)
    assert store_bytes(tmp_path / "run") == store_bytes(tmp_path / "alone")


class Complains(Means):
    def chunk(self, index: int) -> Replicates:
        raise InputError("visit 3 has no day")


class Misshapen(Means):
    def chunk(self, index: int) -> Replicates:
        whole = super().chunk(index)
        return Replicates(whole.values[:, :1], whole.extras)


def test_errors_for_the_user_and_broken_contracts_end_the_run(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="visit 3"):
        complete(tmp_path, Complains(), 64)
    with pytest.raises(TypeError, match="chunk 0"):
        complete(tmp_path, Misshapen(), 64)
    assert list(tmp_path.iterdir()) == []


def test_store_of_another_experiment_is_refused(tmp_path: Path) -> None:
    store = open_store(tmp_path, Means(seed=1))
    with pytest.raises(ValueError, match="another experiment"):
        run(Means(seed=2), replicates=64, store=store)
