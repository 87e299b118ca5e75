"""The same run on a dask.distributed cluster over TCP: the same bytes, whoever dies, and clear words where it cannot be."""

from __future__ import annotations

import importlib.util
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("distributed", reason="dask.distributed is not installed")

import montecarlo_toys as toys
from dask_processes import TOP, DaskProcesses
from montecarlo_toys import Deadly, Means, store_bytes

from cmvsim.core.errors import ExitCode
from cmvsim.core.streams import CHUNK_REPLICATES
from cmvsim.montecarlo import cluster as cluster_module
from cmvsim.montecarlo.cluster import Cluster, ClusterError
from cmvsim.montecarlo.run import MonteCarloResult, open_store, run

REPLICATES = 12 * CHUNK_REPLICATES


@pytest.fixture(scope="module")
def processes(tmp_path_factory: pytest.TempPathFactory) -> Iterator[DaskProcesses]:
    """A scheduler with one worker that stays."""
    started = DaskProcesses(tmp_path_factory.mktemp("dask"))
    try:
        started.worker()
        yield started
    finally:
        started.close()


@pytest.fixture
def fragile(tmp_path: Path) -> Iterator[DaskProcesses]:
    """A scheduler that gives a chunk up at the first worker that dies of it; no worker yet."""
    folder = tmp_path / "fragile"
    folder.mkdir()
    started = DaskProcesses(folder, DASK_DISTRIBUTED__SCHEDULER__ALLOWED_FAILURES="0")
    try:
        yield started
    finally:
        started.close()


@pytest.fixture(scope="module")
def alone(tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    """The chunks as this process computes them."""
    folder = tmp_path_factory.mktemp("alone")
    complete(folder, Means(limit=0.3))
    return store_bytes(folder)


def complete(folder: Path, experiment: Means, **options: Any) -> MonteCarloResult:
    return run(experiment, replicates=REPLICATES, store=open_store(folder, experiment), **options)


def after(chunks: int, act: Callable[[], object]) -> Callable[[int, int, float], None]:
    """A progress callback that acts once, when so many chunks are done."""
    todo = [act]

    def progress(done: int, _total: int, _rate: float) -> None:
        if done >= chunks * CHUNK_REPLICATES and todo:
            todo.pop()()

    return progress


def test_two_workers_over_tcp_give_the_same_bytes(processes: DaskProcesses, alone: dict[str, bytes], tmp_path: Path) -> None:
    second = processes.worker()
    with Cluster(processes.address) as workers:
        complete(tmp_path, Means(delay=0.01, limit=0.3), backend=workers)
    processes.end(second)
    assert store_bytes(tmp_path) == alone


def test_a_worker_killed_in_the_middle_leaves_the_bytes_alone(
    processes: DaskProcesses, alone: dict[str, bytes], tmp_path: Path
) -> None:
    victim = processes.worker()
    experiment = Means(delay=0.05, limit=0.3)
    with Cluster(processes.address) as workers:
        complete(tmp_path, experiment, backend=workers, progress=after(3, lambda: victim.send_signal(signal.SIGKILL)))
    assert victim.wait(30) == -signal.SIGKILL
    assert store_bytes(tmp_path) == alone


def test_an_interrupt_keeps_finished_chunks_and_the_cluster(
    processes: DaskProcesses, alone: dict[str, bytes], tmp_path: Path
) -> None:
    def interrupt() -> None:
        raise KeyboardInterrupt

    experiment = Means(delay=0.01, limit=0.3)
    with Cluster(processes.address) as workers:
        with pytest.raises(KeyboardInterrupt):
            complete(tmp_path, experiment, backend=workers, progress=after(3, interrupt))
        assert len(open_store(tmp_path, experiment).done()) == 3
        complete(tmp_path, experiment, backend=workers)
    assert store_bytes(tmp_path) == alone


def test_processes_of_this_machine_are_started_where_no_scheduler_is_named(alone: dict[str, bytes], tmp_path: Path) -> None:
    complete(tmp_path, Means(limit=0.3), backend="dask", jobs=2)
    assert store_bytes(tmp_path) == alone


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no process groups of this kind")
def test_ctrl_c_is_answered_by_the_parent_alone(tmp_path: Path) -> None:
    """The terminal sends it to all processes of the command; the workers have nothing to say."""
    victim = subprocess.Popen(
        [sys.executable, toys.__file__, str(tmp_path), str(200 * CHUNK_REPLICATES), "2", "dask"],
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
        env={**os.environ, "PYTHONPATH": str(TOP)},
    )
    deadline = time.monotonic() + 120
    while len(list(tmp_path.glob("chunk-*.npy"))) < 3 and victim.poll() is None and time.monotonic() < deadline:
        time.sleep(0.01)
    os.killpg(victim.pid, signal.SIGINT)
    _, told = victim.communicate(timeout=120)
    assert told.count("Traceback") == 1
    assert told.rstrip().endswith("KeyboardInterrupt")
    assert "Worker" not in told
    assert len(open_store(tmp_path, Means()).done()) >= 3


@pytest.fixture
def other_numbers(tmp_path: Path) -> Path:
    """A copy of the package with another numbers version."""
    package = tmp_path / "other"
    shutil.copytree(TOP / "cmvsim", package / "cmvsim", ignore=shutil.ignore_patterns("__pycache__"))
    records = package / "cmvsim" / "core" / "records.py"
    before = records.read_text(encoding="utf-8")
    after = before.replace("NUMBERS_VERSION = ", "NUMBERS_VERSION = 900")
    assert after != before
    records.write_text(after, encoding="utf-8")
    return package


def test_a_worker_with_another_numbers_version_is_refused(
    processes: DaskProcesses, other_numbers: Path, alone: dict[str, bytes], tmp_path: Path
) -> None:
    stranger = processes.worker(other_numbers)
    with (
        Cluster(processes.address) as workers,
        pytest.raises(ClusterError, match=r"same numbers.* numbers version 900\d+ \(here"),
    ):
        complete(tmp_path / "refused", Means(limit=0.3), backend=workers)
    processes.end(stranger)
    # one that joins when the look at the start is over is found out by its first chunk
    late: list[subprocess.Popen[bytes]] = []
    with Cluster(processes.address) as workers, pytest.raises(ClusterError, match="numbers version 900"):
        complete(
            tmp_path / "late",
            Means(limit=0.3, delay=0.3),
            backend=workers,
            progress=after(1, lambda: late.append(processes.worker(other_numbers))),
        )
    for process in late:
        processes.end(process)
    complete(tmp_path / "late", Means(limit=0.3))
    assert store_bytes(tmp_path / "late") == alone


def test_a_chunk_that_kills_its_workers_is_named(fragile: DaskProcesses, tmp_path: Path) -> None:
    fragile.worker()
    with Cluster(fragile.address) as workers, pytest.raises(ClusterError, match="died while computing chunk 5"):
        complete(tmp_path, Deadly(delay=0.01), backend=workers)
    done = open_store(tmp_path, Deadly()).done()
    assert 5 not in done
    assert len(done) > 0


def test_a_lost_scheduler_and_one_without_workers(
    fragile: DaskProcesses, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cluster_module, "JOIN_SECONDS", 1)
    with pytest.raises(ClusterError, match="no workers after 1 seconds"):
        Cluster(fragile.address).connect(1)
    fragile.worker()
    with Cluster(fragile.address) as workers, pytest.raises(ClusterError, match="connection to the dask scheduler was lost"):
        complete(tmp_path, Means(delay=0.05), backend=workers, progress=after(2, fragile.scheduler.kill))
    assert len(open_store(tmp_path, Means()).done()) >= 2


def test_all_workers_gone_for_long(fragile: DaskProcesses, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cluster_module, "PATIENCE_SECONDS", 1)
    # a process that is stopped, not killed, would keep its chunk; a worker that left has none
    worker = fragile.worker()
    with Cluster(fragile.address) as workers, pytest.raises(ClusterError, match=r"have been gone|died while computing"):
        complete(tmp_path, Means(delay=0.05), backend=workers, progress=after(2, worker.kill))


def closed_port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return int(free.getsockname()[1])


@pytest.mark.parametrize(
    ("address", "told"),
    [
        ("", "no address"),
        ("http://somewhere", "no address"),
        ("tcp://somewhere:door", "no address"),
        (None, "no dask scheduler answers"),
    ],
)
def test_an_address_without_a_scheduler(address: str | None, told: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cluster_module, "CONNECT_SECONDS", 1)
    with pytest.raises(ClusterError, match=told) as caught:
        Cluster(address if address is not None else f"tcp://127.0.0.1:{closed_port()}").connect(1)
    assert caught.value.exit_code == ExitCode.USAGE


def test_without_dask_it_is_said_how_to_get_it(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda _name: None)
    with pytest.raises(ClusterError, match=r"not installed: pip install 'cmvsim\[dask\]'"):
        complete(tmp_path, Means(), backend="dask")


# --- the command ----------------------------------------------------------------------------------------------------

SMALL = ("power", "cmv-cart", "-n", "40", "--replicates", "640", "--endpoint", "cmv_reactivation", "--quiet")


def command(*arguments: str, cwd: Path) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", "cmvsim.cli", *arguments],
        cwd=cwd,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": str(TOP)},
    )


def test_power_on_a_cluster_that_loses_a_worker_writes_the_same_results(processes: DaskProcesses, tmp_path: Path) -> None:
    victim = processes.worker()
    on_cluster = command(*SMALL, "--backend", "dask", "--scheduler", processes.address, "-o", "cluster", cwd=tmp_path)
    deadline = time.monotonic() + 300
    while not list(tmp_path.glob("cluster/chunks/study/*.npy")) and on_cluster.poll() is None and time.monotonic() < deadline:
        time.sleep(0.005)
    victim.kill()
    assert victim.wait(30) == -signal.SIGKILL
    _, told = on_cluster.communicate(timeout=600)
    assert on_cluster.returncode == 0, told
    assert told == ""
    here = command(*SMALL, "--backend", "threading", "--jobs", "2", "-o", "here", cwd=tmp_path)
    assert here.communicate(timeout=600)[1] == ""
    assert (tmp_path / "cluster" / "results.json").read_bytes() == (tmp_path / "here" / "results.json").read_bytes()
    for stage in sorted((tmp_path / "here" / "chunks").iterdir()):
        assert store_bytes(tmp_path / "cluster" / "chunks" / stage.name) == store_bytes(stage)


def test_power_without_a_scheduler_at_the_address_exits_with_2_and_writes_nothing(tmp_path: Path) -> None:
    started = command(*SMALL, "--scheduler", f"tcp://127.0.0.1:{closed_port()}", "-o", "run", cwd=tmp_path)
    out, told = started.communicate(timeout=60)
    assert (started.returncode, out) == (2, "")
    assert told.startswith("Error: no dask scheduler answers at tcp://127.0.0.1:")
    assert len(told.splitlines()) == 1
    assert list(tmp_path.iterdir()) == []


def test_a_scheduler_for_other_workers_is_a_usage_mistake(tmp_path: Path) -> None:
    started = command(*SMALL, "--backend", "loky", "--scheduler", "tcp://127.0.0.1:1", cwd=tmp_path)
    _, told = started.communicate(timeout=60)
    assert started.returncode == 2
    assert "--scheduler goes with --backend dask" in told
