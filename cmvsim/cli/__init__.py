"""The command line: parse, call one function of ``verbs``, print. The only importer of click."""

from __future__ import annotations

import os

from cmvsim.cli import data, economics, installation, planning, reports, scenarios, studies  # noqa: F401 -- they add commands
from cmvsim.cli.base import cli

__all__ = ["cli", "main"]


def main() -> None:
    """Entry point: usage mistakes exit with 2, as click does; everything else through :func:`cmvsim.app.run`."""
    for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
        os.environ.setdefault(name, "1")  # the workers are the parallelism; a threaded BLAS may change last bits
    cli(prog_name="cmvsim")
