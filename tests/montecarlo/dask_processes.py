"""A dask cluster as its users have it: a scheduler and workers, each a process of its own, talking over TCP."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from pathlib import Path

TOP = Path(__file__).resolve().parents[2]
PATIENCE = 60.0


class DaskProcesses:
    """A scheduler, and the workers that were asked for; all are gone at the end."""

    def __init__(self, folder: Path, **environment: str) -> None:
        self._folder = folder
        self._environment = {**os.environ, "DASK_TEMPORARY_DIRECTORY": str(folder), **environment}
        self._started: list[subprocess.Popen[bytes]] = []
        told = folder / "scheduler.json"
        self.scheduler = self._start("dask_scheduler", "--host", "tcp://127.0.0.1", "--port", "0", "--scheduler-file", told)
        deadline = time.monotonic() + PATIENCE
        while not told.exists() or not told.read_text():
            assert self.scheduler.poll() is None, "the scheduler ended"
            assert time.monotonic() < deadline, "the scheduler did not start"
            time.sleep(0.02)
        self.address: str = json.loads(told.read_text())["address"]

    def worker(self, package: Path = TOP, wait: bool = True) -> subprocess.Popen[bytes]:
        """Start a worker that imports cmvsim from `package`, and wait until the scheduler knows it."""
        from distributed import Client

        path = os.pathsep.join([str(package), str(Path(__file__).parent)])
        with Client(self.address, set_as_default=False) as client:
            before = len(client.nthreads())
            started = self._start("dask_worker", self.address, "--no-nanny", "--nthreads", "1", path=path)
            if wait:
                client.wait_for_workers(before + 1, timeout=PATIENCE)
        return started

    def end(self, process: subprocess.Popen[bytes]) -> None:
        """Kill a worker, and wait until the scheduler has seen it."""
        from distributed import Client

        with Client(self.address, set_as_default=False) as client:
            before = len(client.nthreads())
            process.kill()
            process.wait()
            deadline = time.monotonic() + PATIENCE
            while len(client.nthreads()) >= before and time.monotonic() < deadline:
                time.sleep(0.02)

    def close(self) -> None:
        """Kill what still runs."""
        for process in reversed(self._started):
            process.kill()
        for process in self._started:
            process.wait()

    def _start(self, program: str, *arguments: object, path: str = str(TOP)) -> subprocess.Popen[bytes]:
        command = [
            sys.executable,
            "-m",
            f"distributed.cli.{program}",
            *map(str, arguments),
            "--dashboard-address",
            "127.0.0.1:0",
        ]
        with (self._folder / f"{program}-{len(self._started)}.log").open("wb") as log:
            started = subprocess.Popen(
                command, cwd=self._folder, stdout=log, stderr=log, env={**self._environment, "PYTHONPATH": path}
            )
        self._started.append(started)
        return started
