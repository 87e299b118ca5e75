"""A dask.distributed cluster as workers: somebody's scheduler, or processes of its own on this machine.

A chunk is a pure function of the experiment and its index, so a cluster needs no more care than this: chunks go out a
few per worker at a time, what a dead worker had is computed by another, and the parent alone writes files. The bytes
are those of any other backend. A worker with other code or other numerical libraries might give other bits: it is
refused, at the start and again with every chunk, because workers may join later.
"""

from __future__ import annotations

import importlib.util
import logging
import pickle
import queue
import signal
import tempfile
import time
import uuid
import weakref
from collections.abc import Callable, Generator, Iterable
from contextlib import ExitStack, suppress
from functools import cache
from itertools import islice
from typing import TYPE_CHECKING, Self

from cmvsim.core.errors import CmvsimError, ExitCode
from cmvsim.core.records import NUMBERS_VERSION
from cmvsim.core.sources import sources_digest
from cmvsim.montecarlo.experiment import Experiment, Replicates
from cmvsim.runs.provenance import environment, software_version

if TYPE_CHECKING:
    from distributed import Client, Future

Task = Callable[[Experiment, int], tuple[int, Replicates]]
Identity = dict[str, str]

PORT = 8786
CONNECT_SECONDS = 5
JOIN_SECONDS = 10
"""How long a scheduler may be without any worker at the start ..."""
PATIENCE_SECONDS = 60
"""... and in the middle of a run: workers that died may be started again by whoever looks after them."""
LOOK_SECONDS = 1.0
"""How often to look what became of the workers."""
AHEAD = 2
"""Chunks per thread that are out at once: enough to keep it busy, few enough to lose little and to hold little."""
_SAME = ("numpy", "scipy", "numba")
"""Libraries that must be of one version everywhere: they may change last bits."""


class ClusterError(CmvsimError):
    """A cluster that is not there, is not fit, or broke down; what finished is kept."""

    exit_code = ExitCode.USAGE


class Cluster:
    """Workers of a dask.distributed cluster, connected when first needed, until :meth:`close`.

    Parameters
    ----------
    scheduler
        Address of a running scheduler, such as ``tcp://host:8786``; without it a cluster of processes on this machine
        is started, which talk over TCP too.

    Raises
    ------
    ClusterError
        From :meth:`connect` on: if dask.distributed is not installed, nobody answers at the address, no worker joins,
        or a worker has another version.
    """

    def __init__(self, scheduler: str | None = None) -> None:
        self.scheduler = scheduler
        self._client: Client | None = None
        self._open = ExitStack()
        # Whoever holds the cluster may forget it: its processes must not outlive it.
        self._finalizer = weakref.finalize(self, self._open.close)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def check(self) -> None:
        """See whether the cluster is there and fit, and leave it again; one of this machine's own is not started for it."""
        if self.scheduler is not None:
            with self:
                self.connect(1)
        _require_installed()

    def connect(self, processes: int) -> None:
        """Connect to the scheduler, or start so many local processes; nothing when that is done already."""
        if self._client is not None:
            return
        _require_installed()
        try:
            client = self._local(processes) if self.scheduler is None else self._remote(self.scheduler)
            self._check(client)
        except BaseException:
            self.close()
            raise
        self._client = client

    def close(self) -> None:
        """Leave the scheduler; stop what was started here."""
        self._client = None
        self._open.close()

    def computed(
        self, task: Task, experiment: Experiment, missing: Iterable[int]
    ) -> Generator[tuple[int, Replicates], None, None]:
        """Yield chunks as they finish, in whatever order.

        Parameters
        ----------
        task
            Computes one chunk; an importable function.
        experiment
            Picklable.
        missing
            Indices of the chunks wanted.

        Raises
        ------
        ClusterError
            If the connection is lost, all workers are gone for a minute, or a chunk killed worker after worker.
        """
        import cloudpickle  # comes with dask; plain pickle cannot name the generic classes of a scenario

        if self._client is None:
            raise RuntimeError("the cluster is not connected")
        client, todo = self._client, iter(missing)
        content, wanted, name = cloudpickle.dumps((task, experiment)), identity(), f"cmvsim-chunk-{uuid.uuid4().hex}"
        done: queue.SimpleQueue[Future] = queue.SimpleQueue()
        out: dict[Future, int] = {}
        watch = _Watch(client)
        try:
            while True:
                for index in islice(todo, max(AHEAD * max(watch.threads(), 1) - len(out), 0)):
                    future = client.submit(compute_here, wanted, content, index, key=(name, index), pure=False)
                    out[future] = index
                    future.add_done_callback(done.put)
                if not out:
                    return
                try:
                    future = done.get(timeout=LOOK_SECONDS)
                    chunk = _fetch(future, out[future])
                except queue.Empty:
                    continue
                except TimeoutError:  # whoever had it died just now: it is computed again
                    future.add_done_callback(done.put)
                    continue
                del out[future], future  # the scheduler forgets a chunk when nobody holds it
                yield chunk
        finally:
            if out and client.status == "running":
                with suppress(OSError, TimeoutError):
                    client.cancel(list(out))

    def _remote(self, scheduler: str) -> Client:
        from distributed import Client

        _quieten()
        address = _address(scheduler)
        try:
            client = Client(address, timeout=CONNECT_SECONDS, set_as_default=False)
        except (OSError, TimeoutError) as error:
            raise ClusterError(
                f"no dask scheduler answers at {scheduler} within {CONNECT_SECONDS} seconds ({_brief(error)}); "
                f"start one with 'dask scheduler', and give its address as tcp://HOST:{PORT}"
            ) from None
        self._open.callback(client.close)
        try:
            client.wait_for_workers(1, timeout=JOIN_SECONDS)
        except TimeoutError:
            raise ClusterError(
                f"the dask scheduler at {scheduler} has no workers after {JOIN_SECONDS} seconds; "
                f"start some with 'dask worker {scheduler}'"
            ) from None
        return client

    def _local(self, processes: int) -> Client:
        import dask
        from distributed import Client, LocalCluster

        _quieten()
        folder = self._open.enter_context(tempfile.TemporaryDirectory(prefix="cmvsim-dask-", ignore_cleanup_errors=True))
        with dask.config.set({"temporary-directory": folder}):
            local = LocalCluster(
                n_workers=processes,
                threads_per_worker=1,
                processes=True,
                protocol="tcp://",
                host="127.0.0.1",
                dashboard_address="127.0.0.1:0",  # any free port: another cluster may be here
                memory_limit=None,
                silence_logs=logging.CRITICAL,
                preload=[__name__],
                # The workers are the parallelism; dask itself sees to the threads of BLAS.
                env={"NUMBA_NUM_THREADS": "1"},
            )
        self._open.callback(local.close)
        client = Client(local, timeout=CONNECT_SECONDS, set_as_default=False)
        self._open.callback(client.close)
        return client

    def _check(self, client: Client) -> None:
        """Refuse workers that cannot give the same bytes."""
        wanted = identity()
        for address, found in client.run(identity, on_error="return").items():
            if isinstance(found, OSError):
                continue  # it died or left just now
            if isinstance(found, BaseException):
                raise ClusterError(
                    f"worker {address} cannot use cmvsim: {_brief(found)}; install cmvsim {software_version()} there"
                )
            _require(wanted, found, address)


class _Watch:
    """How many threads there are, looked up now and then, and whether anybody is there at all."""

    def __init__(self, client: Client) -> None:
        self._client = client
        self._threads = 0
        self._looked = 0.0
        self._last_seen = time.monotonic()

    def threads(self) -> int:
        """Threads of all workers, as of a moment ago."""
        if self._client.status != "running":
            raise ClusterError(LOST)
        now = time.monotonic()
        if now - self._looked >= LOOK_SECONDS:
            try:
                self._threads = sum(self._client.nthreads().values())
            except (OSError, TimeoutError):
                raise ClusterError(LOST) from None
            self._looked = now
            if self._threads:
                self._last_seen = now
            elif now - self._last_seen > PATIENCE_SECONDS:
                raise ClusterError(
                    f"all workers of the dask cluster have been gone for {PATIENCE_SECONDS} seconds; "
                    "what finished is kept, and the same command continues"
                )
        return self._threads


LOST = "the connection to the dask scheduler was lost; what finished is kept, and the same command continues"


def _fetch(future: Future, index: int) -> tuple[int, Replicates]:
    """The chunk of a finished future; TimeoutError if it is not to be had."""
    from distributed import CancelledError
    from distributed.scheduler import KilledWorker

    try:
        chunk: tuple[int, Replicates] = future.result(timeout=LOOK_SECONDS)
    except KilledWorker as error:
        deaths = error.allowed_failures + 1
        workers = f"{deaths} workers of the dask cluster, one after another," if deaths > 1 else "a worker of the dask cluster"
        raise ClusterError(
            f"{workers} died while computing chunk {index} "
            "(for lack of memory, perhaps: their logs say); what finished is kept, and the same command continues"
        ) from None
    except CancelledError:
        raise ClusterError(LOST) from None
    return chunk


def dask_setup(_worker: object) -> None:
    """Leave interrupts to the parent: Ctrl-C reaches the whole group of processes, and every worker would complain."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)


def compute_here(wanted: Identity, content: bytes, index: int) -> tuple[int, Replicates]:
    """Compute one chunk on a worker, if its software is that of the parent."""
    _require(wanted, identity(), "")
    task: Task
    task, experiment = pickle.loads(content)  # noqa: S301 -- from the parent, over the cluster's own connection
    return task(experiment, index)


@cache
def identity() -> Identity:
    """What must be the same on a worker for the same bytes: versions, and the very code."""
    found = {"cmvsim": software_version(), "numbers version": str(NUMBERS_VERSION)}
    found |= {library: environment()[library] for library in _SAME}
    return {**found, "code": sources_digest()[:16]}


def _require(wanted: Identity, found: Identity, address: str) -> None:
    differing = [name for name in wanted if found.get(name) != wanted[name]]
    if differing:
        told = ", ".join(f"{name} {found.get(name)} (here {wanted[name]})" for name in differing)
        worker = f"worker {address}" if address else "a worker"
        raise ClusterError(f"{worker} of the dask cluster would not give the same numbers: it has {told}")


def _require_installed() -> None:
    if importlib.util.find_spec("distributed") is None:
        raise ClusterError("the dask backend needs dask.distributed, which is not installed: pip install 'cmvsim[dask]'")


def _address(scheduler: str) -> str:
    """The address with protocol and port; the client itself would hang on a wrong one."""
    from distributed.comm.addressing import parse_address, parse_host_port

    try:
        protocol, place = parse_address(scheduler)
        host, port = parse_host_port(place, default_port=PORT)
    except ValueError:
        protocol = host = port = ""
    if protocol not in {"tcp", "tls"} or not host:
        raise ClusterError(f"'{scheduler}' is no address of a dask scheduler (allowed: tcp://HOST:{PORT})")
    return f"{protocol}://[{host}]:{port}" if ":" in host else f"{protocol}://{host}:{port}"


def _brief(error: BaseException) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0]


def _quieten() -> None:
    """What goes wrong is told by :class:`ClusterError`; the library's own log would interrupt progress and answers."""
    logging.getLogger("distributed").setLevel(logging.CRITICAL)
