"""`cmvsim power` as its user runs it: one answer, the same for any workers, after a kill, and when replayed."""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from cli_runner import cmvsim, results
from published import unmet_by_run

from cmvsim.calibration import calibrate
from cmvsim.montecarlo.experiment import FIELDS, layout_of
from cmvsim.planning.experiment import CohortExperiment
from cmvsim.runs.chunk_store import ChunkStore
from cmvsim.runs.folder import read_run, request_of
from cmvsim.verbs.replay import stored_scenario

SMALL = ("--replicates", 320, "--endpoint", "cmv_reactivation", "--quiet")


@pytest.fixture(scope="module")
def searched(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A finished search, made with two workers."""
    folder = tmp_path_factory.mktemp("searched")
    done = cmvsim("power", "cmv-cart", "--half-width", 0.08, "--probability", 0.8, *SMALL, "--jobs", 2, "-o", "run", cwd=folder)
    assert done.returncode == 0, done.stderr
    return folder / "run"


def rows_at(tree: dict, n: int) -> list[dict]:
    return [row for row in tree["rows"] if row["n"] == n]


def test_the_run_meets_the_published_schemas(searched: Path) -> None:
    assert unmet_by_run(searched, "power") == []


def test_the_row_of_the_answer_is_the_row_of_a_run_at_that_size_alone(searched: Path, tmp_path: Path) -> None:
    tree = results(searched)
    n = tree["answers"][0]["n"]
    # the same criterion as a design's target, asked at one size
    alone = cmvsim(
        "power",
        "cmv-cart",
        "-n",
        n,
        "--set",
        "designs.precision.target.half_width=0.08",
        *SMALL,
        "--jobs",
        1,
        "-o",
        "alone",
        cwd=tmp_path,
    )
    assert alone.returncode == 0, alone.stderr
    assert rows_at(tree, n) == rows_at(results(tmp_path / "alone"), n)
    assert len(rows_at(tree, n)) > 10


def test_one_worker_gives_the_same_bytes_as_two(searched: Path, tmp_path: Path) -> None:
    done = cmvsim(
        "power", "cmv-cart", "--half-width", 0.08, "--probability", 0.8, *SMALL, "--jobs", 1, "-o", "run", cwd=tmp_path
    )
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "run" / "results.json").read_bytes() == (searched / "results.json").read_bytes()


def kept(folder: Path) -> dict[str, bytes]:
    """All that a run left but who computed it: outputs, and every chunk of every stage."""
    whole = {str(path.relative_to(folder)): path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}
    return {name: content for name, content in whole.items() if name != "run.json"}


def test_a_run_killed_at_random_moments_continues_to_the_same_bytes(searched: Path, tmp_path: Path) -> None:
    """Killed while it starts, while chunks are computed or written, and between stages; then left alone."""
    asked = ("power", "cmv-cart", "--half-width", 0.08, "--probability", 0.8, *SMALL, "-o", "run")
    moments = random.Random(2)
    chunks, kills = tmp_path / "run" / "chunks", 0
    for jobs in (1, 2, 1, 2):
        command = [sys.executable, "-m", "cmvsim.cli", *map(str, asked), "--jobs", str(jobs)]
        more, pause = moments.randrange(6), moments.random() * 0.2
        wanted = len(list(chunks.rglob("*.npy"))) + more
        process = subprocess.Popen(
            command, cwd=tmp_path, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, env=dict(os.environ)
        )
        deadline = time.monotonic() + 240
        while time.monotonic() < deadline and process.poll() is None and len(list(chunks.rglob("*.npy"))) < wanted:
            time.sleep(0.002)
        time.sleep(pause)
        process.send_signal(signal.SIGKILL)
        kills += process.wait() == -signal.SIGKILL
        assert not list((tmp_path / "run").glob("run.json")), "the run had finished before it could be killed"
    assert kills == 4
    assert 0 < len(list(chunks.rglob("*.npy"))) < len(list((searched / "chunks").rglob("*.npy")))
    done = cmvsim(*asked, "--jobs", 2, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    expected = kept(searched)
    assert kept(tmp_path / "run") == expected
    assert len([name for name in expected if name.endswith(".npy")]) > 20


def test_a_finished_run_answers_at_once_and_is_not_rewritten(searched: Path) -> None:
    before = {path: path.stat().st_mtime_ns for path in searched.rglob("*") if path.is_file()}
    done = cmvsim(
        "power", "cmv-cart", "--half-width", 0.08, "--probability", 0.8, *SMALL, "-o", "run", "--json", cwd=searched.parent
    )
    assert done.returncode == 0
    assert json.loads(done.stdout) == results(searched)
    assert before == {path: path.stat().st_mtime_ns for path in searched.rglob("*") if path.is_file()}


def test_replay_finds_the_same_numbers_and_an_edited_result(searched: Path, tmp_path: Path) -> None:
    done = cmvsim("replay", searched, "--check", "--quiet", cwd=tmp_path)
    assert (done.returncode, "identical" in done.stdout) == (0, True), done.stdout + done.stderr


def test_replay_exits_with_3_where_a_number_was_changed(tmp_path: Path) -> None:
    done = cmvsim("power", "cmv-cart", "-n", 40, *SMALL, "--jobs", 1, "-o", "run", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    path = tmp_path / "run" / "results.json"
    tree = results(tmp_path / "run")
    tree["rows"][0]["value"] *= 1.001
    path.write_text(json.dumps(tree), encoding="utf-8")
    checked = cmvsim("replay", "run", "--check", "--quiet", cwd=tmp_path)
    assert checked.returncode == 3
    assert "different" in checked.stdout
    assert ".rows[0].value" in checked.stdout
    assert "results.json was changed" in checked.stdout


def test_a_size_inside_a_grid_equals_that_size_alone(tmp_path: Path) -> None:
    for name, sizes in (("grid", "60:200:20"), ("alone", "60")):
        done = cmvsim("power", "cmv-cart", "-n", sizes, *SMALL, "--jobs", 2, "-o", name, cwd=tmp_path)
        assert done.returncode == 0, done.stderr
    assert rows_at(results(tmp_path / "grid"), 60) == rows_at(results(tmp_path / "alone"), 60)


def test_a_simulated_study_put_through_estimate_equals_its_replicate_in_power(tmp_path: Path) -> None:
    done = cmvsim(
        "power", "cmv-cart", "-n", 120, "--replicates", 64, "--sensitivity", "--jobs", 1, "-o", "power", "--quiet", cwd=tmp_path
    )
    assert done.returncode == 0, done.stderr
    assert cmvsim("simulate", "cmv-cart", "-n", 120, "--replicates", 3, "-o", "studies", cwd=tmp_path).returncode == 0
    (chunk,) = (tmp_path / "power" / "chunks" / "study").glob("*.npy")
    request = request_of(read_run(tmp_path / "power"))
    scenario = stored_scenario(tmp_path / "power", request)
    endpoints = tuple(request.content["question"]["endpoints"])
    assert endpoints == ("cmv_reactivation", "cmv_leukaemia", "cmv_lymphoma", "cmv_disease"), "what needs no more simulation"
    experiment = CohortExperiment(scenario, calibrate(scenario).baseline, (120,), endpoints, True, 1)
    store = ChunkStore(chunk.parent, digest=experiment.request.digest, layout=layout_of(experiment))
    for replicate in (0, 2):
        asked = [part for name in endpoints for part in ("--endpoint", name)]
        ran = cmvsim(
            "estimate", f"studies/replicate-{replicate:04d}", *asked, "--json", "-o", f"estimate-{replicate}", cwd=tmp_path
        )
        assert ran.returncode == 0, ran.stderr
        rows = {(row["endpoint"], row["estimator"], row["term"]): row for row in json.loads(ran.stdout)["rows"]}
        assert len(rows) >= len(experiment.rows)  # and those of one data set at a time
        for index, key in enumerate(experiment.rows):
            for field in FIELDS[:6]:
                stored = store.column(0, index, field, 64)[replicate]
                shown = rows[key.endpoint, key.estimator, key.term][field]
                shown = np.nan if shown is None else shown
                assert np.isclose(shown, stored, rtol=6e-12, atol=0, equal_nan=True), (key, field)  # files hold 12 digits


def test_estimates_of_a_halved_schedule_fall_and_the_latent_estimand_stays(tmp_path: Path) -> None:
    # CMV disease is treated at loads below any limit, for as long as results say: with it visits act on a few loads
    rest = ("--set", "cmv.disease.hazard=1e-12", *SMALL)
    for name, change in (("weekly", ()), ("halved", ("--set", "monitoring.schedule=[{every=14,to=84},{at=90}]"))):
        done = cmvsim("power", "cmv-cart", "-n", 100, *rest, *change, "--jobs", 2, "-o", name, cwd=tmp_path)
        assert done.returncode == 0, done.stderr
    weekly, halved = results(tmp_path / "weekly"), results(tmp_path / "halved")
    value = {
        (name, e["kind"]): e["value"] for name, tree in (("weekly", weekly), ("halved", halved)) for e in tree["estimands"]
    }
    assert value["weekly", "latent"] == value["halved", "latent"]
    assert value["halved", "protocol"] < value["weekly", "protocol"] - 0.01
