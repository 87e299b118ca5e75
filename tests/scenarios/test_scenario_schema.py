"""The published JSON Schema accepts what the loader accepts and refuses what is misspelt."""

from __future__ import annotations

import json
import tomllib
from pathlib import Path

import pytest
from scenario_mistakes import GOOD, MISTAKES
from schema_check import errors

from cmvsim.scenarios import catalogue_ids, catalogue_text
from cmvsim.scenarios.json_schema import json_schema
from cmvsim.scenarios.template import new

SCHEMA = json_schema()
EXAMPLES = sorted((Path(__file__).parents[2] / "scenarios").glob("*.toml"))
SEEN_BY_A_SCHEMA = [mistake for mistake in MISTAKES if mistake.name.startswith("key_") and mistake.name != "key_missing"]
RANGES = [
    mistake
    for mistake in MISTAKES
    if mistake.name
    in {
        "probability",
        "negative_days",
        "zero_load",
        "correlation",
        "text_for_number",
        "bool_for_number",
        "bare_text",
        "list_for_number",
        "patients_text",
        "patients_zero",
        "patients_fraction",
        "level",
        "half_width",
        "age_three",
        "age_one",
        "number_for_table",
        "array_for_section",
        "text_for_section",
        "text_for_list",
        "no_endpoints",
        "number_for_text",
        "id_with_space",
        "number_for_matrix",
        "disease_unknown",
        "matrix_unknown",
        "definition_unknown",
        "choice_unknown",
        "design_unknown",
        "measure_unknown",
        "varies_for_one",
        "centre_without_varies",
        "varies_mixed",
        "varies_negative",
        "uncertain_two",
        "uncertain_unknown",
        "uncertain_one_number",
        "uncertain_number",
        "assumed_number",
        "format_2",
        "format_text",
    }
]


def test_dialect_title_and_version():
    assert SCHEMA["$schema"] == "https://json-schema.org/draft/2020-12/schema"
    assert (SCHEMA["title"], SCHEMA["version"]) == ("cmvsim scenario", "1")
    assert json.loads(json.dumps(SCHEMA)) == SCHEMA


def test_no_table_takes_extra_keys():
    def tables(node):
        if isinstance(node, dict):
            if "properties" in node and isinstance(node["properties"], dict) and node.get("type") == "object":
                yield node
            for value in node.values():
                yield from tables(value)
        elif isinstance(node, list):
            for value in node:
                yield from tables(value)

    found = list(tables(SCHEMA))
    assert len(found) > 30
    assert all(table["additionalProperties"] is False for table in found)


@pytest.mark.parametrize("name", catalogue_ids())
def test_catalogue_fits(name):
    assert errors(tomllib.loads(catalogue_text(name)), SCHEMA, SCHEMA) == []


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.stem)
def test_ready_to_edit_files_fit(path):
    assert errors(tomllib.loads(path.read_text()), SCHEMA, SCHEMA) == []


def test_a_new_file_fits():
    text = "\n".join(
        line.removeprefix("# ") if " = " in line else line for line in new("cmv-cart").split("extends", 1)[1].splitlines()
    )
    assert errors(tomllib.loads("extends" + text), SCHEMA, SCHEMA) == []


@pytest.mark.parametrize("mistake", SEEN_BY_A_SCHEMA + RANGES, ids=lambda mistake: mistake.name)
def test_mistakes_are_refused_where_they_stand(mistake):
    bad = errors(tomllib.loads(mistake.text()), SCHEMA, SCHEMA)
    assert bad
    at = mistake.at.split("[")[0]
    assert any(place.removeprefix(".").startswith(at) or at.startswith(place.removeprefix(".")) for place in bad)


def test_enough_mistakes_are_tried():
    assert len(SEEN_BY_A_SCHEMA) >= 10
    assert len(RANGES) == 40


def test_a_file_that_stands_alone_needs_its_sections():
    tree = tomllib.loads(GOOD)
    del tree["monitoring"]
    assert errors(tree, SCHEMA, SCHEMA)
    assert errors({**tree, "extends": "cmv-cart"}, SCHEMA, SCHEMA) == []
