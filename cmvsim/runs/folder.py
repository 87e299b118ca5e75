"""The folder of one run: new, unfinished or finished, never somebody else's.

While a run is under way its folder holds ``unfinished.json`` (which request it is) and ``chunks/``;
``run.json`` is written last and at once, so a folder that has one is whole. A forced run works in a hidden
sibling, and takes the folder's place when it is whole: until then the old results stay where they are.
"""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from enum import StrEnum
from pathlib import Path
from typing import Any

from cmvsim.core.canonical import pretty_json
from cmvsim.core.errors import CmvsimError, InputError
from cmvsim.core.records import Request
from cmvsim.runs.atomic import is_temporary, sync_folder, temporary_name, write_atomic
from cmvsim.runs.lock import FolderLock
from cmvsim.runs.provenance import environment, sha256_file, sha256_tree, software_version

RUN_FILE = "run.json"
MARKER = "unfinished.json"
CHUNKS = "chunks"
FORMAT = "cmvsim-run"
SCHEMA_VERSION = 1
OUTPUTS = Path("outputs")
"""Where runs go that name no folder, below the working directory."""


class RunState(StrEnum):
    """What a run folder holds."""

    NEW = "new"
    UNFINISHED = "unfinished"
    FINISHED = "finished"


def folder_name(name: str, verb: str, digest: str) -> str:
    """Return ``<name>-<verb>-<digest8>``, with anything unusual in a file name replaced by a hyphen."""
    return re.sub(r"[^A-Za-z0-9._-]+", "-", f"{name}-{verb}-{digest[:8]}").lstrip(".-")


def read_run(path: Path) -> dict[str, Any]:
    """Return the content of ``run.json`` of any finished run.

    Raises
    ------
    InputError
        If `path` is no finished run of this program, or of a later schema.
    """
    if not (path / RUN_FILE).is_file():
        unfinished = (path / MARKER).is_file()
        raise InputError(f"{path} is {'an unfinished run' if unfinished else 'no run folder'}")
    record = _read_json(path / RUN_FILE)
    if record.get("format") != FORMAT:
        raise InputError(f"{path / RUN_FILE} was not written by cmvsim")
    if record.get("schema_version") != SCHEMA_VERSION:
        raise InputError(f"{path / RUN_FILE}: schema {record.get('schema_version')} (this version reads {SCHEMA_VERSION})")
    return record


def changed_files(path: Path) -> tuple[str, ...]:
    """Return the outputs of a finished run that are missing or no longer have their recorded hash."""
    outputs: dict[str, str] = read_run(path)["outputs"]
    return tuple(
        name for name, expected in outputs.items() if not (path / name).is_file() or sha256_file(path / name) != expected
    )


def request_of(record: dict[str, Any]) -> Request:
    """Rebuild the request from ``run.json``; its digest is the same."""
    content = dict(record["request"])
    fixed = {name: content.pop(name) for name in ("verb", "scenario", "scenario_digest")}
    seed, numbers_version = content.pop("seed"), content.pop("numbers_version")
    return Request(**fixed, content=content, seed=seed, numbers_version=numbers_version)


class RunFolder:
    """The folder that belongs to a request; constructing it writes nothing.

    Parameters
    ----------
    request
        What is asked.
    output
        The folder wished for; without it ``outputs/<name>-<verb>-<digest8>``.
    name
        Without it the request's scenario id.

    Raises
    ------
    InputError
        If the folder holds something else: another run, files of the user, a file instead of a folder.
    """

    def __init__(self, request: Request, *, output: Path | None = None, name: str | None = None) -> None:
        self.request = request
        default = OUTPUTS / folder_name(name or request.scenario, request.verb, request.digest)
        # Absolute, because "." and ".." have no siblings to be locked and swapped with.
        self.path = (output if output is not None else default).absolute()
        if self.path.name in {"", ".."}:
            self.path = self.path.resolve()
        self._fresh = self.path.with_name(f".{self.path.name}.cmvsim-fresh")
        self._old = self.path.with_name(f".{self.path.name}.cmvsim-old")
        self._check_parents()
        if self._old.exists() and not self.path.exists():
            with FolderLock(self.path):
                self._mend()
        self.state: RunState = self._look()

    def read_run(self) -> dict[str, Any]:
        """Return the content of ``run.json`` of a finished run."""
        return read_run(self.path)

    def changed_files(self) -> tuple[str, ...]:
        """Return the outputs of a finished run that are missing or no longer have their recorded hash."""
        return changed_files(self.path)

    @contextmanager
    def open(self, *, force: bool = False) -> Iterator[OpenRun]:
        """Hold the folder for writing, continuing what is there.

        Parameters
        ----------
        force
            Compute afresh beside the folder; the swap happens in :meth:`OpenRun.finish`. An interrupted
            forced run keeps nothing of its own.

        Raises
        ------
        InputError
            If another process writes this folder.
        """
        with ExitStack() as stack:
            try:
                self.path.parent.mkdir(parents=True, exist_ok=True)
                stack.enter_context(FolderLock(self.path))
            except PermissionError as error:
                raise InputError(f"cannot write beside {self.path} ({error.strerror})") from error
            yield from self._opened(force=force)

    def _opened(self, *, force: bool) -> Iterator[OpenRun]:
        self._mend()
        self.state = self._look()  # again, now that nobody else can change it
        if self.state is RunState.FINISHED and not force:
            raise InputError(f"{self.path} holds this run, finished; compute afresh with --force")
        place = self._fresh if force else self.path
        existed = place.exists()
        run = OpenRun(self, place)
        try:
            run.begin()
            yield run
        except CmvsimError:
            # Bad input found late: nothing was computed, so nothing is left behind.
            if not run.finished and not any(run.chunks.rglob("*.npy")):
                _remove_unused(place, keep_folder=existed)
            raise
        finally:
            if force and not run.finished:
                shutil.rmtree(self._fresh, ignore_errors=True)
        self.state = self._look()

    def _check_parents(self) -> None:
        for parent in self.path.parents:
            if parent.exists():
                if not parent.is_dir():
                    raise InputError(f"{parent} is a file, not a folder")
                return

    def _look(self) -> RunState:
        if not self.path.exists():
            return RunState.NEW
        if not self.path.is_dir():
            raise InputError(f"{self.path} is a file; name a folder for the results")
        for name, state in ((RUN_FILE, RunState.FINISHED), (MARKER, RunState.UNFINISHED)):
            file = self.path / name
            if file.is_file():
                found = _read_json(file)
                if found.get("format") != FORMAT:
                    raise InputError(f"{file} was not written by cmvsim; choose another output folder")
                if found.get("request_digest") != self.request.digest:
                    version, own = found.get("request", {}).get("numbers_version"), self.request.numbers_version
                    other = "another request" if version in (None, own) else f"numbers version {version} (now {own})"
                    raise InputError(
                        f"{self.path} holds the {state} run of {other} ({_named(found)}); "
                        "choose another output folder or remove this one"
                    )
                return state
        # A process killed before its marker was whole leaves just the marker's temporary file.
        if any(entry != temporary_name(self.path / MARKER) for entry in self.path.iterdir()):
            raise InputError(f"{self.path} is not empty and holds no run; choose another output folder")
        return RunState.NEW

    def _mend(self) -> None:
        """Complete or undo a swap cut short, and clear what a killed forced run left; needs the lock."""
        if self._old.exists() and not self.path.exists():
            whole = self._fresh if (self._fresh / RUN_FILE).is_file() else self._old
            whole.replace(self.path)
        for leftover in (self._fresh, self._old):
            if leftover.exists():
                shutil.rmtree(leftover)

    def swap(self) -> None:
        """Put the whole forced run in the folder's place; needs the lock."""
        if self.path.exists():
            self.path.replace(self._old)
        self._fresh.replace(self.path)
        sync_folder(self.path.parent)
        shutil.rmtree(self._old, ignore_errors=True)


class OpenRun:
    """A run being written, from :meth:`RunFolder.open`.

    Attributes
    ----------
    path
        Where to write now; after :meth:`finish` the run's own folder.
    chunks
        Folder for the chunk store.
    finished
        Whether :meth:`finish` was called.
    """

    def __init__(self, folder: RunFolder, path: Path) -> None:
        self._folder = folder
        self.path = path
        self.chunks = path / CHUNKS
        self.finished = False

    def begin(self) -> None:
        """Make the folder and mark whose it is."""
        self.path.mkdir(exist_ok=True)
        if not (self.path / MARKER).exists():
            self._write_json(MARKER, {**self._identity(), "state": str(RunState.UNFINISHED)})
        self.chunks.mkdir(exist_ok=True)

    def write(self, name: str, content: str | bytes) -> Path:
        """Write one output file, whole or not at all.

        Parameters
        ----------
        name
            Path relative to the run folder, with forward slashes; folders are made.
        content
            Text is written as UTF-8.
        """
        path = self.path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        write_atomic(path, content.encode() if isinstance(content, str) else content)
        return path

    def finish(self, *, chunks_done: int = 0, keep_chunks: bool = False) -> None:
        """Write ``run.json``, last; from here on the run is finished, and its chunks are gone unless kept.

        Parameters
        ----------
        chunks_done
            Chunks the results rest on.
        keep_chunks
            Leave the replicates in the folder. They are checked by their own trailers and have no hash in
            ``run.json``.
        """
        for path in self.path.rglob(".*.tmp"):
            if is_temporary(path):
                path.unlink()
        record = {
            **self._identity(),
            "seed": self._folder.request.seed,
            "chunks_done": chunks_done,
            "environment": environment(),
            "outputs": sha256_tree(self.path, skip=frozenset({RUN_FILE, MARKER, CHUNKS})),
        }
        self._write_json(RUN_FILE, record)
        (self.path / MARKER).unlink()
        if not keep_chunks or not any(self.chunks.iterdir()):
            shutil.rmtree(self.chunks)
        if self.path != self._folder.path:
            self._folder.swap()
            self.path = self._folder.path
            self.chunks = self.path / CHUNKS
        self.finished = True

    def _identity(self) -> dict[str, Any]:
        request = self._folder.request
        return {
            "format": FORMAT,
            "schema_version": SCHEMA_VERSION,
            "software_version": software_version(),
            "request": request.as_dict(),
            "request_digest": request.digest,
        }

    def _write_json(self, name: str, content: dict[str, Any]) -> None:
        write_atomic(self.path / name, pretty_json(content).encode())


def _read_json(path: Path) -> dict[str, Any]:
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise InputError(f"{path} cannot be read as JSON; choose another output folder") from error
    return content if isinstance(content, dict) else {}


def _named(record: dict[str, Any]) -> str:
    request = record.get("request", {})
    digest = str(record.get("request_digest", "?"))
    return folder_name(str(request.get("scenario", "?")), str(request.get("verb", "?")), digest)


def _remove_unused(place: Path, *, keep_folder: bool) -> None:
    """Remove what :meth:`OpenRun.begin` made, and nothing else."""
    (place / MARKER).unlink(missing_ok=True)
    for folder in (place / CHUNKS, *(() if keep_folder else (place,))):
        if folder.is_dir() and not any(folder.iterdir()):
            folder.rmdir()
