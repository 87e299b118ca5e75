"""What each verb writes meets its published JSON Schema, and what does not is noticed.

`power`: test_power_end_to_end, test_power_assurance; `validate`: test_validate; `sensitivity`: test_sensitivity; economics:
test_economics_run, test_economics_replay_compare.
"""

from __future__ import annotations

import copy
import json
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from cli_runner import cmvsim_here, results
from published import unmet, unmet_by_run

from cmvsim.runs.schemas import schema, schema_names
from cmvsim.scenarios import ResolvedScenario
from cmvsim.verbs import accrual_programme
from cmvsim.verbs import simulate as simulate_verb
from cmvsim.verbs import trace as trace_verb
from tests.simulation.pathway_build import given_baseline

MAP = """\
format = 1
patient = "Nr"
time_unit = "weeks"
[cmv_reactivation]
time = "T"
event = { column = "E", is = "CMV" }
[analysis]
endpoints = ["cmv_reactivation"]
window = 8
"""
ELSEWHERE = {
    *(
        "compare",
        "economics",
        "economics-check",
        "economics-voi",
        "power",
        "power-assurance",
        "power-staged",
        "power-trial",
        "run",
        "sensitivity",
        "validate",
    )
}
"""Checked by the tests of these verbs, which have runs of them anyway; `compare`: test_report_and_compare."""
FILE = "Nr,T,E\n1,1.5,CMV\n2,2,none\n3,2,CMV\n4,3,dead\n5,4.5,CMV\n6,9,none\n"
RUNS = {
    "simulate": ("simulate", "simulate", "cmv-cart", "-n", 12, "--seed", 5, "--history"),
    "simulate-parquet": ("simulate", "simulate", "cmv-cart", "-n", 3, "--replicates", 2, "--format", "parquet"),
    "simulate-arms": ("simulate", "simulate", "letermovir-trial", "-n", 8, "--design", "superiority"),
    "trace": ("trace", "trace", "cmv-cart", "-n", 12, "--seed", 5, "--find", "treated"),
    "trace-no-cmv": ("trace", "trace", "cmv-cart", "-n", 12, "--patient", 3, "--no-cmv"),
    "trace-drug": (
        *("trace", "trace", "letermovir-strategies", "-n", 12, "--strategy", "universal", "--patient", 3),
        *("--set", "cmv.disease.hazard=0.05", "--set", "resistance.ganciclovir.change=0.6"),
    ),
    "accrual": ("accrual", "accrual", "cmv-cart", "-n", "5,10", "--replicates", 20, "--programmes", 0),
    "accrual-sites": (
        *("accrual", "accrual", "cmv-cart", "-n", 10, "--by", "2025-04-17", "--probability", 0.8),
        *("--replicates", 20, "--programmes", 1),
    ),
    "estimate": ("estimate", "estimate", "simulate", "--endpoint", "cmv_reactivation", "--endpoint", "cmv_disease"),
    "estimate-map": ("estimate-map", "estimate", "file.csv", "--map", "map.toml"),
    "economics-table": (
        *("economics-table", "economics", "table", "psa.csv", "--threshold", 20000, "--wtp", "0:40000:20000"),
        *("--group", "both=a,b"),
    ),
    "economics-table-bare": ("economics-table", "economics", "table", "bare.csv"),
    "qualify": ("qualify", "qualify", "--topic", "closed_forms"),
}


def psa_file(draws: int) -> str:
    """Three strategies, two inputs."""
    rows = ["strategy,draw,cost,effect,a,b"]
    for k in range(draws):
        a, b = k % 7 - 3, k % 5 - 2
        rows += [f"none,{k},1000,1,{a},{b}", f"drug,{k},{3000 + 400 * a},{1.1 + 0.02 * b},{a},{b}"]
        rows += [f"more,{k},{4000 - 300 * b},{1.05 + 0.05 * a},{a},{b}"]
    return "\n".join(rows) + "\n"


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A run of each verb, on given hazards where a model is simulated."""
    folder = tmp_path_factory.mktemp("schemas")
    (folder / "map.toml").write_text(MAP, encoding="utf-8")
    (folder / "file.csv").write_text(FILE, encoding="utf-8")
    (folder / "psa.csv").write_text(psa_file(40), encoding="utf-8")
    (folder / "bare.csv").write_text("draw,cost_a,effect_a,cost_b,effect_b\n1,1,1,2,3\n2,1,1,1,2\n", encoding="utf-8")

    def given(scenario: ResolvedScenario) -> SimpleNamespace:
        return SimpleNamespace(baseline=given_baseline(len(scenario.spec.population.strata), 5.0))

    with pytest.MonkeyPatch.context() as patch:
        for verb in (simulate_verb, trace_verb, accrual_programme):
            patch.setattr(verb, "calibrate", given)
        for name, (_, *asked) in RUNS.items():
            done = cmvsim_here(*asked, "--quiet", "-o", name, cwd=folder)
            assert done.returncode == 0, done.stderr
        yield folder


@pytest.mark.parametrize("name", RUNS)
def test_what_a_verb_writes_meets_its_schema(place: Path, name: str) -> None:
    assert unmet_by_run(place / name, RUNS[name][0]) == []


def objects(tree: Any, published: Any, defs: dict[str, Any]) -> Iterator[tuple[dict[str, Any], dict[str, Any]]]:
    """Every object of a tree that its schema describes, with that part of the schema."""
    if not isinstance(published, dict):
        return
    if "$ref" in published:
        published = defs[published["$ref"].removeprefix("#/$defs/")]
    for option in published.get("anyOf", []):
        kind = {dict: "object", list: "array"}.get(type(tree))
        if isinstance(option, dict) and (kind is None or kind == option.get("type")) and option.get("maxProperties") != 0:
            yield from objects(tree, option, defs)
    if isinstance(tree, dict) and "properties" in published:
        yield tree, published
        for key, value in tree.items():
            yield from objects(value, published["properties"].get(key, True), defs)
    elif isinstance(tree, dict):
        for value in tree.values():
            yield from objects(value, published.get("additionalProperties", True), defs)
    if isinstance(tree, list):
        for item in tree[:2]:
            yield from objects(item, published.get("items", True), defs)


@pytest.mark.parametrize("name", RUNS)
def test_an_unknown_or_missing_key_is_noticed_wherever_it_is(place: Path, name: str) -> None:
    kind, tree = RUNS[name][0], results(place / name)
    published = schema(kind)
    places = list(objects(tree, published, published.get("$defs", {})))
    assert places[0][0] is tree
    for part, described in places:
        if described.get("additionalProperties") is False:
            part["surprise"] = 1
            assert unmet(tree, kind), described
            del part["surprise"]
        for key in [key for key in described["required"] if key in part][:3]:
            value = part.pop(key)
            assert unmet(tree, kind), key
            part[key] = value
    assert unmet(tree, kind) == []


def test_run_json_is_checked_too(place: Path) -> None:
    tree = json.loads((place / "trace" / "run.json").read_text(encoding="utf-8"))
    for key in tree:
        less = copy.deepcopy(tree)
        del less[key]
        assert unmet(less, "run")
    assert unmet({**tree, "user": "somebody"}, "run")
    assert unmet({**tree, "outputs": {"results.json": "not a hash"}}, "run")


def test_values_that_are_not_allowed_are_noticed(place: Path) -> None:
    tree = results(place / "estimate")
    tree["rows"][0]["status"] = "fine"
    assert unmet(tree, "estimate") == [".rows[0].status"]
    tree = results(place / "accrual")
    tree["rows"][0]["measure"] = "half_breadth"
    assert unmet(tree, "accrual") == [".rows[0].measure"]
    assert unmet(results(place / "trace"), "simulate")


def test_the_command_prints_them(tmp_path: Path) -> None:
    listed = cmvsim_here("schema", cwd=tmp_path).stdout.split()
    assert listed == list(schema_names())
    assert {kind for kind, *_ in RUNS.values()} | ELSEWHERE == set(listed)
    for name in listed:
        shown = json.loads(cmvsim_here("schema", name, cwd=tmp_path).stdout)
        assert shown == schema(name)
        assert shown["$schema"] == "https://json-schema.org/draft/2020-12/schema"
        assert shown["description"]
    wrong = cmvsim_here("schema", "acrual", cwd=tmp_path)
    assert wrong.returncode == 2
    assert "did you mean 'accrual'?" in wrong.stderr
