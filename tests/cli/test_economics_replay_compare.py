"""Runs of the economic evaluation made again from their own files, where edits are noticed, and compared with each other."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from cli_runner import Done, cmvsim_here, results
from matplotlib.figure import Figure
from published import unmet, unmet_by_run

from cmvsim.calibration import calibrate
from cmvsim.calibration.redraw import Redraw
from cmvsim.economics.probabilistic import PsaExperiment
from cmvsim.economics.study_summaries import StudyExperiment
from cmvsim.montecarlo.experiment import Replicates
from cmvsim.report.compare_economics_text import economics_text
from cmvsim.scenarios import resolve
from cmvsim.verbs import economics, economics_check, economics_voi
from cmvsim.verbs.compare_economics import economics_of

GIVEN = (
    "letermovir-breakeven",
    *("--set", "letermovir.effect=given", "--set", "letermovir.given={ onset_ratio = 0.7, set_point_shift = -0.5 }"),
)
"""Nothing is solved for the drug: these tests are of the command."""
DEARER = ("--set", "economics.price_list=france_2025_hospital", "--set", "economics.counted=packs")
RUNS = {
    "economics": ("run", *GIVEN, "--quick", "-n", 500, "--psa", 20, "--per-draw", 16, "--threshold", 40000, "--jobs", 1),
    "dearer": ("run", *GIVEN, "--quick", "-n", 500, *DEARER, "--threshold", 40000, "--threshold", 90000, "--jobs", 1),
    "economics-voi": ("voi", *GIVEN, "--draws", 20, "--per-draw", 16, "-n", "5,10", "--jobs", 1),
    "economics-check": ("check", *GIVEN, "-n", 128),
    "economics-table": (
        "table",
        "psa.csv",
        "--wtp",
        "0:40000:20000",
        "--comparator",
        "drug",
        "--group",
        "z=b,a",
        "--group",
        "c=a,b",
    ),
}


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A run of each kind; hazards are solved once, on few patients, draws are made once, studies are noise, no figures.

    That draws can be made again is the matter of test_properties_probabilistic.
    """
    folder = tmp_path_factory.mktemp("economics")
    solved = calibrate(resolve(GIVEN[0], GIVEN[2::2]), patients=1024)
    rows = (f"{k},100,1,{300 + k % 7},{1 + 0.01 * (k % 5)},{k % 7},{k % 5}\n" for k in range(40))
    (folder / "psa.csv").write_text("draw,cost_none,effect_none,cost_drug,effect_drug,a,b\n" + "".join(rows), encoding="utf-8")
    with pytest.MonkeyPatch.context() as patch:
        for verb in (economics, economics_voi, economics_check):
            patch.setattr(verb, "reachable", lambda _: solved)
        patch.setattr(economics_voi, "LEAST_DRAWS", 20)
        patch.setattr(economics_voi, "FEW", 256)
        patch.setattr(Redraw, "prepare", lambda redraw: redraw)
        patch.setattr(Redraw, "solve", lambda *_, **__: (solved.baseline, True))
        patch.setattr(PsaExperiment, "chunk", once(PsaExperiment.chunk))
        patch.setattr(StudyExperiment, "study", lambda study, _, draw: study_of(len(study.sizes), len(study.rows), draw))
        patch.setattr(Figure, "savefig", lambda *_, **__: None)
        for name, asked in RUNS.items():
            done = cmvsim_here("economics", *asked, "--quiet", "-o", name, cwd=folder)
            assert done.returncode == 0, done.stderr
        yield folder


def once(chunk: Callable[[PsaExperiment, int], Replicates]) -> Callable[[PsaExperiment, int], Replicates]:
    """Chunks of draws by their request."""
    made: dict[tuple[str, int], Replicates] = {}

    def kept(psa: PsaExperiment, index: int) -> Replicates:
        key = psa.request.digest, index
        if key not in made:
            made[key] = chunk(psa, index)
        return made[key]

    return kept


def study_of(sizes: int, summaries: int, draw: int) -> np.ndarray:
    return np.random.default_rng(draw).random((sizes, summaries))


def replayed(place: Path, name: str) -> Done:
    return cmvsim_here("replay", name, "--check", "--jobs", 1, "--quiet", cwd=place)


@pytest.mark.parametrize("name", [name for name in RUNS if name != "dearer"])
def test_the_same_request_gives_the_same_results(place: Path, name: str) -> None:
    few = ["results.json .request.draws"] if name == "economics-voi" else []  # fewer than the command takes
    assert unmet_by_run(place / name, name) == few
    done = replayed(place, name)
    assert (done.returncode, "identical" in done.stdout) == (0, True), done.stdout + done.stderr


def test_a_number_that_was_edited_is_found(place: Path) -> None:
    path = place / "economics-table" / "results.json"
    own, tree = path.read_text(encoding="utf-8"), results(path.parent)
    tree["table"][0]["cost"] += 1
    path.write_text(json.dumps(tree), encoding="utf-8")
    done = replayed(place, path.parent.name)
    path.write_text(own, encoding="utf-8")
    assert (done.returncode, "different" in done.stdout, "results.json" in done.stdout) == (3, True, True)


def test_another_valuation_or_other_draws_are_not_what_the_run_was_made_from(place: Path) -> None:
    """The section [economics] is no part of a scenario's digest, but it is of the request."""
    for path, was, now in (
        (place / "economics-check" / "scenario.resolved.json", '"tested_on_drug": true', '"tested_on_drug": false'),
        (place / "economics-table" / "input" / "psa.csv", "300", "3000"),
    ):
        own = path.read_text(encoding="utf-8")
        assert was in own
        path.write_text(own.replace(was, now), encoding="utf-8")
        done = replayed(place, path.relative_to(place).parts[0])
        path.write_text(own, encoding="utf-8")
        assert (done.returncode, "that the run was made from" in done.stderr) == (2, True), done.stderr


def test_runs_that_cannot_be_replayed_are_told(place: Path) -> None:
    done = cmvsim_here("qualify", "--topic", "closed_forms", "--quiet", "-o", "qualify", cwd=place)
    assert done.returncode == 0, done.stderr
    done = replayed(place, "qualify")
    assert (done.returncode, "runs of 'qualify' cannot be replayed" in done.stderr, "economics-voi" in done.stderr) == (
        2,
        True,
        True,
    )


# --- compare ----------------------------------------------------------------------------------------------------------


def compared(place: Path, left: str, right: str) -> dict[str, Any]:
    done = cmvsim_here("compare", left, right, "--json", cwd=place)
    assert done.returncode == 0, done.stderr
    tree: dict[str, Any] = json.loads(done.stdout)
    assert unmet(tree, "compare") == []
    return tree


def test_two_valuations_of_the_same_patients_side_by_side(place: Path) -> None:
    left, right = results(place / "economics"), results(place / "dearer")
    tree = compared(place, "economics", "dearer")
    assert {"economics.counted.value", "economics.price_list.value", "psa", "thresholds"} <= {
        item["key"] for item in tree["asked"]
    }
    part = tree["economics"]
    assert [(row["strategy"], row["in"]) for row in part["strategies"]] == [("preemptive", "both"), ("targeted", "both")]
    found = {(row["section"], *row["key"].values(), row["measure"]): row for row in part["numbers"]}
    more = found["against the comparator", "targeted", "more cost"]
    costs = [run["increments"][0]["cost"] for run in (left, right)]
    assert (more["left"], more["right"]) == tuple(cost["value"] for cost in costs)
    assert more["difference"] == costs[1]["value"] - costs[0]["value"]
    assert more["se"] ** 2 == pytest.approx(costs[0]["se"] ** 2 + costs[1]["se"] ** 2)
    assert more["beyond"] == (abs(more["difference"]) > 3 * more["se"])
    assert found["per patient", "targeted", "QALYs"]["difference"] == 0
    assert [key[2] for key in found if key[0] == "by threshold" and key[-1] == "net benefit"] == [40000.0]
    assert [row["threshold"] for row in part["choices"]] == [40000.0]
    assert {row["strategy"] for row in part["ratios"]} == {"preemptive", "targeted"}
    said = cmvsim_here("compare", "economics", "dearer", cwd=place).stdout
    for words in ("Asked differently", "Highest expected net benefit", "Against the comparator", "break-even price", "--all"):
        assert words in said


@pytest.mark.parametrize("name", RUNS)
def test_a_run_and_itself_differ_in_nothing(place: Path, name: str) -> None:
    tree = compared(place, name, name)
    assert tree["rows"]
    assert not any(row["difference"] for row in tree["rows"])
    assert (tree["economics"] is None) == (name == "economics-check")
    if tree["economics"] is not None:
        assert not any(row["difference"] or row["beyond"] for row in tree["economics"]["numbers"])
        assert all(row["left"] == row["right"] for part in ("choices", "ratios") for row in tree["economics"][part])
    assert "another choice" not in cmvsim_here("compare", name, name, cwd=place).stdout


def test_where_the_choice_changes_is_told() -> None:
    """A strategy is chosen where its net benefit is above the comparator's, which is 0."""
    mean = {"value": 1.0, "se": 0.1}

    def run(*benefits: float, strategy: str = "drug") -> dict[str, Any]:
        row = {
            "strategy": strategy,
            "against": "none",
            "cost": mean,
            "qaly": mean,
            "infections_averted": mean,
            "drug_days": 5.0,
        }
        row["net_benefit"] = [{"value": value, "se": 1.0} for value in benefits]
        row["break_even_price"] = [mean for _ in benefits]
        return {"strategies": [], "frontier": [], "increments": [row], "thresholds": [0.0, 1000.0, 2000.0]}

    part = economics_of("economics", [run(-5.0, -1.0, 4.0), run(-5.0, 1.0, 8.0)], 3.0)
    assert part is not None
    told = [(row["threshold"], row["left"]["chosen"], row["right"]["chosen"]) for row in part["choices"]]
    assert told == [(0.0, "none", "none"), (1000.0, "none", "drug"), (2000.0, "drug", "drug")]
    marked = [row["key"]["threshold"] for row in part["numbers"] if row["beyond"]]
    assert marked == []
    narrow = economics_of("economics", [run(-5.0, -1.0, 4.0), run(-5.0, 1.0, 8.0)], 2.0)
    assert narrow is not None
    assert [row["key"]["threshold"] for row in narrow["numbers"] if row["beyond"]] == [2000.0]
    lines = economics_text(part, 3.0, same_seed=False, every_row=False)
    (choices,) = (line for line in lines if line.startswith("Highest"))
    assert [line.split()[-1] == "choice" for line in choices.splitlines()[2:]] == [False, True, False]
    other = economics_of("economics", [run(0.0, 0.0, 0.0), run(0.0, 0.0, 0.0, strategy="more")], 3.0)
    assert other is not None
    assert other["numbers"] == []
