"""Running the command line as a user does: a process of its own, in a folder of its own."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

from click.testing import CliRunner

from cmvsim.cli import cli


def cmvsim(*arguments: object, cwd: Path, timeout: float = 300) -> subprocess.CompletedProcess[str]:
    """Run `cmvsim` and capture what it prints."""
    environment = {**os.environ, "COLUMNS": "200"}
    return subprocess.run(
        [sys.executable, "-m", "cmvsim.cli", *map(str, arguments)],
        cwd=cwd,
        env=environment,
        capture_output=True,
        text=True,
        timeout=timeout,
        check=False,
    )


@dataclass(frozen=True)
class Done:
    """What a command left."""

    returncode: int
    stdout: str
    stderr: str


def cmvsim_here(*arguments: object, cwd: Path) -> Done:
    """Run `cmvsim` in this process (starting Python and its libraries takes longer than most commands)."""
    before = Path.cwd()
    os.chdir(cwd)
    try:
        done = CliRunner().invoke(cli, list(map(str, arguments)), prog_name="cmvsim")
    finally:
        os.chdir(before)
    return Done(done.exit_code, done.stdout, done.stderr)


def results(folder: Path) -> dict:
    """`results.json` of a run."""
    return json.loads((folder / "results.json").read_text(encoding="utf-8"))


def files(folder: Path) -> set[str]:
    """Everything below a folder, by relative path."""
    return {str(path.relative_to(folder)) for path in folder.rglob("*")}
