"""The JSON Schema of a scenario file: the human form, for editors and for other programs that write scenarios."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from cmvsim.core.quantity_forms import PROVENANCE_SCHEMA
from cmvsim.scenarios.scenario import FORMAT, Scenario

DIALECT = "https://json-schema.org/draft/2020-12/schema"
TITLE = "cmvsim scenario"
_NOISE = frozenset({"title", "default"})


def json_schema() -> dict[str, Any]:
    """Build the schema of the human form.

    Returns
    -------
    dict
        Draft 2020-12. No extra keys anywhere. A file that ``extends`` another may leave any key out; one that stands
        alone names every section (`cmvsim scenarios check` also finds keys missing further down, and what no schema
        can say: shares that do not add up, a window beyond the horizon).
    """
    made = Scenario.model_json_schema(mode="validation", by_alias=True)
    parts = made.pop("$defs")
    choices = {f"#/$defs/{name}": _choice(table) for name, table in parts.items() if name.startswith("Stated")}
    definitions = {name: _placed(_human(table), choices) for name, table in parts.items() if not name.startswith("Stated")}
    top = _human(made)
    top["properties"]["extends"] = {"type": "string", "description": "a catalogue id or the path of another scenario file"}
    sections = [key for key in made["required"] if key not in {"id", "title"}]
    words = [
        {"const": "same", "description": "as the target before"},
        {"const": "study", "description": "by the monitoring, treatment rule and follow-up of this scenario"},
    ]
    definitions["MeasuredBy"] = {"anyOf": [*words, definitions["MeasuredBy"]]}
    definitions["WhoSpec"] = {"anyOf": [{"const": "all", "description": "everybody"}, definitions["WhoSpec"]]}
    return {
        **top,
        "$schema": DIALECT,
        "$id": f"urn:cmvsim:scenario:{FORMAT}",
        "title": TITLE,
        "version": str(FORMAT),
        "description": f"Scenario files of cmvsim, format {FORMAT}",
        "anyOf": [{"required": ["extends"]}, {"required": [*sections, "id", "title"]}],
        "$defs": definitions,
    }


def _human(table: Mapping[str, Any]) -> dict[str, Any]:
    """One table as people write it: every key may be left to the file that it extends."""
    cleaned: dict[str, Any] = _clean(table)
    cleaned.pop("required", None)
    return cleaned


def _choice(table: Mapping[str, Any]) -> dict[str, Any]:
    """Write a choice that is no number as people do: bare, or in a table with its reason."""
    inner = _clean(table["properties"]["value"])
    return {
        "anyOf": [
            inner,
            {
                "type": "object",
                "properties": {"value": inner, **PROVENANCE_SCHEMA},
                "required": ["value"],
                "additionalProperties": False,
            },
        ]
    }


def _placed(node: Any, choices: Mapping[str, Any]) -> Any:
    """Put the choices where they are referred to: their generated names say nothing."""
    if isinstance(node, list):
        return [_placed(item, choices) for item in node]
    if not isinstance(node, Mapping):
        return node
    if node.get("$ref") in choices:
        return choices[node["$ref"]]
    return {key: _placed(value, choices) for key, value in node.items()}


def _clean(node: Any) -> Any:
    """Drop pydantic's titles and defaults and the nulls that TOML cannot write; keep a key that is called ``title``."""
    if isinstance(node, list):
        return [_clean(item) for item in node if item != {"type": "null"}]
    if not isinstance(node, Mapping):
        return node
    result: dict[str, Any] = {
        key: {name: _clean(item) for name, item in value.items()} if key == "properties" else _clean(value)
        for key, value in node.items()
        if key not in _NOISE
    }
    if "oneOf" in result:  # specifications told apart by a key: none fits two of them
        result["anyOf"] = result.pop("oneOf")
    options = result.get("anyOf")
    if isinstance(options, list) and len(options) == 1 and isinstance(options[0], Mapping):
        result = {**{key: value for key, value in result.items() if key != "anyOf"}, **options[0]}
    if "description" in result:
        result["description"] = result["description"].split("\n\n")[0]
    return result
