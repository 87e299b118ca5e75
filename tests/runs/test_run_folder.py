"""A run folder is new, unfinished or finished; what is not ours is refused and untouched."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from cmvsim.core.errors import InputError
from cmvsim.core.records import Request
from cmvsim.runs import folder as folder_module
from cmvsim.runs.atomic import temporary_name
from cmvsim.runs.folder import MARKER, RUN_FILE, RunFolder, RunState, folder_name, read_run, request_of
from cmvsim.runs.lock import FolderLock
from cmvsim.runs.provenance import sha256_file

REQUEST = Request("power", "cmv-cart", "0" * 64, {"replicates": 100}, seed=1)
OTHER = Request("power", "cmv-cart", "0" * 64, {"replicates": 200}, seed=1)


def tree(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def finished(path: Path, text: str = "first", *, force: bool = False) -> RunFolder:
    folder = RunFolder(REQUEST, output=path)
    with folder.open(force=force) as run:
        run.write("results.json", text)
        run.write("figures/power.svg", b"<svg/>")
        run.finish(chunks_done=2)
    return folder


def test_names(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert folder_name("cmv-cart", "power", "0123456789ab") == "cmv-cart-power-01234567"
    assert folder_name("../my file", "power", "0123456789ab") == "my-file-power-01234567"
    monkeypatch.chdir(tmp_path)
    expected = tmp_path / "outputs" / f"cmv-cart-power-{REQUEST.digest[:8]}"
    assert RunFolder(REQUEST).path == expected
    assert list(tmp_path.iterdir()) == []


def test_life_of_a_run(tmp_path: Path) -> None:
    path = tmp_path / "deep" / "run"
    folder = RunFolder(REQUEST, output=path)
    assert folder.state is RunState.NEW
    with folder.open() as run:
        (run.chunks / "chunk-000000.npy").write_bytes(b"x")
    assert folder.state is RunFolder(REQUEST, output=path).state is RunState.UNFINISHED
    with folder.open() as run:
        assert (run.chunks / "chunk-000000.npy").read_bytes() == b"x"
        run.write("results.json", "{}")
        run.finish(chunks_done=1)
    assert folder.state is RunFolder(REQUEST, output=path).state is RunState.FINISHED
    assert sorted(tree(path)) == ["results.json", RUN_FILE]
    assert [entry.name for entry in path.parent.iterdir()] == ["run"]  # neither lock nor temporary folder


def test_run_json(tmp_path: Path) -> None:
    record = finished(tmp_path / "run").read_run()
    assert record["schema_version"] == 1
    assert record["request"] == REQUEST.as_dict()
    assert record["request_digest"] == REQUEST.digest
    assert (record["seed"], record["chunks_done"]) == (1, 2)
    assert set(record["environment"]) == {"python", "numpy", "scipy", "numba", "system", "machine"}
    assert record["outputs"] == {name: sha256_file(tmp_path / "run" / name) for name in ("figures/power.svg", "results.json")}
    text = json.dumps(record)
    for private in (os.uname().nodename, str(tmp_path), sys.executable, str(Path.home())):
        assert private not in text


def test_changed_files(tmp_path: Path) -> None:
    folder = finished(tmp_path / "run")
    assert folder.changed_files() == ()
    (folder.path / "results.json").write_text("edited")
    (folder.path / "figures" / "power.svg").unlink()
    assert folder.changed_files() == ("figures/power.svg", "results.json")


def test_request_is_rebuilt_with_its_digest(tmp_path: Path) -> None:
    content = {
        "replicates": 100,
        "grid": [60, 80],
        "target": 1 / 3,
        "analysis": {"level": 0.95, "none": None},
    }
    request = Request("power", "cmv-cart", "0" * 64, content, seed=2**127 + 1)
    with RunFolder(request, output=tmp_path / "run").open() as run:
        run.finish()
    rebuilt = request_of(read_run(tmp_path / "run"))
    assert rebuilt.digest == request.digest
    assert (rebuilt.seed, rebuilt.verb) == (request.seed, "power")


def test_reading_what_is_no_finished_run(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no run folder"):
        read_run(tmp_path)
    with RunFolder(REQUEST, output=tmp_path / "run").open():
        pass
    with pytest.raises(InputError, match="an unfinished run"):
        read_run(tmp_path / "run")
    (tmp_path / RUN_FILE).write_text('{"format": "cmvsim-run", "schema_version": 99}')
    with pytest.raises(InputError, match="schema 99"):
        read_run(tmp_path)


def test_chunks_may_be_kept(tmp_path: Path) -> None:
    folder = RunFolder(REQUEST, output=tmp_path / "run")
    with folder.open() as run:
        (run.chunks / "chunk-000000.npy").write_bytes(b"x")
        run.finish(keep_chunks=True)
    assert sorted(tree(folder.path)) == ["chunks/chunk-000000.npy", RUN_FILE]
    assert folder.read_run()["outputs"] == {}


@pytest.mark.parametrize("force", [False, True])
@pytest.mark.parametrize("content", ["notes.txt", ".hidden", RUN_FILE, MARKER, "chunks/chunk-000000.npy"])
def test_foreign_folder_is_refused_and_untouched(tmp_path: Path, content: str, *, force: bool) -> None:
    path = tmp_path / "mine"
    (path / content).parent.mkdir(parents=True)
    (path / content).write_text('{"my": "file"}')
    before = tree(tmp_path)
    with pytest.raises(InputError), RunFolder(REQUEST, output=path).open(force=force):
        pass
    assert tree(tmp_path) == before


def test_a_run_of_older_numbers_is_not_continued_and_said_to_be_one(tmp_path: Path) -> None:
    old = replace(REQUEST, numbers_version=REQUEST.numbers_version - 1)
    with RunFolder(old, output=tmp_path / "run").open():
        pass
    before = tree(tmp_path)
    with pytest.raises(InputError, match=rf"numbers version {old.numbers_version} \(now {REQUEST.numbers_version}\)"):
        RunFolder(REQUEST, output=tmp_path / "run")
    assert tree(tmp_path) == before


def test_files_in_the_way_are_refused(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x")
    with pytest.raises(InputError, match="is a file"):
        RunFolder(REQUEST, output=tmp_path / "file")
    with pytest.raises(InputError, match="is a file"):
        RunFolder(REQUEST, output=tmp_path / "file" / "run")


@pytest.mark.parametrize("state", [RunState.UNFINISHED, RunState.FINISHED])
def test_run_of_another_request_is_refused_and_untouched(tmp_path: Path, state: RunState) -> None:
    path = tmp_path / "run"
    if state is RunState.FINISHED:
        finished(path)
    else:
        with RunFolder(REQUEST, output=path).open() as run:
            run.write("part.csv", "1")
    before = tree(tmp_path)
    with pytest.raises(InputError, match=f"{state} run of another request"):
        RunFolder(OTHER, output=path)
    assert tree(tmp_path) == before


def test_empty_folder_is_used_and_a_killed_beginning_counts_as_empty(tmp_path: Path) -> None:
    path = tmp_path / "run"
    path.mkdir()
    temporary_name(path / MARKER).write_text("ha")
    folder = RunFolder(REQUEST, output=path)
    assert folder.state is RunState.NEW
    finished(path)
    assert RunFolder(REQUEST, output=path).state is RunState.FINISHED


def test_finished_run_is_not_written_again_without_force(tmp_path: Path) -> None:
    folder = finished(tmp_path / "run")
    with pytest.raises(InputError, match="--force"), folder.open():
        pass


def test_force_swaps_when_whole(tmp_path: Path) -> None:
    path = tmp_path / "run"
    finished(path)
    folder = RunFolder(REQUEST, output=path)
    with folder.open(force=True) as run:
        run.write("results.json", "second")
        assert (path / "results.json").read_text() == "first"
        run.finish()
        assert run.path == path
    assert sorted(tree(path)) == ["results.json", RUN_FILE]
    assert (path / "results.json").read_text() == "second"
    assert [entry.name for entry in tmp_path.iterdir()] == ["run"]


@pytest.mark.parametrize("error", [KeyboardInterrupt, RuntimeError, InputError])
def test_interrupted_force_keeps_the_old_run(tmp_path: Path, error: type[BaseException]) -> None:
    path = tmp_path / "run"
    finished(path)
    before = tree(tmp_path)

    def interrupted() -> None:
        with RunFolder(REQUEST, output=path).open(force=True) as run:
            run.write("results.json", "second")
            raise error("stop")

    with pytest.raises(error):
        interrupted()
    assert tree(tmp_path) == before


KILLED = """
import os, signal, sys
from pathlib import Path
from cmvsim.core.records import Request
from cmvsim.runs.folder import RunFolder
request = Request("power", "cmv-cart", "0" * 64, {"replicates": 100}, seed=1)
with RunFolder(request, output=Path(sys.argv[1])).open(force=sys.argv[2] == "force") as run:
    run.write("results.json", "second")
    os.kill(os.getpid(), signal.SIGKILL)
"""
needs_sigkill = pytest.mark.skipif(sys.platform == "win32", reason="Windows has no SIGKILL")


def kill(path: Path, how: str) -> None:
    assert subprocess.run([sys.executable, "-c", KILLED, str(path), how], check=False).returncode == -signal.SIGKILL


@needs_sigkill
def test_killed_force_keeps_the_old_run_and_its_lock_is_taken_over(tmp_path: Path) -> None:
    path = tmp_path / "run"
    finished(path)
    kill(path, "force")
    assert (tmp_path / ".run.lock").exists()
    assert RunFolder(REQUEST, output=path).state is RunState.FINISHED
    assert (path / "results.json").read_text() == "first"
    finished(path, "third", force=True)
    assert (path / "results.json").read_text() == "third"
    assert [entry.name for entry in tmp_path.iterdir()] == ["run"]


@needs_sigkill
def test_killed_run_is_continued(tmp_path: Path) -> None:
    path = tmp_path / "run"
    kill(path, "plain")
    folder = RunFolder(REQUEST, output=path)
    assert folder.state is RunState.UNFINISHED
    with folder.open() as run:
        assert (run.path / "results.json").read_text() == "second"
        run.finish()
    assert folder.state is RunState.FINISHED


@pytest.mark.parametrize(("fresh", "expected"), [("whole", "second"), ("partial", "first"), ("absent", "first")])
def test_swap_cut_between_its_two_renames_is_mended(tmp_path: Path, fresh: str, expected: str) -> None:
    path = tmp_path / "run"
    finished(path)
    path.rename(tmp_path / ".run.cmvsim-old")
    if fresh != "absent":
        finished(tmp_path / "aside", "second")
        (tmp_path / "aside").rename(tmp_path / ".run.cmvsim-fresh")
    if fresh == "partial":
        (tmp_path / ".run.cmvsim-fresh" / RUN_FILE).unlink()
    folder = RunFolder(REQUEST, output=path)
    assert folder.state is RunState.FINISHED
    assert (path / "results.json").read_text() == expected
    assert [entry.name for entry in tmp_path.iterdir()] == ["run"]


def test_interruption_before_run_json_leaves_an_unfinished_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_args: object, **_options: object) -> dict[str, str]:
        raise KeyboardInterrupt

    monkeypatch.setattr(folder_module, "sha256_tree", broken)
    with pytest.raises(KeyboardInterrupt):
        finished(tmp_path / "run")
    assert not (tmp_path / "run" / RUN_FILE).exists()
    assert RunFolder(REQUEST, output=tmp_path / "run").state is RunState.UNFINISHED


def test_bad_input_found_late_leaves_nothing(tmp_path: Path) -> None:
    with pytest.raises(InputError), RunFolder(REQUEST, output=tmp_path / "run").open():
        raise InputError("visit 3 has no day")
    assert list(tmp_path.iterdir()) == []


def test_two_processes_do_not_write_one_folder(tmp_path: Path) -> None:
    code = (
        "import sys; from pathlib import Path; from cmvsim.runs.lock import FolderLock\n"
        "with FolderLock(Path(sys.argv[1])): print('held', flush=True); sys.stdin.read()"
    )
    path = tmp_path / "run"
    with subprocess.Popen([sys.executable, "-c", code, str(path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as other:
        assert other.stdout is not None
        assert other.stdout.readline() == b"held\n"
        with (
            pytest.raises(InputError, match=f"another process \\(process {other.pid}\\)"),
            RunFolder(REQUEST, output=path).open(),
        ):
            pass
        other.kill()
    with RunFolder(REQUEST, output=path).open() as run:
        run.finish()


def test_lock_is_exclusive_within_a_process_and_leaves_no_file(tmp_path: Path) -> None:
    with FolderLock(tmp_path / "run"), pytest.raises(InputError), FolderLock(tmp_path / "run"):
        pass
    assert list(tmp_path.iterdir()) == []


def test_dot_is_a_folder_with_a_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    assert RunFolder(REQUEST, output=Path()).path == tmp_path / "here"
    assert RunFolder(REQUEST, output=Path("below/..")).path == tmp_path / "here"
