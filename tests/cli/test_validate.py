"""`cmvsim validate` as its user runs it."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from cli_runner import cmvsim_here, files, results
from published import unmet_by_run

from cmvsim.calibration import Calibration, calibrate
from cmvsim.montecarlo import estimand_values
from cmvsim.runs.chunk_store import ChunkStore
from cmvsim.scenarios import ResolvedScenario
from cmvsim.verbs import power as power_verb
from cmvsim.verbs import validate as validate_verb

ASKED = ("validate", "null", "cmv-cart", "-n", "30,60", "--replicates", 128, "--jobs", 1, "--quiet")
RATES = ("--endpoint", "cmv_reactivation", "--endpoint", "cmv_infections")


@pytest.fixture(scope="module", autouse=True)
def quick() -> Iterator[None]:
    """Hazards solved on few patients, truth from a small cohort."""

    def few(scenario: ResolvedScenario) -> Calibration:
        return calibrate(scenario, 4096)

    with pytest.MonkeyPatch.context() as patch:
        for verb in (power_verb, validate_verb):
            patch.setattr(verb, "calibrate", few)
        patch.setattr(estimand_values, "COHORT_CHUNKS", 2)
        yield


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("validate")
    done = cmvsim_here(*ASKED, *RATES, "-o", "run", cwd=folder)
    assert done.returncode == 0, done.stderr
    assert "analyses hold their tolerances in 128 simulated studies of N = 30, 60 (null, cmv-cart)" in done.stdout
    return folder


def test_the_run_meets_its_schema(place: Path) -> None:
    assert unmet_by_run(place / "run", "validate") == []


def test_every_measure_of_ademp_is_there_with_its_error(place: Path) -> None:
    tree = results(place / "run")
    mine = [row for row in tree["rows"] if row["scenario"] == "null" and row["estimator"] == "time_dependent_cox"]
    got = {row["measure"] for row in mine if row["n"] == 60 and row["term"] == "bacterial"}
    wanted = {"bias", "relative_bias", "empirical_se", "model_se", "relative_se_error", "mse", "coverage", "ci_width"}
    assert got >= wanted | {"coverage_bias_eliminated", "type1", "p_not_estimable", "mean_estimate", "standardised_bias"}
    assert all(row["mcse"] is not None for row in mine if row["measure"] in wanted and row["n_ok"] > 100)
    other = [row for row in tree["rows"] if row["scenario"] == "cmv-cart"]
    assert "power" in {row["measure"] for row in other}
    assert "type1" not in {row["measure"] for row in other}  # CMV acts there: to reject is no error
    latent = [row for row in other if row["measure"] == "coverage_latent"]
    assert {row["endpoint"] for row in latent} == {"cmv_reactivation"}


def test_each_estimator_has_its_own_truth(place: Path) -> None:
    tree = results(place / "run")
    values = {(v["scenario"], v["estimator"], v["term"]): v["value"] for v in tree["limits"]}
    assert values["null", "time_dependent_cox", "bacterial"] != values["null", "odds_ratio", "bacterial, odds ratio"]
    kinds = {(v["scenario"], v["kind"], v["relapse"]) for v in tree["estimands"] if v["endpoint"] == "cmv_reactivation"}
    assert kinds == {(s, k, r) for s in ("null", "cmv-cart") for k in ("latent", "protocol") for r in HANDLED}


HANDLED = ("treatment_policy", "competing")


def test_bounds_hold_the_value_and_the_failed(place: Path) -> None:
    rows = [row for row in results(place / "run")["rows"] if row["low"] is not None and row["value"] is not None]
    assert rows
    for row in rows:
        if row["measure"] in {"coverage", "mean_estimate", "bias", "type1", "power"}:
            assert row["low"] - 1e-9 <= row["value"] <= row["high"] + 1e-9
            assert (row["low"] == row["high"]) == (row["n_failed"] == 0)


def test_verdicts_and_tolerances_are_told(place: Path) -> None:
    tree, text = results(place / "run"), (place / "run" / "summary.md").read_text(encoding="utf-8")
    for heading in ("Aims", "Data-generating mechanism", "Estimands", "Methods", "Performance"):
        assert f"## {heading}" in text
    for item in tree["tolerances"]:
        assert f"| {item['measure']} | {item['low']:g} | {item['high']:g} |" in text
    naive = [item for item in tree["verdicts"] if item["estimator"] == "odds_ratio"]
    assert naive
    assert all(item["declared"] for item in naive)
    judged = {(item["scenario"], item["measure"]) for item in tree["judged"]}
    assert ("null", "type1") in judged
    assert ("cmv-cart", "type1") not in judged
    assert any("could not be estimated" in warning for warning in tree["warnings"])
    for name in ("zip-null-cmv_infections", "coverage-cmv_infections", "nested-loop-cmv_reactivation"):
        assert f"figures/{name}.png" in files(place / "run")
        assert f"figures/{name}.png" in text


def test_an_interrupted_run_goes_on_to_the_same_bytes(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked = (*ASKED, "--endpoint", "cmv_infections", "--estimator", "phi")
    put, done = ChunkStore.put, 0

    def interrupted(self: ChunkStore, *args: object) -> None:
        nonlocal done
        if done == 3:  # in the second scenario
            raise KeyboardInterrupt
        done += 1
        put(self, *args)  # type: ignore[arg-type]

    with monkeypatch.context() as patch:
        patch.setattr(ChunkStore, "put", interrupted)
        stopped = cmvsim_here(*asked, "-o", "stopped", cwd=place)
    assert stopped.returncode == 130
    assert len(list((place / "stopped" / "chunks").rglob("*.npy"))) == 3
    assert cmvsim_here(*asked, "-o", "stopped", cwd=place).returncode == 0
    assert cmvsim_here(*asked, "-o", "whole", cwd=place).returncode == 0
    for name in ("results.json", "rows.csv", "summary.md"):
        assert (place / "stopped" / name).read_bytes() == (place / "whole" / name).read_bytes()
    tree = results(place / "whole")
    assert {row["estimator"] for row in tree["rows"]} == {"phi"}


def test_a_finished_run_is_printed_and_replayed(place: Path) -> None:
    asked = ("validate", "cmv-cart", "-n", 30, "--replicates", 64, "--endpoint", "cmv_reactivation", "--jobs", 1, "--quiet")
    assert cmvsim_here(*asked, "--estimator", "one_minus_km", "-o", "one", cwd=place).returncode == 0
    again = cmvsim_here(*asked, "--estimator", "one_minus_km", "-o", "one", "--json", cwd=place)
    assert json.loads(again.stdout) == results(place / "one")
    replayed = cmvsim_here("replay", "one", "--check", "--quiet", cwd=place)
    assert replayed.returncode == 0, replayed.stdout + replayed.stderr
    assert "identical" in replayed.stdout
    several = cmvsim_here("replay", "run", cwd=place)
    assert several.returncode == 2
    assert "several scenarios" in several.stderr


def test_strict_says_no_to_an_estimator_beyond_its_tolerance(place: Path) -> None:
    # three patients: Cox has next to no studies with an estimate
    asked = ("validate", "null", "-n", 3, "--replicates", 128, "--endpoint", "cmv_infections", "--jobs", 1, "--quiet")
    one = (*asked, "--estimator", "time_dependent_cox", "-o", "few")
    assert cmvsim_here(*one, cwd=place).returncode == 0
    strict = cmvsim_here(*one, "--strict", cwd=place)
    assert strict.returncode == 3
    assert "(no estimate " in strict.stdout
    declared = (*asked, "--estimator", "phi", "-o", "phi", "--strict")
    assert cmvsim_here(*declared, cwd=place).returncode == 0  # its note says that it is naive


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (("cmv-carp",), "cmv-cart"),
        (("cmv-cart", "--estimator", "gray_tset"), "did you mean 'gray_test'?"),
        (("cmv-cart", "--endpoint", "cmv"), "endpoint"),
        (("cmv-cart", "-n", "a"), "sample size"),
        (("cmv-cart", "--replicates", 1), "at least 2"),
        (("cmv-cart", "--seed", -1), "seed"),
    ],
)
def test_mistakes(tmp_path: Path, words: tuple[object, ...], told: str) -> None:
    done = cmvsim_here("validate", *words, "-o", "run", cwd=tmp_path)
    assert done.returncode == 2
    assert told in done.stderr
    assert "Traceback" not in done.stderr
    assert files(tmp_path) == set()


def test_two_files_of_one_id_are_refused(tmp_path: Path) -> None:
    for name in ("a.toml", "b.toml"):
        text = 'format = 1\nid = "twin"\ntitle = "Twin"\nextends = "cmv-cart"\n'
        (tmp_path / name).write_text(text, encoding="utf-8")
    done = cmvsim_here("validate", "a.toml", "b.toml", cwd=tmp_path)
    assert done.returncode == 2
    assert "the same id" in done.stderr
