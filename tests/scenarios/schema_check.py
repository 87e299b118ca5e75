"""The part of JSON Schema that the scenario schema uses, checked by hand: enough to test it without a dependency."""

from __future__ import annotations

import math
import re

TYPES = {"object": dict, "array": list, "string": str, "boolean": bool, "null": type(None)}
KNOWN = {
    "$schema",
    "$id",
    "$defs",
    "$ref",
    "title",
    "description",
    "version",
    "type",
    "properties",
    "additionalProperties",
    "required",
    "items",
    "prefixItems",
    "minItems",
    "maxItems",
    "minProperties",
    "maxProperties",
    "propertyNames",
    "enum",
    "const",
    "pattern",
    "minimum",
    "maximum",
    "exclusiveMinimum",
    "exclusiveMaximum",
    "anyOf",
}
COMPARE = {
    "minimum": lambda x, limit: x >= limit,
    "maximum": lambda x, limit: x <= limit,
    "exclusiveMinimum": lambda x, limit: x > limit,
    "exclusiveMaximum": lambda x, limit: x < limit,
}


def errors(value, schema, root, at=""):
    """Places at which `value` breaks `schema`."""
    if schema is True or schema == {}:
        return []
    if schema is False:
        return [at]
    assert set(schema) <= KNOWN, set(schema) - KNOWN
    if "$ref" in schema:
        return errors(value, root["$defs"][schema["$ref"].removeprefix("#/$defs/")], root, at)
    bad = []
    if "anyOf" in schema and all(errors(value, option, root, at) for option in schema["anyOf"]):
        bad.append(at)
    if "type" in schema and not _is(value, schema["type"]):
        return [*bad, at]
    if ("enum" in schema and value not in schema["enum"]) or ("const" in schema and value != schema["const"]):
        bad.append(at)
    if isinstance(value, str) and "pattern" in schema and not re.search(schema["pattern"], value):
        bad.append(at)
    if _is(value, "number"):
        bad += [at for word, holds in COMPARE.items() if word in schema and not holds(value, schema[word])]
    if isinstance(value, list):
        bad += _array(value, schema, root, at)
    if isinstance(value, dict):
        bad += _object(value, schema, root, at)
    return bad


def _is(value, kind):
    if kind in {"number", "integer"}:
        number = isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
        return number and (kind == "number" or value == int(value))
    return isinstance(value, TYPES[kind])


def _array(value, schema, root, at):
    bad = [at] if not schema.get("minItems", 0) <= len(value) <= schema.get("maxItems", math.inf) else []
    first = schema.get("prefixItems", [])
    for index, item in enumerate(value):
        bad += errors(item, first[index] if index < len(first) else schema.get("items", True), root, f"{at}[{index}]")
    return bad


def _object(value, schema, root, at):
    bad = [f"{at}.{key}" for key in schema.get("required", []) if key not in value]
    if not schema.get("minProperties", 0) <= len(value) <= schema.get("maxProperties", math.inf):
        bad.append(at)
    for key, item in value.items():
        bad += errors(key, schema.get("propertyNames", True), root, f"{at}.{key}")
        inner = schema.get("properties", {}).get(key, schema.get("additionalProperties", True))
        bad += errors(item, inner, root, f"{at}.{key}")
    return bad
