"""`cmvsim qualify`: every case passes, a wrong number is named and gives exit code 3, the page holds every case."""

from __future__ import annotations

import fnmatch
import html
import json
import re
import tomllib
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner

from cmvsim.cli import cli
from cmvsim.qualification import COMPUTE, TOPICS, Case, Comparison, Outcome, load_cases, run_case
from cmvsim.report import qualification_page as page
from cmvsim.runs.folder import read_run
from cmvsim.verbs import qualify as verb
from cmvsim.verbs.ui import Silent

TOP = Path(__file__).parents[2]

# one number of one case of each topic: the case, the path to the number, and how it is named when it is wrong
WRONG = {
    "event_times": ("22_edge_group_no_events/aj_log", ["pstate", 3, 1], "incidence of event 1"),
    "regression": ("33_weights/cox_w_efron", ["se", 1], "se"),
    "comparisons": ("36_two_proportions/newcombe_method10", [0, 1], "limits"),
    "costs": ("46_cost_censoring/ipcw_if_se", ["se"], "se"),
    "closed_forms": ("R76", ["cif"], "cif"),
    "economics": ("threshold_price", ["breakeven_price_per_day"], "breakeven_price_per_day"),
    "value_sets": ("france_5l/all_states", ["sum"], "sum"),
    "streams": ("named_streams/cmv.onset-study-0-0", ["first", 2], "first numbers"),
    "end_to_end": ("small_study/cmv-cart-60", ["cmv_reactivation / aalen_johansen", "ci_high"], "cmv_reactivation"),
}


def changed(case: Case, path: list[Any]) -> Case:
    """The case with one expected number 1% larger."""
    expected = json.loads(json.dumps(case.expected))
    place = expected
    for key in path[:-1]:
        place = place[key]
    place[path[-1]] *= 1.01
    return replace(case, expected=expected)


@pytest.fixture(scope="module")
def outcomes() -> list[Outcome]:
    return [run_case(case) for case in load_cases()]


@pytest.fixture(scope="module")
def tree(outcomes: list[Outcome]) -> dict[str, Any]:
    """`results.json` of all cases."""
    request = verb.Request("qualify", "installation", "0" * 64, {"topic": None}, 0)
    return json.loads(verb.pretty_json(verb.results_tree(request, outcomes)))


@pytest.mark.parametrize("topic", TOPICS)
def test_independent_every_case_passes(outcomes: list[Outcome], topic: str) -> None:
    ours = [outcome for outcome in outcomes if outcome.case.topic == topic]
    wrong = {o.case.id: o.error or [c.quantity for c in o.comparisons if not c.within().all()] for o in ours if not o.passed}
    assert ours
    assert wrong == {}


def test_every_case_compares_something_and_names_its_source(outcomes: list[Outcome]) -> None:
    assert len(outcomes) > 200
    assert all(sum(item.size for item in outcome.comparisons) > 0 for outcome in outcomes)
    assert all(len(o.case.source) > 8 and o.case.what for o in outcomes)
    assert len({(o.case.topic, o.case.id) for o in outcomes}) == len(outcomes)
    assert {o.case.kind for o in outcomes} == set(COMPUTE)


def test_no_tolerance_passes_over_a_wrong_number(outcomes: list[Outcome]) -> None:
    """Every number, moved by three tolerances, must be noticed; every text changed by a letter too."""
    for outcome in outcomes:
        for item in outcome.comparisons:
            if isinstance(item.expected, str):
                assert not replace(item, expected=item.expected + "x").within().all()
                continue
            step = 3 * (item.atol + item.rtol * np.abs(item.expected)) + 1e-300
            moved = np.where(np.isfinite(item.expected), item.expected + np.maximum(step, 1e-13 * np.abs(item.expected)), 0.5)
            if item.size:
                assert not replace(item, got=moved).within().any(), f"{outcome.case.id} {item.quantity}"


def test_shapes_and_kinds_that_differ_do_not_agree() -> None:
    three, two = np.arange(3.0), np.arange(2.0)
    assert not Comparison("x", three, two, rtol=1).within().all()
    assert not Comparison("x", three, "text").within().all()
    assert Comparison("x", np.array([np.nan, np.inf]), np.array([np.nan, np.inf])).within().all()
    assert not Comparison("x", np.array([1.0]), np.array([np.nan]), rtol=1).within().all()


@pytest.mark.parametrize("topic", TOPICS)
def test_a_changed_number_gives_exit_code_3_and_is_named(topic: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    name, path, quantity = WRONG[topic]
    (case,) = [c for c in load_cases(topic) if c.id == name]
    monkeypatch.setattr(verb, "load_cases", lambda _: (case,))
    asked = ["qualify", "--quiet", "-o", str(tmp_path / "run")]
    assert CliRunner().invoke(cli, asked).exit_code == 0
    monkeypatch.setattr(verb, "load_cases", lambda _: (changed(case, path),))
    done = CliRunner().invoke(cli, [*asked[:1], "-o", str(tmp_path / "wrong")])
    assert done.exit_code == 3, done.output
    assert "Failed: 1 of 1 reference cases" in done.stdout
    assert name in done.stdout
    assert re.search(rf"{quantity}.*: expected .*, got .*; differs by .* allowed", done.stdout), done.stdout
    text = (tmp_path / "wrong" / "qualification.html").read_text(encoding="utf-8")
    assert '<h2 class="fail">Failures</h2>' in text
    assert json.loads((tmp_path / "wrong" / "results.json").read_text())["verdict"] == "fail"
    assert "## Failures" in (tmp_path / "wrong" / "summary.md").read_text()


def test_what_raises_is_a_failure_and_the_rest_goes_on(tmp_path: Path) -> None:
    sound = load_cases("closed_forms")[0]
    broken = [replace(sound, id="without-input", args={}), replace(sound, id="unknown", kind="no such kind"), sound]
    outcome = verb.qualify(verb.QualifyOptions(), verb.Place(tmp_path / "run"), Silent(), broken)
    assert [case["verdict"] for case in outcome.results["cases"]] == ["fail", "fail", "pass"]
    assert outcome.results["cases"][0]["error"].startswith("KeyError")
    assert "KeyError" in (tmp_path / "run" / "qualification.html").read_text(encoding="utf-8")


def test_an_old_report_is_computed_afresh(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked = ["qualify", "--topic", "value_sets", "--json", "--quiet", "-o", str(tmp_path / "run")]
    first = CliRunner().invoke(cli, asked)
    assert first.exit_code == 0
    assert {case["topic"] for case in json.loads(first.stdout)["cases"]} == {"value_sets"}
    monkeypatch.setitem(COMPUTE, "eq5d_profiles", lambda case: iter([Comparison("1", "a", "b")]))
    assert CliRunner().invoke(cli, asked).exit_code == 3
    assert set(read_run(tmp_path / "run")["outputs"]) == {"qualification.html", "results.json", "summary.md"}


def test_an_unknown_topic_is_a_usage_error(tmp_path: Path) -> None:
    done = CliRunner().invoke(cli, ["qualify", "--topic", "regresion", "-o", str(tmp_path / "run")])
    assert done.exit_code == 2
    assert "did you mean 'regression'?" in done.stderr
    assert not (tmp_path / "run").exists()


def test_the_page_has_every_case_and_needs_nothing_else(tree: dict[str, Any]) -> None:
    text = page.html(tree)
    cases = tree["cases"]
    for case in cases:
        for part in (case["id"], case["what"], case["source"]):
            assert html.escape(part).replace("&quot;", "&#34;").replace("&#x27;", "&#39;") in text, case["id"]
    assert text.count("<details>") == len(cases)
    assert re.findall(r'<span class="word (\w+)">', text) == [case["verdict"] for case in cases]
    assert not re.search(r"(src|href)=\"(?!#)|@import|url\(|<link|<img|<iframe|fetch\(", text)
    for label, value in page.environment_rows(tree):
        assert f'<th scope="row">{label}</th><td>{value}</td>' in text
    linked = set(re.findall(r'href="#([^"]+)"', text))
    assert linked == set(TOPICS) == set(re.findall(r'<h2 id="([^"]+)"', text))


def test_table_and_summary(tree: dict[str, Any]) -> None:
    table = page.terminal_text(tree)
    for row in tree["topics"]:
        assert row["passed"] == row["cases"]
        assert row["label"] in table
        assert row["label"] in page.summary(tree)
    assert "Passed: this installation" in table


def test_numbers_on_the_page_are_the_first_ones_of_many() -> None:
    assert page.numbers_text([1.0, "nan", 2.5]) == "1, nan, 2.5"
    assert page.numbers_text([[1, 2], [3, 4]]) == "1, 2; 3, 4"
    assert page.numbers_text(list(range(100))).endswith("39, … (100 numbers)")
    assert page.error_text(None) == "-"
    assert page.tolerance_text({"rtol": 0, "atol": 0}) == "equal"


def test_the_wheel_holds_cases_template_and_schemas() -> None:
    setup = tomllib.loads((TOP / "pyproject.toml").read_text(encoding="utf-8"))["tool"]["setuptools"]
    patterns = setup["package-data"]["*"]
    (include,) = setup["packages"]["find"]["include"]
    folders = {"qualification/reference": len(TOPICS), "report/templates": 1, "runs/schemas": 8}
    for folder, least in folders.items():
        place = TOP / "cmvsim" / folder
        assert fnmatch.fnmatch(".".join(place.relative_to(TOP).parts), include)  # found as a namespace package
        files = [p for p in place.iterdir() if p.is_file() and p.suffix != ".py"]
        assert len(files) >= least
        assert [p.name for p in files if not any(fnmatch.fnmatch(p.name, pattern) for pattern in patterns)] == []
    assert "namespaces" not in setup["packages"]["find"]
