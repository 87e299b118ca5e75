"""``cmvsim report``: one HTML page of a finished run, which needs nothing beside it."""

from __future__ import annotations

from pathlib import Path

from cmvsim.core.errors import InputError, Problem
from cmvsim.report.run_page import KINDS, MARK, RunFiles, page
from cmvsim.runs.atomic import write_atomic
from cmvsim.runs.folder import changed_files, read_run
from cmvsim.verbs.place import read_results

DEFAULT = "report.html"
SUMMARIES = ("summary.md", "story.md")
HIDDEN = frozenset({"chunks", "failures", "input"})
"""Folders of a run whose tables are no results."""


def report(folder: Path, output: Path | None = None, *, force: bool = False) -> Path:
    """Write the page of a run and return where it is.

    Parameters
    ----------
    folder
        A finished run of any verb.
    output
        By default ``report.html`` in the run folder.
    force
        Replace a file that is no report.

    Raises
    ------
    InputError
        If the folder is no finished run, or the page would replace something else.
    """
    files = read_files(folder)
    target = output if output is not None else folder / DEFAULT
    if target.is_dir():
        raise InputError(Problem(f"{target} is a folder", "-o", allowed="a file, such as report.html"))
    if target.exists() and not force and MARK.encode() not in target.read_bytes()[:1000]:
        raise InputError(Problem(f"{target} is no report of cmvsim", "-o", allowed="another file, or --force"))
    target.parent.mkdir(parents=True, exist_ok=True)
    write_atomic(target, page(files).encode())
    return target


def read_files(folder: Path) -> RunFiles:
    """What the page is made of: outputs that the run itself recorded, and no others."""
    run = read_run(folder)
    names = [name for name in run["outputs"] if (folder / name).is_file()]
    text = next((_text(folder / name) for name in SUMMARIES if name in names), "")
    shown = [name for name in names if name.split("/")[0] not in HIDDEN]
    return RunFiles(
        run,
        read_results(folder),
        text,
        {name: (folder / name).read_bytes() for name in shown if Path(name).suffix in KINDS},
        {name: _text(folder / name) for name in shown if name.endswith(".csv")},
        changed_files(folder),
    )


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except UnicodeDecodeError:
        raise InputError(f"{path} is no text in UTF-8") from None
