"""An analysis that raises in some replicates: the first are left in the run folder, with their tables, to be analysed again."""

from __future__ import annotations

import json
import re
import shlex
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from cli_runner import cmvsim_here, results
from published import unmet_by_run

from cmvsim.endpoints import reactivation
from cmvsim.endpoints.derived import EVENT, TimeToEvent

MOST_EVENTS = 14


def refuse_many_events(derived: TimeToEvent, plan: Any, sizes: tuple[int, ...]) -> Any:
    """The primary estimator, unless a study has many events."""
    events = (derived.entered & (derived.cause == EVENT)).sum(axis=1)
    if np.any(events > MOST_EVENTS):
        raise ArithmeticError(f"{events.max()} events are too many")
    return GENUINE.estimate(derived, plan, sizes)


GENUINE = reactivation.ESTIMATORS[0]


@pytest.fixture(scope="module")
def failing(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("failing")
    with pytest.MonkeyPatch.context() as patch:
        changed = (replace(GENUINE, estimate=refuse_many_events), *reactivation.ESTIMATORS[1:])
        patch.setattr(reactivation, "ESTIMATORS", changed)
        asked = ("power", "cmv-cart", "-n", "20,40", "--replicates", 128, "--endpoint", "cmv_reactivation", "--seed", 5)
        done = cmvsim_here(*asked, "--jobs", 1, "--quiet", "-o", "run", cwd=folder)
        assert done.returncode == 0, done.stderr
    return folder


def kept(folder: Path) -> list[Path]:
    return sorted((folder / "run" / "failures").iterdir())


def test_the_first_five_are_kept_with_tables_plan_and_traceback(failing: Path) -> None:
    tree = results(failing / "run")
    assert unmet_by_run(failing / "run", "power") == []
    assert len(tree["failures"]) == 5
    assert [f"replicate-{failure['replicate']:06d}" for failure in tree["failures"]] == [path.name for path in kept(failing)]
    (missing,) = {row["n_failed"] for row in tree["rows"] if (row["n"], row["measure"]) == (40, "p_not_estimable")}
    assert missing > 5, "more failed than are kept"
    for failure, folder in zip(tree["failures"], kept(failing), strict=True):
        told = (folder / "traceback.txt").read_text(encoding="utf-8")
        assert failure["message"] in told
        assert "refuse_many_events" in told
        assert str(Path(__file__).parent) not in told
        assert {"subjects.csv", "samples.csv", "disposition.csv", "analysis.toml"} <= {path.name for path in folder.iterdir()}
    listed = json.loads((failing / "run" / "run.json").read_text(encoding="utf-8"))["outputs"]
    assert f"failures/{kept(failing)[0].name}/samples.csv" in listed
    assert any("5 replicates" in text or "replicates raised an error" in text for text in tree["warnings"])


def test_estimate_runs_on_what_was_kept_and_finds_what_was_too_much(failing: Path) -> None:
    folder = kept(failing)[0]
    asked = ("estimate", folder, "--endpoint", "cmv_reactivation", "--json", "-o", "estimate")
    done = cmvsim_here(*asked, cwd=failing)
    assert done.returncode == 0, done.stderr
    (row,) = (row for row in json.loads(done.stdout)["rows"] if (row["estimator"], row["stratum"]) == (GENUINE.id, ""))
    assert row["events"] > MOST_EVENTS
    said = re.search(r"(\d+) events are too many", (folder / "traceback.txt").read_text(encoding="utf-8"))
    assert said is not None
    assert row["events"] == int(said[1])


def test_the_command_in_it_makes_the_same_tables_again(failing: Path) -> None:
    folder = kept(failing)[1]
    (line,) = re.findall("To simulate it again: cmvsim (.*)", (folder / "traceback.txt").read_text(encoding="utf-8"))
    done = cmvsim_here(*shlex.split(line), "--quiet", "-o", "again", cwd=failing)
    assert done.returncode == 0, done.stderr
    tables = {path.name: path.read_bytes() for path in folder.iterdir() if path.name != "traceback.txt"}
    assert {name: (failing / "again" / name).read_bytes() for name in tables} == tables
    assert unmet_by_run(failing / "again", "simulate") == []


def test_one_replicate_by_itself_is_that_of_several(tmp_path: Path) -> None:
    common = ("simulate", "null", "-n", 8, "--quiet")
    assert cmvsim_here(*common, "--replicates", 66, "-o", "several", cwd=tmp_path).returncode == 0
    assert cmvsim_here(*common, "--replicate", 65, "-o", "one", cwd=tmp_path).returncode == 0
    for path in (tmp_path / "several" / "replicate-0065").iterdir():
        assert (tmp_path / "one" / path.name).read_bytes() == path.read_bytes()
    assert cmvsim_here("replay", "one", "--check", "--quiet", cwd=tmp_path).returncode == 0
    both = cmvsim_here(*common, "--replicate", 2, "--replicates", 3, cwd=tmp_path)
    assert (both.returncode, "one of the two" in both.stderr) == (2, True)
    assert cmvsim_here(*common, "--replicate", -1, cwd=tmp_path).returncode == 2
